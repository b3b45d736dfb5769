//! The remote control and the timeline it moves.

use proto::Message;
use proto::room::{Control, Going, Refusal, Remote, Timeline, What};
use proto::time::Stamp;

use super::pace::Rate;
use super::{About, Room, live, words};

/// A change takes effect so much later at least, microseconds: it is with all of them by then, and
/// before they give their sound cards what is heard at that moment (150 ms ahead for ours).
const LEAD_US: i64 = 200_000;
/// And so much later at most, whatever round trips members claim.
const LONGEST_LEAD_US: i64 = 1_000_000;
/// How often a member may use the remote control.
const USE: Rate = Rate { burst: 20, every_us: 100_000 };

/// The timeline of a room that was just made.
pub(super) fn first(about: &About, now: Stamp) -> Timeline {
    let live = about.film.is_none();
    Timeline {
        epoch: 1,
        anchor_us: now,
        position_us: 0,
        speed_permille: 1000,
        going: if live { Going::Playing } else { Going::Waiting },
        delay_us: if live { live::FIRST_US } else { 0 },
    }
}

impl Room {
    pub(super) fn remote(&mut self, index: usize, remote: Remote, now: Stamp) {
        let member = &mut self.members[index];
        let Some(seat) = member.seat else { return };
        let (id, who) = (member.id, member.name.clone());
        if !member.remoted.take(USE, now) {
            return self.tell(seat, words::too_fast());
        }
        if self.is_live() {
            let reason = "a live stream cannot be paused or wound; it is the same for all";
            return self.tell(seat, words::refused(Refusal::Live, reason));
        }
        if self.about.settings.control == Control::Host && id != self.host {
            return self.tell(seat, self.not_host());
        }
        match remote {
            Remote::Play => self.play(who, now),
            Remote::Pause => self.pause(who, now),
            Remote::Seek(to) => self.seek(who, to, now),
            Remote::Speed(permille) => self.speed(who, permille, now),
        }
    }

    fn play(&mut self, who: String, now: Stamp) {
        if self.timeline.going != Going::Paused {
            return;
        }
        self.happened(who, What::Played, now);
        let ended = self.about.film.is_some_and(|film| {
            u64::try_from(self.timeline.position_us).is_ok_and(|at| at >= film.duration_us)
        });
        if ended {
            self.jump_to(0, Going::Waiting, now);
        } else if self.are_all_ready() {
            self.turn(Timeline { going: Going::Playing, ..self.timeline }, now);
        } else {
            self.wait.begin(now);
            self.turn(Timeline { going: Going::Waiting, ..self.timeline }, now);
        }
    }

    fn pause(&mut self, who: String, now: Stamp) {
        if self.timeline.going == Going::Paused {
            return;
        }
        self.happened(who, What::Paused, now);
        self.turn(Timeline { going: Going::Paused, ..self.timeline }, now);
    }

    fn seek(&mut self, who: String, to: i64, now: Stamp) {
        let to = self.within(to);
        self.happened(who, What::Sought(to), now);
        let going = match self.timeline.going {
            Going::Paused => Going::Paused,
            Going::Playing | Going::Waiting => Going::Waiting,
        };
        self.jump_to(to, going, now);
    }

    fn speed(&mut self, who: String, speed_permille: u16, now: Stamp) {
        if self.timeline.speed_permille == speed_permille {
            return;
        }
        self.happened(who, What::Speed(speed_permille), now);
        self.turn(Timeline { speed_permille, ..self.timeline }, now);
    }

    /// The film stands still: it is over, or nobody is here.
    pub(super) fn stand(&mut self, now: Stamp) {
        self.turn(Timeline { going: Going::Paused, ..self.timeline }, now);
    }

    /// When the film is over.
    pub(super) fn end_due(&self) -> Option<Stamp> {
        let film = self.about.film?;
        if self.timeline.going != Going::Playing {
            return None;
        }
        let left_us = i128::from(film.duration_us) - i128::from(self.timeline.position_us);
        let lasts_us = left_us.max(0) * 1000 / i128::from(self.timeline.speed_permille.max(1));
        let lasts_us = i64::try_from(lasts_us).unwrap_or(i64::MAX);
        Some(self.timeline.anchor_us.plus_us(lasts_us))
    }

    /// Goes elsewhere: whoever was ready for what came is not ready for what comes.
    fn jump_to(&mut self, position_us: i64, going: Going, now: Stamp) {
        self.jump = self.timeline.epoch + 1;
        self.wait.begin(now);
        self.members.iter_mut().for_each(|member| member.behind = false);
        let anchor_us = self.next_anchor(now);
        self.set(Timeline { position_us, going, anchor_us, ..self.timeline });
    }

    /// Changes how it goes on from where it is by then.
    pub(super) fn turn(&mut self, to: Timeline, now: Stamp) {
        let anchor_us = self.next_anchor(now);
        let position_us = self.within(self.timeline.position_us(anchor_us));
        self.set(Timeline { anchor_us, position_us, ..to });
    }

    /// Never before a change that is already on its way.
    fn next_anchor(&self, now: Stamp) -> Stamp {
        let here = self.members.iter().filter(|member| member.seat.is_some());
        let trips = here.filter_map(|member| member.report).map(|report| report.round_trip_us);
        let worst_us = i64::from(trips.max().unwrap_or(0));
        let lead_us = (worst_us * 3 / 2).clamp(LEAD_US, LONGEST_LEAD_US);
        now.plus_us(lead_us).max(self.timeline.anchor_us)
    }

    fn set(&mut self, timeline: Timeline) {
        self.before = self.timeline;
        self.timeline = Timeline { epoch: self.timeline.epoch + 1, ..timeline };
        self.changes.room = true;
        self.tell_all(Message::Timeline(self.timeline));
        self.members_changed(super::MEMBERS_PAUSE_US);
    }

    /// What is shown at a moment from now on; 0 for live streams.
    pub(super) fn shown(&self, at: Stamp) -> i64 {
        if self.is_live() {
            0
        } else if at < self.timeline.anchor_us {
            self.before.position_us(at)
        } else {
            self.timeline.position_us(at)
        }
    }

    /// A position the film has; 0 for live streams.
    pub(super) fn within(&self, position_us: i64) -> i64 {
        let longest = self.about.film.map_or(0, |film| film.duration_us);
        position_us.clamp(0, i64::try_from(longest).unwrap_or(i64::MAX))
    }
}
