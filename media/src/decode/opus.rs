//! Opus through libopus (RFC 6716).

use opusic_c::{Channels, SampleRate};
use proto::stream::Audio;

use super::Error;
use crate::sound::Sound;

pub(super) struct Decoder {
    libopus: opusic_c::Decoder,
    channels: u16,
    buffer: Vec<f32>,
}

/// Opus always decodes at 48 kHz here; the rate in its header is only about the source.
const RATE: u32 = 48_000;

/// The longest packet, 120 ms, samples a channel (RFC 6716 §2.1.4).
const LONGEST: usize = 5760;

impl Decoder {
    pub(super) fn new(audio: &Audio, opus_head: &[u8]) -> Result<Self, Error> {
        // RFC 7845 §5.1: the channel count is the tenth byte, the mapping family the nineteenth.
        let count = opus_head.get(9).map_or(audio.channels, |&count| u16::from(count));
        let family = opus_head.get(18).copied().unwrap_or(0);
        let channels = match (count, family) {
            (1, 0 | 1) => Channels::Mono,
            (2, 0 | 1) => Channels::Stereo,
            _ => return Err(Error::Unsupported { what: format!("Opus with {count} channels") }),
        };
        let libopus = opusic_c::Decoder::new(channels, SampleRate::Hz48000).map_err(|error| {
            Error::Start { codec: "Opus".into(), reason: error.message().to_string() }
        })?;
        let buffer = vec![0.0; LONGEST * usize::from(count)];
        Ok(Self { libopus, channels: count, buffer })
    }

    pub(super) fn decode(&mut self, payload: &[u8], pts_us: i64) -> Option<Sound> {
        // libopus takes an empty packet for a lost one and makes up sound.
        if payload.is_empty() {
            return None;
        }
        let frames = self.libopus.decode_float_to_slice(payload, &mut self.buffer, false).ok()?;
        let samples = self.buffer.get(..frames * usize::from(self.channels))?.to_vec();
        Some(Sound { pts_us, sample_rate: RATE, channels: self.channels, samples })
    }
}
