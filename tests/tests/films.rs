//! A film that is added to a relay in its page is a recording for native viewers, and survives the relay.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use tests::process::{Process, relay, start};

/// A request to a site; its answer, head and all.
fn ask(site: &str, head: &str, body: &[u8]) -> String {
    let mut socket = TcpStream::connect(site).unwrap();
    let length = body.len();
    write!(socket, "{head} HTTP/1.0\r\nHost: {site}\r\nContent-Type: application/json\r\n")
        .unwrap();
    write!(socket, "Upload-Offset: 0\r\nContent-Length: {length}\r\nCookie: {COOKIE}\r\n\r\n")
        .unwrap();
    socket.write_all(body).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// As a browser has it that has added something before.
const COOKIE: &str = "films=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn cinema(folder: &Path) -> (Process, String, String) {
    let folder = folder.display().to_string();
    let (mut relay, address) = relay(&["--films", &folder, "--http", "127.0.0.1:0"]);
    let line = relay.line("in a browser");
    let site = line.split("http://").nth(1).unwrap().trim_end_matches('/').to_owned();
    (relay, address, site)
}

/// What `client --list` says, once it names the film.
fn listed(address: &str) -> String {
    let started = Instant::now();
    loop {
        let (code, said) = start("client", &["--connect", address, "--list"]).end();
        let said = said.join("\n");
        if code == 0 && said.contains("City Trip") && said.contains("0:07") {
            return said;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "never there: {said}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_film_that_was_added_is_there_for_native_viewers_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples");
    let city = std::fs::read(samples.join("city-360p-7s-silent.mp4")).unwrap();
    let (relay, address, site) = cinema(folder.path());
    let wish = serde_json::json!({ "name": "City Trip.mp4", "size": city.len() }).to_string();
    let begun = ask(&site, "POST /films", wish.as_bytes());
    let begun: serde_json::Value =
        serde_json::from_str(begun.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let id = begun["id"].as_str().unwrap();
    let sent = ask(&site, &format!("PATCH /films/{id}"), &city);
    assert!(sent.starts_with("HTTP/1.0 204"), "{sent}");
    let said = listed(&address);
    assert!(said.contains("recorded") && said.contains("H.264 640x360"), "{said}");
    let args = ["--connect", &address, "--stream", "City Trip", "--headless"];
    let (code, said) = start("client", &args).end();
    assert_eq!(code, 0, "{said:?}");
    drop(relay);
    let (_relay, address, site) = cinema(folder.path());
    listed(&address);
    assert!(ask(&site, &format!("DELETE /films/{id}"), b"").starts_with("HTTP/1.0 204"));
}
