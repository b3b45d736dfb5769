//! From a client's command to the decoded picture of the position that was wanted.

use std::process::Command as Program;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

use client::cue::Cue;
use client::session::{Command, Config, Event, Patience, Sink, run};
use client::timeline::Schedule;
use media::decode::VideoDecoder;
use proto::conn::now;
use proto::{Packet, Track};
use rand::Rng;
use tests::{MOVIE, process, sample};
use tokio::sync::{Notify, mpsc};

use crate::{cached, prefetch, runtime, sorted};

const SEEKS: usize = 50;
/// A picture of the sample movie is shown so long, microseconds; and a little more.
const PICTURE_US: i64 = 42_000;
/// The sample movie, so many times.
const TIMES: i64 = 10;
const LENGTH_US: i64 = TIMES * 30_000_000;
/// Longer than any seek takes: only a hang meets it.
const HANGS: Duration = Duration::from_secs(20);

/// What the session says, for the thread that decodes.
enum Said {
    Track(u16, Box<Track>),
    Cue(Cue),
    Packet(Packet),
}

struct Player(Sender<Said>);

impl Sink for Player {
    fn event(&mut self, event: Event) {
        let said = match event {
            Event::Open(description) => match description.video() {
                Some((index, track, _)) => Said::Track(index, Box::new(track.clone())),
                None => return,
            },
            Event::Cue(cue) => Said::Cue(cue),
            Event::Packet(packet, _) => Said::Packet(packet),
            _ => return,
        };
        // The case is over when nobody decodes any more.
        let _ = self.0.send(said);
    }

    fn clock_error_us(&mut self, _: f64) {}
}

/// The first picture of a cue, decoded.
struct Seen {
    cue: Cue,
    at: Instant,
    /// From now until the cue begins, milliseconds: pictures move, and sound is heard.
    moves_in_ms: f64,
}

/// Decodes as the client does: anew for each cue.
fn decode(said: &Receiver<Said>, seen: &Sender<Seen>, delay_us: i64) {
    let (mut video, mut track) = (0, None);
    let mut decoder = None;
    let mut cue: Option<Cue> = None;
    while let Ok(said) = said.recv() {
        match said {
            Said::Track(index, of) => (video, track) = (index, Some(of)),
            Said::Cue(next) => {
                cue = Some(next);
                decoder = track.as_deref().and_then(|track| VideoDecoder::new(track).ok());
            }
            Said::Packet(packet) if packet.header.track == video => {
                let Some((decoder, wanted)) = decoder.as_mut().zip(cue) else { continue };
                let pictures = decoder.decode(&packet).unwrap_or_default();
                let there = |pts_us: i64| pts_us.saturating_add(PICTURE_US) >= wanted.position_us;
                if pictures.iter().any(|picture| there(picture.pts_us)) {
                    let starts = wanted.captured.plus_us(delay_us).us_since(now());
                    let moves_in_ms = starts.max(0) as f64 / 1e3;
                    let first = Seen { cue: wanted, at: Instant::now(), moves_in_ms };
                    cue = None;
                    if seen.send(first).is_err() {
                        return;
                    }
                }
            }
            Said::Packet(_) => {}
        }
    }
}

/// A library with the sample movie, several times over.
fn library() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    let to = folder.path().join("film.mp4");
    let repeat = (TIMES - 1).to_string();
    let status = Program::new("ffmpeg")
        .args(["-loglevel", "error", "-stream_loop", &repeat, "-i"])
        .arg(sample(MOVIE))
        .args(["-c", "copy"])
        .arg(&to)
        .status();
    assert!(status.expect("ffmpeg").success());
    let old = SystemTime::now() - Duration::from_secs(3_600);
    let file = std::fs::File::options().write(true).open(&to).expect("open");
    file.set_modified(old).expect("a time");
    folder
}

pub(crate) fn case() {
    println!("{SEEKS} random seeks in a movie of 5 min, 480p, through a warm relay on loopback");
    println!("| from the command to | median | longest |");
    println!("| --- | --- | --- |");
    let (films, cache) = (library(), tempfile::tempdir().expect("folder"));
    let folder = cache.path().display().to_string();
    let (_origin, from) = process::server(&["--library", &films.path().display().to_string()]);
    runtime().block_on(tests::recorded::Watcher::open_soon(&from, "film"));
    prefetch(&from, "film", &folder);
    let (_relay, near) = cached(&from, &folder);

    let runtime = runtime();
    let schedule = Arc::new(Schedule::default());
    let (said, to_decode) = channel();
    let (first, seen) = channel();
    let delay_us = schedule.delay_us();
    std::thread::spawn(move || decode(&to_decode, &first, delay_us));
    let (remote, mut commands) = mpsc::channel(8);
    let config = Config {
        address: near,
        stream: Some("film".to_owned()),
        buffer_us: 250_000,
        start_us: None,
        ahead_us: 30_000_000,
        schedule,
        patience: Patience::default(),
        seat: None,
        local: None,
    };
    runtime.spawn(async move {
        run(&config, &mut Player(said), &mut commands, Arc::new(Notify::new())).await
    });
    let mut before = seen.recv_timeout(HANGS).expect("it begins");
    let (mut pictures, mut moves) = (Vec::new(), Vec::new());
    for _ in 0..SEEKS {
        std::thread::sleep(Duration::from_millis(300));
        let position_us = before.cue.position_us(now(), delay_us);
        let wanted_us = rand::rng().random_range(0..LENGTH_US - 10_000_000);
        let asked = Instant::now();
        remote.blocking_send(Command::Skip(wanted_us - position_us)).expect("sent");
        loop {
            let next = seen.recv_timeout(HANGS).expect("a picture");
            let is_it = (next.cue.position_us - wanted_us).abs() < 1_000_000;
            if is_it {
                let took = next.at.duration_since(asked).as_secs_f64() * 1e3;
                pictures.push(took);
                moves.push(took + next.moves_in_ms);
                before = next;
                break;
            }
        }
    }
    for (what, times) in [("decoded picture", pictures), ("moving, with sound", moves)] {
        let times = sorted(times);
        println!("| {what} | {:.0} ms | {:.0} ms |", times[SEEKS / 2], times[SEEKS - 1]);
    }
}
