//! Why a film is not taken, one sentence each with the way out.

use std::io;
use std::path::PathBuf;

use super::limits;

/// Why films cannot be added to a folder.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be made, read or written to.
    #[error("{}: {source}; give --films a folder that this user may write to", folder.display())]
    Folder {
        /// As it was given.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another relay adds to it.
    #[error("the folder {} is in use by a running cache-server: end that first, or name another with --films", .0.display())]
    InUse(PathBuf),
}

/// Why something that a person wants is not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No film has that number.
    #[error("there is no such film any more; look again what there is")]
    NoSuch,
    /// It was added by somebody else.
    #[error("this film was added by somebody else: only they can change or remove it")]
    NotYours,
    /// Larger than a film may be.
    #[error("the film has {}, and this relay takes {} at most", size(*.0), size(*.1))]
    TooLarge(u64, u64),
    /// Nothing in it.
    #[error("the file is empty; choose another one")]
    Empty,
    /// A name or title that cannot be one.
    #[error("a title is one line of 1 to {} bytes; choose a shorter one", proto::limits::TEXT)]
    Title,
    /// The disk has no room for it.
    #[error("the disk of this relay has no room for it: ask who runs it to make some")]
    NoRoom,
    /// Too many at a time.
    #[error("too many films are being added at the moment; try again when some are done")]
    TooMany,
    /// The library can take no more.
    #[error("the library is full: {} films; remove some first", proto::limits::STREAMS)]
    Full,
    /// What came does not follow what is here.
    #[error("{0} bytes of the film are here: go on from there")]
    Offset(u64),
    /// More came than the film has.
    #[error("more came than the film has; add it again")]
    Beyond,
    /// Somebody else (or the same person in another window) goes on with the upload.
    #[error("another window goes on with this upload")]
    Displaced,
    /// An address that no film can be fetched from.
    #[error("{0}")]
    Url(String),
    /// The disk fails.
    #[error("the film could not be written: {0}; try again later")]
    Disk(#[from] io::Error),
}

impl Refusal {
    pub(super) fn bad_url() -> Self {
        let most = limits::URL;
        Self::Url(format!(
            "the address of a film looks like https://example.org/film.mp4, without a password, and has at most {most} bytes"
        ))
    }
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (bytes as f64 / 1000.0, 0);
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1000.0, unit + 1);
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_said_for_people() {
        let said = Refusal::TooLarge(9_000_000_000, 8 << 30).to_string();
        assert_eq!(said, "the film has 9.0 GB, and this relay takes 8.6 GB at most");
        assert_eq!(size(1), "0.0 kB");
        assert_eq!(size(u64::MAX), "18446744.1 TB");
    }
}
