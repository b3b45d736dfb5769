//! What of a room outlives its node.

use std::net::IpAddr;

use proto::room::{Going, Line, OwnCopy, RoomToken, Timeline};
use proto::time::Stamp;
use serde::{Deserialize, Serialize};

use super::lines::Lines;
use super::pace::Pace;
use super::{About, Member, Room};

/// So many epochs are skipped: of what was last announced, something may not have been written.
const SKIPPED: u64 = 1_000;

/// Somebody who stays out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// As it was called, in small letters.
    pub name: String,
    /// From where it came, if nobody else of the room came from there.
    pub address: Option<IpAddr>,
}

/// A member as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptMember {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Hash of its token.
    pub token: [u8; 32],
    /// What it plays.
    pub copy: OwnCopy,
}

/// A room as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What it is.
    pub about: About,
    /// Its host.
    pub host: u32,
    /// Who made it.
    pub owner: u32,
    /// The number of the next member.
    pub next_id: u32,
    /// What is shown when.
    pub timeline: Timeline,
    /// In the order they came.
    pub members: Vec<KeptMember>,
    /// Who stays out.
    pub bans: Vec<Ban>,
    /// The newest ones, in order.
    pub lines: Vec<Line>,
}

/// What changed of what is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Host, timeline, bans.
    pub room: bool,
    /// Members.
    pub members: bool,
    /// Lines that are new.
    pub lines: Vec<Line>,
}

/// What is kept of a token: who reads it cannot come in with it.
pub(super) fn hash(token: RoomToken) -> [u8; 32] {
    *blake3::hash(&token.0).as_bytes()
}

impl Room {
    /// What changed since this was last asked.
    pub fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// All that is to be kept.
    #[must_use]
    pub fn kept(&self) -> Kept {
        let lines = self.lines.kept.iter().cloned().collect();
        Kept { members: self.kept_members(), lines, ..self.kept_room() }
    }

    /// What is to be kept but for members and lines.
    #[must_use]
    pub fn kept_room(&self) -> Kept {
        Kept {
            about: self.about.clone(),
            host: self.host,
            owner: self.owner,
            next_id: self.next_id,
            timeline: self.timeline,
            members: Vec::new(),
            bans: self.bans.clone(),
            lines: Vec::new(),
        }
    }

    /// What is to be kept of members.
    #[must_use]
    pub fn kept_members(&self) -> Vec<KeptMember> {
        let member = |member: &Member| KeptMember {
            id: member.id,
            name: member.name.clone(),
            token: member.token,
            copy: member.copy,
        };
        self.members.iter().map(member).collect()
    }

    /// The room again as it was kept; all its members are away. What played has gone on.
    #[must_use]
    pub fn restore(kept: Kept, size: usize, now: Stamp) -> Self {
        let mut room = Self::new(kept.about, size, now);
        let mut timeline = Timeline { epoch: kept.timeline.epoch + SKIPPED, ..kept.timeline };
        // A clock that was set back must not make all wait for it.
        if timeline.going != Going::Playing || timeline.anchor_us > now.plus_us(1_000_000) {
            timeline.anchor_us = now;
        }
        (room.timeline, room.before, room.jump) = (timeline, timeline, timeline.epoch);
        (room.host, room.owner, room.next_id) = (kept.host, kept.owner, kept.next_id);
        room.members = kept.members.into_iter().map(|member| away(member, now)).collect();
        room.bans = kept.bans;
        room.lines = Lines::default();
        kept.lines.into_iter().for_each(|line| room.lines.add(line));
        room.changes = Changes { room: true, ..Changes::default() };
        room
    }
}

fn away(kept: KeptMember, now: Stamp) -> Member {
    Member {
        id: kept.id,
        name: kept.name,
        token: kept.token,
        address: std::net::Ipv4Addr::UNSPECIFIED.into(),
        seat: None,
        since: now,
        asks: false,
        copy: kept.copy,
        report: None,
        unready_since: None,
        behind: false,
        behind_said: None,
        said: Pace::default(),
        acted: Pace::default(),
        remoted: Pace::default(),
        reported: Pace::default(),
    }
}
