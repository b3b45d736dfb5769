//! A recording as one fragmented MP4 that can be read from any byte.
//!
//! Its length and the place of every segment are known before anything is made: a muxed segment is
//! never larger than its messages and the boxes around it, and is filled up to exactly that.

use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use media::mux::{self, Part};
use proto::recording::{Index, RecordingId};

use crate::error::Error;
use crate::form::FILE;
use crate::recorded::Movie;

/// Packets of 20 ms that sound is made of where it is made anew, and the bytes of the longest.
const OPUS_US: u32 = 20_000;
const OPUS_BYTES: u32 = 1_276 + mux::PACKET_OVERHEAD as u32;

/// Where everything lies.
struct Layout {
    /// What it is the file of.
    id: RecordingId,
    /// Header and index.
    head: Bytes,
    /// Number of the first part's segment.
    first: u64,
    /// Where each part begins; and the end.
    starts: Vec<u64>,
}

impl Layout {
    async fn of(movie: &Movie) -> Result<(Self, Arc<Index>), Error> {
        let opening = movie.opening(FILE).await?;
        let index = opening.index;
        let beside = mux::OVERHEAD + opening.packager.timescales().len() * mux::TRACK_OVERHEAD + 8;
        let converted = |duration_us: u32| match opening.packager.converts() {
            true => (duration_us / OPUS_US + 3).saturating_mul(OPUS_BYTES),
            false => 0,
        };
        let first = index.oldest.max(index.first);
        let gone = usize::try_from(first - index.first).unwrap_or(usize::MAX);
        let lines = index.segments.get(gone..).unwrap_or_default();
        let parts: Vec<Part> = lines
            .iter()
            .map(|line| Part {
                bytes: line
                    .bytes
                    .saturating_add(u32::try_from(beside).unwrap_or(u32::MAX))
                    .saturating_add(converted(line.duration_us)),
                duration_us: line.duration_us,
                key: line.key,
            })
            .collect();
        let start_us = lines.first().map_or(0, |line| line.start_us);
        let start_us = start_us.saturating_add(opening.lead_us).max(0).unsigned_abs();
        let mut head = BytesMut::from(&opening.header[..]);
        // Without an index it plays all the same, but is searched through slowly.
        let timescales = opening.packager.timescales();
        head.extend_from_slice(&mux::index(&timescales, start_us, &parts).unwrap_or_default());
        let mut starts = vec![head.len() as u64];
        let mut end = head.len() as u64;
        for part in &parts {
            end += u64::from(part.bytes);
            starts.push(end);
        }
        Ok((Self { id: index.id, head: head.freeze(), first, starts }, index))
    }

    fn length(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// What lies from `at` on, up to the end of its part or of the file's head.
    async fn read(&self, movie: &Movie, at: u64) -> Result<Bytes, Error> {
        if let Some(rest) = usize::try_from(at).ok().filter(|at| *at < self.head.len()) {
            return Ok(self.head.slice(rest..));
        }
        let part = self.starts.partition_point(|start| *start <= at) - 1;
        let (start, end) = (self.starts[part], self.starts[part + 1]);
        movie.is_still(self.id)?;
        let fragment = movie.segment(self.first + part as u64, FILE).await?;
        movie.is_still(self.id)?;
        let room = (end - start).checked_sub(fragment.len() as u64).filter(|room| *room >= 8);
        let larger = || Error::Unavailable("a segment is larger than it said".to_owned());
        let room = u32::try_from(room.ok_or_else(larger)?).map_err(|_| larger())?;
        let skip = usize::try_from(at - start).map_err(|_| larger())?;
        Ok(if skip < fragment.len() {
            let mut whole = BytesMut::from(&fragment[skip..]);
            whole.extend_from_slice(&mux::padding(room));
            whole.freeze()
        } else {
            mux::padding(room).slice(skip - fragment.len()..)
        })
    }
}

/// Answers a request for the file, or for a range of it.
pub(crate) async fn answer(movie: Movie, headers: &HeaderMap) -> Result<Response, Error> {
    let (layout, index) = Layout::of(&movie).await?;
    let length = layout.length();
    let tag = format!("\"{}-{length}\"", index.id);
    let range = wanted(headers, length, &tag)?;
    let (from, to) = range.clone().map_or((0, length), |range| (*range.start(), range.end() + 1));
    let mut response = (StatusCode::OK, content(movie, layout, from, to)).into_response();
    let mut put = |name, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    };
    put(header::CONTENT_TYPE, "video/mp4".to_owned());
    put(header::ACCEPT_RANGES, "bytes".to_owned());
    put(header::ETAG, tag);
    put(header::CONTENT_LENGTH, (to - from).to_string());
    if range.is_some() {
        put(header::CONTENT_RANGE, format!("bytes {from}-{}/{length}", to - 1));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// The bytes from `from` up to `to`, made as they are taken.
fn content(movie: Movie, layout: Layout, from: u64, to: u64) -> Body {
    let whole = Arc::new((movie, layout));
    Body::from_stream(stream::try_unfold(from, move |at| {
        let whole = whole.clone();
        async move {
            if at >= to {
                return Ok(None);
            }
            let mut bytes = whole.1.read(&whole.0, at).await?;
            bytes.truncate(usize::try_from(to - at).unwrap_or(usize::MAX));
            let next = at + bytes.len() as u64;
            Ok::<_, Error>(Some((bytes, next)))
        }
    }))
}

/// The one range that is asked for (RFC 9110 §14.2). Several at once, what is no range, and a range of
/// what has changed since get the whole.
fn wanted(
    headers: &HeaderMap,
    length: u64,
    tag: &str,
) -> Result<Option<RangeInclusive<u64>>, Error> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_RANGE).is_some_and(|said| said != tag) {
        return Ok(None);
    }
    let Some(range) = text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")) else {
        return Ok(None);
    };
    let Some((from, to)) = range.split_once('-') else { return Ok(None) };
    let last = length.saturating_sub(1);
    let range = match (from.trim(), to.trim()) {
        ("", suffix) => suffix.parse().ok().map(|n: u64| length.saturating_sub(n)..=last),
        (from, "") => from.parse().ok().map(|from| from..=last),
        (from, to) => match (from.parse(), to.parse::<u64>()) {
            (Ok(from), Ok(to)) => Some(from..=to.min(last)),
            _ => None,
        },
    };
    match range {
        Some(range) if *range.start() > last => Err(Error::Range(length)),
        Some(range) if range.is_empty() => Ok(None),
        range => Ok(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range: &str) -> Result<Option<RangeInclusive<u64>>, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::try_from(range).expect("a value"));
        wanted(&headers, 1_000, "\"a\"")
    }

    #[test]
    fn ranges_are_those_of_the_standard() {
        assert_eq!(asked("bytes=0-"), Ok(Some(0..=999)));
        assert_eq!(asked("bytes=10-19"), Ok(Some(10..=19)));
        assert_eq!(asked("bytes=10-5000"), Ok(Some(10..=999)));
        assert_eq!(asked("bytes=-100"), Ok(Some(900..=999)));
        assert_eq!(asked("bytes=1000-"), Err(Error::Range(1_000)));
        for whole in ["bytes=5-2", "bytes=a-b", "bytes=0-1,5-6", "lines=1-2", "bytes=7", "bytes=-"]
        {
            assert_eq!(asked(whole), Ok(None), "{whole}");
        }
        assert_eq!(asked("bytes=99999999999999999999999-"), Ok(None));
    }

    #[test]
    fn a_range_of_what_has_changed_is_the_whole() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=5-"));
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"b\""));
        assert_eq!(wanted(&headers, 1_000, "\"a\""), Ok(None));
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"a\""));
        assert_eq!(wanted(&headers, 1_000, "\"a\""), Ok(Some(5..=999)));
    }
}
