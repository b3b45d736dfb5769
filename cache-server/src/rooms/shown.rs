//! What a room watches: a stream of this node, or a film that members play by other means.

use proto::elsewhere::{YOUTUBE_LONGEST_US, youtube};
use proto::recording::RecordingId;
use proto::room::Film;
use relay::Node;

/// What a room watches.
pub(super) struct Shown {
    /// Its name.
    pub(super) stream: String,
    /// What can be paused and wound; `None`: it is live.
    pub(super) film: Option<Film>,
}

impl Shown {
    /// What is called so, or the only one; `None` if there is none.
    pub(super) fn find(node: &Node, name: Option<&str>) -> Option<Self> {
        if let Some(name) = name.filter(|name| youtube(name).is_some()) {
            return Some(Self::video(name));
        }
        let info = node.stream_info(name)?;
        let recording = info.recording.filter(|recording| !info.live && !recording.growing);
        let film = recording.map(|it| Film { id: it.id, duration_us: it.duration_us });
        Some(Self { stream: info.name, film })
    }

    /// How long it is only its members know: it may be as long as any.
    fn video(name: &str) -> Self {
        let film = Film { id: RecordingId::UNKNOWN, duration_us: YOUTUBE_LONGEST_US };
        Self { stream: name.to_owned(), film: Some(film) }
    }
}
