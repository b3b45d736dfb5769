//! Band-limited interpolation at any rate that may change at any moment (windowed sinc, as in
//! J. O. Smith, "Digital Audio Resampling").

use std::f64::consts::PI;

/// Samples that make one: flat to 20 kHz at 44.1 kHz, images 80 dB down.
const TAPS: usize = 32;
/// Positions between two samples that are tabulated; those in between are interpolated.
const PHASES: usize = 256;

/// Half the filter: what comes out lags behind what went in by so many input frames.
const LAG_FRAMES: usize = TAPS / 2;

/// An interpolator of interleaved frames.
#[derive(Debug)]
pub(super) struct Sinc {
    channels: usize,
    /// `PHASES + 1` rows of `TAPS` weights.
    table: Vec<f32>,
    /// The last `TAPS` frames, twice, so that they always lie in one piece.
    history: Vec<f32>,
    oldest: usize,
    /// Where the next frame lies after the middle of the history, input frames; from 1 on another
    /// frame has to be put in first.
    position: f64,
}

impl Sinc {
    /// For frames of so many channels; `ratio` is output rate / input rate (it sets the cut-off).
    pub(super) fn new(channels: usize, ratio: f64) -> Self {
        let channels = channels.max(1);
        Self {
            channels,
            table: table(ratio.clamp(0.05, 1.0)),
            history: vec![0.0; 2 * TAPS * channels],
            oldest: 0,
            position: 1.0,
        }
    }

    /// Forgets what went in.
    pub(super) fn clear(&mut self) {
        self.history.fill(0.0);
        self.position = 1.0;
    }

    /// Input frames to put in before the next frame comes out.
    pub(super) fn wants(&self) -> usize {
        self.position as usize
    }

    /// How far the next frame to come out lies behind the next to be put in, input frames.
    pub(super) fn lag(&self) -> f64 {
        LAG_FRAMES as f64 + 1.0 - self.position
    }

    /// Puts a frame in.
    pub(super) fn put(&mut self, frame: &[f32]) {
        let at = self.oldest * self.channels;
        let twin = at + TAPS * self.channels;
        self.history[at..at + self.channels].copy_from_slice(frame);
        self.history[twin..twin + self.channels].copy_from_slice(frame);
        self.oldest = (self.oldest + 1) % TAPS;
        self.position -= 1.0;
    }

    /// Takes the next frame out and moves on by `step` input frames. All wanted frames are in.
    pub(super) fn take(&mut self, step: f64, out: &mut [f32]) {
        let phase = self.position.clamp(0.0, 1.0) * PHASES as f64;
        let row = (phase as usize).min(PHASES - 1);
        let between = (phase - row as f64) as f32;
        let weights = &self.table[row * TAPS..(row + 2) * TAPS];
        let (near, next) = weights.split_at(TAPS);
        let start = self.oldest * self.channels;
        let frames = &self.history[start..start + TAPS * self.channels];
        out.fill(0.0);
        for ((frame, a), b) in frames.chunks_exact(self.channels).zip(near).zip(next) {
            let weight = a + (b - a) * between;
            for (sum, sample) in out.iter_mut().zip(frame) {
                *sum += weight * sample;
            }
        }
        self.position += step;
    }
}

/// Row `p` interpolates at `p / PHASES` after the frame in the middle.
fn table(cutoff: f64) -> Vec<f32> {
    let mut table = Vec::with_capacity((PHASES + 1) * TAPS);
    for phase in 0..=PHASES {
        let middle = (LAG_FRAMES - 1) as f64 + phase as f64 / PHASES as f64;
        let weights: Vec<f64> = (0..TAPS).map(|tap| weight(tap as f64 - middle, cutoff)).collect();
        // The same loudness at every phase.
        let sum: f64 = weights.iter().sum();
        table.extend(weights.iter().map(|w| (w / sum) as f32));
    }
    table
}

/// A sinc of this cut-off under a Blackman window, `x` samples from its middle.
fn weight(x: f64, cutoff: f64) -> f64 {
    let sinc = if x.abs() < 1e-9 { cutoff } else { (PI * cutoff * x).sin() / (PI * x) };
    let reach = x / LAG_FRAMES as f64;
    if reach.abs() >= 1.0 {
        return 0.0;
    }
    sinc * (0.42 + 0.5 * (PI * reach).cos() + 0.08 * (2.0 * PI * reach).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(input: &[f32], step: f64) -> Vec<f32> {
        let mut sinc = Sinc::new(1, 1.0 / step);
        let (mut out, mut read) = (Vec::new(), 0);
        loop {
            while sinc.wants() > 0 {
                let Some(sample) = input.get(read) else { return out };
                sinc.put(&[*sample]);
                read += 1;
            }
            let mut frame = [0.0];
            sinc.take(step, &mut frame);
            out.push(frame[0]);
        }
    }

    fn sine(frequency: f64, rate: f64, frames: usize) -> Vec<f32> {
        (0..frames).map(|i| (2.0 * PI * frequency * i as f64 / rate).sin() as f32).collect()
    }

    #[test]
    fn at_the_same_rate_samples_pass_untouched() {
        let input = sine(997.0, 48_000.0, 1000);
        let output = convert(&input, 1.0);
        let lag = LAG_FRAMES;
        for (i, sample) in output.iter().enumerate().skip(100) {
            assert!((sample - input[i - lag]).abs() < 1e-6, "sample {i}");
        }
    }

    #[test]
    fn a_tone_keeps_its_pitch_and_shape_at_other_rates() {
        for (from, to) in [(44_100.0, 48_000.0), (8_000.0, 48_000.0), (48_000.0, 44_100.0)] {
            let input = sine(1000.0, from, 8000);
            let output = convert(&input, from / to);
            let lag = LAG_FRAMES as f64 / from;
            let worst = output
                .iter()
                .enumerate()
                .skip(1000)
                .map(|(i, sample)| {
                    let exact = (2.0 * PI * 1000.0 * (i as f64 / to - lag)).sin();
                    (f64::from(*sample) - exact).abs()
                })
                .fold(0.0, f64::max);
            assert!(worst < 2e-3, "{from} to {to}: off by {worst}");
        }
    }

    #[test]
    fn a_slightly_faster_rate_consumes_slightly_more() {
        let output = convert(&sine(440.0, 48_000.0, 48_000), 1.005);
        let expected = 48_000.0 / 1.005;
        assert!((output.len() as f64 - expected).abs() < 3.0, "{}", output.len());
    }
}
