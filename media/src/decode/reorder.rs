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
        while let Some(first) = self.waiting.first_entry() {
            // No picture is shown before it is decoded, so what is due by now is next for certain:
            // streams without B-frames need not wait even if they do not say that they are.
            let due = !self.declared && *first.key() <= dts_us;
            let full = first.get().pts_us < i64::MAX && self.waiting.len() > self.depth;
            if !(due || full) {
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
