//! Films that no node has: members of a room play them by other means, and share the remote alone.

/// Before the number of a video.
const YOUTUBE: &str = "youtube:";
/// Characters of such a number.
const LENGTH: usize = 11;
/// No video is longer than 12 hours (YouTube Help, "Upload videos longer than 15 minutes"),
/// microseconds.
pub const YOUTUBE_LONGEST_US: u64 = 12 * 3600 * 1_000_000;

/// The number of the YouTube video that a room watches whose stream is called so; `None` for what is
/// an ordinary stream.
#[must_use]
pub fn youtube(stream: &str) -> Option<&str> {
    let number = stream.strip_prefix(YOUTUBE)?;
    let fits = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    (number.len() == LENGTH && number.bytes().all(fits)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_videos_are_told_from_everything_else() {
        assert_eq!(youtube("youtube:a-b_c1234Z9"), Some("a-b_c1234Z9"));
        for other in [
            "film",
            "youtube:",
            "youtube:short",
            "youtube:a-b_c1234Z9x",
            "youtube:a-b_c12/4Z9",
            "youtube:a-b_c12\"4Z9",
            "youtube:äöüäöü",
            "a-b_c1234Z9",
        ] {
            assert_eq!(youtube(other), None, "{other}");
        }
    }
}
