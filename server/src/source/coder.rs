//! Pictures to packets: H.264, or a JPEG each.

use std::fmt;

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
    pub rate: Rate,
    /// Bits a second of H.264; by size and rate if not given.
    pub bitrate: Option<u32>,
}

/// A number of frames in a number of seconds: 30 in 1, 15 in 2, 30000 in 1001.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// At least 1.
    pub frames: u32,
    /// At least 1.
    pub seconds: u32,
}

impl Rate {
    /// So many whole frames a second.
    #[must_use]
    pub fn whole(frames: u32) -> Self {
        Self { frames, seconds: 1 }
    }

    /// From one frame to the next, microseconds.
    #[must_use]
    pub fn interval_us(self) -> u32 {
        let us = 1_000_000 * u64::from(self.seconds) / u64::from(self.frames.max(1));
        u32::try_from(us).unwrap_or(u32::MAX)
    }

    /// Frames in a thousand seconds.
    #[must_use]
    pub fn millihertz(self) -> u32 {
        let rate = u64::from(self.frames) * 1000 / u64::from(self.seconds.max(1));
        u32::try_from(rate).unwrap_or(u32::MAX)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 29.97, but 30 and not 30.00
        write!(f, "{} fps", (f64::from(self.millihertz()) / 10.0).round() / 100.0)
    }
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
                frame_rate: (settings.rate.frames, settings.rate.seconds),
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
            None => Some(jpeg_track(self.settings.size, self.settings.rate)),
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
        let rate = self.settings.rate;
        Ok(coded.map(|c| packet(c.payload, c.key, picture.pts_us, captured, rate)))
    }
}

impl Settings {
    fn usual_bitrate(&self) -> u32 {
        let pixels = f64::from(self.size.width) * f64::from(self.size.height);
        let bits = pixels * f64::from(self.rate.millihertz()) / 1000.0 * BITS_A_PIXEL;
        bits.clamp(200_000.0, 50_000_000.0) as u32
    }
}

/// A packet of the picture track, which is always the first.
#[must_use]
pub fn packet(payload: Bytes, key: bool, pts_us: i64, captured: Stamp, rate: Rate) -> Packet {
    let header = PacketHeader {
        track: 0,
        key,
        sequence: 0,
        pts_us,
        dts_us: pts_us,
        duration_us: rate.interval_us(),
        captured_at_us: captured,
    };
    Packet { header, payload }
}

/// A track of JPEGs.
#[must_use]
pub fn jpeg_track(size: Size, rate: Rate) -> Track {
    let video = Video {
        codec: VideoCodec::Mjpeg,
        width: size.width,
        height: size.height,
        pixel_aspect: (1, 1),
        rotation: 0,
        frame_rate: (rate.frames, rate.seconds),
    };
    Track {
        media: Media::Video(video),
        codec_config: serde_bytes::ByteBuf::default(),
        language: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_well() {
        let rate = |frames, seconds| Rate { frames, seconds };
        assert_eq!(rate(30, 1).to_string(), "30 fps");
        assert_eq!(rate(15, 2).to_string(), "7.5 fps");
        assert_eq!(rate(30_000, 1001).to_string(), "29.97 fps");
        assert_eq!(rate(15, 2).interval_us(), 133_333);
    }
}
