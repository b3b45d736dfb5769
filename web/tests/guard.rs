//! What strangers may cost, and what answers say about themselves.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod common;

use common::{Loop, Site, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_forbids_what_the_page_does_not_need() {
    let site = Site::start().await;
    Loop::usual().play(&site.node, "door");
    for path in
        ["/", "/page/main.js", "/streams.json", "/streams/door.jpg", "/nothing", "/api", "/socket"]
    {
        let answer = site.get(path).await;
        let policy = answer.head.lines().find(|line| line.starts_with("content-security-policy"));
        let policy = policy.unwrap_or_else(|| panic!("{path} has no policy: {}", answer.head));
        assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
        assert!(answer.head.contains("x-content-type-options: nosniff"), "{path}");
        assert!(answer.head.contains("cross-origin-resource-policy: same-origin"), "{path}");
        assert!(!answer.head.contains("access-control-allow"), "{path}");
    }
    site.stop().await;
}

/// The page itself keeps to its policy.
#[test]
fn nothing_of_the_page_is_inline_or_from_elsewhere() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.display();
        for bad in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!text.contains(bad), "{name} has {bad}");
        }
        if path.extension().is_some_and(|ending| ending == "html") {
            for bad in ["style=", "onclick=", "onload=", "javascript:", "http:", "https:", "//"] {
                assert!(!text.replace("<!doctype", "").contains(bad), "{name} has {bad}");
            }
            assert!(!text.contains("<script>") && !text.contains("<style"), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_never_paths() {
    let site = Site::start().await;
    for path in [
        "/page/../Cargo.toml",
        "/page/..%2fCargo.toml",
        "/page/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/streams/..%2f..%2fetc%2fpasswd.jpg",
        "/movies/%00.mp4",
        "/movies/%ff.mp4",
        "/movies/%0d%0aSet-Cookie:%20a=b.mp4",
        "//etc/passwd",
    ] {
        let answer = site.get(path).await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        assert!(!answer.head.contains("set-cookie") && !answer.text().contains("root:"), "{path}");
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_no_requests_are_refused() {
    let site = Site::start().await;
    for request in [
        "GET / HTTP/1.1\r\n\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03",
        "BLAH BLAH BLAH\r\n\r\n",
        "GET /\u{0}\u{1} HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /streams.json HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\nConnection: close\r\n\r\n",
    ] {
        let mut socket = TcpStream::connect(site.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut all = Vec::new();
        // A reset is an answer too.
        let _ = within(socket.read_to_end(&mut all)).await;
        let said = String::from_utf8_lossy(&all);
        let fine = all.is_empty() || said.contains(" 4") || request.starts_with("GET / ");
        assert!(fine, "{request:?}: {said}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(100_000));
    let mut socket = TcpStream::connect(site.address).await.unwrap();
    let _ = socket.write_all(long.as_bytes()).await;
    let mut all = Vec::new();
    let _ = within(socket.read_to_end(&mut all)).await;
    assert!(!String::from_utf8_lossy(&all).contains(" 200 "), "a head of 100 kB is too long");
    assert_eq!(site.get("/").await.status, 200, "others notice nothing");
    site.stop().await;
}

/// As many as one address may have where there is but one.
const COUNT: usize = if cfg!(target_os = "linux") { 1_000 } else { 200 };

/// A connection from one of several addresses, where the loopback has more than one.
async fn from_network(host: u8, to: std::net::SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    if cfg!(target_os = "linux") {
        socket.bind(std::net::SocketAddr::from(([127, 0, 1, host], 0))).unwrap();
    }
    socket.connect(to).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_half_open_connections_are_closed_and_hurt_nobody() {
    let site = Site::start().await;
    let mut half_open = Vec::new();
    for turn in 0..COUNT {
        let mut socket = from_network((turn % 5) as u8, site.address).await;
        // Some say nothing at all, some never finish.
        if turn % 2 == 0 {
            socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX: ").await.unwrap();
        }
        half_open.push(socket);
    }
    assert_eq!(site.get("/").await.status, 200);
    for mut socket in half_open {
        let mut rest = Vec::new();
        let _ = within(socket.read_to_end(&mut rest)).await;
        assert!(!String::from_utf8_lossy(&rest).contains(" 200 "));
    }
    // More of one address than there may be: those above are closed, and places become free again.
    let mut many = Vec::new();
    for _ in 0..web::limits::CONNECTIONS_PER_ADDRESS + 10 {
        many.push(TcpStream::connect(site.address).await.unwrap());
    }
    let mut last = many.pop().unwrap();
    assert_eq!(within(last.read(&mut [0; 1])).await.unwrap_or(0), 0);
    drop(many);
    let free = async {
        loop {
            let mut socket = TcpStream::connect(site.address).await.unwrap();
            let _ = socket.write_all(b"GET / HTTP/1.0\r\n\r\n").await;
            let mut all = Vec::new();
            let _ = socket.read_to_end(&mut all).await;
            if all.starts_with(b"HTTP/1.0 200") {
                return;
            }
        }
    };
    within(free).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_costs_no_more_than_the_stream_keeps() {
    let site = Site::start().await;
    Loop::usual().play(&site.node, "door");
    let mut stalled = TcpStream::connect(site.address).await.unwrap();
    stalled.write_all(b"GET /streams/door.mp4 HTTP/1.0\r\n\r\n").await.unwrap();
    // Another one is served meanwhile, at the stream's pace.
    let mut other = TcpStream::connect(site.address).await.unwrap();
    other.write_all(b"GET /streams/door.mp4 HTTP/1.0\r\n\r\n").await.unwrap();
    let mut all = Vec::new();
    while all.windows(4).filter(|four| four == b"moof").count() < 300 {
        assert!(within(other.read_buf(&mut all)).await.unwrap() > 0);
    }
    assert_eq!(site.node.catalogue()[0].viewers, 1);
    site.stop().await;
}
