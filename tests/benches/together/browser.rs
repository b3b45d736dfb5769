//! A browser and a native viewer in one room, by what is heard of both. Needs what
//! `scripts/setup --browser` installs, and playwright-core, which `scripts/test-browser` fetches.

use std::path::PathBuf;
use std::time::Duration;

use proto::conn::now;
use tests::process::{self, Process};
use tests::sound::{RATE, Sound};
use tests::step;

use super::{Room, at, head, host, keep, movie, of, row, seconds, sorted};

/// Chromium that goes into a room and plays on the second card.
fn browser(sound: &Sound, site: &str, code: &str) -> Process {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let modules = process::program("client")
        .parent()
        .and_then(|it| it.parent())
        .map(|target| target.join("browser"));
    let mut command = process::wrapped("node");
    command.arg(root.join("web/tests/browser/member.mjs"));
    command.arg(modules.expect("a target folder")).args([site, code]);
    command.env("PULSE_SERVER", sound.address());
    sound.next_card(2);
    let mut browser = Process::spawn("node", command);
    let _ = browser.line("in step");
    browser
}

/// Where the page is: "in a browser, from this machine: http://127.0.0.1:41234/".
fn site(relay: &mut Process) -> String {
    let line = relay.line("in a browser");
    line.split_whitespace().last().expect("an address").trim_end_matches('/').to_owned()
}

/// Listens to both and says how far apart they are.
fn listen(name: &str, sound: &Sound) {
    std::thread::sleep(Duration::from_secs(5));
    let (since, recording) = (now(), sound.record_channels(2));
    std::thread::sleep(Duration::from_secs(seconds().into()));
    let heard = recording.heard_each();
    let lags = step::lags_ms(&heard[0], &heard[1], RATE, RATE);
    keep(&format!("heard, {name}"), since, &lags);
    let lags = of(&lags);
    head();
    row(name, &lags);
    let apart = sorted(lags.iter().map(|lag| lag.abs()).collect());
    let order = sorted(lags);
    println!(
        "p95 {:.2} ms; the browser is {:+.2} ms later at the median",
        at(&apart, 0.95),
        at(&order, 0.5)
    );
}

/// A recording.
pub(super) fn recorded() {
    println!("A native viewer and Chromium in a room, a recording, {} s", seconds());
    let mut room = Room::start(2, seconds() + 60);
    let site = site(&mut room.relay);
    let _browser = browser(&room.sound, &site, &room.code);
    listen("native and browser", &room.sound);
}

/// A live stream: a movie that is played to all.
pub(super) fn live() {
    println!("A native viewer and Chromium in a room, a live stream, {} s", seconds());
    let folder = tempfile::tempdir().expect("folder");
    let movie = movie(folder.path(), seconds() + 60).display().to_string();
    let (_server, origin) = process::server(&["--file", &movie, "--name", "movie"]);
    let (mut relay, address) = process::relay(&["--origin", &origin, "--http", "127.0.0.1:0"]);
    let site = site(&mut relay);
    let (_host, _display, sound, code) = host(&address, 2);
    let _browser = browser(&sound, &site, &code);
    listen("native and browser, live", &sound);
}
