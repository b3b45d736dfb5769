//! Refusals, each one sentence with a way out.

use proto::Message;
use proto::room::{LeftRoom, Refusal, Refused};
use proto::stream::fitting_text;

/// A refusal.
#[must_use]
pub fn refusal(why: Refusal, reason: &str) -> Refused {
    Refused { why, reason: fitting_text(reason) }
}

/// A refusal as a message.
#[must_use]
pub fn refused(why: Refusal, reason: &str) -> Message {
    Message::Refused(refusal(why, reason))
}

/// The end of somebody's time in a room.
#[must_use]
pub fn left(for_good: bool, reason: &str) -> Message {
    Message::LeftRoom(LeftRoom { for_good, reason: fitting_text(reason) })
}

/// There is no room of that code.
#[must_use]
pub fn unknown_room(code: &str) -> Message {
    let reason = format!(
        "there is no room {code} here (any more); check the code, or see the open rooms with --rooms"
    );
    refused(Refusal::UnknownRoom, &reason)
}

/// The PIN is wrong, or missing.
#[must_use]
pub fn wrong_pin(given: bool) -> Message {
    let reason = if given {
        "the PIN is wrong; ask who invited you for the right one"
    } else {
        "this room asks for a PIN; give it with --pin"
    };
    refused(Refusal::WrongPin, reason)
}

/// Somebody guessed too often.
#[must_use]
pub fn too_many_tries() -> Message {
    let reason = "too many wrong codes or PINs came from your address; try again in 10 minutes";
    refused(Refusal::TooManyTries, reason)
}

/// `away`: whoever has it lost the connection.
pub(super) fn name_taken(name: &str, away: bool) -> Message {
    let taken = if away {
        "has lost the connection, and the name is kept for ten minutes"
    } else {
        "is in the room"
    };
    let reason = format!("somebody called {name} {taken}; choose another name with --name");
    refused(Refusal::NameTaken, &reason)
}

pub(super) fn full(size: usize) -> Message {
    let reason = format!("the room is full: it takes {size} members; try again when somebody left");
    refused(Refusal::Full, &reason)
}

/// `away`: the host has lost the connection.
pub(super) fn not_host(host: &str, away: bool) -> Message {
    let reason = if away {
        format!(
            "only the host may do that, and {host} has lost the connection; somebody else \
             becomes host within half a minute"
        )
    } else {
        format!("only the host ({host}) may do that; ask to be host with /ask")
    };
    refused(Refusal::NotHost, &reason)
}

pub(super) fn denied(host: &str) -> Message {
    let reason = format!("{host} stays host for now");
    refused(Refusal::NotHost, &reason)
}

pub(super) fn too_fast() -> Message {
    refused(Refusal::TooFast, "not so fast; wait a moment and try again")
}

pub(super) fn not_there(what: &str) -> Message {
    refused(Refusal::NotThere, &format!("{what}; /members shows who is there"))
}
