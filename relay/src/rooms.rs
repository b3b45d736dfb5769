//! The door between sessions and whoever keeps rooms. The relay knows none of their rules: it passes
//! on what a control connection says of rooms, and what it is told.

use bytes::Bytes;
use proto::Message;
use proto::room::{Refusal, Refused, RoomCode, RoomLine};
use tokio::sync::mpsc;

use crate::node::Node;

/// Whoever keeps rooms.
pub trait Rooms: Send + Sync + 'static {
    /// A control connection of `peer` (an address and a port) to `node` says its first word of rooms.
    fn connect(&self, node: &Node, peer: &str) -> Seat;

    /// The rooms that are not private.
    fn list(&self) -> Vec<RoomLine>;

    /// One of them, private or not.
    fn find(&self, code: RoomCode) -> Option<RoomLine>;

    /// Closes it, whoever is in it; they are told the reason.
    fn close(&self, code: RoomCode, reason: &str);
}

/// A control connection as whoever keeps rooms sees it. It is over when either end is dropped.
#[derive(Debug)]
pub struct Seat {
    /// What the connection says of rooms. One that says more than it takes is closed.
    pub say: mpsc::Sender<Message>,
    /// What it is told: whole messages as they are on the wire.
    pub hear: mpsc::Receiver<Bytes>,
}

/// Whether a message is about a room and goes through a [`Seat`].
pub(crate) fn is_of_rooms(message: &Message) -> bool {
    matches!(
        message,
        Message::CreateRoom(_)
            | Message::EnterRoom(_)
            | Message::LeaveRoom
            | Message::Report(_)
            | Message::Remote(_)
            | Message::Say(_)
            | Message::RoomAct(_)
    )
}

/// What a node without rooms answers.
#[must_use]
pub fn none_here() -> Message {
    let reason = "no rooms are kept here; connect to a relay (cache-server) that keeps some";
    Message::Refused(Refused { why: Refusal::NoRooms, reason: reason.to_owned() })
}
