//! From decoding order to presentation order.

use std::collections::BTreeMap;

use crate::picture::Picture;

/// Holds decoded pictures back until none that is shown earlier can come.
pub(super) struct Reorder {
    waiting: BTreeMap<i64, Picture>,
    /// Most pictures that wait; grows if the stream proves to need more than it said.
    depth: usize,
    /// Whether the stream itself said how many must wait.
    declared: bool,
    /// Time of the last picture given out, which none may precede.
    shown_us: i64,
}

/// No H.264 stream reorders over more pictures (ITU-T H.264 A.3.1, MaxDpbFrames).
const MAX_DEPTH: usize = 16;

impl Reorder {
    /// `declared` is what the stream says, `most` the bound where it says nothing.
    pub(super) fn new(declared: Option<u32>, most: u32) -> Self {
        let depth = usize::try_from(declared.unwrap_or(most)).unwrap_or(MAX_DEPTH);
        Self {
            waiting: BTreeMap::new(),
            depth: depth.min(MAX_DEPTH),
            declared: declared.is_some(),
            shown_us: i64::MIN,
        }
    }

    /// Takes the picture of a packet with decoding time `dts_us` and appends to `ready` what can be
    /// shown now. `false` if the picture came too late to be shown in its place.
    pub(super) fn push(&mut self, picture: Picture, dts_us: i64, ready: &mut Vec<Picture>) -> bool {
        let in_time = picture.pts_us > self.shown_us;
        if in_time {
            self.waiting.insert(picture.pts_us, picture);
        } else {
            self.depth = (self.depth + 1).min(MAX_DEPTH);
            self.declared = true;
        }
        while let Some(&first_us) = self.waiting.keys().next() {
            // No picture is shown before it is decoded, so what is due by now is next for certain:
            // streams without B-frames need not wait even if they do not say that they are.
            let due = !self.declared && first_us <= dts_us;
            if !due && self.waiting.len() <= self.depth {
                break;
            }
            if let Some((pts_us, picture)) = self.waiting.pop_first() {
                self.shown_us = pts_us;
                ready.push(picture);
            }
        }
        in_time
    }

    /// Gives out everything; the next picture may have any time.
    pub(super) fn flush(&mut self, ready: &mut Vec<Picture>) {
        ready.extend(std::mem::take(&mut self.waiting).into_values());
        self.shown_us = i64::MIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Pixels;

    /// Pushes pictures of these (pts, dts); gives what came out at each push, and at the end.
    fn pushed(reorder: &mut Reorder, times: &[(i64, i64)]) -> Vec<Vec<i64>> {
        let mut steps = Vec::new();
        let taken = |ready: &mut Vec<Picture>| ready.drain(..).map(|p| p.pts_us).collect();
        let mut ready = Vec::new();
        for &(pts_us, dts_us) in times {
            let pixels = Pixels::Rgb(Vec::new());
            reorder.push(Picture { pts_us, width: 0, height: 0, pixels }, dts_us, &mut ready);
            steps.push(taken(&mut ready));
        }
        reorder.flush(&mut ready);
        steps.push(taken(&mut ready));
        steps
    }

    /// I P B b b: a pyramid of depth two, shown two frames after it starts to be decoded.
    const PYRAMID: [(i64, i64); 6] = [(0, -2), (4, -1), (2, 0), (1, 1), (3, 2), (8, 3)];

    #[test]
    fn a_stream_that_declares_its_depth_waits_no_longer() {
        let mut none = Reorder::new(Some(0), 16);
        assert_eq!(pushed(&mut none, &[(0, 0), (1, 1)]), [vec![0], vec![1], vec![]]);
        let mut two = Reorder::new(Some(2), 16);
        let steps = pushed(&mut two, &PYRAMID);
        assert_eq!(steps, [vec![], vec![], vec![0], vec![1], vec![2], vec![3], vec![4, 8]]);
    }

    #[test]
    fn a_stream_that_says_nothing_waits_as_its_decoding_times_demand() {
        let mut plain = Reorder::new(None, 16);
        assert_eq!(pushed(&mut plain, &[(5, 5), (6, 6)]), [vec![5], vec![6], vec![]]);
        let mut pyramid = Reorder::new(None, 16);
        let steps = pushed(&mut pyramid, &PYRAMID);
        assert_eq!(steps, [vec![], vec![], vec![0], vec![1], vec![2], vec![3], vec![4, 8]]);
    }

    #[test]
    fn a_depth_that_proves_too_small_costs_one_picture_and_grows() {
        let mut wrong = Reorder::new(Some(0), 16);
        let steps = pushed(&mut wrong, &[(0, 0), (2, 1), (1, 2), (4, 3), (3, 4), (6, 5)]);
        let shown: Vec<i64> = steps.concat();
        assert_eq!(shown, [0, 2, 3, 4, 6]);
    }

    #[test]
    fn what_waits_is_bounded_whatever_the_times_are() {
        let mut reorder = Reorder::new(None, u32::MAX);
        let backwards: Vec<_> = (0..100).map(|i| (1000 - i, i64::MIN)).collect();
        for ready in pushed(&mut reorder, &backwards) {
            assert!(ready.len() <= MAX_DEPTH);
        }
    }
}
