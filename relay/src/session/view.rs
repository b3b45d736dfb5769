//! A viewer's connection: one stream at a time, until it has seen enough.

use std::sync::{Arc, Mutex};

use proto::clock::Filter;
use proto::conn::ConnError;
use proto::message::{ClockOffset, Subscribe};
use proto::recording::Open;
use proto::{CloseCode, Message, limits};
use tokio::time::timeout;

use super::{End, Peer, recorded, shutting_down};
use crate::cursor::{Control, Outcome, Viewer};
use crate::log::Start;
use crate::node::{Node, Place};
use crate::source::{Joined, Stream};

/// A viewer that buffers so much may be served in bunches of a quarter of it, but not longer ones.
const LONGEST_BUNCH_US: i64 = 250_000;

/// Serves subscriptions to their end. `only` is the stream of a connection on which this node
/// publishes: whatever the other side calls it, it gets that one.
pub(crate) async fn run(node: &Node, peer: &mut Peer, only: Option<&Publishing>) -> End {
    let mut next = None;
    loop {
        next = match Box::pin(subscription(node, peer, only, next.take())).await {
            Ok(next) => next,
            Err(end) => return end,
        };
    }
}

/// A viewer that has heard the end may subscribe before this session has: it has so long to.
const END_CROSSING: std::time::Duration = std::time::Duration::from_secs(1);

/// The stream a node publishes on a connection, and the ear of whoever serves it.
pub(crate) struct Publishing {
    pub(crate) stream: Arc<Stream>,
    /// The receiver's clock.
    pub(crate) clock: Mutex<Filter>,
    /// The control of the viewer being served, for messages to it alone.
    current: Mutex<Option<Arc<Control>>>,
}

impl Publishing {
    pub(crate) fn new(stream: Arc<Stream>) -> Self {
        Self { stream, clock: Mutex::default(), current: Mutex::default() }
    }

    /// What the receiver adds to our stamps to get its own: its clock minus ours.
    pub(crate) fn clock_offset(&self) -> Message {
        let now = proto::conn::now();
        let offset = self.clock.lock().unwrap_or_else(|e| e.into_inner()).offset(now);
        Message::ClockOffset(ClockOffset { offset_us: offset.unwrap_or_default() })
    }

    /// Tells the receiver our clock, if it receives.
    pub(crate) fn tell_clock(&self) {
        let current = self.current.lock().unwrap_or_else(|e| e.into_inner()).clone();
        if let Some(current) = current {
            current.post(&self.clock_offset());
        }
    }

    /// Makes a viewer the one that is told the clock, from its first packet on until it is done.
    fn list(&self, control: Arc<Control>) -> Listed<'_> {
        *self.current.lock().unwrap_or_else(|e| e.into_inner()) = Some(control);
        self.tell_clock();
        Listed(self)
    }
}

struct Listed<'a>(&'a Publishing);

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        *self.0.current.lock().unwrap_or_else(|e| e.into_inner()) = None;
    }
}

/// Serves a subscription: `early`, or the next that is read. Gives the one that came meanwhile.
async fn subscription(
    node: &Node,
    peer: &mut Peer,
    only: Option<&Publishing>,
    early: Option<Subscribe>,
) -> Result<Option<Subscribe>, End> {
    let wanted = match early {
        Some(early) => Wish::Live(early),
        None => wish(node, peer, only.is_some()).await?,
    };
    let place = node.take_place().ok_or_else(|| full(node))?;
    let name = match &wanted {
        Wish::Live(subscribe) => subscribe.stream.as_deref(),
        Wish::Recorded(open) => open.stream.as_deref(),
    };
    let stream = match only {
        Some(publishing) => publishing.stream.clone(),
        None => find(node, name)?,
    };
    let wanted = match wanted {
        Wish::Live(wanted) if !stream.is_only_recorded() => wanted,
        _ => return recorded::run(node, peer, &stream, place).await.map(|()| None),
    };
    let Some(joined) = wait_for_run(node, peer, &stream).await? else {
        return peer.write(&Message::End).await.map(|()| None);
    };
    let control = Arc::new(Control::default());
    let _listed = only.map(|publishing| publishing.list(control.clone()));
    watch(node, peer, joined, &wanted, control, place).await
}

/// What a viewer asks for.
enum Wish {
    Live(Subscribe),
    Recorded(Open),
}

/// Waits for a viewer to ask for something; not for ever, unless it is a relay that we publish to,
/// which asks when somebody there watches.
async fn wish(node: &Node, peer: &mut Peer, is_publishing: bool) -> Result<Wish, End> {
    let patience = if is_publishing { std::time::Duration::MAX } else { limits::VIEW_IDLE };
    let mut idle = Box::pin(tokio::time::sleep(patience));
    loop {
        let message = tokio::select! {
            message = peer.reader.read() => message?,
            () = &mut idle => return Err(ConnError::Timeout(patience).into()),
            () = node.stopped() => return Err(shutting_down()),
        };
        match message {
            Message::Subscribe(wanted) => return Ok(Wish::Live(wanted)),
            Message::Open(open) if !is_publishing => return Ok(Wish::Recorded(open)),
            // Either may have crossed with the end of the stream.
            Message::Unsubscribe | Message::KeyFrameWanted => {}
            other => {
                let expected = "Subscribe or Open";
                return Err(ConnError::OutOfOrder { got: other.kind(), expected }.into());
            }
        }
    }
}

fn full(node: &Node) -> End {
    let reason = format!(
        "{} viewers are watching here, the most this node takes (--max-viewers raises it)",
        node.limits().viewers
    );
    End::Refuse(CloseCode::TooManyViewers, reason)
}

fn find(node: &Node, wanted: Option<&str>) -> Result<Arc<Stream>, End> {
    let names = || {
        let names: Vec<String> = node.catalogue().into_iter().map(|info| info.name).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    match wanted {
        Some(name) => node.stream(name).ok_or_else(|| {
            let reason = format!("there is no stream named '{name}' here; there are: {}", names());
            End::Refuse(CloseCode::NoSuchStream, reason)
        }),
        None => node.only_stream().map_err(|count| match count {
            0 => End::Refuse(CloseCode::NoSuchStream, "there is no stream here yet".to_owned()),
            _ => {
                let reason = format!("there are several streams, choose one of: {}", names());
                End::Refuse(CloseCode::AmbiguousStream, reason)
            }
        }),
    }
}

/// Waits for the stream's source to start; `None` when the peer does not want to wait any more.
async fn wait_for_run(
    node: &Node,
    peer: &mut Peer,
    stream: &Arc<Stream>,
) -> Result<Option<(Joined, Start)>, End> {
    let patience = node.limits().start;
    let mut joining = Box::pin(timeout(patience, stream.join()));
    loop {
        tokio::select! {
            joined = &mut joining => {
                let unavailable = || {
                    let reason = format!(
                        "the source of '{}' has not started within {} s; it may be away, try again later",
                        stream.name, patience.as_secs()
                    );
                    End::Refuse(CloseCode::Unavailable, reason)
                };
                return joined.ok().flatten().map(Some).ok_or_else(unavailable);
            }
            message = peer.reader.read() => match message? {
                Message::Unsubscribe => return Ok(None),
                Message::KeyFrameWanted => {}
                other => return Err(out_of_order(&other)),
            },
            () = node.stopped() => return Err(shutting_down()),
        }
    }
}

struct Leash(Arc<Control>);

impl Drop for Leash {
    fn drop(&mut self) {
        self.0.kill();
    }
}

fn out_of_order(message: &Message) -> End {
    ConnError::OutOfOrder { got: message.kind(), expected: "Unsubscribe or KeyFrameWanted" }.into()
}

/// Hands the socket to the fan-out and listens to the viewer until one of them is done.
async fn watch(
    node: &Node,
    peer: &mut Peer,
    (joined, start): (Joined, Start),
    wanted: &Subscribe,
    control: Arc<Control>,
    _place: Place,
) -> Result<Option<Subscribe>, End> {
    let run = joined.run();
    let outlet = peer.outlet.take().ok_or(End::Gone)?;
    let bunch_us = (i64::from(wanted.buffer_us) / 4).min(LONGEST_BUNCH_US);
    let viewer = Viewer::new(run.log.clone(), start, outlet, control.clone(), bunch_us);
    // Should this session be dropped, the fan-out must not serve a viewer nobody listens to.
    let _leash = Leash(control.clone());
    let Some(mut done) = run.fanout.serve(viewer).await else { return Err(End::Gone) };
    let (mut end, mut next) = (None, None);
    let outcome = loop {
        tokio::select! {
            outcome = &mut done => break outcome,
            () = tokio::time::sleep(END_CROSSING), if next.is_some() && end.is_none() => {
                end = next.take().map(|next| out_of_order(&Message::Subscribe(next)));
                control.leave();
            }
            message = peer.reader.read(), if end.is_none() && next.is_none() => match message {
                Ok(Message::Subscribe(wanted)) => next = Some(wanted),
                Ok(Message::Unsubscribe) => {
                    control.leave();
                }
                Ok(Message::KeyFrameWanted) => run.log.want_key_frame(),
                Ok(other) => {
                    end = Some(out_of_order(&other));
                    control.leave();
                }
                Err(error) => {
                    end = Some(End::from(error));
                    match end {
                        Some(End::Gone) => control.kill(),
                        _ => control.leave(),
                    }
                }
            },
            () = node.stopped(), if end.is_none() => {
                end = Some(shutting_down());
                control.leave();
            }
        }
    };
    let Ok((outlet, outcome)) = outcome else { return Err(End::Gone) };
    peer.outlet = Some(outlet);
    match (end, outcome) {
        (Some(end), _) => Err(end),
        (None, Outcome::Ended) => Ok(next),
        (None, Outcome::Left) => peer.write(&Message::End).await.map(|()| next),
        (None, Outcome::Stalled) => {
            let reason =
                format!("nothing of the stream was taken for {} s", node.limits().stall.as_secs());
            tracing::info!("{}: closed, {reason}", peer.name);
            // In the middle of a message there is no place for a word.
            Err(End::Gone)
        }
        (None, Outcome::Broken) => Err(End::Gone),
    }
}
