//! Rooms: people who watch a stream together, kept by this relay.
//!
//! ```text
//! rules   a room as a value: what comes in at which moment, what comes out. Pure
//! task    the owner of one room: members in, members out, timers
//! seat    one control connection among rooms
//! lobby   codes and rooms, who may make one
//! shown   what a room watches
//! pin     PINs as hashes
//! store   rooms on a disk; keeper: what one room has written there
//! hook    another program is told of what happens
//! ```

mod hook;
mod keeper;
mod lobby;
mod pin;
pub mod rules;
mod seat;
mod shown;
mod store;
mod task;

use std::path::PathBuf;

pub use lobby::Lobby;

/// How rooms are kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most members of a room.
    pub size: usize,
    /// Most rooms.
    pub rooms: usize,
    /// Where they are kept; `None`: in memory.
    pub file: Option<PathBuf>,
    /// Who is told by HTTP that a room opened or somebody joined.
    pub announce_url: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { size: 50, rooms: proto::limits::ROOMS, file: None, announce_url: None }
    }
}

/// Why rooms cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Another program cannot be told.
    #[error(transparent)]
    Hook(#[from] hook::Error),
}
