//! How a recording's times lie on our clock.
//!
//! Whatever is done to a recording (play, pause, seek, another speed) is one thing: from now on it is
//! played from this position at this speed. That is a cue, and each has a number, so that pictures
//! and sound that were on their way for an earlier one are known and dropped.

use proto::time::Stamp;

/// A recording that stands still is never due beyond its position: microseconds, a week.
const NEVER_US: i64 = 7 * 24 * 3_600 * 1_000_000;

/// What is played from where, since when, how fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cue {
    /// Counts them, from 1.
    pub number: u64,
    /// Where it begins, microseconds on the recording's timeline.
    pub position_us: i64,
    /// When that is to be taken for captured, on our clock: it is shown the player's delay later.
    pub captured: Stamp,
    /// Seconds of the recording a second; 0 stands still at the position.
    pub rate: f64,
}

impl Cue {
    /// Whether nothing moves.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.rate <= 0.0
    }

    /// When a moment of the recording is to be taken for captured.
    #[must_use]
    pub fn captured(&self, pts_us: i64) -> Stamp {
        let ahead_us = pts_us.saturating_sub(self.position_us);
        if !self.stands() {
            self.captured.plus_us((ahead_us as f64 / self.rate).round() as i64)
        } else if ahead_us > 0 {
            self.captured.plus_us(NEVER_US.saturating_add(ahead_us))
        } else {
            self.captured.plus_us(ahead_us)
        }
    }

    /// What is shown at `now` by a player of this delay, microseconds on the recording's timeline.
    #[must_use]
    pub fn position_us(&self, now: Stamp, delay_us: i64) -> i64 {
        let since_us = now.us_since(self.captured.plus_us(delay_us)).max(0);
        let played_us = since_us as f64 * self.rate.max(0.0);
        self.position_us.saturating_add(played_us.round() as i64)
    }
}

/// How times of a stream lie on our clock.
#[derive(Clone, Copy, Debug)]
pub enum Times {
    /// So many microseconds apart.
    Live {
        /// Added to a stream's time it gives the capture time on our clock.
        shift_us: i64,
    },
    /// As the cue says.
    Recorded(Cue),
}

impl Times {
    /// When the moment `pts_us` was captured, on our clock.
    #[must_use]
    pub fn captured(&self, pts_us: i64) -> Stamp {
        match self {
            Self::Live { shift_us } => Stamp(pts_us.saturating_add(*shift_us)),
            Self::Recorded(cue) => cue.captured(pts_us),
        }
    }

    /// The cue, for recordings.
    #[must_use]
    pub fn cue(&self) -> Option<Cue> {
        match self {
            Self::Live { .. } => None,
            Self::Recorded(cue) => Some(*cue),
        }
    }

    /// The cue's number; 0 for live streams.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.cue().map_or(0, |cue| cue.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY_US: i64 = 250_000;

    fn cue(rate: f64) -> Cue {
        Cue { number: 1, position_us: 60_000_000, captured: Stamp(1_000_000), rate }
    }

    #[test]
    fn what_is_shown_and_what_is_due_agree() {
        for rate in [0.5, 0.75, 1.0, 2.0] {
            let cue = cue(rate);
            for pts_us in [60_000_000, 60_040_000, 99_000_000] {
                let due = cue.captured(pts_us).plus_us(DELAY_US);
                assert!((cue.position_us(due, DELAY_US) - pts_us).abs() <= 2, "{rate} {pts_us}");
            }
            assert_eq!(cue.position_us(Stamp(0), DELAY_US), 60_000_000, "not before it begins");
        }
    }

    #[test]
    fn what_stands_shows_its_position_and_nothing_beyond() {
        let cue = cue(0.0);
        assert!(cue.stands());
        assert_eq!(cue.position_us(Stamp(i64::MAX), DELAY_US), 60_000_000);
        assert!(cue.captured(60_000_000) <= cue.captured);
        assert!(cue.captured(60_000_001).us_since(cue.captured) > 1_000_000_000);
    }
}
