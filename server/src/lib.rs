//! Turns a webcam, a movie or a test pattern into packets and serves them.
//!
//! ```text
//! cli      the command line
//! run      starts everything that lives long, and ends it
//! source   where packets come from: pattern, movie, input, camera, microphone
//! pace     when to send a packet of a recording
//! preview  a window with what is being sent
//! devices  the list of cameras and microphones
//! say      lines for the person who started it
//! error    what can go wrong, a sentence each
//! ```
//!
//! `capture | demux -> packet -> log`: each source has a thread that writes one stream of the
//! [`relay::Node`], which serves it. A source works only while somebody watches.

pub mod cli;
pub mod devices;
mod error;
pub mod pace;
pub mod preview;
mod run;
mod say;
pub mod source;

pub use cli::Cli;
pub use error::Error;
pub use run::run;
