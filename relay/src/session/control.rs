//! A control connection: the clock and the catalogue.

use std::time::Duration;

use bytes::Bytes;
use proto::conn::{ConnError, now};
use proto::message::{Catalog, Pong};
use proto::recording::Poster;
use proto::{Message, limits};
use tokio::time::{Instant, timeout};

use super::{End, Peer};
use crate::node::Node;

/// A follower gets the catalogue at most this often, however fast it changes.
const CATALOGUE_PAUSE: Duration = Duration::from_millis(100);
/// A poster that takes longer is none.
const POSTER: Duration = Duration::from_secs(1);

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
                    peer.write(&poster(node, wanted.stream).await).await?;
                }
                other => {
                    return Err(ConnError::OutOfOrder { got: other.kind(), expected: "Ping or List" }.into());
                }
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

/// The picture of a stream; an empty one if there is none, or not in time for the next ping.
async fn poster(node: &Node, stream: String) -> Message {
    let recording = node.stream(&stream).and_then(|stream| stream.recording());
    let jpeg = match recording {
        Some(recording) => timeout(POSTER, recording.poster()).await.unwrap_or_default(),
        None => Bytes::new(),
    };
    let jpeg = if jpeg.len() <= limits::POSTER { jpeg.to_vec() } else { Vec::new() };
    Message::Poster(Poster { stream, jpeg: jpeg.into() })
}

fn catalogue(node: &Node) -> Message {
    Message::Catalog(Catalog { streams: node.catalogue() })
}
