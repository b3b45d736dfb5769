//! What a page gets through its WebSocket.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod common;

use common::{Loop, Site, within};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message, http};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Page = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn page(site: &Site) -> Page {
    within(connect_async(format!("ws://{}/socket", site.address))).await.unwrap().0
}

async fn say(page: &mut Page, word: Value) {
    page.send(Message::text(word.to_string())).await.unwrap();
}

/// The next word; media on the way is collected.
async fn word(page: &mut Page, media: &mut Vec<Vec<u8>>) -> Value {
    loop {
        match within(page.next()).await.expect("it is open").expect("a message") {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Binary(bytes) => media.push(bytes.to_vec()),
            Message::Close(frame) => panic!("closed: {frame:?}"),
            _ => {}
        }
    }
}

async fn media(page: &mut Page) -> Vec<u8> {
    loop {
        if let Message::Binary(bytes) = within(page.next()).await.unwrap().unwrap() {
            return bytes.to_vec();
        }
    }
}

fn pts_us(message: &[u8]) -> i64 {
    i64::from_be_bytes(message[1..9].try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_gets_a_description_a_header_and_fragments_from_a_key_frame_on() {
    let site = Site::start().await;
    Loop::usual().play(&site.node, "door");
    let mut page = page(&site).await;
    say(&mut page, json!({"say": "watch", "stream": "door"})).await;
    let described = word(&mut page, &mut Vec::new()).await;
    assert_eq!((&described["say"], &described["width"]), (&json!("describe"), &json!(160)));
    let mime = described["mime"].as_str().unwrap();
    assert!(mime.starts_with("video/mp4; codecs=\"avc1.") && mime.ends_with(",opus\""), "{mime}");
    let header = media(&mut page).await;
    assert_eq!((header[0], &header[21..25]), (1, &b"ftyp"[..]));
    let first = media(&mut page).await;
    assert_eq!((first[0], &first[21..25]), (2, &b"moof"[..]));
    // A sync sample: it depends on no other.
    let trun = first.windows(4).position(|four| four == b"trun").unwrap();
    assert_eq!(first[trun + 24..trun + 26], [0x02, 0x00]);
    let captured_us = i64::from_be_bytes(first[9..17].try_into().unwrap());
    let age_us = proto::conn::now().0 - captured_us;
    assert!((0..60_000_000).contains(&age_us), "captured {age_us} us ago");
    let mut last_us = i64::MIN;
    for _ in 0..200 {
        last_us = last_us.max(pts_us(&media(&mut page).await));
    }
    assert!(last_us > pts_us(&first) + 2_000_000, "it goes on");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_pages_share_one_subscription_which_ends_with_the_last_of_them() {
    let site = Site::start().await;
    Loop::usual().play(&site.node, "door");
    let mut pages = Vec::new();
    for _ in 0..5 {
        let mut page = page(&site).await;
        say(&mut page, json!({"say": "watch", "stream": "door"})).await;
        media(&mut page).await;
        media(&mut page).await;
        pages.push(page);
    }
    assert_eq!(site.node.catalogue()[0].viewers, 1);
    drop(pages);
    let gone = async {
        while site.node.catalogue()[0].viewers > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    within(gone).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_come_beside_sound_that_was_made_anew() {
    let site = Site::start().await;
    Loop::unusual().play(&site.node, "camera");
    let mut page = page(&site).await;
    say(&mut page, json!({"say": "watch", "stream": "camera"})).await;
    let described = word(&mut page, &mut Vec::new()).await;
    assert_eq!(described["pictures_apart"], json!(true));
    assert_eq!(described["mime"], json!("audio/mp4; codecs=\"opus\""));
    let (mut pictures, mut sound) = (Vec::new(), Vec::new());
    while pictures.len() < 30 || sound.len() < 30 {
        let message = media(&mut page).await;
        match message[0] {
            3 => pictures.push(message),
            2 => sound.push(message),
            _ => {}
        }
    }
    assert!(media::decode::jpeg_picture(&pictures[0][17..], 0).is_some());
    let apart = pts_us(&sound[29]) - pts_us(&pictures[29]);
    assert!(apart.abs() < 1_500_000, "{apart} us apart");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_may_watch_something_else_and_ask_for_the_time() {
    let site = Site::start().await;
    Loop::usual().play(&site.node, "door");
    Loop::unusual().play(&site.node, "camera");
    let mut page = page(&site).await;
    let mut media = Vec::new();
    say(&mut page, json!({"say": "ping", "sent": 17.5})).await;
    let pong = word(&mut page, &mut media).await;
    assert_eq!((&pong["say"], &pong["sent"]), (&json!("pong"), &json!(17.5)));
    let off_us = proto::conn::now().0 - pong["clock_us"].as_i64().unwrap();
    assert!((0..60_000_000).contains(&off_us));
    for (stream, sound, mime) in [
        ("door", "own", "video/mp4"),
        ("camera", "opus", "audio/mp4"),
        ("door", "opus", "video/mp4"),
    ] {
        say(&mut page, json!({"say": "watch", "stream": stream, "sound": sound})).await;
        let described = word(&mut page, &mut media).await;
        assert!(described["mime"].as_str().unwrap().starts_with(mime), "{described}");
    }
    say(&mut page, json!({"say": "watch", "stream": "nothing"})).await;
    let ended = word(&mut page, &mut media).await;
    assert_eq!(ended["say"], json!("ended"));
    assert!(ended["reason"].as_str().unwrap().contains("no stream named 'nothing'"), "{ended}");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_away_is_said_and_so_is_that_it_is_back() {
    let site = Site::start().await;
    let source = site.node.add_stream("door", "", true).unwrap();
    let content = Loop::usual();
    let mut run = source.start(content.tracks.clone(), None).unwrap();
    content.packets.iter().for_each(|packet| run.append(packet.clone()).unwrap());
    let mut page = page(&site).await;
    let mut media = Vec::new();
    say(&mut page, json!({"say": "watch", "stream": "door"})).await;
    assert_eq!(word(&mut page, &mut media).await["say"], json!("describe"));
    run.hold("unplugged");
    assert_eq!(word(&mut page, &mut media).await, json!({"say": "held"}));
    assert_eq!(media.iter().filter(|message| message[0] == 2).count(), content.packets.len() - 1);
    run.resume();
    assert_eq!(word(&mut page, &mut media).await, json!({"say": "resumed"}));
    run.describe(content.tracks[..1].to_vec()).unwrap();
    let described = word(&mut page, &mut media).await;
    assert!(!described["mime"].as_str().unwrap().contains("opus"), "{described}");
    drop(source);
    run.end();
    assert_eq!(word(&mut page, &mut media).await["say"], json!("ended"));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_is_refused() {
    let site = Site::start().await;
    let mut request = format!("ws://{}/socket", site.address).into_client_request().unwrap();
    let origin = http::HeaderValue::from_static("http://evil.example");
    request.headers_mut().insert("Origin", origin);
    let refused = within(connect_async(request)).await.unwrap_err();
    assert!(matches!(refused, Error::Http(answer) if answer.status() == 403));
    site.stop().await;
}

/// Says something and waits for the end; the reason.
async fn closed_by(site: &Site, message: Message) -> String {
    let mut page = page(site).await;
    // It may be closed before all of a large one is sent.
    let _ = page.send(message).await;
    loop {
        match within(page.next()).await {
            Some(Ok(Message::Close(Some(frame)))) => return frame.reason.to_string(),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return String::new(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_ends_the_connection_with_a_reason() {
    let site = Site::start().await;
    let reason = closed_by(&site, Message::text("hello")).await;
    assert!(reason.starts_with("not understood"), "{reason}");
    let reason = closed_by(&site, Message::text(r#"{"say":"watch","stream":"a","x":1}"#)).await;
    assert!(reason.starts_with("not understood"), "{reason}");
    let reason = closed_by(&site, Message::binary(vec![1, 2, 3])).await;
    assert!(reason.contains("binary"), "{reason}");
    // Whatever it says of it, it does not keep so much.
    closed_by(&site, Message::text("x".repeat(100_000))).await;
    let mut page = page(&site).await;
    let mut sent = 0;
    while page.send(Message::text(r#"{"say":"ping","sent":1}"#)).await.is_ok() {
        sent += 1;
        assert!(sent < 1_000_000, "nobody stops it");
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_relay_is_said() {
    let site = Site::start().await;
    Loop::usual().play(&site.node, "door");
    let mut page = page(&site).await;
    say(&mut page, json!({"say": "watch", "stream": "door"})).await;
    media(&mut page).await;
    site.stop().await;
    let last = async {
        loop {
            match page.next().await {
                Some(Ok(Message::Close(frame))) => {
                    return frame.expect("a reason").reason.to_string();
                }
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    let reason = within(last).await;
    assert!(reason.contains("shutting down"), "{reason}");
}
