//! Who is in a room, how it goes for them, and what a host does.

use serde::{Deserialize, Serialize};

use super::OwnCopy;
use crate::limits;
use crate::stream::{OutOfBounds, check, is_valid_name};

/// Who is in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// The host's number.
    pub host: u32,
    /// Who made the room, and may take it back.
    pub owner: u32,
    /// In the order they came.
    pub members: Vec<Member>,
}

impl Members {
    pub(crate) fn validate(&self) -> Result<(), OutOfBounds> {
        check("the number of members", self.members.len() <= limits::MEMBERS)?;
        let named = |member: &Member| is_valid_member(&member.name);
        check("a member's name", self.members.iter().all(named))
    }
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Never given twice in a room.
    pub id: u32,
    /// What to call it.
    pub name: String,
    /// Its connection is there; one that went is expected back for a while.
    pub here: bool,
    /// It asked to be host.
    pub asks: bool,
    /// The room waits for it.
    pub awaited: bool,
    /// What it plays.
    pub copy: OwnCopy,
    /// What it said last of how it goes.
    pub report: Option<Report>,
}

/// How playing goes for a member; said once a second, and when `ready` changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The newest timeline it has.
    pub epoch: u64,
    /// It can play, or go on playing, from where that timeline says.
    pub ready: bool,
    /// What it has ahead of what it shows, microseconds.
    pub buffered_us: u32,
    /// How late it is against the timeline, microseconds; negative if it is ahead.
    pub off_us: i32,
    /// Between it and the node, microseconds.
    pub round_trip_us: u32,
    /// For live streams: from capture to presentation it needs so long, microseconds.
    pub needs_us: u32,
}

/// What a host does, and what others ask of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoomAct {
    /// Asks to be host.
    Ask,
    /// The maker of the room is its host again.
    TakeBack,
    /// Host: makes that member host.
    Hand(u32),
    /// Host: that member's question is answered with no.
    Deny(u32),
    /// Host: lets that knock in.
    Admit(u32),
    /// Host: sends that knock away.
    TurnAway(u32),
    /// Host: that member leaves.
    Kick(u32),
    /// Host: that member leaves and stays out.
    Ban(u32),
    /// Host: ends the room for all.
    Close,
}

/// What people may be called in a room: as streams, but shorter.
#[must_use]
pub fn is_valid_member(name: &str) -> bool {
    is_valid_name(name) && name.len() <= limits::MEMBER
}
