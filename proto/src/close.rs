//! Why a connection ended: a stable number for programs and a sentence for people.

use std::fmt;

/// Numbers never change their meaning; a retired one stays reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// Done; nothing went wrong.
    Done = 0,
    /// The peer is being shut down; try again later.
    ShuttingDown = 1,
    /// The bytes are those of another protocol (HTTP, TLS, ...).
    WrongProtocol = 2,
    /// No version in common.
    UnsupportedVersion = 3,
    /// A message that may not stand here.
    OutOfOrder = 4,
    /// A body that cannot be read, has bytes left over, or a field outside its bounds.
    Malformed = 5,
    /// A length above its limit.
    TooLarge = 6,
    /// The hello did not come in time.
    HandshakeTimeout = 7,
    /// Nothing was heard for longer than the idle deadline.
    IdleTimeout = 8,
    /// The peer does not read what it asked for.
    Stalled = 9,
    /// A token is needed, or the one given is wrong.
    Unauthorized = 10,
    /// There is no stream of that name.
    NoSuchStream = 11,
    /// No name was given and there is more than one stream.
    AmbiguousStream = 12,
    /// The name to publish under is taken.
    NameTaken = 13,
    /// The node has as many viewers as it may.
    TooManyViewers = 14,
    /// The peer's address has as many connections as it may.
    TooManyConnections = 15,
    /// The node's memory for logs is used up.
    OutOfMemory = 16,
    /// The stream exists but its source did not start in time.
    Unavailable = 17,
    /// Something failed in the node itself.
    Internal = 18,
}

impl CloseCode {
    /// All codes, in the order of their numbers.
    pub const ALL: [Self; 19] = [
        Self::Done,
        Self::ShuttingDown,
        Self::WrongProtocol,
        Self::UnsupportedVersion,
        Self::OutOfOrder,
        Self::Malformed,
        Self::TooLarge,
        Self::HandshakeTimeout,
        Self::IdleTimeout,
        Self::Stalled,
        Self::Unauthorized,
        Self::NoSuchStream,
        Self::AmbiguousStream,
        Self::NameTaken,
        Self::TooManyViewers,
        Self::TooManyConnections,
        Self::OutOfMemory,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The number that travels.
    #[must_use]
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The code of a number, if this version knows it.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether dialling again later can help: false for what only the user can change.
    #[must_use]
    pub fn worth_retrying(self) -> bool {
        matches!(
            self,
            Self::ShuttingDown
                | Self::IdleTimeout
                | Self::HandshakeTimeout
                | Self::Stalled
                | Self::OutOfMemory
                | Self::TooManyConnections
                | Self::Unavailable
                | Self::Internal
        )
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::ShuttingDown => "the other side is shutting down",
            Self::WrongProtocol => "another protocol is spoken here",
            Self::UnsupportedVersion => "no protocol version in common",
            Self::OutOfOrder => "a message out of order",
            Self::Malformed => "a malformed message",
            Self::TooLarge => "a message over its size limit",
            Self::HandshakeTimeout => "the hello did not come in time",
            Self::IdleTimeout => "nothing was heard for too long",
            Self::Stalled => "the stream was not read",
            Self::Unauthorized => "not authorised",
            Self::NoSuchStream => "no such stream",
            Self::AmbiguousStream => "several streams, none chosen",
            Self::NameTaken => "the name is taken",
            Self::TooManyViewers => "too many viewers",
            Self::TooManyConnections => "too many connections from one address",
            Self::OutOfMemory => "the memory for streams is used up",
            Self::Unavailable => "the stream's source did not start",
            Self::Internal => "an internal failure",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_its_number() {
        for code in CloseCode::ALL {
            assert_eq!(CloseCode::from_number(code.number()), Some(code));
        }
        assert_eq!(CloseCode::from_number(CloseCode::ALL.len() as u16), None);
    }
}
