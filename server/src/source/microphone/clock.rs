//! When a block of sound was captured.
//!
//! A sound card's blocks follow each other without a gap, at its own rate; the stamps that come
//! with them jitter by milliseconds. So blocks are counted, and the count is drawn slowly to what
//! the stamps say: jitter averages out, a crystal that is off is followed.

/// Samples a second that the card is asked for.
pub(super) const RATE: u32 = 48_000;
/// Share of the difference made up for with every block: at 20 ms a block, over some 1.3 s.
const GAIN: f64 = 1.0 / 64.0;
/// A larger difference is a break in the sound, not jitter, microseconds.
const BREAK_US: f64 = 100_000.0;

/// Places blocks on the stream's timeline.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    next_us: Option<f64>,
}

impl Clock {
    /// When a block of `frames` samples, stamped `stamped_us`, begins, microseconds.
    pub(super) fn place(&mut self, stamped_us: i64, frames: usize) -> i64 {
        let stamped = stamped_us as f64;
        let begins = match self.next_us {
            Some(counted) if (stamped - counted).abs() < BREAK_US => {
                counted + (stamped - counted) * GAIN
            }
            _ => stamped,
        };
        self.next_us = Some(begins + frames as f64 * 1e6 / f64::from(RATE));
        begins.round() as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places `count` blocks of 20 ms from a card that is `ppm` fast and whose stamps jitter by up
    /// to `jitter_us` either way; gives the errors.
    fn errors(count: i64, ppm: f64, jitter_us: i64) -> Vec<f64> {
        let mut clock = Clock::default();
        let place = |n: i64| {
            let truth = n as f64 * 20_000.0 * (1.0 - ppm * 1e-6);
            let jitter = (n * 7919) % (2 * jitter_us + 1) - jitter_us;
            clock.place(truth as i64 + jitter, 960) as f64 - truth
        };
        (0..count).map(place).collect()
    }

    #[test]
    fn jitter_averages_out() {
        let errors = errors(2_000, 0.0, 5_000);
        assert!(errors[500..].iter().all(|error| error.abs() < 1_500.0));
    }

    #[test]
    fn a_fast_card_is_followed() {
        let errors = errors(20_000, 300.0, 2_000);
        assert!(errors[1_000..].iter().all(|error| error.abs() < 1_500.0));
    }

    #[test]
    fn a_break_is_a_break() {
        let mut clock = Clock::default();
        assert_eq!(clock.place(1_000, 960), 1_000);
        assert_eq!(clock.place(21_000, 960), 21_000);
        assert_eq!(clock.place(5_000_000, 960), 5_000_000);
    }
}
