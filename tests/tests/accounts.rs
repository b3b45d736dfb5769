//! A relay whose page asks who one is.

use std::io::{Read, Write};
use std::net::TcpStream;

use tests::process::{Process, relay, server, start};

/// Status and all of an answer.
fn ask(site: &str, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(site).expect("a site");
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.0\r\nHost: {site}\r\nContent-Length: {length}\r\n");
    write!(socket, "{head}{headers}\r\n{body}").expect("it takes it");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("text");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), answer)
}

fn site_of(relay: &mut Process) -> String {
    let line = relay.line("in a browser");
    line.split("http://").nth(1).expect("an address").trim_end_matches('/').to_owned()
}

#[test]
fn who_is_logged_in_watches_and_still_is_after_a_restart() {
    let (_server, origin) = server(&["--test-pattern", "--size", "320x240"]);
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().display().to_string();
    let args = ["--origin", &origin, "--http", "127.0.0.1:0", "--cache-dir", &cache];
    let args = [&args[..], &["--accounts", "required"]].concat();
    let (mut first, _) = relay(&args);
    let kept = first.line_ever("keeping accounts in");
    assert!(kept.ends_with("accounts.sqlite"), "{kept}");
    let site = site_of(&mut first);
    assert_eq!(ask(&site, "GET", "/", "", "").0, 200);
    assert_eq!(ask(&site, "GET", "/streams.json", "", "").0, 401);
    let ana = r#"{"name":"Ana","password":"correct horse"}"#;
    let json = "Content-Type: application/json\r\n";
    let (status, answer) = ask(&site, "POST", "/account/register", json, ana);
    assert_eq!(status, 200, "{answer}");
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: "));
    let cookie = cookie.and_then(|line| line.split(';').next()).expect("a cookie").to_owned();
    first.kill();
    let (mut second, _) = relay(&args);
    let site = site_of(&mut second);
    let cookie = format!("Cookie: {cookie}\r\n");
    let (status, answer) = ask(&site, "GET", "/streams.json", &cookie, "");
    assert_eq!(status, 200, "{answer}");
    assert_eq!(ask(&site, "GET", "/streams.json", "", "").0, 401);
    // Players ask with name and password.
    tests::eventually("the stream's name", || {
        let basic = "Authorization: Basic QW5hOmNvcnJlY3QgaG9yc2U=\r\n";
        let (_, answer) = ask(&site, "GET", "/streams.json", basic, "");
        answer.contains("pattern").then_some(())
    });
    let probe = std::process::Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0"])
        .arg(format!("http://Ana:correct%20horse@{site}/streams/pattern.mp4"))
        .output()
        .expect("ffprobe");
    assert_eq!(String::from_utf8_lossy(&probe.stdout), "h264\nopus\n", "{probe:?}");
}

#[test]
fn where_accounts_cannot_be_kept_is_said_with_the_way_out() {
    let args = ["--publish-token", "x", "--listen", "127.0.0.1:0", "--no-announce"];
    let args = [&args[..], &["--http", "127.0.0.1:0", "--accounts", "optional"]].concat();
    let with = |more: &[&str]| start("cache-server", &[&args[..], more].concat()).end();
    let (code, said) = with(&[]);
    let said = said.join("\n");
    assert!(code == 1 && said.contains("add --cache-dir DIR, or --accounts-db"), "{said}");
    let (code, said) = with(&["--accounts-db", "sqlite:/nowhere/at/all"]);
    let said = said.join("\n");
    assert!(code == 1 && said.contains("accounts cannot be kept in /nowhere/at/all"), "{said}");
    let (code, said) = with(&["--accounts-db", "postgres://ana:secret@127.0.0.1:1/x"]);
    let said = said.join("\n");
    assert!(code == 1 && said.contains("postgres://127.0.0.1:1/x"), "{said}");
    assert!(!said.contains("secret"), "{said}");
    let (code, said) = with(&["--accounts-db", "mysql://db/x"]);
    let said = said.join("\n");
    assert!(code == 2 && said.contains("a database looks like"), "{said}");
}
