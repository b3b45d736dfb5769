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
        let wait = self.start.plus_us(dts_us).us_since(now);
        if wait < -LOST_US {
            self.start = now.plus_us(dts_us.saturating_neg());
            return 0;
        }
        wait
    }

    /// When `pts_us` is due, on the same clock.
    #[must_use]
    pub fn captured_at(&self, pts_us: i64) -> Stamp {
        self.start.plus_us(pts_us)
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
    fn after_a_suspend_the_timeline_moves_once() {
        let mut pacer = Pacer::new(Stamp(0));
        assert_eq!(pacer.wait_us(40_000, Stamp(3_600_000_000)), 0);
        assert_eq!(pacer.wait_us(80_000, Stamp(3_600_000_000)), 40_000);
        assert_eq!(pacer.captured_at(80_000), Stamp(3_600_040_000));
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
