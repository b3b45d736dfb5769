//! Back-off with jitter: many who lost the same peer do not come back in the same instant.

use std::time::Duration;

/// First wait unless told otherwise.
const FIRST: Duration = Duration::from_millis(250);
/// Longest wait unless told otherwise.
const LONGEST: Duration = Duration::from_secs(8);

/// Waits that double from a first one up to a longest one, each shortened by up to a half at random.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(FIRST, LONGEST)
    }
}

impl Backoff {
    /// Starts with `first`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// It worked: start over next time.
    pub fn reset(&mut self) {
        self.next = self.first;
    }

    /// How long to wait before the next try.
    #[must_use]
    pub fn step(&mut self) -> Duration {
        let wait = self.next.mul_f64(rand::random_range(0.5..=1.0));
        self.next = (self.next * 2).min(self.longest);
        wait
    }

    /// Waits before the next try.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.step()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_within_bounds_and_start_again() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(350));
        for most in [100, 200, 350, 350].map(ms) {
            let wait = backoff.step();
            assert!(wait <= most && wait >= most / 2, "{wait:?} of {most:?}");
        }
        backoff.reset();
        assert!(backoff.step() <= ms(100));
    }
}
