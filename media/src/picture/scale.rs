//! Planes made larger or smaller.
//!
//! Down to half the size a sample is blended from its nearest neighbours, two across and two down;
//! below that the neighbours would miss what lies between them, and all of it is averaged.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

/// Scales planes of 8-bit samples; keeps its working memory.
#[derive(Debug, Default)]
pub(super) struct Scaler {
    resizer: Resizer,
    /// The two source rows being blended, as wide as the target.
    rows: [Row; 2],
}

/// A source row scaled across.
#[derive(Debug, Default)]
struct Row {
    /// Which one, if any.
    number: Option<usize>,
    samples: Vec<u8>,
}

/// Where between two source samples a target sample lies.
#[derive(Clone, Copy)]
struct Tap {
    /// The first of the two.
    index: usize,
    /// Share of the second, in 256ths.
    share: u16,
}

impl Scaler {
    /// Fills `out` with the plane at its new size.
    pub(super) fn scale(
        &mut self,
        samples: &[u8],
        size: (usize, usize),
        to: (usize, usize),
        out: &mut Vec<u8>,
    ) {
        // All of it is written over.
        out.resize(to.0 * to.1, 0);
        if to.0 * 2 < size.0 || to.1 * 2 < size.1 {
            self.average(samples, size, to, out);
        } else {
            self.blend(samples, size, to, out);
        }
    }

    fn average(
        &mut self,
        samples: &[u8],
        size: (usize, usize),
        to: (usize, usize),
        out: &mut [u8],
    ) {
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        let side = |side: usize| u32::try_from(side).unwrap_or(0);
        let source = TypedImageRef::<U8>::from_buffer(side(size.0), side(size.1), samples);
        let target = TypedImage::<U8>::from_buffer(side(to.0), side(to.1), out);
        if let (Ok(source), Ok(mut target)) = (source, target) {
            let result = self.resizer.resize_typed(&source, &mut target, &options);
            debug_assert!(result.is_ok(), "{result:?}");
        }
    }

    fn blend(
        &mut self,
        samples: &[u8],
        (width, height): (usize, usize),
        to: (usize, usize),
        out: &mut [u8],
    ) {
        let across = taps(width, to.0);
        self.rows.iter_mut().for_each(|row| row.number = None);
        for (target, tap) in out.chunks_exact_mut(to.0).zip(taps(height, to.1)) {
            for number in [tap.index, (tap.index + 1).min(height - 1)] {
                // Neighbours have different parities, so they never displace each other.
                let row = &mut self.rows[number % 2];
                if row.number != Some(number) {
                    row.number = Some(number);
                    row.fill(&samples[number * width..(number + 1) * width], &across);
                }
            }
            let [even, odd] = &self.rows;
            let (first, second) = if tap.index % 2 == 0 { (even, odd) } else { (odd, even) };
            // Below the last row there is none; its share is 0.
            let second = if tap.share == 0 { first } else { second };
            for ((out, &a), &b) in target.iter_mut().zip(&first.samples).zip(&second.samples) {
                *out = mix(a, b, tap.share);
            }
        }
    }
}

impl Row {
    fn fill(&mut self, source: &[u8], across: &[Tap]) {
        self.samples.clear();
        let last = source.len() - 1;
        self.samples.extend(
            across
                .iter()
                .map(|tap| mix(source[tap.index], source[(tap.index + 1).min(last)], tap.share)),
        );
    }
}

fn mix(a: u8, b: u8, share: u16) -> u8 {
    // At most 255 * 256 + 128: the high byte is the mean.
    ((u16::from(a) * (256 - share) + u16::from(b) * share + 128) >> 8) as u8
}

/// For each of `to` target samples where it lies among `from` source samples; both cover the same
/// length, so sample centres are half a sample from its ends.
fn taps(from: usize, to: usize) -> Vec<Tap> {
    (0..to)
        .map(|x| {
            // (x + 1/2) * from / to - 1/2, in 256ths
            let position = ((2 * x + 1) * from * 128 / to).saturating_sub(128);
            let index = position / 256;
            if index + 1 < from {
                Tap { index, share: (position % 256) as u16 }
            } else {
                Tap { index: from - 1, share: 0 }
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(samples: &[u8], size: (usize, usize), to: (usize, usize)) -> Vec<u8> {
        let mut out = Vec::new();
        Scaler::default().scale(samples, size, to, &mut out);
        out
    }

    #[test]
    fn samples_between_two_are_blended_by_distance() {
        // Centres of 4 in 2: 0.25 and 0.75 of a sample before and after the first one's middle.
        assert_eq!(scaled(&[0, 200], (2, 1), (4, 1)), [0, 50, 150, 200]);
        assert_eq!(scaled(&[0, 200], (1, 2), (1, 4)), [0, 50, 150, 200]);
        assert_eq!(scaled(&[0, 100, 200, 60], (4, 1), (2, 1)), [50, 130]);
    }

    #[test]
    fn flat_planes_stay_flat_at_every_size() {
        for size in [(1, 1), (2, 3), (17, 9), (64, 48)] {
            for to in [(1, 1), (3, 2), (9, 40), (33, 24), (200, 100)] {
                let out = scaled(&vec![77; size.0 * size.1], size, to);
                assert_eq!(out, vec![77; to.0 * to.1], "{size:?} to {to:?}");
            }
        }
    }

    #[test]
    fn a_ramp_stays_a_ramp() {
        let ramp: Vec<u8> = (0..64 * 4).map(|i| (i % 64 * 4) as u8).collect();
        for to in [(100, 4), (40, 4), (20, 3), (9, 1)] {
            let out = scaled(&ramp, (64, 4), to);
            for (x, &sample) in out[..to.0].iter().enumerate() {
                let expected = ((x as f64 + 0.5) * 64.0 / to.0 as f64 - 0.5) * 4.0;
                let expected = expected.clamp(0.0, 252.0);
                assert!((f64::from(sample) - expected).abs() < 4.0, "{sample} for {expected}");
            }
        }
    }
}
