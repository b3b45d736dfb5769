//! The bytes of one segment. Written once at its end, never overwritten, dropped whole: pages that
//! the kernel is still sending stay as they are.

use std::io;

use bytes::Bytes;

/// Where a segment's bytes live.
#[derive(Debug)]
pub(crate) enum Store {
    /// A memfd: the kernel sends from its pages without a copy in between.
    #[cfg(target_os = "linux")]
    File(std::fs::File),
    /// Frames in memory, each with the offset of its first byte.
    Memory(std::sync::RwLock<Vec<(u64, Bytes)>>),
}

impl Store {
    /// The best kind this system has.
    pub(crate) fn create() -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        {
            let flags = rustix::fs::MemfdFlags::CLOEXEC;
            Ok(Self::File(rustix::fs::memfd_create("segment", flags)?.into()))
        }
        #[cfg(not(target_os = "linux"))]
        Ok(Self::in_memory())
    }

    /// The portable kind.
    #[cfg_attr(all(target_os = "linux", not(test)), allow(dead_code, reason = "other systems"))]
    pub(crate) fn in_memory() -> Self {
        Self::Memory(std::sync::RwLock::default())
    }

    /// A part of a file that nobody writes to any more, and where in the store it begins.
    pub(crate) fn of_file(
        file: std::fs::File,
        offset: u64,
        length: u32,
    ) -> io::Result<(Self, u64)> {
        #[cfg(target_os = "linux")]
        {
            let _ = length;
            Ok((Self::File(file), offset))
        }
        #[cfg(not(target_os = "linux"))]
        {
            use std::io::{Read, Seek};
            let mut file = file;
            let mut bytes = vec![0; length as usize];
            file.seek(io::SeekFrom::Start(offset))?;
            file.read_exact(&mut bytes)?;
            let store = Self::in_memory();
            store.append(0, bytes.into())?;
            Ok((store, 0))
        }
    }

    /// Writes a frame at `offset`, the end of what was written before.
    pub(crate) fn append(&self, offset: u64, frame: Bytes) -> io::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            Self::File(file) => std::os::unix::fs::FileExt::write_all_at(file, &frame, offset),
            Self::Memory(frames) => {
                let mut frames = frames.write().unwrap_or_else(|e| e.into_inner());
                frames.push((offset, frame));
                Ok(())
            }
        }
    }

    /// Bytes from `offset` on, at most `length`, for outlets that are no sockets of the kernel's.
    pub(crate) fn read(&self, offset: u64, length: usize) -> io::Result<Vec<Bytes>> {
        match self {
            #[cfg(target_os = "linux")]
            Self::File(file) => {
                /// As much as a socket takes at a time.
                const MOST: usize = 64 << 10;
                let mut bytes = vec![0; length.min(MOST)];
                std::os::unix::fs::FileExt::read_exact_at(file, &mut bytes, offset)?;
                Ok(vec![bytes.into()])
            }
            Self::Memory(frames) => {
                let frames = frames.read().unwrap_or_else(|e| e.into_inner());
                Ok(slices(&frames, offset, length))
            }
        }
    }
}

/// Up to 64 slices that cover `offset..offset + length`.
fn slices(frames: &[(u64, Bytes)], offset: u64, mut length: usize) -> Vec<Bytes> {
    const MOST: usize = 64;
    let first = frames.partition_point(|(start, frame)| start + frame.len() as u64 <= offset);
    let mut out = Vec::new();
    for (start, frame) in frames[first..].iter().take(MOST) {
        let from = usize::try_from(offset.saturating_sub(*start)).unwrap_or(usize::MAX);
        let to = frame.len().min(from.saturating_add(length));
        out.push(frame.slice(from..to));
        length -= to - from;
        if length == 0 {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(store: &Store) {
        let mut whole = Vec::new();
        for i in 0..100u8 {
            let frame = Bytes::from(vec![i; usize::from(i) + 1]);
            store.append(whole.len() as u64, frame.clone()).expect("append");
            whole.extend_from_slice(&frame);
        }
        for (offset, length) in [(0, 1), (0, 5050), (7, 2000), (5049, 1), (1234, 777)] {
            let mut got = Vec::new();
            while got.len() < length {
                let at = (offset + got.len()) as u64;
                store.read(at, length - got.len()).expect("read").iter().for_each(|b| {
                    got.extend_from_slice(b);
                });
            }
            assert_eq!(got, whole[offset..offset + length]);
        }
    }

    #[test]
    fn what_was_written_is_read_from_any_place() {
        check(&Store::in_memory());
        check(&Store::create().expect("store"));
    }
}
