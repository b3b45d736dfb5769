//! What a stream is: its name, its tracks, and how to decode and show them.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::limits;
use crate::recording::RecordingInfo;

/// A line of the catalogue: enough to choose a stream by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamInfo {
    /// Unique on the node that says it.
    pub name: String,
    /// For people; may be empty.
    pub title: String,
    /// A live stream has no end known beforehand.
    pub live: bool,
    /// Whether packets flow at this moment.
    pub state: StreamState,
    /// Viewers on the node that says it, relays among them.
    pub viewers: u32,
    /// What is in it, for people ("H.264 854x480 24 fps, AAC 48 kHz stereo"); empty if unknown yet.
    pub summary: String,
    /// The nodes it came through, the origin first; a relay that finds itself here leaves it out.
    pub path: Vec<u64>,
    /// What of it can be watched from any point; `None` for a stream that is only live.
    pub recording: Option<RecordingInfo>,
}

/// What the source of a stream is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamState {
    /// Nobody watches; the first viewer starts it.
    Idle,
    /// Packets flow.
    Running,
    /// The source is away (camera unplugged, origin lost); it is being brought back.
    Held,
}

/// Comes before the first packet, and again whenever it changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamDescription {
    /// The name it was subscribed by.
    pub name: String,
    /// For people; may be empty.
    pub title: String,
    /// A live stream has no end known beforehand.
    pub live: bool,
    /// Chosen at random by the source whenever it starts counting packets from 0 again.
    pub run: u64,
    /// Length of a recorded stream, microseconds.
    pub duration_us: Option<u64>,
    /// In the order of [`crate::PacketHeader::track`].
    pub tracks: Vec<Track>,
}

/// One elementary stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// Picture or sound, and what its decoder must know.
    pub media: Media,
    /// Out-of-band set-up of the decoder: H.264 avcC (ISO/IEC 14496-15 §5.3.3.1), AAC
    /// AudioSpecificConfig (ISO/IEC 14496-3 §1.6), OpusHead (RFC 7845 §5.1), else as the container
    /// has it; empty where the codec needs none.
    pub codec_config: ByteBuf,
    /// BCP 47 or ISO 639 tag; empty if unknown.
    pub language: String,
}

/// Picture or sound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Media {
    /// Pictures.
    Video(Video),
    /// Sound.
    Audio(Audio),
}

/// What a picture track is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Video {
    /// How it is coded.
    pub codec: VideoCodec,
    /// Coded width after cropping, pixels.
    pub width: u32,
    /// Coded height after cropping, pixels.
    pub height: u32,
    /// Width : height of one pixel; (1, 1) is square.
    pub pixel_aspect: (u32, u32),
    /// Clockwise turn to apply before showing: 0, 90, 180 or 270 degrees.
    pub rotation: u16,
    /// Nominal frames per second as a fraction; (0, 1) if unknown or variable.
    pub frame_rate: (u32, u32),
}

/// What a sound track is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audio {
    /// How it is coded.
    pub codec: AudioCodec,
    /// As the container says, Hz; the decoder has the last word.
    pub sample_rate: u32,
    /// As the container says; the decoder has the last word.
    pub channels: u16,
}

/// Picture codecs that travel. Numbers are stable: add at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum VideoCodec {
    /// ITU-T H.264, length-prefixed NAL units, avcC beside it.
    H264,
    /// A JPEG a picture.
    Mjpeg,
}

/// Sound codecs that travel. Numbers are stable: add at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AudioCodec {
    /// AAC-LC, raw access units.
    Aac,
    /// Opus (RFC 6716).
    Opus,
    /// MPEG-1/2 layer III.
    Mp3,
    /// FLAC frames (RFC 9639); the config is the STREAMINFO block's content.
    Flac,
    /// Vorbis packets; the config is the identification and set-up header as Matroska has it.
    Vorbis,
    /// Signed 16-bit little-endian PCM, interleaved.
    PcmS16Le,
}

/// Why a description or a catalogue line is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is out of bounds")]
pub struct OutOfBounds {
    /// The field, for people.
    pub field: &'static str,
}

pub(crate) fn check(field: &'static str, fine: bool) -> Result<(), OutOfBounds> {
    if fine { Ok(()) } else { Err(OutOfBounds { field }) }
}

/// Names travel to terminals, windows and file names: printable, no path separators.
#[must_use]
pub fn is_valid_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= limits::NAME
        && name.trim() == name
        && !name.chars().any(|c| c.is_control() || c == '/' || c == '\\')
}

/// A BCP 47 or ISO 639 tag, or nothing.
pub(crate) fn is_valid_language(language: &str) -> bool {
    language.len() <= limits::LANGUAGE && is_valid_text(language)
}

/// Free text: bounded, one line.
#[must_use]
pub fn is_valid_text(text: &str) -> bool {
    text.len() <= limits::TEXT && !text.chars().any(char::is_control)
}

/// `text` as it may be sent: one line, cut to its bound.
#[must_use]
pub fn fitting_text(text: &str) -> String {
    let mut fitting: String = text.chars().filter(|c| !c.is_control()).collect();
    while fitting.len() > limits::TEXT {
        fitting.pop();
    }
    fitting
}

impl StreamInfo {
    /// Every field within its bounds.
    pub fn validate(&self) -> Result<(), OutOfBounds> {
        check("a stream's name", is_valid_name(&self.name))?;
        check("a stream's title", is_valid_text(&self.title))?;
        check("a stream's summary", is_valid_text(&self.summary))?;
        check("a stream's path", self.path.len() <= limits::PATH)?;
        let length = self.recording.map_or(0, |recording| recording.duration_us);
        check("a recording's length", length <= limits::RECORDING_US as u64)
    }
}

impl StreamDescription {
    /// Every field within its bounds.
    pub fn validate(&self) -> Result<(), OutOfBounds> {
        check("a stream's name", is_valid_name(&self.name))?;
        check("a stream's title", is_valid_text(&self.title))?;
        check("the number of tracks", (1..=limits::TRACKS).contains(&self.tracks.len()))?;
        self.tracks.iter().try_for_each(Track::validate)
    }

    /// The first picture track and its index.
    #[must_use]
    pub fn video(&self) -> Option<(u16, &Track, &Video)> {
        self.tracks.iter().zip(0u16..).find_map(|(track, index)| match &track.media {
            Media::Video(video) => Some((index, track, video)),
            Media::Audio(_) => None,
        })
    }

    /// The first sound track and its index.
    #[must_use]
    pub fn audio(&self) -> Option<(u16, &Track, &Audio)> {
        self.tracks.iter().zip(0u16..).find_map(|(track, index)| match &track.media {
            Media::Audio(audio) => Some((index, track, audio)),
            Media::Video(_) => None,
        })
    }

    /// One line for people: codecs, size, rate.
    #[must_use]
    pub fn summary(&self) -> String {
        let parts: Vec<String> = self.tracks.iter().map(ToString::to_string).collect();
        let mut summary = parts.join(", ");
        // It goes into catalogues, where it is bounded. All of it is ASCII.
        summary.truncate(limits::TEXT);
        summary
    }
}

impl Track {
    /// Every field within its bounds.
    pub fn validate(&self) -> Result<(), OutOfBounds> {
        check("a codec configuration", self.codec_config.len() <= limits::CODEC_CONFIG)?;
        check("a language", is_valid_language(&self.language))?;
        match &self.media {
            Media::Video(v) => {
                let side = 1..=limits::PICTURE_SIDE;
                check("a picture's size", side.contains(&v.width) && side.contains(&v.height))?;
                let aspect = 1..=limits::PICTURE_SIDE;
                check(
                    "a pixel aspect",
                    aspect.contains(&v.pixel_aspect.0) && aspect.contains(&v.pixel_aspect.1),
                )?;
                check("a rotation", matches!(v.rotation, 0 | 90 | 180 | 270))?;
                check("a frame rate", v.frame_rate.1 != 0)
            }
            Media::Audio(a) => {
                check("a sample rate", (1..=limits::SAMPLE_RATE).contains(&a.sample_rate))?;
                check("a number of channels", (1..=limits::CHANNELS).contains(&a.channels))
            }
        }
    }

    /// Whether this is a picture track.
    #[must_use]
    pub fn is_video(&self) -> bool {
        matches!(self.media, Media::Video(_))
    }
}

impl Video {
    /// Frames per second, if the source says.
    #[must_use]
    pub fn fps(&self) -> Option<f64> {
        (self.frame_rate.0 != 0)
            .then(|| f64::from(self.frame_rate.0) / f64::from(self.frame_rate.1))
    }

    /// Size in square pixels after rotation: what a window should show.
    #[must_use]
    pub fn display_size(&self) -> (u32, u32) {
        let (num, den) = (u64::from(self.pixel_aspect.0), u64::from(self.pixel_aspect.1));
        let scale = |side: u32, by: u64, over: u64| {
            let scaled = (u64::from(side) * by + over / 2) / over.max(1);
            u32::try_from(scaled.clamp(1, u64::from(limits::PICTURE_SIDE))).unwrap_or(1)
        };
        // The longer way: nothing of the picture is lost.
        let (w, h) = if num >= den {
            (scale(self.width, num, den), self.height)
        } else {
            (self.width, scale(self.height, den, num))
        };
        if self.rotation.is_multiple_of(180) { (w, h) } else { (h, w) }
    }
}

impl std::fmt::Display for VideoCodec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::H264 => "H.264",
            Self::Mjpeg => "MJPEG",
        })
    }
}

impl std::fmt::Display for AudioCodec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Aac => "AAC",
            Self::Opus => "Opus",
            Self::Mp3 => "MP3",
            Self::Flac => "FLAC",
            Self::Vorbis => "Vorbis",
            Self::PcmS16Le => "PCM",
        })
    }
}

impl std::fmt::Display for Track {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.media {
            Media::Video(v) => {
                write!(f, "{} {}x{}", v.codec, v.width, v.height)?;
                if let Some(fps) = v.fps() {
                    // 29.97, but 24 and not 24.00
                    write!(f, " {} fps", (fps * 100.0).round() / 100.0)?;
                }
                Ok(())
            }
            Media::Audio(a) => {
                let khz = f64::from(a.sample_rate) / 1000.0;
                write!(f, "{} {khz} kHz", a.codec)?;
                match a.channels {
                    1 => f.write_str(" mono"),
                    2 => f.write_str(" stereo"),
                    n => write!(f, " {n} channels"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(width: u32, height: u32, pixel_aspect: (u32, u32), rotation: u16) -> Video {
        let codec = VideoCodec::H264;
        Video { codec, width, height, pixel_aspect, rotation, frame_rate: (30_000, 1001) }
    }

    #[test]
    fn display_size_applies_pixel_aspect_then_rotation() {
        assert_eq!(video(720, 576, (64, 45), 0).display_size(), (1024, 576));
        assert_eq!(video(720, 576, (64, 45), 90).display_size(), (576, 1024));
        assert_eq!(video(720, 480, (8, 9), 180).display_size(), (720, 540));
    }

    #[test]
    fn tracks_read_well() {
        let media = Media::Video(video(854, 480, (1, 1), 0));
        let track = Track { media, codec_config: ByteBuf::new(), language: String::new() };
        assert_eq!(track.to_string(), "H.264 854x480 29.97 fps");
    }

    #[test]
    fn names_that_could_hurt_a_terminal_or_a_path_are_refused() {
        assert!(is_valid_name("Küche 2 (loop)"));
        for bad in ["", " a", "a/b", "a\\b", "a\u{1b}[2J", &"x".repeat(limits::NAME + 1)] {
            assert!(!is_valid_name(bad), "{bad:?}");
        }
    }
}
