//! When to send a packet of a recording: at its own pace, without drift, without bursts.
//!
//! Pure: every moment is handed in. A packet is due at `start + dts`; what it shows was "captured"
//! at `start + pts`, never earlier, so `captured - pts` is one constant until the clock was lost
//! (the machine slept, the source stalled): then the timeline is moved once, instead of sending
//! everything that was missed in one burst.

use proto::time::Stamp;

/// Later than this, the timeline is moved rather than caught up with, microseconds. Long enough for
/// a slow disk or a busy machine, short enough for every viewer's buffer to survive the burst.
const LOST_US: i64 = 1_000_000;

/// A recording's timeline laid over the clock.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    start: Stamp,
}

impl Pacer {
    /// The timeline's zero is at `start`.
    #[must_use]
    pub fn new(start: Stamp) -> Self {
        Self { start }
    }

    /// How long to wait, microseconds, before sending what is decoded at `dts_us`; 0 or less: now.
    #[must_use]
    pub fn wait_us(&mut self, dts_us: i64, now: Stamp) -> i64 {
        // What is decoded before the beginning is there to begin with, and is not shown.
        let dts_us = dts_us.max(0);
        let wait = self.start.plus_us(dts_us).us_since(now);
        if wait < -LOST_US {
            self.start = now.plus_us(dts_us.saturating_neg());
            return 0;
        }
        wait
    }

    /// From now on everything is due so much earlier.
    pub fn advance(&mut self, us: i64) {
        self.start = self.start.plus_us(us.saturating_neg());
    }

    /// When `pts_us` is due, on the same clock.
    #[must_use]
    pub fn captured_at(&self, pts_us: i64) -> Stamp {
        self.start.plus_us(pts_us)
    }
}

/// How long packets of a live source lie waiting until they are due. What the most urgent of them
/// waits is delay for nothing: it piled up while the source was being looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slack {
    since: Option<Stamp>,
    least_us: i64,
}

impl Slack {
    /// Time over which packets are watched: web streams come in pieces of up to ten seconds, in
    /// which the last packet waits that long without need, but the first does not.
    const WATCH_US: i64 = 12_000_000;
    /// Slack that is kept for the source's jitter.
    const KEPT_US: i64 = 150_000;

    /// A packet that arrived at `arrived` is to be sent at `due`. Now and then gives by how much the
    /// timeline can be advanced, microseconds.
    #[must_use]
    pub fn watch(&mut self, arrived: Stamp, due: Stamp) -> Option<i64> {
        let wait_us = due.us_since(arrived);
        let Some(since) = self.since else {
            *self = Self { since: Some(arrived), least_us: wait_us };
            return None;
        };
        self.least_us = self.least_us.min(wait_us);
        if arrived.us_since(since) < Self::WATCH_US {
            return None;
        }
        let too_much = self.least_us.saturating_sub(Self::KEPT_US);
        self.since = None;
        (too_much > Self::KEPT_US).then_some(too_much)
    }
}

/// Joins one pass of a looped recording to the next: times keep growing, without a gap or overlap.
#[derive(Clone, Copy, Debug, Default)]
pub struct Splice {
    offset_us: i64,
    end_us: i64,
}

impl Splice {
    /// Puts a packet of the current pass on the endless timeline.
    pub fn place(&mut self, header: &mut proto::PacketHeader) {
        header.pts_us = header.pts_us.saturating_add(self.offset_us);
        header.dts_us = header.dts_us.saturating_add(self.offset_us);
        let end = header.pts_us.saturating_add(i64::from(header.duration_us));
        self.end_us = self.end_us.max(end);
    }

    /// Where the current pass begins on the endless timeline, microseconds.
    #[must_use]
    pub fn offset_us(&self) -> i64 {
        self.offset_us
    }

    /// Whether a pass came before the current one.
    #[must_use]
    pub fn is_repeating(&self) -> bool {
        self.offset_us > 0
    }

    /// The pass is over; `duration_us` is its length if the container states one. The next pass
    /// begins where the last picture or sound ends.
    pub fn next_pass(&mut self, duration_us: Option<u64>) {
        let stated = duration_us.and_then(|d| i64::try_from(d).ok()).unwrap_or(0);
        let end = self.end_us.max(self.offset_us.saturating_add(stated));
        // A recording of no length would spin: a pass lasts at least a frame's time.
        self.offset_us = end.max(self.offset_us.saturating_add(40_000));
        self.end_us = self.offset_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::PacketHeader;

    #[test]
    fn packets_are_due_on_a_straight_line() {
        let mut pacer = Pacer::new(Stamp(5_000_000));
        // However late each was sent, the next is due by the first's start: nothing adds up.
        for (n, late) in [(0, 0), (1, 900), (2, 300_000), (3, 0)] {
            let dts = n * 40_000;
            let now = Stamp(5_000_000 + dts + late);
            assert_eq!(pacer.wait_us(dts, now), -late);
        }
        assert_eq!(pacer.wait_us(400_000, Stamp(5_300_000)), 100_000);
        assert_eq!(pacer.captured_at(80_000), Stamp(5_080_000));
    }

    #[test]
    fn what_lies_before_the_beginning_goes_at_once_and_moves_nothing() {
        let start = Stamp(5_000_000);
        let mut pacer = Pacer::new(start);
        for dts in [-1_500_000, -700_000, 0] {
            assert!(pacer.wait_us(dts, start.plus_us(3_000)) <= 0);
        }
        assert_eq!(pacer.wait_us(40_000, start.plus_us(3_000)), 37_000);
        assert_eq!(pacer.captured_at(-1_000_000), start.plus_us(-1_000_000));
    }

    #[test]
    fn after_a_suspend_the_timeline_moves_once() {
        let mut pacer = Pacer::new(Stamp(0));
        assert_eq!(pacer.wait_us(40_000, Stamp(3_600_000_000)), 0);
        assert_eq!(pacer.wait_us(80_000, Stamp(3_600_000_000)), 40_000);
        assert_eq!(pacer.captured_at(80_000), Stamp(3_600_040_000));
    }

    #[test]
    fn what_piled_up_at_the_start_is_made_up_for() {
        let mut pacer = Pacer::new(Stamp(0));
        let mut slack = Slack::default();
        let mut advanced = Vec::new();
        // Two seconds are there at once, then a packet comes every 40 ms.
        for n in 0..1_000i64 {
            let arrived = Stamp((n * 40_000 - 2_000_000).max(0));
            if let Some(us) = slack.watch(arrived, pacer.captured_at(n * 40_000)) {
                pacer.advance(us);
                advanced.push(us);
            }
        }
        assert_eq!(advanced, [1_850_000]);
    }

    #[test]
    fn a_source_that_comes_in_pieces_keeps_what_it_needs() {
        let pacer = Pacer::new(Stamp(0));
        let mut slack = Slack::default();
        // Six seconds at a time, each piece just when it is due.
        for n in 0..1_000i64 {
            let arrived = Stamp(n * 40_000 / 6_000_000 * 6_000_000);
            assert_eq!(slack.watch(arrived, pacer.captured_at(n * 40_000)), None);
        }
    }

    fn packet(pts_us: i64, dts_us: i64, duration_us: u32) -> PacketHeader {
        PacketHeader { pts_us, dts_us, duration_us, ..PacketHeader::default() }
    }

    #[test]
    fn passes_of_a_loop_are_joined_seamlessly() {
        let mut splice = Splice::default();
        let pass =
            [packet(0, -40_000, 40_000), packet(80_000, 0, 40_000), packet(40_000, 40_000, 40_000)];
        for n in 0..3 {
            let start = n * 120_000;
            for template in pass {
                let mut header = template;
                splice.place(&mut header);
                assert_eq!(header.pts_us, template.pts_us + start);
                assert_eq!(header.dts_us, template.dts_us + start);
            }
            splice.next_pass(Some(110_000));
        }
    }

    #[test]
    fn a_recording_without_length_does_not_spin() {
        let mut splice = Splice::default();
        let mut first = packet(0, 0, 0);
        splice.place(&mut first);
        splice.next_pass(None);
        let mut second = packet(0, 0, 0);
        splice.place(&mut second);
        assert!(second.pts_us > first.pts_us);
    }
}
