//! Subtitles of a movie as WebVTT: files that lie beside it, and texts within it.
//!
//! ```text
//! beside  NAME.srt, NAME.en.vtt, ... (and NAME.mks, which is Matroska with nothing but subtitles)
//! cues    SubRip and WebVTT to WebVTT as it is served
//! ```
//!
//! What is within a movie is found by ffprobe and read out by ffmpeg; without them only files beside
//! it are offered. Pictures of text (of DVDs, of Blu-rays) are not.

mod beside;
mod cues;

use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use proto::limits;
use proto::recording::Digest;
use proto::subtitle::SubtitleTrack;

use crate::demux::subtitles;

/// Subtitles that were found, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// How they are offered.
    pub track: SubtitleTrack,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// A file of their own.
    File(PathBuf),
    /// A stream of the movie.
    Stream(PathBuf, u32),
}

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{name}: {source}")]
    Read {
        /// The file.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// ffmpeg does not give it.
    #[error("{name}: ffmpeg cannot read the subtitles: {said}")]
    Ffmpeg {
        /// The movie.
        name: String,
        /// Its last words.
        said: String,
    },
    /// There is no line in it, or more than [`limits::SUBTITLE`].
    #[error("{name}: the subtitles are empty, or larger than 4 MiB")]
    Unfit {
        /// The file.
        name: String,
    },
}

/// Those beside the movie at `path`: quick enough to look anew each time.
#[must_use]
pub fn beside(path: &Path) -> Vec<Found> {
    beside::find(path)
}

/// Those within the movie at `path`, and within a file beside it that ends in `.mks`: ffprobe looks into
/// them, and none are found without it.
#[must_use]
pub fn within(path: &Path) -> Vec<Found> {
    let mut found = within_file(path);
    let beside = path.with_extension("mks");
    if beside != path && beside.is_file() {
        found.extend(within_file(&beside));
    }
    found
}

fn within_file(path: &Path) -> Vec<Found> {
    let Ok(metadata) = fs::metadata(path) else { return Vec::new() };
    let streams = subtitles::list(path).unwrap_or_default();
    let found = streams.into_iter().map(|stream| {
        let place = Place::Stream(path.to_owned(), stream.index);
        let (language, title) = (stream.language, stream.title);
        Found::new(place, language, title, &metadata)
    });
    found.collect()
}

/// Writes those within the movie at `path` into the file `to`, whose name ends in `.mks`; none, if there
/// are none. Takes as long as ffmpeg needs to read the movie, or until it `is_wanted` no more.
///
/// # Errors
/// [`Error::Ffmpeg`]; a file that was begun is left to the caller.
pub fn keep(path: &Path, to: &Path, is_wanted: &dyn Fn() -> bool) -> Result<(), Error> {
    let mut texts = subtitles::list(path).unwrap_or_default();
    texts.truncate(limits::SUBTITLES);
    if texts.is_empty() {
        return Ok(());
    }
    let most = (limits::SUBTITLES * limits::SUBTITLE) as u64;
    let failed = |said| Error::Ffmpeg { name: path.display().to_string(), said };
    subtitles::keep(path, &texts, to, most, is_wanted).map_err(failed)
}

impl Found {
    fn new(place: Place, language: String, title: String, metadata: &Metadata) -> Self {
        let key = key(&place, metadata);
        let language = if language.len() <= limits::LANGUAGE { language } else { String::new() };
        let language = proto::stream::fitting_text(&language);
        let title = proto::stream::fitting_text(&title);
        Self { track: SubtitleTrack { key, language, title }, place }
    }

    /// The text. Takes as long as ffmpeg needs to read the movie, if that is where it is.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn read(&self) -> Result<String, Error> {
        let (path, text) = match &self.place {
            Place::File(path) => {
                let of_io = |source| Error::Read { name: path.display().to_string(), source };
                let mut bytes = Vec::new();
                let most = limits::SUBTITLE as u64 + 1;
                let file = fs::File::open(path).map_err(of_io)?;
                file.take(most).read_to_end(&mut bytes).map_err(of_io)?;
                (path, bytes)
            }
            Place::Stream(path, index) => {
                let name = path.display().to_string();
                let read = subtitles::read(path, *index, limits::SUBTITLE + 1);
                (path, read.map_err(|said| Error::Ffmpeg { name, said })?)
            }
        };
        let text = if text.len() <= limits::SUBTITLE { cues::to_webvtt(&text) } else { None };
        let fits = text.filter(|text| text.len() <= limits::SUBTITLE);
        fits.ok_or_else(|| Error::Unfit { name: path.display().to_string() })
    }
}

/// Another one whenever the file was written to.
fn key(place: &Place, metadata: &Metadata) -> u64 {
    let modified = metadata.modified().ok();
    let since = modified.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    let (path, index) = match place {
        Place::File(path) => (path, u32::MAX),
        Place::Stream(path, index) => (path, *index),
    };
    let mut bytes = path.as_os_str().as_encoded_bytes().to_vec();
    bytes.extend(index.to_le_bytes());
    bytes.extend(metadata.len().to_le_bytes());
    bytes.extend(since.unwrap_or_default().as_nanos().to_le_bytes());
    let digest = Digest::of(&bytes);
    u64::from_le_bytes(digest.0.first_chunk::<8>().copied().unwrap_or_default())
}
