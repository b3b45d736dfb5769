//! How well viewers are in step: `cargo bench -p tests --bench together [-- CASE...]`, after
//! `cargo build --release --workspace --bins`. Measured on what is heard (sound cards that one ear
//! hears aligned to the sample, cross-correlated) and seen (both windows in one look), not on what the
//! programs say of themselves.
//!
//! Cases: `live` (a stream without a room), each for `SECONDS` (600). `BEHIND` is put before the last
//! viewer's command, with `HOST` the address it reaches this machine by: `ip netns exec far`.
//! Needs Xvfb, xdotool, PulseAudio and ffmpeg; `faketime` for the fast clock.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tests::display::Display;
use tests::process::{self, Process};
use tests::sound::{RATE, Sound};
use tests::step;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let cases: [(&str, fn()); 1] = [("live", live)];
    for (name, case) in cases {
        if wanted.is_empty() || wanted.iter().any(|case| case == name) {
            case();
            println!();
        }
    }
}

fn seconds() -> u32 {
    std::env::var("SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(600)
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

fn viewer(display: &Display, sound: &Sound, card: usize, args: &[&str]) -> Process {
    viewer_of(process::command("client"), display, sound, card, args)
}

fn viewer_of(
    mut command: Command,
    display: &Display,
    sound: &Sound,
    card: usize,
    args: &[&str],
) -> Process {
    command.args(args);
    if !command.get_envs().any(|(name, _)| name == "FAKETIME") {
        command.env("DISPLAY", &display.name);
    }
    command.env("PULSE_SERVER", sound.address());
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
    let _first = viewer(&display, &sound, 1, &["--connect", &address]);
    let second = viewer(&display, &sound, 2, &["--connect", &address]);
    place(&display, 2);
    let frames = compare("two viewers", &display, &sound);
    drop(second);
    let mut fast = process::command("client");
    hurry(&mut fast);
    let _second = viewer_of(fast, &display, &sound, 2, &["--connect", &address]);
    let _ = compare("one's clock 50 ppm fast", &display, &sound);
    pictures("two viewers", &frames);
}

/// Lets two viewers come into step, then listens and looks.
fn compare(name: &str, display: &Display, sound: &Sound) -> Vec<(u32, u32)> {
    std::thread::sleep(Duration::from_secs(10));
    let recording = sound.record_channels(2);
    let frames = step::frames(display, seconds());
    let heard = recording.heard_each();
    row(name, &step::lags_ms(&heard[0], &heard[1], RATE, RATE));
    frames
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
