//! What is said: results on standard output, remarks on standard error.
//!
//! A reader that has gone away (`client ... | head`) is not an error and no reason to panic.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Results were lost on their way out.
static LOST: AtomicBool = AtomicBool::new(false);

/// Says a line of results. False when nobody reads them any more.
#[must_use]
pub fn line(text: impl Display) -> bool {
    let mut out = io::stdout().lock();
    let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush()) else { return true };
    if error.kind() != io::ErrorKind::BrokenPipe && !LOST.swap(true, Ordering::Relaxed) {
        remark(format_args!("standard output cannot be written to: {error}"));
    }
    false
}

/// Whether results were lost: the program has not done what it was asked for.
#[must_use]
pub fn is_lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// Says a sentence to the person at the terminal.
pub fn remark(sentence: impl Display) {
    let _ = writeln!(io::stderr().lock(), "client: {sentence}");
}
