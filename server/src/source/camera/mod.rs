//! A webcam, passed through or encoded; held while it is away.
//!
//! ```text
//! device   finding a camera, and what can be wrong with it
//! format   what it offers, and which of it to take
//! linux    formats and frames, through V4L2
//! other    the same elsewhere, through nokhwa
//! jpeg     where a JPEG ends in a camera's buffer
//! picture  raw frames as pictures
//! ```
//!
//! Two threads: one does nothing but wait for frames, so that none is late because the one before
//! is being encoded; the other makes packets of them, and notices when none come.

mod device;
mod format;
mod jpeg;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;
mod picture;

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::decode::jpeg_picture;
use proto::time::Stamp;
use proto::{Packet, Track};

use super::Feed;
use super::coder::{self, Coder, Settings};
use super::microphone::Microphone;
use super::stage::{Run, Stage};
use crate::Error as ServerError;
use crate::cli::Codec;
use crate::say::say;
pub use device::{Device, Error, list};
use format::{Format, Layout};
#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use other as system;

/// A camera that sends nothing for this long is held; with the look-up interval below, it is
/// noticed within two seconds.
const FREEZE: Duration = Duration::from_millis(1_500);
/// How often is looked for silence, and for the end.
const LOOK_UP: Duration = Duration::from_millis(200);
/// Time between attempts to get a camera back.
const RETRY: Duration = Duration::from_secs(1);
/// A camera has this long for its first frame.
const FIRST_FRAME: Duration = Duration::from_secs(10);
/// Frames that may wait to be encoded: one under way and one behind it.
const WAITING: usize = 2;

/// A frame as the camera sent it.
#[derive(Clone, Debug)]
struct Frame {
    /// Laid out as the camera's format says, perhaps with a tail of older ones.
    bytes: Bytes,
    /// Bytes from a row to the next, where there are rows and the driver says so; else 0.
    row_bytes: usize,
    /// When it was captured, on the clock of [`proto::conn::now`].
    captured: Stamp,
}

/// What the thread that waits for frames says.
enum News {
    Frame(Frame),
    Lost(Error),
}

/// A camera that is open and sends.
pub struct Camera {
    name: String,
    settings: Settings,
    format: Format,
    news: Receiver<News>,
    picture: Track,
    microphone: Option<Microphone>,
}

impl Camera {
    /// Opens the camera called `wish` (number, path or part of a name; the first if empty) as near
    /// to `settings` as it can, and waits for its first frame.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub fn open(wish: &str, settings: Settings) -> Result<Self, ServerError> {
        let device = device::find(wish)?;
        let name = device.name.clone();
        let format = format::nearest(&device.formats, settings.size, settings.rate, settings.codec)
            .ok_or_else(|| Error::NoFormat(name.clone()))?;
        let settings = Settings { size: format.sendable_size(), rate: format.rate, ..settings };
        let (sender, news) = sync_channel(WAITING);
        std::thread::Builder::new()
            .name("camera".to_owned())
            .spawn(move || watch(device, format, &sender))?;
        let first = match news.recv_timeout(FIRST_FRAME) {
            Ok(News::Frame(frame)) => frame,
            Ok(News::Lost(error)) => return Err(error.into()),
            Err(_) => return Err(Error::Silent(name).into()),
        };
        // Coding the first frame tells what the stream will be, and whether it can be at all.
        let mut stills = Stills::new(&name, format, settings)?;
        stills.packet(&first, 0, true)?;
        let picture = stills.track().ok_or_else(|| Error::NoFormat(name.clone()))?;
        Ok(Self { name, settings, format, news, picture, microphone: None })
    }

    /// Adds a microphone's sound.
    #[must_use]
    pub fn with(self, microphone: Microphone) -> Self {
        Self { microphone: Some(microphone), ..self }
    }

    /// Begins a run at `start`.
    fn begin(&self, stage: &Stage, start: Stamp) -> Result<Shooting, ServerError> {
        let run = stage.start(self.tracks(), None)?;
        if let Some(microphone) = &self.microphone {
            microphone.record_to(run.pen(), 1, start)?;
        }
        let stills = Stills::new(&self.name, self.format, self.settings)?;
        Ok(Shooting { run, stills, start, last_us: -1 })
    }
}

/// A run under way.
struct Shooting {
    run: Run,
    stills: Stills,
    start: Stamp,
    last_us: i64,
}

impl Shooting {
    fn take(&mut self, frame: &Frame) -> Result<(), ServerError> {
        // Stamps that stand still or go back are a driver's mistake; packets' times may not.
        let pts_us = frame.captured.us_since(self.start).max(self.last_us + 1);
        self.last_us = pts_us;
        let force_key = self.run.take_key_frame_request();
        if let Some(mut packet) = self.stills.packet(frame, pts_us, force_key)? {
            packet.header.captured_at_us = self.start.plus_us(pts_us);
            self.run.append(packet);
        }
        Ok(())
    }
}

impl Feed for Camera {
    fn name(&self) -> String {
        "camera".to_owned()
    }

    fn title(&self) -> String {
        self.name.clone()
    }

    fn tracks(&self) -> Vec<Track> {
        let sound = self.microphone.as_ref().map(|microphone| microphone.track().clone());
        std::iter::once(self.picture.clone()).chain(sound).collect()
    }

    fn way(&self) -> String {
        let way = match (self.format.layout, self.settings.codec) {
            (Layout::Mjpeg, Codec::Auto | Codec::Mjpeg) => "passed through untouched",
            _ => "encoded here",
        };
        let sound = self.microphone.as_ref().map(|mic| format!(", with {}", mic.label()));
        format!("{}, {}, {way}{}", self.name, self.format, sound.unwrap_or_default())
    }

    fn run(self: Box<Self>, stage: Stage) -> Result<(), ServerError> {
        Session { camera: *self, stage, shooting: None, away: None, seen: Instant::now() }.run()
    }
}

/// A camera being served.
struct Session {
    camera: Camera,
    stage: Stage,
    /// While somebody watches.
    shooting: Option<Shooting>,
    /// Why there are no frames, when there are none.
    away: Option<String>,
    seen: Instant,
}

impl Session {
    fn run(mut self) -> Result<(), ServerError> {
        while !self.stage.stop().is_set() {
            let news = self.camera.news.recv_timeout(LOOK_UP);
            let wanted = !self.stage.is_over();
            if !wanted && self.shooting.take().is_some() {
                self.camera.microphone.iter().for_each(Microphone::rest);
            }
            match news {
                Ok(News::Frame(frame)) => self.take(&frame, wanted)?,
                Ok(News::Lost(error)) => self.lose(error.brief()),
                Err(RecvTimeoutError::Timeout) if self.seen.elapsed() > FREEZE => {
                    self.lose("the camera sends no pictures".to_owned());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let (name, reason) = (self.camera.name, "its driver ended".to_owned());
                    return Err(Error::Failed { name, reason }.into());
                }
            }
            if wanted && let Some(reason) = self.away.clone() {
                self.shooting(proto::conn::now())?.run.hold(&reason);
            }
        }
        Ok(())
    }

    fn take(&mut self, frame: &Frame, wanted: bool) -> Result<(), ServerError> {
        self.seen = Instant::now();
        if self.away.take().is_some() {
            say!("{}: the camera is back", self.stage.name());
            self.shooting.iter_mut().for_each(|shooting| shooting.run.resume());
        }
        if wanted { self.shooting(frame.captured)?.take(frame) } else { Ok(()) }
    }

    /// The run under way, or one that begins at `start`.
    fn shooting(&mut self, start: Stamp) -> Result<&mut Shooting, ServerError> {
        match &mut self.shooting {
            Some(shooting) => Ok(shooting),
            none => Ok(none.insert(self.camera.begin(&self.stage, start)?)),
        }
    }

    /// Says once that the camera is away.
    fn lose(&mut self, reason: String) {
        if self.away.is_none() {
            say!("{}: {reason}; viewers are held until it is back", self.stage.name());
            self.away = Some(reason);
        }
    }
}

/// Makes packets of frames.
enum Stills {
    /// A camera's JPEGs as they come.
    Through(Settings),
    /// Everything else is encoded here.
    Coded { format: Format, coder: Box<Coder>, name: String },
}

impl Stills {
    fn new(name: &str, format: Format, settings: Settings) -> Result<Self, ServerError> {
        if format.layout == Layout::Mjpeg && settings.codec != Codec::H264 {
            return Ok(Self::Through(settings));
        }
        let name = name.to_owned();
        let coder = Coder::new(settings).map_err(|e| ServerError::Encode(name.clone(), e))?;
        let coder = Box::new(coder);
        Ok(Self::Coded { format, coder, name })
    }

    fn track(&self) -> Option<Track> {
        match self {
            Self::Through(settings) => Some(coder::jpeg_track(settings.size, settings.rate)),
            Self::Coded { coder, .. } => coder.track(),
        }
    }

    /// The packet of a frame shown at `pts_us`; `None` for a damaged one.
    fn packet(
        &mut self,
        frame: &Frame,
        pts_us: i64,
        force_key: bool,
    ) -> Result<Option<Packet>, ServerError> {
        match self {
            Self::Through(settings) => {
                let jpeg = jpeg_of(frame);
                Ok(jpeg
                    .map(|jpeg| coder::packet(jpeg, true, pts_us, frame.captured, settings.rate)))
            }
            Self::Coded { format, coder, name } => {
                let picture = match format.layout {
                    Layout::Mjpeg => jpeg_of(frame).and_then(|jpeg| jpeg_picture(&jpeg, pts_us)),
                    _ => picture::from_raw(*format, frame, pts_us),
                };
                let Some(picture) = picture else { return Ok(None) };
                coder
                    .encode(&picture, frame.captured, force_key)
                    .map_err(|error| ServerError::Encode(name.clone(), error))
            }
        }
    }
}

fn jpeg_of(frame: &Frame) -> Option<Bytes> {
    let length = jpeg::first(&frame.bytes)?.len();
    Some(frame.bytes.slice(..length))
}

/// The thread that waits for frames: opens the camera, and again whenever it was lost.
fn watch(device: Device, format: Format, to: &SyncSender<News>) {
    loop {
        let lost = match shoot(&device, format, to) {
            Ok(()) => return,
            Err(error) => error,
        };
        if to.send(News::Lost(lost)).is_err() {
            return;
        }
        std::thread::sleep(RETRY);
    }
}

/// Hands on frames until the camera is lost, or nobody takes them (`Ok`).
fn shoot(device: &Device, format: Format, to: &SyncSender<News>) -> Result<(), Error> {
    let mut grabber = system::Grabber::open(device::again(device), &device.name, format)?;
    loop {
        let frame = grabber.next(FREEZE)?;
        match to.try_send(News::Frame(frame)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => tracing::debug!("a frame was left out: encoding is slow"),
            Err(TrySendError::Disconnected(_)) => return Ok(()),
        }
    }
}
