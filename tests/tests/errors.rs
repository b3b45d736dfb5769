//! What goes wrong is said in one sentence, with the way out, and ends in the right exit code.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;

use tests::process::{server, start};
use tests::{MOVIE, sample};

/// Runs a program that must fail: its exit code, and its one sentence with these words in it.
fn fails(name: &str, args: &[&str], code: i32, words: &[&str]) -> String {
    let (got, said) = start(name, args).end();
    let all = said.join("\n");
    assert_eq!(got, code, "{name} {args:?}:\n{all}");
    for trace in ["panicked", "RUST_BACKTRACE", "stack backtrace", "Error {"] {
        assert!(!all.contains(trace), "{name} {args:?}:\n{all}");
    }
    for word in words {
        assert!(all.contains(word), "{name} {args:?} should say '{word}':\n{all}");
    }
    if code == 1 {
        let prefix = format!("{name}: ");
        let sentences: Vec<_> = said.iter().filter(|line| line.starts_with(&prefix)).collect();
        assert_eq!(sentences.len(), 1, "one sentence:\n{all}");
    }
    all
}

fn file(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("write");
    path.display().to_string()
}

#[test]
fn wrong_usage_is_two() {
    fails("server", &["--nonsense"], 2, &["--nonsense", "--help"]);
    fails("server", &[], 2, &["--test-pattern"]);
    fails("server", &["--test-pattern", "--size", "huge"], 2, &["1280x720"]);
    fails("client", &["--connect", "a b"], 2, &["HOST"]);
    fails("client", &["--connect", "x", "--record", "film.avi"], 2, &[".mkv"]);
    fails("cache-server", &["--listen", "nowhere"], 2, &["--listen", "0.0.0.0:9999"]);
}

#[test]
fn movies_that_cannot_be_served() {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let serve = |movie: &str, words: &[&str]| {
        fails("server", &["--file", movie, "--listen", "127.0.0.1:0"], 1, words)
    };
    serve(&at("missing.mp4"), &["missing.mp4"]);
    serve(&folder.path().display().to_string(), &["directory"]);
    serve(&file(folder.path(), "empty.mp4", b""), &["empty"]);
    serve(&file(folder.path(), "text.mp4", b"This is not a movie.\n"), &["text.mp4"]);
    let noise: Vec<u8> =
        (0..65_536u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    serve(&file(folder.path(), "noise.mp4", &noise), &["noise.mp4"]);
    // A part of the head; the head whole, without a single picture.
    let whole = std::fs::read(sample(MOVIE)).expect("movie");
    serve(&file(folder.path(), "head.mp4", &whole[..2_000]), &["head.mp4"]);
    let data = whole.windows(4).position(|w| w == b"mdat").expect("its data") + 4;
    serve(&file(folder.path(), "heads.mp4", &whole[..data]), &["heads.mp4", "damaged"]);
}

#[test]
fn without_ffmpeg_it_is_named_with_what_was_found() {
    let mut command = tests::process::command("server");
    let surround = sample("big-buck-bunny-720p-5s.mp4");
    command.arg("--file").arg(surround).args(["--listen", "127.0.0.1:0"]).env("PATH", "/nowhere");
    let (code, said) = tests::process::Process::spawn("server", command).end();
    let all = said.join("\n");
    assert_eq!(code, 1, "{all}");
    assert!(all.contains("ffmpeg") && all.contains("install"), "{all}");
}

#[test]
fn a_camera_that_is_not_there() {
    fails("server", &["--webcam", "no such camera", "--listen", "127.0.0.1:0"], 1, &["camera"]);
}

#[test]
fn a_port_that_is_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("address").to_string();
    fails("server", &["--test-pattern", "--listen", &address], 1, &["in use", "--listen"]);
    let relay = ["--origin", "127.0.0.1:1", "--listen", &address];
    fails("cache-server", &relay, 1, &["--listen"]);
}

#[test]
fn servers_that_cannot_be_reached() {
    let free = TcpListener::bind("127.0.0.1:0").expect("bind");
    let closed = free.local_addr().expect("address").to_string();
    drop(free);
    fails("client", &["--connect", &closed, "--headless"], 1, &["refused"]);
    let nowhere = ["--connect", "no-such-host.invalid", "--headless"];
    fails("client", &nowhere, 1, &["no-such-host.invalid"]);
}

/// Answers whoever dials with these bytes, whatever is asked.
fn impostor(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address").to_string();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let _ = socket.write_all(answer);
            // Closed when the peer has: a reset would take the answer with it.
            std::thread::spawn(move || std::io::copy(&mut socket, &mut std::io::sink()));
        }
    });
    address
}

#[test]
fn another_protocol_on_the_port() {
    let http = impostor(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    fails("client", &["--connect", &http, "--headless"], 1, &["HTTP"]);
    let tls = impostor(b"\x15\x03\x01\x00\x02\x02\x46\x00\x00\x00");
    fails("client", &["--connect", &tls, "--headless"], 1, &["TLS"]);
    let relay = ["--origin", &http, "--listen", "127.0.0.1:0", "--no-announce"];
    fails("cache-server", &relay, 1, &["HTTP"]);
}

#[tokio::test]
async fn a_server_tells_strangers_what_it_speaks() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (_server, address) = server(&["--test-pattern", "--size", "320x180"]);
    let mut browser = tokio::net::TcpStream::connect(&address).await.expect("connect");
    browser.write_all(b"GET / HTTP/1.1\r\nHost: tv\r\n\r\n").await.expect("write");
    let mut answer = String::new();
    let reading = async {
        let mut bytes = Vec::new();
        let _ = browser.read_to_end(&mut bytes).await;
        answer = String::from_utf8_lossy(&bytes).into_owned();
    };
    tokio::time::timeout(tests::PATIENCE, reading).await.expect("closed");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("not HTTP"), "{answer}");
}

#[tokio::test]
async fn a_version_too_new_is_told_which_to_update() {
    use proto::message::Hello;
    use proto::{CloseCode, Message, Role};
    let (_server, address) = server(&["--test-pattern", "--size", "320x180"]);
    let socket = tokio::net::TcpStream::connect(&address).await.expect("connect");
    let (read, write) = socket.into_split();
    let mut reader = proto::conn::Reader::new(read);
    let mut writer = proto::conn::Writer::new(write, tests::PATIENCE);
    let hello = Hello {
        magic: proto::MAGIC,
        min_version: 7,
        max_version: 9,
        role: Role::View,
        token: None,
        agent: "tomorrow's".to_owned(),
    };
    writer.write(&Message::Hello(hello)).await.expect("write");
    let answer = reader.read_within(tests::PATIENCE).await.expect_err("refused");
    let proto::conn::ConnError::Closed { code, reason } = answer else { panic!("{answer}") };
    assert_eq!(code, Some(CloseCode::UnsupportedVersion));
    assert!(reason.contains("update"), "{reason}");
}

#[test]
fn streams_that_are_not_there_are_told_with_those_that_are() {
    let (_server, address) = server(&["--test-pattern", "--size", "320x180"]);
    let args = ["--connect", &address, "--stream", "kitchen", "--headless"];
    fails("client", &args, 1, &["kitchen", "pattern"]);
}

#[test]
fn a_recording_that_cannot_be_written() {
    let (_server, address) = server(&["--test-pattern", "--size", "320x180"]);
    let args = ["--connect", &address, "--headless", "--record", "/nowhere/film.mkv"];
    fails("client", &args, 1, &["/nowhere/film.mkv"]);
}

#[test]
fn a_disk_that_is_full_is_said_and_playing_goes_on() {
    let (_server, address) = server(&["--test-pattern", "--size", "320x180"]);
    let folder = tempfile::tempdir().expect("folder");
    let disk = folder.path().display().to_string();
    // A disk of its own, small enough to be full soon.
    let mut command = std::process::Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-c"])
        .arg("mount -t tmpfs -o size=64k none \"$0\" && exec \"$@\"")
        .arg(&disk)
        .arg(tests::process::program("client"))
        .args(["--connect", &address, "--headless", "--json", "--record"])
        .arg(format!("{disk}/film.mkv"));
    let mut client = tests::process::Process::spawn("client", command);
    client.line("full");
    let playing = client.statistics("pictures", |s| s["state"] == "playing");
    let frames = playing["frames"].as_u64();
    client.statistics("more pictures", |s| s["frames"].as_u64() > frames);
    let (code, said) = client.stop();
    assert_eq!(code, 1, "{said:?}");
}

#[test]
fn results_that_cannot_be_written_are_a_failure() {
    let (_server, address) = server(&["--test-pattern", "--size", "320x180"]);
    for what in ["--list", "--headless"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let output = tests::process::command("client")
            .args(["--connect", &address, what])
            .stdout(full)
            .output()
            .expect("client");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{what}: {said}");
        assert!(said.contains("cannot be written to"), "{what}: {said}");
    }
}

#[test]
fn neither_screen_nor_sound_card() {
    let (_server, address) = server(&["--test-pattern", "--size", "320x180"]);
    let mut command = tests::process::command("client");
    let folder = tempfile::tempdir().expect("folder");
    let recording = folder.path().join("film.mkv");
    command.args(["--connect", &address, "--record"]).arg(&recording);
    command.env("PULSE_SERVER", "unix:/nowhere");
    let (code, said) = tests::process::Process::spawn("client", command).end();
    let all = said.join("\n");
    assert_eq!(code, 1, "{all}");
    assert!(all.contains("--headless") && !all.contains("panicked"), "{all}");
    assert!(!recording.exists(), "nothing was played, nothing is left");
}
