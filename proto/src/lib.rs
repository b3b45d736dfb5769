//! The wire: everything two peers must agree on, and nothing else.
//!
//! ```text
//! frame     u64 length + body; cuts a byte stream into bodies, bounded
//! message   what a body says: hello, describe, packet, gap, clock, ...
//! stream    what a stream is: its name, tracks, codecs, picture and sound
//! recording index, segments and digests of what can be watched from any point
//! subtitle  texts that go with a recording
//! room      watching together: timeline, members, chat
//! elsewhere films that a room watches and no node has
//! packet    one coded frame of one track, with its times
//! close     why a connection ended: stable numbers and a sentence
//! limits    every bound of the wire, in one place
//! time      moments and offsets on peers' clocks, as types
//! clock     a peer's clock estimated from pings
//! conn      (feature `conn`) the above on a tokio socket
//! dial      (feature `conn`) name, socket, hello; pings that keep a clock
//! retry     (feature `conn`) how long to wait before dialling again
//! ```
//!
//! The crate is pure: bytes in, messages out, so a test drives it by hand. `docs/PROTOCOL.md` is
//! the normative text; `samples/wire/` holds golden bytes of every message.

pub mod clock;
pub mod close;
#[cfg(feature = "conn")]
pub mod conn;
#[cfg(feature = "conn")]
pub mod dial;
pub mod elsewhere;
pub mod frame;
pub mod limits;
pub mod message;
pub mod packet;
pub mod recording;
#[cfg(feature = "conn")]
pub mod retry;
pub mod room;
pub mod stream;
pub mod subtitle;
pub mod time;

pub use close::CloseCode;
pub use message::{Message, Role};
pub use packet::{Packet, PacketHeader};
pub use stream::{StreamDescription, StreamInfo, Track};

/// The TCP port a server or a relay listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 9999;

/// First field of every [`message::Hello`]. The CR LF catches transports that rewrite line ends.
pub const MAGIC: [u8; 8] = *b"INSTEP\r\n";

/// Oldest and newest version of the wire this crate speaks.
pub const VERSIONS: std::ops::RangeInclusive<u16> = 1..=1;

/// DNS-SD service type under which servers and relays announce themselves (RFC 6763).
pub const SERVICE_TYPE: &str = "_instep._tcp.local.";
