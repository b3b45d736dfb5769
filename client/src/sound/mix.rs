//! From the channels a stream has to those a sound card has.

use media::Sound;

/// Half the power: what a channel shared by two gives each.
const HALF_POWER: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// The sound's samples, interleaved for `to` channels.
///
/// Channels come in the order of WAVE (FL FR FC LFE BL BR SL SR); surround is folded down by
/// ITU-R BS.775 without its low-frequency channel.
#[must_use]
pub(super) fn mix(sound: &Sound, to: usize) -> Vec<f32> {
    let from = usize::from(sound.channels.max(1));
    let frames = sound.samples.chunks_exact(from);
    match (from, to) {
        (_, 0) => Vec::new(),
        (from, to) if from == to => sound.samples.clone(),
        (1, to) => frames.flat_map(|frame| std::iter::repeat_n(frame[0], to)).collect(),
        (2, 1) => frames.map(|frame| (frame[0] + frame[1]) / 2.0).collect(),
        (_, 1) => frames.map(fold).map(|[left, right]| (left + right) / 2.0).collect(),
        (_, 2) => frames.flat_map(fold).collect(),
        // More loudspeakers than channels stay silent, more channels than loudspeakers are cut.
        (_, to) => frames
            .flat_map(|frame| (0..to).map(|channel| frame.get(channel).copied().unwrap_or(0.0)))
            .collect(),
    }
}

/// Surround to stereo, scaled so that it cannot clip.
fn fold(frame: &[f32]) -> [f32; 2] {
    let channel = |index: usize| frame.get(index).copied().unwrap_or(0.0);
    // What each side shares or has behind it, by its index for the left and for the right.
    let behind: &[[usize; 2]] = match frame.len() {
        0..=2 => &[],
        3 => &[[2, 2]],
        4 => &[[2, 3]],
        5 => &[[2, 2], [3, 4]],
        6 | 7 => &[[2, 2], [4, 5]],
        _ => &[[2, 2], [4, 5], [6, 7]],
    };
    let scale = 1.0 / (1.0 + HALF_POWER * behind.len() as f32);
    [0, 1].map(|side| {
        let rest: f32 = behind.iter().map(|pair| channel(pair[side])).sum();
        (channel(side) + HALF_POWER * rest) * scale
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(channels: u16, samples: &[f32]) -> Sound {
        Sound { pts_us: 0, sample_rate: 48_000, channels, samples: samples.to_vec() }
    }

    #[test]
    fn mono_goes_everywhere_and_stereo_to_its_mean() {
        assert_eq!(mix(&sound(1, &[0.5, -0.5]), 2), [0.5, 0.5, -0.5, -0.5]);
        assert_eq!(mix(&sound(2, &[1.0, 0.0]), 1), [0.5]);
        assert_eq!(mix(&sound(2, &[1.0, 0.5]), 2), [1.0, 0.5]);
        assert_eq!(mix(&sound(2, &[1.0, 0.5]), 4), [1.0, 0.5, 0.0, 0.0]);
    }

    #[test]
    fn surround_keeps_its_sides_and_never_clips() {
        // Only the left back channel sounds: only the left side does.
        let left = mix(&sound(6, &[0.0, 0.0, 0.0, 0.0, 1.0, 0.0]), 2);
        assert!(left[0] > 0.2 && left[1] == 0.0, "{left:?}");
        for channels in [3_u16, 4, 5, 6, 7, 8] {
            let loud = mix(&sound(channels, &vec![1.0; usize::from(channels)]), 2);
            assert!(loud.iter().all(|s| (*s - 1.0).abs() < 1e-6), "{channels}: {loud:?}");
        }
    }

    #[test]
    fn half_a_frame_at_the_end_is_left_out() {
        assert_eq!(mix(&sound(2, &[1.0, 0.0, 1.0]), 1), [0.5]);
    }
}
