//! What lies beside a recording: the picture that stands for it, its subtitles.

use std::time::Duration;

use bytes::Bytes;
use proto::recording::Poster;
use proto::subtitle::{Subtitle, SubtitleWanted, Subtitles};
use proto::{Message, limits};
use tokio::time::timeout;

use crate::node::Node;
use crate::recording::{Missing, Recording};

/// A poster that takes longer is none: the next ping waits behind it.
const POSTER: Duration = Duration::from_secs(1);
/// Subtitles that take longer are to be asked for again.
const SUBTITLES: Duration = Duration::from_secs(20);

fn recording(node: &Node, stream: &str) -> Option<std::sync::Arc<dyn Recording>> {
    node.stream(stream).and_then(|stream| stream.recording())
}

/// The picture of a stream; an empty one if there is none, or not in time for the next ping.
pub(super) async fn poster(node: &Node, stream: String) -> Message {
    let jpeg = match recording(node, &stream) {
        Some(recording) => timeout(POSTER, recording.poster()).await.unwrap_or_default(),
        None => Bytes::new(),
    };
    let jpeg = if jpeg.len() <= limits::POSTER { jpeg.to_vec() } else { Vec::new() };
    Message::Poster(Poster { stream, jpeg: jpeg.into() })
}

/// Which subtitles a stream has.
pub(super) async fn subtitles(node: &Node, stream: String) -> Message {
    let found = match recording(node, &stream) {
        Some(recording) => in_time(recording.subtitles()).await,
        None => Ok(Vec::new()),
    };
    let later = matches!(found, Err(Missing::Later(_)));
    Message::Subtitles(Subtitles { stream, later, tracks: found.unwrap_or_default() })
}

/// One of them; an empty text if there is none.
pub(super) async fn subtitle(node: &Node, wanted: SubtitleWanted) -> Message {
    let key = wanted.key;
    let found = match recording(node, &wanted.stream) {
        Some(recording) => in_time(recording.subtitle(key)).await,
        None => Ok(Bytes::new()),
    };
    let later = matches!(found, Err(Missing::Later(_)));
    let text = found.unwrap_or_default();
    let vtt = if text.len() <= limits::SUBTITLE { text.to_vec() } else { Vec::new() };
    Message::Subtitle(Subtitle { key, later, vtt: vtt.into() })
}

async fn in_time<T>(coming: impl Future<Output = Result<T, Missing>>) -> Result<T, Missing> {
    let late = |_| Err(Missing::Later("it takes long; ask again in a moment".to_owned()));
    timeout(SUBTITLES, coming).await.unwrap_or_else(late)
}
