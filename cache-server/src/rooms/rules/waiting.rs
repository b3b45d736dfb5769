//! Who is ready, who is waited for, who is left behind.

use proto::room::{Going, Report, Timeline, What};
use proto::time::Stamp;

use super::pace::Rate;
use super::{Member, REPORTS_PAUSE_US, Room};

/// All wait so long for the last ones, microseconds.
const PATIENCE_US: i64 = 3_000_000;
/// Where nobody was ready by then, all wait so long for the others after the first, microseconds.
const SECOND_US: i64 = 1_000_000;
/// A member that stops being ready makes the room wait at most so often, microseconds; it is also said
/// no more often that one is left behind.
const STOP_EVERY_US: i64 = 60_000_000;
/// What members may report.
const REPORT: Rate = Rate { burst: 20, every_us: 100_000 };

/// How long all wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Wait {
    /// `None`: until the first is ready.
    deadline: Option<Stamp>,
    /// When somebody last made the room wait.
    stopped: Option<Stamp>,
}

impl Wait {
    pub(super) fn begin(&mut self, now: Stamp) {
        self.deadline = Some(now.plus_us(PATIENCE_US));
    }
}

impl Room {
    pub(super) fn report(&mut self, index: usize, report: Report, now: Stamp) {
        let member = &mut self.members[index];
        if !member.reported.take(REPORT, now) {
            return;
        }
        member.unready_since = if report.ready { None } else { member.unready_since.or(Some(now)) };
        let old = self.members[index].report.replace(report);
        self.members_changed(REPORTS_PAUSE_US);
        if self.is_live() {
            return;
        }
        let is_ready = self.is_ready(&self.members[index]);
        if is_ready {
            self.members[index].behind = false;
        }
        if is_ready != old.is_some_and(|old| old.ready) {
            self.members_changed(super::MEMBERS_PAUSE_US);
        }
        let current = report.epoch == self.timeline.epoch && now >= self.timeline.anchor_us;
        if !report.ready && current && self.timeline.going == Going::Playing {
            self.stalls(index, now);
        }
    }

    /// A member that is not left behind is not ready while it plays.
    fn stalls(&mut self, index: usize, now: Stamp) {
        if self.members[index].behind {
            return;
        }
        let lately = |at: Stamp| now.us_since(at) < STOP_EVERY_US;
        if self.wait.stopped.is_some_and(lately) {
            return self.leave_behind(index, now);
        }
        let who = self.members[index].name.clone();
        self.happened(who, What::Awaited, now);
        self.wait.stopped = Some(now);
        self.wait.begin(now);
        self.turn(Timeline { going: Going::Waiting, ..self.timeline }, now);
    }

    fn leave_behind(&mut self, index: usize, now: Stamp) {
        let member = &mut self.members[index];
        member.behind = true;
        if member.behind_said.is_none_or(|at| now.us_since(at) >= STOP_EVERY_US) {
            member.behind_said = Some(now);
            let who = member.name.clone();
            self.happened(who, What::LeftBehind, now);
        }
    }

    /// It can play from where the timeline says.
    fn is_ready(&self, member: &Member) -> bool {
        member.report.is_some_and(|report| report.ready && report.epoch >= self.jump)
    }

    /// The room waits for it.
    pub(super) fn is_awaited(&self, member: &Member) -> bool {
        let waits = self.timeline.going == Going::Waiting;
        waits && member.seat.is_some() && !member.behind && !self.is_ready(member)
    }

    fn is_anyone_ready(&self) -> bool {
        self.members.iter().any(|member| member.seat.is_some() && self.is_ready(member))
    }

    /// All who are here and not left behind; one at least.
    pub(super) fn are_all_ready(&self) -> bool {
        let mut counted = self.members.iter().filter(|m| m.seat.is_some() && !m.behind);
        self.is_anyone_ready() && counted.all(|member| self.is_ready(member))
    }

    pub(super) fn wait_due(&self) -> Option<Stamp> {
        let waits = self.timeline.going == Going::Waiting && self.is_anyone_here();
        self.wait.deadline.filter(|_| waits)
    }

    pub(super) fn settle_wait(&mut self, now: Stamp) {
        if self.timeline.going != Going::Waiting || !self.is_anyone_here() {
            return;
        }
        let over = self.wait.deadline.is_some_and(|deadline| deadline <= now);
        match (self.is_anyone_ready(), self.wait.deadline) {
            _ if self.are_all_ready() => self.go(now),
            (true, _) if over => self.go(now),
            // The others may be as far as the first.
            (true, None) => self.wait.deadline = Some(now.plus_us(SECOND_US)),
            (false, _) if over => self.wait.deadline = None,
            _ => {}
        }
    }

    /// It plays; whoever is not ready is left behind.
    fn go(&mut self, now: Stamp) {
        for index in 0..self.members.len() {
            if self.is_awaited(&self.members[index]) {
                self.leave_behind(index, now);
            }
        }
        self.turn(Timeline { going: Going::Playing, ..self.timeline }, now);
    }
}
