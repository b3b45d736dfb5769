//! A control connection: the clock, the catalogue, and the way to rooms.

use std::time::Duration;

use bytes::Bytes;
use proto::conn::{ConnError, now};
use proto::message::{Catalog, Pong};
use proto::{CloseCode, Message, limits};
use tokio::time::Instant;

use super::{End, Peer, beside};
use crate::node::Node;
use crate::rooms::{self, Seat};

/// A follower gets the catalogue at most this often, however fast it changes.
const CATALOGUE_PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn run(node: &Node, peer: &mut Peer) -> End {
    match talk(node, peer).await {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

async fn talk(node: &Node, peer: &mut Peer) -> Result<std::convert::Infallible, End> {
    let mut changes = node.catalogue_changes();
    let mut following = false;
    let mut not_before = Instant::now();
    let mut heard = Instant::now();
    let mut seat = None;
    loop {
        let changed = async {
            tokio::time::sleep_until(not_before).await;
            changes.changed().await
        };
        tokio::select! {
            // Pings come four times a second: silence means the peer is gone.
            () = tokio::time::sleep_until(heard + limits::CONTROL_IDLE) => {
                return Err(ConnError::Timeout(limits::CONTROL_IDLE).into());
            }
            message = peer.reader.read() => match message? {
                Message::Ping(ping) => {
                    heard = Instant::now();
                    let received_us = now();
                    let pong = Pong { ping_sent_us: ping.sent_us, received_us, sent_us: now() };
                    peer.write(&Message::Pong(pong)).await?;
                }
                Message::List(list) => {
                    heard = Instant::now();
                    following = list.follow;
                    changes.mark_unchanged();
                    peer.write(&catalogue(node)).await?;
                }
                Message::PosterWanted(wanted) => {
                    heard = Instant::now();
                    peer.write(&beside::poster(node, wanted.stream).await).await?;
                }
                Message::SubtitlesWanted(wanted) => {
                    peer.write(&beside::subtitles(node, wanted.stream).await).await?;
                    heard = Instant::now();
                }
                Message::SubtitleWanted(wanted) => {
                    peer.write(&beside::subtitle(node, wanted).await).await?;
                    heard = Instant::now();
                }
                Message::ListRooms => {
                    heard = Instant::now();
                    let rooms = node.rooms().map(|rooms| rooms.list()).unwrap_or_default();
                    peer.write(&Message::Rooms(rooms)).await?;
                }
                message if rooms::is_of_rooms(&message) => {
                    heard = Instant::now();
                    say(node, peer, &mut seat, message).await?;
                }
                other => {
                    return Err(ConnError::OutOfOrder { got: other.kind(), expected: "Ping or List" }.into());
                }
            },
            told = hear(&mut seat) => match told {
                Some(messages) => peer.write_raw(&messages).await?,
                None => return Err(stalled("what happened in its room was not taken in time")),
            },
            changed = changed, if following => {
                if changed.is_err() {
                    return Err(End::Gone);
                }
                not_before = Instant::now() + CATALOGUE_PAUSE;
                peer.write(&catalogue(node)).await?;
            }
        }
    }
}

/// Passes on what the peer says of rooms; it gets a seat with its first word.
async fn say(
    node: &Node,
    peer: &mut Peer,
    seat: &mut Option<Seat>,
    message: Message,
) -> Result<(), End> {
    let Some(rooms) = node.rooms() else {
        let wants_in = matches!(message, Message::CreateRoom(_) | Message::EnterRoom(_));
        return if wants_in { peer.write(&rooms::none_here()).await } else { Ok(()) };
    };
    let seat = seat.get_or_insert_with(|| rooms.connect(node, &peer.name));
    // Waiting for its place here would hold up the pings behind it.
    seat.say.try_send(message).map_err(|_| stalled("more was said of rooms than can be heard"))
}

async fn hear(seat: &mut Option<Seat>) -> Option<Bytes> {
    match seat {
        Some(seat) => seat.hear.recv().await,
        None => std::future::pending().await,
    }
}

fn stalled(reason: &str) -> End {
    End::Refuse(CloseCode::Stalled, reason.to_owned())
}

fn catalogue(node: &Node) -> Message {
    Message::Catalog(Catalog { streams: node.catalogue() })
}
