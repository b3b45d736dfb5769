//! Sound of any codec as Opus, for those who cannot play what comes.

use proto::stream::{Audio, Media};
use proto::{Packet, Track};
use rubato::audioadapter_buffers::owned::InterleavedOwned;
use rubato::{Fft, FixedSync, Resampler};

use crate::decode::{self, AudioDecoder};
use crate::encode::{self, OpusEncoder};
use crate::sound::Sound;

/// Hz.
const RATE: u32 = 48_000;
/// Bits a second of each channel: speech and music without audible loss.
const BITRATE: u32 = 64_000;
/// Input frames of about 10 ms are converted at a time.
const CHUNKS_A_SECOND: u32 = 100;
/// Times beyond this are nobody's.
const LATEST_US: u64 = 1 << 60;
/// Sound that is further from where it should be begins anew, microseconds.
const JUMP_US: i64 = 20_000;

/// Why a track cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be decoded.
    #[error(transparent)]
    Decode(#[from] decode::Error),
    /// It cannot be encoded.
    #[error(transparent)]
    Encode(#[from] encode::Error),
}

/// Converts the sound of one track into Opus packets of 20 ms.
pub struct ToOpus {
    decoder: AudioDecoder,
    encoder: OpusEncoder,
    track: Track,
    /// One or two.
    channels: usize,
    rate: Option<RateConverter>,
    /// Where the next sound is expected, microseconds.
    expected_us: Option<i64>,
}

impl ToOpus {
    /// For this sound track.
    ///
    /// # Errors
    /// An [`Error`] if it is of a kind that cannot be decoded.
    pub fn new(track: &Track) -> Result<Self, Error> {
        let decoder = AudioDecoder::new(track)?;
        let channels = match &track.media {
            Media::Audio(Audio { channels: 1, .. }) => 1,
            _ => 2,
        };
        let encoder = OpusEncoder::new(channels, u32::from(channels) * BITRATE)?;
        let track = Track { language: track.language.clone(), ..encoder.track() };
        let channels = usize::from(channels);
        Ok(Self { decoder, encoder, track, channels, rate: None, expected_us: None })
    }

    /// What the packets are.
    #[must_use]
    pub fn track(&self) -> Track {
        self.track.clone()
    }

    /// The packets that are complete with this one, on its track. What is broken gives none.
    pub fn convert(&mut self, packet: &Packet) -> Vec<Packet> {
        if packet.header.pts_us.unsigned_abs() > LATEST_US {
            return Vec::new();
        }
        let Ok(Some(sound)) = self.decoder.decode(packet) else { return Vec::new() };
        let mixed = mix(&sound, self.channels);
        let is_jump = |expected: i64| (expected.saturating_sub(sound.pts_us)).abs() > JUMP_US;
        let jumps = self.expected_us.is_some_and(is_jump);
        self.expected_us = Some(sound.pts_us.saturating_add(sound.duration_us()));
        let (samples, pts_us) = if sound.sample_rate == RATE {
            (mixed, sound.pts_us)
        } else {
            let (rate, channels) = (sound.sample_rate, self.channels);
            if jumps || self.rate.as_ref().is_none_or(|converter| converter.from != rate) {
                self.rate = RateConverter::new(rate, channels);
            }
            let Some(converter) = &mut self.rate else { return Vec::new() };
            converter.convert(&mixed, sound.pts_us)
        };
        self.encode(&samples, pts_us, packet.header.track)
    }

    /// What is left when nothing follows: the last packets, filled up with silence.
    pub fn flush(&mut self, track: u16) -> Vec<Packet> {
        let Some(end_us) = self.expected_us.take() else { return Vec::new() };
        let (mut silence, mut pts_us) = (Vec::new(), end_us);
        if let Some(mut converter) = self.rate.take() {
            let frames = converter.chunk * 3;
            (silence, pts_us) = converter.convert(&vec![0.0; frames * self.channels], end_us);
        }
        // A packet, and what the encoder looks ahead.
        silence.resize(silence.len().max(1_280 * self.channels), 0.0);
        let mut packets = self.encode(&silence, pts_us, track);
        packets.retain(|packet| packet.header.pts_us < end_us);
        packets
    }

    fn encode(&mut self, samples: &[f32], pts_us: i64, track: u16) -> Vec<Packet> {
        if samples.is_empty() {
            return Vec::new();
        }
        let mut packets = self.encoder.push(samples, pts_us).unwrap_or_default();
        packets.iter_mut().for_each(|packet| packet.header.track = track);
        packets
    }
}

/// Samples a second into another number of them.
struct RateConverter {
    from: u32,
    fft: Fft<f32>,
    channels: usize,
    /// Input frames converted at a time.
    chunk: usize,
    /// Interleaved frames that do not fill a chunk yet.
    waiting: Vec<f32>,
}

impl RateConverter {
    fn new(from: u32, channels: usize) -> Option<Self> {
        let chunk = (from / CHUNKS_A_SECOND).max(1) as usize;
        let fft = Fft::new(from as usize, RATE as usize, chunk, channels, FixedSync::Both).ok()?;
        let chunk = fft.input_frames_next();
        Some(Self { from, fft, channels, chunk, waiting: Vec::new() })
    }

    /// What is complete with these frames, the first of which sounds at `pts_us`; and when it sounds.
    fn convert(&mut self, frames: &[f32], pts_us: i64) -> (Vec<f32>, i64) {
        let length_us = |frames: usize, rate: u32| {
            i64::try_from(frames).unwrap_or(0) * 1_000_000 / i64::from(rate.max(1))
        };
        let delay_us = length_us(self.fft.output_delay(), RATE);
        let before_us = length_us(self.waiting.len() / self.channels, self.from);
        let start_us = pts_us.saturating_sub(before_us).saturating_sub(delay_us);
        self.waiting.extend_from_slice(frames);
        let mut out = Vec::new();
        let whole = self.chunk * self.channels;
        while self.waiting.len() >= whole {
            let rest = self.waiting.split_off(whole);
            let chunk = std::mem::replace(&mut self.waiting, rest);
            let converted = InterleavedOwned::new_from(chunk, self.channels, self.chunk)
                .ok()
                .and_then(|chunk| self.fft.process(&chunk, None).ok());
            out.extend(converted.map(InterleavedOwned::take_data).unwrap_or_default());
        }
        (out, start_us)
    }
}

/// Interleaved for one or two channels: of more, the first two and a share of the third.
fn mix(sound: &Sound, to: usize) -> Vec<f32> {
    let from = usize::from(sound.channels.max(1));
    let frames = sound.samples.chunks_exact(from);
    match (from, to) {
        (from, to) if from == to => sound.samples.clone(),
        (1, _) => frames.flat_map(|frame| [frame[0], frame[0]]).collect(),
        (_, 1) => frames.map(|frame| (frame[0] + frame[1]) / 2.0).collect(),
        _ => {
            let scale = 1.0 / (1.0 + std::f32::consts::FRAC_1_SQRT_2);
            let side = |frame: &[f32], side: usize| {
                (frame[side] + frame[2] * std::f32::consts::FRAC_1_SQRT_2) * scale
            };
            frames.flat_map(|frame| [side(frame, 0), side(frame, 1)]).collect()
        }
    }
}
