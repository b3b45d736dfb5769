//! The control connection: the server's clock, four times a second, and its catalogue.
//!
//! It is a connection of its own because a ping behind media waits for it. It is a help, not a
//! need: a server that would not take it is watched all the same.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use proto::clock::Filter;
use proto::conn::{ConnError, now};
use proto::dial::{dial, keep_clock};
use proto::message::List;
use proto::retry::Backoff;
use proto::time::Stamp;
use proto::{Message, Role, StreamInfo};
use tokio::sync::watch;

use super::AGENT;
use super::error::SessionError;
use crate::timeline::PeerClock;

/// What the control connection knows; read by the view connection at any time.
#[derive(Debug)]
pub(super) struct Peer {
    clock: Mutex<Filter>,
    heard_us: AtomicI64,
    /// Since when the present connection is there, if it is not the first.
    since_us: AtomicI64,
    catalog: watch::Sender<Option<Vec<StreamInfo>>>,
    /// The clock is known, or not to be had for now.
    clock_tried: watch::Sender<bool>,
}

impl Peer {
    pub(super) fn new() -> Self {
        Self {
            clock: Mutex::default(),
            heard_us: AtomicI64::new(i64::MIN),
            since_us: AtomicI64::new(i64::MIN),
            catalog: watch::Sender::new(None),
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

    /// Waits for the catalogue.
    pub(super) async fn catalog(&self) -> Vec<StreamInfo> {
        let mut catalog = self.catalog.subscribe();
        match catalog.wait_for(Option::is_some).await {
            Ok(streams) => streams.clone().unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    fn hear(&self, message: Message) {
        self.heard_us.store(now().0, Ordering::Relaxed);
        match message {
            Message::Pong(_) => {
                self.clock_tried.send_replace(true);
            }
            Message::Catalog(catalog) => {
                self.catalog.send_replace(Some(catalog.streams));
            }
            other => tracing::debug!(kind = other.kind(), "unexpected on the control connection"),
        }
    }
}

/// Keeps control connections, one after another, for as long as it is polled.
///
/// A connection is lost while the view goes on when a laptop changes its network, or the server ran
/// out of places: without another, the server's clock could only be guessed on.
pub(super) async fn keep(address: &str, peer: &Peer, mut backoff: Backoff) {
    loop {
        let before = peer.heard();
        let error = once(address, peer).await;
        tracing::debug!("no control connection: {error}");
        peer.clock_tried.send_replace(true);
        if peer.heard() != before {
            backoff.reset();
        }
        backoff.wait().await;
    }
}

/// Keeps a control connection until it fails; gives why.
async fn once(address: &str, peer: &Peer) -> SessionError {
    let mut dialled = match dial(address, Role::Control, None, AGENT).await {
        Ok(dialled) => dialled,
        Err(error) => return error.into(),
    };
    if peer.heard().is_some() {
        peer.since_us.store(now().0, Ordering::Relaxed);
    }
    let failed = |error: ConnError| SessionError::Connection { address: address.to_owned(), error };
    if let Err(error) = dialled.writer.write(&Message::List(List { follow: false })).await {
        return failed(error);
    }
    failed(keep_clock(&mut dialled, &peer.clock, |message| peer.hear(message)).await)
}

/// Asks a server what it offers, without watching anything.
pub async fn catalog(address: &str) -> Result<Vec<StreamInfo>, SessionError> {
    let peer = Arc::new(Peer::new());
    tokio::select! {
        streams = peer.catalog() => Ok(streams),
        error = once(address, &peer) => Err(error),
    }
}
