//! Rooms: people who watch one stream together, hold its remote control together, and talk.
//!
//! Spoken on a control connection. A room has one [`Timeline`] on its node's clock; whoever is in it
//! shows at each moment what the timeline says, so that all show the same. It changes by numbered
//! epochs, each announced a little before it takes effect.

mod code;
mod door;
mod members;
mod talk;
mod timeline;

pub use code::{BadCode, RoomCode, RoomToken};
pub use door::{
    Control, CreateRoom, EnterRoom, Entered, Film, Knock, LeftRoom, OwnCopy, Refusal, Refused,
    RoomLine, RoomSettings, Secret, is_valid_pin,
};
pub(crate) use door::{validate_knocks, validate_rooms};
pub use members::{Member, Members, Report, RoomAct, is_valid_member};
pub(crate) use talk::validate_lines;
pub use talk::{Line, Reaction, Say, Sealed, What, Words};
pub use timeline::{Going, Remote, Timeline};
