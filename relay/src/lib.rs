//! What knows no codec: streams as logs of packets, viewers as cursors in them.
//!
//! ```text
//! source   a stream in the making: Source (catalogue entry) and Writer (a run of packets)
//! log      packets framed for the wire once, in segments that are written once
//! store    the bytes of a segment: a memfd the kernel sends from, or memory elsewhere
//! tail     the tail of a live stream, kept so that viewers can go back in it
//! keep     a little of what came from origins, in memory
//! recording what is watched from any point: segments by number
//! cursor   a viewer's place in a log: next bytes, gaps, the end
//! rooms    the door to whoever keeps rooms
//! guard    who guesses is slowed and cut off. Pure
//! outlet   the one door to a socket: sendfile where the system has it, vectored writes elsewhere
//! fanout   a few tasks a log that serve all its cursors
//! session  one connection: hello, then control, view or publish
//! listen   sockets, limits on connections, the accept loop
//! reach    addresses under which viewers reach what is listened on
//! cli      (feature `cli`) the limits as flags, the same for every binary
//! upstream an origin's streams pulled on demand; a stream pushed to a relay
//! announce mDNS
//! process  what a node needs of its process: descriptors, signals
//! node     the catalogue and what all of the above share
//! ```
//!
//! Data flows one way: `source -> log -> cursor -> outlet`. What flows back (viewers wanted, a key
//! frame wanted) is state that the source watches, never a call against the stream.

pub mod announce;
#[cfg(feature = "cli")]
pub mod cli;
mod cursor;
mod fanout;
pub mod guard;
mod keep;
pub mod limits;
pub mod listen;
mod log;
mod node;
mod outlet;
pub mod process;
pub mod reach;
pub mod recording;
pub mod rooms;
mod session;
mod source;
mod store;
mod tail;
pub mod upstream;

pub use limits::Limits;
pub use log::AppendError;
pub use node::{Config, NameTaken, Node};
pub use recording::{Keep, Missing, Piece, Recording};
pub use source::{Source, Writer};
pub use tail::Rewind;
