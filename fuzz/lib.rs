//! What the targets share: the properties that the ordinary tests check too.

#[path = "../media/tests/demuxed/mod.rs"]
mod demuxed;

pub use demuxed::{check_mp4, check_reader, goes_forward};
