//! H.264 through openh264.

use std::borrow::Cow;

use bytes::Bytes;
use openh264::encoder::{
    BitRate, Complexity, Encoder as OpenH264, EncoderConfig, FrameRate, FrameType,
    IntraFramePeriod, Profile, RateControlMode, UsageType, VuiConfig,
};
use openh264::formats::YUVSource;
use openh264::{OpenH264API, Timestamp};
use proto::Track;
use proto::stream::{Media, Video, VideoCodec};
use serde_bytes::ByteBuf;

use super::Error;
use crate::h264::{Avcc, annex_b, nal_kind, nal_type};
use crate::picture::{Matrix, Picture, Pixels, Subsampling, Yuv};

/// What to encode and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Pixels, even, at most 3840 (and 2160 the other way).
    pub width: u32,
    /// Pixels, even.
    pub height: u32,
    /// Nominal frames per second as a fraction; times come from the pictures.
    pub frame_rate: (u32, u32),
    /// Bits per second to aim at.
    pub bitrate: u32,
}

/// An encoded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// An IDR picture: decoding may start here.
    pub key: bool,
    /// Length-prefixed NAL units, four bytes a length; parameter sets are in the track's avcC.
    pub payload: Bytes,
}

/// Encodes pictures of one size to Constrained Baseline, without B-frames: each call gives the
/// packet of its own picture.
pub struct H264Encoder {
    config: Config,
    openh264: OpenH264,
    /// What the parameter sets say of the colours.
    colour: Option<(Matrix, bool)>,
    last_key_us: Option<i64>,
    avcc: Option<Avcc>,
}

/// A viewer that joins, or has lost its way, waits no longer than this for a key frame.
const KEY_EVERY_US: i64 = 2_000_000;

/// How often a picture is offered to the encoder.
const MOST_OFFERS: u32 = 8;

const CODEC: &str = "H.264";

impl H264Encoder {
    /// An encoder for pictures of this size.
    pub fn new(config: Config) -> Result<Self, Error> {
        let (width, height) = (config.width, config.height);
        let allowed = "an even width and height of 16 to 3840 by 2160";
        let (long, short) = (width.max(height), width.min(height));
        if width % 2 != 0 || height % 2 != 0 || short < 16 || long > 3840 || short > 2160 {
            return Err(Error::Size { codec: CODEC, width, height, allowed });
        }
        let colour = (Matrix::from_coefficients(2, width, height), false);
        let openh264 = open(&config, colour)?;
        Ok(Self { config, openh264, colour: None, last_key_us: None, avcc: None })
    }

    /// Encodes the next picture, as a key frame if `force_key`, if two seconds have passed since
    /// the last one, or if the encoder sees a new scene.
    ///
    /// `None` if the encoder drops the picture.
    pub fn encode(&mut self, picture: &Picture, force_key: bool) -> Result<Option<Encoded>, Error> {
        let (width, height) = (picture.width, picture.height);
        if (width, height) != (self.config.width, self.config.height) {
            let allowed = "the size the encoder was made for";
            return Err(Error::Size { codec: CODEC, width, height, allowed });
        }
        let yuv = planes(picture);
        let colour = (yuv.matrix, yuv.full_range);
        if self.colour != Some(colour) {
            // What the parameter sets say must hold for what follows them.
            self.openh264 = open(&self.config, colour)?;
            self.colour = Some(colour);
            self.last_key_us = None;
        }
        let key_age = self.last_key_us.map(|last| picture.pts_us.saturating_sub(last));
        if force_key || key_age.is_none_or(|age| !(0..KEY_EVERY_US).contains(&age)) {
            self.openh264.force_intra_frame();
        }
        let source = Source { yuv: &yuv, size: (width as usize, height as usize) };
        let at = Timestamp::from_millis(u64::try_from(picture.pts_us / 1000).unwrap_or(0));
        // The rate control would leave pictures out after a large one. Offered again, they count as
        // that much time gone by, and are taken: an uneven bitrate is better than uneven motion.
        let mut stream = Vec::new();
        let mut key = false;
        for _ in 0..MOST_OFFERS {
            let coded = self.openh264.encode_at(&source, at).map_err(failed)?;
            key = coded.frame_type() == FrameType::IDR;
            coded.write_vec(&mut stream);
            if !stream.is_empty() {
                break;
            }
        }
        let payload = self.take(&stream);
        if key {
            self.last_key_us = Some(picture.pts_us);
        }
        Ok((!payload.is_empty()).then_some(Encoded { key, payload }))
    }

    /// What decoders must know: there once the first key frame has been encoded. It changes when
    /// pictures come with other colours.
    #[must_use]
    pub fn track(&self) -> Option<Track> {
        let codec_config = ByteBuf::from(self.avcc.as_ref()?.to_bytes()?);
        let media = Media::Video(Video {
            codec: VideoCodec::H264,
            width: self.config.width,
            height: self.config.height,
            pixel_aspect: (1, 1),
            rotation: 0,
            frame_rate: self.config.frame_rate,
        });
        Some(Track { media, codec_config, language: String::new() })
    }

    /// Byte stream to length-prefixed slices; parameter sets go beside them.
    fn take(&mut self, stream: &[u8]) -> Bytes {
        let (mut sps, mut pps) = (Vec::new(), Vec::new());
        let mut payload = Vec::with_capacity(stream.len());
        for nal in annex_b(stream) {
            match nal_kind(nal) {
                nal_type::SPS => sps.push(nal.to_vec()),
                nal_type::PPS => pps.push(nal.to_vec()),
                _ => {
                    payload.extend(u32::try_from(nal.len()).unwrap_or(0).to_be_bytes());
                    payload.extend(nal);
                }
            }
        }
        if !sps.is_empty() {
            self.avcc = Some(Avcc { length_size: 4, sps, pps });
        }
        payload.into()
    }
}

fn open(config: &Config, (matrix, full_range): (Matrix, bool)) -> Result<OpenH264, Error> {
    let (frames, seconds) = config.frame_rate;
    let rate = if frames == 0 || seconds == 0 { 30.0 } else { frames as f32 / seconds as f32 };
    let vui = match matrix {
        Matrix::Bt601 => VuiConfig::bt601(),
        Matrix::Bt709 => VuiConfig::bt709(),
    };
    let settings = EncoderConfig::new()
        .profile(Profile::Baseline)
        .usage_type(UsageType::CameraVideoRealTime)
        .complexity(Complexity::Low)
        .max_frame_rate(FrameRate::from_hz(rate))
        .rate_control_mode(RateControlMode::Bitrate)
        .bitrate(BitRate::from_bps(config.bitrate))
        .skip_frames(true)
        // Key frames are placed by time, see `encode`.
        .intra_frame_period(IntraFramePeriod::auto())
        .vui(vui.full_range(full_range))
        // One slice a picture: more threads would only sleep.
        .num_threads(1);
    OpenH264::with_api_config(OpenH264API::from_source(), settings).map_err(failed)
}

fn failed(error: openh264::Error) -> Error {
    Error::Failed { codec: CODEC, reason: error.to_string() }
}

/// The picture's own planes where they are 4:2:0, else converted.
fn planes(picture: &Picture) -> Cow<'_, Yuv> {
    match &picture.pixels {
        Pixels::Yuv(yuv) if yuv.subsampling == Subsampling::Half => Cow::Borrowed(yuv),
        _ => Cow::Owned(picture.to_yuv420()),
    }
}

struct Source<'a> {
    yuv: &'a Yuv,
    size: (usize, usize),
}

impl YUVSource for Source<'_> {
    fn dimensions(&self) -> (usize, usize) {
        self.size
    }

    fn strides(&self) -> (usize, usize, usize) {
        (self.size.0, self.size.0 / 2, self.size.0 / 2)
    }

    fn y(&self) -> &[u8] {
        &self.yuv.y
    }

    fn u(&self) -> &[u8] {
        &self.yuv.u
    }

    fn v(&self) -> &[u8] {
        &self.yuv.v
    }
}
