//! The body of a request: JSON of a page, bounded in length and time.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::gate::address;
use crate::error::Error;
use crate::limits;

/// What was asked, and from where.
pub(super) struct Asked<T> {
    pub(super) what: T,
    pub(super) from: std::net::IpAddr,
}

/// Bounds the bodies of a route.
pub(crate) fn bounds() -> DefaultBodyLimit {
    DefaultBodyLimit::max(limits::WORD)
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Asked<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let from = address(request.extensions());
        let read = timeout(limits::HEAD_TIME, Json::<T>::from_request(request, state)).await;
        let late = |_| Error::Wrong("the request did not come in time".to_owned());
        match read.map_err(late)? {
            Ok(Json(what)) => Ok(Self { what, from }),
            Err(JsonRejection::MissingJsonContentType(_)) => {
                Err(Error::Wrong("say it as application/json".to_owned()))
            }
            Err(rejection) => Err(Error::Wrong(rejection.body_text())),
        }
    }
}
