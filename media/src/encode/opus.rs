//! Opus through libopus (RFC 6716).

use opusic_c::{Application, Bitrate, Channels, Encoder, SampleRate};
use proto::packet::PacketHeader;
use proto::stream::{Audio, AudioCodec, Media};
use proto::{Packet, Track};
use serde_bytes::ByteBuf;

use super::Error;

/// Encodes sound of 48 kHz into packets of 20 ms.
pub struct OpusEncoder {
    libopus: Encoder,
    channels: u16,
    /// Samples by which decoded sound comes later than what went in.
    look_ahead: u32,
    /// Interleaved samples that do not fill a packet yet.
    waiting: Vec<f32>,
    /// When the first waiting sample sounds.
    waiting_pts_us: i64,
}

/// Hz.
const RATE: u32 = 48_000;

/// Samples a channel in a packet.
const FRAME: usize = 960;

const FRAME_US: u32 = 20_000;

/// No packet of 20 ms is longer at any bitrate (RFC 6716 §3.4: 1275 bytes a frame).
const LONGEST: usize = 1276;

const CODEC: &str = "Opus";

impl OpusEncoder {
    /// For one or two channels; `bitrate` in bits per second, 6,000 to 510,000.
    pub fn new(channels: u16, bitrate: u32) -> Result<Self, Error> {
        let allowed = "1 or 2 channels and 6000 to 510000 bits per second";
        let what = format!("{channels} channels at {bitrate} bits per second");
        let count = match channels {
            1 => Channels::Mono,
            2 => Channels::Stereo,
            _ => return Err(Error::Setting { codec: CODEC, what, allowed }),
        };
        if !(6_000..=510_000).contains(&bitrate) {
            return Err(Error::Setting { codec: CODEC, what, allowed });
        }
        let mut libopus =
            Encoder::new(count, SampleRate::Hz48000, Application::Audio).map_err(failed)?;
        libopus.set_bitrate(Bitrate::Value(bitrate)).map_err(failed)?;
        let look_ahead = libopus.get_look_ahead().map_err(failed)?;
        Ok(Self { libopus, channels, look_ahead, waiting: Vec::new(), waiting_pts_us: 0 })
    }

    /// Takes interleaved samples, the first of which sounds at `pts_us`, and gives the packets they
    /// fill, on track 0. A packet's time is that of the first sample its decoder gives, so the
    /// first one starts 6.5 ms before the sound.
    ///
    /// Small steps between calls are the sound card's clock and shift the packets; where a packet's
    /// length or more is missing, silence fills up the packet that was begun.
    pub fn push(&mut self, samples: &[f32], pts_us: i64) -> Result<Vec<Packet>, Error> {
        let mut packets = Vec::new();
        let waiting = self.waiting.len() / usize::from(self.channels);
        let expected = self.waiting_pts_us.saturating_add(length_us(waiting));
        let whole = usize::from(self.channels) * FRAME;
        if waiting > 0 && pts_us.saturating_sub(expected).unsigned_abs() >= u64::from(FRAME_US) {
            self.waiting.resize(whole, 0.0);
            packets.push(self.encode_waiting()?);
            self.waiting.clear();
        }
        let waiting = self.waiting.len() / usize::from(self.channels);
        self.waiting_pts_us = pts_us.saturating_sub(length_us(waiting));
        let odd = samples.len() % usize::from(self.channels);
        self.waiting.extend_from_slice(&samples[..samples.len() - odd]);
        while self.waiting.len() >= whole {
            packets.push(self.encode_waiting()?);
            self.waiting.drain(..whole);
            self.waiting_pts_us += i64::from(FRAME_US);
        }
        Ok(packets)
    }

    /// What decoders must know.
    #[must_use]
    pub fn track(&self) -> Track {
        let channels = self.channels;
        let audio = Audio { codec: AudioCodec::Opus, sample_rate: RATE, channels };
        Track {
            media: Media::Audio(audio),
            codec_config: ByteBuf::from(self.opus_head()),
            language: String::new(),
        }
    }

    /// RFC 7845 §5.1.
    fn opus_head(&self) -> Vec<u8> {
        let mut head = b"OpusHead\x01".to_vec();
        head.push(if self.channels == 1 { 1 } else { 2 });
        head.extend(u16::try_from(self.look_ahead).unwrap_or(0).to_le_bytes());
        head.extend(RATE.to_le_bytes());
        head.extend([0, 0]); // output gain
        head.push(0); // mapping family: mono or stereo
        head
    }

    fn encode_waiting(&mut self) -> Result<Packet, Error> {
        let frame = &self.waiting[..FRAME * usize::from(self.channels)];
        let mut coded = vec![0; LONGEST];
        let length = self.libopus.encode_float_to_slice(frame, &mut coded).map_err(failed)?;
        coded.truncate(length);
        let pts_us = self.waiting_pts_us.saturating_sub(length_us(self.look_ahead as usize));
        let header = PacketHeader {
            key: true,
            pts_us,
            dts_us: pts_us,
            duration_us: FRAME_US,
            ..PacketHeader::default()
        };
        Ok(Packet { header, payload: coded.into() })
    }
}

fn length_us(samples: usize) -> i64 {
    i64::try_from(samples).unwrap_or(i64::MAX).saturating_mul(1_000_000) / i64::from(RATE)
}

fn failed(error: opusic_c::ErrorCode) -> Error {
    Error::Failed { codec: CODEC, reason: error.message().into() }
}
