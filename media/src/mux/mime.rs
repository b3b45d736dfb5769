//! How a browser is told what is in a file (RFC 6381).

use proto::Track;
use proto::stream::{AudioCodec, Media, VideoCodec};

/// The media type of a file with these tracks, codecs included.
#[must_use]
pub fn mime<'a>(tracks: impl IntoIterator<Item = &'a Track>) -> String {
    let tracks: Vec<&Track> = tracks.into_iter().collect();
    let kind = if tracks.iter().any(|track| track.is_video()) { "video" } else { "audio" };
    let codecs: Vec<String> = tracks.iter().map(|track| codec(track)).collect();
    format!("{kind}/mp4; codecs=\"{}\"", codecs.join(","))
}

fn codec(track: &Track) -> String {
    let config = track.codec_config.as_slice();
    let byte = |at: usize| config.get(at).copied().unwrap_or(0);
    match &track.media {
        Media::Video(video) => match video.codec {
            // Profile, constraints and level, as in the avcC.
            VideoCodec::H264 => format!("avc1.{:02x}{:02x}{:02x}", byte(1), byte(2), byte(3)),
            VideoCodec::Mjpeg => "mp4v.6c".to_owned(),
        },
        Media::Audio(audio) => match audio.codec {
            // The object type, the first five bits of the AudioSpecificConfig.
            AudioCodec::Aac => format!("mp4a.40.{}", byte(0) >> 3),
            AudioCodec::Opus => "opus".to_owned(),
            AudioCodec::Mp3 => "mp4a.6b".to_owned(),
            AudioCodec::Flac => "flac".to_owned(),
            AudioCodec::Vorbis => "vorbis".to_owned(),
            AudioCodec::PcmS16Le => "ipcm".to_owned(),
        },
    }
}
