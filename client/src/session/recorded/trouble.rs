//! Segments that do not come, or come damaged: how often to ask again, and what to say of it.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::recording::NoSegment;
use proto::retry::Backoff;
use proto::time::{Stamp, micros};

use super::reel::Reel;

/// How often a damaged segment is asked for again.
const AGAIN: u32 = 3;
/// First and longest wait before asking again for what cannot be had now.
const WAITS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// What is not as it should be. Holds no more than the segments asked for.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    damaged: BTreeMap<u64, u32>,
    waiting: BTreeMap<u64, Backoff>,
}

impl Trouble {
    /// It came, whole.
    pub(super) fn over(&mut self, number: u64) {
        self.damaged.remove(&number);
        self.waiting.remove(&number);
    }

    /// It came damaged: it is asked for again, a few times. Gives what to say.
    pub(super) fn damaged(&mut self, number: u64, reel: &mut Reel, now: Stamp) -> Option<String> {
        let times = self.damaged.entry(number).or_default();
        *times += 1;
        if *times <= AGAIN {
            reel.put_off(number, now);
            return None;
        }
        reel.give_up(number);
        self.over(number);
        Some(format!("segment {number} came damaged {} times and is left out", AGAIN + 1))
    }

    /// It cannot be had, now or ever. Gives what to say.
    pub(super) fn missing(
        &mut self,
        none: &NoSegment,
        reel: &mut Reel,
        now: Stamp,
    ) -> Option<String> {
        let NoSegment { number, later, reason } = none;
        if !later {
            reel.give_up(*number);
            self.over(*number);
            return Some(format!("segment {number} cannot be had and is left out: {reason}"));
        }
        let first = self.waiting.is_empty();
        let backoff = self.waiting.entry(*number).or_insert_with(|| Backoff::new(WAITS.0, WAITS.1));
        reel.put_off(*number, now.plus_us(micros(backoff.step())));
        first.then(|| format!("segment {number} cannot be had now, trying again: {reason}"))
    }
}
