//! What was said and what happened, numbered, each at its place in the recording.

use std::collections::VecDeque;

use proto::room::{Line, Refusal, Say, What, Words};
use proto::time::Stamp;
use proto::{Message, limits};

use super::pace::Rate;
use super::{Room, SeatId, words};

/// Most lines of a room that are kept; the oldest make way.
pub(in crate::rooms) const KEPT: usize = 2_000;
/// What a member may say.
const SAY: Rate = Rate { burst: 10, every_us: 500_000 };

/// The lines that are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    pub(super) kept: VecDeque<Line>,
    /// How many there were.
    pub(super) last: u64,
}

impl Lines {
    pub(super) fn add(&mut self, line: Line) {
        self.last = line.number;
        self.kept.push_back(line);
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }
}

impl Room {
    pub(super) fn say(&mut self, index: usize, say: Say, now: Stamp) {
        let sealed = self.about.settings.secret.is_some();
        let member = &mut self.members[index];
        let Some(seat) = member.seat else { return };
        if !member.said.take(SAY, now) {
            return self.tell(seat, words::too_fast());
        }
        let refusal = match (&say.words, sealed) {
            (Words::Plain(_), true) => "this room's lines are sealed; join it with its --secret",
            (Words::Sealed(_), false) => "nothing is sealed in this room; join it without --secret",
            _ => {
                let (who, at) = (member.name.clone(), self.within(say.position_us));
                return self.add_line(who, at, What::Said(say.words), now);
            }
        };
        self.tell(seat, words::refused(Refusal::NotThere, refusal));
    }

    /// Something happened to, or was done by, `who`: it belongs where the room is.
    pub(super) fn happened(&mut self, who: String, what: What, now: Stamp) {
        let at = self.within(self.shown(now));
        self.add_line(who, at, what, now);
    }

    fn add_line(&mut self, who: String, position_us: i64, what: What, now: Stamp) {
        let number = self.lines.last + 1;
        let line = Line { number, position_us, at_us: now, who, what };
        self.changes.lines.push(line.clone());
        self.lines.add(line.clone());
        self.tell_all(Message::Lines(vec![line]));
    }

    /// Everything that was said, for somebody who comes.
    pub(super) fn tell_history(&mut self, seat: SeatId) {
        let lines: Vec<Line> = self.lines.kept.iter().cloned().collect();
        for some in lines.chunks(limits::LINES) {
            self.tell(seat, Message::Lines(some.to_vec()));
        }
    }
}
