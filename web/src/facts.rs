//! What is said of streams, as JSON. Described in docs/HTTP.md and `api.json`.

use proto::StreamInfo;
use proto::stream::StreamState;
use proto::subtitle::SubtitleTrack;
use serde::Serialize;

use crate::form::picture_size;
use crate::names::encode;
use crate::recorded::Opening;

/// Whether a stream can be watched as it happens.
pub(crate) fn is_live(info: &StreamInfo) -> bool {
    info.live || info.recording.is_none()
}

/// A line of the catalogue.
#[derive(Debug, Serialize)]
pub(crate) struct Stream {
    name: String,
    title: String,
    /// It can be watched as it happens.
    live: bool,
    /// `idle`, `running` or `held`.
    state: &'static str,
    viewers: u32,
    /// For people: what is in it.
    summary: String,
    /// It can be watched from any point.
    recording: Option<Recording>,
    /// Where it is, by ending.
    links: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Recording {
    seconds: f64,
    bytes: u64,
    growing: bool,
    poster: bool,
}

impl Stream {
    pub(crate) fn new(info: &StreamInfo) -> Self {
        let path = encode(&info.name);
        let mut links = Vec::new();
        if is_live(info) {
            links.extend(
                ["mp4", "m3u8", "mjpeg", "jpg"].map(|kind| format!("/streams/{path}.{kind}")),
            );
        }
        if info.recording.is_some() {
            links.extend(["mp4", "m3u8", "jpg"].map(|kind| format!("/movies/{path}.{kind}")));
        }
        Self {
            name: info.name.clone(),
            title: info.title.clone(),
            live: is_live(info),
            state: match info.state {
                StreamState::Idle => "idle",
                StreamState::Running => "running",
                StreamState::Held => "held",
            },
            viewers: info.viewers,
            summary: info.summary.clone(),
            recording: info.recording.map(|recording| Recording {
                seconds: recording.duration_us as f64 / 1e6,
                bytes: recording.bytes,
                growing: recording.growing,
                poster: recording.poster,
            }),
            links,
        }
    }
}

/// Subtitles of a recording.
#[derive(Debug, Serialize)]
pub(crate) struct Subtitle {
    /// BCP 47 or ISO 639; empty if unknown.
    language: String,
    /// For people; may be empty.
    title: String,
    /// Where the text is: another address when it has changed.
    link: String,
}

impl Subtitle {
    pub(crate) fn new(name: &str, track: &SubtitleTrack) -> Self {
        let (language, title) = (track.language.clone(), track.title.clone());
        Self { language, title, link: format!("/movies/{}.{:016x}.vtt", encode(name), track.key) }
    }
}

/// What a page needs to play a recording.
#[derive(Debug, Serialize)]
pub(crate) struct Recorded {
    id: String,
    title: String,
    summary: String,
    /// For Media Source Extensions; empty where nothing is in the MP4.
    mime: String,
    /// The pictures are JPEGs, in `.jpegs` beside each segment.
    pictures_apart: bool,
    width: u32,
    height: u32,
    /// Nothing will be added.
    finished: bool,
    /// Number of the first segment.
    first: u64,
    /// When each begins, seconds.
    starts: Vec<f64>,
    /// When the last one ends, seconds.
    end: f64,
}

impl Recorded {
    pub(crate) fn new(opening: &Opening) -> Self {
        let index = &opening.index;
        let first = index.oldest.max(index.first);
        let gone = usize::try_from(first - index.first).unwrap_or(usize::MAX);
        let lines = index.segments.get(gone..).unwrap_or_default();
        let (width, height) = picture_size(&index.description).unwrap_or((0, 0));
        let end = lines.last().map_or(0, |line| line.start_us + i64::from(line.duration_us));
        Self {
            id: index.id.to_string(),
            title: index.description.title.clone(),
            summary: index.description.summary(),
            mime: opening.packager.mime(),
            pictures_apart: opening.packager.is_apart(),
            width,
            height,
            finished: index.finished,
            first,
            starts: lines.iter().map(|line| line.start_us as f64 / 1e6).collect(),
            end: end as f64 / 1e6,
        }
    }
}
