//! Accounts by HTTP: the way in and out, and what is shown to whom.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod common;

use common::people::{Person, accounts, site};
use common::{Loop, Site, within};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message, http};
use web::accounts::Policy;

#[tokio::test(flavor = "multi_thread")]
async fn one_registers_logs_out_and_in_changes_the_password_and_goes() {
    let (site, _folder) = site(Policy::Optional).await;
    let mut ana = Person::nobody(&site);
    assert_eq!(ana.who().await, json!({"accounts": "optional", "name": null}));
    let made = ana.says("register", json!({"name": "Ana", "password": "correct horse"})).await;
    assert_eq!(made.json(), json!({"accounts": "optional", "name": "Ana"}));
    assert!(made.head.contains("httponly; samesite=strict"), "{}", made.head);
    assert!(made.head.contains("cache-control: no-store"), "{}", made.head);
    assert_eq!(ana.who().await["name"], "Ana");

    let mut other = Person::nobody(&site);
    let taken = other.says("register", json!({"name": "ANA", "password": "12345678x"})).await;
    assert_eq!((taken.status, taken.text().trim()), (409, "'ANA' is taken; choose another name"));

    let mut phone = Person::nobody(&site);
    assert_eq!(phone.logs_in("ana", "correct horse").await.json()["name"], "Ana");
    assert_eq!(ana.says("log-out", json!({})).await.json()["name"], json!(null));
    assert_eq!(ana.who().await["name"], json!(null));
    assert_eq!(phone.who().await["name"], "Ana", "one logs out of one browser");

    ana.logs_in("Ana", "correct horse").await;
    let old = phone.cookie.clone();
    let wrong = json!({"password": "wrong horse", "new": "battery staple"});
    assert_eq!(ana.says("password", wrong).await.status, 403);
    let short = json!({"password": "correct horse", "new": "short"});
    assert_eq!(ana.says("password", short).await.status, 400);
    let before = ana.cookie.clone();
    let change = json!({"password": "correct horse", "new": "battery staple"});
    assert_eq!(ana.says("password", change).await.status, 200);
    assert_eq!(ana.who().await["name"], "Ana", "one stays logged in where one changed it");
    assert_ne!(ana.cookie, before);
    for cookie in [old, before] {
        assert_eq!(Person::with(&site, cookie).who().await["name"], json!(null));
    }
    assert_eq!(phone.logs_in("Ana", "correct horse").await.status, 403);
    assert_eq!(phone.logs_in("Ana", "battery staple").await.status, 200);

    assert_eq!(ana.says("delete", json!({"password": "wrong horse"})).await.status, 403);
    assert_eq!(ana.says("delete", json!({"password": "battery staple"})).await.status, 200);
    assert_eq!(phone.who().await["name"], json!(null));
    assert_eq!(phone.logs_in("Ana", "battery staple").await.status, 403);
    let again = phone.says("register", json!({"name": "Ana", "password": "somebody else"})).await;
    assert_eq!(again.status, 200, "the name is free");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_name_or_a_password_is_said() {
    let (site, _folder) = site(Policy::Optional).await;
    let mut nobody = Person::nobody(&site);
    for (name, password, said) in [
        ("", "correct horse", "a name is missing"),
        ("<b>Ana</b>", "correct horse", "letters, digits"),
        ("Ana", "short", "at least 8 characters"),
        ("Jonathan", "jonathan", "the first one would guess"),
    ] {
        let answer = nobody.says("register", json!({"name": name, "password": password})).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(said), "{}", answer.text());
    }
    assert_eq!(nobody.says("log-out", json!({})).await.status, 200);
    for (what, words) in [
        ("password", json!({"password": "correct horse", "new": "battery staple"})),
        ("delete", json!({"password": "correct horse"})),
        ("close-room", json!({"room": "K7XW2M9QPD"})),
    ] {
        assert_eq!(nobody.says(what, words).await.status, 401, "{what}");
    }
    assert_eq!(site.get("/account/rooms.json").await.status, 401);
    site.stop().await;
    let site = Site::start().await;
    let mut nobody = Person::nobody(&site);
    assert_eq!(nobody.who().await, json!({"accounts": "off", "name": null}));
    let answer = nobody.says("register", json!({"name": "Ana", "password": "correct horse"})).await;
    assert_eq!((answer.status, answer.text().trim()), (404, "there are no accounts here"));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_shown_to_strangers_where_an_account_is_required() {
    let (site, _folder) = site(Policy::Required).await;
    Loop::usual().play(&site.node, "door");
    for closed in [
        "/streams.json",
        "/streams/door.jpg",
        "/streams/door.mp4",
        "/streams/nothing.mp4",
        "/movies/door.json",
        "/socket",
        "/rooms.json",
        "/api",
        "/nothing",
        "//",
        "/page",
        "/Page/main.js",
        "/page%2fmain.js",
        "/account",
        "/account/rooms.json",
    ] {
        let answer = site.get(closed).await;
        assert_eq!(answer.status, 401, "{closed}");
        assert!(!answer.text().contains("door"), "{closed}");
    }
    for open in ["/", "/page/main.js", "/page/account.js", "/page/style.css", "/account.json"] {
        assert_eq!(site.get(open).await.status, 200, "{open}");
    }
    // Programs are asked for a password, browsers have the page for that.
    let asked = site.get("/streams.json").await;
    assert!(asked.head.contains("www-authenticate: basic"), "{}", asked.head);
    let browser = site.ask("GET", "/streams.json", &["User-Agent: Mozilla/5.0 (X11)"]).await;
    assert!(!browser.head.contains("www-authenticate"), "{}", browser.head);

    let mut ana = Person::nobody(&site);
    ana.says("register", json!({"name": "Ana", "password": "correct horse"})).await;
    assert_eq!(ana.get("/streams.json").await.json()[0]["name"], "door");
    assert_eq!(ana.get("/streams/door.jpg").await.status, 200);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_give_name_and_password() {
    let (site, _folder) = site(Policy::Required).await;
    Loop::usual().play(&site.node, "door");
    let mut ana = Person::nobody(&site);
    ana.says("register", json!({"name": "Ana", "password": "correct:horse"})).await;
    let right = "Authorization: Basic QW5hOmNvcnJlY3Q6aG9yc2U="; // Ana:correct:horse
    let wrong = "Authorization: Basic QW5hOndyb25n"; // Ana:wrong
    for _ in 0..3 {
        assert_eq!(site.ask("GET", "/streams.json", &[right]).await.status, 200);
    }
    assert_eq!(site.ask("GET", "/streams/door.jpg", &[right]).await.status, 200);
    assert_eq!(site.ask("GET", "/streams.json", &[wrong]).await.status, 401);
    // For nothing but watching: what changes something asks for a session.
    assert_eq!(site.ask("GET", "/account/rooms.json", &[right]).await.status, 401);
    assert_eq!(site.ask("GET", "/socket", &[right]).await.status, 401);
    // What runs without end is over with another password, and so is the old one.
    let mut endless = TcpStream::connect(site.address).await.unwrap();
    let ask = format!("GET /streams/door.mp4 HTTP/1.0\r\n{right}\r\n\r\n");
    endless.write_all(ask.as_bytes()).await.unwrap();
    assert!(within(endless.read(&mut [0; 1000])).await.unwrap() > 0);
    let change = json!({"password": "correct:horse", "new": "battery staple"});
    assert_eq!(ana.says("password", change).await.status, 200);
    let _ = within(endless.read_to_end(&mut Vec::new())).await;
    assert_eq!(site.ask("GET", "/streams.json", &[right]).await.status, 401);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_is_for_who_is_logged_in_and_ends_with_the_session() {
    let (site, _folder) = site(Policy::Required).await;
    Loop::usual().play(&site.node, "door");
    let url = format!("ws://{}/socket", site.address);
    let refused = within(connect_async(&url)).await.unwrap_err();
    let Error::Http(response) = refused else { panic!("{refused}") };
    assert_eq!(response.status(), http::StatusCode::UNAUTHORIZED);
    let mut ana = Person::nobody(&site);
    ana.says("register", json!({"name": "Ana", "password": "correct horse"})).await;
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("cookie", ana.cookie.parse().unwrap());
    let (mut socket, _) = within(connect_async(request)).await.unwrap();
    let watch = json!({"say": "watch", "stream": "door"}).to_string();
    socket.send(Message::text(watch)).await.unwrap();
    assert!(matches!(within(socket.next()).await.unwrap().unwrap(), Message::Text(_)));
    ana.says("log-out", json!({})).await;
    let reason = loop {
        match within(socket.next()).await.expect("a close").expect("a message") {
            Message::Close(frame) => break frame.expect("a reason").reason.to_string(),
            _ => continue,
        }
    };
    assert_eq!(reason, "you are not logged in any more");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let open = async || {
        let accounts = Some(accounts(folder.path(), Policy::Optional).await);
        Site::start_with(web::Options { accounts, ..web::Options::default() }).await
    };
    let site = open().await;
    let mut ana = Person::nobody(&site);
    ana.says("register", json!({"name": "Ana", "password": "correct horse"})).await;
    let cookie = ana.cookie.clone();
    site.stop().await;
    let site = open().await;
    assert_eq!(Person::with(&site, cookie.clone()).who().await["name"], "Ana");
    site.stop().await;
    // Neither passwords nor what browsers have can be read in the file.
    let token = cookie.split('=').nth(1).unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for secret in ["correct horse", token] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()));
        }
    }
}
