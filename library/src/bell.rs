//! Wakes a thread that waits for something new.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Rung by many, heard by one; a ring that nobody waits for is heard by who waits next.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    waits: Condvar,
}

impl Bell {
    /// There is something new.
    pub(crate) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.waits.notify_one();
    }

    /// Waits for a ring, at most so long; whether there was one.
    pub(crate) fn wait(&self, most: Duration) -> bool {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.waits.wait_timeout_while(rung, most, |rung| !*rung);
        let (mut rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut rung)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_heard_once_even_if_nobody_waited() {
        let bell = Bell::default();
        bell.ring();
        assert!(bell.wait(Duration::from_secs(60)));
        assert!(!bell.wait(Duration::ZERO));
    }
}
