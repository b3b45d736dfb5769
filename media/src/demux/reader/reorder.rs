//! Decoding times for pictures whose container tells only when they are shown.
//!
//! With at most `depth` pictures decoded before others that are shown earlier, the i-th picture's
//! decoding time is the (i - depth)-th of all presentation times in order: it never falls, and never
//! comes after the picture's own (the same that ffmpeg derives).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// No H.264 stream holds back more pictures (ITU-T H.264 A.3.1).
const DEEPEST: usize = 16;

/// Presentation times in, decoding times out.
#[derive(Clone, Debug)]
pub(crate) struct Reorder {
    waiting: BinaryHeap<Reverse<i64>>,
    last: i64,
}

impl Reorder {
    /// `head` are the presentation times of the first pictures in order of decoding.
    pub(crate) fn new(depth: usize, head: &[i64]) -> Self {
        let depth = depth.min(DEEPEST);
        let first = head.iter().min().copied().unwrap_or(0);
        let frame = spacing(head);
        // The pictures that would have come before the first ones.
        let before = (1..).take(depth).map(|n: i64| Reverse(first.saturating_sub(n * frame)));
        Self { waiting: before.collect(), last: i64::MIN }
    }

    /// The decoding time of the next picture in order of decoding.
    pub(crate) fn dts(&mut self, pts: i64) -> i64 {
        self.waiting.push(Reverse(pts));
        let due = self.waiting.pop().map_or(pts, |Reverse(due)| due);
        // Later than its presentation only where the depth was a lie.
        self.last = due.max(self.last).min(pts);
        self.last
    }
}

/// How many of these pictures, in order of decoding, come before one that is shown earlier.
pub(crate) fn depth(head: &[i64]) -> usize {
    let ahead = |(index, pts): (usize, &i64)| head[..index].iter().filter(|p| *p > pts).count();
    head.iter().enumerate().map(ahead).max().unwrap_or(0)
}

/// The usual distance of two pictures that follow each other on the screen; 0 if it is unknown.
pub(crate) fn spacing(head: &[i64]) -> i64 {
    let mut sorted = head.to_vec();
    sorted.sort_unstable();
    let mut steps: Vec<i64> = sorted.windows(2).map(|w| w[1].saturating_sub(w[0])).collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).copied().unwrap_or(0).max(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn derive(depth: usize, pts: &[i64]) -> Vec<i64> {
        let mut reorder = Reorder::new(depth, pts);
        pts.iter().map(|&pts| reorder.dts(pts)).collect()
    }

    #[test]
    fn a_pyramid_of_b_frames_is_decoded_in_time() {
        // I P B b b, as x264 orders them
        let pts = [80, 240, 160, 120, 200, 400, 320, 280, 360];
        assert_eq!(depth(&pts), 2);
        assert_eq!(derive(2, &pts), [0, 40, 80, 120, 160, 200, 240, 280, 320]);
    }

    #[test]
    fn without_b_frames_both_times_are_one() {
        assert_eq!(derive(0, &[0, 33, 67]), [0, 33, 67]);
        assert_eq!(depth(&[0, 33, 67]), 0);
        assert_eq!((depth(&[]), spacing(&[]), spacing(&[5])), (0, 0, 0));
    }

    proptest! {
        #[test]
        fn decoding_never_falls_and_never_comes_late(
            order in Just((0..60i64).collect::<Vec<_>>()).prop_shuffle(),
            window in 1usize..8,
        ) {
            // Shuffled only within windows, as in a stream of closed groups of pictures.
            let mut pts = order;
            for (at, group) in pts.chunks_mut(window).enumerate() {
                let base = (at * window) as i64;
                let mut ranks: Vec<usize> = (0..group.len()).collect();
                ranks.sort_by_key(|&i| group[i]);
                for (rank, i) in ranks.into_iter().enumerate() {
                    group[i] = (base + rank as i64) * 40;
                }
            }
            let dts = derive(depth(&pts), &pts);
            prop_assert!(dts.windows(2).all(|w| w[0] <= w[1]), "{dts:?}");
            prop_assert!(dts.iter().zip(&pts).all(|(d, p)| d <= p), "{dts:?} {pts:?}");
        }
    }
}
