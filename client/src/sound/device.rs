//! The sound card, through cpal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    BufferSize, Data, ErrorKind, FromSample, OutputCallbackInfo, SampleFormat, SizedSample,
    StreamConfig,
};
use proto::time::{Stamp, micros};

use super::Desk;
use super::playout::{Feed, Format, Playout, ring};
use crate::timeline::Schedule;

/// Callbacks a second: 2400 frames each at 48 kHz, so that 150 ms lie between handing sound in and
/// hearing it. The default buffer of PulseAudio lasts 2 s; smaller ones run dry on a busy machine.
const CALLBACKS_A_SECOND: u32 = 20;
/// The same where little latency was asked for: 50 ms between handing in and hearing.
const HURRIED_CALLBACKS_A_SECOND: u32 = 60;
/// How long a card may take to open.
const OPEN: Duration = Duration::from_secs(3);

/// Why no card plays.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// The system knows no card at all.
    #[error("there is no sound card")]
    NoCard,
    /// There is one, but it does not play.
    #[error("the sound card does not open ({0})")]
    Card(#[from] cpal::Error),
}

/// A playing card. Dropping it stops the sound.
pub(super) struct Device {
    stream: cpal::Stream,
    broken: Arc<AtomicBool>,
}

impl Device {
    /// Opens the default card.
    pub(super) fn open(
        desk: Arc<Desk>,
        schedule: Arc<Schedule>,
    ) -> Result<(Self, Feed), OpenError> {
        // alsa-lib prints what it does not find; as long as this lives it does not.
        #[cfg(target_os = "linux")]
        let _quiet = alsa::Output::local_error_handler();
        let host = cpal::default_host();
        // Through ALSA some small sizes end in a storm of errors.
        let hurried = desk.is_hurried() && !host.id().to_string().eq_ignore_ascii_case("alsa");
        let device = host.default_output_device().ok_or(OpenError::NoCard)?;
        let default = match device.default_output_config() {
            Ok(default) => default,
            Err(error) if error.kind() == ErrorKind::DeviceNotAvailable => {
                return Err(OpenError::NoCard);
            }
            Err(error) => return Err(error.into()),
        };
        let sample_format = match default.sample_format() {
            known @ (SampleFormat::F32 | SampleFormat::I16 | SampleFormat::I32) => known,
            _ => SampleFormat::F32,
        };
        let callbacks = if hurried { HURRIED_CALLBACKS_A_SECOND } else { CALLBACKS_A_SECOND };
        let fixed = BufferSize::Fixed(default.sample_rate() / callbacks);
        let config = StreamConfig { buffer_size: fixed, ..default.config() };
        let broken = Arc::new(AtomicBool::new(false));
        let build = |config: StreamConfig| {
            let format =
                Format { rate: config.sample_rate, channels: usize::from(config.channels) };
            let (feed, playout) = ring(format, schedule.clone());
            let (desk, scratch) = (desk.clone(), Vec::new());
            let mut callback = Callback { desk, playout, format, scratch, ahead_us: i64::MAX };
            let broken = broken.clone();
            let stream = device.build_output_stream_raw(
                config,
                sample_format,
                move |data, info| callback.run(data, info),
                move |error| note(&error, &broken),
                Some(OPEN),
            );
            stream.map(|stream| (stream, feed))
        };
        let (stream, feed) = match build(config) {
            Err(error) if error.kind() == ErrorKind::UnsupportedConfig => {
                build(StreamConfig { buffer_size: BufferSize::Default, ..config })?
            }
            other => other?,
        };
        stream.play()?;
        Ok((Self { stream, broken }, feed))
    }

    /// Whether it has to be opened anew.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Lets go of the card, elsewhere: with a sound server that hangs it may take for ever.
    pub(super) fn discard(self) {
        std::thread::spawn(move || drop(self.stream));
    }
}

/// An error from the card's threads. A dead server says it a million times: only the first counts.
fn note(error: &cpal::Error, broken: &AtomicBool) {
    match error.kind() {
        ErrorKind::Xrun | ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {
            tracing::debug!("sound card: {error}");
        }
        _ if !broken.swap(true, Ordering::Relaxed) => tracing::debug!("sound card lost: {error}"),
        _ => {}
    }
}

struct Callback {
    desk: Arc<Desk>,
    playout: Playout,
    format: Format,
    scratch: Vec<f32>,
    /// Our clock minus the card's, microseconds: the least seen, since being interrupted between
    /// two looks at them only adds.
    ahead_us: i64,
}

impl Callback {
    fn run(&mut self, data: &mut Data, info: &OutputCallbackInfo) {
        self.desk.callbacks.fetch_add(1, Ordering::Relaxed);
        let stamps = info.timestamp();
        let ahead_us = proto::conn::now().0.saturating_sub(stamp_us(stamps.callback));
        self.ahead_us = self.ahead_us.min(ahead_us);
        let buffered = stamps.playback.saturating_duration_since(stamps.callback);
        let frames = data.len() / self.format.channels.max(1);
        let period_us = frames as i64 * 1_000_000 / i64::from(self.format.rate.max(1));
        self.scratch.resize(data.len(), 0.0);
        if buffered.is_zero() {
            // The card does not know yet when this will be heard.
            self.scratch.fill(0.0);
        } else {
            self.desk.path_us.store(micros(buffered).saturating_add(period_us), Ordering::Relaxed);
            let heard = Stamp(self.ahead_us).plus_us(stamp_us(stamps.playback));
            self.playout.fill(&mut self.scratch, heard, self.desk.gain());
        }
        match data.sample_format() {
            SampleFormat::I16 => write::<i16>(&self.scratch, data),
            SampleFormat::I32 => write::<i32>(&self.scratch, data),
            _ => write::<f32>(&self.scratch, data),
        }
    }
}

/// A moment on the card's clock, microseconds.
fn stamp_us(instant: cpal::StreamInstant) -> i64 {
    i64::try_from(instant.as_nanos() / 1000).unwrap_or(i64::MAX)
}

fn write<T: SizedSample + FromSample<f32>>(samples: &[f32], data: &mut Data) {
    let Some(out) = data.as_slice_mut::<T>() else { return };
    for (to, from) in out.iter_mut().zip(samples) {
        *to = T::from_sample_(from.clamp(-1.0, 1.0));
    }
}
