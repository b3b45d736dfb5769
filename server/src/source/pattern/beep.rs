//! The test pattern's sound: a beep that starts with each whole second of stream time.

use std::f32::consts::TAU;

/// Samples a second: Opus' own rate.
pub(super) const SAMPLE_RATE: u32 = 48_000;
/// How long flash and beep last, microseconds.
pub(super) const LENGTH_US: i64 = 100_000;

/// Pitch, Hz: a whole number of waves in [`LENGTH_US`], so that it starts and ends at zero.
const PITCH: u32 = 1_000;
/// -6 dB of full scale: loud enough to find, no clipping behind a lossy codec.
const LOUDNESS: f32 = 0.5;
const BEEP_SAMPLES: u32 = SAMPLE_RATE / 10;

/// Whether the flash and the beep are on at `pts_us`.
#[must_use]
pub(super) fn is_on(pts_us: i64) -> bool {
    pts_us.rem_euclid(1_000_000) < LENGTH_US
}

/// The sample numbered `index` from the start of the stream.
#[must_use]
pub(super) fn sample(index: u64) -> f32 {
    let in_second = (index % u64::from(SAMPLE_RATE)) as u32;
    if in_second >= BEEP_SAMPLES {
        return 0.0;
    }
    let wave = SAMPLE_RATE / PITCH;
    LOUDNESS * ((in_second % wave) as f32 / wave as f32 * TAU).sin()
}

/// Samples before `pts_us`.
#[must_use]
pub(super) fn samples_until(pts_us: i64) -> u64 {
    let us = u64::try_from(pts_us).unwrap_or(0);
    us.saturating_mul(u64::from(SAMPLE_RATE)) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beep_starts_with_the_second_to_the_sample() {
        let second: Vec<f32> = (0..2 * u64::from(SAMPLE_RATE)).map(sample).collect();
        for start in [0, SAMPLE_RATE as usize] {
            let heard: Vec<bool> = second[start..start + SAMPLE_RATE as usize]
                .iter()
                .map(|s| s.abs() > 1e-3)
                .collect();
            assert_eq!(heard.iter().position(|on| *on), Some(1));
            assert_eq!(heard.iter().rposition(|on| *on), Some(4_799));
        }
        let loudest = second.iter().fold(0.0f32, |most, s| most.max(*s));
        assert!((loudest - 0.5).abs() < 0.01);
    }

    #[test]
    fn the_flash_lasts_as_long_as_the_beep() {
        assert!(is_on(0) && is_on(99_999) && is_on(5_000_000));
        assert!(!is_on(100_000) && !is_on(999_999));
        assert_eq!(samples_until(LENGTH_US), u64::from(BEEP_SAMPLES));
    }
}
