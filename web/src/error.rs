//! What goes wrong, for people and for programs.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use proto::CloseCode;
use proto::conn::ConnError;

/// Why something that was asked for is not given. One sentence each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such thing here (404).
    #[error("{0}")]
    Missing(String),
    /// What was asked for makes no sense (400).
    #[error("{0}")]
    Wrong(String),
    /// It cannot be had now; asking later may help (503).
    #[error("{0}")]
    Unavailable(String),
    /// A range beyond the end of so many bytes (416).
    #[error("the range lies behind the end, at byte {0}")]
    Range(u64),
    /// Only for who is logged in (401).
    #[error("log in first; programs give name and password (HTTP Basic)")]
    LogIn,
    /// It may not be, by who asks (403).
    #[error("{0}")]
    Refused(String),
    /// Somebody else has it (409).
    #[error("{0}")]
    Conflict(String),
    /// Asked for too often (429).
    #[error("{0}")]
    TooMany(String),
    /// Asked for by a page of another site (403).
    #[error("this is for pages of this relay; yours came from another site")]
    Foreign,
}

impl Error {
    /// No stream has that name, or nothing of it is of the kind that was asked for.
    pub(crate) fn no_such(name: &str) -> Self {
        Self::Missing(format!("there is no '{name}' here; /streams.json lists what there is"))
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Wrong(_) => StatusCode::BAD_REQUEST,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Range(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::LogIn => StatusCode::UNAUTHORIZED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Foreign | Self::Refused(_) => StatusCode::FORBIDDEN,
        }
    }
}

impl From<ConnError> for Error {
    fn from(error: ConnError) -> Self {
        let sentence = error.to_string();
        match error {
            ConnError::Closed { code: Some(CloseCode::NoSuchStream), .. } => {
                Self::Missing(sentence)
            }
            _ => Self::Unavailable(sentence),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = (self.status(), format!("{self}\n")).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Self::Range(bytes) = self
            && let Ok(value) = HeaderValue::try_from(format!("bytes */{bytes}"))
        {
            headers.insert(header::CONTENT_RANGE, value);
        }
        response
    }
}
