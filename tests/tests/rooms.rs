//! Watching together: several clients and a relay with rooms.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tests::process::{Process, command, relay, server, start};
use tests::recorded::Watcher;
use tests::{MOVIE, SILENT, eventually, sample};

const FILM: &str = "big-buck-bunny-480p-30s";

/// A server with a movie, and a relay of it.
struct Cinema {
    _films: tempfile::TempDir,
    cache: tempfile::TempDir,
    origin: String,
    _server: Process,
    relay: Option<Process>,
    address: String,
}

impl Cinema {
    async fn open() -> Self {
        let films = tempfile::tempdir().expect("folder");
        let movie = films.path().join(MOVIE);
        std::fs::copy(sample(MOVIE), &movie).expect("copy");
        let old = std::time::SystemTime::now() - Duration::from_secs(3_600);
        let file = std::fs::File::options().write(true).open(&movie).expect("open");
        file.set_modified(old).expect("a time");
        let cache = tempfile::tempdir().expect("folder");
        let (server, origin) = server(&["--library", &films.path().display().to_string()]);
        let folder = cache.path().display().to_string();
        let (relay, address) = relay(&["--origin", &origin, "--cache-dir", &folder]);
        let _ = Watcher::open_soon(&address, FILM).await;
        let relay = Some(relay);
        Self { _films: films, cache, origin, _server: server, relay, address }
    }

    /// Kills the relay and starts it again at the same place.
    fn restart(&mut self) {
        self.relay.take().into_iter().for_each(Process::kill);
        let folder = self.cache.path().display().to_string();
        let args = ["--origin", &self.origin, "--cache-dir", &folder, "--listen", &self.address];
        self.relay = Some(relay(&args).0);
    }

    fn client(&self, args: &[&str]) -> Process {
        let mut command = command("client");
        command.args(["--connect", &self.address, "--headless", "--json", "--no-audio"]);
        command.args(args);
        Process::spawn_typing("client", command)
    }
}

/// The code in "you are in room CODE, ...".
fn code(client: &mut Process) -> String {
    let line = client.line("you are in room");
    let code = line.split("room ").nth(1).and_then(|rest| rest.get(..10));
    code.expect("a code").to_owned()
}

/// The newest line of a `--stats` file that `fine` holds for.
fn stats(file: &Path, what: &str, fine: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let last: Value = serde_json::from_str(text.lines().last()?).ok()?;
        fine(&last).then_some(last)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn two_watch_in_step_talk_and_hold_one_remote_control() {
    let cinema = Cinema::open().await;
    let folder = tempfile::tempdir().expect("folder");
    let file = |name: &str| folder.path().join(name);
    let (of_ana, of_ben) = (file("ana"), file("ben"));
    let make = ["--stream", FILM, "--create-room", "--pin", "4711", "--name", "Ana"];
    let mut ana = cinema.client(&[&make, &["--stats", &of_ana.display().to_string()][..]].concat());
    let code = code(&mut ana);
    let invitation = ana.line("others come in with");
    assert!(invitation.contains(&code) && !invitation.contains("4711"), "{invitation}");

    let refused = ["--connect", &cinema.address, "--headless", "--room", &code, "--pin", "4712"];
    let (status, said) = start("client", &refused).end();
    assert!(status == 1 && said.join("\n").contains("PIN"), "{said:?}");
    let (status, said) = start("client", &["--connect", &cinema.address, "--rooms"]).end();
    assert!(status == 0 && said.join("\n").contains(&format!("{code}  {FILM}")), "{said:?}");

    let join = ["--room", &code, "--pin", "4711", "--name", "Ben"];
    let mut ben = cinema.client(&[&join, &["--stats", &of_ben.display().to_string()][..]].concat());
    ana.line("Ben joined");
    ben.types("hello there");
    ana.line("Ben: hello there");
    ana.types("/clap");
    ben.line("Ana applauds");
    for stats in [stats(&of_ana, "Ana plays", plays), stats(&of_ben, "Ben plays", plays)] {
        let off_us = stats["off_us"].as_i64().expect("how far off");
        assert!(off_us.abs() < 5_000, "{stats}");
        assert_eq!(stats["members"].as_array().map(Vec::len), Some(2), "{stats}");
    }
    // Only the host may.
    ben.types("/kick Ana");
    ben.line("host");
    ana.types("/hand Ben");
    ben.line("Ben is host now");
    ben.types("/kick Ana");
    let (status, said) = ana.end();
    assert_eq!(status, 1, "{said:?}");
    let (status, said) = ben.stop();
    assert_eq!(status, 0, "{said:?}");
}

fn plays(line: &Value) -> bool {
    line["going"] == "playing" && line["ready"] == true && line["off_us"].is_i64()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_outlives_its_relay() {
    let mut cinema = Cinema::open().await;
    let mut ana = cinema.client(&["--stream", FILM, "--create-room", "--name", "Ana"]);
    let code = code(&mut ana);
    let mut ben = cinema.client(&["--room", &code, "--name", "Ben"]);
    ana.line("Ben joined");
    ana.types("before");
    ben.line("Ana: before");
    cinema.restart();
    // Both come back by themselves, without PIN or code.
    let started = std::time::Instant::now();
    loop {
        ana.types(&format!("after {}", started.elapsed().as_millis()));
        std::thread::sleep(Duration::from_millis(200));
        if ben.said("Ana: after") {
            break;
        }
        assert!(started.elapsed() < tests::PATIENCE, "they never came back");
    }
    let (status, said) = ben.stop();
    assert_eq!(status, 0, "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sealed_is_not_found_at_the_relay() {
    let cinema = Cinema::open().await;
    let secret = ["--secret", "open sesame"];
    let make = ["--stream", FILM, "--create-room", "--name", "Ana"];
    let mut ana = cinema.client(&[&make[..], &secret].concat());
    let code = code(&mut ana);
    let enter = ["--room", &code, "--name", "Ben"];
    let mut ben = cinema.client(&[&enter[..], &secret].concat());
    ana.line("Ben joined");
    ana.types("xyzzy-42");
    ben.line("Ana: xyzzy-42");
    let (status, said) = cinema.client(&["--room", &code, "--name", "Eve"]).end();
    assert!(status == 1 && said.join("\n").contains("--secret"), "{said:?}");
    let files = std::fs::read_dir(cinema.cache.path()).expect("folder");
    for file in files.filter_map(|file| std::fs::read(file.ok()?.path()).ok()) {
        assert!(!file.windows(8).any(|part| part == b"xyzzy-42"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ones_own_copy_is_played_and_another_cut_is_said() {
    let cinema = Cinema::open().await;
    let mut ana = cinema.client(&["--stream", FILM, "--create-room", "--name", "Ana"]);
    let code = code(&mut ana);
    let own = |movie: &str, name: &str| {
        let movie = sample(movie).display().to_string();
        cinema.client(&["--room", &code, "--name", name, "--local", &movie])
    };
    let mut ben = own(MOVIE, "Ben");
    ben.statistics("plays its own", |line| {
        line["state"] == "playing" && line["frames"].as_u64() > Some(0)
    });
    let (status, said) = ben.stop();
    assert!(status == 0 && !said.join("\n").contains("another"), "{said:?}");
    let mut other = own(SILENT, "Carl");
    other.line("another cut");
    ana.line("Carl joined");
}

#[test]
fn a_live_stream_is_shown_by_all_with_the_delay_of_the_slowest() {
    let folder = tempfile::tempdir().expect("folder");
    let file = |name: &str| folder.path().join(name);
    let (_server, origin) = server(&["--test-pattern", "--size", "320x180"]);
    let (_relay, address) = relay(&["--origin", &origin]);
    eventually("the pattern is relayed", || {
        let (_, said) = start("client", &["--connect", &address, "--list", "--json"]).end();
        said.iter().any(|line| line.contains("\"pattern\"")).then_some(())
    });
    let join = |args: &[&str], stats: &Path| {
        let mut command = command("client");
        command.args(["--connect", &address, "--headless", "--json", "--no-audio", "--stats"]);
        command.arg(stats).args(args);
        Process::spawn_typing("client", command)
    };
    let quick = ["--stream", "pattern", "--create-room", "--name", "Ana", "--latency", "100"];
    let mut ana = join(&quick, &file("ana"));
    let code = code(&mut ana);
    let _ = stats(&file("ana"), "a delay", |line| line["needs_us"].as_u64() >= Some(100_000));
    let slow = ["--room", &code, "--name", "Ben", "--latency", "900"];
    let mut ben = join(&slow, &file("ben"));
    ben.line("Ben joined");
    let in_step = |line: &Value| {
        let off_us = line["off_us"].as_i64().map(i64::abs);
        line["delay_us"].as_i64() >= Some(900_000) && off_us.is_some_and(|us| us < 5_000)
    };
    let of_ana = stats(&file("ana"), "Ana waits for Ben", in_step);
    let of_ben = stats(&file("ben"), "Ben has time", in_step);
    assert_eq!(of_ana["delay_us"], of_ben["delay_us"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_opens_the_door_and_holds_the_remote_control() {
    let cinema = Cinema::open().await;
    let make = ["--stream", FILM, "--create-room", "--name", "Ana"];
    let rules = ["--approve", "--private", "--control", "host"];
    let mut ana = cinema.client(&[&make[..], &rules].concat());
    let code = code(&mut ana);
    let (_, said) = start("client", &["--connect", &cinema.address, "--rooms"]).end();
    assert!(!said.join("\n").contains(&code), "{said:?}");
    let knocks = |name: &str| cinema.client(&["--room", &code, "--name", name]);
    let mut eve = knocks("Eve");
    eve.line("waiting for the host");
    ana.line("Eve wants to come in");
    ana.types("/refuse eve");
    let (status, said) = eve.end();
    assert_eq!(status, 1, "{said:?}");
    let mut ben = knocks("Ben");
    ana.line("Ben wants to come in");
    ana.types("/admit Ben");
    ben.line("you are in room");
    ben.types("/pause");
    ben.line("host");
    ana.types("/pause");
    ben.line("Ana paused at");
    ben.statistics("stands", |line| line["rate"] == 0.0);
    ana.types("/seek 0:20");
    ben.line("Ana went to 0:20");
    ana.types("/play");
    ben.statistics("goes on there", |line| line["position_s"].as_f64() > Some(20.2));
    ana.types("/close");
    let (status, said) = ben.end();
    assert_eq!(status, 1, "{said:?}");
}
