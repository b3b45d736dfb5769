//! Rooms of people who are logged in on the page.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{Member, Relay, enter};
use futures_util::{SinkExt, StreamExt};
use proto::Message;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use web::accounts::{Accounts, Place, Policy};

/// Longer than anything here takes: only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(20);

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("still waiting")
}

/// Status, head and body of an answer.
async fn ask(site: SocketAddr, cookie: &str, path: &str, words: Option<Value>) -> (u16, String) {
    let mut socket = TcpStream::connect(site).await.expect("a site");
    let body = words.as_ref().map(Value::to_string).unwrap_or_default();
    let method = if words.is_some() { "POST" } else { "GET" };
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {site}\r\nCookie: {cookie}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).await.expect("it takes it");
    let mut answer = String::new();
    within(socket.read_to_string(&mut answer)).await.expect("text");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), answer)
}

/// Makes an account; the cookie of who is logged in.
async fn register(site: SocketAddr, name: &str) -> String {
    let words = json!({"name": name, "password": "correct horse"});
    let (status, answer) = ask(site, "", "/account/register", Some(words)).await;
    assert_eq!(status, 200, "{answer}");
    let set = answer.lines().find_map(|line| line.strip_prefix("set-cookie: "));
    set.and_then(|line| line.split(';').next()).expect("a cookie").to_owned()
}

async fn rooms(site: SocketAddr, cookie: &str) -> Value {
    let (status, answer) = ask(site, cookie, "/account/rooms.json", None).await;
    assert_eq!(status, 200, "{answer}");
    let body = answer.split_once("\r\n\r\n").expect("a body").1;
    serde_json::from_str(body).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_belongs_to_who_made_it_who_closes_it_from_anywhere() {
    let relay = Relay::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let place = Place::File(folder.path().join("accounts"));
    let accounts = Accounts::open(place, Policy::Optional).await.expect("a file");
    let accounts = Some(accounts);
    let site = relay.page_with(web::Options { accounts, ..web::Options::default() });
    let (ana, eve) = (register(site, "Ana").await, register(site, "Eve").await);

    let mut request = format!("ws://{site}/socket").into_client_request().expect("a request");
    request.headers_mut().insert("cookie", ana.parse().expect("a value"));
    let (mut page, _) = within(connect_async(request)).await.expect("a socket");
    let create = json!({"say": "create", "stream": "film", "name": "Ana", "private": true});
    page.send(Frame::text(create.to_string())).await.expect("it is open");
    let entered = loop {
        let frame = within(page.next()).await.expect("it is open").expect("a message");
        let Frame::Text(text) = frame else { continue };
        let word: Value = serde_json::from_str(&text).expect("JSON");
        if word["say"] == "entered" {
            break word;
        }
    };
    let code = entered["code"].as_str().expect("a code");
    let listed = async {
        // It is written down beside what is going on.
        while rooms(site, &ana).await.as_array().is_none_or(Vec::is_empty) {
            tokio::task::yield_now().await;
        }
    };
    within(listed).await;
    let line = json!({"code": code, "stream": "film", "members": ["Ana"]});
    assert_eq!(rooms(site, &ana).await, json!([line]));
    assert_eq!(rooms(site, &eve).await, json!([]));
    let close = Some(json!({"room": code}));
    for stranger in ["", eve.as_str()] {
        let (status, answer) = ask(site, stranger, "/account/close-room", close.clone()).await;
        assert!([401, 404].contains(&status), "{answer}");
    }

    // Another one comes in, and she goes: it is hers all the same.
    let mut ben = Member::dial(&relay).await;
    ben.enters(Message::EnterRoom(enter(code.parse().expect("a code"), "Ben"))).await;
    drop(page);
    assert_eq!(ask(site, &ana, "/account/close-room", close.clone()).await.0, 200);
    let reason = ben.hears(|message| match message {
        Message::LeftRoom(left) => Some(left.reason),
        _ => None,
    });
    assert_eq!(within(reason).await, "Ana closed the room");
    let gone = async {
        while rooms(site, &ana).await != json!([]) {
            tokio::task::yield_now().await;
        }
    };
    within(gone).await;
    assert_eq!(ask(site, &ana, "/account/close-room", close).await.0, 404);
}
