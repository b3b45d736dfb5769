//! An origin: its catalogue followed on a control connection, its streams received on demand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proto::clock::Filter;
use proto::dial::{DialError, Dialled, dial, keep_clock};
use proto::message::List;
use proto::retry::Backoff;
use proto::{Message, Role, StreamInfo, limits};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::Complaint;
use super::receive::{Receiver, Restamp, unwatched};
use super::remote::Remote;
use crate::node::Node;
use crate::recording::Recording;
use crate::session::{End, Peer};
use crate::source::{Facts, Source};

/// An origin as its streams see it.
#[derive(Clone)]
struct Origin {
    address: String,
    clock: Arc<Mutex<Filter>>,
    /// Whether its control connection is up and its clock known.
    alive: watch::Sender<bool>,
}

impl Node {
    /// Offers every stream of the node at `address` (`HOST` or `HOST:PORT`) here, for as long as
    /// this node runs. Lost connections are dialled again; meanwhile viewers hold the picture.
    ///
    /// # Errors
    /// The first connection failed in a way that waiting does not mend (a wrong address, another
    /// protocol). Everything else is tried again.
    pub async fn pull(&self, address: &str) -> Result<(), DialError> {
        let origin = Origin {
            address: address.to_owned(),
            clock: Arc::default(),
            alive: watch::Sender::new(false),
        };
        let mut streams = Streams { node: self.clone(), origin, pulled: HashMap::new() };
        // What is kept can be watched before the origin is reached, or though it never is.
        let keep = self.keep().clone();
        let known = address.to_owned();
        let known = tokio::task::spawn_blocking(move || keep.remembered(&known)).await;
        streams.offer(known.unwrap_or_default());
        tokio::select! {
            error = streams.follow() => Err(error),
            () = self.stopped() => Ok(()),
        }
    }
}

struct Streams {
    node: Node,
    origin: Origin,
    /// By their names at the origin.
    pulled: HashMap<String, Pulled>,
}

/// A stream that is offered here; its task ends with it.
struct Pulled {
    source: Arc<Source>,
    task: AbortHandle,
    /// What is watched from any point.
    remote: Option<Arc<Remote>>,
    /// Since when the origin's catalogue does not have it.
    missing_since: Option<Instant>,
}

/// A stream that its origin has not offered for so long is over.
const MISSING: Duration = Duration::from_secs(10);

fn facts_of(info: &StreamInfo, node: u64) -> Facts {
    Facts {
        title: info.title.clone(),
        live: info.live,
        summary: info.summary.clone(),
        path: [&info.path[..], &[node]].concat(),
        held: false,
    }
}

impl Drop for Pulled {
    fn drop(&mut self) {
        // At once, not when the task has let go of its source: another may take the name.
        self.source.withdraw();
        self.task.abort();
    }
}

impl Streams {
    async fn follow(&mut self) -> DialError {
        let mut backoff = Backoff::default();
        let address = self.origin.address.clone();
        let mut reached = false;
        let mut complaint = Complaint::default();
        loop {
            match dial(&address, Role::Control, None, self.node.agent()).await {
                Ok(dialled) if dialled.welcome.node == self.node.id() => {
                    let reason = "this is the relay itself; --origin names another node".to_owned();
                    return DialError::Closed { peer: address, code: None, reason };
                }
                Ok(dialled) => {
                    reached = true;
                    tracing::info!("origin {address}: connected ({})", dialled.welcome.agent);
                    let (error, talked) = self.talk(dialled).await;
                    // Who welcomes and says no more is not back.
                    if talked {
                        backoff.reset();
                        complaint.clear();
                    }
                    complaint.say(format!("origin {address}: lost ({error})"));
                }
                Err(error) if !reached && !error.worth_retrying() => return error,
                Err(error) => complaint.say(format!("origin: {error}")),
            }
            self.origin.alive.send_replace(false);
            backoff.wait().await;
        }
    }

    /// Follows the catalogue and keeps the clock until the connection is lost; why it was, and whether
    /// the origin said anything before.
    async fn talk(&mut self, mut dialled: Dialled) -> (proto::conn::ConnError, bool) {
        *self.origin.clock.lock().unwrap_or_else(|e| e.into_inner()) = Filter::new();
        if let Err(error) = dialled.writer.write(&Message::List(List { follow: true })).await {
            return (error, false);
        }
        let clock = self.origin.clock.clone();
        let mut talked = false;
        let error = keep_clock(&mut dialled, &clock, |message| {
            talked = true;
            if let Message::Catalog(catalog) = message {
                self.remember(&catalog.streams);
                self.offer(catalog.streams);
            }
            self.sweep();
            let settled = clock.lock().unwrap_or_else(|e| e.into_inner()).is_settled();
            self.set_alive(settled);
        })
        .await;
        (error, talked)
    }

    fn set_alive(&self, settled: bool) {
        self.origin.alive.send_if_modified(|alive| !std::mem::replace(alive, settled) && settled);
    }

    /// Makes this node's catalogue say what the origin's says.
    fn offer(&mut self, streams: Vec<StreamInfo>) {
        let id = self.node.id();
        let fine = |s: &StreamInfo| !s.path.contains(&id) && s.path.len() < limits::PATH;
        let streams: Vec<StreamInfo> = streams.into_iter().filter(fine).collect();
        let now = Instant::now();
        // What was live and is now recorded, or the other way round, is another stream.
        let same_kind = |s: &StreamInfo, pulled: &Pulled| {
            pulled.remote.is_some() == (s.recording.is_some() && !s.live)
        };
        self.pulled.retain(|name, pulled| {
            streams.iter().find(|s| s.name == *name).is_none_or(|s| same_kind(s, pulled))
        });
        for (name, pulled) in &mut self.pulled {
            let there = streams.iter().any(|s| s.name == *name);
            pulled.missing_since = if there { None } else { pulled.missing_since.or(Some(now)) };
        }
        let mut changed = false;
        for info in streams {
            match self.pulled.get(&info.name) {
                Some(pulled) => {
                    changed |= pulled.source.stream().update(facts_of(&info, id));
                    if let (Some(remote), Some(recording)) = (&pulled.remote, info.recording) {
                        changed |= remote.update(&info, recording);
                    }
                }
                None => self.add(info),
            }
        }
        if changed {
            self.node.catalogue_changed();
        }
    }

    /// Gives up streams that the origin has not offered for a while. An origin that starts again is
    /// dialled before it has all its streams together: its viewers are held meanwhile.
    fn sweep(&mut self) {
        let gone = |pulled: &Pulled| pulled.missing_since.is_some_and(|t| t.elapsed() > MISSING);
        self.pulled.retain(|_, pulled| !gone(pulled));
    }

    fn add(&mut self, info: StreamInfo) {
        let facts = facts_of(&info, self.node.id());
        let remote = self.remote(&info);
        let recording = || remote.clone().map(|remote| remote as Arc<dyn Recording>);
        // A clash gets a suffix that says where the stream comes from.
        let second = format!("{}@{}", info.name, self.origin.address);
        let added = self
            .node
            .add(&info.name, facts.clone(), recording())
            .or_else(|_| self.node.add(&second, facts, recording()));
        match added {
            Ok(source) => {
                let source = Arc::new(source);
                source.always_wanted();
                let task = self.pull(&source, &remote, &info.name);
                let pulled = Pulled { source, task, remote, missing_since: None };
                self.pulled.insert(info.name, pulled);
            }
            Err(error) => tracing::warn!("origin {}: {error}", self.origin.address),
        }
    }

    /// What stands behind a stream that is nothing but a recording.
    fn remote(&self, info: &StreamInfo) -> Option<Arc<Remote>> {
        let recording = info.recording.filter(|_| !info.live)?;
        let place = (self.origin.address.as_str(), self.node.agent());
        Some(Remote::new(place, info, recording, self.node.keep().clone()))
    }

    /// Starts what brings a stream here: its segments, or its packets.
    fn pull(&self, source: &Arc<Source>, remote: &Option<Arc<Remote>>, name: &str) -> AbortHandle {
        if let Some(remote) = remote {
            return tokio::spawn(remote.clone().run()).abort_handle();
        }
        let (node, origin) = (self.node.clone(), self.origin.clone());
        tokio::spawn(keep_pulling(node, origin, source.clone(), name.to_owned())).abort_handle()
    }

    /// Writes down which recordings the origin has.
    fn remember(&self, streams: &[StreamInfo]) {
        let recorded = streams.iter().filter(|info| info.recording.is_some() && !info.live);
        let recorded: Vec<StreamInfo> = recorded.cloned().collect();
        if recorded.is_empty() {
            return;
        }
        let (keep, address) = (self.node.keep().clone(), self.origin.address.clone());
        tokio::task::spawn_blocking(move || {
            recorded.iter().for_each(|info| keep.remember(&address, info));
        });
    }
}

/// Receives one stream whenever somebody here watches it.
async fn keep_pulling(node: Node, origin: Origin, source: Arc<Source>, name: String) {
    let restamp = Restamp::Estimated(origin.clock.clone());
    let mut receiver = Receiver::new(restamp);
    let mut backoff = Backoff::default();
    let mut complaint = Complaint::default();
    let mut viewers = source.viewers();
    loop {
        // Those who held the picture of a lost origin may have given up.
        receiver.end_if_unwatched();
        if viewers.wait_for(|n| *n > 0).await.is_err() {
            return;
        }
        let mut alive = origin.alive.subscribe();
        tokio::select! {
            () = until(&mut alive, true) => {}
            // Nobody waits any more for an origin that is away.
            () = unwatched(&source, node.limits().linger) => {
                receiver.end_if_unwatched();
                continue;
            }
        }
        let served = subscribe(&node, &origin, &source, &name, &mut receiver).await;
        if receiver.take_described() {
            backoff.reset();
            complaint.clear();
        }
        let reason = match served {
            Ok(()) => continue,
            Err(End::Gone) => "the connection was lost".to_owned(),
            Err(End::Closed(_, reason) | End::Refuse(_, reason)) => reason,
        };
        complaint.say(format!("'{name}' from {}: {reason}", origin.address));
        receiver.hold("the way to its origin is cut");
        backoff.wait().await;
    }
}

/// One connection to the origin, from the first viewer to the last.
async fn subscribe(
    node: &Node,
    origin: &Origin,
    source: &Source,
    name: &str,
    receiver: &mut Receiver,
) -> Result<(), End> {
    let dialled = dial(&origin.address, Role::Relay, None, node.agent())
        .await
        .map_err(|error| End::Refuse(proto::CloseCode::Unavailable, error.to_string()))?;
    let mut peer = Peer {
        reader: dialled.reader.map(|read| Box::new(read) as _),
        outlet: Some(Box::new(dialled.writer.into_inner())),
        name: origin.address.clone(),
    };
    let mut alive = origin.alive.subscribe();
    tokio::select! {
        served = receiver.follow(node, &mut peer, source, name) => served,
        // The control connection notices first when a peer vanishes without a word.
        () = until(&mut alive, false) => Err(End::Gone),
    }
}

async fn until(alive: &mut watch::Receiver<bool>, state: bool) {
    // The sender lives as long as the origin, whose stream this task pulls.
    let _ = alive.wait_for(|up| *up == state).await;
}
