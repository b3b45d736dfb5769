//! Microphones of this machine, through cpal.

use std::sync::mpsc::SyncSender;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    BufferSize, Device, ErrorKind, FromSample, InputCallbackInfo, Sample, SampleFormat,
    SizedSample, Stream, StreamConfig, SupportedStreamConfigRange,
};
use proto::conn::now;
use proto::time::micros;

use super::clock::RATE;
use super::{Block, hand_on};

/// Samples a block: 20 ms, an Opus packet. The sound system's own choice may be two seconds.
const BLOCK: u32 = 960;

/// Why there is no microphone.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// None at all.
    #[error("no microphone was found: plug one in, or leave out --mic")]
    None,
    /// None of that name.
    #[error("there is no microphone '{0}': --list-devices shows those there are")]
    NotFound(String),
    /// It does not record at 48 kHz in a format known here.
    #[error("microphone {0} does not record at 48 kHz: use it through PulseAudio or PipeWire")]
    Unsupported(String),
    /// Another program has it.
    #[error("microphone {0} is busy: end the other program that uses it")]
    Busy(String),
    /// This user may not use it.
    #[error("microphone {0} may not be used by this user: add them to the group 'audio'")]
    Permission(String),
    /// Anything else.
    #[error("the microphone failed ({0}): choose another with --mic, or leave it out")]
    Failed(String),
}

/// Names of all microphones, the default one first.
#[must_use]
pub fn list() -> Vec<String> {
    quieten();
    let host = cpal::default_host();
    let default = host.default_input_device();
    let others = host.input_devices().into_iter().flatten();
    let usable = default.into_iter().chain(others).filter(is_microphone);
    let mut names: Vec<String> = usable.map(|device| name(&device)).collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// alsa-lib prints what it does not find; on this thread it does so no more.
fn quieten() {
    #[cfg(target_os = "linux")]
    let _messages = alsa::Output::local_error_handler();
}

/// Whether something that can be opened for recording is one: ALSA lists every converter and mixer
/// beside the cards, and each card a dozen times.
fn is_microphone(device: &Device) -> bool {
    let Ok(id) = device.id() else { return false };
    let is_card = id.id().starts_with("plughw:") || id.id() == "default";
    (is_card || !id.host().name().eq_ignore_ascii_case("alsa"))
        && device.default_input_config().is_ok()
}

/// Opens a microphone and lets it send blocks of `channels` (its own choice of one or two, if not
/// given) to `to`; gives the stream, its name and the number of channels.
pub(super) fn open(
    wish: &str,
    channels: Option<u16>,
    to: SyncSender<Result<Block, String>>,
) -> Result<(Stream, String, u16), Error> {
    quieten();
    let device = find(wish)?;
    let name = name(&device);
    let explain = |error: cpal::Error| match explain(&name, &error) {
        Error::NotFound(_) if wish.is_empty() => Error::None,
        explained => explained,
    };
    let offered: Vec<SupportedStreamConfigRange> =
        device.supported_input_configs().map_err(explain)?.collect();
    let Some((format, count)) = choose(&offered, preferred(&device)) else {
        return Err(Error::Unsupported(name));
    };
    let wanted = channels.unwrap_or(count.min(2));
    let config =
        StreamConfig { channels: count, sample_rate: RATE, buffer_size: BufferSize::Fixed(BLOCK) };
    let stream = match format {
        SampleFormat::F32 => build::<f32>(&device, config, wanted, to),
        SampleFormat::I32 => build::<i32>(&device, config, wanted, to),
        _ => build::<i16>(&device, config, wanted, to),
    };
    let stream = stream.map_err(explain)?;
    stream.play().map_err(explain)?;
    Ok((stream, name, wanted))
}

fn find(wish: &str) -> Result<Device, Error> {
    let host = cpal::default_host();
    if wish.is_empty() {
        return host.default_input_device().ok_or(Error::None);
    }
    let lower = wish.to_lowercase();
    let mut devices = host.input_devices().map_err(|_| Error::None)?;
    devices
        .find(|device| name(device).to_lowercase().contains(&lower))
        .ok_or_else(|| Error::NotFound(wish.to_owned()))
}

fn name(device: &Device) -> String {
    device.description().map_or_else(|_| "without a name".to_owned(), |d| d.name().to_owned())
}

/// The device's own number of channels: asking for fewer lets the sound system mix.
fn preferred(device: &Device) -> u16 {
    device.default_input_config().map_or(1, |config| config.channels().clamp(1, 2))
}

/// The best sample format and the number of channels nearest to `channels` at 48 kHz.
fn choose(offered: &[SupportedStreamConfigRange], channels: u16) -> Option<(SampleFormat, u16)> {
    let rank = |format: SampleFormat| match format {
        SampleFormat::F32 => Some(0),
        SampleFormat::I32 => Some(1),
        SampleFormat::I16 => Some(2),
        _ => None,
    };
    offered
        .iter()
        .filter(|range| (range.min_sample_rate()..=range.max_sample_rate()).contains(&RATE))
        .filter_map(|range| Some((rank(range.sample_format())?, range)))
        .min_by_key(|(rank, range)| (range.channels().abs_diff(channels), *rank))
        .map(|(_, range)| (range.sample_format(), range.channels()))
}

fn build<T>(
    device: &Device,
    config: StreamConfig,
    channels: u16,
    to: SyncSender<Result<Block, String>>,
) -> Result<Stream, cpal::Error>
where
    T: SizedSample,
    f32: FromSample<T>,
{
    let errors = to.clone();
    let from = config.channels;
    device.build_input_stream(
        config,
        move |data: &[T], info: &InputCallbackInfo| {
            let stamp = info.timestamp();
            let age = stamp.callback.duration_since(stamp.capture);
            let captured = now().plus_us(-micros(age));
            hand_on(&to, Ok(Block { samples: mix(data, from, channels), captured }));
        },
        move |error| match error.kind() {
            ErrorKind::Xrun | ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
            _ => hand_on(&errors, Err(error.to_string())),
        },
        None,
    )
}

/// The first channels of `data`, or its only one as often as needed.
fn mix<T>(data: &[T], from: u16, to: u16) -> Vec<f32>
where
    T: Sample + Copy,
    f32: FromSample<T>,
{
    let (from, to) = (usize::from(from.max(1)), usize::from(to));
    let frames = data.chunks_exact(from);
    frames.flat_map(|f| (0..to).map(|c| f32::from_sample(f[c.min(from - 1)]))).collect()
}

fn explain(name: &str, error: &cpal::Error) -> Error {
    let name = name.to_owned();
    match error.kind() {
        ErrorKind::DeviceBusy => Error::Busy(name),
        ErrorKind::PermissionDenied => Error::Permission(name),
        ErrorKind::UnsupportedConfig => Error::Unsupported(name),
        ErrorKind::DeviceNotAvailable => Error::NotFound(name),
        _ => Error::Failed(format!("{name}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cpal::SupportedBufferSize;

    fn range(
        channels: u16,
        from: u32,
        to: u32,
        format: SampleFormat,
    ) -> SupportedStreamConfigRange {
        SupportedStreamConfigRange::new(channels, from, to, SupportedBufferSize::Unknown, format)
    }

    #[test]
    fn the_nearest_format_at_48_khz_is_chosen() {
        let offered = [
            range(2, 8_000, 44_100, SampleFormat::F32),
            range(2, 8_000, 96_000, SampleFormat::I16),
            range(2, 8_000, 96_000, SampleFormat::F32),
            range(1, 48_000, 48_000, SampleFormat::I16),
            range(1, 48_000, 48_000, SampleFormat::U8),
        ];
        assert_eq!(choose(&offered, 2), Some((SampleFormat::F32, 2)));
        assert_eq!(choose(&offered, 1), Some((SampleFormat::I16, 1)));
        assert_eq!(choose(&offered[..1], 2), None);
    }

    #[test]
    fn channels_are_added_or_left_out() {
        assert_eq!(mix(&[0.1f32, 0.2, 0.3, 0.4], 2, 1), [0.1, 0.3]);
        assert_eq!(mix(&[0.1f32, 0.2], 1, 2), [0.1, 0.1, 0.2, 0.2]);
        assert_eq!(mix(&[i16::MIN, 0, 7], 2, 2), [-1.0, 0.0]);
    }
}
