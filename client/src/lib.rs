//! The viewer: shows a stream's picture, plays its sound, and keeps both in time.
//!
//! ```text
//! main -> app   starts every thread and task, owns the shutdown
//!
//! session       the connections; events in order
//!   room        watching together: timeline, members, chat
//!   recorded    fetches a recording, feeds it at its pace, obeys the keys (progress, cue)
//!   player      places packets on the timeline (timeline, continuity), counts (stats)
//!     jitter    coded packets wait, bounded, for
//!       video   the picture decoder   -> stage   draws in time (text)  -> window
//!       audio   the sound decoder     -> sound   the card, resampled to the timeline
//!     record    the same packets, untouched, into a file
//! hud           what is written over the picture
//! watch         the main thread's loop with a window: keys, notices, overlay
//! headless      the main thread's loop without: a line of statistics a second
//! sync          how well it is in step, into a file
//! local         a movie of one's own, played in a room
//! talk          what is typed in a room
//! announce      what is said at the terminal when things change
//! discover      who announces streams on this network
//! catalog       what one server offers
//! ```
//!
//! Data flows one way, through bounded queues that drop what is oldest. The timeline has one unit,
//! the capture time on our own clock; sound is resampled to meet it, pictures follow the sound.

pub mod announce;
pub mod app;
pub mod audio;
pub mod catalog;
pub mod cli;
pub mod continuity;
pub mod cue;
pub mod discover;
pub mod headless;
pub mod histogram;
pub mod hud;
pub mod jitter;
pub mod local;
pub mod output;
pub mod player;
pub mod progress;
pub mod record;
pub mod room;
pub mod session;
pub mod shared;
pub mod sound;
pub mod stage;
pub mod stats;
pub mod sync;
pub mod talk;
pub mod text;
pub mod timeline;
pub mod video;
pub mod watch;
pub mod window;
