//! Sound through symphonia's decoders.

use proto::stream::{Audio, AudioCodec};
use symphonia::core::audio::{Channels, Position};
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_FLAC, CODEC_ID_MP3, CODEC_ID_PCM_S16LE, CODEC_ID_VORBIS,
};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};

use super::Error;
use crate::sound::Sound;

pub(super) struct Decoder {
    symphonia: Box<dyn AudioDecoder>,
}

impl Decoder {
    pub(super) fn new(audio: &Audio, codec_config: &[u8]) -> Result<Self, Error> {
        let codec = match audio.codec {
            AudioCodec::Aac => CODEC_ID_AAC,
            AudioCodec::Mp3 => CODEC_ID_MP3,
            AudioCodec::Flac => CODEC_ID_FLAC,
            AudioCodec::Vorbis => CODEC_ID_VORBIS,
            AudioCodec::PcmS16Le => CODEC_ID_PCM_S16LE,
            AudioCodec::Opus => return Err(Error::Unsupported { what: "Opus".into() }),
        };
        let mut params = AudioCodecParameters::new();
        params.for_codec(codec).with_sample_rate(audio.sample_rate);
        if let Some(channels) = channels(audio.channels) {
            params.with_channels(channels);
        }
        if !codec_config.is_empty() {
            params.with_extra_data(codec_config.into());
        }
        symphonia::default::get_codecs()
            .make_audio_decoder(&params, &AudioDecoderOptions::default())
            .map(|symphonia| Self { symphonia })
            .map_err(|error| Error::Start {
                codec: audio.codec.to_string(),
                reason: error.to_string(),
            })
    }

    pub(super) fn decode(&mut self, payload: &[u8], pts_us: i64) -> Option<Sound> {
        let packet = PacketRef::new(0, Timestamp::ZERO, Duration::ZERO, payload);
        let buffer = self.symphonia.decode_ref(&packet).ok()?;
        let sample_rate = buffer.spec().rate();
        let channels = u16::try_from(buffer.spec().channels().count()).ok()?;
        let mut samples = Vec::new();
        buffer.copy_to_vec_interleaved(&mut samples);
        Some(Sound { pts_us, sample_rate, channels, samples })
    }
}

fn channels(count: u16) -> Option<Channels> {
    let positions = match count {
        1 => Position::FRONT_CENTER,
        2 => Position::FRONT_LEFT | Position::FRONT_RIGHT,
        _ => return (count > 0).then_some(Channels::Discrete(count)),
    };
    Some(Channels::Positioned(positions))
}
