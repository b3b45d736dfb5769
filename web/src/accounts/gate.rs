//! Every request: whether it comes from a page of ours, who asks, and whether that may be answered.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt;

use super::cookie::{self, Token};
use super::visitor::Proof;
use super::{Accounts, Policy, Visitor, now_s};
use crate::error::Error;
use crate::origin::is_ours;
use crate::{Shared, limits};

/// Lets a request in, with its [`Visitor`].
pub(crate) async fn gate(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    if changes_something(&parts.method) && !is_ours(&parts.headers) {
        return Error::Foreign.into_response();
    }
    let Some(accounts) = &shared.accounts else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    let closed = accounts.policy() == Policy::Required && !is_open(parts.uri.path());
    let (visitor, renewed) = match accounts.let_in(&parts, closed).await {
        Ok(known) => known,
        Err(Error::LogIn) => return log_in_first(&parts.headers),
        Err(error) => return error.into_response(),
    };
    parts.extensions.insert(visitor.clone());
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let Some(cookie) = renewed {
        // Before what the handler says: a log-out counts.
        let said = response.headers_mut().entry(header::SET_COOKIE);
        said.or_insert(cookie);
    }
    if closed { ending_with(visitor, response) } else { response }
}

fn changes_something(method: &Method) -> bool {
    ![Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

/// The page and what one needs to log in; all else is closed where an account is required.
fn is_open(path: &str) -> bool {
    ["/", "/account.json"].contains(&path)
        || ["/page/", "/account/"].iter().any(|folder| path.starts_with(folder))
}

/// Whether a browser that was logged in asks for what is not the same for everybody.
fn is_somebodys(asked: &Parts) -> bool {
    let path = asked.uri.path();
    let is_page = path == "/" || path.starts_with("/page/");
    Token::of(&asked.headers).is_some() && !is_page && !is_for_programs(asked)
}

/// Where programs may give name and password with each request.
fn is_for_programs(asked: &Parts) -> bool {
    let path = asked.uri.path();
    let watches = path == "/streams.json"
        || ["/streams/", "/movies/"].iter().any(|folder| path.starts_with(folder));
    watches && !changes_something(&asked.method)
}

/// The answer to who is not logged in. Browsers have the page for that: asked by this answer, they
/// would open a window of their own over it.
fn log_in_first(headers: &HeaderMap) -> Response {
    let mut response = Error::LogIn.into_response();
    let agent = headers.get(header::USER_AGENT).map_or(&b""[..], HeaderValue::as_bytes);
    if !agent.starts_with(b"Mozilla/") {
        let challenge = HeaderValue::from_static("Basic realm=\"instep\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// An answer without end is over when its reader is logged in no more.
fn ending_with(visitor: Visitor, response: Response) -> Response {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    let over = Box::pin(async move { visitor.over().await });
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(over)))
}

/// Where a request comes from.
pub(super) fn address(extensions: &Extensions) -> IpAddr {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |ConnectInfo(peer)| peer.ip())
}

impl Accounts {
    /// As [`Self::who`]; nobody for what is everybody's, where it cannot be told.
    async fn let_in(
        &self,
        asked: &Parts,
        closed: bool,
    ) -> Result<(Visitor, Option<HeaderValue>), Error> {
        let (visitor, renewed) = match self.who(asked).await {
            Ok(known) => known,
            Err(Error::Refused(_)) if closed => return Err(Error::LogIn),
            Err(error) if closed => return Err(error),
            // Who cannot be looked up now is not nobody: what they make would be nobody's for good.
            Err(error @ Error::Unavailable(_)) if is_somebodys(asked) => return Err(error),
            // What everybody may have, one gets with a wrong password and without a database, too.
            Err(_) => Default::default(),
        };
        if closed && visitor.id().is_none() { Err(Error::LogIn) } else { Ok((visitor, renewed)) }
    }

    /// Who asks; and the cookie again, where it is to last longer.
    async fn who(&self, asked: &Parts) -> Result<(Visitor, Option<HeaderValue>), Error> {
        let headers = &asked.headers;
        if let Some((name, token)) = Token::of(headers) {
            let now_s = now_s();
            if let Some(session) = self.0.store.session(&token.hash(), now_s).await? {
                let is_due = now_s - session.used_s >= limits::SESSION_TOUCH_S;
                let renewed = if is_due {
                    self.0.store.touch(&token.hash(), now_s).await?;
                    // Under the name it has: browsers say no `Origin` with most of what they ask.
                    cookie::set(name, Some(&token))
                } else {
                    None
                };
                let proof = Proof::Session(token.hash());
                return Ok((Visitor::new(self, session.id, session.name, proof), renewed));
            }
        }
        let Some((name, password)) = basic(headers).filter(|_| is_for_programs(asked)) else {
            return Ok((Visitor::default(), None));
        };
        let account = self.prove_again(&name, &password, address(&asked.extensions)).await?;
        let proof = Proof::Password(account.password);
        Ok((Visitor::new(self, account.id, account.name, proof), None))
    }
}

/// Name and password as programs give them (RFC 7617).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, coded) = given.split_once(' ')?;
    let decoded =
        scheme.eq_ignore_ascii_case("basic").then(|| BASE64_STANDARD.decode(coded.trim()));
    let text = String::from_utf8(decoded?.ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::cookie::Name;
    use super::*;

    #[test]
    fn nothing_but_the_page_is_open() {
        for open in ["/", "/page/main.js", "/account.json", "/account/log-in"] {
            assert!(is_open(open), "{open}");
        }
        for closed in
            ["", "//", "/streams.json", "/socket", "/pages", "/api", "/%2e/", "/account", "/PAGE/"]
        {
            assert!(!is_open(closed), "{closed}");
        }
    }

    #[test]
    fn names_and_passwords_of_programs_are_read() {
        let of = |given: &str| {
            let value = HeaderValue::try_from(given).expect("a value");
            basic(&HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
        };
        let ana = Some(("Ana".to_owned(), "a:b".to_owned()));
        assert_eq!(of("Basic QW5hOmE6Yg=="), ana);
        assert_eq!(of("basic QW5hOmE6Yg=="), ana);
        for bad in ["", "Basic", "Basic !", "Bearer QW5hOmE6Yg==", "Basic QW5h", "Basic /w=="] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    /// Accounts, a session of Ana's, and what keeps their file there.
    async fn with_session(policy: Policy) -> (Accounts, Token, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let place = super::super::Place::File(folder.path().join("accounts"));
        let accounts = Accounts::open(place, policy).await.expect("a file");
        let store = &accounts.0.store;
        let ana = store.make("Ana", "ana", "hash", 0).await.expect("asked").expect("is new");
        let token = Token::random();
        assert!(store.begin(&ana, &token.hash(), now_s()).await.expect("asked"));
        (accounts, token, folder)
    }

    fn asked(method: Method, path: &str, cookie: HeaderValue) -> Parts {
        let request = Request::builder().method(method).uri(path).header(header::COOKIE, cookie);
        request.body(Body::empty()).expect("a request").into_parts().0
    }

    #[tokio::test]
    async fn a_session_that_is_used_lasts_under_its_name() {
        let (accounts, token, _folder) = with_session(Policy::Required).await;
        let store = &accounts.0.store;
        let age = format!("Max-Age={}", limits::SESSION.as_secs());
        for (name, start, end) in [
            (Name::Plain, "session=", "SameSite=Strict"),
            (Name::Secure, "__Host-session=", "SameSite=Strict; Secure"),
        ] {
            store.touch(&token.hash(), now_s()).await.expect("asked");
            let parts = asked(Method::GET, "/", cookie::set(name, Some(&token)).expect("a cookie"));
            let (visitor, renewed) = accounts.who(&parts).await.expect("asked");
            assert_eq!((visitor.name(), renewed), (Some("Ana"), None), "it was used just now");
            let before = now_s() - limits::SESSION_TOUCH_S;
            store.touch(&token.hash(), before).await.expect("asked");
            let (_, renewed) = accounts.who(&parts).await.expect("asked");
            let renewed = renewed.expect("the cookie lasts longer, too");
            let renewed = renewed.to_str().expect("text");
            assert!(renewed.starts_with(start) && renewed.ends_with(end), "{renewed}");
            assert!(renewed.contains(&age), "{renewed}");
            let session = store.session(&token.hash(), now_s()).await.expect("asked");
            assert!(session.expect("is there").used_s > before);
        }
    }

    #[tokio::test]
    async fn nobody_is_nobody_because_the_database_is_away() {
        let (accounts, token, _folder) = with_session(Policy::Optional).await;
        let cookie = || cookie::set(Name::Plain, Some(&token)).expect("a cookie");
        let made = asked(Method::PATCH, "/films/x", cookie());
        let (visitor, _) = accounts.let_in(&made, false).await.expect("is let in");
        assert_eq!(visitor.name(), Some("Ana"));
        accounts.0.store.close().await;
        for (method, path) in [
            (Method::PATCH, "/films/x"),
            (Method::POST, "/films"),
            (Method::GET, "/films.json"),
            (Method::GET, "/account.json"),
            (Method::GET, "/socket"),
        ] {
            let let_in = accounts.let_in(&asked(method.clone(), path, cookie()), false).await;
            assert!(matches!(let_in, Err(Error::Unavailable(_))), "{path}");
            let other = HeaderValue::from_static("session=x; films=y");
            let let_in = accounts.let_in(&asked(method, path, other), false).await;
            assert!(let_in.is_ok(), "{path} of who has no session");
        }
        for path in ["/", "/page/main.js", "/streams.json", "/streams/door.mp4", "/movies/a.json"] {
            let watched = asked(Method::GET, path, cookie());
            assert!(accounts.let_in(&watched, false).await.is_ok(), "{path}");
            let closed = accounts.let_in(&watched, true).await;
            assert!(matches!(closed, Err(Error::Unavailable(_))), "{path}");
        }
    }
}
