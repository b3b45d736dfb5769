//! What is said: results on standard output, remarks on standard error.
//!
//! A reader that has gone away (`client ... | head`) is not an error and no reason to panic.

use std::fmt::Display;
use std::io::{self, Write};

/// Says a line of results. False when nobody reads them any more.
#[must_use]
pub fn line(text: impl Display) -> bool {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).is_ok()
}

/// Says a sentence to the person at the terminal.
pub fn remark(sentence: impl Display) {
    let _ = writeln!(io::stderr().lock(), "client: {sentence}");
}
