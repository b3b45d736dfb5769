//! The page: files that are part of the program, and what browsers are told about all answers.

use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::error::Error;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Each file by its name in an address.
macro_rules! files {
    ($($name:literal $kind:expr),* $(,)?) => {
        &[$(($name, $kind, include_str!(concat!("../page/", $name)))),*]
    };
}

static FILES: &[(&str, &str, &str)] = files! {
    "index.html" HTML,
    "api.html" HTML,
    "style.css" STYLE,
    "icon.svg" "image/svg+xml",
    "api.json" "application/json",
    "api.js" SCRIPT,
    "main.js" SCRIPT,
    "account.js" SCRIPT,
    "account-form.js" SCRIPT,
    "own-rooms.js" SCRIPT,
    "catalogue.js" SCRIPT,
    "add.js" SCRIPT,
    "upload.js" SCRIPT,
    "watch.js" SCRIPT,
    "controls.js" SCRIPT,
    "cues.js" SCRIPT,
    "preview.js" SCRIPT,
    "subtitles.js" SCRIPT,
    "live.js" SCRIPT,
    "recorded.js" SCRIPT,
    "source.js" SCRIPT,
    "canvas.js" SCRIPT,
    "playout.js" SCRIPT,
    "text.js" SCRIPT,
    "clock.js" SCRIPT,
    "follow.js" SCRIPT,
    "lines.js" SCRIPT,
    "seat.js" SCRIPT,
    "screen.js" SCRIPT,
    "own.js" SCRIPT,
    "together.js" SCRIPT,
    "youtube.js" SCRIPT,
    "sealed.js" SCRIPT,
    "noble.js" SCRIPT,
    "door.js" SCRIPT,
    "panel.js" SCRIPT,
    "room.js" SCRIPT,
};

fn file(name: &str) -> Result<Response, Error> {
    let found = FILES.iter().find(|(there, ..)| *there == name);
    let (_, kind, content) =
        found.ok_or_else(|| Error::Missing(format!("there is no '{name}' here")))?;
    // Looked for anew each time: a relay that was updated has another page.
    let headers = [(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, *content).into_response())
}

/// `/`.
pub(crate) async fn start() -> Result<Response, Error> {
    file("index.html")
}

/// `/api`.
pub(crate) async fn api() -> Result<Response, Error> {
    file("api.html")
}

/// `/page/NAME`.
pub(crate) async fn named(Path(name): Path<String>) -> Result<Response, Error> {
    file(&name)
}

/// Nothing from elsewhere, nothing inline, nowhere else framed; `blob:` is what the page itself made.
/// YouTube's player may be framed: the page does so where a room watches a video there, after a click.
const POLICY: &str = "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; \
    frame-src https://www.youtube-nocookie.com; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Adds what every answer says.
pub(crate) async fn guard(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
