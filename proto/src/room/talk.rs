//! What is said in a room, and what happens there.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::is_valid_member;
use super::timeline::{is_speed, is_time};
use crate::limits;
use crate::stream::{OutOfBounds, check, is_valid_text};
use crate::time::Stamp;

/// Something only members can read: XChaCha20-Poly1305 under the room's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Chosen at random for each.
    pub nonce: [u8; 24],
    /// Ciphertext and tag. Bound to the writer's name as associated data.
    pub bytes: ByteBuf,
}

impl Sealed {
    pub(super) fn validate(&self) -> Result<(), OutOfBounds> {
        check("a sealed line", self.bytes.len() <= limits::SEALED)
    }
}

/// Says something in the room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Say {
    /// Where in the recording its writer is, microseconds; 0 for live streams.
    pub position_us: i64,
    /// What is said.
    pub words: Words,
}

impl Say {
    pub(crate) fn validate(&self) -> Result<(), OutOfBounds> {
        check("a position", is_time(self.position_us))?;
        self.words.validate()
    }
}

/// See [`Say`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Words {
    /// One line of text.
    Plain(String),
    /// The same, for members only.
    Sealed(Sealed),
    /// One of a few signs.
    Reaction(Reaction),
}

impl Words {
    fn validate(&self) -> Result<(), OutOfBounds> {
        match self {
            Self::Plain(text) => check("a line", !text.is_empty() && is_valid_text(text)),
            Self::Sealed(sealed) => sealed.validate(),
            Self::Reaction(_) => Ok(()),
        }
    }
}

/// Signs that are sent with one key. Numbers are stable: add at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reaction {
    /// I like it.
    Like,
    /// I love it.
    Love,
    /// That is funny.
    Laugh,
    /// I did not expect that.
    Wow,
    /// That is sad.
    Sad,
    /// Applause.
    Clap,
}

/// Something that was said or happened in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Counts them, from 1, without holes.
    pub number: u64,
    /// Where in the recording it belongs, microseconds; 0 for live streams.
    pub position_us: i64,
    /// When it was, on the node's clock.
    pub at_us: Stamp,
    /// Whose it is.
    pub who: String,
    /// What it is.
    pub what: What,
}

impl Line {
    fn validate(&self) -> Result<(), OutOfBounds> {
        check("a position", is_time(self.position_us))?;
        check("a member's name", is_valid_member(&self.who))?;
        match &self.what {
            What::Said(words) => words.validate(),
            What::Sought(us) => check("a position", is_time(*us)),
            What::Speed(permille) => check("a speed", is_speed(*permille)),
            _ => Ok(()),
        }
    }
}

/// See [`Line`]. Numbers are stable: add at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// Was said.
    Said(Words),
    /// Came.
    Joined,
    /// Went.
    Left,
    /// Let it play.
    Played,
    /// Paused it.
    Paused,
    /// Went there, microseconds.
    Sought(i64),
    /// Set the speed, thousandths.
    Speed(u16),
    /// Has to be waited for.
    Awaited,
    /// Was not waited for any longer.
    LeftBehind,
    /// Asks to be host.
    Asks,
    /// Is host now.
    Hosts,
    /// Was sent out.
    Removed,
}

pub(crate) fn validate_lines(lines: &[Line]) -> Result<(), OutOfBounds> {
    check("the number of lines", lines.len() <= limits::LINES)?;
    lines.iter().try_for_each(Line::validate)
}
