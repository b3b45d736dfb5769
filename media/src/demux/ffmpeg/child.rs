//! The ffmpeg process: its pipe, its last words, and its end.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};

use symphonia::core::io::MediaSource;

use super::{Input, Tools};
use crate::demux::reader::Source;

/// Longest last line that is kept, bytes.
const MOST_SAID: u64 = 400;
/// A child that gives nothing for so long, while it is being read from, is stopped.
const PATIENCE: Duration = Duration::from_secs(30);
/// A child that has closed its output has so long to end, and its last words to come through.
const FAREWELL: Duration = Duration::from_secs(2);
/// How often a child is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Starts ffmpeg anew each time it is opened.
pub(super) struct Ffmpeg {
    program: PathBuf,
    arguments: Vec<OsString>,
    shared: Arc<Shared>,
    stderr: Stderr,
}

/// What outlives each single process.
#[derive(Debug, Default)]
struct Shared {
    current: Mutex<Option<Arc<Process>>>,
    /// Stopped for good: a rewind starts nothing.
    stopped: AtomicBool,
    /// The last process ended by itself, and badly.
    failed: AtomicBool,
}

/// One process, killed and reaped when its pipe is dropped.
#[derive(Debug)]
struct Process(Mutex<Child>);

impl Process {
    fn child(&self) -> MutexGuard<'_, Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does nothing to one that is gone.
    fn kill(&self) {
        let _ = self.child().kill();
    }

    fn end(&self) {
        self.kill();
        // Fails only if there is nothing to wait for.
        let _ = self.child().wait();
    }

    /// Whether one that has closed its pipe ends well; it gets a moment for that.
    fn ends_well(&self) -> bool {
        let deadline = Instant::now() + FAREWELL;
        while Instant::now() < deadline {
            match self.child().try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Err(_) => return false,
            }
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Stops the ffmpeg behind a movie from another thread: a read that waits for it then ends.
#[derive(Clone, Debug, Default)]
pub struct Stopper(Arc<Shared>);

impl Stopper {
    /// Stops it, for good. Does nothing for a movie without ffmpeg, or twice.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Relaxed);
        let current = self.0.current.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(process) = current {
            process.kill();
        }
    }

    /// Whether ffmpeg ended with an error that nobody here caused.
    pub(super) fn failed(&self) -> bool {
        self.0.failed.load(Ordering::Relaxed)
    }
}

impl Ffmpeg {
    pub(super) fn new(tools: &Tools, input: &Input, output: &[String]) -> Self {
        let mut arguments = super::os(&["-nostdin", "-hide_banner", "-loglevel", "error"]);
        arguments.extend(super::os(&["-fflags", "+genpts"]));
        arguments.extend(input.arguments());
        arguments.extend(output.iter().map(OsString::from));
        arguments.extend(super::os(&["-sn", "-dn", "-map_chapters", "-1", "-f", "matroska"]));
        // A cluster is written when it ends: a short one, or live pictures come in bunches.
        arguments.extend(super::os(&["-cluster_time_limit", "40", "-flush_packets", "1"]));
        arguments.push("pipe:1".into());
        Self {
            program: tools.ffmpeg.clone(),
            arguments,
            shared: Arc::default(),
            stderr: Stderr::default(),
        }
    }

    pub(super) fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.shared))
    }

    pub(super) fn stderr(&self) -> Stderr {
        self.stderr.clone()
    }
}

impl Source for Ffmpeg {
    fn open(&mut self) -> io::Result<Box<dyn MediaSource>> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        self.stderr.follow(&mut child);
        let stdout = child.stdout.take();
        let process = Arc::new(Process(Mutex::new(child)));
        self.shared.failed.store(false, Ordering::Relaxed);
        let current = Arc::clone(&process);
        *self.shared.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(current);
        // Looked at only now, so that a stop that came meanwhile finds it or is found.
        if self.shared.stopped.load(Ordering::Relaxed) {
            process.kill();
        }
        let stdout = stdout.ok_or_else(|| io::Error::other("it has no output"))?;
        Ok(Box::new(Pipe::new(stdout, process, Arc::clone(&self.shared))))
    }
}

/// The child's output. Ends the child when it is dropped.
struct Pipe {
    stdout: ChildStdout,
    process: Arc<Process>,
    shared: Arc<Shared>,
    started: Instant,
    /// Milliseconds from `started` at which the read began that is going on; 0 if none is.
    reading_since: Arc<AtomicU64>,
    /// Dropped with the pipe: the watchdog then ends.
    _alive: mpsc::Sender<()>,
}

impl Pipe {
    fn new(stdout: ChildStdout, process: Arc<Process>, shared: Arc<Shared>) -> Self {
        let started = Instant::now();
        let reading_since = Arc::new(AtomicU64::new(0));
        let (alive, dropped) = mpsc::channel();
        let (since, watched) = (Arc::clone(&reading_since), Arc::downgrade(&process));
        std::thread::spawn(move || watch(started, &since, &watched, &dropped));
        Self { stdout, process, shared, started, reading_since, _alive: alive }
    }
}

/// Stops a child that has not given a byte for too long.
fn watch(
    started: Instant,
    reading_since: &AtomicU64,
    process: &Weak<Process>,
    dropped: &mpsc::Receiver<()>,
) {
    while dropped.recv_timeout(LOOK) == Err(mpsc::RecvTimeoutError::Timeout) {
        let began = reading_since.load(Ordering::Relaxed);
        let is_late = started.elapsed() > Duration::from_millis(began) + PATIENCE;
        if let Some(process) = process.upgrade().filter(|_| began > 0 && is_late) {
            process.kill();
        }
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.reading_since.store(now.max(1), Ordering::Relaxed);
        let count = self.stdout.read(buffer);
        self.reading_since.store(0, Ordering::Relaxed);
        if matches!(count, Ok(0)) && !buffer.is_empty() {
            let stopped = self.shared.stopped.load(Ordering::Relaxed);
            let failed = !stopped && !self.process.ends_well();
            self.shared.failed.store(failed, Ordering::Relaxed);
        }
        count
    }
}

impl Seek for Pipe {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::NotSeekable.into())
    }
}

impl MediaSource for Pipe {
    fn is_seekable(&self) -> bool {
        false
    }

    fn byte_len(&self) -> Option<u64> {
        None
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // At once, though a stopper may still hold the process.
        self.process.end();
    }
}

/// The last line that children wrote to their stderr.
#[derive(Clone, Debug, Default)]
pub(super) struct Stderr(Arc<(Mutex<Said>, Condvar)>);

#[derive(Debug, Default)]
struct Said {
    last: String,
    /// Children whose stderr is open.
    open: usize,
}

impl Stderr {
    /// Follows the stderr of a new child.
    pub(super) fn collect(child: &mut Child) -> Self {
        let stderr = Self::default();
        stderr.follow(child);
        stderr
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(&self, child: &mut Child) {
        let Some(pipe) = child.stderr.take() else { return };
        self.said().open += 1;
        let stderr = self.clone();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(pipe);
            while let Some(line) = next_line(&mut lines) {
                if !line.is_empty() {
                    stderr.said().last = line;
                }
            }
            stderr.said().open -= 1;
            stderr.0.1.notify_all();
        });
    }

    /// What was said last, for people. Waits a moment for the end of it.
    pub(super) fn last_line(&self) -> String {
        let waited = self.0.1.wait_timeout_while(self.said(), FAREWELL, |said| said.open > 0);
        let said = waited.unwrap_or_else(PoisonError::into_inner).0;
        if said.last.is_empty() { "it gave no reason".into() } else { said.last.clone() }
    }
}

/// The next line, cut to what is kept; `None` at the end.
fn next_line(lines: &mut BufReader<impl Read>) -> Option<String> {
    let mut line = Vec::new();
    let count = lines.by_ref().take(MOST_SAID).read_until(b'\n', &mut line).ok()?;
    let text = String::from_utf8_lossy(&line);
    let clean = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    (count > 0).then_some(clean)
}
