//! A folder of movies, each of them a recording: watched from any point, by each viewer on its own.
//!
//! ```text
//! keeper    a thread that looks at the folder: what came, went, or changed
//! tree      the movies below a folder
//! title     one movie as a recording: its index, its segments, its poster
//! subtitles texts beside a movie and within it
//! version   one state of a movie's file: looked through, or converted first
//! readers   open files, at most so many
//! shelf     what was made once and may be wanted again, at most so many bytes
//! names     names of streams from those of files
//! films     movies that people add: what arrives, is made ready, and belongs to them
//! bell      wakes the keeper
//! ```
//!
//! A movie is looked through once; what cannot go as it is is converted when somebody first wants it.

mod bell;
pub mod films;
mod keeper;
mod names;
mod readers;
mod shelf;
mod subtitles;
mod title;
mod tree;
mod version;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use proto::recording::RecordingId;
use relay::{Node, Piece};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use keeper::Keeper;
pub use names::stream_name;
use readers::Readers;
use shelf::Shelf;
use version::Converted;

/// Segments kept in memory for whoever watches the same, bytes.
const PIECES: u64 = 64 << 20;
/// And how many: each is a file in memory, and has a descriptor.
const MOST_PIECES: usize = 512;
/// Posters kept in memory, bytes.
const POSTERS: u64 = 16 << 20;
/// And how many.
const MOST_POSTERS: usize = proto::limits::STREAMS;
/// Texts of subtitles kept in memory, bytes.
const TEXTS: u64 = 16 << 20;
/// And how many.
const MOST_TEXTS: usize = 256;
/// Segments and posters made at a time: each may hold twice 16 MiB.
const MAKERS: usize = 4;
/// Files looked through at a time: what a viewer waits for need not wait for what nobody does.
const LOOKERS: usize = 2;

/// Which folder, and how it is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder with the movies.
    pub folder: PathBuf,
    /// Where converted movies go; `None` is the system's folder for temporary files.
    pub work: Option<PathBuf>,
    /// How often the folder is looked at.
    pub every: Duration,
}

/// Why a folder cannot be a library.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be looked into.
    #[error("{}: {source}; give --library a folder that this user may read", folder.display())]
    Folder {
        /// As it was given.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The system is out of threads.
    #[error("the system does not let the library start: {0}")]
    System(#[from] std::io::Error),
    /// Not a folder.
    #[error("{} is not a folder; serve a single movie with --file", folder.display())]
    NotAFolder {
        /// As it was given.
        folder: PathBuf,
    },
    /// Nothing can be converted.
    #[error("{}: {source}; give --work-dir a folder that this user may write to", folder.display())]
    Work {
        /// Where converted movies should go.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// A library that is served. Dropping it ends what it does and removes what it converted.
#[derive(Debug)]
pub struct Library {
    shared: Arc<Shared>,
    keeper: JoinHandle<()>,
}

/// What all movies of a library share.
#[derive(Debug)]
struct Shared {
    runtime: Handle,
    pieces: Shelf<(RecordingId, u64), Arc<Piece>>,
    posters: Shelf<RecordingId, Bytes>,
    texts: Shelf<u64, Bytes>,
    readers: Readers,
    making: Semaphore,
    looking: Semaphore,
    texting: Semaphore,
    /// One conversion at a time: each takes all processors.
    converting: Semaphore,
    converted: Converted,
    /// Where converted movies are; `None` once the library has ended.
    work: Mutex<Option<TempDir>>,
    /// A viewer waits this long for a movie to open.
    patience: Duration,
}

impl Library {
    /// Starts to look through the folder and to offer its movies; returns at once. `films`: those that
    /// people add to it. Ends when `stop` turns true, or when it is dropped.
    ///
    /// # Errors
    /// An [`Error`] if there is no such folder, or nowhere to work.
    pub fn start(
        settings: Settings,
        films: Option<films::Films>,
        node: &Node,
        stop: watch::Receiver<bool>,
        runtime: &Handle,
    ) -> Result<Self, Error> {
        check(&settings.folder)?;
        // Room for the node to say what this says in time.
        let patience = node.limits().start.mul_f32(0.9);
        let shared = Shared::new(settings.work.as_deref(), patience, runtime)?;
        let mut keeper = Keeper::new(settings, films, node.clone(), shared.clone());
        let thread = std::thread::Builder::new().name("library".to_owned());
        let keeper = thread.spawn(move || keeper.keep(&stop))?;
        Ok(Self { shared, keeper })
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.keeper.is_finished()
    }
}

impl Shared {
    fn new(work: Option<&Path>, patience: Duration, runtime: &Handle) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            runtime: runtime.clone(),
            pieces: Shelf::new(PIECES, MOST_PIECES),
            posters: Shelf::new(POSTERS, MOST_POSTERS),
            texts: Shelf::new(TEXTS, MOST_TEXTS),
            readers: Readers::default(),
            making: Semaphore::new(MAKERS),
            looking: Semaphore::new(LOOKERS),
            texting: Semaphore::new(1),
            converting: Semaphore::new(1),
            converted: Converted::default(),
            work: Mutex::new(Some(work_folder(work)?)),
            patience,
        }))
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        self.shared.converted.stop();
        // What cannot be removed is left to the system's own tidying.
        drop(self.shared.work.lock().unwrap_or_else(|e| e.into_inner()).take());
    }
}

fn check(folder: &Path) -> Result<(), Error> {
    let of_io = |source| Error::Folder { folder: folder.to_owned(), source };
    if !std::fs::metadata(folder).map_err(of_io)?.is_dir() {
        return Err(Error::NotAFolder { folder: folder.to_owned() });
    }
    std::fs::read_dir(folder).map(drop).map_err(of_io)
}

fn work_folder(wish: Option<&Path>) -> Result<TempDir, Error> {
    let folder = wish.map_or_else(std::env::temp_dir, Path::to_owned);
    let made = tempfile::Builder::new().prefix("instep-library-").tempdir_in(&folder);
    made.map_err(|source| Error::Work { folder, source })
}
