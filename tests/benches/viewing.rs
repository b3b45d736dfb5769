//! What watching is like: `cargo bench -p tests --bench viewing [-- CASE...]`, after
//! `cargo build --release --workspace --bins`.
//!
//! Cases: `join` (connect to first decoded picture), `glass` (test pattern to window), `lips` (flash
//! and beep on screen and sound card, and a movie known to be wrong), `cpu` (the client beside
//! ffplay and mpv). Needs Xvfb, PulseAudio and ffmpeg; mpv for its row.

use std::process::{Command, Stdio};
use std::time::Duration;

use server::source::pattern::stamp;
use tests::display::Display;
use tests::process::{self, Process};
use tests::sound::Sound;
use tests::{MOVIE, lip_sync, sample};

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let cases: [(&str, fn()); 4] = [("join", join), ("glass", glass), ("lips", lips), ("cpu", cpu)];
    for (name, case) in cases {
        if wanted.is_empty() || wanted.iter().any(|case| case == name) {
            case();
            println!();
        }
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn at(sorted: &[f64], share: f64) -> f64 {
    sorted.get((sorted.len().saturating_sub(1) as f64 * share) as usize).copied().unwrap_or(0.0)
}

fn join() {
    println!("Join to first decoded picture on loopback, 720p30 H.264, a GOP of 2 s");
    println!("| joins | median | longest |");
    println!("| --- | --- | --- |");
    let (_server, address) = process::server(&["--test-pattern"]);
    let joins = (0..20).map(|_| {
        let mut client = process::start("client", &["--connect", &address, "--headless", "--json"]);
        let seen = client.statistics("a picture", |s| s["first_picture_ms"].is_number());
        seen["first_picture_ms"].as_f64().unwrap_or(f64::MAX)
    });
    let joins = sorted(joins.collect());
    println!("| {} | {:.0} ms | {:.0} ms |", joins.len(), at(&joins, 0.5), at(&joins, 1.0));
}

fn glass() {
    println!("Test pattern to window: capture to the first look that shows the frame, 100 looks/s");
    println!("| latency asked for | frames seen | median | p95 | in frame times (median) |");
    println!("| --- | --- | --- | --- | --- |");
    for latency in ["0", "250"] {
        let display = Display::start(640, 360);
        let (_server, address) = process::server(&["--test-pattern", "--size", "640x360"]);
        let args = ["--connect", &address, "--no-audio", "--latency", latency];
        let _client = client(&display, None, &args);
        let _ = display.window("pattern");
        std::thread::sleep(Duration::from_secs(3));
        let delays = sorted(look(&display, 10));
        let median = at(&delays, 0.5);
        println!(
            "| {latency} ms | {} | {median:.0} ms | {:.0} ms | {:.1} |",
            delays.len(),
            at(&delays, 0.95),
            median / (1000.0 / 30.0)
        );
    }
}

/// How old each new frame of the pattern was when it was first seen, milliseconds.
fn look(display: &Display, seconds: u32) -> Vec<f64> {
    let folder = tempfile::tempdir().expect("folder");
    let times = folder.path().join("times").display().to_string();
    let size = format!("{}x{}", display.width, display.height);
    let output = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-nostdin", "-copyts", "-t", &seconds.to_string()])
        .args(["-use_wallclock_as_timestamps", "1", "-f", "x11grab", "-draw_mouse", "0"])
        .args(["-framerate", "100", "-video_size", &size, "-i", &display.name])
        .args(["-vf", &format!("settb=1/1000000,signalstats,metadata=mode=print:file={times}")])
        .args(["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "bgra", "-"])
        .output()
        .expect("ffmpeg");
    let text = std::fs::read_to_string(&times).expect("times");
    let times = text.lines().filter_map(lip_sync::time_of);
    let mut last = None;
    let mut delays = Vec::new();
    let frames = output.stdout.chunks_exact(display.width * display.height * 4);
    for (seconds, frame) in times.zip(frames) {
        let pixel = |p: &[u8]| u32::from_be_bytes([0, p[2], p[1], p[0]]);
        let rgb: Vec<u32> = frame.chunks_exact(4).map(pixel).collect();
        let Some(seen) = stamp::read(&rgb, display.width, display.height) else { continue };
        if last.is_some_and(|last| last != seen.frame) {
            delays.push(seconds * 1000.0 - seen.captured_ms as f64);
        }
        last = Some(seen.frame);
    }
    delays
}

fn lips() {
    println!("Lip sync on screen and sound card: how much later the beep is than the flash");
    println!("| | beeps | median | standard deviation |");
    println!("| --- | --- | --- | --- |");
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (_server, address) = process::server(&["--test-pattern", "--size", "640x360"]);
    row("test pattern", &lips_of(&address, Duration::from_secs(15)));

    // The same as a movie, and with its sound 100 ms late: the measure must see that.
    let recorded = path("right.mkv");
    let args = ["--connect", &address, "--headless", "--record", &recorded];
    let recording = process::start("client", &args);
    std::thread::sleep(Duration::from_secs(20));
    let _ = recording.stop();
    let late = path("late.mkv");
    let delayed = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-nostdin", "-i", &recorded, "-itsoffset", "0.1", "-i"])
        .args([&recorded, "-map", "0:v", "-map", "1:a", "-c", "copy", &late])
        .status();
    assert!(delayed.expect("ffmpeg").success());
    for (name, movie) in [("its recording", &recorded), ("the same, sound 100 ms late", &late)] {
        let (_server, address) = process::server(&["--file", movie, "--loop"]);
        row(name, &lips_of(&address, Duration::from_secs(12)));
    }
}

fn lips_of(address: &str, length: Duration) -> Vec<f64> {
    let display = Display::start(640, 360);
    let sound = Sound::start();
    let _client = client(&display, Some(&sound), &["--connect", address]);
    std::thread::sleep(Duration::from_secs(3));
    sorted(lip_sync::measure(&display, &sound, length.as_secs() as u32))
}

fn row(name: &str, offsets: &[f64]) {
    let mean = offsets.iter().sum::<f64>() / offsets.len().max(1) as f64;
    let variance = offsets.iter().map(|o| (o - mean).powi(2)).sum::<f64>();
    let deviation = (variance / offsets.len().max(1) as f64).sqrt();
    println!("| {name} | {} | {:.1} ms | {deviation:.1} ms |", offsets.len(), at(offsets, 0.5));
}

fn cpu() {
    println!("CPU time of playing the sample movie (480p, 30 s) in a window with sound");
    println!("| player | CPU-seconds | beside ffplay |");
    println!("| --- | --- | --- |");
    let display = Display::start(1280, 720);
    let sound = Sound::start();
    let movie = sample(MOVIE).display().to_string();
    let ffplay = ["-loglevel", "error", "-autoexit", &movie];
    let base = cpu_of(&mut player("ffplay", &ffplay, &display, &sound));
    let quiet = ["--no-config", "--really-quiet", "--hwdec=no", "--vo=x11", "--ao=pulse", &movie];
    let mpv = cpu_of(&mut player("mpv", &quiet, &display, &sound));
    let (_server, address) = process::server(&["--file", &movie]);
    let mut command = process::command("client");
    command.args(["--connect", &address]);
    let ours = cpu_of(&mut on(command, &display, Some(&sound)));
    for (name, cpu) in [("ffplay", base), ("mpv, software decoding", mpv), ("client", ours)] {
        match (cpu, base) {
            (Some(cpu), Some(base)) => println!("| {name} | {cpu:.2} | {:.2} |", cpu / base),
            _ => println!("| {name} | not measured: not installed | - |"),
        }
    }
}

fn client(display: &Display, sound: Option<&Sound>, args: &[&str]) -> Process {
    let mut command = process::command("client");
    command.args(args);
    Process::spawn("client", on(command, display, sound))
}

fn player(name: &str, args: &[&str], display: &Display, sound: &Sound) -> Command {
    let mut command = Command::new(name);
    command.args(args);
    on(command, display, Some(sound))
}

fn on(mut command: Command, display: &Display, sound: Option<&Sound>) -> Command {
    let sound = sound.map_or("unix:/nowhere".to_owned(), Sound::address);
    command.env("DISPLAY", &display.name).env("PULSE_SERVER", sound);
    command
}

/// Runs a player to its end; its CPU-seconds as last seen.
fn cpu_of(command: &mut Command) -> Option<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut seconds = 0.0;
    while child.try_wait().ok()?.is_none() {
        // While it can still be asked: at its end the system forgets.
        seconds = cpu_seconds(child.id()).unwrap_or(seconds);
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(seconds)
}

fn cpu_seconds(pid: u32) -> Option<f64> {
    /// Linux counts CPU time for `/proc` in hundredths of a second on every architecture.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = |i: usize| fields.get(i)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS).filter(|seconds| *seconds > 0.0)
}
