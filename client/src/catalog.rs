//! The list of streams a server offers, for people and for programs.

use proto::StreamInfo;
use proto::stream::StreamState;
use serde::Serialize;

/// A stream as `--list --json` says it, one object a line.
#[derive(Debug, Serialize)]
struct Line<'a> {
    stream: &'a str,
    title: &'a str,
    live: bool,
    state: &'static str,
    viewers: u32,
    summary: &'a str,
}

fn state(state: StreamState) -> &'static str {
    match state {
        StreamState::Idle => "idle",
        StreamState::Running => "running",
        StreamState::Held => "held",
    }
}

/// One line a stream, with the command that watches it.
#[must_use]
pub fn lines(address: &str, streams: &[StreamInfo]) -> Vec<String> {
    streams.iter().map(|stream| line(address, stream)).collect()
}

fn line(address: &str, stream: &StreamInfo) -> String {
    let mut text = stream.name.clone();
    if !stream.title.is_empty() && stream.title != stream.name {
        text += &format!(" \"{}\"", stream.title);
    }
    let kind = if stream.live { "live" } else { "recorded" };
    text += &format!(" ({kind}, {}, {} watching", state(stream.state), stream.viewers);
    if !stream.summary.is_empty() {
        text += &format!(", {}", stream.summary);
    }
    // A name that looks like a flag needs the other form.
    let between = if stream.name.starts_with('-') { '=' } else { ' ' };
    let name = quoted(&stream.name);
    text + &format!("): client --connect {address} --stream{between}{name}")
}

/// One JSON object a stream.
#[must_use]
pub fn json_lines(streams: &[StreamInfo]) -> Vec<String> {
    let json = |stream: &StreamInfo| {
        serde_json::to_string(&Line {
            stream: &stream.name,
            title: &stream.title,
            live: stream.live,
            state: state(stream.state),
            viewers: stream.viewers,
            summary: &stream.summary,
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

    #[test]
    fn a_line_ends_with_a_command_a_shell_takes() {
        let address = "kitchen:9999";
        assert_eq!(
            lines(address, &[stream("back door's")]),
            [
                r#"back door's "The back door" (live, running, 2 watching, MJPEG 1280x720 30 fps): client --connect kitchen:9999 --stream 'back door'\''s'"#
            ]
        );
        assert!(lines(address, &[stream("cam0")])[0].ends_with("--stream cam0"));
    }

    #[test]
    fn json_is_one_object_a_line() {
        let lines = json_lines(&[stream("a"), stream("b")]);
        assert_eq!(lines.len(), 2);
        let value: serde_json::Value = serde_json::from_str(&lines[1]).expect("JSON");
        assert_eq!(value["stream"], "b");
        assert_eq!(value["viewers"], 2);
    }
}
