//! Why a movie cannot be played, in one sentence with the way out.

use std::io;

/// Why a movie was not opened, or ended early.
///
/// `name` is the path as it was given, or the address without its password.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path leads nowhere.
    #[error("{name}: there is no such file; check the path")]
    NotFound {
        /// The file, for people.
        name: String,
    },
    /// The file may not be read by this user.
    #[error("{name} may not be read by this user; give it read permission (chmod +r)")]
    Permission {
        /// The file, for people.
        name: String,
    },
    /// A directory, not a file.
    #[error("{name} is a directory; name a movie file in it")]
    Directory {
        /// The directory, for people.
        name: String,
    },
    /// A device, socket or pipe.
    #[error("{name} is not a regular file; name a movie file")]
    NotAFile {
        /// What was named, for people.
        name: String,
    },
    /// No bytes at all.
    #[error("{name} is empty; copy or download it again")]
    Empty {
        /// The file, for people.
        name: String,
    },
    /// Neither we nor ffmpeg know what this is.
    #[error(
        "{name} is not a movie: its format was not recognised; check that it is the right file"
    )]
    Unrecognised {
        /// The file, for people.
        name: String,
    },
    /// A known format, but not whole enough to begin with.
    #[error("{name} is damaged: {what}; copy or download it again")]
    Damaged {
        /// The file, for people.
        name: String,
        /// What is missing or wrong.
        what: String,
    },
    /// A known format without pictures or sound.
    #[error("{name} has neither picture nor sound to play (found: {found}); choose another file")]
    NoTrack {
        /// The file, for people.
        name: String,
        /// What is in it instead.
        found: String,
    },
    /// Only ffmpeg can turn this into what viewers can play, and it is not there.
    #[error("{name} needs ffmpeg, which is not installed (found: {found}); apt install ffmpeg")]
    NeedsFfmpeg {
        /// The file or address, for people.
        name: String,
        /// What is in it: "HEVC video in MP4".
        found: String,
    },
    /// ffmpeg was tried and gave up.
    #[error("ffmpeg cannot play {name}: {said}; check it with: ffplay {name}")]
    Ffmpeg {
        /// The file or address, for people.
        name: String,
        /// The last line of its stderr.
        said: String,
    },
    /// ffmpeg is there but could not be started.
    #[error("ffmpeg could not be started for {name}: {source}; check the installation")]
    Spawn {
        /// The file or address, for people.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// The system could not read on.
    #[error("{name} could not be read: {source}; check the disk it is on")]
    Read {
        /// The file, for people.
        name: String,
        /// What the system says.
        source: io::Error,
    },
}

/// Why one of our own demuxers does not play something. It knows no file name: [`Error`] adds it.
#[derive(Debug)]
pub enum Refusal {
    /// There are pictures or sound that only ffmpeg can turn into what viewers can play.
    Convert {
        /// What is in it: "HEVC video, AAC sound".
        found: String,
        /// What cannot go as it is: "the picture is HEVC".
        why: String,
        /// How it is to be shown goes lost when its packets are copied.
        is_edited: bool,
    },
    /// Nothing to see or hear.
    NoTrack {
        /// What is in it instead.
        found: String,
    },
    /// Not whole enough to begin with.
    Damaged(String),
    /// The system could not read.
    Io(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Error {
    /// What opening or reading a file gave, by its kind.
    pub(crate) fn of_io(name: &str, source: io::Error) -> Self {
        let name = name.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NotFound { name },
            io::ErrorKind::PermissionDenied => Self::Permission { name },
            io::ErrorKind::IsADirectory => Self::Directory { name },
            _ => Self::Read { name, source },
        }
    }
}
