//! Accounts by HTTP, for the page: JSON in, JSON out. See docs/ACCOUNTS.md.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use proto::room::RoomCode;
use serde::{Deserialize, Serialize};

use super::asked::{self, Asked};
use super::cookie::{self, Name, Token};
use super::rules::{check_name, check_password, fold};
use super::store::{Account, NotMade};
use super::{Accounts, Policy, Visitor, now_s};
use crate::Shared;
use crate::error::Error;

/// A name and a password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Names {
    name: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    password: String,
    new: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirm {
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    room: String,
}

/// Who somebody is here.
#[derive(Serialize)]
struct Who<'a> {
    /// `off`, `optional` or `required`.
    accounts: &'static str,
    /// `None`: not logged in.
    name: Option<&'a str>,
}

/// A room of theirs.
#[derive(Serialize)]
struct OwnRoom {
    code: String,
    stream: String,
    members: Vec<String>,
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/account.json", get(who))
        .route("/account/register", post(register))
        .route("/account/log-in", post(log_in))
        .route("/account/log-out", post(log_out))
        .route("/account/password", post(change))
        .route("/account/delete", post(delete))
        .route("/account/rooms.json", get(rooms))
        .route("/account/close-room", post(close_room))
        .layer(asked::bounds())
}

/// What is said of an account is for nobody else, and not for long.
fn told(visitor_name: Option<&str>, accounts: Option<&Accounts>) -> Response {
    let accounts = match accounts.map(Accounts::policy) {
        None => "off",
        Some(Policy::Optional) => "optional",
        Some(Policy::Required) => "required",
    };
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (headers, Json(Who { accounts, name: visitor_name })).into_response()
}

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn kept(shared: &Shared) -> Result<&Accounts, Error> {
    let none = || Error::Missing("there are no accounts here".to_owned());
    shared.accounts.as_ref().ok_or_else(none)
}

/// The account of who is logged in.
async fn of(accounts: &Accounts, visitor: &Visitor) -> Result<Account, Error> {
    let id = visitor.id().ok_or(Error::LogIn)?;
    accounts.0.store.by_id(id).await?.ok_or(Error::LogIn)
}

async fn who(State(shared): State<Shared>, visitor: Visitor) -> Response {
    told(visitor.name(), shared.accounts.as_ref())
}

async fn register(
    State(shared): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    asked: Asked<Names>,
) -> Result<Response, Error> {
    let accounts = kept(&shared)?;
    let Names { name, password } = asked.what;
    let wrong = |why: &str| Error::Wrong(why.to_owned());
    check_name(&name).map_err(wrong)?;
    check_password(&name, &password).map_err(wrong)?;
    accounts.registers(asked.from)?;
    let turn = accounts.0.passwords.turn().await?;
    let hash = turn.hash(password).await?;
    drop(turn);
    let made = accounts.0.store.make(&name, &fold(&name), &hash, now_s()).await?;
    let account = made.map_err(|why| match why {
        NotMade::Taken => Error::Conflict(format!("'{name}' is taken; choose another name")),
        NotMade::Full => Error::Unavailable("no more accounts fit in here".to_owned()),
    })?;
    begin(accounts, &visitor, &account, &headers).await
}

async fn log_in(
    State(shared): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    asked: Asked<Names>,
) -> Result<Response, Error> {
    let accounts = kept(&shared)?;
    let Names { name, password } = asked.what;
    let account = accounts.prove(&name, &password, asked.from).await?;
    begin(accounts, &visitor, &account, &headers).await
}

/// A new session; what the browser had before is worth nothing any more, whoever gave it that.
async fn begin(
    accounts: &Accounts,
    visitor: &Visitor,
    account: &Account,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    end(accounts, visitor).await?;
    let token = Token::random();
    if !accounts.0.store.begin(account, &token.hash(), now_s()).await? {
        let reason = "the password was changed at this moment; log in with the new one";
        return Err(Error::Refused(reason.to_owned()));
    }
    let cookie = cookie::set(Name::of_page(headers), Some(&token));
    Ok(with_cookie(told(Some(&account.name), Some(accounts)), cookie))
}

/// Ends the session of this browser.
async fn end(accounts: &Accounts, visitor: &Visitor) -> Result<(), Error> {
    if let (Some(token), Some(id)) = (visitor.session(), visitor.id()) {
        accounts.0.store.end(token).await?;
        accounts.said_ended(id);
    }
    Ok(())
}

async fn log_out(
    State(shared): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    _: Asked<Nothing>,
) -> Result<Response, Error> {
    let accounts = kept(&shared)?;
    end(accounts, &visitor).await?;
    Ok(with_cookie(told(None, Some(accounts)), cookie::set(Name::of_page(&headers), None)))
}

async fn change(
    State(shared): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    asked: Asked<Change>,
) -> Result<Response, Error> {
    let accounts = kept(&shared)?;
    let name = of(accounts, &visitor).await?.name;
    let Change { password, new } = asked.what;
    check_password(&name, &new).map_err(|why| Error::Wrong(why.to_owned()))?;
    let account = accounts.prove(&name, &password, asked.from).await?;
    let hash = accounts.0.passwords.turn().await?.hash(new).await?;
    if !accounts.0.store.set_password(&account, &hash).await? {
        let reason = "the password was changed elsewhere at this moment; log in with that one";
        return Err(Error::Refused(reason.to_owned()));
    }
    accounts.said_ended(account.id);
    begin(accounts, &visitor, &Account { password: hash, ..account }, &headers).await
}

async fn delete(
    State(shared): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    asked: Asked<Confirm>,
) -> Result<Response, Error> {
    let accounts = kept(&shared)?;
    let name = of(accounts, &visitor).await?.name;
    let account = accounts.prove(&name, &asked.what.password, asked.from).await?;
    accounts.0.store.delete(account.id).await?;
    accounts.said_ended(account.id);
    Ok(with_cookie(told(None, Some(accounts)), cookie::set(Name::of_page(&headers), None)))
}

/// The rooms of who is logged in that are on this relay.
async fn rooms(State(shared): State<Shared>, visitor: Visitor) -> Result<Response, Error> {
    let accounts = kept(&shared)?;
    let id = visitor.id().ok_or(Error::LogIn)?;
    let codes = accounts.0.store.owned(id).await?;
    let codes = codes.iter().filter_map(|code| code.parse::<RoomCode>().ok());
    let there = codes.filter_map(|code| shared.node.rooms()?.find(code));
    let line = |line: proto::room::RoomLine| OwnRoom {
        code: line.code.to_string(),
        stream: line.stream,
        members: line.members,
    };
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((headers, Json(there.map(line).collect::<Vec<_>>())).into_response())
}

async fn close_room(
    State(shared): State<Shared>,
    visitor: Visitor,
    asked: Asked<Which>,
) -> Result<Response, Error> {
    let accounts = kept(&shared)?;
    let id = visitor.id().ok_or(Error::LogIn)?;
    let none = || Error::Missing("none of your rooms has that code".to_owned());
    let code: RoomCode = asked.what.room.parse().map_err(|_| none())?;
    if !accounts.owns(id, &code.to_string()).await? {
        return Err(none());
    }
    if let Some(rooms) = shared.node.rooms() {
        rooms.close(code, &format!("{} closed the room", visitor.name().unwrap_or_default()));
    }
    accounts.0.store.forget(&code.to_string()).await?;
    Ok(Json(serde_json::json!({})).into_response())
}

impl Accounts {
    /// Whoever waits for the end of a session of theirs looks again.
    fn said_ended(&self, account: super::AccountId) {
        // Nobody may be waiting.
        let _ = self.0.ended.send(account);
    }
}
