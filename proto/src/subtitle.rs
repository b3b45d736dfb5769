//! Subtitles of a recording: which there are, and each as WebVTT.
//!
//! They come on a Control connection, since they are not played at a moment: who watches has all of
//! a text before its first line is due. An answer may take its time, so they are asked for on a
//! connection of their own, which carries no clock.

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::stream::{OutOfBounds, check, is_valid_language, is_valid_text};

/// Asks which subtitles there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtitlesWanted {
    /// The stream's name.
    pub stream: String,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subtitles {
    /// The stream's name.
    pub stream: String,
    /// Not known yet: asking again later can help.
    pub later: bool,
    /// In the order in which they are to be offered; empty where there are none.
    pub tracks: Vec<SubtitleTrack>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SubtitleTrack {
    /// Tells the text from any other of its stream: a text that has changed has another.
    pub key: u64,
    /// BCP 47 or ISO 639 tag; empty if unknown.
    pub language: String,
    /// For people ("Commentary"); may be empty.
    pub title: String,
}

/// Asks for a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtitleWanted {
    /// The stream's name.
    pub stream: String,
    /// As [`SubtitleTrack::key`] says.
    pub key: u64,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subtitle {
    /// As it was asked for.
    pub key: u64,
    /// It cannot be had now: asking again later can help.
    pub later: bool,
    /// WebVTT, its times those of the recording, UTF-8; empty where there is none.
    pub vtt: serde_bytes::ByteBuf,
}

impl Subtitles {
    /// Every field within its bounds.
    pub fn validate(&self) -> Result<(), OutOfBounds> {
        check("a stream's name", is_valid_text(&self.stream))?;
        check("the number of subtitles", self.tracks.len() <= limits::SUBTITLES)?;
        self.tracks.iter().try_for_each(SubtitleTrack::validate)
    }
}

impl SubtitleTrack {
    /// Every field within its bounds.
    pub fn validate(&self) -> Result<(), OutOfBounds> {
        check("a language", is_valid_language(&self.language))?;
        check("a title", is_valid_text(&self.title))
    }
}

impl Subtitle {
    /// Every field within its bounds.
    pub fn validate(&self) -> Result<(), OutOfBounds> {
        check("the length of a subtitle", self.vtt.len() <= limits::SUBTITLE)?;
        check("the text of a subtitle", std::str::from_utf8(&self.vtt).is_ok())
    }
}
