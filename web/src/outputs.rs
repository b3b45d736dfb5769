//! Streams and recordings for other programs, and for the page: each under its name with an ending
//! that says what of it is wanted.

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use proto::StreamInfo;
use serde::Deserialize;

use crate::error::Error;
use crate::feed::{Cursor, News};
use crate::form::{FILE, Form, MJPEG, Pictures, Sound};
use crate::names::{Kind, parse};
use crate::ring::PREFIX;
use crate::viewer::Viewer;
use crate::{Shared, facts, limits, movie_file, playlist};

/// What separates the pictures of `.mjpeg`.
const BOUNDARY: &str = "picture";

const MP4: &str = "video/mp4";
const PLAYLIST: &str = "application/vnd.apple.mpegurl";
const JPEG: &str = "image/jpeg";
const TEXT: &str = "text/vtt; charset=utf-8";

/// What is made new all the time.
const NEVER: &str = "no-store";
/// What belongs to a content that never changes.
const LONG: &str = "private, max-age=86400, immutable";

/// How a segment is wanted.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wish {
    /// `page`: what a browser cannot play is made such that it can, or left out.
    #[serde(default)]
    r#for: Reader,
    #[serde(default)]
    sound: Sound,
    /// The content it was named for.
    id: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reader {
    #[default]
    Program,
    Page,
}

impl Wish {
    fn form(&self) -> Form {
        let pictures = match self.r#for {
            Reader::Program => Pictures::Within,
            Reader::Page => Pictures::Apart,
        };
        Form { pictures, sound: self.sound }
    }
}

fn typed(kind: &'static str, caching: &'static str, body: impl Into<Body>) -> Response {
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, caching)];
    (headers, body.into()).into_response()
}

/// The catalogue's line of a stream that can be watched live.
fn live(shared: &Shared, name: &str) -> Result<StreamInfo, Error> {
    let mut catalogue = shared.node.catalogue().into_iter();
    let found = catalogue.find(|info| info.name == name && facts::is_live(info));
    found.ok_or_else(|| Error::no_such(name))
}

/// `/streams/NAME.*`: what is live.
pub(crate) async fn streams(
    State(shared): State<Shared>,
    Path(file): Path<String>,
) -> Result<Response, Error> {
    let (name, kind) = parse(&file)?;
    live(&shared, name)?;
    match kind {
        Kind::Movie => endless(&shared, name).await,
        Kind::Mjpeg => Ok(multipart(&shared, name)),
        Kind::Still => Ok(typed(JPEG, NEVER, shared.stills.live(name).await?)),
        Kind::Playlist => {
            let feed = shared.feeds.watch(name, FILE, limits::PLAYLIST_LINGER);
            let text = feed.wait_for(limits::START, |ring| {
                (!ring.stretches.is_empty()).then(|| playlist::live(name, ring))
            });
            Ok(typed(PLAYLIST, NEVER, text.await?))
        }
        Kind::Header => {
            let feed = shared.feeds.watch(name, FILE, limits::PLAYLIST_LINGER);
            let header = feed.wait_for(limits::START, |ring| ring.header.clone()).await?;
            Ok(typed(MP4, NEVER, header.bytes.slice(PREFIX..)))
        }
        Kind::Segment(number) => {
            let feed = shared.feeds.watch(name, FILE, limits::PLAYLIST_LINGER);
            let gone = || Error::Missing(format!("segment {number} is not there, or not any more"));
            // Without waiting: a player asks for what a playlist has named.
            let found = feed
                .wait_for(limits::START, |ring| ring.header.as_ref().map(|_| ring.stretch(number)));
            let chunks = found.await?.ok_or_else(gone)?;
            let chunks = chunks.into_iter().map(Ok::<_, Error>);
            Ok(typed(MP4, NEVER, Body::from_stream(stream::iter(chunks))))
        }
        _ => Err(Error::no_such(&file)),
    }
}

/// A live stream as one MP4 without end; it ends where the stream ends or changes.
async fn endless(shared: &Shared, name: &str) -> Result<Response, Error> {
    let mut cursor = Cursor::new(shared.feeds.watch(name, FILE, limits::LINGER));
    // What is wrong is said while there is a status to say it with.
    let header = loop {
        match cursor.next().await {
            Some(News::Header(header)) => break header.bytes.slice(PREFIX..),
            Some(News::Ended(reason)) => return Err(reason),
            Some(_) => {}
            None => return Err(Error::no_such(name)),
        }
    };
    let content = stream::unfold((Some(header), cursor), |(header, mut cursor)| async move {
        if let Some(header) = header {
            return Some((Ok::<_, Error>(header), (None, cursor)));
        }
        loop {
            match cursor.next().await? {
                News::Chunk(chunk) => return Some((Ok(chunk.payload()), (None, cursor))),
                News::Header(_) | News::Ended(_) => return None,
                News::Held | News::Resumed => {}
            }
        }
    });
    Ok(typed(MP4, NEVER, Body::from_stream(content)))
}

/// A live stream as JPEGs that follow each other (RFC 2046 §5.1).
fn multipart(shared: &Shared, name: &str) -> Response {
    let cursor = Cursor::new(shared.feeds.watch(name, MJPEG, limits::LINGER));
    let content = stream::unfold(cursor, |mut cursor| async move {
        loop {
            match cursor.next().await? {
                News::Chunk(chunk) if !chunk.fragment => {
                    return Some((Ok::<_, Error>(part(&chunk.payload())), cursor));
                }
                News::Ended(_) => return None,
                _ => {}
            }
        }
    });
    const KIND: &str = "multipart/x-mixed-replace; boundary=picture";
    typed(KIND, NEVER, Body::from_stream(content))
}

fn part(jpeg: &[u8]) -> Bytes {
    let length = jpeg.len();
    let head = format!("--{BOUNDARY}\r\nContent-Type: {JPEG}\r\nContent-Length: {length}\r\n\r\n");
    let mut out = BytesMut::with_capacity(head.len() + length + 2);
    out.put_slice(head.as_bytes());
    out.put_slice(jpeg);
    out.put_slice(b"\r\n");
    out.freeze()
}

/// `/movies/NAME.*`: what is recorded.
pub(crate) async fn movies(
    State(shared): State<Shared>,
    Path(file): Path<String>,
    Query(wish): Query<Wish>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let (name, kind) = parse(&file)?;
    match kind {
        Kind::Still => return poster(&shared, name).await,
        Kind::Subtitles => return subtitles(&shared, name).await,
        _ => {}
    }
    let movie = shared.movies.open(name).await?;
    let index = movie.index()?;
    let caching = match &wish.id {
        Some(id) if *id == index.id.to_string() => LONG,
        Some(_) => return Err(Error::Missing(format!("'{name}' has changed; open it again"))),
        None => NEVER,
    };
    match kind {
        Kind::Movie => movie_file::answer(movie, &headers).await,
        Kind::Playlist => Ok(typed(PLAYLIST, NEVER, playlist::recorded(name, &index))),
        Kind::Facts => {
            let opening = movie.opening(wish.form()).await?;
            let facts = serde_json::to_vec(&facts::Recorded::new(&opening)).unwrap_or_default();
            Ok(typed("application/json", NEVER, facts))
        }
        Kind::Header => Ok(typed(MP4, caching, movie.opening(wish.form()).await?.header)),
        Kind::Segment(number) => Ok(typed(MP4, caching, movie.segment(number, wish.form()).await?)),
        Kind::Pictures(number) => {
            let pictures = movie.pictures(number, wish.form()).await?;
            Ok(typed("application/octet-stream", caching, pictures))
        }
        Kind::Thumbnail(number) => Ok(typed(JPEG, caching, movie.thumbnail(number).await?)),
        Kind::Subtitle(key) => Ok(typed(TEXT, LONG, movie.subtitle(key).await?)),
        Kind::Mjpeg | Kind::Still | Kind::Subtitles => Err(Error::no_such(&file)),
    }
}

/// The picture that stands for a recording.
async fn poster(shared: &Shared, name: &str) -> Result<Response, Error> {
    let jpeg = Viewer::poster(&shared.node, name).await?;
    if jpeg.is_empty() {
        return Err(Error::Missing(format!("there is no picture of '{name}'")));
    }
    Ok(typed(JPEG, "private, max-age=60", jpeg))
}

/// Which subtitles a recording has.
async fn subtitles(shared: &Shared, name: &str) -> Result<Response, Error> {
    let found = Viewer::subtitles(&shared.node, name).await?;
    let tracks: Vec<facts::Subtitle> =
        found.iter().map(|track| facts::Subtitle::new(name, track)).collect();
    let mut response = axum::Json(tracks).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(NEVER));
    Ok(response)
}

/// `/streams.json`: the catalogue.
pub(crate) async fn catalogue(State(shared): State<Shared>) -> Response {
    let streams: Vec<facts::Stream> =
        shared.node.catalogue().iter().map(facts::Stream::new).collect();
    let mut response = axum::Json(streams).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(NEVER));
    response
}
