//! Rooms: watching together with others, as one viewer knows it.
//!
//! ```text
//! mod    what is known of the room: code, timeline, members, who knocks
//! lines  what was said and done in it, and what of that is to be shown now
//! words  all of it in words for people
//! typed  what a person types: chat, and commands for the room
//! secret what members seal so that the node cannot read it
//! seat   the viewer's place: speaks with the node, shared by all threads
//! list   the rooms a node has, for people and for programs
//! ```
//!
//! The node decides everything; nothing here changes before the node has said so.

pub mod lines;
pub mod list;
pub mod seat;
pub mod secret;
pub mod typed;
pub mod words;

use std::collections::VecDeque;

use proto::room::{
    Entered, Going, Knock, Member, Members, OwnCopy, RoomCode, RoomSettings, RoomToken, Timeline,
};
use proto::time::Stamp;

use lines::Lines;
pub use seat::Seat;

/// Most timelines that are known at a time: a node says one every 100 ms at the most.
const COMING: usize = 8;

/// A room one is in.
#[derive(Clone, Debug, PartialEq)]
pub struct Room {
    /// What others come in by.
    pub code: RoomCode,
    /// What is watched.
    pub stream: String,
    /// How it is run.
    pub settings: RoomSettings,
    /// Whether a PIN is needed to get in.
    pub pin: bool,
    /// One's own number.
    pub you: u32,
    /// To come back with.
    pub token: RoomToken,
    /// How one's own copy of the film compares.
    pub copy: OwnCopy,
    /// What is to be shown.
    pub timelines: Timelines,
    /// Who is there.
    pub members: Members,
    /// Who wants in.
    pub knocks: Vec<Knock>,
    /// What was said.
    pub lines: Lines,
}

/// What holds now, and what was announced to hold soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timelines {
    /// In the order of their epochs: the first holds, the others come. Never empty.
    all: VecDeque<Timeline>,
}

impl Timelines {
    /// The first one.
    #[must_use]
    pub fn new(timeline: Timeline) -> Self {
        Self { all: VecDeque::from([timeline]) }
    }

    /// Takes another one in; false for one that is old. `now` is the node's.
    pub fn take(&mut self, timeline: Timeline, now: Stamp) -> bool {
        if timeline.epoch <= self.newest().epoch {
            return false;
        }
        while self.all.len() == COMING || self.all.get(1).is_some_and(|next| next.anchor_us <= now)
        {
            self.all.pop_front();
        }
        self.all.push_back(timeline);
        true
    }

    /// What holds from some moment on, now or soon.
    #[must_use]
    pub fn newest(&self) -> Timeline {
        self.all[self.all.len() - 1]
    }

    /// What holds at `now` on the node's clock.
    #[must_use]
    pub fn at(&self, now: Stamp) -> Timeline {
        let come = self.all.iter().skip(1).rev().find(|timeline| timeline.anchor_us <= now);
        *come.unwrap_or(&self.all[0])
    }

    /// What takes effect next after `now`.
    #[must_use]
    pub fn next(&self, now: Stamp) -> Option<Timeline> {
        let epoch = self.at(now).epoch;
        self.all.iter().find(|timeline| timeline.epoch > epoch).copied()
    }
}

impl Room {
    /// What one knows when one comes in. A room one comes back to is what it was, but for what is new.
    #[must_use]
    pub fn new(entered: Entered, before: Option<Self>) -> Self {
        let Entered { code, stream, settings, pin, you, token, timeline, copy } = entered;
        let same = before.filter(|room| room.code == code);
        // Of a node that was restarted the epochs may be lower: what it says now holds.
        let timelines = Timelines::new(timeline);
        let (members, lines) = match same {
            Some(room) => (room.members, room.lines),
            None => (Members { host: 0, owner: 0, members: Vec::new() }, Lines::default()),
        };
        let knocks = Vec::new();
        Self { code, stream, settings, pin, you, token, copy, timelines, members, knocks, lines }
    }

    /// Whether one is its host.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.members.host == self.you
    }

    /// The member of that name; the case of its letters does not matter where it is the only one.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Member> {
        by_name(&self.members.members, name, |member| &member.name)
    }

    /// As [`Room::member`], of those who knock.
    #[must_use]
    pub fn knock(&self, name: &str) -> Option<&Knock> {
        by_name(&self.knocks, name, |knock| &knock.name)
    }

    /// Whom the room waits for.
    #[must_use]
    pub fn awaited(&self) -> Vec<&str> {
        let waits = self.timelines.newest().going == Going::Waiting;
        let members = self.members.members.iter().filter(|member| waits && member.awaited);
        members.map(|member| member.name.as_str()).collect()
    }
}

fn by_name<'a, T>(all: &'a [T], name: &str, of: impl Fn(&T) -> &String) -> Option<&'a T> {
    if let Some(exact) = all.iter().find(|one| of(one) == name) {
        return Some(exact);
    }
    let mut alike = all.iter().filter(|one| of(one).to_lowercase() == name.to_lowercase());
    alike.next().filter(|_| alike.next().is_none())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn timeline(epoch: u64, anchor_us: i64, going: Going) -> Timeline {
        let (speed_permille, delay_us) = (1000, 0);
        let anchor_us = Stamp(anchor_us);
        Timeline { epoch, anchor_us, position_us: 0, speed_permille, going, delay_us }
    }

    pub(crate) fn member(id: u32, name: &str) -> Member {
        let (asks, awaited, copy, report) = (false, false, OwnCopy::Stream, None);
        Member { id, name: name.to_owned(), here: true, asks, awaited, copy, report }
    }

    pub(crate) fn room() -> Room {
        let entered = Entered {
            code: RoomCode::from_random([3; 10]),
            stream: "film".into(),
            settings: RoomSettings::default(),
            pin: false,
            you: 1,
            token: RoomToken([7; 16]),
            timeline: timeline(1, 0, Going::Waiting),
            copy: OwnCopy::Stream,
        };
        let mut room = Room::new(entered, None);
        let members = vec![member(1, "Ana"), member(2, "Ben"), member(3, "ben")];
        room.members = Members { host: 1, owner: 1, members };
        room
    }

    #[test]
    fn a_timeline_holds_from_its_anchor_on_and_old_ones_never_again() {
        let mut timelines = Timelines::new(timeline(4, 0, Going::Paused));
        assert!(timelines.take(timeline(5, 1_000, Going::Playing), Stamp(500)));
        assert_eq!(timelines.at(Stamp(999)).epoch, 4);
        assert_eq!(timelines.at(Stamp(1_000)).epoch, 5);
        assert!(!timelines.take(timeline(5, 0, Going::Waiting), Stamp(2_000)));
        assert!(!timelines.take(timeline(3, 0, Going::Waiting), Stamp(2_000)));
        // One that comes before the last took effect.
        assert!(timelines.take(timeline(6, 3_000, Going::Waiting), Stamp(600)));
        let epochs =
            |now| (timelines.at(Stamp(now)).epoch, timelines.next(Stamp(now)).map(|t| t.epoch));
        assert_eq!([600, 1_000].map(epochs), [(4, Some(5)), (5, Some(6))]);
        assert_eq!([2_999, 3_000].map(epochs), [(5, Some(6)), (6, None)]);
        for epoch in 7..40 {
            timelines.take(timeline(epoch, 10_000, Going::Waiting), Stamp(600));
        }
        assert_eq!(timelines.all.len(), COMING);
    }

    #[test]
    fn members_are_found_as_people_write_them() {
        let room = room();
        let id = |name| room.member(name).map(|member| member.id);
        assert_eq!(
            ["Ana", "ana", "Ben", "ben", "BEN", "Carl"].map(id),
            [Some(1), Some(1), Some(2), Some(3), None, None]
        );
    }
}
