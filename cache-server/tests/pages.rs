//! Rooms as pages speak of them: the same rooms as those of other viewers.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{Member, Relay, enter, say};
use futures_util::{SinkExt, StreamExt};
use proto::Message;
use proto::room::{Going, Remote, What, Words};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Longer than anything here takes: only a hang meets it.
const PATIENCE: Duration = Duration::from_secs(20);

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("still waiting")
}

/// A page's WebSocket.
struct Page(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Page {
    async fn open(address: SocketAddr) -> Self {
        let connecting = connect_async(format!("ws://{address}/socket"));
        Self(within(connecting).await.expect("a socket").0)
    }

    async fn say(&mut self, word: Value) {
        self.0.send(Frame::text(word.to_string())).await.expect("it is open");
    }

    /// The next word of that kind; others are passed over.
    async fn hears(&mut self, kind: &str) -> Value {
        self.hears_that(kind, |_| true).await
    }

    async fn hears_that(&mut self, kind: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let waiting = async {
            loop {
                let frame = self.0.next().await.expect("it is open").expect("a message");
                let Frame::Text(text) = frame else { continue };
                let word: Value = serde_json::from_str(&text).expect("JSON");
                if word["say"] == kind && wanted(&word) {
                    return word;
                }
            }
        };
        within(waiting).await
    }

    async fn reports(&mut self, epoch: &Value) {
        let (buffered_us, off_us, round_trip_us) = (5_000_000, -1_500, 900);
        self.say(json!({
            "say": "report", "epoch": epoch, "ready": true, "buffered_us": buffered_us,
            "off_us": off_us, "round_trip_us": round_trip_us,
        }))
        .await;
    }
}

/// A room of "film" that a page made.
async fn room(page: &mut Page, more: Value) -> Value {
    let mut word = json!({"say": "create", "stream": "film", "name": "Ana"});
    for (key, value) in more.as_object().expect("an object") {
        word[key] = value.clone();
    }
    page.say(word).await;
    page.hears("entered").await
}

fn code(entered: &Value) -> String {
    entered["code"].as_str().expect("a code").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_and_a_viewer_are_in_one_room() {
    let relay = Relay::start().await;
    let mut ana = Page::open(relay.page()).await;
    let entered = room(&mut ana, json!({})).await;
    assert_eq!((&entered["stream"], &entered["copy"]), (&json!("film"), &json!("stream")));
    assert_eq!(entered["timeline"]["going"], "waiting");
    let mut ben = Member::dial(&relay).await;
    let ask = enter(code(&entered).parse().expect("a code"), "Ben");
    ben.enters(Message::EnterRoom(ask)).await;
    let both = |word: &Value| word["members"].as_array().is_some_and(|all| all.len() == 2);
    let members = ana.hears_that("members", both).await;
    assert_eq!(
        (&members["members"][1]["name"], &members["host"]),
        (&json!("Ben"), &entered["you"])
    );

    ana.reports(&entered["timeline"]["epoch"]).await;
    ben.report(true).await;
    let plays = ana.hears_that("timeline", |word| word["timeline"]["going"] == "playing").await;
    let with_ben = ben.timeline(|timeline| timeline.going == Going::Playing).await;
    assert_eq!(plays["timeline"]["anchor_us"], with_ben.anchor_us.0, "the same moment for both");
    ana.say(json!({"say": "remote", "deed": "seek", "to": 90_000_000})).await;
    let sought = ben.timeline(|timeline| timeline.position_us == 90_000_000).await;
    assert!(sought.going != Going::Paused);
    ben.write(Message::Remote(Remote::Pause)).await;
    ana.hears_that("timeline", |word| word["timeline"]["going"] == "paused").await;

    ben.write(say("<i>hello</i>")).await;
    let hello = |word: &Value| word["lines"].as_array().is_some_and(|l| l[0]["what"] == "said");
    let lines = ana.hears_that("lines", hello).await;
    assert_eq!(lines["lines"][0]["text"], "<i>hello</i>");
    ana.say(json!({"say": "line", "position_us": 7, "text": "hello Ben"})).await;
    ana.say(json!({"say": "react", "position_us": 8, "sign": "clap"})).await;
    loop {
        let lines = ben.lines(1).await;
        let is_hers = |text: &str| text == "hello Ben";
        let said = |what: &What| matches!(what, What::Said(Words::Plain(text)) if is_hers(text));
        if lines.iter().any(|line| line.who == "Ana" && said(&line.what)) {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_comes_back_with_its_token_and_leaves() {
    let relay = Relay::start().await;
    let address = relay.page();
    let mut ana = Page::open(address).await;
    let entered = room(&mut ana, json!({"pin": "4711"})).await;
    drop(ana);
    let mut again = Page::open(address).await;
    let enter = json!({
        "say": "enter", "code": entered["code"], "name": "Ana", "token": entered["token"],
    });
    again.say(enter).await;
    let back = again.hears("entered").await;
    assert_eq!((&back["you"], &back["pin"]), (&entered["you"], &json!(true)));
    again.say(json!({"say": "leave"})).await;
    let left = again.hears("left").await;
    assert_eq!(left, json!({"say": "left", "for_good": false, "reason": ""}));
    // The connection may enter a room again.
    room(&mut again, json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_a_sentence_and_the_connection_goes_on() {
    let relay = Relay::start().await;
    let address = relay.page();
    let mut ana = Page::open(address).await;
    let entered = room(&mut ana, json!({"pin": "4711", "control": "host"})).await;
    let mut ben = Page::open(address).await;
    let enter = |name: &str, pin: Value| json!({"say": "enter", "code": entered["code"], "name": name, "pin": pin});
    for (word, why) in [
        (json!({"say": "enter", "code": "no code", "name": "Ben"}), "unfit"),
        (enter("", json!("4711")), "unfit"),
        (enter("Ben", json!(null)), "wrong_pin"),
        (enter("Ben", json!("1234")), "wrong_pin"),
        (enter("Ana", json!("4711")), "name_taken"),
        (json!({"say": "create", "stream": "none", "name": "Ben"}), "no_such_stream"),
    ] {
        ben.say(word).await;
        let refused = ben.hears("refused").await;
        assert_eq!(refused["why"], why, "{refused}");
        assert!(refused["reason"].as_str().is_some_and(|reason| reason.len() > 10), "{refused}");
    }
    ben.say(enter("Ben", json!("4711"))).await;
    ben.hears("entered").await;
    ben.say(json!({"say": "remote", "deed": "pause"})).await;
    assert_eq!(ben.hears("refused").await["why"], "not_host");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_knocks_and_its_host_opens_or_sends_away() {
    let relay = Relay::start().await;
    let address = relay.page();
    let mut ana = Page::open(address).await;
    let entered = room(&mut ana, json!({"approve": true})).await;
    for (deed, name, heard) in [("turnaway", "Eve", "refused"), ("admit", "Ben", "entered")] {
        let mut guest = Page::open(address).await;
        guest.say(json!({"say": "enter", "code": entered["code"], "name": name})).await;
        guest.hears("knocking").await;
        let named = |word: &Value| word["knocks"][0]["name"] == name;
        let knocks = ana.hears_that("knocks", named).await;
        ana.say(json!({"say": "act", "deed": deed, "whom": knocks["knocks"][0]["id"]})).await;
        let answer = guest.hears(heard).await;
        if heard == "entered" {
            ana.say(json!({"say": "act", "deed": "kick", "whom": answer["you"]})).await;
            let left = guest.hears("left").await;
            assert!(left["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{left}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_of_a_page_are_counted_by_its_address_with_those_of_others() {
    let relay = Relay::start().await;
    let address = relay.page();
    // Each on a connection of its own, or waiting for the slow answers would take a minute.
    let guess = json!({"say": "enter", "code": "2222222222", "name": "Eve"});
    let mut guessing = Vec::new();
    for _ in 0..10 {
        let guess = guess.clone();
        guessing.push(tokio::spawn(async move {
            let mut eve = Page::open(address).await;
            eve.say(guess).await;
            eve.hears("refused").await["why"].clone()
        }));
    }
    for guess in guessing {
        let why = within(guess).await.expect("it ends");
        assert!(why == "unknown_room" || why == "too_many_tries", "{why}");
    }
    let mut eve = Page::open(address).await;
    eve.say(guess).await;
    assert_eq!(eve.hears("refused").await["why"], "too_many_tries");
    let mut viewer = Member::dial(&relay).await;
    let unknown = "3333333333".parse().expect("a code");
    let refused = viewer.refused(Message::EnterRoom(enter(unknown, "Eve"))).await;
    assert_eq!(refused.why, proto::room::Refusal::TooManyTries);
}

async fn get(address: SocketAddr, path: &str) -> (String, String) {
    let mut socket = TcpStream::connect(address).await.expect("a page");
    let head = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.expect("written");
    let mut all = String::new();
    within(socket.read_to_string(&mut all)).await.expect("read");
    let (head, body) = all.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn open_rooms_are_listed_and_private_ones_are_not() {
    let relay = Relay::start().await;
    let address = relay.page();
    assert_eq!(get(address, "/rooms.json").await.1, "[]");
    let mut ana = Page::open(address).await;
    let entered = room(&mut ana, json!({"pin": "4711"})).await;
    let mut ben = Page::open(address).await;
    room(&mut ben, json!({"private": true})).await;
    let rooms: Value = serde_json::from_str(&get(address, "/rooms.json").await.1).expect("JSON");
    assert_eq!(rooms.as_array().map(Vec::len), Some(1));
    assert_eq!(rooms[0]["code"], entered["code"]);
    assert_eq!((&rooms[0]["pin"], &rooms[0]["members"]), (&json!(true), &json!(["Ana"])));
    assert_eq!(get(Relay::without_rooms().await.page(), "/rooms.json").await.1, "null");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_rooms_says_so() {
    let relay = Relay::without_rooms().await;
    let mut ana = Page::open(relay.page()).await;
    ana.say(json!({"say": "create", "stream": "film", "name": "Ana"})).await;
    assert_eq!(ana.hears("refused").await["why"], "no_rooms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_becomes_a_code_to_be_photographed() {
    let relay = Relay::start().await;
    let address = relay.page();
    let (head, body) = get(address, "/qr.svg?text=http%3A%2F%2Frelay%3A8080%2F%3Froom%3DA").await;
    assert!(head.starts_with("HTTP/1.0 200") && head.contains("image/svg+xml"), "{head}");
    assert!(body.starts_with("<svg ") && body.ends_with("</svg>") && !body.contains("relay"));
    let (head, _) = get(address, &format!("/qr.svg?text={}", "x".repeat(400))).await;
    assert!(head.starts_with("HTTP/1.0 400"), "{head}");
}
