//! Rooms: people who watch one stream together, hold its remote control together, and talk.
//!
//! Spoken on a control connection. A room has one [`Timeline`] on its node's clock; whoever is in it
//! shows at each moment what the timeline says, so that all show the same. It changes by numbered
//! epochs, each announced a little before it takes effect.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::limits;
use crate::recording::RecordingId;
use crate::stream::{OutOfBounds, check, is_valid_name, is_valid_text};
use crate::time::Stamp;

/// What a room is called by: ten characters that are not mistaken for each other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RoomCode([u8; 10]);

impl RoomCode {
    /// The characters of codes: no 0 and O, 1, I and L, U and V.
    pub const ALPHABET: &[u8; 30] = b"23456789ABCDEFGHJKMNPQRSTVWXYZ";

    /// The code made of ten numbers, each taken modulo 30: for a generator of random ones.
    #[must_use]
    pub fn from_random(numbers: [u8; 10]) -> Self {
        Self(numbers.map(|n| Self::ALPHABET[usize::from(n) % Self::ALPHABET.len()]))
    }

    fn is_valid(&self) -> bool {
        self.0.iter().all(|c| Self::ALPHABET.contains(c))
    }
}

/// What was typed is no room code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a room code has 10 letters and digits, without 0, 1, I, L, O and U")]
pub struct BadCode;

impl FromStr for RoomCode {
    type Err = BadCode;

    /// As people type it: small letters, spaces and hyphens are fine.
    fn from_str(text: &str) -> Result<Self, BadCode> {
        let mut code = text.bytes().filter(|c| !matches!(c, b' ' | b'-'));
        let mut bytes = [0; 10];
        for byte in &mut bytes {
            *byte = code.next().ok_or(BadCode)?.to_ascii_uppercase();
        }
        let code = if code.next().is_none() { Self(bytes) } else { return Err(BadCode) };
        if code.is_valid() { Ok(code) } else { Err(BadCode) }
    }
}

impl fmt::Display for RoomCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.0).unwrap_or("?"))
    }
}

impl fmt::Debug for RoomCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Proof of having been in a room: with it a member comes back as who it was, without PIN or knock.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomToken(pub [u8; 16]);

impl fmt::Debug for RoomToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomToken")
    }
}

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

/// Something only members can read: XChaCha20-Poly1305 under the room's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Chosen at random for each.
    pub nonce: [u8; 24],
    /// Ciphertext and tag. Bound to the writer's name as associated data.
    pub bytes: ByteBuf,
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

/// What is asked for is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Why, for programs.
    pub why: Refusal,
    /// Why and what to do about it, for people.
    pub reason: String,
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

/// What is shown when: at the moment `anchor_us` of the node's clock, `position_us`; from there on as
/// `going` and `speed_permille` say. Before `anchor_us` the timeline of the epoch before it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// Counts the changes; only grows.
    pub epoch: u64,
    /// When it takes effect, on the node's clock.
    pub anchor_us: Stamp,
    /// What is shown then, microseconds on the recording's timeline; 0 for live streams.
    pub position_us: i64,
    /// Thousandths of the film's own speed, 500 to 2000.
    pub speed_permille: u16,
    /// Whether it moves.
    pub going: Going,
    /// A live stream is shown so long after its capture; 0 for recordings. Microseconds.
    pub delay_us: u32,
}

/// See [`Timeline`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Going {
    /// It moves.
    Playing,
    /// Somebody paused it.
    Paused,
    /// It stands until all are ready.
    Waiting,
}

impl Timeline {
    /// What is shown at `now` on the node's clock, microseconds on the recording's timeline.
    #[must_use]
    pub fn position_us(&self, now: Stamp) -> i64 {
        if self.going != Going::Playing {
            return self.position_us;
        }
        let since_us = i128::from(now.us_since(self.anchor_us).max(0));
        let played_us = since_us * i128::from(self.speed_permille) / 1000;
        self.position_us.saturating_add(i64::try_from(played_us).unwrap_or(i64::MAX))
    }
}

/// Who is in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// The host's number.
    pub host: u32,
    /// Who made the room, and may take it back.
    pub owner: u32,
    /// In the order they came.
    pub members: Vec<Member>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Never given twice in a room.
    pub id: u32,
    /// What to call it.
    pub name: String,
    /// Its connection is there; one that went is expected back for a while.
    pub here: bool,
    /// It asked to be host.
    pub asks: bool,
    /// The room waits for it.
    pub awaited: bool,
    /// What it plays.
    pub copy: OwnCopy,
    /// What it said last of how it goes.
    pub report: Option<Report>,
}

/// How playing goes for a member; said once a second, and when `ready` changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The newest timeline it has.
    pub epoch: u64,
    /// It can play, or go on playing, from where that timeline says.
    pub ready: bool,
    /// What it has ahead of what it shows, microseconds.
    pub buffered_us: u32,
    /// How late it is against the timeline, microseconds; negative if it is ahead.
    pub off_us: i32,
    /// Between it and the node, microseconds.
    pub round_trip_us: u32,
    /// For live streams: from capture to presentation it needs so long, microseconds.
    pub needs_us: u32,
}

/// Uses the remote control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Remote {
    /// Go on.
    Play,
    /// Stand still.
    Pause,
    /// To there, microseconds on the recording's timeline.
    Seek(i64),
    /// At this speed, thousandths.
    Speed(u16),
}

/// What a host does, and what others ask of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoomAct {
    /// Asks to be host.
    Ask,
    /// The maker of the room is its host again.
    TakeBack,
    /// Host: makes that member host.
    Hand(u32),
    /// Host: that member's question is answered with no.
    Deny(u32),
    /// Host: lets that knock in.
    Admit(u32),
    /// Host: sends that knock away.
    TurnAway(u32),
    /// Host: that member leaves.
    Kick(u32),
    /// Host: that member leaves and stays out.
    Ban(u32),
    /// Host: ends the room for all.
    Close,
}

/// Somebody before the door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knock {
    /// To answer it by.
    pub id: u32,
    /// What it wants to be called.
    pub name: String,
}

/// Says something in the room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Say {
    /// Where in the recording its writer is, microseconds; 0 for live streams.
    pub position_us: i64,
    /// What is said.
    pub words: Words,
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

/// What people may be called in a room: as streams, but shorter.
#[must_use]
pub fn is_valid_member(name: &str) -> bool {
    is_valid_name(name) && name.len() <= limits::MEMBER
}

/// What may be a PIN.
#[must_use]
pub fn is_valid_pin(pin: &str) -> bool {
    (limits::PIN.contains(&pin.len())) && !pin.chars().any(char::is_control)
}

fn is_time(us: i64) -> bool {
    (-limits::RECORDING_US..=limits::RECORDING_US).contains(&us)
}

fn is_speed(permille: u16) -> bool {
    limits::SPEED.contains(&permille)
}

impl RoomSettings {
    fn validate(&self) -> Result<(), OutOfBounds> {
        self.secret.as_ref().map_or(Ok(()), |secret| secret.check.validate())
    }
}

impl Sealed {
    fn validate(&self) -> Result<(), OutOfBounds> {
        check("a sealed line", self.bytes.len() <= limits::SEALED)
    }
}

impl CreateRoom {
    pub(crate) fn validate(&self) -> Result<(), OutOfBounds> {
        check("a stream's name", self.stream.as_deref().is_none_or(is_valid_text))?;
        check("a member's name", is_valid_member(&self.name))?;
        check("a PIN", self.pin.as_deref().is_none_or(is_valid_pin))?;
        self.settings.validate()
    }
}

impl EnterRoom {
    pub(crate) fn validate(&self) -> Result<(), OutOfBounds> {
        check("a room's code", self.code.is_valid())?;
        check("a member's name", is_valid_member(&self.name))?;
        check("a PIN", self.pin.as_deref().is_none_or(is_valid_pin))
    }
}

impl Entered {
    pub(crate) fn validate(&self) -> Result<(), OutOfBounds> {
        check("a room's code", self.code.is_valid())?;
        check("a stream's name", is_valid_name(&self.stream))?;
        self.settings.validate()?;
        self.timeline.validate()
    }
}

impl Refused {
    pub(crate) fn validate(&self) -> Result<(), OutOfBounds> {
        check("a reason", is_valid_text(&self.reason))
    }
}

impl Timeline {
    pub(crate) fn validate(&self) -> Result<(), OutOfBounds> {
        check("a position", is_time(self.position_us))?;
        check("a speed", is_speed(self.speed_permille))?;
        check("a room's delay", i64::from(self.delay_us) <= limits::ROOM_DELAY_US)
    }
}

impl Members {
    pub(crate) fn validate(&self) -> Result<(), OutOfBounds> {
        check("the number of members", self.members.len() <= limits::MEMBERS)?;
        let named = |member: &Member| is_valid_member(&member.name);
        check("a member's name", self.members.iter().all(named))
    }
}

impl Remote {
    pub(crate) fn validate(&self) -> Result<(), OutOfBounds> {
        match self {
            Self::Play | Self::Pause => Ok(()),
            Self::Seek(us) => check("a position", is_time(*us)),
            Self::Speed(permille) => check("a speed", is_speed(*permille)),
        }
    }
}

pub(crate) fn validate_knocks(knocks: &[Knock]) -> Result<(), OutOfBounds> {
    check("the number of knocks", knocks.len() <= limits::KNOCKS)?;
    check("a member's name", knocks.iter().all(|knock| is_valid_member(&knock.name)))
}

impl Say {
    pub(crate) fn validate(&self) -> Result<(), OutOfBounds> {
        check("a position", is_time(self.position_us))?;
        self.words.validate()
    }
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

pub(crate) fn validate_lines(lines: &[Line]) -> Result<(), OutOfBounds> {
    check("the number of lines", lines.len() <= limits::LINES)?;
    lines.iter().try_for_each(Line::validate)
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

impl LeftRoom {
    pub(crate) fn validate(&self) -> Result<(), OutOfBounds> {
        check("a reason", is_valid_text(&self.reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_people_type_them() {
        let code: RoomCode = "abcde-23456".parse().expect("a code");
        assert_eq!(code.to_string(), "ABCDE23456");
        assert_eq!(" ABCDE 23456 ".parse(), Ok(code));
        for bad in ["", "ABCDE2345", "ABCDE234567", "ABCDE2345O", "ABCDE2345\u{e9}", "0BCDE23456"] {
            assert_eq!(bad.parse::<RoomCode>(), Err(BadCode), "{bad}");
        }
        let random = RoomCode::from_random([0, 29, 30, 255, 7, 8, 9, 10, 11, 12]);
        assert_eq!(random.to_string().parse(), Ok(random));
    }

    #[test]
    fn a_timeline_says_what_is_shown() {
        let mut timeline = Timeline {
            epoch: 1,
            anchor_us: Stamp(1_000_000),
            position_us: 60_000_000,
            speed_permille: 1500,
            going: Going::Playing,
            delay_us: 0,
        };
        assert_eq!(timeline.position_us(Stamp(0)), 60_000_000, "not before it takes effect");
        assert_eq!(timeline.position_us(Stamp(3_000_000)), 63_000_000);
        assert_eq!(timeline.position_us(Stamp(i64::MAX)), i64::MAX, "saturates");
        timeline.going = Going::Waiting;
        assert_eq!(timeline.position_us(Stamp(3_000_000)), 60_000_000);
    }
}
