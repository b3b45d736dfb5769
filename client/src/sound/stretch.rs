//! A recording's sound at another speed, at its own pitch.

use media::Sound;
use signalsmith_stretch::Stretch;

/// Most channels that are stretched: what a sound card may have.
const CHANNELS: u16 = 32;
/// Longest stretch of sound taken at once, frames: hours of it in one packet are nonsense.
const LONGEST: usize = 1 << 20;

/// Stretches what it is given piece by piece; the pieces follow each other.
pub struct Stretcher {
    stretch: Stretch,
    rate: f64,
    sample_rate: u32,
    channels: u16,
    /// Output that is owed for what went in, frames.
    owed: f64,
}

impl std::fmt::Debug for Stretcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stretcher({} x)", self.rate)
    }
}

impl Stretcher {
    /// For sound like this one, played `rate` times as fast; `None` for what cannot be stretched.
    #[must_use]
    pub fn new(sound: &Sound, rate: f64) -> Option<Self> {
        let Sound { sample_rate, channels, .. } = *sound;
        if !(1..=CHANNELS).contains(&channels) || sample_rate == 0 || !(0.1..=10.0).contains(&rate)
        {
            return None;
        }
        let stretch = Stretch::preset_default(u32::from(channels), sample_rate);
        Some(Self { stretch, rate, sample_rate, channels, owed: 0.0 })
    }

    /// Whether it was made for sound like this at this speed.
    #[must_use]
    pub fn fits(&self, sound: &Sound, rate: f64) -> bool {
        (self.sample_rate, self.channels) == (sound.sample_rate, sound.channels)
            && self.rate == rate
    }

    /// The sound in its new length. Its pts is still the recording's time of what begins it, which
    /// lies before what was put in: the stretch looks ahead.
    pub fn stretch(&mut self, mut sound: Sound) -> Sound {
        let channels = usize::from(self.channels);
        let frames = (sound.samples.len() / channels).min(LONGEST);
        sound.samples.truncate(frames * channels);
        self.owed += frames as f64 / self.rate;
        let out = self.owed.floor();
        self.owed -= out;
        let mut samples = vec![0.0; out as usize * channels];
        if !samples.is_empty() && frames > 0 {
            self.stretch.process(&sound.samples, &mut samples);
        }
        let behind =
            self.stretch.input_latency() as f64 + self.stretch.output_latency() as f64 * self.rate;
        let behind_us = behind * 1e6 / f64::from(self.sample_rate);
        Sound { pts_us: sound.pts_us.saturating_sub(behind_us.round() as i64), samples, ..sound }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 48_000;

    /// 20 ms of a tone of 1000 Hz, as loud as `loud(t)` at the second `t`.
    fn piece(number: usize, loud: impl Fn(f64) -> f32) -> Sound {
        let samples = (0..960)
            .flat_map(|i| {
                let t = (number * 960 + i) as f64 / f64::from(RATE);
                [(t * 1000.0 * std::f64::consts::TAU).sin() as f32 * loud(t); 2]
            })
            .collect();
        Sound { pts_us: number as i64 * 20_000, sample_rate: RATE, channels: 2, samples }
    }

    /// The left channel of three stretched seconds, and the recording's time of its first frame.
    fn stretched(rate: f64, loud: impl Fn(f64) -> f32) -> (Vec<f32>, i64) {
        let mut stretcher = Stretcher::new(&piece(0, &loud), rate).expect("can be stretched");
        let mut first = None;
        let pieces = (0..150).flat_map(|i| {
            let sound = stretcher.stretch(piece(i, &loud));
            first.get_or_insert(sound.pts_us);
            sound.samples.into_iter().step_by(2)
        });
        let samples = pieces.collect();
        (samples, first.expect("some"))
    }

    #[test]
    fn the_length_changes_and_the_pitch_does_not() {
        for rate in [0.5, 0.75, 1.25, 1.5, 2.0] {
            let (left, _) = stretched(rate, |_| 0.5);
            let expected = 3.0 * f64::from(RATE) / rate;
            assert!((left.len() as f64 - expected).abs() < 2.0, "{rate}: {}", left.len());
            let middle = &left[left.len() / 3..left.len() / 3 + 24_000];
            let rising = middle.windows(2).filter(|w| w[0] < 0.0 && w[1] >= 0.0).count();
            assert!((495..=505).contains(&rising), "{rate}: {rising} in half a second");
        }
    }

    #[test]
    fn what_sounds_is_where_its_time_says() {
        for rate in [0.5, 1.5, 2.0] {
            // Silence, then the tone from 1.5 s on.
            let (left, first_us) = stretched(rate, |t| if t < 1.5 { 0.0 } else { 0.5 });
            let onset = left.iter().position(|s| s.abs() > 0.25).expect("sounds");
            let heard_s = first_us as f64 / 1e6 + onset as f64 * rate / f64::from(RATE);
            assert!((heard_s - 1.5).abs() < 0.06, "{rate}: {heard_s}");
        }
    }

    #[test]
    fn what_cannot_be_stretched_is_refused() {
        let none = Sound { pts_us: 0, sample_rate: 0, channels: 2, samples: Vec::new() };
        assert!(Stretcher::new(&none, 1.5).is_none());
        assert!(Stretcher::new(&piece(0, |_| 0.0), f64::NAN).is_none());
    }
}
