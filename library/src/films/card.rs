//! What is known of a film besides its bytes: a file beside them, written beside itself and renamed.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::str::FromStr;

use proto::recording::RecordingId;
use serde::{Deserialize, Serialize};

/// Longest card, bytes.
const MOST: u64 = 16 << 10;

/// What a film is known by, chosen at random: files are called so, never as people say.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilmId([u8; 16]);

impl FilmId {
    pub(super) fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Display for FilmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RecordingId(self.0).fmt(f)
    }
}

impl fmt::Debug for FilmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for FilmId {
    type Err = ();

    /// As it is displayed: 32 digits.
    fn from_str(text: &str) -> Result<Self, ()> {
        RecordingId::from_str(text).map(|id| Self(id.0)).map_err(drop)
    }
}

/// Who added a film. What is in it is for the caller to say; films of the same owner are equal in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner(pub String);

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Card {
    /// What its stream is called.
    pub(super) name: String,
    /// What people call it.
    pub(super) title: String,
    pub(super) owner: Owner,
    /// Bytes that arrive; `None` as long as that is not known.
    pub(super) size: Option<u64>,
    /// What tells the file that is uploaded from others of its name and size.
    #[serde(default)]
    pub(super) mark: String,
    /// Fetched from an address: cannot be gone on with.
    #[serde(default)]
    pub(super) fetched: bool,
    /// How the name of its file ends: one of the library's endings.
    pub(super) ending: String,
}

impl Card {
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let mut text = Vec::new();
        File::open(path)?.take(MOST).read_to_end(&mut text)?;
        serde_json::from_slice(&text).map_err(io::Error::other)
    }

    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(self).map_err(io::Error::other)?)?;
        file.sync_all()?;
        std::fs::rename(beside, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        let id = FilmId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "..", "../../../../../../../etc/passwd", &"g".repeat(32), &"1".repeat(33)] {
            assert!(bad.parse::<FilmId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_card_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.json");
        let card = Card {
            name: "a".into(),
            title: "<b>\"Ü\"</b>".into(),
            owner: Owner("browser:1".into()),
            size: Some(7),
            mark: String::new(),
            fetched: false,
            ending: "mp4".into(),
        };
        card.write(&path).expect("written");
        assert_eq!(Card::read(&path).expect("read"), card);
        std::fs::write(&path, "{").expect("written");
        assert!(Card::read(&path).is_err());
    }
}
