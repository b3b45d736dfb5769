//! Movies as packets: files and addresses, as they are or through ffmpeg.
//!
//! ```text
//! sniff      which container a file is
//! mp4        MP4 and QuickTime, by our own sample table
//! reader     Matroska, WebM and sound files, by symphonia
//! ffmpeg     everything else, converted by a child process
//! stream     which of a container's streams are played
//! rules      which formats travel as they are
//! place      places in a movie to read on from
//! ```
//!
//! Times are those of presentation, edit lists applied, and begin near 0. Packets with a negative
//! `pts_us` come before what is shown: they are decoded, and what they decode to is thrown away
//! (pictures from a key frame before an edit's start, the priming of AAC and Opus). A sound packet's
//! `pts_us` is that of the first sample its decoder gives for it, encoder delay included.

mod aac;
mod error;
mod ffmpeg;
pub mod mp4;
mod place;
mod reader;
mod rules;
mod sniff;
mod stream;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use proto::{Packet, Track};

pub use error::{Error, Refusal};
pub use ffmpeg::Stopper;
pub(crate) use ffmpeg::subtitles;
pub(crate) use place::Mark;
pub use reader::{Reader, Source};

use ffmpeg::{Complaint, Converted, Input, Known, Tools};
use mp4::Mp4;
use sniff::Container;

/// Room for the header beside the largest payload a message can hold, bytes.
const HEADER_ROOM: usize = 1 << 10;

/// How a movie's packets come about. Its `Display` is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// The file's own packets.
    PassThrough,
    /// An ffmpeg child makes them.
    Ffmpeg {
        /// What it does with each stream.
        why: String,
    },
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PassThrough => f.write_str("picture and sound go as they are"),
            Self::Ffmpeg { why } => write!(f, "through ffmpeg: {why}"),
        }
    }
}

/// An open movie.
pub struct Movie {
    /// For errors.
    name: String,
    title: String,
    way: Way,
    demuxer: Demuxer,
}

enum Demuxer {
    Mp4(Box<Mp4<File>>),
    Reader(Box<Reader>),
    Ffmpeg(Box<Converted>, Option<String>),
}

impl fmt::Debug for Movie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Movie").field("name", &self.name).field("way", &self.way).finish()
    }
}

impl Movie {
    /// Opens a file: its own packets where viewers can play them, else through ffmpeg.
    ///
    /// # Errors
    /// An [`Error`] that says what is wrong with it and the way out.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_with(path, &Tools::default())
    }

    /// Opens whatever ffmpeg can: an address, a device as FORMAT:WHAT (`x11grab::0.0`,
    /// `lavfi:testsrc`), or `screen`.
    ///
    /// # Errors
    /// An [`Error`] that says what is wrong with it and the way out.
    pub fn open_input(url: &str) -> Result<Self, Error> {
        let name = ffmpeg::public_name(url);
        let input = Input::parse(url);
        let known = Known { found: "an address".into(), ..Known::default() };
        let converted = ffmpeg::open(&Tools::default(), &input, &name, &known)?;
        let title = ffmpeg::title_of(Path::new(&name));
        Ok(Self::converted(name, title, converted))
    }

    fn open_with(path: &Path, tools: &Tools) -> Result<Self, Error> {
        let name = path.display().to_string();
        let (file, container) = look(path, &name)?;
        let opened = match container {
            Some(Container::Mp4) => Mp4::open(file).map(|mp4| Demuxer::Mp4(Box::new(mp4))),
            Some(other) if other.is_read_by_symphonia() => {
                Reader::open(Box::new(path.to_owned()), other == Container::Matroska)
                    .map(|reader| Demuxer::Reader(Box::new(reader)))
            }
            other => {
                let found = other.map(|other| format!("{other} file")).unwrap_or_default();
                Err(Refusal::Convert { found, why: String::new(), is_edited: false })
            }
        };
        let title = ffmpeg::title_of(path);
        let refusal = match opened {
            Ok(demuxer) => {
                let (name, title) = (name.clone(), title.clone());
                match (Self { name, title, way: Way::PassThrough, demuxer }).with_a_packet() {
                    // Perhaps ffmpeg finds more in it.
                    Err(Error::Damaged { what, .. }) => Refusal::Damaged(what),
                    opened => return opened,
                }
            }
            Err(refusal) => refusal,
        };
        let Some(known) = what_ffmpeg_may_help(&refusal, container) else {
            return Err(named(refusal, &name));
        };
        let input = Input::File(path.to_owned());
        match ffmpeg::open(tools, &input, &name, &known) {
            Ok(converted) => Ok(Self::converted(name, title, converted)),
            // For a damaged file it was only worth a try.
            Err(_) if matches!(refusal, Refusal::Damaged(_)) => Err(named(refusal, &name)),
            Err(error) => Err(error),
        }
    }

    /// A file that is cut off before its first packet has a head and nothing to play.
    fn with_a_packet(mut self) -> Result<Self, Error> {
        if self.next_packet()?.is_some() {
            self.rewind()?;
            return Ok(self);
        }
        let what = self.note().unwrap_or("there is nothing to play in it").to_owned();
        Err(Error::Damaged { name: self.name, what })
    }

    fn converted(name: String, title: String, converted: Converted) -> Self {
        let way = Way::Ffmpeg { why: converted.why.clone() };
        Self { name, title, way, demuxer: Demuxer::Ffmpeg(Box::new(converted), None) }
    }

    /// The picture, then the sound; at least one of them.
    #[must_use]
    pub fn tracks(&self) -> &[Track] {
        match &self.demuxer {
            Demuxer::Mp4(mp4) => mp4.tracks(),
            Demuxer::Reader(reader) => reader.tracks(),
            Demuxer::Ffmpeg(converted, _) => converted.reader.tracks(),
        }
    }

    /// Length, if it is known.
    #[must_use]
    pub fn duration_us(&self) -> Option<u64> {
        match &self.demuxer {
            Demuxer::Mp4(mp4) => mp4.duration_us(),
            Demuxer::Reader(reader) => reader.duration_us(),
            Demuxer::Ffmpeg(converted, _) => converted.reader.duration_us(),
        }
    }

    /// What to call it: the file's name without its ending, or the address.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Whether its packets go as they are, and if not, why.
    #[must_use]
    pub fn way(&self) -> &Way {
        &self.way
    }

    /// What a person should know of the movie: that it is cut off or damaged, and where. Known once
    /// the packets have ended there.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        match &self.demuxer {
            Demuxer::Mp4(mp4) => mp4.note(),
            Demuxer::Reader(reader) => reader.note(),
            Demuxer::Ffmpeg(_, note) => note.as_deref(),
        }
    }

    /// Ends a `next_packet` that waits for ffmpeg in another thread. For other movies it does
    /// nothing: they never wait.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        match &self.demuxer {
            Demuxer::Ffmpeg(converted, _) => converted.stopper.clone(),
            Demuxer::Mp4(_) | Demuxer::Reader(_) => Stopper::default(),
        }
    }

    /// The next packet in order of decoding over all tracks; `None` at the end, or where the file
    /// is no longer whole (then [`Movie::note`] says so). `sequence` and `captured_at_us` are 0.
    ///
    /// # Errors
    /// An [`Error`] if the system cannot read on, or a live source is lost.
    pub fn next_packet(&mut self) -> Result<Option<Packet>, Error> {
        let name = &self.name;
        match &mut self.demuxer {
            Demuxer::Mp4(mp4) => mp4.next_packet().map_err(|refusal| named(refusal, name)),
            Demuxer::Reader(reader) => reader.next_packet().map_err(|refusal| named(refusal, name)),
            Demuxer::Ffmpeg(converted, note) => {
                let packet = converted.reader.next_packet().map_err(|r| named(r, name))?;
                if packet.is_some() {
                    return Ok(packet);
                }
                match converted.complaint(name) {
                    None => Ok(None),
                    Some(Complaint::Lost(said)) => Err(Error::Ffmpeg { name: name.clone(), said }),
                    Some(Complaint::Damaged(said)) => {
                        note.get_or_insert(format!("ffmpeg could read no further: {said}"));
                        Ok(None)
                    }
                }
            }
        }
    }

    /// Back to the first packet; a live source is opened again.
    ///
    /// # Errors
    /// An [`Error`] if it cannot be opened a second time.
    pub fn rewind(&mut self) -> Result<(), Error> {
        let rewound = match &mut self.demuxer {
            Demuxer::Mp4(mp4) => {
                mp4.rewind();
                Ok(())
            }
            Demuxer::Reader(reader) => reader.rewind(),
            Demuxer::Ffmpeg(converted, _) => converted.reader.rewind(),
        };
        rewound.map_err(|refusal| named(refusal, &self.name))
    }
}

/// Opens a regular file and looks at its first bytes.
fn look(path: &Path, name: &str) -> Result<(File, Option<Container>), Error> {
    let of_io = |error| Error::of_io(name, error);
    // Looked at before it is opened: opening a pipe would wait for its other end.
    let metadata = std::fs::metadata(path).map_err(of_io)?;
    if metadata.is_dir() {
        return Err(Error::Directory { name: name.into() });
    }
    if !metadata.is_file() {
        return Err(Error::NotAFile { name: name.into() });
    }
    let mut file = File::open(path).map_err(of_io)?;
    let mut head = Vec::new();
    let most = u64::try_from(sniff::LENGTH).unwrap_or(u64::MAX);
    (&mut file).take(most).read_to_end(&mut head).map_err(of_io)?;
    if head.is_empty() {
        return Err(Error::Empty { name: name.into() });
    }
    Ok((file, sniff::container(&head)))
}

/// What is known of a file that ffmpeg may make playable; `None` if it cannot help either.
fn what_ffmpeg_may_help(refusal: &Refusal, container: Option<Container>) -> Option<Known> {
    match refusal {
        Refusal::Convert { found, why, is_edited } => {
            let inside = container.filter(|_| !why.is_empty());
            let inside = inside.map(|container| format!(" in {container}: {why}"));
            let found = format!("{found}{}", inside.unwrap_or_default());
            let why = match container {
                Some(container) if why.is_empty() => format!("only ffmpeg reads {container}"),
                _ => why.clone(),
            };
            Some(Known { found, why, is_edited: *is_edited })
        }
        // ffmpeg forgives more than symphonia.
        Refusal::Damaged(_) if container? != Container::Mp4 => {
            Some(Known { found: format!("{} file", container?), ..Known::default() })
        }
        _ => None,
    }
}

fn named(refusal: Refusal, name: &str) -> Error {
    let name = name.to_owned();
    match refusal {
        Refusal::Convert { found, .. } => Error::NeedsFfmpeg { name, found },
        Refusal::NoTrack { found } => Error::NoTrack { name, found },
        Refusal::Damaged(what) => Error::Damaged { name, what },
        Refusal::Io(source) => Error::Read { name, source },
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn sample(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(name)
    }

    /// As on a machine without ffmpeg.
    fn no_tools() -> Tools {
        Tools { ffmpeg: "/nowhere/ffmpeg".into(), ffprobe: "/nowhere/ffprobe".into() }
    }

    #[test]
    fn without_ffmpeg_what_passes_still_plays() {
        let path = sample("big-buck-bunny-480p-30s.mp4");
        let movie = Movie::open_with(&path, &no_tools()).expect("needs no ffmpeg");
        assert_eq!(movie.way(), &Way::PassThrough);
        assert_eq!(movie.title(), "big-buck-bunny-480p-30s");
    }

    #[test]
    fn without_ffmpeg_the_rest_says_what_it_is_and_what_to_install() {
        let open = |path: &Path| Movie::open_with(path, &no_tools()).expect_err("needs ffmpeg");
        let said = open(&sample("big-buck-bunny-720p-5s.mp4")).to_string();
        assert!(said.ends_with(
            "needs ffmpeg, which is not installed (found: H.264 video, AAC sound in MP4: \
             the sound has 6 channels); apt install ffmpeg"
        ));
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("movie.avi");
        std::fs::write(&path, b"RIFF\0\0\0\0AVI LIST").expect("writable");
        assert!(open(&path).to_string().contains("(found: AVI file)"));
        std::fs::write(&path, b"no movie at all").expect("writable");
        assert!(matches!(open(&path), Error::Unrecognised { .. }));
    }

    #[test]
    fn movies_move_between_threads() {
        fn is_send<T: Send>() {}
        is_send::<Movie>();
        is_send::<Stopper>();
    }

    #[test]
    fn what_the_system_says_becomes_a_sentence() {
        let said = |kind: std::io::ErrorKind| Error::of_io("a.mp4", kind.into()).to_string();
        assert!(said(std::io::ErrorKind::PermissionDenied).contains("chmod +r"));
        assert!(said(std::io::ErrorKind::NotFound).contains("no such file"));
        assert!(said(std::io::ErrorKind::TimedOut).contains("could not be read"));
    }
}
