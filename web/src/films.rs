//! Films that people add: uploads that are gone on with after a broken connection, films from
//! addresses, and what belongs to whom.

use std::net::{IpAddr, SocketAddr};

use axum::body::{Body, Bytes};
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::StreamExt;
use library::films::{FilmId, Films, Line, Owner, Refusal, Wish};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::accounts::Visitor;
use crate::error::Error;
use crate::origin::is_ours;
use crate::{Shared, adder, limits};

/// Where in the film the body belongs, and how much of it is here (as in tus.io's protocol).
const OFFSET: &str = "upload-offset";
/// All bytes of the film.
const LENGTH: &str = "upload-length";

/// What is asked for about films.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/films.json", get(list))
        .route("/films", post(add))
        .route("/films/{id}", get(offset).head(offset).post(rename).patch(append).delete(remove))
        .layer(DefaultBodyLimit::max(limits::WORD))
}

/// Why a request about films is not answered.
pub(crate) enum Denied {
    Film(Refusal),
    Web(Error),
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self::Film(refusal)
    }
}

impl From<Error> for Denied {
    fn from(error: Error) -> Self {
        Self::Web(error)
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let refusal = match self {
            Self::Web(error) => return error.into_response(),
            Self::Film(refusal) => refusal,
        };
        let status = match &refusal {
            Refusal::NoSuch => StatusCode::NOT_FOUND,
            Refusal::NotYours => StatusCode::FORBIDDEN,
            Refusal::TooLarge(..) | Refusal::Beyond => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Empty | Refusal::Title | Refusal::Url(_) => StatusCode::BAD_REQUEST,
            Refusal::NoRoom(_) | Refusal::Full | Refusal::Disk(_) => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            Refusal::TooMany => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Offset(_) | Refusal::Displaced => StatusCode::CONFLICT,
        };
        let mut response = (status, format!("{refusal}\n")).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Refusal::Offset(here) = refusal {
            headers.insert(OFFSET, here.into());
        }
        response
    }
}

/// The films of this site, if any can be added.
fn films(shared: &Shared) -> Result<Films, Denied> {
    let none = || Error::Missing("this relay takes no films: it has no --films".to_owned());
    Ok(shared.films.clone().ok_or_else(none)?)
}

/// Who asks, if they have added something before.
fn may(visitor: &Visitor, headers: &HeaderMap) -> Result<Owner, Denied> {
    if !is_ours(headers) {
        return Err(Error::Foreign.into());
    }
    // Nobody else's films are theirs, whatever they say.
    Ok(adder::owner(visitor, headers).unwrap_or_else(|| Owner("nobody".to_owned())))
}

fn id(text: &str) -> Result<FilmId, Denied> {
    text.parse().map_err(|()| Refusal::NoSuch.into())
}

/// On a thread that may wait for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Denied> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.unwrap_or_else(|error| Err(Refusal::Disk(std::io::Error::other(error))))?)
}

#[derive(Debug, Serialize)]
struct Listing {
    /// Largest film that is taken, bytes.
    most: u64,
    films: Vec<Line>,
}

/// `/films.json`: what is underway, and what the visitor added.
async fn list(
    State(shared): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response, Denied> {
    let films = films(&shared)?;
    let owner = adder::owner(&visitor, &headers);
    let listing = Listing { most: films.most(), films: films.list(owner.as_ref()) };
    let mut response = Json(listing).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// What somebody wants to add: a file of theirs, or what is at an address.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Add {
    File {
        name: String,
        size: u64,
        /// Tells it from other files of that name and size.
        #[serde(default)]
        mark: String,
    },
    Address {
        url: String,
    },
}

#[derive(Debug, Serialize)]
struct Begun {
    id: String,
    /// Bytes that are here.
    offset: u64,
}

/// What a body says.
fn said<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Denied> {
    let Json(what) = body.map_err(|rejection| Error::Wrong(rejection.body_text()))?;
    Ok(what)
}

/// `POST /films`: begins an upload, or finds the one that was begun; or fetches from an address.
async fn add(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Result<Json<Add>, JsonRejection>,
) -> Result<Response, Denied> {
    let films = films(&shared)?;
    may(&visitor, &headers)?;
    let (owner, cookie) = adder::known_from_now_on(&visitor, &headers);
    let from: IpAddr = peer.ip().to_canonical();
    let begun = match said(body)? {
        Add::File { name, size, mark } => {
            let wish = Wish { name, size, mark };
            blocking(move || films.begin(&owner, from, &wish)).await?
        }
        Add::Address { url } => (blocking(move || films.fetch(&owner, from, &url)).await?, 0),
    };
    let begun = Begun { id: begun.0.to_string(), offset: begun.1 };
    let mut response = (StatusCode::CREATED, Json(&begun)).into_response();
    let headers = response.headers_mut();
    if let Ok(place) = HeaderValue::try_from(format!("/films/{}", begun.id)) {
        headers.insert(header::LOCATION, place);
    }
    headers.extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
    Ok(response)
}

/// `HEAD /films/ID`: how much of an upload is here.
async fn offset(
    State(shared): State<Shared>,
    Path(film): Path<String>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response, Denied> {
    let (films, owner) = (films(&shared)?, may(&visitor, &headers)?);
    let (here, all) = films.offset(id(&film)?, &owner).await?;
    Ok(at(StatusCode::OK, here, Some(all)))
}

fn at(status: StatusCode, here: u64, all: Option<u64>) -> Response {
    let mut response = status.into_response();
    let headers = response.headers_mut();
    headers.insert(OFFSET, here.into());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(all.map(|all| (header::HeaderName::from_static(LENGTH), all.into())));
    response
}

/// `PATCH /films/ID`: adds bytes where the upload is. What came stays, however the request ends.
async fn append(
    State(shared): State<Shared>,
    Path(film): Path<String>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Denied> {
    let (films, owner) = (films(&shared)?, may(&visitor, &headers)?);
    let offset = headers.get(OFFSET).and_then(|offset| offset.to_str().ok()?.parse().ok());
    let offset = offset.ok_or_else(|| {
        Error::Wrong("say with Upload-Offset how much of the film is here".to_owned())
    })?;
    let mut writer = films.write(id(&film)?, &owner, offset).await?;
    let mut chunks = body.into_data_stream();
    loop {
        let chunk: Option<Result<Bytes, axum::Error>> = tokio::select! {
            chunk = timeout(limits::UPLOAD_IDLE, chunks.next()) => chunk.map_err(|_| {
                Error::Unavailable("nothing came for too long; go on with it".to_owned())
            })?,
            displaced = writer.displaced() => return Err(displaced.into()),
            () = shared.node.stopped() => {
                let away = "this relay is shutting down; go on when it is back".to_owned();
                return Err(Error::Unavailable(away).into());
            }
        };
        match chunk {
            Some(Ok(bytes)) => writer.append(bytes).await?,
            // Who sent it does not hear this.
            Some(Err(_)) => {
                return Err(Error::Unavailable("the connection broke".to_owned()).into());
            }
            None => break,
        }
    }
    Ok(at(StatusCode::NO_CONTENT, writer.finish().await?, None))
}

#[derive(Debug, Deserialize)]
struct Rename {
    title: String,
}

/// `POST /films/ID`: calls a film otherwise.
async fn rename(
    State(shared): State<Shared>,
    Path(film): Path<String>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Result<Json<Rename>, JsonRejection>,
) -> Result<StatusCode, Denied> {
    let (films, owner, film) = (films(&shared)?, may(&visitor, &headers)?, id(&film)?);
    let title = said(body)?.title;
    blocking(move || films.rename(film, &owner, &title)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /films/ID`: removes a film, or ends what is underway.
async fn remove(
    State(shared): State<Shared>,
    Path(film): Path<String>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<StatusCode, Denied> {
    let (films, owner, film) = (films(&shared)?, may(&visitor, &headers)?, id(&film)?);
    blocking(move || films.remove(film, &owner)).await?;
    Ok(StatusCode::NO_CONTENT)
}
