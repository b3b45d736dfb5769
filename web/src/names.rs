//! Names in addresses. A stream's name is one component of a path, percent-encoded, with an ending
//! that says what of it is wanted. It never becomes a path of a file.

use crate::error::Error;

/// What of a stream is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `NAME.mp4`: all of it, as one file.
    Movie,
    /// `NAME.mjpeg`: pictures that follow each other.
    Mjpeg,
    /// `NAME.m3u8`: a playlist.
    Playlist,
    /// `NAME.init.m4s`: what comes before the segments of the playlist.
    Header,
    /// `NAME.7.m4s`: a segment.
    Segment(u64),
    /// `NAME.7.jpegs`: the pictures of a segment.
    Pictures(u64),
    /// `NAME.7.thumb`: a small picture of a segment.
    Thumbnail(u64),
    /// `NAME.subtitles`: which there are.
    Subtitles,
    /// `NAME.0123456789abcdef.vtt`: the text of one of them.
    Subtitle(u64),
    /// `NAME.jpg`: a still picture.
    Still,
    /// `NAME.json`: what is in it.
    Facts,
}

/// The stream's name and what of it is wanted.
pub(crate) fn parse(file: &str) -> Result<(&str, Kind), Error> {
    let wrong = || {
        let endings = ".mp4, .mjpeg, .m3u8, .jpg or .json";
        Error::Missing(format!("'{file}' does not say what is wanted: let it end in {endings}"))
    };
    let (stem, ending) = file.rsplit_once('.').ok_or_else(wrong)?;
    let (name, kind) = match ending {
        "mp4" => (stem, Kind::Movie),
        "mjpeg" => (stem, Kind::Mjpeg),
        "m3u8" => (stem, Kind::Playlist),
        "jpg" => (stem, Kind::Still),
        "json" => (stem, Kind::Facts),
        "subtitles" => (stem, Kind::Subtitles),
        "m4s" | "jpegs" | "thumb" | "vtt" => {
            let (name, part) = stem.rsplit_once('.').ok_or_else(wrong)?;
            (name, part_of(part, ending).ok_or_else(wrong)?)
        }
        _ => return Err(wrong()),
    };
    if proto::stream::is_valid_name(name) { Ok((name, kind)) } else { Err(wrong()) }
}

/// One of many of a kind.
fn part_of(part: &str, ending: &str) -> Option<Kind> {
    Some(match (part, ending) {
        ("init", "m4s") => Kind::Header,
        (key, "vtt") if key.len() == 16 => Kind::Subtitle(u64::from_str_radix(key, 16).ok()?),
        (_, "vtt") => return None,
        (number, "m4s") => Kind::Segment(number.parse().ok()?),
        (number, "thumb") => Kind::Thumbnail(number.parse().ok()?),
        (number, _) => Kind::Pictures(number.parse().ok()?),
    })
}

/// The name as a component of a path (RFC 3986 §2.3: unreserved characters alone stay).
pub(crate) fn encode(name: &str) -> String {
    encode_bytes(name.as_bytes())
}

/// The same of what may be no text.
pub(crate) fn encode_bytes(name: &[u8]) -> String {
    use std::fmt::Write;
    let mut encoded = String::with_capacity(name.len());
    for &byte in name {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ending_counts_and_the_rest_is_the_name() {
        for (file, name, kind) in [
            ("door.mp4", "door", Kind::Movie),
            ("a.mp4.mp4", "a.mp4", Kind::Movie),
            ("a.7.m4s", "a", Kind::Segment(7)),
            ("a.5.7.m4s", "a.5", Kind::Segment(7)),
            ("a.init.m4s", "a", Kind::Header),
            ("...jpg", "..", Kind::Still),
            ("a.0.jpegs", "a", Kind::Pictures(0)),
            ("a.7.thumb", "a", Kind::Thumbnail(7)),
            ("a.b.subtitles", "a.b", Kind::Subtitles),
            ("a.00000000000000ff.vtt", "a", Kind::Subtitle(255)),
        ] {
            assert_eq!(parse(file), Ok((name, kind)), "{file}");
        }
        for file in [
            "", "door", ".mp4", "a.exe", "a.m4s", "a.x.m4s", "a.-1.m4s", "a/b.mp4", " a.mp4",
            "a.7.vtt",
        ] {
            assert!(parse(file).is_err(), "{file}");
        }
    }

    #[test]
    fn names_cannot_leave_their_place_in_an_address() {
        assert_eq!(encode("Küche 2"), "K%C3%BCche%202");
        assert_eq!(encode("a:b?c#d\"<e>&'"), "a%3Ab%3Fc%23d%22%3Ce%3E%26%27");
    }
}
