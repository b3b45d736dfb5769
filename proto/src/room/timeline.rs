//! What a room shows when, and the remote control that changes it.

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::stream::{OutOfBounds, check};
use crate::time::Stamp;

/// What is shown when: at the moment `anchor_us` of the node's clock, `position_us`; from there on as
/// `going` and `speed_permille` say. Before `anchor_us` the timeline of the epoch before it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// Counts the changes; only grows.
    pub epoch: u64,
    /// When it takes effect, on the node's clock.
    pub anchor_us: Stamp,
    /// What is shown then, microseconds on the recording's timeline; 0 for live streams.
    pub position_us: i64,
    /// Thousandths of the film's own speed, 500 to 2000.
    pub speed_permille: u16,
    /// Whether it moves.
    pub going: Going,
    /// A live stream is shown so long after its capture; 0 for recordings. Microseconds.
    pub delay_us: u32,
}

impl Timeline {
    /// What is shown at `now` on the node's clock, microseconds on the recording's timeline.
    #[must_use]
    pub fn position_us(&self, now: Stamp) -> i64 {
        if self.going != Going::Playing {
            return self.position_us;
        }
        let since_us = i128::from(now.us_since(self.anchor_us).max(0));
        let played_us = since_us * i128::from(self.speed_permille) / 1000;
        self.position_us.saturating_add(i64::try_from(played_us).unwrap_or(i64::MAX))
    }
}

impl Timeline {
    pub(crate) fn validate(&self) -> Result<(), OutOfBounds> {
        check("a position", is_time(self.position_us))?;
        check("a speed", is_speed(self.speed_permille))?;
        check("a room's delay", i64::from(self.delay_us) <= limits::ROOM_DELAY_US)
    }
}

/// See [`Timeline`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Going {
    /// It moves.
    Playing,
    /// Somebody paused it.
    Paused,
    /// It stands until all are ready.
    Waiting,
}

/// Uses the remote control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Remote {
    /// Go on.
    Play,
    /// Stand still.
    Pause,
    /// To there, microseconds on the recording's timeline.
    Seek(i64),
    /// At this speed, thousandths.
    Speed(u16),
}

impl Remote {
    pub(crate) fn validate(&self) -> Result<(), OutOfBounds> {
        match self {
            Self::Play | Self::Pause => Ok(()),
            Self::Seek(us) => check("a position", is_time(*us)),
            Self::Speed(permille) => check("a speed", is_speed(*permille)),
        }
    }
}

pub(super) fn is_time(us: i64) -> bool {
    (-limits::RECORDING_US..=limits::RECORDING_US).contains(&us)
}

pub(super) fn is_speed(permille: u16) -> bool {
    limits::SPEED.contains(&permille)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_says_what_is_shown() {
        let mut timeline = Timeline {
            epoch: 1,
            anchor_us: Stamp(1_000_000),
            position_us: 60_000_000,
            speed_permille: 1500,
            going: Going::Playing,
            delay_us: 0,
        };
        assert_eq!(timeline.position_us(Stamp(0)), 60_000_000, "not before it takes effect");
        assert_eq!(timeline.position_us(Stamp(3_000_000)), 63_000_000);
        assert_eq!(timeline.position_us(Stamp(i64::MAX)), i64::MAX, "saturates");
        timeline.going = Going::Waiting;
        assert_eq!(timeline.position_us(Stamp(3_000_000)), 60_000_000);
    }
}
