//! What came from origins, on a disk: a folder a recording, a file a segment.
//!
//! ```text
//! file    the format: head, body, digest; written beside and renamed
//! shelf   the folder of one recording
//! growth  what was added to an index that grows
//! room    how much there may be: what was not wanted for longest goes
//! ```
//!
//! Nothing is served that was not verified: a file is hashed when it is first wanted, and again when
//! it looks changed or was not looked at for a while. What is damaged is removed, and comes again from
//! the origin.

pub mod file;
mod growth;
mod room;
pub mod shelf;

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use proto::StreamInfo;
use proto::recording::{Digest, Index, RecordingId};
use proto::subtitle::SubtitleTrack;
use relay::{Keep, Piece};

use room::Room;
use shelf::Shelf;

/// What was verified is believed for so long, if it looks the same.
const BELIEVED: Duration = Duration::from_secs(600);
/// Most files of which is known that they were verified: beyond that they are verified again.
const KNOWN: usize = 200_000;

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be made or read.
    #[error("the cache folder {path} cannot be used: {error}; --cache-dir names another")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another process writes there.
    #[error(
        "the cache folder {0} is in use by a running cache-server: end that first, or name another \
         folder with --cache-dir"
    )]
    InUse(PathBuf),
}

/// A cache folder in use. See the module.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    /// Held as long as we write; `None` where we may only read.
    lock: Option<File>,
    state: Mutex<State>,
    room: Arc<Room>,
    /// Distinguishes files that are being written.
    written: AtomicU64,
    /// A disk that takes nothing was complained of.
    complained: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    verified: HashMap<(RecordingId, u64), Verified>,
}

/// How a file looked when it was whole.
#[derive(Clone, Copy, Debug)]
struct Verified {
    looks: Looks,
    digest: Digest,
    at: Instant,
}

/// Length, time of change, and identity of a file.
type Looks = (u64, Option<SystemTime>, u64);

/// How no file looks that could be believed.
const LIKE_NONE: Looks = (0, None, 0);

fn looks(file: &File) -> io::Result<Looks> {
    let metadata = file.metadata()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Ok((metadata.len(), metadata.modified().ok(), inode))
}

impl Store {
    /// Uses `folder`, which is made if it is not there, for up to `most` bytes.
    ///
    /// # Errors
    /// See [`Error`]. A folder that may only be read is used for reading.
    pub fn open(folder: &Path, most: u64) -> Result<Arc<Self>, Error> {
        let failed = |error| Error::Folder { path: folder.to_owned(), error };
        std::fs::create_dir_all(folder).map_err(failed)?;
        std::fs::read_dir(folder).map_err(failed)?;
        let lock = match File::create(folder.join("lock")) {
            Ok(file) => match file.try_lock() {
                Ok(()) => Some(file),
                Err(TryLockError::WouldBlock) => return Err(Error::InUse(folder.to_owned())),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            },
            Err(error) => {
                tracing::warn!(
                    "{} cannot be written to ({error}): what is there is served, nothing is added",
                    folder.display()
                );
                None
            }
        };
        let store = Arc::new(Self {
            folder: folder.to_owned(),
            lock,
            state: Mutex::default(),
            room: Arc::new(Room::new(most)),
            written: AtomicU64::new(0),
            complained: AtomicBool::new(false),
        });
        store.clear_left_over();
        let counting = store.clone();
        let opened = SystemTime::now();
        // Counting takes longer the more there is; serving does not wait for it.
        let counting = std::thread::Builder::new()
            .name("count".to_owned())
            .spawn(move || counting.count(opened));
        counting.map_err(failed)?;
        Ok(store)
    }

    /// The folder of one recording.
    #[must_use]
    pub fn shelf(&self, id: RecordingId) -> Shelf {
        Shelf::new(&self.folder, id)
    }

    /// Tails of live streams go with their process. One that was killed left them: nothing says any
    /// more what they are.
    fn clear_left_over(&self) {
        let left = shelf::all(&self.folder).filter(Shelf::is_left_over);
        for shelf in left.filter(|_| self.lock.is_some()) {
            tracing::info!("{} is of nothing any more: removed", shelf.id());
            self.forget(shelf.id());
        }
    }

    /// Finds out how much there is, and clears away what was being written when a process died.
    fn count(&self, opened: SystemTime) {
        for shelf in shelf::all(&self.folder) {
            if self.lock.is_some() {
                shelf.clear_unfinished();
            }
            self.room.found(shelf.id(), shelf.bytes_before(opened), shelf.last_used());
        }
        self.room.counted();
        self.make_room();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Throws away what was not wanted for longest until all fits.
    fn make_room(&self) {
        while self.lock.is_some()
            && let Some(id) = self.room.too_much()
        {
            tracing::info!("no room left: {id} makes way, it was not wanted for longest");
            self.forget(id);
        }
    }

    /// Removes a recording.
    fn forget(&self, id: RecordingId) {
        if let Err(error) = self.shelf(id).remove() {
            tracing::warn!("{id} cannot be removed: {error}");
        }
        self.room.removed(id);
        self.state().verified.retain(|(there, _), _| *there != id);
    }

    /// Believes a file if it was verified and looks as it did then.
    fn believe(
        &self,
        id: RecordingId,
        number: u64,
        file: &mut File,
    ) -> Result<Digest, file::Damage> {
        let looks = looks(file)?;
        let known = self.state().verified.get(&(id, number)).copied();
        if let Some(known) = known
            && known.looks == looks
            && known.at.elapsed() < BELIEVED
        {
            return Ok(known.digest);
        }
        let head = file::look(file, file::SEGMENT, id, number)?;
        let whole = file::verify(file, &head);
        // What it was to be is known all the same: when it comes again, it is compared.
        let looks = if whole.is_ok() { looks } else { LIKE_NONE };
        self.verified(id, number, looks, head.digest);
        whole.map(|()| head.digest)
    }

    fn verified(&self, id: RecordingId, number: u64, looks: Looks, digest: Digest) {
        let mut state = self.state();
        if state.verified.len() >= KNOWN {
            state.verified.clear();
        }
        state.verified.insert((id, number), Verified { looks, digest, at: Instant::now() });
    }

    fn read(&self, id: RecordingId, number: u64) -> Result<Arc<Piece>, file::Damage> {
        let mut file = File::open(self.shelf(id).segment(number))?;
        let digest = self.believe(id, number, &mut file)?;
        let bytes = file.metadata()?.len().saturating_sub(file::HEAD);
        Ok(Arc::new(Piece::in_file(file, file::HEAD, bytes, digest)?))
    }

    fn write(&self, id: RecordingId, number: u64, digest: Digest, body: &[u8]) -> io::Result<()> {
        if self.lock.is_none() {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        self.room.expects(id, file::HEAD + body.len() as u64);
        self.make_room();
        let shelf = self.shelf(id);
        let bytes = u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let head = file::Head { kind: file::SEGMENT, id, number, bytes, digest };
        let count = self.written.fetch_add(1, Ordering::Relaxed);
        let written = shelf
            .make()
            .and_then(|()| file::write(&shelf.segment(number), &shelf.beside(count), &head, body));
        if written.is_err() {
            self.room.expected(id, file::HEAD + body.len() as u64);
        }
        written
    }

    /// Other bytes than before under the same number: what was kept is not what the origin has.
    fn compare(&self, id: RecordingId, number: u64, digest: Digest) {
        let known = self.state().verified.get(&(id, number)).map(|known| known.digest);
        if known.is_some_and(|known| known != digest) {
            tracing::warn!(
                "segment {number} of {id} came with other bytes than before: all of it is fetched anew"
            );
            self.forget(id);
        }
    }

    /// Writes what lies beside the segments of a recording. Only what somebody wanted has a place here.
    fn put_beside(
        &self,
        id: RecordingId,
        bytes: usize,
        write: impl FnOnce(&Shelf, u64) -> io::Result<()>,
    ) {
        let shelf = self.shelf(id);
        if self.lock.is_none() || !shelf.is_there() {
            return;
        }
        let bytes = file::HEAD + bytes as u64;
        self.room.expects(id, bytes);
        self.make_room();
        let count = self.written.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = write(&shelf, count) {
            self.room.expected(id, bytes);
            self.complain(&error);
        }
    }

    /// Said once, until it works again.
    fn complain(&self, error: &io::Error) {
        if !self.complained.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "{} takes nothing ({error}): what comes is passed on and not kept",
                self.folder.display()
            );
        }
    }
}

impl Keep for Store {
    fn remembered(&self, origin: &str) -> Vec<StreamInfo> {
        let of_origin = |shelf: Shelf| {
            let about = shelf.about();
            about.into_iter().filter(|about| about.origin == origin).map(|about| about.stream)
        };
        shelf::all(&self.folder).flat_map(of_origin).collect()
    }

    fn remember(&self, origin: &str, info: &StreamInfo) {
        let Some(recording) = info.recording.filter(|_| self.lock.is_some()) else { return };
        let shelf = self.shelf(recording.id);
        // Only what somebody wanted has a place here.
        if shelf.is_there()
            && let Err(error) = shelf.remember(origin, info)
        {
            self.complain(&error);
        }
    }

    fn index(&self, id: RecordingId) -> Option<Index> {
        match self.shelf(id).index() {
            Ok(index) => Some(index),
            Err(damage) if damage.is_absence() => None,
            Err(damage) => {
                tracing::warn!("the index of {id} is not used: {damage}");
                None
            }
        }
    }

    fn put_index(&self, index: &Index) {
        if self.lock.is_none() {
            return;
        }
        let count = self.written.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.shelf(index.id).put_index(index, count) {
            self.complain(&error);
        }
    }

    fn subtitles(&self, id: RecordingId) -> Option<Vec<SubtitleTrack>> {
        self.shelf(id).subtitles().ok()
    }

    fn put_subtitles(&self, id: RecordingId, tracks: &[SubtitleTrack]) {
        // Most have none: that needs no file.
        if tracks.is_empty() && self.shelf(id).subtitles().is_err() {
            return;
        }
        self.put_beside(id, 0, |shelf, count| shelf.put_subtitles(tracks, count));
    }

    fn subtitle(&self, id: RecordingId, key: u64) -> Option<Bytes> {
        self.shelf(id).subtitle(key).ok()
    }

    fn put_subtitle(&self, id: RecordingId, key: u64, vtt: &[u8]) {
        self.put_beside(id, vtt.len(), |shelf, count| shelf.put_subtitle(key, vtt, count));
    }

    fn poster(&self, id: RecordingId) -> Option<Bytes> {
        self.shelf(id).poster().ok()
    }

    fn put_poster(&self, id: RecordingId, jpeg: &[u8]) {
        self.put_beside(id, jpeg.len(), |shelf, count| shelf.put_poster(jpeg, count));
    }

    fn segment(&self, id: RecordingId, number: u64) -> Option<Arc<Piece>> {
        match self.read(id, number) {
            Ok(piece) => Some(piece),
            Err(damage) if damage.is_absence() => None,
            Err(damage) => {
                tracing::warn!("segment {number} of {id} is fetched again: {damage}");
                if self.lock.is_some() {
                    // It must not be counted, nor found again.
                    let _ = std::fs::remove_file(self.shelf(id).segment(number));
                }
                None
            }
        }
    }

    fn put_segment(
        &self,
        id: RecordingId,
        number: u64,
        digest: Digest,
        bytes: Bytes,
    ) -> io::Result<Arc<Piece>> {
        self.compare(id, number, digest);
        match self.write(id, number, digest, &bytes) {
            Ok(()) => {
                self.complained.store(false, Ordering::Relaxed);
                let file = File::open(self.shelf(id).segment(number))?;
                self.verified(id, number, looks(&file)?, digest);
                let length = bytes.len() as u64;
                Ok(Arc::new(Piece::in_file(file, file::HEAD, length, digest)?))
            }
            Err(error) => {
                self.complain(&error);
                Ok(Arc::new(Piece::in_memory(bytes)?))
            }
        }
    }

    fn remove_segment(&self, id: RecordingId, number: u64) {
        let path = self.shelf(id).segment(number);
        let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if self.lock.is_some() && std::fs::remove_file(path).is_ok() {
            self.room.expected(id, bytes);
        }
        self.state().verified.remove(&(id, number));
    }

    fn remove(&self, id: RecordingId) {
        if self.lock.is_some() {
            self.forget(id);
        }
    }

    fn hold(&self, id: RecordingId) -> Box<dyn Send + Sync> {
        if self.lock.is_some() {
            self.shelf(id).used();
        }
        Box::new(self.room.hold(id))
    }
}
