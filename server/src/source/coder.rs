//! Pictures to packets: H.264, or a JPEG each.

use bytes::Bytes;
use media::Picture;
use media::encode::h264::{self, Encoded};
use media::encode::{self, H264Encoder};
use proto::stream::{Media, Video, VideoCodec};
use proto::time::Stamp;
use proto::{Packet, PacketHeader, Track};

use crate::cli::{Codec, Size};

/// Bits for a pixel of a picture where no bit rate is given: fair quality for a face or a room.
const BITS_A_PIXEL: f64 = 0.1;
/// Quality of JPEGs made here, 1 to 100: what webcams use.
const JPEG_QUALITY: u8 = 85;

/// What to make of pictures.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// [`Codec::Auto`] is H.264.
    pub codec: Codec,
    /// Of the pictures.
    pub size: Size,
    /// Pictures a second.
    pub fps: u32,
    /// Bits a second of H.264; by size and rate if not given.
    pub bitrate: Option<u32>,
}

/// Makes packets of pictures of one size.
pub struct Coder {
    settings: Settings,
    h264: Option<H264Encoder>,
}

impl Coder {
    /// A coder of pictures as `settings` say.
    ///
    /// # Errors
    /// When the encoder does not take them.
    pub fn new(settings: Settings) -> Result<Self, encode::Error> {
        let h264 = match settings.codec {
            Codec::Mjpeg => None,
            Codec::Auto | Codec::H264 => Some(H264Encoder::new(h264::Config {
                width: settings.size.width,
                height: settings.size.height,
                frame_rate: (settings.fps, 1),
                bitrate: settings.bitrate.unwrap_or_else(|| settings.usual_bitrate()),
            })?),
        };
        Ok(Self { settings, h264 })
    }

    /// What the coder makes; known for H.264 once the first picture is coded.
    #[must_use]
    pub fn track(&self) -> Option<Track> {
        match &self.h264 {
            Some(encoder) => encoder.track(),
            None => Some(jpeg_track(self.settings.size, self.settings.fps)),
        }
    }

    /// Codes a picture that was captured at `captured`. `None` if the encoder leaves it out to keep
    /// to its bit rate.
    ///
    /// # Errors
    /// What the encoder says.
    pub fn encode(
        &mut self,
        picture: &Picture,
        captured: Stamp,
        force_key: bool,
    ) -> Result<Option<Packet>, encode::Error> {
        let coded = match &mut self.h264 {
            Some(encoder) => encoder.encode(picture, force_key)?,
            None => {
                let payload = encode::jpeg(picture, JPEG_QUALITY)?;
                Some(Encoded { key: true, payload })
            }
        };
        let fps = self.settings.fps;
        Ok(coded.map(|c| packet(c.payload, c.key, picture.pts_us, captured, fps)))
    }
}

impl Settings {
    fn usual_bitrate(&self) -> u32 {
        let pixels = f64::from(self.size.width) * f64::from(self.size.height);
        let bits = pixels * f64::from(self.fps) * BITS_A_PIXEL;
        bits.clamp(200_000.0, 50_000_000.0) as u32
    }
}

/// A packet of the picture track, which is always the first.
#[must_use]
pub fn packet(payload: Bytes, key: bool, pts_us: i64, captured: Stamp, fps: u32) -> Packet {
    let header = PacketHeader {
        track: 0,
        key,
        sequence: 0,
        pts_us,
        dts_us: pts_us,
        duration_us: 1_000_000 / fps.max(1),
        captured_at_us: captured,
    };
    Packet { header, payload }
}

/// A track of JPEGs.
#[must_use]
pub fn jpeg_track(size: Size, fps: u32) -> Track {
    let video = Video {
        codec: VideoCodec::Mjpeg,
        width: size.width,
        height: size.height,
        pixel_aspect: (1, 1),
        rotation: 0,
        frame_rate: (fps, 1),
    };
    Track {
        media: Media::Video(video),
        codec_config: serde_bytes::ByteBuf::default(),
        language: String::new(),
    }
}
