//! The newest part of a live stream, muxed: what web viewers are cursors in.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::form::{Item, ItemKind};
use crate::limits;

/// Bytes before the payload of what goes through a WebSocket: a number that says what it is, when it
/// is shown (microseconds on the clock of the MP4), and when it was captured (microseconds on the
/// node's clock), the latter two as big-endian `i64`.
pub(crate) const PREFIX: usize = 17;

/// Numbers of the first byte.
const HEADER: u8 = 1;
const FRAGMENT: u8 = 2;
const JPEG: u8 = 3;

/// How a stream is to be shown; another one whenever it changes.
#[derive(Debug)]
pub(crate) struct Header {
    /// Counts the changes.
    pub(crate) epoch: u64,
    /// With prefix; no payload where nothing is muxed.
    pub(crate) bytes: Bytes,
    /// For browsers; empty where nothing is muxed.
    pub(crate) mime: String,
    /// Whether the pictures are JPEGs beside the MP4.
    pub(crate) apart: bool,
    /// Of the picture as it is to be shown, pixels.
    pub(crate) size: Option<(u32, u32)>,
    /// What is in it, for people.
    pub(crate) summary: String,
    /// For people; may be empty.
    pub(crate) title: String,
}

impl Header {
    pub(crate) fn prefixed(payload: &[u8]) -> Bytes {
        prefixed(HEADER, 0, 0, payload)
    }
}

/// A fragment or a picture.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) key: bool,
    pub(crate) fragment: bool,
    pub(crate) pts_us: i64,
    pub(crate) captured_at_us: i64,
    /// With prefix.
    pub(crate) bytes: Bytes,
}

impl Chunk {
    pub(crate) fn new(item: &Item) -> Self {
        let fragment = item.kind == ItemKind::Fragment;
        let kind = if fragment { FRAGMENT } else { JPEG };
        Self {
            key: item.key,
            fragment,
            pts_us: item.pts_us,
            captured_at_us: item.captured_at_us,
            bytes: prefixed(kind, item.pts_us, item.captured_at_us, &item.payload),
        }
    }

    /// Without prefix.
    pub(crate) fn payload(&self) -> Bytes {
        self.bytes.slice(PREFIX..)
    }
}

fn prefixed(kind: u8, pts_us: i64, captured_at_us: i64, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(PREFIX + payload.len());
    out.put_u8(kind);
    out.put_i64(pts_us);
    out.put_i64(captured_at_us);
    out.put_slice(payload);
    out.freeze()
}

/// A stretch of chunks from a key frame to another: a line of a playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Counts them.
    pub(crate) number: u64,
    /// Number of its first chunk, and of the one behind its last.
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// Microseconds.
    pub(crate) duration_us: i64,
    /// When its first picture was captured, microseconds on the node's clock.
    pub(crate) captured_at_us: i64,
}

/// Chunks by number, the oldest of which go.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    pub(crate) header: Option<Arc<Header>>,
    chunks: VecDeque<Chunk>,
    /// Number of the oldest.
    first: u64,
    newest_key: Option<u64>,
    bytes: usize,
    pub(crate) stretches: VecDeque<Stretch>,
    next_stretch: u64,
    /// Where the stretch begins that is not complete: chunk, time, capture.
    begun: Option<(u64, i64, i64)>,
}

impl Ring {
    /// All begins anew.
    pub(crate) fn start(&mut self, header: Header) {
        self.first = self.end();
        self.chunks.clear();
        self.bytes = 0;
        self.newest_key = None;
        self.stretches.clear();
        self.begun = None;
        self.header = Some(Arc::new(header));
    }

    /// Number of the chunk that comes next.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.chunks.len() as u64
    }

    pub(crate) fn push(&mut self, chunk: Chunk) {
        let number = self.end();
        if chunk.key {
            self.newest_key = Some(number);
            self.cut(number, &chunk);
        }
        self.bytes += chunk.bytes.len();
        self.chunks.push_back(chunk);
        // The stretch that is not complete stays, and the newest ones of a playlist's length.
        let keep = self.stretches.front().map(|stretch| stretch.from);
        let keep = keep.or(self.begun.map(|(from, ..)| from)).unwrap_or(number);
        while self.first < keep || (self.bytes > limits::FEED && self.chunks.len() > 1) {
            self.drop_oldest();
        }
    }

    /// A stretch ends where another begins, if it is long enough.
    fn cut(&mut self, number: u64, chunk: &Chunk) {
        let begin = (number, chunk.pts_us, chunk.captured_at_us);
        let Some((from, start_us, captured_at_us)) = self.begun else {
            self.begun = Some(begin);
            return;
        };
        let duration_us = chunk.pts_us.saturating_sub(start_us);
        if duration_us < limits::SEGMENT_US {
            return;
        }
        self.begun = Some(begin);
        let stretch =
            Stretch { number: self.next_stretch, from, to: number, duration_us, captured_at_us };
        self.next_stretch += 1;
        // What was dropped for its size cannot be offered.
        if from >= self.first {
            self.stretches.push_back(stretch);
        }
        // One more than is named: it may be asked for by who read the playlist before.
        while self.stretches.len() > limits::PLAYLIST + 1 {
            self.stretches.pop_front();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(chunk) = self.chunks.pop_front() else { return };
        self.bytes -= chunk.bytes.len();
        self.first += 1;
        if self.stretches.front().is_some_and(|stretch| stretch.from < self.first) {
            self.stretches.pop_front();
        }
    }

    /// The chunk of that number, if it is there.
    pub(crate) fn get(&self, number: u64) -> Option<&Chunk> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.chunks.get(index)
    }

    /// Where a viewer begins: `None` until there is a key frame.
    pub(crate) fn entry(&self) -> Option<u64> {
        self.newest_key.filter(|number| *number >= self.first)
    }

    /// Where a viewer goes on that would go on at `next`: there, or at the newest key frame if it is
    /// too far behind or has missed what is gone.
    pub(crate) fn follow(&self, next: u64) -> u64 {
        let Some(key) = self.entry() else { return next.max(self.first) };
        if next < self.first {
            return key;
        }
        let time = |number| self.get(number).map(|chunk: &Chunk| chunk.pts_us);
        let newest = self.chunks.back().map(|chunk| chunk.pts_us);
        match (time(next), newest) {
            (Some(at), Some(newest)) if key > next && newest - at > limits::LAG_US => key,
            _ => next,
        }
    }

    /// The chunks of a stretch.
    pub(crate) fn stretch(&self, number: u64) -> Option<Vec<Bytes>> {
        let stretch = self.stretches.iter().find(|stretch| stretch.number == number)?;
        let chunks = (stretch.from..stretch.to).filter_map(|number| self.get(number));
        Some(chunks.filter(|chunk| chunk.fragment).map(Chunk::payload).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(pts_us: i64, key: bool, size: usize) -> Chunk {
        let kind = ItemKind::Fragment;
        let payload = Bytes::from(vec![7; size]);
        Chunk::new(&Item { kind, key, pts_us, captured_at_us: 5, payload })
    }

    /// Pictures of 25 a second, every `gop`th a key frame.
    fn filled(pictures: i64, gop: i64, size: usize) -> Ring {
        let mut ring = Ring::default();
        (0..pictures).for_each(|i| ring.push(chunk(i * 40_000, i % gop == 0, size)));
        ring
    }

    #[test]
    fn a_viewer_begins_at_the_newest_key_frame_and_keeps_its_place() {
        let ring = filled(140, 50, 10);
        assert_eq!(ring.entry(), Some(100));
        assert_eq!(ring.follow(100), 100);
        assert_eq!(ring.follow(140), 140, "who has all waits");
        assert_eq!(ring.follow(95), 95, "a little behind is no reason to jump");
        assert_eq!(ring.follow(80), 100, "two seconds are");
    }

    #[test]
    fn a_playlist_names_whole_stretches_and_what_it_named_before_is_still_there() {
        let ring = filled(1_000, 50, 10);
        assert_eq!(ring.stretches.len(), limits::PLAYLIST + 1);
        let newest = ring.stretches.back().expect("some");
        assert_eq!((newest.number, newest.duration_us, newest.to), (18, 2_000_000, 950));
        let chunks = ring.stretch(newest.number).expect("there");
        assert_eq!((chunks.len(), chunks[0].len()), (50, 10));
        assert!(ring.stretch(19).is_none(), "not complete");
        let oldest = ring.stretches.front().expect("some");
        assert!(ring.get(oldest.from).is_some() && ring.get(oldest.from - 1).is_none());
    }

    #[test]
    fn key_frames_all_over_are_no_stretch_each() {
        let ring = filled(100, 1, 10);
        assert!(ring.stretches.iter().all(|stretch| stretch.duration_us == 1_000_000));
    }

    #[test]
    fn large_pictures_push_old_ones_out() {
        let ring = filled(100, 1_000, 1 << 20);
        assert!(ring.bytes <= limits::FEED);
        assert_eq!(ring.entry(), None, "its key frame is gone: nobody can begin");
        assert_eq!(ring.end(), 100);
    }

    #[test]
    fn another_beginning_forgets_what_was() {
        let mut ring = filled(100, 50, 10);
        ring.start(Header {
            epoch: 1,
            bytes: Header::prefixed(b"x"),
            mime: String::new(),
            apart: false,
            size: None,
            summary: String::new(),
            title: String::new(),
        });
        assert_eq!((ring.entry(), ring.end()), (None, 100));
        assert_eq!(ring.follow(50), 100);
        ring.push(chunk(0, true, 10));
        assert_eq!(ring.entry(), Some(100));
    }
}
