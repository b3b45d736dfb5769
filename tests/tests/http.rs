//! A relay that browsers and other programs read by HTTP.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::process::{relay, server, start};

/// The body of an answer.
fn get(site: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(site).unwrap();
    write!(socket, "GET {path} HTTP/1.0\r\nHost: {site}\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").expect("a head").1.to_owned()
}

#[test]
fn a_stream_of_an_origin_is_played_by_other_programs_and_listed_for_the_page() {
    let (_server, origin) = server(&["--test-pattern", "--size", "320x240"]);
    let (mut relay, _) = relay(&["--origin", &origin, "--http", "127.0.0.1:0"]);
    let line = relay.line("in a browser");
    let site = line.split("http://").nth(1).unwrap().trim_end_matches('/').to_owned();
    assert!(get(&site, "/").contains("<title>instep</title>"));
    let started = Instant::now();
    let streams = loop {
        let streams: Value = serde_json::from_str(&get(&site, "/streams.json")).unwrap();
        if streams[0]["name"] == "pattern" {
            break streams;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "never there: {streams}");
        std::thread::sleep(Duration::from_millis(20));
    };
    let link = streams[0]["links"][0].as_str().unwrap();
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "stream=codec_name,width", "-of", "csv=p=0"])
        .arg(format!("http://{site}{link}"))
        .output()
        .expect("ffprobe");
    assert_eq!(String::from_utf8_lossy(&probe.stdout), "h264,320\nopus\n");
}

#[test]
fn a_port_that_was_asked_for_must_be_free_and_the_usual_one_need_not() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args = ["--publish-token", "x", "--listen", "127.0.0.1:0", "--no-announce"];
    let (code, said) = start("cache-server", &[&args[..], &["--http", &address]].concat()).end();
    assert_eq!(code, 1);
    let said = said.join("\n");
    assert!(said.contains("in use; choose another port with --http 127.0.0.1:PORT"), "{said}");
    // Ours now, if it was not somebody else's already.
    let _usual = TcpListener::bind("0.0.0.0:8080");
    let mut relay = start("cache-server", &args);
    relay.line("there is no page for browsers");
    relay.line("listening on");
}
