//! What the end-to-end tests share: real processes on real ports, and judges beside them.
//!
//! ```text
//! process  a program under test: its lines, its end
//! viewer   a viewer made of a socket, that keeps what it gets
//! recorded the same, for recordings
//! tape     an origin of a recording, in this process
//! ffprobe  what ffprobe says of a movie
//! display  a private X display: screenshots, keys
//! sound    a private sound server and what is played on it
//! lip_sync how far apart flash and beep are on both
//! step     how far apart several players are
//! ```

pub mod display;
pub mod ffprobe;
pub mod lip_sync;
pub mod process;
pub mod recorded;
pub mod sound;
pub mod step;
pub mod tape;
pub mod viewer;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Longer than anything here takes: only a hang meets it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A movie that ships with the project.
#[must_use]
pub fn sample(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "samples", name].iter().collect()
}

/// Thirty seconds of picture and stereo sound.
pub const MOVIE: &str = "big-buck-bunny-480p-30s.mp4";
/// Seven seconds without sound.
pub const SILENT: &str = "city-360p-7s-silent.mp4";

/// Asks again until there is an answer.
///
/// # Panics
/// When there is none for longer than anything here takes.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
