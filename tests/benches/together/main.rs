//! How well viewers are in step: `cargo bench -p tests --bench together [-- CASE...]`, after
//! `cargo build --release --workspace --bins`. Measured on what is heard (sound cards that one ear
//! hears aligned to the sample, cross-correlated) and seen (both windows in one look), not on what the
//! programs say of themselves.
//!
//! Cases, each for `LENGTH` seconds (600) but `pause` and `join`: `live` (a stream without a room), `pair`
//! (two in a room; then with one's clock 50 ppm fast), `five` (and a sixth whose clock is fast),
//! `snapcast` (two of its players, for comparison; the packages snapserver and snapclient), `pause` (how
//! far apart a pause is heard), `join` (from the start of the program to being in step). Only when they are
//! asked for, `browser` and `browser-live`: a native viewer and Chromium in one room.
//!
//! With `BEHIND` (put before the last viewer's command, such as `ip netns exec far`) and `HOST` (the
//! address it reaches this machine by) `pair` is measured over a network, and `five` has a seventh
//! viewer there. With `KEEP` (a folder) what `pair` and `five` measure is kept there, and what each viewer says
//! of itself, for `scripts/plot-sync`. Needs Xvfb, xdotool, PulseAudio and ffmpeg; `faketime` for the
//! fast clock.

mod browser;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use proto::conn::now;
use proto::dial::dial;
use proto::message::Ping;
use proto::room::{EnterRoom, Remote, Report, RoomCode};
use proto::time::Stamp;
use proto::{Message, Role};
use tests::display::Display;
use tests::process::{self, Process};
use tests::sound::{RATE, Sound};
use tests::step;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let cases: [(&str, fn()); 8] = [
        ("live", live),
        ("pair", pair),
        ("five", five),
        ("pause", pause),
        ("join", join),
        ("snapcast", snapcast),
        ("browser", browser::recorded),
        ("browser-live", browser::live),
    ];
    for (name, case) in cases {
        // A browser is not there unless it was asked for.
        if wanted.is_empty() && !name.starts_with("browser")
            || wanted.iter().any(|case| case == name)
        {
            case();
            println!();
        }
    }
}

fn seconds() -> u32 {
    std::env::var("LENGTH").ok().and_then(|text| text.parse().ok()).unwrap_or(600)
}

/// A movie of this length: the test pattern's picture, whose frames are numbered, and noise, of which
/// no two moments are alike.
fn movie(folder: &Path, seconds: u32) -> PathBuf {
    let at = |name: &str| folder.join(name).display().to_string();
    let (_server, address) = process::server(&["--test-pattern", "--size", "640x360"]);
    let pattern = at("pattern.mkv");
    let args = ["--connect", &address, "--headless", "--record", &pattern];
    let recording = process::start("client", &args);
    std::thread::sleep(Duration::from_secs(22));
    let _ = recording.stop();
    let noise = format!("anoisesrc=color=pink:amplitude=0.5:duration={seconds}:seed=7");
    let made = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-nostdin", "-stream_loop", "-1", "-i", &pattern])
        .args(["-f", "lavfi", "-i", &noise, "-map", "0:v", "-map", "1:a", "-c:v", "copy"])
        .args(["-c:a", "aac", "-b:a", "160k", "-t", &seconds.to_string(), &at("movie.mp4")])
        .status();
    assert!(made.expect("ffmpeg").success());
    folder.join("movie.mp4")
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn at(sorted: &[f64], share: f64) -> f64 {
    sorted.get((sorted.len().saturating_sub(1) as f64 * share) as usize).copied().unwrap_or(0.0)
}

/// A row of a table: how far apart, without regard to who is first.
fn row(name: &str, lags: &[f64]) {
    let off = sorted(lags.iter().map(|lag| lag.abs()).collect());
    println!(
        "| {name} | {} | {:.2} ms | {:.2} ms | {:.2} ms |",
        off.len(),
        at(&off, 0.5),
        at(&off, 0.99),
        at(&off, 1.0)
    );
}

fn head() {
    println!("| sound | samples | apart, p50 | p99 | most |");
    println!("| --- | --- | --- | --- | --- |");
}

/// Makes a program's clocks run 50 ppm fast: those of the system that it reads, not the sound card's.
fn hurry(command: &mut Command) {
    const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
    assert!(Path::new(LIBRARY).exists(), "the package faketime is missing");
    // Without a window: the library for windows hangs under it.
    command.env("LD_PRELOAD", LIBRARY).env("FAKETIME", "+0 x1.00005");
}

/// A viewer on a card of its own; with a display it has a window.
fn viewer(
    mut command: Command,
    display: Option<&Display>,
    sound: &Sound,
    card: usize,
    args: &[&str],
) -> Process {
    command.args(args).env("PULSE_SERVER", sound.address());
    if let Some(display) = display {
        command.env("DISPLAY", &display.name);
    }
    let viewer = Process::spawn("client", command);
    sound.give_card(&viewer, card);
    viewer
}

/// Two viewers of one stream, without a room: they are in step by the server's clock alone.
fn live() {
    println!("Two viewers of a live stream, no room, {} s", seconds());
    head();
    let folder = tempfile::tempdir().expect("folder");
    let movie = movie(folder.path(), 2 * seconds() + 60).display().to_string();
    let (_server, address) = process::server(&["--file", &movie]);
    let display = Display::start(1280, 360);
    let sound = Sound::with_cards(2);
    let client = || process::command("client");
    let args = ["--connect", address.as_str()];
    let _first = viewer(client(), Some(&display), &sound, 1, &args);
    let second = viewer(client(), Some(&display), &sound, 2, &args);
    place(&display, 2);
    let frames = compare("two viewers", &display, &sound);
    drop(second);
    let mut fast = client();
    hurry(&mut fast);
    let _second = viewer(fast, None, &sound, 2, &args);
    let _ = compare("one's clock 50 ppm fast", &display, &sound);
    pictures("two viewers", &frames);
}

/// Lets two viewers come into step, then listens and looks.
fn compare(name: &str, display: &Display, sound: &Sound) -> Vec<(u32, u32)> {
    std::thread::sleep(Duration::from_secs(10));
    let (since, recording) = (now(), sound.record_channels(2));
    let frames = step::frames(display, seconds());
    let heard = recording.heard_each();
    let lags = step::lags_ms(&heard[0], &heard[1], RATE, RATE);
    keep(&format!("heard, {name}"), since, &lags);
    row(name, &of(&lags));
    frames
}

fn of(lags: &[(usize, f64)]) -> Vec<f64> {
    lags.iter().map(|(_, lag)| *lag).collect()
}

/// Where a file of this name is kept, if anything is.
fn kept(name: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("KEEP")?);
    std::fs::create_dir_all(&folder).expect("a folder for KEEP");
    Some(folder.join(format!("{name}.jsonl")))
}

/// Keeps what was heard, a line each: when, and how much later than by the first viewer.
fn keep(name: &str, since: Stamp, lags: &[(usize, f64)]) {
    let Some(file) = kept(name) else { return };
    let line = |(at, lag): &(usize, f64)| {
        let at_us = since.0 + (*at as i64) * 1_000_000 / RATE as i64;
        format!("{{\"at_us\":{at_us},\"heard_us\":{:.0}}}\n", lag * 1000.0)
    };
    std::fs::write(file, lags.iter().map(line).collect::<String>()).expect("kept");
}

/// Lets a viewer say how it is in step, if that is kept.
fn told(command: &mut Command, name: &str) {
    if let Some(file) = kept(name) {
        command.arg("--stats").arg(file);
    }
}

/// A movie in a library, a relay in front of it, and a room there with its first viewer in it.
struct Room {
    _folder: tempfile::TempDir,
    _server: Process,
    relay: Process,
    address: String,
    code: String,
    display: Display,
    sound: Sound,
    _host: Process,
}

impl Room {
    fn start(cards: usize, length: u32) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        movie(folder.path(), length);
        let library = folder.path().display().to_string();
        std::fs::remove_file(folder.path().join("pattern.mkv")).expect("it was made");
        let (server, origin) = process::server(&["--library", &library]);
        let listen = std::env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
        let listen = format!("{listen}:0");
        let page = ["--http", "127.0.0.1:0"];
        let (relay, address) =
            process::relay(&[&["--origin", &origin, "--listen", &listen], &page[..]].concat());
        tests::eventually("the movie", || {
            let list = process::start("client", &["--connect", &address, "--list", "--json"]);
            list.end().1.iter().any(|line| line.contains("\"movie\"")).then_some(())
        });
        let (_host, display, sound, code) = host(&address, cards);
        Self { _folder: folder, _server: server, relay, address, code, display, sound, _host }
    }

    /// Another viewer, on its own card; the second alone has a window, if it does not hang there.
    fn enter(&self, mut command: Command, card: usize) -> Process {
        static ENTERED: AtomicU32 = AtomicU32::new(2);
        let name = format!("viewer {}", ENTERED.fetch_add(1, Ordering::Relaxed));
        command.args(["--connect", &self.address, "--room", &self.code, "--name", &name]);
        told(&mut command, &name);
        let is_fast = command.get_envs().any(|(variable, _)| variable == "FAKETIME");
        let display = Some(&self.display).filter(|_| card == 2 && !is_fast);
        viewer(command, display, &self.sound, card, &[])
    }
}

/// The first viewer of a room of "movie", on the first of so many cards; and the room's code.
fn host(address: &str, cards: usize) -> (Process, Display, Sound, String) {
    let display = Display::start(1280, 360);
    let sound = Sound::with_cards(cards);
    let args = ["--connect", address, "--stream", "movie", "--create-room", "--name", "Ana"];
    let mut command = process::command("client");
    command.args(args).env("DISPLAY", &display.name).env("PULSE_SERVER", sound.address());
    told(&mut command, "viewer 1");
    let mut host = Process::spawn("client", command);
    let line = host.line("you are in room");
    let words = line.split([' ', ',']);
    let code = words.filter_map(|word| word.parse::<RoomCode>().ok()).next().expect("a code");
    sound.give_card(&host, 1);
    (host, display, sound, code.to_string())
}

/// The client, behind what `BEHIND` says.
fn far_client() -> Command {
    let Ok(behind) = std::env::var("BEHIND") else { return process::command("client") };
    let mut words = behind.split_whitespace();
    let mut command = Command::new(words.next().expect("a command"));
    command.args(words).arg(process::program("client"));
    command
}

/// Two viewers in a room.
fn pair() {
    println!("Two viewers in a room, {} s", seconds());
    head();
    let room = Room::start(2, 2 * seconds() + 120);
    let second = room.enter(far_client(), 2);
    place(&room.display, 2);
    let frames = compare("two viewers", &room.display, &room.sound);
    drop(second);
    if std::env::var_os("BEHIND").is_none() {
        let mut fast = process::command("client");
        hurry(&mut fast);
        let _second = room.enter(fast, 2);
        let _ = compare("one's clock 50 ppm fast", &room.display, &room.sound);
    }
    pictures("two viewers", &frames);
}

/// Five viewers in a room, each compared with the first, and a sixth whose clock is fast; with
/// `BEHIND` a seventh that is far away.
fn five() {
    println!("Five viewers in a room and others, {} s", seconds());
    head();
    let room = Room::start(7, seconds() + 60);
    let mut others: Vec<(String, Process)> = Vec::new();
    for card in 2..=5 {
        let viewer = room.enter(process::command("client"), card);
        others.push((format!("viewer {card}"), viewer));
    }
    let mut fast = process::command("client");
    hurry(&mut fast);
    others.push(("clock 50 ppm fast".to_owned(), room.enter(fast, 6)));
    if std::env::var_os("BEHIND").is_some() {
        others.push(("far away".to_owned(), room.enter(far_client(), 7)));
    }
    place(&room.display, 2);
    std::thread::sleep(Duration::from_secs(10));
    let (since, recording) = (now(), room.sound.record_channels(7));
    let frames = step::frames(&room.display, seconds());
    let heard = recording.heard_each();
    let mut five = Vec::new();
    for (index, (name, _)) in others.iter().enumerate() {
        let lags = step::lags_ms(&heard[0], &heard[index + 1], RATE, RATE);
        keep(&format!("heard, {name}"), since, &lags);
        row(&format!("viewer 1 and {name}"), &of(&lags));
        if index < 4 {
            five.extend(of(&lags));
        }
    }
    row("all five", &five);
    pictures("viewers 1 and 2", &frames);
}

/// How far apart two viewers fall silent and sound again when a third member pauses and plays.
fn pause() {
    println!("A pause in a room of two viewers and a third member who presses the key");
    let room = Room::start(2, 180);
    let _second = room.enter(process::command("client"), 2);
    std::thread::sleep(Duration::from_secs(6));
    let recording = room.sound.record_channels(2);
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    runtime.block_on(press(&room, 20));
    let heard = recording.heard_each();
    let edges: Vec<Vec<usize>> = heard.iter().map(|samples| step::edges(samples)).collect();
    // Where one of them fell silent alone there is no other edge near.
    let nearest = |edge: &usize| edges[1].iter().map(|other| edge.abs_diff(*other)).min();
    let ms = |samples: usize| samples as f64 * 1000.0 / RATE as f64;
    let apart: Vec<f64> = edges[0].iter().filter_map(nearest).map(ms).collect();
    head();
    row("a pause or its end, heard", &apart);
}

/// Pauses and plays so many times, as a member without picture and sound that is always ready.
async fn press(room: &Room, times: usize) {
    let mut member = dial(&room.address, Role::Control, None, "bench").await.expect("dial");
    let code = room.code.parse().expect("a code");
    let enter = EnterRoom { code, name: "Key".into(), pin: None, token: None, film: None };
    member.writer.write(&Message::EnterRoom(enter)).await.expect("write");
    for turn in 0..times * 2 {
        let until = tokio::time::Instant::now() + Duration::from_millis(1_500);
        while let Ok(message) = tokio::time::timeout_at(until, member.reader.read()).await {
            let epoch = match message.expect("a message") {
                Message::Entered(entered) => entered.timeline.epoch,
                Message::Timeline(timeline) => timeline.epoch,
                _ => continue,
            };
            let report = Report {
                epoch,
                ready: true,
                buffered_us: 30_000_000,
                off_us: 0,
                round_trip_us: 100,
                needs_us: 0,
            };
            member.writer.write(&Message::Report(report)).await.expect("write");
        }
        let key = if turn % 2 == 0 { Remote::Pause } else { Remote::Play };
        member.writer.write(&Message::Remote(key)).await.expect("write");
        member.writer.write(&Message::Ping(Ping { sent_us: now() })).await.expect("write");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// From the start of the program to sound within 20 ms of the others'.
fn join() {
    println!("From starting the client to being heard within 20 ms of the room");
    println!("| joins | median | longest |");
    println!("| --- | --- | --- |");
    let room = Room::start(2, 180);
    std::thread::sleep(Duration::from_secs(5));
    let recording = room.sound.record_channels(2);
    std::thread::sleep(Duration::from_secs(1));
    // From its first sample on it plays there.
    room.sound.next_card(2);
    let mut times = Vec::new();
    for _ in 0..10 {
        let started = recording.heard_each()[0].len();
        let viewer = room.enter(process::command("client"), 2);
        std::thread::sleep(Duration::from_secs(4));
        let heard = recording.heard_each();
        let in_step = (started..heard[0].len()).step_by(RATE / 50).find(|at| {
            let begun = heard[1]
                .get(*at..at + RATE / 50)
                .is_some_and(|part| part.iter().any(|s| *s != 0.0));
            let lag = step::lag_ms(&heard[0], &heard[1], *at, 100);
            begun && lag.is_some_and(|lag| lag.abs() < 20.0)
        });
        times.extend(in_step.map(|at| (at - started) as f64 * 1000.0 / RATE as f64));
        drop(viewer);
        std::thread::sleep(Duration::from_millis(500));
    }
    let times = sorted(times);
    println!("| {} | {:.0} ms | {:.0} ms |", times.len(), at(&times, 0.5), at(&times, 1.0));
}

/// Two players of Snapcast, which is made for playing the same in several rooms, for comparison.
fn snapcast() {
    println!("Two players of Snapcast, {} s", seconds());
    head();
    let folder = tempfile::tempdir().expect("folder");
    let fifo = folder.path().join("fifo").display().to_string();
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let port = free.expect("a free port").port().to_string();
    // Without a file of its own it takes the system's, whose stream is silent.
    let settings = folder.path().join("snapserver.conf");
    let source = format!("[stream]\nsource = pipe://{fifo}?name=a&mode=read\n");
    std::fs::write(&settings, source).expect("settings");
    let mut server = Command::new("snapserver");
    server
        .args(["--tcp.enabled", "false", "--http.enabled", "false", "--stream.port", &port])
        .args(["--server.datadir", &folder.path().display().to_string(), "--config"])
        .arg(settings);
    let _server = Process::spawn("snapserver", server);
    let mut noise = Command::new("ffmpeg");
    noise
        .args(["-loglevel", "error", "-nostdin", "-y", "-f", "lavfi"])
        .args(["-i", "anoisesrc=color=pink:amplitude=0.5:seed=7:sample_rate=48000"])
        .args(["-ac", "2", "-f", "s16le", &fifo]);
    let _noise = Process::spawn("ffmpeg", noise);
    let sound = Sound::with_cards(2);
    let player = |card: usize, fast: bool| {
        let mut command = Command::new("snapclient");
        let id = card.to_string();
        command
            .args(["--host", "127.0.0.1", "--port", &port, "--player", "pulse"])
            .args(["--instance", &id, "--hostID", &id])
            .env("PULSE_SERVER", sound.address());
        if fast {
            hurry(&mut command);
        }
        let player = Process::spawn("snapclient", command);
        sound.give_card(&player, card);
        player
    };
    let _first = player(1, false);
    for (name, fast) in [("two players", false), ("one's clock 50 ppm fast", true)] {
        let _second = player(2, fast);
        std::thread::sleep(Duration::from_secs(10));
        let recording = sound.record_channels(2);
        std::thread::sleep(Duration::from_secs(seconds().into()));
        let heard = recording.heard_each();
        row(name, &of(&step::lags_ms(&heard[0], &heard[1], RATE, RATE)));
    }
}

fn pictures(name: &str, frames: &[(u32, u32)]) {
    let apart = |pair: &(u32, u32)| pair.0.abs_diff(pair.1);
    let same = frames.iter().filter(|pair| apart(pair) == 0).count();
    let most = frames.iter().map(apart).max().unwrap_or(0);
    let share = 100.0 * same as f64 / frames.len().max(1) as f64;
    println!("{name}: same frame in {share:.2} % of {} looks; most apart {most}", frames.len());
}

/// Puts the windows beside each other.
fn place(display: &Display, windows: usize) {
    let numbers = tests::eventually("the windows", || {
        let output = Command::new("xdotool")
            .env("DISPLAY", &display.name)
            .args(["search", "--onlyvisible", "--name", "."])
            .output()
            .expect("xdotool");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let numbers: Vec<String> = text.lines().map(str::to_owned).collect();
        (numbers.len() == windows).then_some(numbers)
    });
    for (index, number) in numbers.iter().enumerate() {
        let left = (index * display.width / windows).to_string();
        let moved = Command::new("xdotool")
            .env("DISPLAY", &display.name)
            .args(["windowmove", number, &left, "0"])
            .status();
        assert!(moved.expect("xdotool").success());
    }
}
