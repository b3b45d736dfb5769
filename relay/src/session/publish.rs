//! A peer that dialled us to offer a stream: from here on we are its viewer.

use proto::conn::ConnError;
use proto::{CloseCode, Message, limits};

use super::{End, Peer};
use crate::node::Node;
use crate::source::{Facts, Source};
use crate::upstream::receive::{Receiver, Restamp};

/// A pushed stream whose publisher is away; its viewers hold the picture.
pub(crate) struct Parked {
    source: Source,
    receiver: Receiver,
    /// Tells this parking from later ones.
    ticket: u64,
}

/// Whether this node takes pushes, and from whom.
pub(super) fn authorise(node: &Node, token: Option<&str>) -> Result<(), End> {
    let refuse = |reason: &str| Err(End::Refuse(CloseCode::Unauthorized, reason.to_owned()));
    match (node.publish_token(), token) {
        (None, _) => refuse("pushed streams are not taken here (--publish-token allows them)"),
        (Some(_), None) => refuse("a token is needed to push a stream here (--token)"),
        (Some(right), Some(given)) if same(right.as_bytes(), given.as_bytes()) => Ok(()),
        (Some(_), Some(_)) => refuse("the token is wrong"),
    }
}

/// Compares without saying by its duration where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

pub(super) async fn run(node: &Node, peer: &mut Peer) -> End {
    match publish(node, peer).await {
        Ok(()) => End::Gone,
        Err(end) => end,
    }
}

async fn publish(node: &Node, peer: &mut Peer) -> Result<(), End> {
    let info = match peer.reader.read_within(limits::HANDSHAKE).await? {
        Message::Publish(info) => info,
        other => {
            return Err(ConnError::OutOfOrder { got: other.kind(), expected: "Publish" }.into());
        }
    };
    if info.path.contains(&node.id()) || info.path.len() >= limits::PATH {
        let reason = "this stream comes from here: pushing it back would make a loop".to_owned();
        return Err(End::Refuse(CloseCode::NameTaken, reason));
    }
    let facts = Facts {
        title: info.title.clone(),
        live: info.live,
        summary: info.summary.clone(),
        path: [&info.path[..], &[node.id()]].concat(),
        held: false,
    };
    let parked = node.parked().remove(&info.name);
    let (source, mut receiver) = match parked {
        Some(parked) => {
            // It may be another one that has the name now.
            parked.source.stream().update(facts);
            (parked.source, parked.receiver)
        }
        None => {
            let source = node.add(&info.name, facts, None).map_err(|error| {
                End::Refuse(CloseCode::NameTaken, format!("{error}; choose another --name"))
            })?;
            (source, Receiver::new(Restamp::fixed()))
        }
    };
    source.always_wanted();
    tracing::info!("{}: publishes '{}'", peer.name, info.name);
    let end = loop {
        let served = tokio::select! {
            served = receiver.follow(node, peer, &source, &info.name) => served,
            () = node.stopped() => return Err(super::shutting_down()),
        };
        match served {
            Ok(()) => {}
            Err(end) => break end,
        }
    };
    park(node, source, receiver);
    Err(end)
}

/// Keeps the stream for its publisher to come back, for a while.
fn park(node: &Node, source: Source, mut receiver: Receiver) {
    receiver.hold("its publisher is away");
    let name = source.name().to_owned();
    tracing::info!("'{name}': its publisher is away");
    let ticket = rand::random();
    node.parked().insert(name.clone(), Parked { source, receiver, ticket });
    let node = node.clone();
    tokio::spawn(async move {
        tokio::time::sleep(node.limits().publisher_grace).await;
        let mut parked = node.parked();
        if parked.get(&name).is_some_and(|parked| parked.ticket == ticket) {
            // Dropped after the lock is given back: it tells the catalogue and the viewers.
            let gone = parked.remove(&name);
            drop(parked);
            drop(gone);
        }
    });
}
