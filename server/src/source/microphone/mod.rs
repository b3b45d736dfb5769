//! The sound beside a camera: a microphone, as Opus.
//!
//! One thread owns the sound card's stream, encodes what it hears and writes it to whatever run is
//! under way. A microphone that goes away leaves the picture alone; it is tried again every second.

mod clock;
mod device;

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use media::encode::OpusEncoder;
use proto::Track;
use proto::time::Stamp;

use super::stage::Pen;
use crate::say::say;
pub use device::{Error, list};

/// Blocks of sound that may wait for the encoder: at 20 ms each, more than a second.
const WAITING: usize = 64;
/// A microphone that says nothing for this long is away: some vanish without an error.
const SILENCE: Duration = Duration::from_secs(2);
/// Time between attempts to get it back.
const RETRY: Duration = Duration::from_secs(1);
/// Bits a second for each channel: speech and music without audible loss.
const BITRATE: u32 = 64_000;

/// A microphone that is being listened to.
pub struct Microphone {
    label: String,
    channels: u16,
    track: Track,
    desk: Desk,
}

/// Where the sound goes: to the run under way, if there is one.
type Desk = Arc<Mutex<Option<Recording>>>;

struct Recording {
    pen: Pen,
    track: u16,
    start: Stamp,
    encoder: OpusEncoder,
    clock: clock::Clock,
}

/// A block of sound as the card gave it.
struct Block {
    samples: Vec<f32>,
    captured: Stamp,
}

impl Microphone {
    /// Opens the microphone of that part of a name, or the default one if `wish` is empty.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub fn open(wish: &str) -> Result<Self, Error> {
        let (opened, news) = sync_channel(1);
        let desk = Desk::default();
        let (thread_desk, wish) = (desk.clone(), wish.to_owned());
        std::thread::Builder::new()
            .name("microphone".to_owned())
            .spawn(move || listen(&wish, &opened, &thread_desk))
            .map_err(|error| Error::Failed(error.to_string()))?;
        let gone = |_| Error::Failed("its driver ended".to_owned());
        let (label, channels) = news.recv().map_err(gone)??;
        let track = encoder(channels)?.track();
        Ok(Self { label, channels, track, desk })
    }

    /// For people.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What the sound is coded as.
    #[must_use]
    pub fn track(&self) -> &Track {
        &self.track
    }

    /// From now on the sound goes to `pen` as track `track` of a run that began at `start`.
    ///
    /// # Errors
    /// When the encoder cannot start.
    pub fn record_to(&self, pen: Pen, track: u16, start: Stamp) -> Result<(), Error> {
        let encoder = encoder(self.channels)?;
        let clock = clock::Clock::default();
        *lock(&self.desk) = Some(Recording { pen, track, start, encoder, clock });
        Ok(())
    }

    /// The run is over.
    pub fn rest(&self) {
        *lock(&self.desk) = None;
    }
}

impl Recording {
    fn write(&mut self, block: &Block, channels: u16) {
        let frames = block.samples.len() / usize::from(channels);
        let pts_us = self.clock.place(block.captured.us_since(self.start), frames);
        let packets = match self.encoder.push(&block.samples, pts_us) {
            Ok(packets) => packets,
            Err(error) => return tracing::warn!("the microphone's sound: {error}"),
        };
        for mut packet in packets {
            packet.header.track = self.track;
            packet.header.captured_at_us = self.start.plus_us(packet.header.pts_us);
            self.pen.append(packet);
        }
    }
}

fn lock(desk: &Desk) -> MutexGuard<'_, Option<Recording>> {
    desk.lock().unwrap_or_else(|e| e.into_inner())
}

fn encoder(channels: u16) -> Result<OpusEncoder, Error> {
    OpusEncoder::new(channels, BITRATE * u32::from(channels))
        .map_err(|error| Error::Failed(error.to_string()))
}

/// The thread: listens as long as someone holds the microphone. The first attempt must succeed.
fn listen(wish: &str, opened: &SyncSender<Result<(String, u16), Error>>, desk: &Desk) {
    let (sender, blocks) = sync_channel(WAITING);
    let mut stream = match device::open(wish, None, sender) {
        Ok((stream, label, channels)) => {
            if opened.send(Ok((label, channels))).is_err() {
                return;
            }
            (stream, channels)
        }
        Err(error) => {
            // Nobody listens only if the server is ending.
            let _ = opened.send(Err(error));
            return;
        }
    };
    let channels = stream.1;
    let mut blocks = blocks;
    loop {
        let reason = hear(&blocks, desk, channels);
        if Arc::strong_count(desk) == 1 {
            return;
        }
        drop(stream);
        say!("microphone: away ({reason}), the picture goes on");
        (stream, blocks) = loop {
            std::thread::sleep(RETRY);
            if Arc::strong_count(desk) == 1 {
                return;
            }
            let (sender, again) = sync_channel(WAITING);
            if let Ok((stream, _, channels)) = device::open(wish, Some(channels), sender) {
                break ((stream, channels), again);
            }
        };
        say!("microphone: back");
    }
}

/// Writes what is heard; gives the reason when nothing is any more.
fn hear(blocks: &Receiver<Result<Block, String>>, desk: &Desk, channels: u16) -> String {
    let mut heard = Instant::now();
    loop {
        match blocks.recv_timeout(Duration::from_millis(200)) {
            Ok(Ok(block)) => {
                heard = Instant::now();
                if let Some(recording) = lock(desk).as_mut() {
                    recording.write(&block, channels);
                }
            }
            Ok(Err(reason)) => return reason,
            Err(RecvTimeoutError::Disconnected) => return "its driver ended".to_owned(),
            Err(RecvTimeoutError::Timeout) if heard.elapsed() > SILENCE => {
                return "it sends nothing".to_owned();
            }
            Err(RecvTimeoutError::Timeout) if Arc::strong_count(desk) == 1 => {
                return String::new();
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Hands on without waiting: the sound card's thread must not. What finds no room is lost.
fn hand_on(to: &SyncSender<Result<Block, String>>, what: Result<Block, String>) {
    if let Err(TrySendError::Full(_)) = to.try_send(what) {
        tracing::debug!("the microphone's sound comes faster than it is encoded");
    }
}
