//! Following a room: its timeline on our clock, steering towards it, and the reports.
//!
//! A timeline is obeyed at its anchor. A cue is fixed by what is known of the node's clock then; as
//! more is known, what is shown is moved after it so slowly that nobody hears it.

use std::sync::Arc;

use proto::Message;
use proto::conn::now;
use proto::limits;
use proto::room::{Going, Remote, Report, Timeline};
use proto::time::{Offset, Stamp};

use super::super::control::Peer;
use super::super::room::REPORT_US;
use super::deck::{Deck, END_US, RATES};
use super::meter::Meter;
use super::reel::Reel;
use crate::room::Seat;
use crate::session::{Command, Sink};

/// Fastest that what is shown is moved after the room: 500 ppm, as the clock filter's.
const SLEW: f64 = 500e-6;
/// Farther off than this it is set on its time anew, microseconds.
const JUMP_US: i64 = 150_000;

/// What is to be shown when, on our clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Course {
    /// What is shown at the anchor, microseconds on the recording's timeline.
    position_us: i64,
    /// When.
    anchor: Stamp,
    /// Seconds of the recording a second; 0 stands.
    pub(super) rate: f64,
}

impl Course {
    /// A timeline of a node whose clock is so far from ours, for a recording that begins there: a room
    /// counts from its start, the tail of a live stream does not begin at 0.
    pub(super) fn new(timeline: &Timeline, offset: Offset, start_us: i64) -> Self {
        let speed = f64::from(timeline.speed_permille) / 1000.0;
        Self {
            position_us: timeline.position_us.saturating_add(start_us),
            anchor: timeline.anchor_us - offset,
            rate: if timeline.going == Going::Playing { speed } else { 0.0 },
        }
    }

    /// Whether it moves.
    pub(super) fn goes(&self) -> bool {
        self.rate > 0.0
    }

    /// The first moment from `at` on at which it moves.
    pub(super) fn from(&self, at: Stamp) -> Stamp {
        self.anchor.max(at)
    }

    /// What is shown at a moment, microseconds on the recording's timeline.
    pub(super) fn position_us(&self, at: Stamp) -> i64 {
        let played_us = at.us_since(self.anchor).max(0) as f64 * self.rate;
        self.position_us.saturating_add(played_us.round() as i64)
    }

    /// When a position is shown.
    pub(super) fn shows(&self, position_us: i64) -> Stamp {
        let ahead_us = position_us.saturating_sub(self.position_us) as f64;
        self.anchor.plus_us((ahead_us / self.rate.max(0.1)).round() as i64)
    }
}

/// What is done about not showing what the room shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Correction {
    /// All is shown so much later, microseconds.
    Shift(f64),
    /// It is set on its time anew.
    Anew,
}

impl Correction {
    /// Of being so late, so long after the last correction; microseconds.
    pub(super) fn of(late_us: i64, since_us: i64) -> Self {
        if late_us.abs() > JUMP_US {
            return Self::Anew;
        }
        let most = SLEW * since_us.max(0) as f64;
        Self::Shift(-(late_us as f64).clamp(-most, most))
    }
}

/// Leads the deck as the room wants it.
pub(super) struct Follow {
    seat: Arc<Seat>,
    peer: Arc<Peer>,
    /// What the deck obeys.
    timeline: Option<Timeline>,
    steered: Stamp,
    reported: Option<(Stamp, Report)>,
    /// A seek that was asked for under a timeline, and is not answered by another: where it leads.
    sought: Option<(Timeline, i64)>,
}

impl Follow {
    pub(super) fn new(seat: Arc<Seat>, peer: Arc<Peer>) -> Self {
        let (timeline, reported, sought) = (None, None, None);
        Self { seat, peer, timeline, steered: now(), reported, sought }
    }

    /// Where to stand until the node's clock is known.
    pub(super) fn begins(&self, reel: &Reel) -> Course {
        let position_us = self.seat.with_room(|room| room.timelines.newest().position_us);
        let position_us = position_us.unwrap_or(0).saturating_add(reel.start_us());
        Course { position_us, anchor: now(), rate: 0.0 }
    }

    fn next(&self, node_now: Stamp) -> Option<Timeline> {
        self.seat.with_room(|room| room.timelines.next(node_now)).flatten()
    }

    /// What the deck is to do next: what holds, or what comes and begins to play, so that the
    /// decoders have time.
    fn wanted(&self, node_now: Stamp) -> Option<Timeline> {
        self.seat.with_room(|room| {
            let next = room.timelines.next(node_now).filter(|next| next.going == Going::Playing);
            next.unwrap_or(room.timelines.at(node_now))
        })
    }

    /// When the next change takes effect, if it has to be met to the moment.
    pub(super) fn wakes(&self) -> Option<Stamp> {
        let clock = self.peer.clock()?;
        let next = self.next(now() + clock.offset)?;
        Some(next.anchor_us - clock.offset)
    }

    /// Leads the deck, and reports.
    pub(super) fn step(
        &mut self,
        deck: &mut Deck,
        reel: &Reel,
        meter: &Meter,
        sink: &mut impl Sink,
    ) {
        let Some(clock) = self.peer.clock().filter(|clock| clock.settled) else { return };
        let now = now();
        let Some(timeline) = self.wanted(now + clock.offset) else { return };
        let course = Course::new(&timeline, clock.offset, reel.start_us());
        let ends = self.next(now + clock.offset).filter(|next| next.going != Going::Playing);
        if self.timeline.replace(timeline) == Some(timeline) {
            deck.correct(course);
            self.steer(deck, reel, meter, sink, now);
        } else {
            self.sought = None;
            deck.follow(course, reel, meter, sink);
        }
        deck.ends(ends.map(|next| next.anchor_us - clock.offset));
        self.steered = now;
        if let Some(error_us) = self.peer.clock_error_us() {
            sink.clock_error_us(error_us);
        }
        self.report(&timeline, deck, reel, meter, now);
    }

    fn steer(&self, deck: &mut Deck, reel: &Reel, meter: &Meter, sink: &mut impl Sink, now: Stamp) {
        let Some(late_us) = deck.late_us() else { return };
        match Correction::of(late_us, now.us_since(self.steered)) {
            Correction::Shift(by_us) => deck.shift(by_us),
            Correction::Anew => deck.set_anew(reel, meter, sink),
        }
    }

    fn report(&mut self, timeline: &Timeline, deck: &Deck, reel: &Reel, meter: &Meter, now: Stamp) {
        let ready = deck.is_ready(reel, meter);
        let (last, same) = match self.reported {
            Some((at, last)) => (at, last.ready == ready && last.epoch == timeline.epoch),
            None => (now, false),
        };
        if same && now.us_since(last) < REPORT_US {
            return;
        }
        let bounded = |us: i64| u32::try_from(us.max(0)).unwrap_or(u32::MAX);
        let position_us = deck.wanted_us();
        let off_us = deck.off_us().clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
        let report = Report {
            epoch: timeline.epoch,
            ready,
            buffered_us: bounded(reel.buffered_us(position_us).saturating_sub(position_us)),
            off_us,
            round_trip_us: bounded(self.peer.round_trip_us().unwrap_or(0)),
            needs_us: 0,
        };
        self.seat.reports(report);
        self.reported = Some((now, report));
    }

    /// Asks the room for what a key means.
    pub(super) fn ask(&mut self, command: Command, reel: &Reel) {
        let Some(clock) = self.peer.clock() else { return };
        let node_now = now() + clock.offset;
        let Some(newest) = self.seat.with_room(|room| room.timelines.newest()) else { return };
        let sought_us = self.sought.filter(|(asked, _)| *asked == newest).map(|(_, us)| us);
        let position_us = sought_us.unwrap_or_else(|| newest.position_us(node_now));
        let length_us = reel.end_us().saturating_sub(reel.start_us());
        let remote = match command {
            Command::Pause if newest.going == Going::Paused => Remote::Play,
            // Nor need one wait for all to be ready.
            Command::Pause => Remote::Pause,
            Command::Skip(by_us) => Remote::Seek(position_us.saturating_add(by_us)),
            Command::Home => Remote::Seek(0),
            Command::End => Remote::Seek(length_us.saturating_sub(END_US)),
            Command::Faster => Remote::Speed(speed(newest.speed_permille, true)),
            Command::Slower => Remote::Speed(speed(newest.speed_permille, false)),
        };
        let remote = match remote {
            Remote::Seek(us) => {
                let us = us.min(length_us.saturating_sub(1)).max(0);
                self.sought = Some((newest, us));
                Remote::Seek(us)
            }
            other => other,
        };
        self.seat.say(Message::Remote(remote));
    }
}

/// The next speed up or down, thousandths.
fn speed(permille: u16, faster: bool) -> u16 {
    let all = RATES.map(|rate| (rate * 1000.0) as u16);
    let next = if faster {
        all.into_iter().find(|one| *one > permille)
    } else {
        all.into_iter().rev().find(|one| *one < permille)
    };
    next.unwrap_or(permille).clamp(*limits::SPEED.start(), *limits::SPEED.end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::tests::timeline;

    #[test]
    fn a_course_says_what_is_shown_when_on_our_clock() {
        let offset = Offset(5_000_000);
        let mut timeline = timeline(1, 6_000_000, Going::Playing);
        timeline.speed_permille = 1500;
        timeline.position_us = 60_000_000;
        let course = Course::new(&timeline, offset, 0);
        assert_eq!(course.from(Stamp(0)), Stamp(1_000_000));
        assert_eq!(course.position_us(Stamp(0)), 60_000_000);
        assert_eq!(course.position_us(Stamp(3_000_000)), 63_000_000);
        assert_eq!(course.shows(63_000_000), Stamp(3_000_000));
        timeline.going = Going::Paused;
        let stands = Course::new(&timeline, offset, 0);
        assert!(!stands.goes());
        assert_eq!(stands.position_us(Stamp(i64::MAX)), 60_000_000);
    }

    #[test]
    fn speeds_go_by_steps_and_stay_within_them() {
        assert_eq!([1000, 1100, 2000].map(|permille| speed(permille, true)), [1250, 1250, 2000]);
        assert_eq!([1000, 1100, 500].map(|permille| speed(permille, false)), [750, 1000, 500]);
    }

    #[test]
    fn what_is_shown_is_moved_after_a_clock_that_is_known_better() {
        struct Nobody;
        impl Sink for Nobody {
            fn event(&mut self, _: crate::session::Event) {}
            fn clock_error_us(&mut self, _: f64) {}
        }
        let (reel, meter, schedule) =
            (super::super::reel::tests::full(), Meter::default(), Arc::default());
        let mut deck = Deck::with_schedule(Arc::clone(&schedule), 30_000_000);
        let started = now();
        let timeline = |anchor_us: i64| {
            let timeline = timeline(1, anchor_us, Going::Playing);
            Course::new(&timeline, Offset(0), 0)
        };
        deck.follow(timeline(started.0), &reel, &meter, &mut Nobody);
        assert!(deck.late_us().is_some_and(|late_us| late_us.abs() <= 1));
        deck.correct(timeline(started.0 + 2_000));
        assert!(deck.late_us().is_some_and(|late_us| (late_us + 2_000).abs() <= 1), "it is early");
        deck.shift(2_000.0);
        assert!(deck.late_us().is_some_and(|late_us| late_us.abs() <= 1));
        assert_eq!(schedule.delay_us(), 2_000);
        deck.set_anew(&reel, &meter, &mut Nobody);
        assert_eq!((schedule.delay_us(), deck.late_us().map(|us| us / 2)), (0, Some(0)));
    }
}
