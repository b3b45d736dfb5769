//! What the player counts, and the line of statistics a second.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use proto::StreamDescription;
use proto::time::Stamp;
use serde::Serialize;

use crate::histogram::Histogram;
use crate::progress::clock;

/// What the player is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing has come yet.
    #[default]
    Connecting,
    /// Packets come.
    Playing,
    /// A recording waits until enough of it has come.
    Buffering,
    /// The source is away.
    Held,
    /// The connection is lost and dialled again.
    Reconnecting,
    /// The stream is over.
    Ended,
}

/// One look at everything counted. Field by field it is the line of `--headless --json`; see
/// `docs/STATS.md`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Snapshot {
    /// Name of the stream; empty before its description has come.
    pub stream: String,
    /// What the player is doing.
    pub state: State,
    /// Picture codec, or the sound's where there is no picture.
    pub codec: String,
    /// Of the coded picture, pixels; 0 without a picture.
    pub width: u32,
    /// Of the coded picture, pixels; 0 without a picture.
    pub height: u32,
    /// Pictures decoded a second since the last look.
    pub fps: f64,
    /// Payload received since the last look, kilobits a second.
    pub bitrate_kbps: f64,
    /// From capture to presentation (headless: to the decoded picture or sound), median since the
    /// last look, milliseconds.
    pub latency_ms: Option<f64>,
    /// From capture to arrival, median since the last look, milliseconds.
    pub transit_p50_ms: Option<f64>,
    /// From capture to arrival, 99th percentile since the last look, milliseconds.
    pub transit_p99_ms: Option<f64>,
    /// Pictures decoded so far.
    pub frames: u64,
    /// Pictures shown so far; headless: 0.
    pub shown: u64,
    /// Pictures that were received but never shown: too late, too many, or broken.
    pub dropped: u64,
    /// Packets that came after they were due.
    pub late: u64,
    /// Times the server left packets out for us.
    pub gaps: u64,
    /// Packets that never came, by their sequence numbers.
    pub packets_missing: u64,
    /// Packets of all tracks received so far.
    pub packets: u64,
    /// How far ahead of their presentation packets come, milliseconds.
    pub buffer_ms: f64,
    /// What lies between capture and presentation now, milliseconds.
    pub delay_ms: f64,
    /// Sound packets decoded so far.
    pub audio_packets: u64,
    /// Bound of the error of the server's clock as we know it, microseconds.
    pub clock_error_us: Option<f64>,
    /// From the first dial to the first decoded picture (or sound, without one), milliseconds.
    pub first_picture_ms: Option<f64>,
    /// Connections lost so far.
    pub reconnects: u64,
    /// Since the client started, seconds.
    pub elapsed_s: f64,
    /// What is shown of a recording, seconds from its start; `None` for live streams.
    pub position_s: Option<f64>,
    /// Length of a recording, seconds.
    pub duration_s: Option<f64>,
    /// Seconds of a recording a second; 0 while it stands still.
    pub rate: Option<f64>,
    /// How much of a recording is there beyond the position, seconds.
    pub buffered_s: Option<f64>,
    /// How far what is shown of the past of a live stream is behind its present, seconds.
    pub behind_s: Option<f64>,
}

/// The counters, filled by every thread of the player.
#[derive(Debug)]
pub struct Stats {
    started: Stamp,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: Snapshot,
    has_picture: bool,
    recent: Since,
    all: Since,
}

/// What is counted from one look to the next, and over the whole run.
#[derive(Debug, Default)]
struct Since {
    at: Option<Stamp>,
    frames: u64,
    bytes: u64,
    latency: Histogram,
    transit: Histogram,
}

/// What a packet's arrival adds.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Payload bytes.
    pub bytes: usize,
    /// From capture to arrival, microseconds, where it means anything.
    pub transit_us: Option<i64>,
    /// How long until its moment is due, microseconds.
    pub ahead_us: i64,
    /// It came after it was due.
    pub late: bool,
}

impl Stats {
    /// Counts from `now` on.
    #[must_use]
    pub fn new(now: Stamp) -> Self {
        Self { started: now, counts: Mutex::default() }
    }

    /// The stream is this.
    pub fn described(&self, description: &StreamDescription) {
        let mut counts = self.lock();
        let total = &mut counts.total;
        total.stream.clone_from(&description.name);
        total.state = State::Playing;
        (total.codec, total.width, total.height) = match (description.video(), description.audio())
        {
            (Some((_, _, video)), _) => (video.codec.to_string(), video.width, video.height),
            (None, Some((_, _, audio))) => (audio.codec.to_string(), 0, 0),
            (None, None) => (String::new(), 0, 0),
        };
        counts.has_picture = description.video().is_some();
    }

    /// What the player is doing now.
    pub fn set_state(&self, state: State) {
        let mut counts = self.lock();
        counts.total.reconnects += u64::from(state == State::Reconnecting);
        counts.total.state = state;
    }

    /// A packet came.
    pub fn received(&self, received: Received) {
        let mut counts = self.lock();
        counts.total.packets += 1;
        counts.total.late += u64::from(received.late);
        counts.total.buffer_ms = ms(received.ahead_us.max(0));
        counts.each(|since| {
            since.bytes += received.bytes as u64;
            if let Some(us) = received.transit_us {
                since.transit.add(us);
            }
        });
    }

    /// The server left something out.
    pub fn gap(&self) {
        self.lock().total.gaps += 1;
    }

    /// Sequence numbers were missing.
    pub fn missing(&self, packets: u64) {
        let mut counts = self.lock();
        counts.total.packets_missing = counts.total.packets_missing.saturating_add(packets);
    }

    /// Pictures were received but will not be shown.
    pub fn dropped(&self, pictures: u64) {
        self.lock().total.dropped += pictures;
    }

    /// Whether the stream has pictures.
    #[must_use]
    pub fn has_picture(&self) -> bool {
        self.lock().has_picture
    }

    /// A picture was decoded at `now`.
    pub fn decoded_picture(&self, now: Stamp) {
        let mut counts = self.lock();
        counts.total.frames += 1;
        counts.each(|since| since.frames += 1);
        self.first(&mut counts, now);
    }

    /// A packet of sound was decoded at `now`.
    pub fn decoded_sound(&self, now: Stamp) {
        let mut counts = self.lock();
        counts.total.audio_packets += 1;
        if !counts.has_picture {
            self.first(&mut counts, now);
        }
    }

    fn first(&self, counts: &mut Counts, now: Stamp) {
        counts.total.first_picture_ms.get_or_insert_with(|| ms(now.us_since(self.started)));
    }

    /// A picture was put on the screen.
    pub fn shown(&self) {
        self.lock().total.shown += 1;
    }

    /// What was captured was presented so much later, microseconds.
    pub fn latency_us(&self, us: i64) {
        self.lock().each(|since| since.latency.add(us));
    }

    /// The clock's error bound, microseconds.
    pub fn clock_error_us(&self, us: f64) {
        self.lock().total.clock_error_us = Some(tenth(us));
    }

    /// Everything, with rates and percentiles since the last look.
    pub fn look(&self, now: Stamp, delay_us: i64) -> Snapshot {
        let mut counts = self.lock();
        let mut snapshot = counts.recent.onto(&counts.total, self.started, now);
        counts.recent.restart(now);
        drop(counts);
        snapshot.delay_ms = ms(delay_us);
        snapshot.elapsed_s = tenth(now.us_since(self.started) as f64 / 1e6);
        snapshot
    }

    /// Everything over the whole run: the line at the end.
    pub fn summary(&self, now: Stamp, delay_us: i64) -> Snapshot {
        let counts = self.lock();
        let mut snapshot = counts.all.onto(&counts.total, self.started, now);
        drop(counts);
        snapshot.delay_ms = ms(delay_us);
        snapshot.elapsed_s = tenth(now.us_since(self.started) as f64 / 1e6);
        snapshot
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn each(&mut self, count: impl Fn(&mut Since)) {
        count(&mut self.recent);
        count(&mut self.all);
    }
}

impl Since {
    fn onto(&self, total: &Snapshot, started: Stamp, now: Stamp) -> Snapshot {
        let seconds = now.us_since(self.at.unwrap_or(started)).max(1) as f64 / 1e6;
        let percentile_ms =
            |times: &Histogram, percent| times.percentile(percent).map(|us| tenth(us / 1000.0));
        Snapshot {
            fps: tenth(self.frames as f64 / seconds),
            bitrate_kbps: tenth(self.bytes as f64 * 8.0 / 1000.0 / seconds),
            latency_ms: percentile_ms(&self.latency, 50),
            transit_p50_ms: percentile_ms(&self.transit, 50),
            transit_p99_ms: percentile_ms(&self.transit, 99),
            ..total.clone()
        }
    }

    fn restart(&mut self, now: Stamp) {
        self.at = Some(now);
        (self.frames, self.bytes) = (0, 0);
        self.latency.clear();
        self.transit.clear();
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::Playing => "playing",
            Self::Buffering => "buffering",
            Self::Held => "held",
            Self::Reconnecting => "reconnecting",
            Self::Ended => "ended",
        })
    }
}

impl fmt::Display for Snapshot {
    /// The line for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.stream.is_empty() {
            write!(f, "{} ", self.stream)?;
        }
        match self.state {
            State::Playing if self.rate == Some(0.0) => f.write_str("paused")?,
            state => write!(f, "{state}")?,
        }
        if let (Some(position), Some(duration)) = (self.position_s, self.duration_s) {
            write!(f, " {} of {}", clock(position), clock(duration))?;
        }
        if let Some(behind) = self.behind_s {
            write!(f, ", {} behind live", clock(behind))?;
        }
        if self.width > 0 {
            write!(f, ", {} {}x{}", self.codec, self.width, self.height)?;
            write!(f, ", {:.1} fps, {} frames", self.fps, self.frames)?;
        }
        write!(f, ", {:.0} kbit/s", self.bitrate_kbps)?;
        if let Some(latency) = self.latency_ms {
            write!(f, ", latency {latency:.0} ms")?;
        }
        match self.buffered_s {
            Some(buffered) => write!(f, ", buffer {buffered:.0} s")?,
            None => write!(f, ", buffer {:.0} ms", self.buffer_ms)?,
        }
        write!(f, ", {} sound packets", self.audio_packets)?;
        write!(f, ", {} dropped, {} late", self.dropped, self.late)?;
        write!(f, ", {} gaps, {} packets missing", self.gaps, self.packets_missing)
    }
}

fn ms(us: i64) -> f64 {
    tenth(us as f64 / 1000.0)
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_since_the_last_look_and_counts_since_the_start() {
        let stats = Stats::new(Stamp(0));
        for i in 1..=30 {
            stats.received(Received {
                bytes: 1000,
                transit_us: Some(5_000),
                ahead_us: 200_000,
                late: i == 3,
            });
            stats.decoded_picture(Stamp(i * 33_000));
        }
        let first = stats.look(Stamp(1_000_000), 250_000);
        assert_eq!((first.frames, first.fps, first.bitrate_kbps), (30, 30.0, 240.0));
        assert_eq!((first.late, first.buffer_ms, first.delay_ms), (1, 200.0, 250.0));
        assert_eq!(first.first_picture_ms, Some(33.0));
        assert!(first.transit_p99_ms.is_some_and(|ms| (ms - 5.0).abs() < 0.2));

        let second = stats.look(Stamp(2_000_000), 250_000);
        assert_eq!((second.frames, second.fps, second.bitrate_kbps), (30, 0.0, 0.0));
        assert_eq!(second.transit_p99_ms, None);

        let all = stats.summary(Stamp(2_000_000), 250_000);
        assert_eq!((all.fps, all.bitrate_kbps), (15.0, 120.0));
        assert!(all.transit_p50_ms.is_some());
    }

    #[test]
    fn json_names_are_stable() {
        let line = serde_json::to_value(Snapshot::default()).expect("serialises");
        let mut names: Vec<&str> =
            line.as_object().expect("an object").keys().map(String::as_str).collect();
        names.sort_unstable();
        let expected = "audio_packets behind_s bitrate_kbps buffer_ms buffered_s clock_error_us codec \
                        delay_ms dropped duration_s elapsed_s first_picture_ms fps frames gaps \
                        height late latency_ms packets packets_missing position_s rate \
                        reconnects shown state stream transit_p50_ms transit_p99_ms width";
        assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
        assert_eq!(line["state"], "connecting");
    }
}
