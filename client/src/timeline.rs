//! When a packet is due: maps capture times on the server's clock to moments on ours.
//!
//! A packet says when its moment was captured, on the server's clock; the clock filter says how far
//! that clock is from ours. Their difference is the *capture time*, on our clock, and it is the one
//! timeline of the player: packets keep it in place of their pts from the moment they arrive, over
//! restarts of the stream and of the connection. A moment is presented at capture time + delay.
//!
//! The delay is what the user asked for. It grows when packets come too late for it, by what the
//! second-worst second of the last half minute needed (one hiccup is forgiven, a habit is not), and
//! shrinks again so slowly that the sound can follow unheard. Pure: every moment is handed in.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};

use proto::PacketHeader;
use proto::time::{Offset, Stamp};

/// Seconds of arrivals that decide about the delay.
const WINDOW_S: i64 = 30;
/// The delay grows no further than this beyond what was asked for, microseconds: a server lets a
/// viewer that is two seconds behind skip ahead, so packets later than that do not come.
const MOST_GROWTH_US: i64 = 2_000_000;
/// How fast the delay shrinks: 3 ms a second, within what the sound can catch up with unheard.
const SHRINK: f64 = 0.003;
/// Farther behind the others of a room than this it is better to leave out a moment than to be late for
/// half a minute, microseconds. A room takes smaller steps down, which all make slowly and together.
const ROOM_JUMP_US: f64 = 120_000.0;
/// Fastest change of a run's base: 500 ppm, as the clock filter's.
const SLEW: f64 = 500e-6;
/// A base that is off by more than this is another base, microseconds.
const JUMP_US: i64 = 150_000;
/// Between a packet's arrival and its picture's due time there must be time to decode and to draw
/// it, microseconds.
const DECODE_US: i64 = 20_000;

/// What the presenting threads need to know of the timeline, readable at any time without a lock.
#[derive(Debug, Default)]
pub struct Schedule {
    delay_us: AtomicI64,
    sound_lag_us: AtomicI64,
    sound_need_us: AtomicI64,
    sound_until_us: AtomicI64,
    picture_us: AtomicI64,
    shift_us: AtomicI64,
    room_delay_us: AtomicI64,
    needs_us: AtomicI64,
    ahead_us: AtomicI64,
}

impl Schedule {
    /// What lies between capture and presentation now, microseconds.
    #[must_use]
    pub fn delay_us(&self) -> i64 {
        self.delay_us.load(Ordering::Relaxed) + self.shift_us.load(Ordering::Relaxed)
    }

    /// Moves everything by so much, to keep in step with others, microseconds.
    pub fn set_shift_us(&self, shift_us: i64) {
        self.shift_us.store(shift_us, Ordering::Relaxed);
    }

    /// A live stream is shown with this delay, because all in a room do; 0 for one's own. Microseconds.
    pub fn set_room_delay_us(&self, delay_us: i64) {
        self.room_delay_us.store(delay_us, Ordering::Relaxed);
    }

    /// Which delay a live stream needs here, microseconds.
    #[must_use]
    pub fn needs_us(&self) -> i64 {
        self.needs_us.load(Ordering::Relaxed)
    }

    /// How long the packet of a live stream that came last had to wait, microseconds.
    #[must_use]
    pub fn ahead_us(&self) -> i64 {
        self.ahead_us.load(Ordering::Relaxed)
    }

    /// How late the sound is heard against the timeline, microseconds; 0 when there is none.
    #[must_use]
    pub fn sound_lag_us(&self) -> i64 {
        self.sound_lag_us.load(Ordering::Relaxed)
    }

    /// When what was captured at the local moment `captured` is heard, and (the sound's own error
    /// aside) seen.
    #[must_use]
    pub fn due(&self, captured: Stamp) -> Stamp {
        captured.plus_us(self.delay_us())
    }

    /// As [`Schedule::due`] for pictures: they follow the sound where that is off its time, so that
    /// lips and voice stay together while it catches up.
    #[must_use]
    pub fn picture_due(&self, captured: Stamp) -> Stamp {
        self.due(captured).plus_us(self.sound_lag_us.load(Ordering::Relaxed))
    }

    /// Says how late the sound is heard against the timeline, microseconds; 0 when there is none.
    pub fn set_sound_lag_us(&self, lag_us: i64) {
        self.sound_lag_us.store(lag_us, Ordering::Relaxed);
    }

    /// Says from which moment on nothing of what is played now is to be heard, where that is known
    /// before: the card has been given what it plays by then.
    pub fn set_sound_until(&self, until: Option<Stamp>) {
        self.sound_until_us.store(until.map_or(0, |until| until.0), Ordering::Relaxed);
    }

    /// See [`Schedule::set_sound_until`].
    #[must_use]
    pub fn sound_until(&self) -> Option<Stamp> {
        let us = self.sound_until_us.load(Ordering::Relaxed);
        (us != 0).then_some(Stamp(us))
    }

    /// Says which delay a piece of sound would have needed to be heard in time, microseconds.
    pub fn sound_needs_us(&self, need_us: i64) {
        self.sound_need_us.fetch_max(need_us, Ordering::Relaxed);
    }

    /// Says what decoding a picture took, microseconds.
    pub fn picture_took_us(&self, us: i64) {
        let before = self.picture_us.load(Ordering::Relaxed);
        let smooth = if before == 0 { us } else { before + (us - before) / 8 };
        self.picture_us.store(smooth, Ordering::Relaxed);
    }

    /// What decoding a picture takes, smoothed, microseconds; 0 before the first.
    #[must_use]
    pub fn picture_us(&self) -> i64 {
        self.picture_us.load(Ordering::Relaxed)
    }

    fn take_sound_need_us(&self) -> i64 {
        self.sound_need_us.swap(0, Ordering::Relaxed)
    }
}

/// The peer's clock as it is known when a packet arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerClock {
    /// `remote - local`.
    pub offset: Offset,
    /// Before this the offset may still jump.
    pub settled: bool,
}

/// What the timeline says of an arrived packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When its moment was captured, on our clock.
    pub captured: Stamp,
    /// From capture (for a packet sent ahead of its pts: from its dts) to arrival, microseconds;
    /// `None` for backlog, and where the clock is not known.
    pub transit_us: Option<i64>,
    /// It was captured before we joined.
    pub backlog: bool,
    /// It came after it should have been presented.
    pub late: bool,
}

/// The mapping. One for a player's whole life.
#[derive(Debug)]
pub struct Timeline {
    schedule: std::sync::Arc<Schedule>,
    wanted_us: i64,
    delay_us: f64,
    updated: Option<Stamp>,
    /// The delay is a room's.
    in_room: bool,
    base: Option<Base>,
    joined: Stamp,
    needs: VecDeque<Need>,
}

/// The local capture time of a run's pts 0.
#[derive(Clone, Copy, Debug)]
struct Base {
    us: f64,
    /// Made without knowing the peer's clock, or before that was settled: to be replaced.
    provisional: bool,
    at: Stamp,
}

/// The longest delay any packet of one second needed.
#[derive(Clone, Copy, Debug)]
struct Need {
    second: i64,
    us: i64,
}

impl Timeline {
    /// A timeline that shows what arrives `wanted_us` after its capture; 0 shows pictures as soon
    /// as they are decoded, and sound as soon as the device can.
    #[must_use]
    pub fn new(wanted_us: i64, schedule: std::sync::Arc<Schedule>) -> Self {
        schedule.delay_us.store(wanted_us, Ordering::Relaxed);
        Self {
            schedule,
            wanted_us,
            delay_us: wanted_us as f64,
            updated: None,
            in_room: false,
            base: None,
            joined: Stamp(i64::MIN),
            needs: VecDeque::new(),
        }
    }

    /// A subscription was asked for at `now`: what was captured earlier is there to catch up with,
    /// and says nothing of the way.
    pub fn joined(&mut self, now: Stamp) {
        self.joined = now;
    }

    /// What is shown at `now`, microseconds on the stream's timeline; `None` before the first packet.
    #[must_use]
    pub fn shown_us(&self, now: Stamp) -> Option<i64> {
        let base = self.base?;
        Some(now.us_since(self.schedule.due(Stamp(base.us.round() as i64))))
    }

    /// A new run: its pts have nothing to do with the last one's.
    pub fn new_run(&mut self) {
        self.base = None;
    }

    /// Places a packet that arrived at `now`.
    pub fn packet(
        &mut self,
        header: &PacketHeader,
        clock: Option<PeerClock>,
        now: Stamp,
    ) -> Arrival {
        let base_us = self.rebase(header, clock, now);
        let captured = Stamp(base_us.saturating_add(header.pts_us));
        let backlog = captured < self.joined;
        let judged = !backlog && self.wanted_us > 0;
        if judged {
            self.needs_us(now.us_since(captured).saturating_add(DECODE_US), now);
        }
        let late = judged && now > captured.plus_us(self.delay_us.round() as i64);
        self.adapt(now);
        let ahead_us = self.schedule.due(captured).us_since(now);
        self.schedule.ahead_us.store(ahead_us, Ordering::Relaxed);
        let sent = Stamp(base_us.saturating_add(header.dts_us.min(header.pts_us)));
        let known = clock.is_some() && !backlog;
        Arrival { captured, transit_us: known.then(|| now.us_since(sent)), backlog, late }
    }

    /// The local capture time of pts 0. It should not move within a run, but stamps are noisy and
    /// crystals drift: small changes are slewed, large ones are another base.
    fn rebase(&mut self, header: &PacketHeader, clock: Option<PeerClock>, now: Stamp) -> i64 {
        let measured_us = match clock {
            Some(clock) => (header.captured_at_us - clock.offset).us_since(Stamp(header.pts_us)),
            // Without a clock the best guess is that the fastest packet took no time at all.
            None => now.us_since(Stamp(header.pts_us)),
        };
        let measured = measured_us as f64;
        let us = match self.base {
            None => measured,
            Some(base) if clock.is_none() && base.provisional => base.us.min(measured),
            Some(base) if clock.is_none() => base.us,
            Some(base) if base.provisional => measured,
            Some(base) if (measured - base.us).abs() > JUMP_US as f64 => measured,
            Some(base) => {
                let most = SLEW * now.us_since(base.at).max(0) as f64;
                base.us + (measured - base.us).clamp(-most, most)
            }
        };
        let provisional = match clock {
            Some(clock) => !clock.settled,
            None => self.base.is_none_or(|base| base.provisional),
        };
        self.base = Some(Base { us, provisional, at: now });
        us.round() as i64
    }

    fn needs_us(&mut self, us: i64, now: Stamp) {
        let second = now.0.div_euclid(1_000_000);
        match self.needs.back_mut() {
            Some(last) if last.second == second => last.us = last.us.max(us),
            _ => self.needs.push_back(Need { second, us }),
        }
        while self.needs.front().is_some_and(|n| second.saturating_sub(n.second) > WINDOW_S) {
            self.needs.pop_front();
        }
    }

    /// What the delay should be: the second-worst second, once there are some to choose from.
    fn target_us(&self) -> i64 {
        let mut worst = [0, 0];
        for need in &self.needs {
            if need.us > worst[0] {
                worst = [need.us, worst[0]];
            } else {
                worst[1] = worst[1].max(need.us);
            }
        }
        let need = if self.needs.len() > 2 { worst[1] } else { worst[0] };
        need.clamp(self.wanted_us, self.wanted_us.saturating_add(MOST_GROWTH_US))
    }

    fn adapt(&mut self, now: Stamp) {
        let sound_need_us = self.schedule.take_sound_need_us();
        if sound_need_us > 0 {
            self.needs_us(sound_need_us, now);
        }
        let needs_us = self.target_us();
        self.schedule.needs_us.store(needs_us, Ordering::Relaxed);
        let room_us = self.schedule.room_delay_us.load(Ordering::Relaxed);
        let target = if room_us > 0 { room_us } else { needs_us } as f64;
        let enters = room_us > 0 && !std::mem::replace(&mut self.in_room, room_us > 0);
        let apart = room_us > 0 && self.delay_us - target > ROOM_JUMP_US;
        let elapsed = self.updated.map_or(0, |last| now.us_since(last).max(0)) as f64;
        self.delay_us = if enters || apart || target > self.delay_us {
            target
        } else {
            target.max(self.delay_us - SHRINK * elapsed)
        };
        self.updated = Some(now);
        self.schedule.delay_us.store(self.delay_us.round() as i64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
