//! Recordings: packets into .mkv and .mp4 files, payloads untouched.
//!
//! ```text
//! timeline   where a recording starts, and what comes too early for it
//! mkv        Matroska: clusters of unknown size, an index when it is finished
//! ebml       how Matroska writes numbers and elements
//! mp4        fragmented MP4: a fragment a second
//! ```
//!
//! Both are written front to back so that a recording whose process is killed plays up to its last
//! second or two; [`Recorder::finish`] adds what makes seeking fast.

mod ebml;
mod mkv;
mod mp4;
mod timeline;

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind};
use std::path::{Path, PathBuf};

use proto::{Packet, StreamDescription, Track};

use timeline::{Timeline, Times};

/// Why a recording cannot be made or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The container is chosen by the file's name.
    #[error("{} does not say how to record: let its name end in .mkv or .mp4", path.display())]
    Extension {
        /// As it was given.
        path: PathBuf,
    },
    /// Recordings do not replace files.
    #[error("{} is there already; choose another name or remove it", path.display())]
    Exists {
        /// Where the recording should go.
        path: PathBuf,
    },
    /// The file cannot be made.
    #[error("{} cannot be written: {source}", path.display())]
    Create {
        /// Where the recording should go.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The container has no room for the codec.
    #[error("{codec} does not go into .{container}; record to .mkv")]
    Unsupported {
        /// For people.
        codec: String,
        /// The extension.
        container: &'static str,
    },
    /// The disk, or the quota, is full. What was recorded so far can be played.
    #[error("the disk is full: {} ends here; free some space and record again", path.display())]
    DiskFull {
        /// The recording.
        path: PathBuf,
    },
    /// Writing failed otherwise. What was recorded so far can be played.
    #[error("{} ends here: {source}", path.display())]
    Write {
        /// The recording.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There was no packet to start with.
    #[error("nothing was recorded to {}: no key frame came", path.display())]
    Nothing {
        /// Where the recording should have gone; there is no file.
        path: PathBuf,
    },
}

/// Writes one stream into a file.
pub struct Recorder {
    /// As it was asked for; the first part has this name.
    path: PathBuf,
    format: Format,
    /// How many files this recording has, the current one included.
    parts: u32,
    part: Part,
}

/// One file of a recording.
struct Part {
    path: PathBuf,
    tracks: Vec<Track>,
    timeline: Timeline,
    container: Box<dyn Container>,
}

#[derive(Clone, Copy)]
enum Format {
    Mkv,
    Mp4,
}

/// A file format that takes packets.
trait Container: Send {
    /// The first packet, or any other, with its times in the recording.
    fn write(&mut self, packet: &Packet, times: Times) -> io::Result<()>;
    /// After the last packet.
    fn finish(&mut self) -> io::Result<()>;
}

impl Recorder {
    /// Makes the file; `.mkv` and `.mp4` choose the container. An existing file is not replaced.
    pub fn create(path: &Path, description: &StreamDescription) -> Result<Self, Error> {
        let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        let format = match extension.as_deref() {
            Some("mkv" | "webm") => Format::Mkv,
            Some("mp4" | "m4v" | "m4a") => Format::Mp4,
            _ => return Err(Error::Extension { path: path.to_owned() }),
        };
        let part = Part::create(path.to_owned(), format, description)?;
        Ok(Self { path: path.to_owned(), format, parts: 1, part })
    }

    /// Keeps the packets' own times: nothing is left out before the first picture. For movies, which
    /// begin where they begin; to be called before the first packet.
    #[must_use]
    pub fn from_zero(mut self) -> Self {
        self.part.timeline.start_at_zero();
        self
    }

    /// Appends a packet. Packets before the first key frame are left out: the recording's time 0 is
    /// the moment that key frame is shown.
    pub fn write(&mut self, packet: &Packet) -> Result<(), Error> {
        self.part.write(packet)
    }

    /// The stream is described anew. If its tracks have changed, or it has started again, the file
    /// is finished and the recording goes on in another one beside it: `name-2.mkv`.
    pub fn describe(
        &mut self,
        description: &StreamDescription,
        restarted: bool,
    ) -> Result<(), Error> {
        if self.part.tracks == description.tracks && !restarted {
            return Ok(());
        }
        if !self.part.timeline.has_started() {
            // Nothing is in the file yet: it can be for the other tracks as well.
            let path = self.part.path.clone();
            std::fs::remove_file(&path)
                .map_err(|source| Error::Write { path: path.clone(), source })?;
            self.part = Part::create(path, self.format, description)?;
            return Ok(());
        }
        self.parts += 1;
        let path = numbered(&self.path, self.parts);
        let next = Part::create(path, self.format, description)?;
        std::mem::replace(&mut self.part, next).finish()
    }

    /// The file that is being written.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.part.path
    }

    /// Writes the index and closes the file. Without it the recording plays, but seeks slowly.
    pub fn finish(self) -> Result<(), Error> {
        self.part.finish()
    }
}

impl Part {
    fn create(path: PathBuf, format: Format, described: &StreamDescription) -> Result<Self, Error> {
        let opened = |file: File| BufWriter::with_capacity(1 << 18, file);
        // Checked first: a codec that does not fit must not leave an empty file.
        if let Format::Mp4 = format {
            mp4::check(&described.tracks)?;
        }
        let file = create_file(&path)?;
        let container: Box<dyn Container> = match format {
            Format::Mkv => Box::new(mkv::Writer::new(opened(file), described)),
            Format::Mp4 => Box::new(mp4::Writer::new(opened(file), described)),
        };
        let timeline = Timeline::new(&described.tracks);
        Ok(Self { path, tracks: described.tracks.clone(), timeline, container })
    }

    fn write(&mut self, packet: &Packet) -> Result<(), Error> {
        let Some(times) = self.timeline.place(&packet.header) else { return Ok(()) };
        self.container.write(packet, times).map_err(|source| write_error(&self.path, source))
    }

    fn finish(mut self) -> Result<(), Error> {
        if !self.timeline.has_started() {
            let _ = std::fs::remove_file(&self.path);
            return Err(Error::Nothing { path: self.path });
        }
        self.container.finish().map_err(|source| write_error(&self.path, source))
    }
}

fn create_file(path: &Path) -> Result<File, Error> {
    let path = path.to_owned();
    match OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(file) => Ok(file),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Error::Exists { path }),
        Err(error) if is_full(&error) => Err(Error::DiskFull { path }),
        Err(source) => Err(Error::Create { path, source }),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

fn write_error(path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    if is_full(&source) { Error::DiskFull { path } } else { Error::Write { path, source } }
}

/// `film.mkv` to `film-2.mkv`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{number}.{extension}"))
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Seek, SeekFrom, Write};

    use proto::packet::PacketHeader;
    use proto::stream::{Audio, AudioCodec, Media};

    use super::*;

    /// A disk with room for so many bytes.
    struct Disk {
        content: Cursor<Vec<u8>>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.content.position() as usize + bytes.len() > self.room {
                return Err(ErrorKind::StorageFull.into());
            }
            self.content.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Disk {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.content.seek(to)
        }
    }

    fn sound() -> StreamDescription {
        let audio = Audio { codec: AudioCodec::Mp3, sample_rate: 48_000, channels: 2 };
        let track = Track {
            media: Media::Audio(audio),
            codec_config: Default::default(),
            language: String::new(),
        };
        StreamDescription {
            name: "sound".into(),
            title: String::new(),
            live: true,
            run: 1,
            duration_us: None,
            tracks: vec![track],
        }
    }

    #[test]
    fn a_full_disk_is_said_as_such() {
        let description = sound();
        for format in [Format::Mkv, Format::Mp4] {
            let disk = Disk { content: Cursor::default(), room: 20_000 };
            let mut part = Part {
                path: "film".into(),
                tracks: description.tracks.clone(),
                timeline: Timeline::new(&description.tracks),
                container: match format {
                    Format::Mkv => Box::new(mkv::Writer::new(disk, &description)),
                    Format::Mp4 => Box::new(mp4::Writer::new(disk, &description)),
                },
            };
            let packet = |index: i64| Packet {
                header: PacketHeader {
                    key: true,
                    pts_us: index * 100_000,
                    dts_us: index * 100_000,
                    duration_us: 100_000,
                    ..PacketHeader::default()
                },
                payload: vec![7; 500].into(),
            };
            let error = (0..100).find_map(|index| part.write(&packet(index)).err());
            let sentence = error.expect("the disk is full").to_string();
            assert!(sentence.starts_with("the disk is full: film ends here"), "{sentence}");
        }
    }
}
