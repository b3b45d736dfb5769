//! What lies beside a recording of an origin: the picture that stands for it, its subtitles. Asked for
//! once, and kept with it.

use std::time::Duration;

use bytes::Bytes;
use proto::dial::dial;
use proto::recording::{PosterWanted, RecordingId};
use proto::subtitle::{SubtitleTrack, SubtitleWanted, SubtitlesWanted};
use proto::{Message, Role};
use tokio::time::Instant;

use super::remote::{Remote, SILENCE};
use crate::recording::Missing;

/// Subtitles have to be read out of a film first; who asks here waits 20 s.
const READING: Duration = Duration::from_secs(18);
/// Which subtitles there are is not asked again before so long.
const FRESH: Duration = Duration::from_secs(10);

impl Remote {
    /// See [`crate::Recording::poster`].
    pub(super) async fn picture(&self) -> Bytes {
        let id = self.id();
        let mut poster = self.poster.lock().await;
        if let Some((_, jpeg)) = poster.as_ref().filter(|(of, _)| *of == id) {
            return jpeg.clone();
        }
        let keep = self.keep.clone();
        let kept = tokio::task::spawn_blocking(move || keep.poster(id)).await.ok().flatten();
        let jpeg = match kept {
            Some(jpeg) => Some(jpeg),
            None => self.ask_for_poster(id).await,
        };
        *poster = jpeg.clone().map(|jpeg| (id, jpeg));
        jpeg.unwrap_or_default()
    }

    async fn ask_for_poster(&self, id: RecordingId) -> Option<Bytes> {
        let mut line = dial(&self.address, Role::Control, None, &self.agent).await.ok()?;
        let wanted = PosterWanted { stream: self.name.clone() };
        line.writer.write(&Message::PosterWanted(wanted)).await.ok()?;
        let Ok(Message::Poster(poster)) = line.reader.read_within(SILENCE).await else {
            return None;
        };
        let jpeg = Bytes::from(poster.jpeg.into_vec());
        // None, or none yet: it may be made by the next time.
        if jpeg.is_empty() {
            return None;
        }
        let (keep, kept) = (self.keep.clone(), jpeg.clone());
        // Should it panic, it is not kept, and asked for again.
        let _ = tokio::task::spawn_blocking(move || keep.put_poster(id, &kept)).await;
        Some(jpeg)
    }

    /// One question and its answer, on a connection of its own.
    async fn ask_aside(&self, question: Message) -> Option<Message> {
        let mut line = dial(&self.address, Role::Control, None, &self.agent).await.ok()?;
        line.writer.write(&question).await.ok()?;
        line.reader.read_within(READING).await.ok()
    }

    /// From the origin, since they may have become more; while it is away, as they were.
    pub(super) async fn list_subtitles(&self) -> Result<Vec<SubtitleTrack>, Missing> {
        let id = self.id();
        let mut known = self.subtitles.lock().await;
        if let Some((asked, of, tracks)) = known.as_ref()
            && *of == id
            && asked.elapsed() < FRESH
        {
            return Ok(tracks.clone());
        }
        let wanted = SubtitlesWanted { stream: self.name.clone() };
        let keep = self.keep.clone();
        let tracks = match self.ask_aside(Message::SubtitlesWanted(wanted)).await {
            Some(Message::Subtitles(told)) if told.later => {
                return Err(Missing::Later(format!("{} is looking for subtitles", self.address)));
            }
            Some(Message::Subtitles(told)) => {
                let tracks = told.tracks.clone();
                // Should it panic, they are not kept, and asked for again.
                let keeping = move || keep.put_subtitles(id, &told.tracks);
                let _ = tokio::task::spawn_blocking(keeping).await;
                tracks
            }
            // Away, or older than subtitles are.
            _ => {
                let kept = tokio::task::spawn_blocking(move || keep.subtitles(id)).await;
                kept.ok().flatten().unwrap_or_default()
            }
        };
        *known = Some((Instant::now(), id, tracks.clone()));
        Ok(tracks)
    }

    pub(super) async fn subtitle_text(&self, key: u64) -> Result<Bytes, Missing> {
        let (id, keep) = (self.id(), self.keep.clone());
        let kept = tokio::task::spawn_blocking(move || keep.subtitle(id, key)).await;
        if let Some(text) = kept.ok().flatten() {
            return Ok(text);
        }
        let wanted = SubtitleWanted { stream: self.name.clone(), key };
        let later = |what: &str| Missing::Later(format!("{} {what}", self.address));
        match self.ask_aside(Message::SubtitleWanted(wanted)).await {
            Some(Message::Subtitle(told)) if told.later => Err(later("is reading the subtitles")),
            Some(Message::Subtitle(told)) if told.vtt.is_empty() || told.key != key => {
                Err(Missing::Gone("these subtitles are not there any more".to_owned()))
            }
            Some(Message::Subtitle(told)) => {
                let text = Bytes::from(told.vtt.into_vec());
                let (keep, kept) = (self.keep.clone(), text.clone());
                let keeping = move || keep.put_subtitle(id, key, &kept);
                let _ = tokio::task::spawn_blocking(keeping).await;
                Ok(text)
            }
            _ => Err(later("is away")),
        }
    }
}
