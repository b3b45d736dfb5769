//! Rooms: people who watch a stream together, kept by this relay.
//!
//! ```text
//! rules   a room as a value: what comes in at which moment, what comes out. Pure
//! task    the owner of one room: members in, members out, timers
//! seat    one control connection among rooms
//! lobby   codes and rooms, who may make one
//! guard   who guesses codes and PINs is slowed and cut off. Pure
//! pin     PINs as hashes
//! store   rooms on a disk; keeper: what one room has written there
//! ```

mod guard;
mod keeper;
mod lobby;
mod pin;
pub mod rules;
mod seat;
mod store;
mod task;

pub use lobby::Lobby;
pub use store::Error;

/// How rooms are kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most members of a room.
    pub size: usize,
    /// Most rooms.
    pub rooms: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { size: 50, rooms: proto::limits::ROOMS }
    }
}
