//! What is said: results on standard output, remarks on standard error.
//!
//! A reader that has gone away (`client ... | head`) is not an error and no reason to panic.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use qrcode::render::unicode::Dense1x2;

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

/// Draws a text for cameras, where somebody looks at the terminal.
pub fn qr_code(text: &str) {
    let mut err = io::stderr().lock();
    if !err.is_terminal() {
        return;
    }
    if let Some(code) = draw_qr_code(text) {
        let _ = writeln!(err, "{code}");
    }
}

/// Two dots a character, light on dark as terminals are.
fn draw_qr_code(text: &str) -> Option<String> {
    let code = qrcode::QrCode::with_error_correction_level(text, qrcode::EcLevel::L).ok()?;
    let mut drawn = code.render::<Dense1x2>();
    Some(drawn.dark_color(Dense1x2::Dark).light_color(Dense1x2::Light).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_fits_a_terminal() {
        let code =
            draw_qr_code("client --connect 192.168.100.100:9999 --room ABCDE23456 --name NAME");
        let code = code.expect("fits");
        let widest = code.lines().map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|widest| (20..80).contains(&widest)), "{widest:?}");
        assert!(code.lines().count() < 24, "{}", code.lines().count());
    }
}
