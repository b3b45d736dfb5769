//! Sound out: one thread keeps a sound card open for as long as there is one.
//!
//! ```text
//! device    a cpal stream and what its callback says of time
//! playout   decides what the callback is given: the ring, alignment, jumps
//! steer     how fast to play to be heard on time
//! sinc      plays at any speed
//! mix       the stream's channels to the card's
//! stretch   a recording's sound at another speed, at its own pitch
//! ```

mod device;
mod mix;
mod playout;
mod sinc;
mod steer;
mod stretch;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use media::Sound;
use proto::time::Stamp;

use crate::timeline::Schedule;
use device::Device;
use playout::Feed;
pub use stretch::Stretcher;

/// How often the card is looked after.
const LOOK: Duration = Duration::from_millis(200);
/// A card whose callbacks stop for so long is gone: when only the sink of a sound server goes,
/// there is no error.
const STALLED: Duration = Duration::from_secs(2);
/// Between attempts to open a card.
const RETRY: Duration = Duration::from_secs(2);

/// From this latency on there is time for a card's buffer of comfortable size, microseconds.
const CALM_US: u32 = 200_000;

/// Loudest volume, per cent.
pub const LOUDEST: u32 = 100;

/// The knobs, and the way from the decoder to the card.
#[derive(Debug)]
pub struct Desk {
    hurried: bool,
    volume_percent: AtomicU32,
    muted: AtomicBool,
    paused: AtomicBool,
    callbacks: AtomicU64,
    path_us: AtomicI64,
    closed: AtomicBool,
    /// Number of the cue whose sound is wanted, and the way to the card.
    feed: Mutex<(u64, Option<Feed>)>,
}

/// What became of the sound card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It plays.
    Opened,
    /// There is none; the reason is a sentence.
    Missing(String),
    /// It went away while playing.
    Lost,
}

/// What a stretch of sound met at the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// It will be heard.
    Taken,
    /// There is no room yet: offer it again.
    Full,
    /// No card plays.
    NoCard,
    /// Something else is played meanwhile.
    Cut,
}

impl Desk {
    /// A desk at this volume, with no card yet; `latency_us` is what was asked for.
    #[must_use]
    pub fn new(volume_percent: u32, latency_us: u32) -> Self {
        Self {
            hurried: latency_us < CALM_US,
            volume_percent: AtomicU32::new(volume_percent.min(LOUDEST)),
            muted: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            callbacks: AtomicU64::new(0),
            path_us: AtomicI64::new(0),
            closed: AtomicBool::new(false),
            feed: Mutex::default(),
        }
    }

    /// Whether a card has played.
    #[must_use]
    pub fn was_heard(&self) -> bool {
        self.callbacks.load(Ordering::Relaxed) > 0
    }

    /// Turns the volume by so many per cent; gives what it is then.
    pub fn turn(&self, by: i32) -> u32 {
        let now = self.volume_percent.load(Ordering::Relaxed);
        let turned = now.saturating_add_signed(by).min(LOUDEST);
        self.volume_percent.store(turned, Ordering::Relaxed);
        turned
    }

    /// Mutes or unmutes; gives whether it is muted then.
    pub fn toggle_mute(&self) -> bool {
        !self.muted.fetch_xor(true, Ordering::Relaxed)
    }

    /// Holds the sound silent without stopping its time.
    pub fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// Gives up the card.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// From handing sound in to hearing it, at the worst, microseconds: the card's buffer and one
    /// callback.
    #[must_use]
    pub fn path_us(&self) -> i64 {
        self.path_us.load(Ordering::Relaxed)
    }

    /// Offers a stretch of sound whose pts is its capture time on our clock, played by the cue of
    /// this number; 0 for live streams.
    pub fn feed(&self, sound: &Sound, cue: u64) -> Fed {
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        if feed.0 != cue {
            return Fed::Cut;
        }
        let Some(feed) = feed.1.as_mut() else { return Fed::NoCard };
        let samples = mix::mix(sound, feed.channels());
        if feed.push(Stamp(sound.pts_us), sound.sample_rate, &samples) {
            Fed::Taken
        } else {
            Fed::Full
        }
    }

    /// From now on only sound of this cue is wanted, and none of what waits.
    pub fn cut(&self, cue: u64) {
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        feed.0 = cue;
        if let Some(feed) = &feed.1 {
            feed.cut();
        }
    }

    /// Whether the card's buffer has to be short.
    fn is_hurried(&self) -> bool {
        self.hurried
    }

    /// What samples are multiplied by now. Squared, because loudness is heard so.
    fn gain(&self) -> f32 {
        if self.muted.load(Ordering::Relaxed) || self.paused.load(Ordering::Relaxed) {
            return 0.0;
        }
        let part = self.volume_percent.load(Ordering::Relaxed) as f32 / LOUDEST as f32;
        part * part
    }

    fn set_feed(&self, feed: Option<Feed>) {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner).1 = feed;
    }

    /// Whether the card was given up.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}

/// Keeps a card open until the desk is closed. Says each change once.
pub fn run(desk: &Arc<Desk>, schedule: &Arc<Schedule>, mut changed: impl FnMut(Change)) {
    let mut missing = false;
    while !desk.is_closed() {
        match Device::open(desk.clone(), schedule.clone()) {
            Ok((device, feed)) => {
                desk.set_feed(Some(feed));
                missing = false;
                changed(Change::Opened);
                watch(desk, &device);
                desk.set_feed(None);
                schedule.set_sound_lag_us(0);
                device.discard();
                if !desk.is_closed() {
                    missing = true;
                    changed(Change::Lost);
                }
            }
            Err(reason) if !missing => {
                missing = true;
                changed(Change::Missing(reason.to_string()));
            }
            Err(reason) => tracing::debug!("still no sound: {reason}"),
        }
        let retry_at = Instant::now() + RETRY;
        while !desk.is_closed() && Instant::now() < retry_at {
            std::thread::sleep(LOOK);
        }
    }
}

/// Returns when the card is gone or the desk closed.
fn watch(desk: &Desk, device: &Device) {
    let mut seen = (desk.callbacks.load(Ordering::Relaxed), Instant::now());
    while !desk.is_closed() && !device.is_broken() && seen.1.elapsed() < STALLED {
        std::thread::sleep(LOOK);
        let callbacks = desk.callbacks.load(Ordering::Relaxed);
        if callbacks != seen.0 {
            seen = (callbacks, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_volume_stays_within_its_bounds_and_mute_comes_back() {
        let desk = Desk::new(100, 250_000);
        assert_eq!(desk.turn(5), 100);
        assert_eq!(desk.turn(-50), 50);
        assert_eq!(desk.gain(), 0.25);
        assert!(desk.toggle_mute());
        assert_eq!(desk.gain(), 0.0);
        assert!(!desk.toggle_mute());
        desk.set_paused(true);
        assert_eq!(desk.gain(), 0.0);
        assert_eq!(desk.turn(-99), 0);
    }

    #[test]
    fn without_a_card_nothing_is_taken() {
        let sound = Sound { pts_us: 0, sample_rate: 48_000, channels: 2, samples: vec![0.0; 4] };
        let desk = Desk::new(100, 250_000);
        assert_eq!(desk.feed(&sound, 0), Fed::NoCard);
        desk.cut(3);
        assert_eq!(desk.feed(&sound, 0), Fed::Cut);
        assert_eq!(desk.feed(&sound, 3), Fed::NoCard);
    }
}
