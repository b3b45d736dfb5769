//! A Matroska file taken up in its middle: what stands before its first cluster, then the clusters
//! from some later one on. symphonia reads that as it reads a pipe.

use std::io::{self, Read, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

use super::matroska;

/// How a cluster begins (RFC 9559 §5.1.3).
const CLUSTER: [u8; 4] = [0x1f, 0x43, 0xb6, 0x75];
/// Longest size field, bytes.
const SIZE_FIELD: usize = 8;
/// First bytes of what may come first in a cluster: its timestamp, a checksum, padding, its
/// position or the size of the one before.
const FIRST: [u8; 5] = [0xe7, 0xbf, 0xec, 0xa7, 0xab];
/// Searched at a time, bytes.
const STEP: u64 = 1 << 20;
/// Searched in all, bytes: no cluster is so large.
const MOST_SEARCHED: u64 = 64 << 20;

/// The head of a file and the tail that follows it.
pub(super) struct Tail {
    bytes: Box<dyn MediaSource>,
    /// What is left of the head, bytes.
    head: u64,
    /// Where the tail begins in the file.
    from: u64,
}

/// The file from its last cluster that begins before byte `near`; `None` if there is none but the
/// first, for which nothing need be left out.
pub(super) fn from_before(mut bytes: Box<dyn MediaSource>, near: u64) -> io::Result<Option<Tail>> {
    let Some(head) = matroska::first_cluster(&mut *bytes)? else { return Ok(None) };
    let Some(from) = last_before(&mut *bytes, head, near)? else { return Ok(None) };
    bytes.rewind()?;
    Ok(Some(Tail { bytes, head, from }))
}

/// Searches backwards from `near` for what looks like the start of a cluster, behind `first`.
fn last_before(bytes: &mut dyn MediaSource, first: u64, near: u64) -> io::Result<Option<u64>> {
    let overlap = CLUSTER.len() + SIZE_FIELD + 1;
    let floor = near.saturating_sub(MOST_SEARCHED).max(first + 1);
    let mut end = near;
    let mut window = Vec::new();
    while end > floor {
        let start = end.saturating_sub(STEP).max(floor);
        bytes.seek(SeekFrom::Start(start))?;
        window.clear();
        (&mut *bytes).take(end - start + overlap as u64).read_to_end(&mut window)?;
        let within = usize::try_from(end - start).unwrap_or(0).min(window.len());
        if let Some(at) = (0..within).rev().find(|&at| is_cluster(&window[at..])) {
            return Ok(Some(start + at as u64));
        }
        end = start;
    }
    Ok(None)
}

fn is_cluster(bytes: &[u8]) -> bool {
    let Some([size, rest @ ..]) = bytes.strip_prefix(&CLUSTER) else { return false };
    let length = size.leading_zeros() as usize;
    length < SIZE_FIELD && rest.get(length).is_some_and(|first| FIRST.contains(first))
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.head == 0 {
            return self.bytes.read(buffer);
        }
        let most = usize::try_from(self.head).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.bytes.read(&mut buffer[..most])?;
        self.head -= count as u64;
        if self.head == 0 {
            self.bytes.seek(SeekFrom::Start(self.from))?;
        }
        Ok(count)
    }
}

impl Seek for Tail {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::NotSeekable.into())
    }
}

impl MediaSource for Tail {
    fn is_seekable(&self) -> bool {
        false
    }

    fn byte_len(&self) -> Option<u64> {
        None
    }
}
