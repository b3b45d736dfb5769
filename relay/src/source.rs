//! A stream in the making: its entry in the catalogue and the runs that are written under it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use proto::stream::{StreamState, Track};
use proto::{Packet, StreamDescription, StreamInfo};
use tokio::sync::{oneshot, watch};

use crate::fanout::Fanout;
use crate::log::{AppendError, Log, Start};
use crate::node::Node;
use crate::recording::Recording;
use crate::tail;

/// A stream of a node, running or not.
pub(crate) struct Stream {
    pub(crate) name: String,
    facts: Mutex<Facts>,
    /// What of it can be watched from any point.
    recording: Mutex<Option<Arc<dyn Recording>>>,
    stage: Mutex<Stage>,
    /// Viewers waiting for a run or watching one, and one more where it is kept.
    viewers: watch::Sender<usize>,
    /// See [`Source::always_wanted`].
    keeps: AtomicBool,
}

/// The run that can be joined, or those who wait for one.
#[derive(Default)]
struct Stage {
    run: Option<Arc<Run>>,
    waiting: Vec<oneshot::Sender<(Joined, Start)>>,
}

/// What the catalogue says besides the name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
            recording: Mutex::default(),
            stage: Mutex::default(),
            viewers: watch::Sender::new(0),
            keeps: AtomicBool::new(false),
        })
    }

    fn keeps(&self) -> bool {
        self.keeps.load(Ordering::Relaxed)
    }

    pub(crate) fn info(&self) -> StreamInfo {
        let facts = lock(&self.facts).clone();
        let running = lock(&self.stage).run.is_some();
        let people = self.viewers.borrow().saturating_sub(usize::from(self.keeps()));
        StreamInfo {
            name: self.name.clone(),
            title: facts.title,
            live: facts.live,
            state: match (running, facts.held) {
                (_, true) => StreamState::Held,
                (true, _) => StreamState::Running,
                (false, _) => StreamState::Idle,
            },
            viewers: u32::try_from(people).unwrap_or(u32::MAX),
            summary: facts.summary,
            path: facts.path,
            recording: self.recording().and_then(|recording| recording.info()),
        }
    }

    /// Takes over what another node says of the stream; whether anything changed. Whether it is
    /// held this node knows itself.
    pub(crate) fn update(&self, said: Facts) -> bool {
        let mut facts = lock(&self.facts);
        let new = Facts { held: facts.held, ..said };
        let changed = *facts != new;
        *facts = new;
        changed
    }

    pub(crate) fn set_recording(&self, recording: Option<Arc<dyn Recording>>) {
        *lock(&self.recording) = recording;
    }

    pub(crate) fn recording(&self) -> Option<Arc<dyn Recording>> {
        lock(&self.recording).clone()
    }

    /// Whether it is nothing but a recording: it has no run, and will have none.
    pub(crate) fn is_only_recorded(&self) -> bool {
        let live = lock(&self.facts).live;
        !live && lock(&self.recording).is_some() && lock(&self.stage).run.is_none()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut lock(&self.facts));
    }

    /// Counts a viewer, then waits until there is a run to watch. Whoever waits when a run starts
    /// gets it from its start, however soon it ends. The viewer counts as long as the seat is kept
    /// (or the run goes on).
    pub(crate) async fn join(self: &Arc<Self>) -> Option<(Joined, Start)> {
        self.viewers.send_modify(|n| *n += 1);
        let _waits = Waits(self);
        let coming = {
            let mut stage = lock(&self.stage);
            if let Some(run) = &stage.run {
                return Some(self.attach(run));
            }
            // Those who went away meanwhile are forgotten.
            stage.waiting.retain(|waiting| !waiting.is_closed());
            let (seat, coming) = oneshot::channel();
            stage.waiting.push(seat);
            coming
        };
        coming.await.ok()
    }

    /// Counts somebody who watches what was recorded, as long as the guard is kept.
    pub(crate) fn attend(self: &Arc<Self>) -> impl Drop + Send + use<> {
        self.viewers.send_modify(|n| *n += 1);
        Attends(self.clone())
    }

    /// Seats a viewer in a run. The seat counts by itself: a viewer that waited counts twice for a
    /// moment rather than not at all. The stage is locked.
    fn attach(self: &Arc<Self>, run: &Arc<Run>) -> (Joined, Start) {
        if let Some(attached) = lock(&run.attached).as_mut() {
            *attached += 1;
            self.viewers.send_modify(|n| *n += 1);
        }
        (Joined { stream: self.clone(), run: run.clone() }, run.log.join())
    }

    /// Makes `run` the one that is joined, by those who wait first.
    fn begin(self: &Arc<Self>, run: &Arc<Run>) {
        let mut stage = lock(&self.stage);
        let before = stage.run.replace(run.clone());
        for waiting in std::mem::take(&mut stage.waiting) {
            if !waiting.is_closed() {
                // One that goes away in this moment drops its seat, which then counts no more.
                let _ = waiting.send(self.attach(run));
            }
        }
        drop(stage);
        if let Some(before) = before {
            before.end(self);
        }
    }

    /// Nobody joins `run` any more (or whichever it is).
    fn end(&self, run: Option<&Arc<Run>>) {
        let mut stage = lock(&self.stage);
        let ours = |current: &Arc<Run>| run.is_none_or(|run| Arc::ptr_eq(run, current));
        let ended = if stage.run.as_ref().is_some_and(ours) { stage.run.take() } else { None };
        drop(stage);
        if let Some(run) = ended.as_ref().or(run) {
            run.end(self);
        }
    }

    /// Ends `run` unless somebody watches it; whether it is over.
    fn end_if_unwatched(&self, run: &Arc<Run>) -> bool {
        // Joining locks the stage first too: nobody slips in between the look and the end.
        let mut stage = lock(&self.stage);
        // Whoever watches its past counts, too: what is kept of the run ends with it.
        if *self.viewers.borrow() > 0 {
            return false;
        }
        stage.run.take_if(|current| Arc::ptr_eq(run, current));
        drop(stage);
        run.end(self);
        true
    }
}

/// A waiting viewer on the count.
struct Waits<'a>(&'a Stream);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.viewers.send_modify(|n| *n = n.saturating_sub(1));
    }
}

/// A viewer of a recording on the count.
struct Attends(Arc<Stream>);

impl Drop for Attends {
    fn drop(&mut self) {
        drop(Waits(&self.0));
    }
}

/// A viewer's seat in a run.
pub(crate) struct Joined {
    stream: Arc<Stream>,
    run: Arc<Run>,
}

impl Joined {
    /// The run that is watched.
    pub(crate) fn run(&self) -> &Run {
        &self.run
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        // A viewer of a run that is over counts no more.
        if let Some(attached) = lock(&self.run.attached).as_mut() {
            *attached -= 1;
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

    /// Where live streams are kept, this one is received whether somebody watches it or not: nobody
    /// misses what was before.
    pub(crate) fn always_wanted(&self) {
        let live = lock(&self.stream.facts).live;
        if live && self.node.rewind().is_some() && !self.stream.keeps.swap(true, Ordering::Relaxed)
        {
            self.stream.viewers.send_modify(|n| *n += 1);
        }
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

    /// What the stream is called in front of people, from now on.
    pub fn set_title(&self, title: &str) {
        self.stream.change(|facts| facts.title = title.to_owned());
        self.node.catalogue_changed();
    }

    /// Takes the stream out of the catalogue; its run goes on as long as there is a writer.
    pub(crate) fn withdraw(&self) {
        if !self.node.is_stopping() {
            self.node.remove(&self.stream);
        }
    }

    /// What can be watched from any point of the stream; a stream that is not live is nothing else
    /// then. To be called again when what it says of itself in the catalogue has changed.
    pub fn set_recording(&self, recording: Option<Arc<dyn Recording>>) {
        self.stream.set_recording(recording);
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
        let (summary, live) = (description.summary(), description.live);
        let log = Log::new(description, self.node.log_bounds())?;
        let fanout = Fanout::start(&log, self.node.limits().stall);
        let run = Arc::new(Run { log: log.clone(), fanout, attached: Mutex::new(Some(0)) });
        self.stream.change(|facts| {
            facts.summary = summary;
            facts.held = false;
        });
        if let Some(rewind) = self.node.rewind().filter(|_| live) {
            let kept = (self.node.clone(), self.stream.clone(), log.clone());
            tokio::spawn(tail::keep(kept.0, kept.1, kept.2, rewind));
        }
        self.stream.begin(&run);
        self.node.catalogue_changed();
        Ok(Writer { node: self.node.clone(), stream: self.stream.clone(), run, relayed })
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if self.node.is_stopping() {
            return;
        }
        self.node.remove(&self.stream);
        self.stream.end(None);
        // Nobody will serve those who wait.
        lock(&self.stream.stage).waiting.clear();
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
        self.stream.end_if_unwatched(&self.run)
    }

    pub(crate) fn log(&self) -> &Arc<Log> {
        &self.run.log
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Viewers of a node that stops are told so: for them the stream is not over.
        if self.node.is_stopping() {
            return;
        }
        self.stream.end(Some(&self.run));
        self.stream.change(|facts| facts.held = false);
        self.node.catalogue_changed();
    }
}
