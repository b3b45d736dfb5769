//! Making rooms, finding them, getting into them and out of them.

use serde::{Deserialize, Serialize};

use super::{RoomCode, RoomToken, Sealed, Timeline, is_valid_member};
use crate::limits;
use crate::recording::RecordingId;
use crate::stream::{OutOfBounds, check, is_valid_name, is_valid_text};

/// Who may use the remote control.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// Every member.
    #[default]
    Everyone,
    /// The host.
    Host,
}

/// How a room is run; fixed when it is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomSettings {
    /// Who may use the remote control.
    pub control: Control,
    /// Who wants in knocks, and the host opens.
    pub approve: bool,
    /// Not in the list of rooms.
    pub private: bool,
    /// What members say is sealed with a key that the node does not have.
    pub secret: Option<Secret>,
}

impl RoomSettings {
    fn validate(&self) -> Result<(), OutOfBounds> {
        self.secret.as_ref().map_or(Ok(()), |secret| secret.check.validate())
    }
}

/// How the members of a room make its key from their passphrase.
///
/// The key is Argon2id (RFC 9106; 19 MiB, 2 passes, 1 lane) of the passphrase and `salt`, 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Chosen at random by who made the room.
    pub salt: [u8; 16],
    /// The text `instep`, sealed: who can open it has the right passphrase.
    pub check: Sealed,
}

/// A film as a member has it: from what is in it, made as a node makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Film {
    /// Its content.
    pub id: RecordingId,
    /// Its length, microseconds.
    pub duration_us: u64,
}

/// What a member plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnCopy {
    /// The room's stream.
    #[default]
    Stream,
    /// A file of its own, with the same content.
    Same,
    /// A file of its own of the same length, with other content.
    Other,
    /// A file of its own of another length.
    OtherCut,
}

/// Makes a room; its maker is its host. Answered by [`Entered`] or [`Refused`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateRoom {
    /// What is watched; `None` for the only stream there is.
    pub stream: Option<String>,
    /// What the others call the maker.
    pub name: String,
    /// What others must know to get in.
    pub pin: Option<String>,
    /// How it is run.
    pub settings: RoomSettings,
    /// The maker's own copy.
    pub film: Option<Film>,
}

impl CreateRoom {
    pub(crate) fn validate(&self) -> Result<(), OutOfBounds> {
        check("a stream's name", self.stream.as_deref().is_none_or(is_valid_text))?;
        check("a member's name", is_valid_member(&self.name))?;
        check("a PIN", self.pin.as_deref().is_none_or(is_valid_pin))?;
        self.settings.validate()
    }
}

/// Enters a room. Answered by [`Entered`], by [`Refused`], or by `Knocking` first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnterRoom {
    /// Which.
    pub code: RoomCode,
    /// What the others call one.
    pub name: String,
    /// Where the room asks for one.
    pub pin: Option<String>,
    /// To come back as who one was.
    pub token: Option<RoomToken>,
    /// The own copy.
    pub film: Option<Film>,
}

impl EnterRoom {
    pub(crate) fn validate(&self) -> Result<(), OutOfBounds> {
        check("a room's code", self.code.is_valid())?;
        check("a member's name", is_valid_member(&self.name))?;
        check("a PIN", self.pin.as_deref().is_none_or(is_valid_pin))
    }
}

/// One is in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entered {
    /// Its code.
    pub code: RoomCode,
    /// What is watched there.
    pub stream: String,
    /// How it is run.
    pub settings: RoomSettings,
    /// Whether a PIN is needed to get in.
    pub pin: bool,
    /// One's number among its members.
    pub you: u32,
    /// To come back with.
    pub token: RoomToken,
    /// What is to be shown.
    pub timeline: Timeline,
    /// How one's own copy compares.
    pub copy: OwnCopy,
}

impl Entered {
    pub(crate) fn validate(&self) -> Result<(), OutOfBounds> {
        check("a room's code", self.code.is_valid())?;
        check("a stream's name", is_valid_name(&self.stream))?;
        self.settings.validate()?;
        self.timeline.validate()
    }
}

/// What is asked for is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Why, for programs.
    pub why: Refusal,
    /// Why and what to do about it, for people.
    pub reason: String,
}

impl Refused {
    pub(crate) fn validate(&self) -> Result<(), OutOfBounds> {
        check("a reason", is_valid_text(&self.reason))
    }
}

/// See [`Refused`]. Numbers are stable: add at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// This node keeps no rooms.
    NoRooms,
    /// There is no room of that code (any more).
    UnknownRoom,
    /// A PIN is needed, or the one given is wrong.
    WrongPin,
    /// Too many wrong codes or PINs: try again later.
    TooManyTries,
    /// The room has as many members as it may.
    Full,
    /// Somebody of that name is in the room.
    NameTaken,
    /// The host did not open, or the member was banned.
    NotLetIn,
    /// There is no such stream, or none was named and there are several.
    NoSuchStream,
    /// The node has as many rooms as it may.
    TooManyRooms,
    /// Only the host may do that.
    NotHost,
    /// Not so fast.
    TooFast,
    /// A live stream has no remote control.
    Live,
    /// That member, knock or state is not there (any more).
    NotThere,
}

/// Somebody before the door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knock {
    /// To answer it by.
    pub id: u32,
    /// What it wants to be called.
    pub name: String,
}

/// A room in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomLine {
    /// Its code.
    pub code: RoomCode,
    /// What is watched there.
    pub stream: String,
    /// Whether a PIN is needed.
    pub pin: bool,
    /// Whether the host has to open.
    pub approve: bool,
    /// Who is there, in the order they came.
    pub members: Vec<String>,
    /// Where they are.
    pub timeline: Timeline,
}

/// One is no longer in the room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftRoom {
    /// Whether one may not come back.
    pub for_good: bool,
    /// Why, for people; empty if it was asked for.
    pub reason: String,
}

impl LeftRoom {
    pub(crate) fn validate(&self) -> Result<(), OutOfBounds> {
        check("a reason", is_valid_text(&self.reason))
    }
}

/// What may be a PIN.
#[must_use]
pub fn is_valid_pin(pin: &str) -> bool {
    (limits::PIN.contains(&pin.len())) && !pin.chars().any(char::is_control)
}

pub(crate) fn validate_knocks(knocks: &[Knock]) -> Result<(), OutOfBounds> {
    check("the number of knocks", knocks.len() <= limits::KNOCKS)?;
    check("a member's name", knocks.iter().all(|knock| is_valid_member(&knock.name)))
}

pub(crate) fn validate_rooms(rooms: &[RoomLine]) -> Result<(), OutOfBounds> {
    check("the number of rooms", rooms.len() <= limits::ROOMS)?;
    rooms.iter().try_for_each(|room| {
        check("a room's code", room.code.is_valid())?;
        check("a stream's name", is_valid_name(&room.stream))?;
        check("the number of members", room.members.len() <= limits::MEMBERS)?;
        check("a member's name", room.members.iter().all(|name| is_valid_member(name)))?;
        room.timeline.validate()
    })
}
