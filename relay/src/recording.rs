//! What can be watched from any point: segments by number, wherever they come from.
//!
//! A [`Recording`] stands behind a stream of the catalogue ([`crate::Source::set_recording`]) and is
//! asked for one segment at a time: a library makes it from a movie, a cache takes it from its disk
//! or from an origin. Viewers ask; nothing is made that nobody asked for.

use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use proto::StreamInfo;
use proto::recording::{Digest, Index, RecordingId, RecordingInfo};
use proto::subtitle::SubtitleTrack;
use tokio::sync::watch;

use crate::store::Store;

/// A segment that is on its way.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Arc<Piece>, Missing>> + Send + 'a>>;

/// Something that comes in its time.
pub type Coming<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that is watched from any point. Cheap to ask: it is asked for every viewer.
pub trait Recording: Send + Sync + 'static {
    /// What the catalogue says of it; `None` as long as that is not known.
    fn info(&self) -> Option<RecordingInfo>;

    /// All its segments, now and after each change; `None` until they are known.
    fn index(&self) -> watch::Receiver<Option<Arc<Index>>>;

    /// Somebody wants to watch it: what [`Recording::index`] needs is to be found out. The answer comes
    /// when the index is there or cannot be had.
    fn open(&self) -> Pin<Box<dyn Future<Output = Result<(), Missing>> + Send + '_>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Somebody watches as long as the guard is kept: what is watched is not to be thrown away.
    fn attend(&self) -> Box<dyn Send + Sync> {
        Box::new(())
    }

    /// A segment of the index, whole and verified.
    fn segment(&self, number: u64) -> Answer<'_>;

    /// A JPEG that stands for it, no larger than [`proto::limits::POSTER`]; empty if there is none.
    fn poster(&self) -> Pin<Box<dyn Future<Output = Bytes> + Send + '_>> {
        Box::pin(std::future::ready(Bytes::new()))
    }

    /// Its subtitles, no more than [`proto::limits::SUBTITLES`].
    fn subtitles(&self) -> Coming<'_, Result<Vec<SubtitleTrack>, Missing>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// The text of the subtitles with that key: WebVTT, no larger than [`proto::limits::SUBTITLE`].
    fn subtitle(&self, key: u64) -> Coming<'_, Result<Bytes, Missing>> {
        let none = Missing::Gone(format!("there are no subtitles {key:016x}"));
        Box::pin(std::future::ready(Err(none)))
    }
}

/// Where a relay keeps what came from its origins, so that it is asked for once. All calls may block.
pub trait Keep: Send + Sync + 'static {
    /// What is known of an origin's recordings from earlier: they are offered before it is reached.
    fn remembered(&self, origin: &str) -> Vec<StreamInfo>;

    /// An origin offers this now.
    fn remember(&self, origin: &str, info: &StreamInfo);

    /// The index of a recording, if it is kept.
    fn index(&self, id: RecordingId) -> Option<Index>;

    /// Keeps an index. Of one that is not finished only what was added since the last time is written:
    /// its other segments must not have changed.
    fn put_index(&self, index: &Index);

    /// The picture that stands for a recording, if it is kept.
    fn poster(&self, _id: RecordingId) -> Option<Bytes> {
        None
    }

    /// Keeps the picture of a recording of which something is kept.
    fn put_poster(&self, _id: RecordingId, _jpeg: &[u8]) {}

    /// Which subtitles a recording has, as last heard, if that is kept.
    fn subtitles(&self, _id: RecordingId) -> Option<Vec<SubtitleTrack>> {
        None
    }

    /// Keeps which subtitles there are of a recording of which something is kept; the texts of others
    /// go.
    fn put_subtitles(&self, _id: RecordingId, _tracks: &[SubtitleTrack]) {}

    /// The text of subtitles, if it is kept.
    fn subtitle(&self, _id: RecordingId, _key: u64) -> Option<Bytes> {
        None
    }

    /// Keeps the text of subtitles of a recording of which something is kept.
    fn put_subtitle(&self, _id: RecordingId, _key: u64, _vtt: &[u8]) {}

    /// A segment, if it is kept and whole.
    fn segment(&self, id: RecordingId, number: u64) -> Option<Arc<Piece>>;

    /// Keeps a segment. What cannot be kept (a full disk) is given back in memory all the same.
    ///
    /// # Errors
    /// There is room for it neither here nor there.
    fn put_segment(
        &self,
        id: RecordingId,
        number: u64,
        digest: Digest,
        bytes: Bytes,
    ) -> io::Result<Arc<Piece>>;

    /// Drops a segment that nobody will want any more.
    fn remove_segment(&self, id: RecordingId, number: u64);

    /// Drops all of a recording.
    fn remove(&self, id: RecordingId);

    /// Keeps a recording from being thrown away as long as the guard is kept.
    fn hold(&self, id: RecordingId) -> Box<dyn Send + Sync>;
}

/// Why a segment cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// There is no such segment, or not any more.
    #[error("{0}")]
    Gone(String),
    /// It cannot be had now (an origin is away, a disk fails): asking later may help.
    #[error("{0}")]
    Later(String),
}

/// The bytes of a segment: whole `Packet` messages, and their digest. Never changed.
#[derive(Debug)]
pub struct Piece {
    pub(crate) store: Store,
    pub(crate) offset: u64,
    bytes: u32,
    digest: Digest,
}

impl Piece {
    /// Bytes that were just made, in a file in memory.
    ///
    /// # Errors
    /// The system's, when it has no room; `InvalidInput` for more than
    /// [`proto::limits::SEGMENT`].
    pub fn in_memory(messages: Bytes) -> io::Result<Self> {
        let bytes = fitting(messages.len() as u64)?;
        let digest = Digest::of(&messages);
        let store = Store::create()?;
        store.append(0, messages)?;
        Ok(Self { store, offset: 0, bytes, digest })
    }

    /// A part of a file on a disk, which the caller has verified to have that digest and which
    /// nobody writes to any more.
    ///
    /// # Errors
    /// As [`Piece::in_memory`].
    pub fn in_file(file: File, offset: u64, bytes: u64, digest: Digest) -> io::Result<Self> {
        let bytes = fitting(bytes)?;
        let (store, offset) = Store::of_file(file, offset, bytes)?;
        Ok(Self { store, offset, bytes, digest })
    }

    /// How many bytes it has.
    #[must_use]
    pub fn bytes(&self) -> u32 {
        self.bytes
    }

    /// Of its bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// All its bytes.
    ///
    /// # Errors
    /// The system's.
    pub fn read(&self) -> io::Result<Bytes> {
        let mut whole = Vec::with_capacity(self.bytes as usize);
        while whole.len() < self.bytes as usize {
            let at = self.offset + whole.len() as u64;
            for slice in self.store.read(at, self.bytes as usize - whole.len())? {
                whole.extend_from_slice(&slice);
            }
        }
        Ok(whole.into())
    }
}

fn fitting(bytes: u64) -> io::Result<u32> {
    let fits = |bytes: &u32| *bytes as usize <= proto::limits::SEGMENT;
    u32::try_from(bytes).ok().filter(fits).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "a segment larger than a segment may be")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_of_a_file_is_that_part_of_it() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a");
        std::fs::write(&path, b"headBODYtail").expect("write");
        let file = File::open(&path).expect("open");
        let piece = Piece::in_file(file, 4, 4, Digest::of(b"BODY")).expect("piece");
        assert_eq!(&piece.read().expect("read")[..], b"BODY");
        let same = Piece::in_memory(Bytes::from_static(b"BODY")).expect("piece");
        assert_eq!((same.digest(), same.bytes()), (piece.digest(), piece.bytes()));
        assert_eq!(same.read().expect("read"), piece.read().expect("read"));
    }

    #[test]
    fn what_is_larger_than_a_segment_is_refused() {
        let file = tempfile::tempfile().expect("file");
        let bytes = proto::limits::SEGMENT as u64 + 1;
        assert!(Piece::in_file(file, 0, bytes, Digest::of(b"")).is_err());
    }
}
