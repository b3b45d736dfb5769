//! A recording on a viewer's connection: its index, then the segments that are asked for.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;

use proto::conn::ConnError;
use proto::message::Message;
use proto::recording::{Fetch, Index, NoSegment, Segment};
use proto::stream::fitting_text;
use proto::{CloseCode, limits};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{End, Peer, shutting_down};
use crate::listen::NOT_SENT;
use crate::node::{Node, Place};
use crate::recording::{Answer, Missing, Piece, Recording};
use crate::source::Stream;

/// Unsent bytes the kernel may hold for the viewer of a recording: they are pages of a file that is
/// in memory anyway, and a segment is sent in a quarter of the turns.
const NOT_SENT_RECORDED: u32 = 1 << 20;

/// Serves the recording of `stream` until the viewer has had enough.
pub(super) async fn run(
    node: &Node,
    peer: &mut Peer,
    stream: &Arc<Stream>,
    _place: Place,
) -> Result<(), End> {
    set_most_unsent(peer, NOT_SENT_RECORDED);
    let ended = talk(node, peer, stream).await;
    set_most_unsent(peer, NOT_SENT);
    ended
}

fn set_most_unsent(peer: &mut Peer, bytes: u32) {
    if let Some(outlet) = peer.outlet.as_deref_mut() {
        outlet.set_most_unsent(bytes);
    }
}

async fn talk(node: &Node, peer: &mut Peer, stream: &Arc<Stream>) -> Result<(), End> {
    let Some(recording) = stream.recording() else {
        let reason = format!("'{}' is live only, there is nothing recorded of it", stream.name);
        return Err(End::Refuse(CloseCode::NoSuchStream, reason));
    };
    let _attending = stream.attend();
    if !open(node, peer, recording.as_ref()).await? {
        return peer.write(&Message::End).await;
    }
    let _watched = recording.attend();
    let mut index = recording.index();
    let mut told = Told::default();
    told.tell(peer, &mut index).await?;
    let mut wanted: VecDeque<Fetch> = VecDeque::new();
    let mut coming: Option<Answer<'_>> = None;
    loop {
        // A change is told before anything of the new content is given out.
        if index.has_changed().unwrap_or(false) {
            told.tell(peer, &mut index).await?;
        }
        if coming.is_none()
            && let Some(fetch) = wanted.front()
        {
            coming = Some(if Some(fetch.id) == told.id() {
                recording.segment(fetch.segment)
            } else {
                let reason = "the recording has changed".to_owned();
                Box::pin(std::future::ready(Err(Missing::Gone(reason))))
            });
        }
        tokio::select! {
            message = peer.reader.read() => match message? {
                Message::Fetch(_) if wanted.len() >= limits::FETCHES => {
                    let reason = format!("more than {} segments at a time", limits::FETCHES);
                    return Err(End::Refuse(CloseCode::OutOfOrder, reason));
                }
                Message::Fetch(fetch) => wanted.push_back(fetch),
                Message::Unsubscribe => return peer.write(&Message::End).await,
                Message::KeyFrameWanted => {}
                other => {
                    let got = other.kind();
                    return Err(ConnError::OutOfOrder { got, expected: "Fetch or Unsubscribe" }.into());
                }
            },
            changed = index.changed() => {
                if changed.is_err() {
                    let reason = format!("'{}' is not offered any more", stream.name);
                    return Err(End::Refuse(CloseCode::NoSuchStream, reason));
                }
                told.tell(peer, &mut index).await?;
            }
            piece = arrival(&mut coming) => {
                coming = None;
                if let Some(fetch) = wanted.pop_front() {
                    send(node, peer, fetch.segment, piece).await?;
                }
            }
            () = node.stopped() => return Err(shutting_down()),
        }
    }
}

/// Waits for the index; `false` if the viewer does not want to wait any more.
async fn open(node: &Node, peer: &mut Peer, recording: &dyn Recording) -> Result<bool, End> {
    let patience = node.limits().start;
    let mut opening = Box::pin(timeout(patience, recording.open()));
    loop {
        tokio::select! {
            opened = &mut opening => return match opened {
                Ok(Ok(())) => Ok(true),
                Ok(Err(missing)) => Err(End::Refuse(CloseCode::Unavailable, missing.to_string())),
                Err(_) => {
                    let reason = format!("it did not open within {} s", patience.as_secs());
                    Err(End::Refuse(CloseCode::Unavailable, reason))
                }
            },
            message = peer.reader.read() => match message? {
                Message::Unsubscribe => return Ok(false),
                Message::KeyFrameWanted => {}
                other => {
                    let got = other.kind();
                    return Err(ConnError::OutOfOrder { got, expected: "Unsubscribe" }.into());
                }
            },
            () = node.stopped() => return Err(shutting_down()),
        }
    }
}

/// What the viewer knows of the index.
#[derive(Default)]
struct Told(Option<Arc<Index>>);

impl Told {
    fn id(&self) -> Option<proto::recording::RecordingId> {
        self.0.as_ref().map(|index| index.id)
    }

    /// Tells what is new: all of it, or what was added.
    async fn tell(
        &mut self,
        peer: &mut Peer,
        index: &mut watch::Receiver<Option<Arc<Index>>>,
    ) -> Result<(), End> {
        let Some(now) = index.borrow_and_update().clone() else { return Ok(()) };
        let known = self.0.as_ref().filter(|told| told.id == now.id);
        let next = known.map(|told| told.first + told.segments.len() as u64);
        let skip = next.map_or(0, |next| next.saturating_sub(now.first));
        let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(now.segments.len());
        let news = Index {
            first: now.first + skip as u64,
            segments: now.segments[skip..].to_vec(),
            ..(*now).clone()
        };
        peer.write(&Message::Index(news)).await?;
        self.0 = Some(now);
        Ok(())
    }
}

async fn arrival(coming: &mut Option<Answer<'_>>) -> Result<Arc<Piece>, Missing> {
    match coming {
        Some(coming) => coming.await,
        None => std::future::pending().await,
    }
}

/// Answers a fetch.
async fn send(
    node: &Node,
    peer: &mut Peer,
    number: u64,
    piece: Result<Arc<Piece>, Missing>,
) -> Result<(), End> {
    let piece = match piece {
        Ok(piece) => piece,
        Err(missing) => {
            let later = matches!(missing, Missing::Later(_));
            let reason = fitting_text(&missing.to_string());
            return peer.write(&Message::NoSegment(NoSegment { number, later, reason })).await;
        }
    };
    let head = Segment { number, bytes: piece.bytes(), digest: piece.digest() };
    peer.write(&Message::Segment(head)).await?;
    let Some(outlet) = peer.outlet.as_deref_mut() else { return Err(End::Gone) };
    let mut sent = 0;
    while sent < piece.bytes() as usize {
        let left = piece.bytes() as usize - sent;
        let at = piece.offset + sent as u64;
        let send = poll_fn(|cx| outlet.poll_send(cx, &piece.store, at, left));
        match timeout(node.limits().stall, send).await {
            // A file that was cut after it was verified: what is missing cannot be sent.
            Ok(Ok(0)) => return Err(End::Gone),
            Ok(Ok(more)) => sent += more,
            Ok(Err(_)) => return Err(End::Gone),
            Err(_) => {
                let stall = node.limits().stall.as_secs();
                tracing::info!("{}: closed, nothing was taken for {stall} s", peer.name);
                return Err(End::Gone);
            }
        }
    }
    Ok(())
}
