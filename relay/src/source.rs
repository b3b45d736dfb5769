//! A stream in the making: its entry in the catalogue and the runs that are written under it.

use std::sync::{Arc, Mutex, MutexGuard};

use proto::stream::{StreamState, Track};
use proto::{Packet, StreamDescription, StreamInfo};
use tokio::sync::watch;

use crate::fanout::Fanout;
use crate::log::{AppendError, Log};
use crate::node::Node;

/// A stream of a node, running or not.
pub(crate) struct Stream {
    pub(crate) name: String,
    facts: Mutex<Facts>,
    run: watch::Sender<Option<Arc<Run>>>,
    /// Viewers waiting for a run or watching one.
    viewers: watch::Sender<usize>,
}

/// What the catalogue says besides the name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) title: String,
    pub(crate) live: bool,
    pub(crate) summary: String,
    pub(crate) path: Vec<u64>,
    pub(crate) held: bool,
}

/// A log being written and the tasks that serve it.
pub(crate) struct Run {
    pub(crate) log: Arc<Log>,
    pub(crate) fanout: Fanout,
    /// Viewers of this run; `None` once it is over and they count no more.
    attached: Mutex<Option<usize>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Stream {
    pub(crate) fn new(name: &str, facts: Facts) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            facts: Mutex::new(facts),
            run: watch::Sender::new(None),
            viewers: watch::Sender::new(0),
        })
    }

    pub(crate) fn info(&self) -> StreamInfo {
        let facts = lock(&self.facts).clone();
        let running = self.run.borrow().is_some();
        StreamInfo {
            name: self.name.clone(),
            title: facts.title,
            live: facts.live,
            state: match (running, facts.held) {
                (_, true) => StreamState::Held,
                (true, _) => StreamState::Running,
                (false, _) => StreamState::Idle,
            },
            viewers: u32::try_from(*self.viewers.borrow()).unwrap_or(u32::MAX),
            summary: facts.summary,
            path: facts.path,
        }
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut lock(&self.facts));
    }

    /// Counts a viewer, then waits until there is a run to watch. The viewer counts as long as the
    /// seat is kept (or the run goes on).
    pub(crate) async fn join(self: &Arc<Self>) -> Option<Joined> {
        self.viewers.send_modify(|n| *n += 1);
        let mut joined = Joined { stream: self.clone(), run: None };
        let mut runs = self.run.subscribe();
        loop {
            let run = runs.borrow_and_update().clone();
            if let Some(run) = run
                && let Some(attached) = lock(&run.attached).as_mut()
            {
                *attached += 1;
                joined.run = Some(run.clone());
                return Some(joined);
            }
            runs.changed().await.ok()?;
        }
    }
}

/// A viewer's seat in a stream.
pub(crate) struct Joined {
    stream: Arc<Stream>,
    run: Option<Arc<Run>>,
}

impl Joined {
    /// The run that is watched.
    pub(crate) fn run(&self) -> Option<&Arc<Run>> {
        self.run.as_ref()
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        let counts = match &self.run {
            None => true,
            Some(run) => match lock(&run.attached).as_mut() {
                Some(attached) => {
                    *attached -= 1;
                    true
                }
                None => false,
            },
        };
        if counts {
            self.stream.viewers.send_modify(|n| *n = n.saturating_sub(1));
        }
    }
}

/// A stream that this process makes. Dropping it takes the stream out of the catalogue.
pub struct Source {
    node: Node,
    stream: Arc<Stream>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.stream.name).finish_non_exhaustive()
    }
}

impl Source {
    pub(crate) fn new(node: Node, stream: Arc<Stream>) -> Self {
        Self { node, stream }
    }

    /// The name in the catalogue.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.stream.name
    }

    /// How many want to watch: viewers of the current run and those waiting for one to start.
    /// When a run ends its viewers count no more.
    #[must_use]
    pub fn viewers(&self) -> watch::Receiver<usize> {
        self.stream.viewers.subscribe()
    }

    /// What the catalogue says of the stream while nobody watches it: what is in it, for people.
    pub fn set_summary(&self, summary: &str) {
        self.stream.change(|facts| facts.summary = summary.to_owned());
        self.node.catalogue_changed();
    }

    pub(crate) fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Begins a run: viewers that wait get its description, then its packets.
    ///
    /// # Errors
    /// [`AppendError::Io`] when the system has no room for the first segment.
    pub fn start(
        &self,
        tracks: Vec<Track>,
        duration_us: Option<u64>,
    ) -> Result<Writer, AppendError> {
        let facts = lock(&self.stream.facts).clone();
        let description = StreamDescription {
            name: self.stream.name.clone(),
            title: facts.title,
            live: facts.live,
            run: rand::random(),
            duration_us,
            tracks,
        };
        self.start_run(description, false)
    }

    /// As [`Source::start`], with everything the description says, and packets that keep their
    /// sequence numbers.
    pub(crate) fn start_run(
        &self,
        description: StreamDescription,
        relayed: bool,
    ) -> Result<Writer, AppendError> {
        let summary = description.summary();
        let log = Log::new(description, self.node.log_bounds())?;
        let fanout = Fanout::start(&log, self.node.limits().stall);
        let run = Arc::new(Run { log: log.clone(), fanout, attached: Mutex::new(Some(0)) });
        self.stream.change(|facts| {
            facts.summary = summary;
            facts.held = false;
        });
        if let Some(before) = self.stream.run.send_replace(Some(run.clone())) {
            before.end(&self.stream);
        }
        self.node.catalogue_changed();
        Ok(Writer { node: self.node.clone(), stream: self.stream.clone(), run, relayed })
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.node.remove(&self.stream);
        if let Some(run) = self.stream.run.send_replace(None) {
            run.end(&self.stream);
        }
    }
}

impl Run {
    /// The run is over: its viewers are served to its end but count no more.
    fn end(&self, stream: &Stream) {
        self.log.finish();
        if let Some(attached) = lock(&self.attached).take() {
            stream.viewers.send_modify(|n| *n = n.saturating_sub(attached));
        }
    }
}

/// Writes a run. Cheap to call from any thread. Dropping it ends the run.
pub struct Writer {
    node: Node,
    stream: Arc<Stream>,
    run: Arc<Run>,
    relayed: bool,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("stream", &self.stream.name).finish_non_exhaustive()
    }
}

impl Writer {
    /// Appends a packet: `captured_at_us` by [`proto::conn::now`]; `sequence` is filled in.
    ///
    /// # Errors
    /// See [`AppendError`]; the run goes on without the packet.
    pub fn append(&mut self, packet: Packet) -> Result<(), AppendError> {
        self.run.log.append(packet, self.relayed)
    }

    /// The source is away: viewers stay, hold the last picture and are told why.
    pub fn hold(&mut self, reason: &str) {
        self.set_held(true, self.run.log.hold(reason));
    }

    /// The source is back.
    pub fn resume(&mut self) {
        self.set_held(false, self.run.log.resume());
    }

    fn set_held(&self, held: bool, said: Result<(), AppendError>) {
        if let Err(error) = said {
            tracing::warn!("{}: viewers could not be told: {error}", self.stream.name);
        }
        self.stream.change(|facts| facts.held = held);
        self.node.catalogue_changed();
    }

    /// What follows is coded otherwise.
    ///
    /// # Errors
    /// [`AppendError::Io`] when the system has no room for a segment.
    pub fn describe(&mut self, tracks: Vec<Track>) -> Result<(), AppendError> {
        let description = StreamDescription { tracks, ..self.run.log.description() };
        self.describe_as(description)
    }

    pub(crate) fn describe_as(&self, description: StreamDescription) -> Result<(), AppendError> {
        self.stream.change(|facts| facts.summary = description.summary());
        self.node.catalogue_changed();
        self.run.log.describe(description)
    }

    /// Whether a viewer (or a relay for its own) needs a key frame soon; asking clears it.
    #[must_use]
    pub fn take_key_frame_request(&self) -> bool {
        self.run.log.take_key_frame_request()
    }

    /// The run is over; viewers are told when they have got all of it.
    pub fn end(self) {}

    /// Ends the run unless somebody watches it; whether it is over.
    pub(crate) fn end_if_unwatched(&self) -> bool {
        let mut attached = lock(&self.run.attached);
        if attached.is_some_and(|viewers| viewers > 0) {
            return false;
        }
        *attached = None;
        drop(attached);
        self.close();
        true
    }

    fn close(&self) {
        self.stream.run.send_if_modified(|current| {
            let ours = current.as_ref().is_some_and(|run| Arc::ptr_eq(run, &self.run));
            if ours {
                *current = None;
            }
            ours
        });
        self.run.end(&self.stream);
    }

    pub(crate) fn log(&self) -> &Arc<Log> {
        &self.run.log
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
        self.stream.change(|facts| facts.held = false);
        self.node.catalogue_changed();
    }
}
