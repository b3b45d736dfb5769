//! How fast a recording comes, and whether that is enough to play it without stopping.

use std::collections::VecDeque;

use proto::time::Stamp;

use super::reel::Reel;

/// Segments the measure goes over.
const WINDOW: usize = 8;
/// Of the measured rate, what is relied on.
const TRUST: f64 = 0.8;
/// Most segments asked for and not here: enough that the server never waits for us.
const AT_ONCE: usize = 3;
/// A segment that takes longer is asked for alone, microseconds: the way there and back is little
/// beside it, and what was asked for stands before what a seek needs.
const LONG_US: i64 = 1_000_000;

/// The rate at which segments come.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Bytes of each segment, and microseconds it was waited for.
    segments: VecDeque<(usize, i64)>,
    /// Something has been waited for since then.
    since: Option<Stamp>,
}

impl Meter {
    /// A segment was asked for.
    pub(super) fn asked(&mut self, now: Stamp) {
        self.since.get_or_insert(now);
    }

    /// A segment has come; others may still be coming.
    pub(super) fn came(&mut self, bytes: usize, others: bool, now: Stamp) {
        let Some(since) = std::mem::replace(&mut self.since, others.then_some(now)) else { return };
        if self.segments.len() == WINDOW {
            self.segments.pop_front();
        }
        self.segments.push_back((bytes, now.us_since(since).max(1)));
    }

    /// Nothing is coming any more.
    pub(super) fn stopped(&mut self) {
        self.since = None;
    }

    /// How many segments to ask for at once.
    pub(super) fn at_once(&self) -> usize {
        if self.segments.back().is_some_and(|(_, us)| *us > LONG_US) { 1 } else { AT_ONCE }
    }

    /// Bytes a microsecond that can be relied on; `None` before the first segment.
    fn rate(&self) -> Option<f64> {
        let (bytes, us) = self.segments.iter().fold((0, 0), |(b, t), s| (b + s.0, t + s.1));
        (us > 0).then(|| TRUST * bytes as f64 / us as f64)
    }

    /// Whether playing from `position_us` at `speed` will not stop again before `ahead_us` beyond it:
    /// each segment that is not here comes before it is due.
    pub(super) fn is_enough(
        &self,
        reel: &Reel,
        position_us: i64,
        ahead_us: i64,
        speed: f64,
    ) -> bool {
        let missing = reel.first_missing(position_us);
        let here_us = reel.buffered_us(position_us).saturating_sub(position_us);
        if reel.is_full(position_us, ahead_us) {
            return reel.is_finished() || here_us >= reel.least_us();
        }
        if missing <= reel.at(position_us) || here_us < reel.least_us() {
            return false;
        }
        let Some(rate) = self.rate() else { return false };
        let mut bytes = 0;
        reel.from(missing).all(|(_, segment)| {
            let until_us = segment.start_us.saturating_sub(position_us);
            bytes += segment.bytes as usize;
            until_us > ahead_us || bytes as f64 / rate <= until_us as f64 / speed.max(0.1)
        })
    }
}

#[cfg(test)]
mod tests {
    use proto::recording::{Index, RecordingId, SegmentInfo};
    use proto::stream::StreamDescription;

    use super::*;

    const S: i64 = 1_000_000;

    /// A hundred segments of 2 s and 1 MB, the first `held` of them here.
    fn reel(held: u64) -> Reel {
        let segment = |number: i64| SegmentInfo {
            start_us: number * 2 * S,
            duration_us: 2_000_000,
            bytes: 1_000_000,
            key: true,
        };
        let description = StreamDescription {
            name: "a".into(),
            title: String::new(),
            live: false,
            run: 1,
            duration_us: None,
            tracks: Vec::new(),
        };
        let mut reel = Reel::new(Index {
            id: RecordingId([1; 16]),
            description,
            oldest: 0,
            first: 0,
            segments: (0..100).map(segment).collect(),
            finished: true,
        });
        for number in 0..held {
            reel.put(number, Vec::new(), 1_000_000, 0);
        }
        reel
    }

    /// Segments that took so long each.
    fn meter(us: i64) -> Meter {
        let mut meter = Meter::default();
        for i in 0..4 {
            meter.asked(Stamp(i * us));
            meter.came(1_000_000, true, Stamp((i + 1) * us));
        }
        meter
    }

    #[test]
    fn a_fast_way_needs_little_and_a_slow_one_much() {
        let least = |us: i64, speed: f64| {
            (0..100).find(|held| meter(us).is_enough(&reel(*held), 0, 30 * S, speed))
        };
        assert_eq!(least(S / 10, 1.0), Some(1));
        // Relied on are four fifths of what was measured.
        assert_eq!(least(1_700_000, 1.0), Some(2), "2.1 s each, and the first is due in 2");
        assert_eq!(least(2 * S, 1.0), Some(4), "2.5 s each: 30 s for 12 of 16");
        assert!(least(S, 2.0) > least(S, 1.0));
        assert_eq!(Meter::default().rate(), None);
    }

    #[test]
    fn a_full_buffer_is_enough_however_slow_the_way_is() {
        assert!(!meter(100 * S).is_enough(&reel(15), 0, 30 * S, 1.0));
        assert!(meter(100 * S).is_enough(&reel(16), 0, 30 * S, 1.0));
    }

    #[test]
    fn on_a_slow_way_one_at_a_time_is_asked_for() {
        assert_eq!([S / 10, S, 2 * S].map(|us| meter(us).at_once()), [3, 3, 1]);
        assert_eq!(Meter::default().at_once(), 3);
    }

    #[test]
    fn waiting_for_nothing_is_not_slowness() {
        let mut meter = Meter::default();
        meter.asked(Stamp(0));
        meter.came(1_000_000, false, Stamp(S));
        meter.asked(Stamp(100 * S));
        meter.came(1_000_000, true, Stamp(101 * S));
        assert_eq!(meter.rate(), Some(TRUST));
    }
}
