//! symphonia's track list as [`Stream`]s: which of them can travel as they are.

use proto::Track;
use proto::stream::AudioCodec;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, well_known as audio};
use symphonia::core::codecs::video::{VideoCodecId, VideoCodecParameters, well_known as video};
use symphonia::core::formats::{Track as Found, TrackFlags};

use super::matroska::Entry;
use crate::demux::rules::{self, Shown};
use crate::demux::stream::{Kind, Stream};

/// What is known of a source beside what it says itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// Width : height of one pixel.
    pub(crate) pixel_aspect: Option<(u32, u32)>,
    /// Clockwise, degrees.
    pub(crate) rotation: Option<u16>,
    pub(crate) duration_us: Option<u64>,
}

/// The pictures and sounds among the tracks, and each one's index among them.
pub(crate) fn streams(
    found: &[Found],
    entries: &[Entry],
    told: &Told,
) -> (Vec<usize>, Vec<Stream>) {
    let stream = |track: &Found| {
        let entry = entries.iter().find(|entry| entry.number == u64::from(track.id));
        let (kind, codec, verdict) = coding(track, entry, told)?;
        let packed = entry.is_some_and(|entry| entry.packed);
        let verdict = if packed { verdict.and(Err("is packed".into())) } else { verdict };
        let default = track.flags.contains(TrackFlags::DEFAULT);
        Some(Stream { kind, codec, default, verdict, is_edited: false })
    };
    found.iter().enumerate().filter_map(|(i, track)| Some((i, stream(track)?))).unzip()
}

type Coding = (Kind, String, Result<Track, String>);

/// `None` for subtitles and the like.
fn coding(track: &Found, entry: Option<&Entry>, told: &Told) -> Option<Coding> {
    let language = track.language.clone().unwrap_or_default();
    match &track.codec_params {
        Some(CodecParameters::Video(params)) => {
            let (codec, verdict) = picture(params, &shown(params, entry, told, language));
            Some((Kind::Video, codec, verdict))
        }
        Some(CodecParameters::Audio(params)) => {
            let (codec, verdict) = sound(params, &language);
            Some((Kind::Audio, codec, verdict))
        }
        Some(_) => None,
        None => {
            let entry = entry?;
            let kind = match entry.track_type {
                1 => Kind::Video,
                2 => Kind::Audio,
                _ => return None,
            };
            Some((kind, entry.codec_id.clone(), Err(format!("is {}", entry.codec_id))))
        }
    }
}

fn shown(
    params: &VideoCodecParameters,
    entry: Option<&Entry>,
    told: &Told,
    language: String,
) -> Shown {
    Shown {
        size: (params.width.unwrap_or(0).into(), params.height.unwrap_or(0).into()),
        pixel_aspect: told.pixel_aspect.or_else(|| entry?.pixel_aspect()),
        rotation: told.rotation.or_else(|| Some(entry?.rotation())).unwrap_or(0),
        frame_rate: entry.and_then(|entry| frame_rate(entry.frame_ns)),
        language,
    }
}

fn picture(params: &VideoCodecParameters, shown: &Shown) -> (String, Result<Track, String>) {
    let config = params
        .extra_data
        .iter()
        .find(|extra| extra.id == video::extra_data::VIDEO_EXTRA_DATA_ID_AVC_DECODER_CONFIG);
    match params.codec {
        video::CODEC_ID_H264 => {
            let record = config.map_or(&[][..], |extra| &extra.data);
            ("H.264".into(), rules::h264_track(record, shown))
        }
        video::CODEC_ID_MJPEG => ("MJPEG".into(), rules::mjpeg_track(shown)),
        other => {
            let name = video_name(other);
            (name.into(), Err(format!("is {name}")))
        }
    }
}

fn sound(params: &AudioCodecParameters, language: &str) -> (String, Result<Track, String>) {
    let config = params.extra_data.as_deref().unwrap_or_default();
    let channels = params.channels.as_ref().map_or(0, |c| u16::try_from(c.count()).unwrap_or(0));
    let rate = params.sample_rate.unwrap_or(0);
    let track = |codec, config, rate| rules::audio_track(codec, config, rate, channels, language);
    let verdict = match params.codec {
        audio::CODEC_ID_AAC => rules::aac_track(config, language),
        audio::CODEC_ID_OPUS => track(AudioCodec::Opus, config, 48_000),
        audio::CODEC_ID_MP3 => track(AudioCodec::Mp3, &[], rate),
        audio::CODEC_ID_FLAC => track(AudioCodec::Flac, config, rate),
        audio::CODEC_ID_VORBIS => track(AudioCodec::Vorbis, config, rate),
        audio::CODEC_ID_PCM_S16LE => track(AudioCodec::PcmS16Le, &[], rate),
        other => Err(format!("is {}", audio_name(other))),
    };
    (audio_name(params.codec).into(), verdict)
}

fn video_name(codec: VideoCodecId) -> &'static str {
    match codec {
        video::CODEC_ID_HEVC => "HEVC",
        video::CODEC_ID_VP8 => "VP8",
        video::CODEC_ID_VP9 => "VP9",
        video::CODEC_ID_AV1 => "AV1",
        video::CODEC_ID_MPEG1 => "MPEG-1",
        video::CODEC_ID_MPEG2 => "MPEG-2",
        video::CODEC_ID_MPEG4 | video::CODEC_ID_MSMPEG4V3 => "MPEG-4 Part 2",
        video::CODEC_ID_THEORA => "Theora",
        _ => "of a codec that viewers do not have",
    }
}

fn audio_name(codec: AudioCodecId) -> &'static str {
    match codec {
        audio::CODEC_ID_AAC => "AAC",
        audio::CODEC_ID_OPUS => "Opus",
        audio::CODEC_ID_MP3 => "MP3",
        audio::CODEC_ID_FLAC => "FLAC",
        audio::CODEC_ID_VORBIS => "Vorbis",
        audio::CODEC_ID_PCM_S16LE => "PCM",
        audio::CODEC_ID_AC3 => "AC-3",
        audio::CODEC_ID_EAC3 => "E-AC-3",
        audio::CODEC_ID_DCA => "DTS",
        audio::CODEC_ID_TRUEHD => "TrueHD",
        audio::CODEC_ID_MP1 | audio::CODEC_ID_MP2 => "MPEG audio layer II",
        audio::CODEC_ID_ALAC => "ALAC",
        audio::CODEC_ID_SPEEX => "Speex",
        audio::CODEC_ID_WAVPACK => "WavPack",
        _ => "of a codec that viewers do not have",
    }
}

/// Frames per second from the length of one, nanoseconds; the usual rates are recognised from
/// lengths rounded to milliseconds. `None` for 0.
pub(crate) fn frame_rate(frame_ns: u64) -> Option<(u32, u32)> {
    const USUAL: [(u32, u32); 11] = [
        (24, 1),
        (25, 1),
        (30, 1),
        (50, 1),
        (60, 1),
        (24_000, 1001),
        (30_000, 1001),
        (60_000, 1001),
        (10, 1),
        (15, 1),
        (20, 1),
    ];
    if frame_ns == 0 {
        return None;
    }
    let fps = 1e9 / frame_ns as f64;
    // What a length's last nanosecond, or its last millisecond, leaves open.
    let exact = |(num, den): &(u32, u32)| {
        let ns = 1e9 * f64::from(*den) / f64::from(*num);
        let slack = if frame_ns.is_multiple_of(1_000_000) { 1_000_000.0 } else { 2.0 };
        (ns - frame_ns as f64).abs() < slack
    };
    let usual = USUAL.iter().find(|rate| exact(rate)).copied();
    usual.or_else(|| rules::ratio(((fps * 1000.0).round() as u32, 1000), u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_frame_rates_are_recognised() {
        for (ns, rate) in [
            (41_666_666, Some((24, 1))),
            (41_708_333, Some((24_000, 1001))),
            (33_366_666, Some((30_000, 1001))),
            (40_000_000, Some((25, 1))),
            (42_000_000, Some((24, 1))),
            (80_000_000, Some((25, 2))),
            (0, None),
        ] {
            assert_eq!(frame_rate(ns), rate, "{ns}");
        }
    }
}
