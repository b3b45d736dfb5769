//! A room of simulated viewers: clocks that run fast and slow, long and lossy ways, a laptop that
//! sleeps. What each shows is what its clock filter, its [`Course`] and its [`Correction`]s make of
//! what it is told.

use std::collections::VecDeque;

use proto::clock::{Filter, INTERVAL};
use proto::message::Pong;
use proto::room::{Going, Timeline};
use proto::time::Stamp;

use super::follow::{Correction, Course};
use crate::room::Timelines;

const MS: i64 = 1_000;
const S: i64 = 1_000_000;
/// How often a viewer looks.
const STEP_US: i64 = 10 * MS;
/// How long before it takes effect a change is announced.
const LEAD_US: i64 = 200 * MS;

/// A viewer, as the world has made it.
#[derive(Clone, Copy)]
struct Nature {
    /// How fast its clock runs.
    ppm: i64,
    /// Each way, at the least, and how much more at the most.
    delay_us: i64,
    jitter_us: i64,
    /// Of a hundred pings.
    lost: i64,
    /// From when it sleeps for an hour: its clock does, too.
    sleeps: Option<i64>,
}

const HOUR: i64 = 3600 * S;

impl Nature {
    /// Its clock, at a moment of the node's.
    fn clock(&self, at: i64) -> Stamp {
        let awake = match self.sleeps {
            Some(from) if at > from => (at - HOUR).max(from),
            _ => at,
        };
        Stamp(77 * S + awake + awake / S * self.ppm + awake % S * self.ppm / S)
    }

    fn is_awake(&self, at: i64) -> bool {
        self.sleeps.is_none_or(|from| at <= from || at >= from + HOUR)
    }
}

/// The simulation is the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) % most.max(1) as u64) as i64
    }
}

struct Viewer {
    nature: Nature,
    chance: Chance,
    filter: Filter,
    /// On their way to it: when they come, on the node's clock.
    pongs: VecDeque<(i64, Pong)>,
    news: VecDeque<(i64, Timeline)>,
    pinged: i64,
    timelines: Timelines,
    /// What it obeys, as it understood it then, and how much later it shows all.
    course: Option<(Timeline, Course)>,
    shift_us: f64,
    looked: Stamp,
}

impl Viewer {
    fn new(nature: Nature, seed: u64, timeline: Timeline) -> Self {
        Self {
            nature,
            chance: Chance(seed),
            filter: Filter::new(),
            pongs: VecDeque::new(),
            news: VecDeque::new(),
            pinged: 0,
            timelines: Timelines::new(timeline),
            course: None,
            shift_us: 0.0,
            looked: nature.clock(0),
        }
    }

    fn way_us(&mut self) -> i64 {
        self.nature.delay_us + self.chance.below(self.nature.jitter_us)
    }

    /// A change that the node announces at `at`; what is sent comes in order.
    fn announce(&mut self, at: i64, timeline: Timeline) {
        let comes = at + self.way_us();
        let before = self.news.back().map_or(0, |(before, _)| *before);
        self.news.push_back((comes.max(before), timeline));
    }

    fn ping(&mut self, at: i64) {
        if at < self.pinged + INTERVAL.as_micros() as i64 {
            return;
        }
        self.pinged = at;
        let there = at + self.way_us();
        let back = there + self.way_us();
        let pong = Pong {
            ping_sent_us: self.nature.clock(at),
            received_us: Stamp(there),
            sent_us: Stamp(there),
        };
        if self.chance.below(100) >= self.nature.lost {
            self.pongs.push_back((back, pong));
        }
    }

    /// One look; gives what it shows, once it shows anything.
    fn look(&mut self, at: i64) -> Option<i64> {
        let now = self.nature.clock(at);
        self.ping(at);
        while let Some((came, pong)) = come(&mut self.pongs, at) {
            self.filter.add(&pong, self.nature.clock(came));
        }
        let offset = self.filter.offset(now).filter(|_| self.filter.is_settled())?;
        while let Some((_, timeline)) = come(&mut self.news, at) {
            self.timelines.take(timeline, now + offset);
        }
        let timeline = self.timelines.at(now + offset);
        let right = Course::new(&timeline, offset, 0);
        match self.course {
            Some((obeyed, course)) if obeyed == timeline => {
                let shown = course.position_us(now.plus_us(-self.shift_us as i64));
                let late_us = right.position_us(now) - shown;
                match Correction::of(late_us, now.us_since(self.looked)) {
                    Correction::Shift(by_us) => self.shift_us += by_us,
                    Correction::Anew => self.obey(timeline, right),
                }
            }
            _ => self.obey(timeline, right),
        }
        self.looked = now;
        let (_, course) = self.course?;
        Some(course.position_us(now.plus_us(-self.shift_us as i64)))
    }

    fn obey(&mut self, timeline: Timeline, course: Course) {
        self.course = Some((timeline, course));
        self.shift_us = 0.0;
    }
}

/// What has come by now, and when it came.
fn come<T>(way: &mut VecDeque<(i64, T)>, at: i64) -> Option<(i64, T)> {
    let (comes, _) = way.front()?;
    if *comes > at { None } else { way.pop_front() }
}

/// What the room does in ten minutes: a pause, a seek, two other speeds.
fn course_of_events() -> Vec<Timeline> {
    let events = [
        (0, Going::Playing, None, 1000),
        (60, Going::Paused, None, 1000),
        (70, Going::Playing, None, 1000),
        (150, Going::Playing, Some(900 * S), 1000),
        (240, Going::Playing, None, 1500),
        (330, Going::Playing, None, 750),
        (420, Going::Paused, None, 1000),
        (425, Going::Playing, Some(10 * S), 1000),
    ];
    let mut all: Vec<Timeline> = Vec::new();
    for (epoch, (second, going, position_us, speed_permille)) in events.into_iter().enumerate() {
        let anchor_us = Stamp(second * S);
        let before = all.last().map_or(0, |before| before.position_us(anchor_us));
        all.push(Timeline {
            epoch: epoch as u64 + 1,
            anchor_us,
            position_us: position_us.unwrap_or(before),
            speed_permille,
            going,
            delay_us: 0,
        });
    }
    all
}

/// How far from the room a viewer of this nature shows it, at the most, from `settles` after the
/// start and after it slept; microseconds. `until` on the node's clock.
fn worst_us(nature: Nature, seed: u64, until: i64, settles: i64) -> i64 {
    let events = course_of_events();
    let mut viewer = Viewer::new(nature, seed, events[0]);
    let mut told = 1;
    let mut right_from = settles;
    let mut worst = 0;
    let mut at = 0;
    while at < until {
        at += STEP_US;
        while told < events.len() && events[told].anchor_us.0 - LEAD_US <= at {
            viewer.announce(at, events[told]);
            told += 1;
        }
        if !nature.is_awake(at) {
            right_from = at + settles;
            continue;
        }
        let shown = viewer.look(at);
        if at < right_from {
            continue;
        }
        let truth = events.iter().rev().find(|event| event.anchor_us.0 <= at);
        let truth = truth.map_or(0, |event| event.position_us(Stamp(at)));
        // Where a change is announced to somebody too far away it cannot be met to the moment.
        let changed =
            events.iter().any(|event| (0..=2 * STEP_US).contains(&(at - event.anchor_us.0)));
        if !changed {
            worst = worst.max((shown.expect("it shows something") - truth).abs());
        }
    }
    worst
}

#[test]
fn skewed_clocks_on_long_and_lossy_ways_show_the_same() {
    for ppm in [-50, 0, 50] {
        for delay_us in [0, 50 * MS, 150 * MS] {
            let nature = Nature { ppm, delay_us, jitter_us: 10 * MS, lost: 5, sleeps: None };
            let worst = worst_us(nature, 5, 600 * S, 10 * S);
            assert!(worst < 5 * MS, "{ppm} ppm, {delay_us} us away: {worst} us");
        }
    }
}

#[test]
fn on_a_quiet_network_they_show_the_same_to_half_a_millisecond() {
    let nature = Nature { ppm: 50, delay_us: 200, jitter_us: 50, lost: 0, sleeps: None };
    let worst = worst_us(nature, 9, 600 * S, 10 * S);
    assert!(worst < 500, "{worst} us");
}

#[test]
fn a_laptop_that_slept_for_an_hour_is_in_step_again_within_seconds() {
    for ppm in [-50, 50] {
        let sleeps = Some(500 * S);
        let nature = Nature { ppm, delay_us: 20 * MS, jitter_us: 5 * MS, lost: 1, sleeps };
        for (settles, most) in [(3 * S, 10 * MS), (10 * S, 5 * MS)] {
            let worst = worst_us(nature, 3, 500 * S + HOUR + 100 * S, settles);
            assert!(worst < most, "{ppm} ppm, {settles} us after it woke: {worst} us");
        }
    }
}
