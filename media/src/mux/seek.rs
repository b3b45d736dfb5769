//! What makes a file of fragments one that can be read from any point: an index, and fragments of a
//! size that is known before they are made.

use bytes::Bytes;

use super::boxes::{put_box, put_full, put_u16, put_u32, put_u64};

/// A stretch of a file: a fragment, and whatever fills it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Bytes.
    pub bytes: u32,
    /// Microseconds.
    pub duration_us: u32,
    /// It begins with a key frame.
    pub key: bool,
}

/// Most lines of an index: its count has 16 bits.
const MOST: usize = u16::MAX as usize;
/// Largest part: its size has 31 bits.
const LARGEST: u32 = i32::MAX as u32;

/// An index (`sidx`, ISO/IEC 14496-12 §8.16.3) for each track, of so many ticks a second, of the parts
/// that follow them at once, the first of which begins at `start_us` on the clock of the tracks. `None`
/// where there are more parts than an index can name, or larger ones.
///
/// Each track has its own, in ticks of its own: ffmpeg's demuxer looks for sound in the index of the
/// sound, reads all from the beginning where there is none, and takes the index's ticks for the track's.
#[must_use]
pub fn index(timescales: &[u32], start_us: u64, parts: &[Part]) -> Option<Bytes> {
    if parts.len() > MOST || parts.iter().any(|part| part.bytes > LARGEST) {
        return None;
    }
    let bytes = 40 + 12 * parts.len();
    let mut out = Vec::with_capacity(bytes * timescales.len());
    for ((id, timescale), follow) in (1..).zip(timescales).zip((0..timescales.len()).rev()) {
        let ticks = |us: u64| u128::from(us) * u128::from(*timescale) / 1_000_000;
        put_full(&mut out, b"sidx", 1, 0, |out| {
            put_u32(out, id);
            put_u32(out, *timescale);
            put_u64(out, u64::try_from(ticks(start_us)).unwrap_or(u64::MAX));
            // The first part stands behind the other indices.
            put_u64(out, (follow * bytes) as u64);
            put_u16(out, 0);
            put_u16(out, u16::try_from(parts.len()).unwrap_or(0));
            let mut us = start_us;
            for part in parts {
                put_u32(out, part.bytes);
                // From the start, so that what is rounded does not add up.
                let begins = ticks(us);
                us = us.saturating_add(part.duration_us.into());
                put_u32(out, u32::try_from(ticks(us) - begins).unwrap_or(u32::MAX));
                // Starts with a key frame, of type 1; at no distance.
                put_u32(out, if part.key { 0x9000_0000 } else { 0 });
            }
        });
    }
    Some(out.into())
}

/// A box of so many bytes that says nothing, at least 8.
#[must_use]
pub fn padding(bytes: u32) -> Bytes {
    let mut out = Vec::with_capacity(bytes as usize);
    put_box(&mut out, b"free", |out| out.resize((bytes as usize).max(8), 0));
    out.into()
}
