//! A peer's clock, estimated from pings.
//!
//! Four stamps a ping give an offset whose error is at most half the round trip. The filter keeps a
//! minute of them and fits a line (offset and rate) through the quarter with the shortest round
//! trips: a queue on the way only ever adds time. Once it has settled the estimate is slewed. It is
//! stepped where several pings in a row contradict it by more than their round trips allow,
//! so one of the clocks has stood still (a laptop that slept: its monotonic clock slept, too) or is
//! another one (the node was restarted). After a minute without pings it begins anew. Pure: every
//! moment is handed in.

use std::collections::VecDeque;

use crate::message::Pong;
use crate::time::{Offset, Stamp};

/// Pings sent in a burst when a connection begins.
pub const BURST: usize = 8;
/// Time between pings after that.
pub const INTERVAL: std::time::Duration = std::time::Duration::from_millis(250);
/// How long a ping counts, microseconds.
const WINDOW_US: i64 = 60_000_000;
/// Most pings kept.
const MOST: usize = 320;
/// Fastest change of the applied offset: 500 ppm, what the ear does not hear as pitch.
const SLEW: f64 = 500e-6;
/// An error of the estimate beyond what a round trip explains, microseconds, that is not slewed away:
/// it would take minutes.
const BROKEN_US: f64 = 50_000.0;
/// So many pings in a row have to say so.
const BELIEVED: usize = 4;
/// Fewest seconds of history before a rate is fitted: a slope over less is noise.
const RATE_AFTER_US: i64 = 10_000_000;

#[derive(Clone, Copy, Debug)]
struct Sample {
    local_us: i64,
    offset_us: f64,
    round_trip_us: i64,
}

/// The filter. Feed it pongs, ask it for the offset at a moment.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    samples: VecDeque<Sample>,
    /// The newest pings, if they contradict the others.
    suspects: Vec<Sample>,
    fit: Option<Fit>,
    applied: Option<Applied>,
}

#[derive(Clone, Copy, Debug)]
struct Fit {
    at_us: i64,
    offset_us: f64,
    rate: f64,
    error_us: f64,
}

#[derive(Clone, Copy, Debug)]
struct Applied {
    at_us: i64,
    offset_us: f64,
}

impl Filter {
    /// A filter that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a pong that arrived at `now` on the local clock. Impossible stamps are ignored.
    pub fn add(&mut self, pong: &Pong, now: Stamp) {
        let round_trip_us =
            now.us_since(pong.ping_sent_us).saturating_sub(pong.sent_us.us_since(pong.received_us));
        let held = pong.sent_us.us_since(pong.received_us);
        if round_trip_us < 0 || held < 0 || now < pong.ping_sent_us {
            return;
        }
        let out = pong.received_us.us_since(pong.ping_sent_us) as f64;
        let back = pong.sent_us.us_since(now) as f64;
        let local_us = now.0;
        let sample = Sample { local_us, offset_us: (out + back) / 2.0, round_trip_us };
        if self.contradicts(&sample) {
            self.suspects.push(sample);
            if self.suspects.len() < BELIEVED {
                return;
            }
            self.samples = std::mem::take(&mut self.suspects).into();
            self.applied = None;
        } else {
            self.suspects.clear();
            self.samples.push_back(sample);
        }
        while self.samples.len() > MOST
            || self.samples.front().is_some_and(|s| local_us.saturating_sub(s.local_us) > WINDOW_US)
        {
            self.samples.pop_front();
        }
        self.refit();
    }

    /// Whether the first burst is in: before that the offset may still jump.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.samples.len() >= BURST
    }

    /// `remote - local` at the local moment `now`, or `None` before the first pong.
    pub fn offset(&mut self, now: Stamp) -> Option<Offset> {
        let fit = self.fit?;
        let target = fit.offset_us + fit.rate * (now.0.saturating_sub(fit.at_us)) as f64;
        let offset_us = match self.applied {
            Some(last) if self.is_settled() => {
                let elapsed = now.0.saturating_sub(last.at_us).max(0) as f64;
                last.offset_us + (target - last.offset_us).clamp(-SLEW * elapsed, SLEW * elapsed)
            }
            _ => target,
        };
        self.applied = Some(Applied { at_us: now.0, offset_us });
        Some(Offset(offset_us.round() as i64))
    }

    /// Bound of the error: half the shortest round trip and what the fit leaves, microseconds.
    #[must_use]
    pub fn error_us(&self) -> Option<f64> {
        self.fit.map(|fit| fit.error_us)
    }

    /// Shortest round trip of the last minute, microseconds.
    #[must_use]
    pub fn round_trip_us(&self) -> Option<i64> {
        self.samples.iter().map(|s| s.round_trip_us).min()
    }

    /// Whether a ping and what is believed cannot both be right.
    fn contradicts(&self, sample: &Sample) -> bool {
        let Some(fit) = self.fit.filter(|_| self.is_settled()) else { return false };
        let elapsed_us = sample.local_us.saturating_sub(fit.at_us) as f64;
        let allowed_us = sample.round_trip_us as f64 / 2.0 + fit.error_us + BROKEN_US;
        (sample.offset_us - fit.offset_us - fit.rate * elapsed_us).abs() > allowed_us
    }

    fn refit(&mut self) {
        let mut best: Vec<Sample> = self.samples.iter().copied().collect();
        best.sort_by_key(|s| s.round_trip_us);
        best.truncate(best.len().div_ceil(4));
        let Some(shortest) = best.first().copied() else { return };
        let n = best.len() as f64;
        let base = shortest.local_us;
        let time = |s: &Sample| s.local_us.saturating_sub(base) as f64;
        let mean_t = best.iter().map(time).sum::<f64>() / n;
        let mean_o = best.iter().map(|s| s.offset_us).sum::<f64>() / n;
        let spread = best.iter().map(|s| (time(s) - mean_t).powi(2)).sum::<f64>();
        let first = best.iter().map(|s| s.local_us).min().unwrap_or(base);
        let last = best.iter().map(|s| s.local_us).max().unwrap_or(base);
        let rate = if last.saturating_sub(first) >= RATE_AFTER_US && spread > 0.0 {
            let cross: f64 = best.iter().map(|s| (time(s) - mean_t) * (s.offset_us - mean_o)).sum();
            // Crystals differ by some 100 ppm; more than 500 is a fit to noise.
            (cross / spread).clamp(-500e-6, 500e-6)
        } else {
            0.0
        };
        let residual = best
            .iter()
            .map(|s| (s.offset_us - mean_o - rate * (time(s) - mean_t)).abs())
            .fold(0.0, f64::max);
        self.fit = Some(Fit {
            at_us: base.saturating_add(mean_t as i64),
            offset_us: mean_o,
            rate,
            error_us: shortest.round_trip_us as f64 / 2.0 + residual,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small, seeded generator: the simulation is the same in every run.
    struct Lcg(u64);
    impl Lcg {
        fn below(&mut self, n: u64) -> i64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((self.0 >> 33) % n) as i64
        }
    }

    /// Runs `seconds` of pings against a clock that is `offset` off and `ppm` fast, over a path with
    /// `delay` each way and up to `jitter` more; gives the worst error of the last half, in µs.
    fn worst_error(offset: i64, ppm: f64, delay: i64, jitter: u64, seconds: i64) -> f64 {
        let remote = |t: i64| t + offset + (t as f64 * ppm * 1e-6) as i64;
        let mut noise = Lcg(7);
        let mut filter = Filter::new();
        let mut worst: f64 = 0.0;
        let mut t = 0;
        while t < seconds * 1_000_000 {
            let arrives = t + delay + noise.below(jitter.max(1));
            let answered = arrives + 30;
            let back = answered + delay + noise.below(jitter.max(1));
            let pong = Pong {
                ping_sent_us: Stamp(t),
                received_us: Stamp(remote(arrives)),
                sent_us: Stamp(remote(answered)),
            };
            filter.add(&pong, Stamp(back));
            let now = back + 1000;
            let estimate = filter.offset(Stamp(now)).expect("has a pong").0;
            if t > seconds * 500_000 {
                worst = worst.max((remote(now) - now - estimate).abs() as f64);
            }
            t += 250_000;
        }
        worst
    }

    #[test]
    fn a_quiet_network_gives_microseconds() {
        assert!(worst_error(5_000_000, 0.0, 200, 50, 120) < 30.0);
    }

    #[test]
    fn a_fast_clock_is_followed() {
        assert!(worst_error(-3_000_000, 50.0, 200, 100, 120) < 100.0);
        assert!(worst_error(0, -50.0, 20_000, 4_000, 240) < 1_000.0);
    }

    /// As [`worst_error`], with every third ping or so lost, over a way that is `delay` long there and
    /// `back` long back; the error beyond what the asymmetry hides from everybody.
    fn worst_error_with_loss(ppm: f64, delay: i64, back: i64, jitter: u64) -> f64 {
        let remote = |t: i64| t + 7_000_000 + (t as f64 * ppm * 1e-6) as i64;
        let mut noise = Lcg(11);
        let mut filter = Filter::new();
        let hidden = (delay - back) as f64 / 2.0;
        let mut worst: f64 = 0.0;
        for ping in 0..1200 {
            let t = ping * 250_000;
            let there = t + delay + noise.below(jitter);
            let here = there + 30 + back + noise.below(jitter);
            if noise.below(3) > 0 {
                let pong = Pong {
                    ping_sent_us: Stamp(t),
                    received_us: Stamp(remote(there)),
                    sent_us: Stamp(remote(there + 30)),
                };
                filter.add(&pong, Stamp(here));
            }
            let now = here.max(t + 250_000 - 1);
            let Some(estimate) = filter.offset(Stamp(now)) else { continue };
            if ping > 400 {
                let error = (estimate.0 - (remote(now) - now)) as f64 - hidden;
                worst = worst.max(error.abs());
            }
        }
        worst
    }

    #[test]
    fn skew_delay_jitter_and_loss_together_stay_below_a_millisecond_and_a_half() {
        for ppm in [-50.0, 0.0, 50.0] {
            for delay in [0, 10_000, 50_000, 200_000] {
                let worst = worst_error_with_loss(ppm, delay, delay, 10_000);
                assert!(worst < 1_500.0, "{ppm} ppm, {delay} us: {worst} us");
            }
            let worst = worst_error_with_loss(ppm, 60_000, 40_000, 10_000);
            assert!(worst < 1_500.0, "{ppm} ppm, asymmetric: {worst} us");
        }
    }

    #[test]
    fn queues_on_the_way_are_seen_through() {
        assert!(worst_error(1_000_000, 10.0, 50_000, 10_000, 240) < 2_000.0);
    }

    /// Pings every 250 ms, `round_trip` long, of a peer that is `offset(t)` off; gives the estimate
    /// after each.
    fn follow(offset: impl Fn(i64) -> i64, round_trip: i64, pings: i64) -> Vec<i64> {
        let mut filter = Filter::new();
        (0..pings)
            .map(|i| {
                let t = i * 250_000;
                let there = Stamp(t + round_trip / 2 + offset(t));
                let pong = Pong { ping_sent_us: Stamp(t), received_us: there, sent_us: there };
                filter.add(&pong, Stamp(t + round_trip));
                filter.offset(Stamp(t + round_trip)).expect("has a pong").0
            })
            .collect()
    }

    #[test]
    fn once_settled_noise_is_slewed_and_never_stepped() {
        // Half way through the way back becomes 30 ms longer: it looks like an offset, and may be.
        let off = |t: i64| if t < 50_000_000 { 0 } else { 30_000 };
        let estimates = follow(off, 200, 400);
        for pair in estimates.windows(2) {
            assert!((pair[1] - pair[0]).abs() <= 126, "stepped by {} us", pair[1] - pair[0]);
        }
    }

    #[test]
    fn a_laptop_that_slept_an_hour_is_right_again_within_some_pings() {
        const HOUR: i64 = 3_600_000_000;
        for round_trip in [200, 400_000] {
            let slept = |t: i64| if t < 50_000_000 { 0 } else { HOUR };
            let estimates = follow(slept, round_trip, 400);
            assert!(estimates[199].abs() < 100, "before: {}", estimates[199]);
            let after = estimates[200 + BELIEVED] - HOUR;
            assert!(after.abs() < 100, "{after} us off after {BELIEVED} pings");
            assert!((estimates[399] - HOUR).abs() < 100);
        }
    }

    #[test]
    fn one_mad_answer_changes_nothing() {
        let once = |t: i64| if t == 50_000_000 { 3_600_000_000 } else { 0 };
        assert!(follow(once, 200, 400).iter().all(|estimate| estimate.abs() < 200));
    }

    #[test]
    fn lying_stamps_are_ignored() {
        let mut filter = Filter::new();
        for (sent, received, answered, now) in
            [(0, 0, -5, 10), (100, 0, 0, 10), (0, i64::MIN, i64::MAX, 10), (0, 0, 1_000, 10)]
        {
            let pong = Pong {
                ping_sent_us: Stamp(sent),
                received_us: Stamp(received),
                sent_us: Stamp(answered),
            };
            filter.add(&pong, Stamp(now));
        }
        assert_eq!(filter.offset(Stamp(20)), None);
    }
}
