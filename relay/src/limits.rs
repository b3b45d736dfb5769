//! Every bound of a node, with its default and its reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bounds of a node. All are flags of the binaries.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most viewers at a time, over all streams.
    pub viewers: usize,
    /// Most connections at a time, of any kind: each viewer has two (media and control).
    pub connections: usize,
    /// Most connections of one IP address: a class behind one router fits.
    pub connections_per_address: usize,
    /// Bytes that all logs together may hold.
    pub log_memory: u64,
    /// Bytes that one stream's log may hold.
    pub stream_memory: u64,
    /// A viewer further behind than this jumps to the newest key frame.
    pub max_lag: Duration,
    /// A viewer that takes nothing for this long is closed.
    pub stall: Duration,
    /// A viewer waits this long for a stream's source to start.
    pub start: Duration,
    /// A pulled stream is let go this long after its last viewer left.
    pub linger: Duration,
    /// A pushed stream is held this long for its publisher to come back.
    pub publisher_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            viewers: 2_000,
            connections: 8_192,
            connections_per_address: 256,
            log_memory: 512 << 20,
            stream_memory: 64 << 20,
            max_lag: Duration::from_secs(2),
            stall: Duration::from_secs(10),
            start: Duration::from_secs(15),
            linger: Duration::from_secs(5),
            publisher_grace: Duration::from_secs(60),
        }
    }
}

/// A bounded sum of bytes that many share.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicU64,
    limit: u64,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), limit })
    }

    /// Takes `bytes` if they are there, or in any case.
    pub(crate) fn take(&self, bytes: u64, in_any_case: bool) -> bool {
        let take =
            |used: u64| used.checked_add(bytes).filter(|sum| in_any_case || *sum <= self.limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Gives `bytes` back.
    pub(crate) fn give(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_kept_except_for_a_word() {
        let budget = Budget::new(100);
        assert!(budget.take(100, false));
        assert!(!budget.take(1, false));
        assert!(budget.take(1, true));
        budget.give(101);
        assert!(budget.take(100, false));
        assert!(!budget.take(u64::MAX, true), "never beyond what can be counted");
    }
}
