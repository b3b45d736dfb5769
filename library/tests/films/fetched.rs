//! Films from addresses.

use super::*;

/// A host on a loopback port that gives a file.
fn host(bytes: Vec<u8>) -> (String, std::thread::JoinHandle<()>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("is bound").to_string();
    let serving = std::thread::spawn(move || {
        let Ok((mut socket, _)) = listener.accept() else { return };
        let mut head = [0; 4096];
        let _ = socket.read(&mut head);
        let length = bytes.len();
        let answer =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        let _ = socket.write_all(answer.as_bytes());
        let _ = socket.write_all(&bytes);
    });
    (address, serving)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_is_fetched_from_its_address() {
    let folder = tempfile::tempdir().expect("folder");
    let cinema = Cinema::open(Settings { fetch_inside: true, ..settings(&folder) });
    let (there, _) = host(sample(CITY));
    let url = format!("http://{there}/a/City%20Trip.mp4?key=1");
    let id = cinema.films.fetch(&ana(), HERE, &url).expect("is taken");
    let line = cinema.line(id, |line| matches!(line.stage, "ready" | "failed")).await;
    assert_eq!((line.stage, line.why, line.title.as_str()), ("ready", None, "City Trip"));
    cinema.catalogue(|streams| streams.len() == 1).await;
    // Larger than films may be.
    let (there, _) = host(vec![0; (64 << 20) + 1]);
    let id = cinema.films.fetch(&ana(), HERE, &format!("http://{there}/")).expect("is taken");
    let line = cinema.line(id, |line| line.stage == "failed").await;
    assert!(line.why.expect("a sentence").contains("at most"));
    cinema.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fetched_from_inside_unless_it_is_allowed() {
    let folder = tempfile::tempdir().expect("folder");
    let cinema = Cinema::usual(&folder);
    let (there, _serving) = host(sample(CITY));
    for url in [format!("http://{there}/a.mp4"), format!("http://localhost:{}/", &there[10..])] {
        let id = cinema.films.fetch(&ana(), HERE, &url).expect("is taken");
        let line = cinema.line(id, |line| line.stage == "failed").await;
        let why = line.why.expect("a sentence");
        assert!(why.contains("is in a network that is not everybody's"), "{why}");
    }
    for url in ["", "ftp://a/b", "http://me:word@example.org/", "file:///etc/passwd"] {
        assert!(matches!(cinema.films.fetch(&ana(), HERE, url), Err(Refusal::Url(_))), "{url}");
    }
    cinema.end().await;
}

fn ten(_: &Path) -> io::Result<u64> {
    Ok(10 << 20)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_promised_is_not_for_what_is_fetched() {
    let folder = tempfile::tempdir().expect("folder");
    let settings = Settings { fetch_inside: true, free: ten, ..settings(&folder) };
    let cinema = Cinema::open(Settings { reserve: 1 << 20, ..settings });
    let (there, _) = host(vec![0; 2 << 20]);
    let promised = Wish { name: "large".into(), size: 8 << 20, mark: String::new() };
    cinema.films.begin(&ana(), HERE, &promised).expect("fits");
    let id = cinema.films.fetch(&ana(), HERE, &format!("http://{there}/")).expect("is taken");
    let line = cinema.line(id, |line| line.stage == "failed").await;
    assert!(line.why.expect("a sentence").contains("has no room"));
    cinema.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_wanted_any_more_waits_for_no_turn() {
    let folder = tempfile::tempdir().expect("folder");
    let cinema = Cinema::open(Settings { fetch_inside: true, ..settings(&folder) });
    // Hosts that say nothing hold every place.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/a.mp4", silent.local_addr().expect("is bound"));
    let mut held = Vec::new();
    let mut first = Vec::new();
    for _ in 0..limits::FETCHES {
        first.push(cinema.films.fetch(&ana(), HERE, &url).expect("is taken"));
        held.push(silent.accept().expect("is asked"));
    }
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for _ in 0..20 {
        let id = cinema.films.fetch(&ana(), HERE, &url).expect("is taken");
        cinema.films.remove(id, &ana()).expect("is ended");
    }
    let ended = async {
        while tasks() > before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, ended).await.expect("none waits");
    for id in first {
        assert_eq!(cinema.line(id, |_| true).await.stage, "arriving", "no place became free");
    }
    drop(held);
    cinema.end().await;
}
