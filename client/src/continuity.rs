//! Whether packets follow one another: finds holes, and what was already received.

/// How a packet stands to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The next one, or the first of all.
    Next,
    /// This many packets before it are missing.
    Hole(u64),
    /// It was here before: a server starts every subscription with a key frame, and that one may
    /// have been played already when a lost connection comes back.
    Seen,
}

/// Follows the packets of a stream over connections.
#[derive(Clone, Debug, Default)]
pub struct Continuity {
    run: Option<u64>,
    next: Option<u64>,
}

impl Continuity {
    /// A description of this run came; gives whether it is another run than before.
    pub fn describe(&mut self, run: u64) -> bool {
        let new = self.run != Some(run);
        if new {
            *self = Self { run: Some(run), next: None };
        }
        new
    }

    /// What comes next need not follow what came last.
    pub fn forget(&mut self) {
        self.next = None;
    }

    /// A packet with this sequence number came.
    pub fn packet(&mut self, sequence: u64) -> Step {
        let step = match self.next {
            None => Step::Next,
            Some(next) if sequence < next => return Step::Seen,
            Some(next) if sequence == next => Step::Next,
            Some(next) => Step::Hole(sequence - next),
        };
        self.next = Some(sequence.saturating_add(1));
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_counted_and_repeats_known() {
        let mut continuity = Continuity::default();
        assert!(continuity.describe(7));
        let steps = [40, 41, 45, 44, 45, 46].map(|s| continuity.packet(s));
        use Step::{Hole, Next, Seen};
        assert_eq!(steps, [Next, Next, Hole(3), Seen, Seen, Next]);
        continuity.forget();
        assert_eq!([9, 8].map(|s| continuity.packet(s)), [Next, Seen]);
    }

    #[test]
    fn the_same_run_goes_on_over_a_new_connection_and_another_does_not() {
        let mut continuity = Continuity::default();
        continuity.describe(7);
        continuity.packet(10);
        assert!(!continuity.describe(7));
        assert_eq!(continuity.packet(8), Step::Seen);
        assert_eq!(continuity.packet(11), Step::Next);
        assert!(continuity.describe(8));
        assert_eq!(continuity.packet(0), Step::Next);
    }

    #[test]
    fn the_last_number_there_is_does_not_overflow() {
        let mut continuity = Continuity::default();
        continuity.packet(0);
        assert_eq!(continuity.packet(u64::MAX), Step::Hole(u64::MAX - 1));
        // Nothing can follow: what comes next has been seen, or is the last again.
        assert_eq!(continuity.packet(5), Step::Seen);
    }
}
