//! How long to wait before dialling again.

use std::time::Duration;

/// Doubles from a first wait up to a longest one. Each wait is drawn from its upper half: viewers
/// that lost the same server must not all come back in the same moment.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    current: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, current: first }
    }

    /// It worked: the next loss starts from the first wait again.
    pub(super) fn reset(&mut self) {
        self.current = self.first;
    }

    /// The next wait.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.current;
        self.current = (wait * 2).min(self.longest);
        wait.mul_f64(rand::random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_within_bounds_and_start_again() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(350));
        for most in [100, 200, 350, 350] {
            let wait = backoff.next();
            assert!(wait <= Duration::from_millis(most), "{wait:?}");
            assert!(wait >= Duration::from_millis(most / 2), "{wait:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(100));
    }
}
