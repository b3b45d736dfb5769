//! Subtitles of a movie: files beside it are looked for each time, texts within it once.

use std::sync::Arc;

use bytes::Bytes;
use media::subtitle::{self, Found};
use proto::limits;
use proto::subtitle::SubtitleTrack;
use relay::Missing;

use crate::Shared;
use crate::title::blocking;
use crate::version::Version;

/// Which there are.
pub(crate) async fn list(version: Arc<Version>) -> Result<Vec<SubtitleTrack>, Missing> {
    Ok(find(version).await?.into_iter().map(|found| found.track).collect())
}

async fn find(version: Arc<Version>) -> Result<Vec<Found>, Missing> {
    let path = version.path.clone();
    let within = version.within.get_or_try_init(|| {
        let path = path.clone();
        blocking(move || Ok(subtitle::within(&path)))
    });
    let within = within.await?.clone();
    let mut found = blocking(move || Ok(subtitle::beside(&path))).await?;
    found.extend(within);
    found.truncate(limits::SUBTITLES);
    Ok(found)
}

/// The text of one of them.
pub(crate) async fn text(
    shared: Arc<Shared>,
    version: Arc<Version>,
    key: u64,
) -> Result<Bytes, Missing> {
    let with = shared.clone();
    let make = async move {
        let found = find(version).await?.into_iter().find(|found| found.track.key == key);
        let found = found.ok_or_else(|| Missing::Gone(format!("no subtitles {key:016x}")))?;
        // One at a time: each may have to read all of a movie. Never closed.
        let _turn = with.texting.acquire().await;
        let read = blocking(move || {
            found.read().map_err(|error| {
                tracing::warn!("{error}");
                Missing::Gone("the subtitles cannot be read".to_owned())
            })
        });
        let text = Bytes::from(read.await?);
        let bytes = text.len() as u64;
        Ok((text, bytes))
    };
    shared.texts.get(key, make).await
}
