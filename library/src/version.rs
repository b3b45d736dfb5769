//! One state of a movie's file: looked through when its turn comes, or converted first when somebody
//! wants it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use media::demux::{Movie, Way};
use media::segment::{self, Conversion, Plan, Segmented};
use media::subtitle::Found;
use proto::Track;
use relay::Missing;
use tempfile::TempPath;
use tokio::sync::{OnceCell, watch};

use crate::Shared;
use crate::tree::Stamp;

/// Converted movies on disk, bytes; what was opened the longest ago goes, and is converted again if it
/// is wanted again.
const MOST_CONVERTED: u64 = 32 << 30;
/// What failed is not tried again before so long.
const PAUSE: Duration = Duration::from_secs(10);

/// A file as it was at some moment.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) path: PathBuf,
    pub(crate) stamp: Stamp,
    pub(crate) tracks: Vec<Track>,
    pub(crate) duration_us: Option<u64>,
    /// It cannot go as it is.
    pub(crate) converts: bool,
    /// Subtitles that are in it.
    pub(crate) within: OnceCell<Vec<Found>>,
    phase: watch::Sender<Phase>,
}

/// How far it is.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// Nobody has looked through it.
    New,
    /// Somebody does, or waits for a turn.
    Making(Arc<Conversion>),
    /// It can be watched.
    Ready(Arc<Ready>),
    /// It cannot, and since when.
    Failed(Missing, Instant),
}

/// What a movie is watched from.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) plan: Arc<Plan>,
    /// The file itself, or what it was converted into.
    file: PathBuf,
    /// Removed with the last who uses it.
    _converted: Option<TempPath>,
}

impl Version {
    /// Of a movie that has just been opened.
    pub(crate) fn new(path: PathBuf, stamp: Stamp, movie: &Movie) -> Arc<Self> {
        Arc::new(Self {
            path,
            stamp,
            tracks: movie.tracks().to_vec(),
            duration_us: movie.duration_us(),
            converts: movie.way() != &Way::PassThrough,
            within: OnceCell::new(),
            phase: watch::Sender::new(Phase::New),
        })
    }

    /// How far it is, now and from now on.
    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// What it is watched from, if it can be by now.
    pub(crate) fn ready(&self) -> Option<Arc<Ready>> {
        match &*self.phase.borrow() {
            Phase::Ready(ready) => Some(ready.clone()),
            _ => None,
        }
    }

    /// Whether nobody has looked through it.
    pub(crate) fn is_new(&self) -> bool {
        matches!(&*self.phase.borrow(), Phase::New)
    }

    /// Whether it is the caller who has to make it ready.
    pub(crate) fn begin(&self) -> bool {
        self.phase.send_if_modified(|phase| {
            let idle = match phase {
                Phase::New => true,
                Phase::Failed(_, since) => since.elapsed() > PAUSE,
                Phase::Making(_) | Phase::Ready(_) => false,
            };
            if idle {
                *phase = Phase::Making(Arc::default());
            }
            idle
        })
    }

    /// Makes it ready, when it is its turn. To be called by who was told to [`Version::begin`].
    pub(crate) async fn make(self: &Arc<Self>, shared: &Arc<Shared>) {
        let turn = if self.converts { &shared.converting } else { &shared.looking };
        // Never closed.
        let _turn = turn.acquire().await;
        let (version, with) = (self.clone(), shared.clone());
        let made = tokio::task::spawn_blocking(move || version.look(&with)).await;
        let stopped = || Missing::Later("it was not looked through to its end".to_owned());
        let phase = match made.unwrap_or_else(|_| Err(stopped())) {
            Ok(ready) => {
                if ready._converted.is_some() {
                    shared.converted.keep(self, &ready);
                }
                Phase::Ready(Arc::new(ready))
            }
            Err(missing) => Phase::Failed(missing, Instant::now()),
        };
        self.phase.send_replace(phase);
    }

    /// Forgets what it was converted into.
    fn forget(&self) {
        self.phase.send_replace(Phase::New);
    }

    /// What to say to who waited in vain.
    pub(crate) fn progress(&self) -> Missing {
        let phase = self.phase.borrow();
        let Phase::Making(conversion) = &*phase else {
            return Missing::Later("it is being opened; ask again in a moment".to_owned());
        };
        let percent = self.duration_us.map(|us| conversion.done_us() * 100 / us.max(1));
        Missing::Later(match percent {
            _ if !self.converts => "it is being looked through; ask again in a moment".to_owned(),
            Some(percent @ 1..) => {
                format!("it is being converted, {}% is done; ask again later", percent.min(99))
            }
            _ => "it is being converted; ask again later".to_owned(),
        })
    }

    /// Looks through the file, or through what it is converted into.
    fn look(&self, shared: &Shared) -> Result<Ready, Missing> {
        let gone = |at: &Path, error| Missing::Gone(self.said(at, &error));
        let mut movie = Movie::open(&self.path).map_err(|error| gone(&self.path, error))?;
        let (file, converted) = if self.converts {
            let converted = self.convert(&mut movie, shared)?;
            movie = Movie::open(&converted).map_err(|error| gone(&converted, error))?;
            (converted.to_path_buf(), Some(converted))
        } else {
            (self.path.clone(), None)
        };
        let source = converted.is_some().then_some(self.path.as_path());
        let plan = Plan::new(&mut movie, &file, source).map_err(|error| gone(&file, error))?;
        self.check()?;
        Ok(Ready { plan: Arc::new(plan), file, _converted: converted })
    }

    fn convert(&self, movie: &mut Movie, shared: &Shared) -> Result<TempPath, Missing> {
        let Phase::Making(conversion) = self.phase.borrow().clone() else {
            return Err(Missing::Later("it is not wanted any more".to_owned()));
        };
        let Some(to) = shared.converted.place(shared) else {
            return Err(Missing::Later("the server is being shut down".to_owned()));
        };
        shared.converted.start(&conversion);
        match segment::convert(movie, &to, &conversion) {
            Ok(()) => Ok(to),
            Err(error) => Err(Missing::Later(self.said(&to, &error))),
        }
    }

    /// What went wrong with the file `at`, for viewers: they need not know where it lies.
    fn said(&self, at: &Path, error: &dyn std::error::Error) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        error.to_string().replace(&at.display().to_string(), &name)
    }

    /// Whether the file is still what it was.
    fn check(&self) -> Result<(), Missing> {
        match Stamp::of(&self.path) {
            Ok(stamp) if stamp == self.stamp => Ok(()),
            _ => Err(Missing::Gone("the file has changed since; open it again".to_owned())),
        }
    }

    /// Reads something, with a file that is at `segment` if there is one.
    pub(crate) fn read<T>(
        &self,
        ready: &Ready,
        shared: &Shared,
        segment: usize,
        read: impl FnOnce(&mut Segmented) -> Result<T, media::demux::Error>,
    ) -> Result<T, Missing> {
        let failed = |error: media::demux::Error| {
            // What could not be read since the file is another one by now is gone for good.
            self.check().err().unwrap_or_else(|| Missing::Later(self.said(&ready.file, &error)))
        };
        let mut reader = shared.readers.take(&ready.file, &ready.plan, segment).map_err(failed)?;
        let what = read(&mut reader).map_err(failed)?;
        // Looked at after reading: nothing of a file that is being changed goes out.
        self.check()?;
        shared.readers.put_back(reader);
        Ok(what)
    }
}

/// What was converted and is kept, and what is being converted.
#[derive(Debug, Default)]
pub(crate) struct Converted {
    kept: Mutex<Vec<Kept>>,
    running: Mutex<Weak<Conversion>>,
    /// Names files.
    count: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    version: Weak<Version>,
    bytes: u64,
    opened: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Converted {
    /// Where the next one goes; `None` if the library has ended.
    fn place(&self, shared: &Shared) -> Option<TempPath> {
        let work = lock(&shared.work);
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let path = work.as_ref()?.path().join(format!("{number}.mkv"));
        TempPath::try_from_path(path).ok()
    }

    fn start(&self, conversion: &Arc<Conversion>) {
        *lock(&self.running) = Arc::downgrade(conversion);
    }

    /// Ends the one that is running.
    pub(crate) fn stop(&self) {
        if let Some(conversion) = lock(&self.running).upgrade() {
            conversion.stop();
        }
    }

    /// Somebody opened it.
    pub(crate) fn touch(&self, version: &Arc<Version>) {
        let mut kept = lock(&self.kept);
        let ours = |kept: &&mut Kept| std::ptr::eq(kept.version.as_ptr(), Arc::as_ptr(version));
        if let Some(kept) = kept.iter_mut().find(ours) {
            kept.opened = Instant::now();
        }
    }

    /// Keeps another one, and forgets the oldest of the others where there is too much.
    fn keep(&self, version: &Arc<Version>, ready: &Ready) {
        let bytes = std::fs::metadata(&ready.file).map_or(0, |metadata| metadata.len());
        let mut kept = lock(&self.kept);
        kept.retain(|kept| kept.version.strong_count() > 0);
        let mut sum = bytes + kept.iter().map(|kept| kept.bytes).sum::<u64>();
        kept.sort_by_key(|kept| kept.opened);
        while sum > MOST_CONVERTED && !kept.is_empty() {
            let oldest = kept.remove(0);
            sum -= oldest.bytes;
            if let Some(version) = oldest.version.upgrade() {
                version.forget();
            }
        }
        let version = Arc::downgrade(version);
        kept.push(Kept { version, bytes, opened: Instant::now() });
    }
}
