//! What travels as it is: the formats that every viewer's decoders play.

use proto::limits;
use proto::stream::{Audio, AudioCodec, Media, Track, Video, VideoCodec};

use super::aac;
use crate::h264::{Avcc, Sps};

/// H.264 that passes, as its avcC record describes it.
#[derive(Clone, Debug)]
pub(crate) struct H264 {
    pub(crate) sps: Sps,
    /// Bytes of each NAL unit's length in the packets.
    pub(crate) length_size: usize,
}

/// Reads an avcC record; the error says why the pictures cannot go as they are.
pub(crate) fn h264(record: &[u8]) -> Result<H264, String> {
    let unreadable = || "has an H.264 set-up that cannot be read".to_owned();
    let avcc = Avcc::parse(record).ok_or_else(unreadable)?;
    let sets: Option<Vec<Sps>> = avcc.sps.iter().map(|nal| Sps::parse(nal)).collect();
    let sets = sets.ok_or_else(unreadable)?;
    for sps in &sets {
        check(sps)?;
    }
    let sps = sets.into_iter().next().ok_or_else(unreadable)?;
    Ok(H264 { sps, length_size: avcc.length_size })
}

fn check(sps: &Sps) -> Result<(), String> {
    if sps.bit_depth_luma != 8 || sps.bit_depth_chroma != 8 {
        return Err(format!("is {}-bit H.264", sps.bit_depth_luma.max(sps.bit_depth_chroma)));
    }
    if !sps.frame_mbs_only {
        return Err("is interlaced H.264".into());
    }
    let sampling = match sps.chroma_format_idc {
        1 => None,
        0 => Some("monochrome"),
        2 => Some("4:2:2"),
        _ => Some("4:4:4"),
    };
    if let Some(sampling) = sampling {
        return Err(format!("is {sampling} H.264"));
    }
    if !matches!(sps.profile_idc, 66 | 77 | 100) {
        return Err(format!("is H.264 of profile {}", sps.profile_idc));
    }
    Ok(())
}

/// What a container knows of its pictures besides their coding.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    /// Width and height the container gives.
    pub(crate) size: (u32, u32),
    /// Of one pixel; `None` leaves it to the coding.
    pub(crate) pixel_aspect: Option<(u32, u32)>,
    /// Clockwise, degrees.
    pub(crate) rotation: u16,
    /// `None` leaves it to the coding.
    pub(crate) frame_rate: Option<(u32, u32)>,
    pub(crate) language: String,
}

/// The track of H.264 pictures with this avcC record.
pub(crate) fn h264_track(record: &[u8], shown: &Shown) -> Result<Track, String> {
    let H264 { sps, .. } = h264(record)?;
    let size = (sps.width, sps.height);
    let aspect = shown.pixel_aspect.unwrap_or(sps.pixel_aspect);
    let rate = shown.frame_rate.or(sps.frame_rate);
    video_track(VideoCodec::H264, record, size, aspect, rate, shown)
}

/// The track of Motion JPEG pictures.
pub(crate) fn mjpeg_track(shown: &Shown) -> Result<Track, String> {
    let aspect = shown.pixel_aspect.unwrap_or((1, 1));
    video_track(VideoCodec::Mjpeg, &[], shown.size, aspect, shown.frame_rate, shown)
}

fn video_track(
    codec: VideoCodec,
    config: &[u8],
    (width, height): (u32, u32),
    aspect: (u32, u32),
    rate: Option<(u32, u32)>,
    shown: &Shown,
) -> Result<Track, String> {
    let video = Video {
        codec,
        width,
        height,
        pixel_aspect: ratio(aspect, limits::PICTURE_SIDE).unwrap_or((1, 1)),
        rotation: shown.rotation,
        frame_rate: rate.and_then(|rate| ratio(rate, u32::MAX)).unwrap_or((0, 1)),
    };
    checked(Media::Video(video), config, &shown.language)
}

/// The track of a sound with these properties.
pub(crate) fn audio_track(
    codec: AudioCodec,
    config: &[u8],
    sample_rate: u32,
    channels: u16,
    language: &str,
) -> Result<Track, String> {
    if channels > 2 {
        return Err(format!("has {channels} channels"));
    }
    checked(Media::Audio(Audio { codec, sample_rate, channels }), config, language)
}

/// The track of an AAC sound with this AudioSpecificConfig.
pub(crate) fn aac_track(config: &[u8], language: &str) -> Result<Track, String> {
    let lc = aac::lc(config)?;
    audio_track(AudioCodec::Aac, config, lc.sample_rate, lc.channels, language)
}

fn checked(media: Media, config: &[u8], language: &str) -> Result<Track, String> {
    let language = if is_language(language) { language.to_owned() } else { String::new() };
    let track = Track { media, codec_config: config.to_vec().into(), language };
    match track.validate() {
        Ok(()) => Ok(track),
        Err(error) => Err(format!("says of itself what cannot be: {error}")),
    }
}

/// A BCP 47 or ISO 639 tag that says something. QuickTime files hold numbers in its place, which read
/// as letters are none: no reason not to play them.
fn is_language(tag: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    tag != "und" && tag.len() <= 35 && tag.chars().all(plain)
}

/// A fraction in lowest terms; `None` if it is none or too large.
pub(crate) fn ratio((num, den): (u32, u32), most: u32) -> Option<(u32, u32)> {
    let (mut a, mut b) = (num, den);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let (num, den) = (num.checked_div(a)?, den.checked_div(a)?);
    (num > 0 && den > 0 && num <= most && den <= most).then_some((num, den))
}
