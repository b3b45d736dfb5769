//! How often somebody may do something.

use proto::time::Stamp;

/// So many at once, and then one every so often.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// At once.
    pub(super) burst: i64,
    /// After that one in so many microseconds.
    pub(super) every_us: i64,
}

/// How far somebody used a [`Rate`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace(Stamp);

impl Pace {
    /// Takes one if there is one.
    pub(super) fn take(&mut self, rate: Rate, now: Stamp) -> bool {
        let used = self.0.max(now);
        if used.us_since(now) > (rate.burst - 1) * rate.every_us {
            return false;
        }
        self.0 = used.plus_us(rate.every_us);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_at_a_time() {
        let rate = Rate { burst: 3, every_us: 1_000 };
        let (mut pace, now) = (Pace::default(), Stamp(5_000_000));
        let taken = (0..5).filter(|_| pace.take(rate, now)).count();
        assert_eq!(taken, 3);
        assert!(!pace.take(rate, now.plus_us(999)));
        assert!(pace.take(rate, now.plus_us(1_000)));
        assert!(!pace.take(rate, now.plus_us(1_000)));
    }
}
