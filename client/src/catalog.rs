//! The list of streams a server offers, for people and for programs.

use proto::StreamInfo;
use proto::stream::StreamState;
use serde::Serialize;

use crate::progress::clock;

/// Columns between two columns.
const BETWEEN: usize = 2;
/// How wide a table may be that goes to no terminal, characters.
const USUAL: usize = 100;
/// No table is narrower: below that nothing can be read of it.
const NARROWEST: usize = 80;
/// What the names and the summaries keep of their width, whatever the others need.
const LEAST: usize = 12;
/// The columns, and whether they are numbers, which stand to the right.
const HEADS: [(&str, bool); 7] = [
    ("NAME", false),
    ("KIND", false),
    ("STATE", false),
    ("LENGTH", true),
    ("SIZE", true),
    ("VIEWERS", true),
    ("WHAT", false),
];
/// Index of the names and of the summaries in [`HEADS`]: these are cut where it is too wide.
const CUT: [usize; 2] = [6, 0];

/// A stream as `--list --json` says it, one object a line.
#[derive(Debug, Serialize)]
struct Line<'a> {
    stream: &'a str,
    title: &'a str,
    live: bool,
    state: &'static str,
    viewers: u32,
    summary: &'a str,
    /// Content of what is recorded; `null`, as the next two, where nothing is.
    recording: Option<String>,
    duration_s: Option<f64>,
    bytes: Option<u64>,
    /// Whether what is recorded still grows.
    growing: Option<bool>,
}

fn state(state: StreamState) -> &'static str {
    match state {
        StreamState::Idle => "idle",
        StreamState::Running => "running",
        StreamState::Held => "held",
    }
}

/// How wide the terminal is that results go to; what is usual where there is none.
#[must_use]
pub fn terminal_width() -> usize {
    let size = terminal_size::terminal_size();
    size.map_or(USUAL, |(width, _)| usize::from(width.0)).max(NARROWEST)
}

/// A table of what there is, no wider than `width`, and the command that watches the first.
#[must_use]
pub fn lines(address: &str, streams: &[StreamInfo], width: usize) -> Vec<String> {
    let Some(first) = streams.first() else { return Vec::new() };
    let mut rows = vec![HEADS.map(|(head, _)| head.to_owned())];
    rows.extend(streams.iter().map(row));
    let widths = widths(&rows, width);
    let mut lines: Vec<String> = rows.iter().map(|row| aligned(row, &widths)).collect();
    lines.push(format!("watch one: {}", command(address, &first.name)));
    lines
}

fn row(stream: &StreamInfo) -> [String; 7] {
    let recording = stream.recording.as_ref();
    let kind = match (stream.live, recording) {
        (true, None) => "live",
        (true, Some(_)) => "live+rec",
        (false, _) => "recorded",
    };
    let none = || "-".to_owned();
    let mut what = stream.summary.clone();
    if !stream.title.is_empty() && stream.title != stream.name {
        let between = if what.is_empty() { "" } else { " " };
        what = format!("\"{}\"{between}{what}", stream.title);
    }
    [
        stream.name.clone(),
        kind.to_owned(),
        state(stream.state).to_owned(),
        recording.map_or_else(none, |r| clock(r.duration_us as f64 / 1e6)),
        recording.map_or_else(none, |r| size(r.bytes)),
        stream.viewers.to_string(),
        what,
    ]
}

/// As wide as each column's widest, the names and summaries cut until all fits.
fn widths(rows: &[[String; 7]], width: usize) -> [usize; 7] {
    let mut widths = [0; 7];
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(cell.chars().count());
        }
    }
    for column in CUT {
        let all = widths.iter().sum::<usize>() + BETWEEN * (widths.len() - 1);
        let over = all.saturating_sub(width);
        widths[column] = widths[column].saturating_sub(over).max(LEAST.min(widths[column]));
    }
    widths
}

fn aligned(row: &[String; 7], widths: &[usize; 7]) -> String {
    let mut line = String::new();
    for ((cell, &width), (_, right)) in row.iter().zip(widths).zip(HEADS) {
        let cell = cut(cell, width);
        let pad = " ".repeat(width - cell.chars().count());
        line += &if right { pad + &cell } else { cell + &pad };
        line += &" ".repeat(BETWEEN);
    }
    line.trim_end().to_owned()
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Bytes in the largest unit that leaves a number before it.
fn size(bytes: u64) -> String {
    let units = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    let bytes = bytes as f64;
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) if bytes / unit < 10.0 => format!("{:.1} {name}", bytes / unit),
        Some((name, unit)) => format!("{:.0} {name}", bytes / unit),
        None => format!("{bytes} B"),
    }
}

fn command(address: &str, name: &str) -> String {
    // A name that looks like a flag needs the other form.
    let between = if name.starts_with('-') { '=' } else { ' ' };
    format!("client --connect {address} --stream{between}{}", quoted(name))
}

/// One JSON object a stream.
#[must_use]
pub fn json_lines(streams: &[StreamInfo]) -> Vec<String> {
    let json = |stream: &StreamInfo| {
        let recording = stream.recording.as_ref();
        serde_json::to_string(&Line {
            stream: &stream.name,
            title: &stream.title,
            live: stream.live,
            state: state(stream.state),
            viewers: stream.viewers,
            summary: &stream.summary,
            recording: recording.map(|recording| recording.id.to_string()),
            duration_s: recording.map(|recording| recording.duration_us as f64 / 1e6),
            bytes: recording.map(|recording| recording.bytes),
            growing: recording.map(|recording| recording.growing),
        })
    };
    streams.iter().filter_map(|stream| json(stream).ok()).collect()
}

/// As a shell takes it.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_.:+@%".contains(c);
    if name.chars().all(plain) {
        return name.to_owned();
    }
    format!("'{}'", name.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use proto::recording::{RecordingId, RecordingInfo};

    use super::*;

    fn stream(name: &str) -> StreamInfo {
        StreamInfo {
            name: name.into(),
            title: "The back door".into(),
            live: true,
            state: StreamState::Running,
            viewers: 2,
            summary: "MJPEG 1280x720 30 fps".into(),
            path: vec![1],
            recording: None,
        }
    }

    fn film() -> StreamInfo {
        let recording = RecordingInfo {
            id: RecordingId([0xab; 16]),
            duration_us: 3_723_500_000,
            bytes: 1_234_567_890,
            growing: false,
            poster: false,
        };
        let (title, state) = (String::new(), StreamState::Idle);
        StreamInfo { title, state, live: false, recording: Some(recording), ..stream("film") }
    }

    #[test]
    fn a_table_is_aligned_and_ends_with_a_command_a_shell_takes() {
        assert_eq!(
            lines("kitchen:9999", &[stream("back door's"), film()], 100),
            [
                "NAME         KIND      STATE     LENGTH    SIZE  VIEWERS  WHAT",
                "back door's  live      running        -       -        2  \"The back door\" MJPEG 1280x720 30 fps",
                "film         recorded  idle     1:02:03  1.2 GB        2  MJPEG 1280x720 30 fps",
                r"watch one: client --connect kitchen:9999 --stream 'back door'\''s'",
            ]
        );
        assert!(lines("kitchen:9999", &[], 100).is_empty());
        assert_eq!(command("h:1", "-x"), "client --connect h:1 --stream=-x");
    }

    #[test]
    fn a_table_is_no_wider_than_the_terminal() {
        let long = StreamInfo { summary: "ü".repeat(300), ..stream(&"n".repeat(128)) };
        for width in [80, 120, 400] {
            let lines = lines("h", &[long.clone(), film()], width);
            let widest = lines[..3].iter().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{lines:#?}");
        }
    }

    #[test]
    fn sizes_are_short() {
        let sizes = [0, 999, 1_500, 25_000_000, 9_999_999_999].map(size);
        assert_eq!(sizes, ["0 B", "999 B", "1.5 kB", "25 MB", "10.0 GB"]);
    }

    #[test]
    fn json_is_one_object_a_line() {
        let lines = json_lines(&[film(), stream("b")]);
        assert_eq!(lines.len(), 2);
        let values: Vec<serde_json::Value> =
            lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!((&values[1]["stream"], &values[1]["viewers"]), (&"b".into(), &2.into()));
        assert!(values[1]["recording"].is_null() && values[1]["duration_s"].is_null());
        assert_eq!(values[0]["recording"], "ab".repeat(16));
        assert_eq!(
            (&values[0]["duration_s"], &values[0]["bytes"]),
            (&3723.5.into(), &1_234_567_890.into())
        );
    }
}
