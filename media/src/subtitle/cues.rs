//! SubRip and WebVTT as WebVTT (W3C, "WebVTT: The Web Video Text Tracks Format", §3): a block for each
//! cue, its times in full, and no style sheets.

use std::fmt::Write;

/// Most cues of a text: a line each second for a day.
const MOST_CUES: usize = 86_400;
/// Longest time, milliseconds: 999 hours.
const LONGEST_MS: u64 = 3_600_000_000;

/// The text in UTF-8, UTF-16 with a mark, or else in Latin 1; `None` if there is no cue in it.
pub(super) fn to_webvtt(bytes: &[u8]) -> Option<String> {
    let text = decode(bytes).replace("\r\n", "\n").replace('\r', "\n");
    let text: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut out = String::from("WEBVTT\n");
    let mut cues = 0;
    for block in text.join("\n").split("\n\n") {
        let mut lines = block.lines().skip_while(|line| !line.contains("-->"));
        let Some((from, to, settings)) = lines.next().and_then(timing) else { continue };
        let lines: Vec<String> = lines.map(plain).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() || to <= from {
            continue;
        }
        // Writing to a string cannot fail.
        let _ =
            write!(out, "\n{} --> {}{settings}\n{}\n", clock(from), clock(to), lines.join("\n"));
        cues += 1;
        if cues == MOST_CUES {
            break;
        }
    }
    (cues > 0).then_some(out)
}

fn decode(bytes: &[u8]) -> String {
    let wide = |bytes: &[u8], of: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|two| of([two[0], two[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
        },
    }
}

/// From and to in milliseconds, and where the cue is placed.
fn timing(line: &str) -> Option<(u64, u64, String)> {
    let (from, rest) = line.split_once("-->")?;
    let mut words = rest.split_whitespace();
    let (from, to) = (time(from.trim())?, time(words.next()?)?);
    let is_setting = |word: &&str| {
        let name = word.split_once(':').map(|(name, _)| name);
        matches!(name, Some("line" | "position" | "size" | "align" | "vertical"))
    };
    let settings = words.filter(is_setting).map(|word| format!(" {word}")).collect();
    Some((from, to, settings))
}

/// `1:02:03,4`, `02:03.400`: milliseconds.
fn time(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once([',', '.']).unwrap_or((text, "0"));
    let mut seconds: u64 = 0;
    for number in whole.split(':') {
        seconds = seconds.checked_mul(60)?.checked_add(number.trim().parse().ok()?)?;
    }
    let digits = part.get(..part.len().min(3)).filter(|digits| !digits.is_empty())?;
    let scale = 10_u64.pow(3 - u32::try_from(digits.len()).ok()?);
    let ms = seconds.checked_mul(1000)?.checked_add(digits.parse::<u64>().ok()? * scale)?;
    (ms <= LONGEST_MS).then_some(ms)
}

fn clock(ms: u64) -> String {
    let seconds = ms / 1000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, ms % 1000)
}

/// A line without what SubRip files borrow from elsewhere: `{\an8}`, `<font ...>`. What would end the
/// cue, or begin another, cannot be in it.
fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(['{', '<']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let close = if from.starts_with('{') { '}' } else { '>' };
        let lower = from.get(..6).unwrap_or(from).to_ascii_lowercase();
        let borrowed = ["{\\", "<font", "</font"].iter().any(|tag| lower.starts_with(tag));
        match from.find(close).filter(|_| borrowed) {
            Some(end) => rest = &from[end + 1..],
            None => {
                out.push_str(&from[..1]);
                rest = &from[1..];
            }
        }
    }
    out.push_str(rest);
    let clean: String = out.chars().filter(|c| !c.is_control() || *c == '\t').collect();
    clean.replace("-->", "→").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subrip_becomes_webvtt() {
        let text = "\u{feff}1\r\n00:00:01,500 --> 00:00:02,000\r\n{\\an8}<font color=\"red\">Ja?</font>\r\n\
                    <i>Nein.</i>\r\n\r\n2\r\n1:00:00,0 --> 1:00:01,25 X1:10\r\nA < B --> C\r\n";
        let expected = "WEBVTT\n\n00:00:01.500 --> 00:00:02.000\nJa?\n<i>Nein.</i>\n\n\
                        01:00:00.000 --> 01:00:01.250\nA < B → C\n";
        assert_eq!(to_webvtt(text.as_bytes()).expect("has cues"), expected);
    }

    #[test]
    fn webvtt_keeps_its_places_and_loses_its_styles() {
        let text = "WEBVTT - a title\n\nSTYLE\n::cue { color: red }\n\nNOTE\nno cue\n\nid\n\
                    00:01.000 --> 00:02.000 line:10% align:start\nHello\n";
        let expected = "WEBVTT\n\n00:00:01.000 --> 00:00:02.000 line:10% align:start\nHello\n";
        assert_eq!(to_webvtt(text.as_bytes()).expect("has a cue"), expected);
    }

    #[test]
    fn other_characters_are_read() {
        let text = "1\n00:00:01,000 --> 00:00:02,000\nÄ\n";
        let wide: Vec<u8> = [0xfeff_u16]
            .into_iter()
            .chain(text.encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        let latin: Vec<u8> = text.chars().map(|c| c as u8).collect();
        for bytes in [text.as_bytes(), &wide, &latin] {
            assert!(to_webvtt(bytes).expect("has a cue").ends_with("\nÄ\n"));
        }
    }

    #[test]
    fn what_is_no_cue_is_left_out() {
        for text in [
            "",
            "WEBVTT\n",
            "1\n00:00:02,000 --> 00:00:01,000\nbackwards\n",
            "1\nx --> y\nno times\n",
            "1\n00:00:01,000 --> 00:00:02,000\n\n",
            "1\n99999999999999:00:01,000 --> 9999999999999999999:00:02,000\nfar\n",
            "1\n00:00:01,ä --> 00:00:02,€\nodd\n",
        ] {
            assert_eq!(to_webvtt(text.as_bytes()), None, "{text}");
        }
    }
}
