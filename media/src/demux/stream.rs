//! What a container says of one elementary stream, and which two of them are played.

use proto::Track;

use super::error::Refusal;

/// Picture or sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Video,
    Audio,
}

impl Kind {
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Video => "picture",
            Self::Audio => "sound",
        }
    }
}

/// One elementary stream.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) kind: Kind,
    /// Its codec, for people: "HEVC", "AC-3".
    pub(crate) codec: String,
    /// The container prefers it to others of its kind.
    pub(crate) default: bool,
    /// How it travels, or why it cannot as it is: "is HEVC", "has 6 channels".
    pub(crate) verdict: Result<Track, String>,
    /// How it is to be shown goes lost when its packets are copied.
    pub(crate) is_edited: bool,
}

impl Stream {
    /// "HEVC video"
    fn label(&self) -> String {
        match self.kind {
            Kind::Video => format!("{} video", self.codec),
            Kind::Audio => format!("{} sound", self.codec),
        }
    }
}

/// Everything found, for people: "HEVC video, AAC sound"; `None` if nothing was.
pub(crate) fn found(streams: &[Stream]) -> Option<String> {
    let labels: Vec<String> = streams.iter().map(Stream::label).collect();
    (!labels.is_empty()).then(|| labels.join(", "))
}

/// Indices of the streams that are played, the picture first: of each kind the first default one,
/// else the first.
pub(crate) fn choose(streams: &[Stream]) -> Vec<usize> {
    let of_kind = |kind| {
        let position =
            |default: bool| streams.iter().position(|s| s.kind == kind && (s.default || !default));
        position(true).or_else(|| position(false))
    };
    [Kind::Video, Kind::Audio].into_iter().filter_map(of_kind).collect()
}

/// The chosen streams' indices and tracks, if all of them can travel as they are.
pub(crate) fn playable(streams: &[Stream]) -> Result<Vec<(usize, Track)>, Refusal> {
    let chosen = choose(streams);
    let found = found(streams).unwrap_or_else(|| "nothing known".into());
    if chosen.is_empty() {
        return Err(Refusal::NoTrack { found });
    }
    let mut tracks = Vec::new();
    let mut reasons = Vec::new();
    for index in chosen {
        match &streams[index].verdict {
            Ok(track) => tracks.push((index, track.clone())),
            Err(why) => reasons.push(format!("the {} {why}", streams[index].kind.noun())),
        }
    }
    if reasons.is_empty() {
        Ok(tracks)
    } else {
        let is_edited = choose(streams).iter().any(|&index| streams[index].is_edited);
        Err(Refusal::Convert { found, why: reasons.join(" and "), is_edited })
    }
}
