//! The catalogue of streams and what the sessions of a process share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use proto::StreamInfo;
use tokio::io::DuplexStream;
use tokio::sync::watch;

use crate::keep::MemoryKeep;
use crate::limits::{Budget, Limits};
use crate::log::Bounds;
use crate::outlet;
use crate::recording::{Keep, Recording};
use crate::rooms::Rooms;
use crate::session::{self, Parked};
use crate::source::{Facts, Source, Stream};
use crate::tail::{self, Rewind};

/// How a node is set up.
#[derive(Clone, Default)]
pub struct Config {
    /// Its bounds.
    pub limits: Limits,
    /// Program and version, for the peers' logs.
    pub agent: String,
    /// Who knows it may push streams here; nobody may where there is none.
    pub publish_token: Option<String>,
    /// Where recordings of origins are kept; `None`: a little of them, in memory.
    pub keep: Option<Arc<dyn Keep>>,
    /// Whether and how much of live streams is kept (there), so that viewers can go back.
    pub rewind: Option<Rewind>,
    /// Who keeps rooms; `None`: nobody, and whoever wants one is told so.
    pub rooms: Option<Arc<dyn Rooms>>,
}

/// A name that is already in the catalogue, or cannot be a name.
#[derive(Debug, thiserror::Error)]
#[error("a stream named '{0}' cannot be added: the name is taken or not allowed")]
pub struct NameTaken(pub String);

/// Bytes on their way to somebody in this process: a picture or two.
const PIPE: usize = 256 << 10;

/// A server or a relay: streams by name, and connections to them. Clones are the same node.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    id: u64,
    config: Config,
    keep: Arc<dyn Keep>,
    /// Streams that live as long as the node.
    adopted: Mutex<Vec<Source>>,
    streams: Mutex<BTreeMap<String, Arc<Stream>>>,
    /// Pushed streams whose publisher is away.
    parked: Mutex<BTreeMap<String, Parked>>,
    catalogue: watch::Sender<u64>,
    shutdown: watch::Sender<bool>,
    budget: Arc<Budget>,
    viewers: AtomicUsize,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("id", &self.0.id).finish_non_exhaustive()
    }
}

impl Node {
    /// A node with no streams and no sockets.
    #[must_use]
    pub fn new(mut config: Config) -> Self {
        let memory = config.limits.log_memory / 4;
        let keep = config.keep.take().unwrap_or_else(|| Arc::new(MemoryKeep::new(memory)));
        let budget = Budget::new(config.limits.log_memory);
        Self(Arc::new(Inner {
            id: rand::random(),
            config,
            keep,
            adopted: Mutex::default(),
            streams: Mutex::default(),
            parked: Mutex::default(),
            catalogue: watch::Sender::new(0),
            shutdown: watch::Sender::new(false),
            budget,
            viewers: AtomicUsize::new(0),
        }))
    }

    /// A number that tells this node from others, chosen at random when it started.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Program and version.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.0.config.agent
    }

    /// The bounds in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.config.limits
    }

    /// Ends all sessions with a word to their peers; [`Node::serve`] returns when they have ended.
    pub fn shut_down(&self) {
        self.0.shutdown.send_replace(true);
        // They know the node, and the node them: without this neither would ever go.
        self.0.adopted.lock().unwrap_or_else(|e| e.into_inner()).clear();
    }

    /// Returns when the node is told to shut down.
    pub async fn stopped(&self) {
        // The sender lives as long as the node: there is always an answer.
        let _ = self.0.shutdown.subscribe().wait_for(|down| *down).await;
    }

    /// Connects to this node without a socket: what is given back is the dialler's end of a pipe on
    /// which the same is spoken as on any connection, hello first. `name` stands for the dialler in
    /// logs. The session ends when the pipe is dropped. To be called within a tokio runtime.
    #[must_use]
    pub fn dial_local(&self, name: &str) -> DuplexStream {
        let (near, far) = tokio::io::duplex(PIPE);
        let (read, write) = tokio::io::split(far);
        let outlet = Box::new(outlet::Stream(write));
        tokio::spawn(session::run(self.clone(), name.to_owned(), Box::new(read), outlet));
        near
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.0.shutdown.borrow()
    }

    /// Adds a stream that this process makes; its name must be new.
    ///
    /// # Errors
    /// [`NameTaken`].
    pub fn add_stream(&self, name: &str, title: &str, live: bool) -> Result<Source, NameTaken> {
        let title = title.to_owned();
        self.add(name, Facts { title, live, path: vec![self.0.id], ..Facts::default() }, None)
    }

    /// Adds a stream that is nothing but a recording.
    ///
    /// # Errors
    /// [`NameTaken`].
    pub fn add_recording(
        &self,
        name: &str,
        title: &str,
        summary: &str,
        recording: Arc<dyn Recording>,
    ) -> Result<Source, NameTaken> {
        let (title, summary) = (title.to_owned(), summary.to_owned());
        let facts = Facts { title, summary, path: vec![self.0.id], ..Facts::default() };
        self.add(name, facts, Some(recording))
    }

    /// Adds a stream with all that is known of it at once: the catalogue says nothing half.
    pub(crate) fn add(
        &self,
        name: &str,
        facts: Facts,
        recording: Option<Arc<dyn Recording>>,
    ) -> Result<Source, NameTaken> {
        let mut streams = self.streams();
        let full = streams.len() >= proto::limits::STREAMS;
        if full || streams.contains_key(name) || !proto::stream::is_valid_name(name) {
            return Err(NameTaken(name.to_owned()));
        }
        let stream = Stream::new(name, facts);
        stream.set_recording(recording);
        streams.insert(name.to_owned(), stream.clone());
        drop(streams);
        self.catalogue_changed();
        Ok(Source::new(self.clone(), stream))
    }

    pub(crate) fn remove(&self, stream: &Arc<Stream>) {
        let mut streams = self.streams();
        if streams.get(&stream.name).is_some_and(|there| Arc::ptr_eq(there, stream)) {
            streams.remove(&stream.name);
        }
        drop(streams);
        self.catalogue_changed();
    }

    /// All streams, sorted by name.
    #[must_use]
    pub fn catalogue(&self) -> Vec<StreamInfo> {
        self.streams().values().map(|stream| stream.info()).collect()
    }

    /// What the catalogue says of a stream; `None` asks for the only one there is.
    #[must_use]
    pub fn stream_info(&self, name: Option<&str>) -> Option<StreamInfo> {
        let stream = match name {
            Some(name) => self.stream(name),
            None => self.only_stream().ok(),
        };
        stream.map(|stream| stream.info())
    }

    /// Changes whenever the catalogue does.
    #[must_use]
    pub fn catalogue_changes(&self) -> watch::Receiver<u64> {
        self.0.catalogue.subscribe()
    }

    pub(crate) fn catalogue_changed(&self) {
        self.0.catalogue.send_modify(|n| *n = n.wrapping_add(1));
    }

    pub(crate) fn stream(&self, name: &str) -> Option<Arc<Stream>> {
        self.streams().get(name).cloned()
    }

    /// The only stream, or how many there are.
    pub(crate) fn only_stream(&self) -> Result<Arc<Stream>, usize> {
        let streams = self.streams();
        match streams.values().next() {
            Some(stream) if streams.len() == 1 => Ok(stream.clone()),
            _ => Err(streams.len()),
        }
    }

    pub(crate) fn log_bounds(&self) -> Bounds {
        Bounds {
            budget: self.0.budget.clone(),
            stream_memory: self.limits().stream_memory,
            max_lag: self.limits().max_lag,
        }
    }

    /// Offers again what was recorded here earlier ([`Rewind::record`]). May block.
    pub fn offer_recorded(&self) {
        tail::offer_recorded(self).into_iter().for_each(|source| self.adopt(source));
    }

    /// Keeps a stream for as long as the node is there.
    pub(crate) fn adopt(&self, source: Source) {
        self.0.adopted.lock().unwrap_or_else(|e| e.into_inner()).push(source);
    }

    pub(crate) fn rewind(&self) -> Option<Rewind> {
        self.0.config.rewind
    }

    /// Who keeps rooms.
    #[must_use]
    pub fn rooms(&self) -> Option<&dyn Rooms> {
        self.0.config.rooms.as_deref()
    }

    pub(crate) fn keep(&self) -> &Arc<dyn Keep> {
        &self.0.keep
    }

    pub(crate) fn publish_token(&self) -> Option<&str> {
        self.0.config.publish_token.as_deref()
    }

    pub(crate) fn parked(&self) -> MutexGuard<'_, BTreeMap<String, Parked>> {
        self.0.parked.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Takes one of the viewers' places, if there is one.
    pub(crate) fn take_place(&self) -> Option<Place> {
        let limit = self.limits().viewers;
        let take = |taken: usize| (taken < limit).then_some(taken + 1);
        let taken = self.0.viewers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.is_ok().then(|| Place(self.clone()))
    }

    fn streams(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Stream>>> {
        self.0.streams.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// One of the viewers' places; given back when dropped.
pub(crate) struct Place(Node);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.viewers.fetch_sub(1, Ordering::Relaxed);
    }
}
