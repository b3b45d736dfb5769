//! What the server tells the person who started it: lines on standard output.

/// As `println!`, but a closed pipe (`server ... | head`) is no reason to panic.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout().lock(), $($text)*);
    }};
}

pub(crate) use say;
