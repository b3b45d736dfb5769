//! Decoders: packets in, pictures and sound out.
//!
//! ```text
//! h264      openh264, pictures put into presentation order by reorder
//! reorder   a heap as small as the stream allows
//! jpeg      one JPEG, one picture
//! audio     symphonia's decoders
//! opus      libopus
//! ```
//!
//! Broken packets cost pictures or sound, never an error: they are counted, and decoding goes on
//! where it can (H.264: at the next key frame).

mod audio;
mod h264;
mod jpeg;
mod opus;
mod reorder;

pub use jpeg::picture as jpeg_picture;

use proto::stream::{AudioCodec, Media, Video, VideoCodec};
use proto::{Packet, Track};

use crate::picture::Picture;
use crate::sound::Sound;

/// Why a track cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A picture decoder was asked for a sound track or the other way round.
    #[error("this track is {found}, not {wanted}")]
    WrongMedia {
        /// What the decoder is for.
        wanted: &'static str,
        /// What the track is.
        found: String,
    },
    /// The codec configuration is missing or damaged.
    #[error("the {codec} track's codec configuration cannot be read; the source must send it anew")]
    BadConfig {
        /// For people.
        codec: String,
    },
    /// A variant of the codec that the decoder does not know.
    #[error("{what} cannot be decoded here; have the server convert it with ffmpeg")]
    Unsupported {
        /// For people, with the codec ("H.264 with 10-bit samples").
        what: String,
    },
    /// The decoder could not be set up.
    #[error("the {codec} decoder does not start: {reason}")]
    Start {
        /// For people.
        codec: String,
        /// As the decoder says it.
        reason: String,
    },
}

/// Decodes the pictures of one track.
pub struct VideoDecoder {
    codec: VideoDecoderKind,
    skipped: u64,
}

enum VideoDecoderKind {
    H264(Box<h264::Decoder>),
    Mjpeg,
}

impl VideoDecoder {
    /// A decoder for this picture track.
    pub fn new(track: &Track) -> Result<Self, Error> {
        let Media::Video(Video { codec, .. }) = &track.media else {
            return Err(Error::WrongMedia { wanted: "pictures", found: track.to_string() });
        };
        let codec = match codec {
            VideoCodec::H264 => {
                VideoDecoderKind::H264(Box::new(h264::Decoder::new(&track.codec_config)?))
            }
            VideoCodec::Mjpeg => VideoDecoderKind::Mjpeg,
        };
        Ok(Self { codec, skipped: 0 })
    }

    /// Takes the next packet in decoding order and gives the pictures that can be shown now, in
    /// presentation order. Streams without B-frames give each picture in the call with its packet.
    ///
    /// A broken packet gives nothing and is counted in [`Self::skipped`]; an error means that the
    /// stream has turned into one that cannot be decoded.
    pub fn decode(&mut self, packet: &Packet) -> Result<Vec<Picture>, Error> {
        match &mut self.codec {
            VideoDecoderKind::H264(decoder) => {
                let mut pictures = Vec::new();
                if !decoder.decode(packet, &mut pictures)? {
                    self.skipped += 1;
                }
                Ok(pictures)
            }
            VideoDecoderKind::Mjpeg => {
                let picture = jpeg::picture(&packet.payload, packet.header.pts_us);
                self.skipped += u64::from(picture.is_none());
                Ok(picture.into_iter().collect())
            }
        }
    }

    /// The pictures still held back for reordering: at the end, or where the stream jumps.
    pub fn flush(&mut self) -> Vec<Picture> {
        match &mut self.codec {
            VideoDecoderKind::H264(decoder) => decoder.flush(),
            VideoDecoderKind::Mjpeg => Vec::new(),
        }
    }

    /// Packets so far that gave no picture: broken ones, and those that refer to them.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

/// Decodes the sound of one track.
pub struct AudioDecoder {
    codec: AudioDecoderKind,
    skipped: u64,
}

enum AudioDecoderKind {
    Symphonia(audio::Decoder),
    Opus(Box<opus::Decoder>),
}

impl AudioDecoder {
    /// A decoder for this sound track.
    pub fn new(track: &Track) -> Result<Self, Error> {
        let Media::Audio(audio) = &track.media else {
            return Err(Error::WrongMedia { wanted: "sound", found: track.to_string() });
        };
        let codec = match audio.codec {
            AudioCodec::Opus => {
                AudioDecoderKind::Opus(Box::new(opus::Decoder::new(audio, &track.codec_config)?))
            }
            _ => AudioDecoderKind::Symphonia(audio::Decoder::new(audio, &track.codec_config)?),
        };
        Ok(Self { codec, skipped: 0 })
    }

    /// The sound of the next packet, if it gives any.
    ///
    /// What would sound before the timeline's 0 is the encoder's run-up (Opus pre-skip, AAC
    /// priming) and is cut off. A broken packet gives nothing and is counted in [`Self::skipped`].
    pub fn decode(&mut self, packet: &Packet) -> Result<Option<Sound>, Error> {
        let pts_us = packet.header.pts_us;
        let sound = match &mut self.codec {
            AudioDecoderKind::Symphonia(decoder) => decoder.decode(&packet.payload, pts_us),
            AudioDecoderKind::Opus(decoder) => decoder.decode(&packet.payload, pts_us),
        };
        self.skipped += u64::from(sound.is_none());
        Ok(sound.and_then(Sound::without_run_up))
    }

    /// Broken packets so far.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}
