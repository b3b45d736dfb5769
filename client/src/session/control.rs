//! The control connection: the server's clock, four times a second, and its catalogue.
//!
//! It is a connection of its own because a ping behind media waits for it. It is a help, not a
//! need: a server that would not take it is watched all the same.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::clock::Filter;
use proto::conn::{ConnError, now};
use proto::dial::{Dialled, converse, dial, keep_clock};
use proto::message::{List, Ping};
use proto::retry::Backoff;
use proto::room::RoomLine;
use proto::time::Stamp;
use proto::{Message, Role, StreamInfo};
use tokio::sync::watch;
use tokio::time::timeout;

use super::error::SessionError;
use super::{AGENT, Config};
use crate::room::Seat;
use crate::timeline::PeerClock;

/// A question is answered within this, or never.
const ANSWER: Duration = Duration::from_secs(10);

/// What the control connection knows; read by the view connection at any time.
#[derive(Debug)]
pub(super) struct Peer {
    clock: Mutex<Filter>,
    heard_us: AtomicI64,
    /// Since when the present connection is there, if it is not the first.
    since_us: AtomicI64,
    /// Which node it was last: another one, or the same restarted, has another clock.
    node: AtomicU64,
    /// The clock is known, or not to be had for now.
    clock_tried: watch::Sender<bool>,
}

impl Peer {
    pub(super) fn new() -> Self {
        Self {
            clock: Mutex::default(),
            heard_us: AtomicI64::new(i64::MIN),
            since_us: AtomicI64::new(i64::MIN),
            node: AtomicU64::new(0),
            clock_tried: watch::Sender::new(false),
        }
    }

    /// The peer's clock, once a ping has come back.
    pub(super) fn clock(&self) -> Option<PeerClock> {
        let mut filter = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = filter.is_settled();
        filter.offset(now()).map(|offset| PeerClock { offset, settled })
    }

    /// Bound of the clock's error, microseconds.
    pub(super) fn clock_error_us(&self) -> Option<f64> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).error_us()
    }

    /// When the peer was last heard on the control connection; `None` if never.
    pub(super) fn heard(&self) -> Option<Stamp> {
        let us = self.heard_us.load(Ordering::Relaxed);
        (us != i64::MIN).then_some(Stamp(us))
    }

    /// When the peer was last heard on the first control connection, or on one that was there already
    /// at `then`. One that was dialled again later says nothing of what became of the others.
    pub(super) fn heard_since(&self, then: Stamp) -> Option<Stamp> {
        self.heard().filter(|_| Stamp(self.since_us.load(Ordering::Relaxed)) <= then)
    }

    /// Waits until the clock is known, or the first try to learn it has failed.
    pub(super) async fn clock_tried(&self) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.clock_tried.subscribe().wait_for(|tried| *tried).await;
    }

    /// A connection to this node is there.
    fn connected(&self, node: u64) {
        if self.heard().is_some() {
            self.since_us.store(now().0, Ordering::Relaxed);
        }
        if self.node.swap(node, Ordering::Relaxed) != node {
            *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Filter::new();
        }
    }

    /// What the node's clock shows, as well as it is known.
    pub(super) fn node_now(&self) -> Option<Stamp> {
        self.clock().map(|clock| now() + clock.offset)
    }

    /// The shortest round trip of the last minute, microseconds.
    pub(super) fn round_trip_us(&self) -> Option<i64> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).round_trip_us()
    }

    fn hear(&self, message: Message, seat: Option<&Seat>) {
        self.heard_us.store(now().0, Ordering::Relaxed);
        match message {
            Message::Pong(_) => {
                self.clock_tried.send_replace(true);
            }
            other => match seat {
                // Before the clock is known nothing is news.
                Some(seat) => seat.hear(other, self.node_now().unwrap_or(Stamp(i64::MAX))),
                None => tracing::debug!(kind = other.kind(), "unexpected on control"),
            },
        }
    }
}

/// The control connection's task; ends with the session it serves.
pub(super) struct ControlTask(tokio::task::JoinHandle<()>);

impl ControlTask {
    /// Keeps the connection for as long as there is anybody to know by it.
    pub(super) fn start(config: &Config, peer: Arc<Peer>) -> Self {
        let config = config.clone();
        Self(tokio::spawn(async move { keep(&config, &peer).await }))
    }
}

impl Drop for ControlTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Keeps control connections, one after another, for as long as it is polled.
///
/// A connection is lost while the view goes on when a laptop changes its network, or the server ran
/// out of places: without another, the server's clock could only be guessed on.
async fn keep(config: &Config, peer: &Peer) {
    let patience = &config.patience;
    let mut backoff = Backoff::new(patience.first_wait, patience.longest_wait);
    loop {
        let before = peer.heard();
        let error = once(&config.address, peer, config.seat.as_deref()).await;
        tracing::debug!("no control connection: {error}");
        if let Some(seat) = &config.seat {
            seat.lost(&error.to_string());
        }
        let was_there = peer.heard() != before;
        if was_there {
            backoff.reset();
        }
        // What comes over a connection made anew is worth waiting for the clock once more.
        peer.clock_tried.send_replace(!was_there);
        backoff.wait().await;
    }
}

/// Keeps a control connection until it fails; gives why.
async fn once(address: &str, peer: &Peer, seat: Option<&Seat>) -> SessionError {
    let mut dialled = match dial(address, Role::Control, None, AGENT).await {
        Ok(dialled) => dialled,
        Err(error) => return error.into(),
    };
    peer.connected(dialled.welcome.node);
    let failed = |error| SessionError::Connection { address: address.to_owned(), error };
    if let Some(seat) = seat
        && let Err(error) = dialled.writer.write(&seat.hello().await).await
    {
        return failed(error);
    }
    let hear = |message| peer.hear(message, seat);
    failed(match seat {
        Some(seat) => converse(&mut dialled, &peer.clock, || seat.next(), hear).await,
        None => keep_clock(&mut dialled, &peer.clock, hear).await,
    })
}

/// Asks a node which rooms it has; gives its clock with them.
pub async fn rooms(address: &str) -> Result<(Vec<RoomLine>, Stamp), SessionError> {
    let Dialled { mut reader, mut writer, .. } = dial(address, Role::Control, None, AGENT).await?;
    let failed = |error| SessionError::Connection { address: address.to_owned(), error };
    writer.write(&Message::Ping(Ping { sent_us: now() })).await.map_err(failed)?;
    writer.write(&Message::ListRooms).await.map_err(failed)?;
    let mut node_now = now();
    loop {
        let message =
            timeout(ANSWER, reader.read()).await.unwrap_or(Err(ConnError::Timeout(ANSWER)));
        match message.map_err(failed)? {
            Message::Pong(pong) => node_now = pong.sent_us,
            Message::Rooms(rooms) => return Ok((rooms, node_now)),
            Message::Refused(refused) => return Err(SessionError::Room(refused.reason)),
            _ => {}
        }
    }
}

/// Asks a server what it offers, without watching anything.
pub async fn catalog(address: &str) -> Result<Vec<StreamInfo>, SessionError> {
    let Dialled { mut reader, mut writer, .. } = dial(address, Role::Control, None, AGENT).await?;
    let failed = |error| SessionError::Connection { address: address.to_owned(), error };
    writer.write(&Message::List(List { follow: false })).await.map_err(failed)?;
    loop {
        let message =
            timeout(ANSWER, reader.read()).await.unwrap_or(Err(ConnError::Timeout(ANSWER)));
        if let Message::Catalog(catalog) = message.map_err(failed)? {
            return Ok(catalog.streams);
        }
    }
}
