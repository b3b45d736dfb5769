//! What is seen in the window and heard from the sound card.

use server::source::pattern::stamp;
use tests::display::Display;
use tests::process::{Process, command, relay, server};
use tests::sound::{RATE, Sound, envelope, likeness};
use tests::{MOVIE, SILENT, eventually, lip_sync, sample};

fn client(display: Option<&Display>, sound: Option<&Sound>, args: &[&str]) -> Process {
    let mut command = command("client");
    command
        .args(args)
        .env("PULSE_SERVER", sound.map_or("unix:/nowhere".to_owned(), Sound::address));
    if let Some(display) = display {
        command.env("DISPLAY", &display.name);
    }
    Process::spawn("client", command)
}

#[test]
fn the_window_shows_the_pattern_in_time_and_obeys_keys() {
    let display = Display::start(800, 600);
    let (_server, address) = server(&["--test-pattern", "--size", "640x360"]);
    let args = ["--connect", &address, "--no-audio", "--latency", "100"];
    let client = client(Some(&display), None, &args);
    let _ = display.window("pattern");
    // All around the window the screen is black.
    let read = || stamp::read(&display.screenshot(), display.width, display.height);
    let first = eventually("a stamp on the screen", read);
    eventually("the pattern moves on", || read().filter(|s| s.frame > first.frame + 10));
    display.press("pattern", "space");
    // Paused: the same frame in two looks, one after the other.
    eventually("the picture stands still", || {
        let (one, two) = (read()?, read()?);
        (one.frame == two.frame).then_some(())
    });
    let paused = read().expect("a stamp");
    display.press("pattern", "space");
    eventually("it goes on live", || read().filter(|s| s.frame > paused.frame + 10));
    display.press("pattern", "q");
    let (code, said) = client.end();
    assert_eq!(code, 0, "{said:?}");
}

#[test]
fn keys_lead_from_a_live_stream_into_its_past_and_back() {
    let display = Display::start(800, 600);
    let folder = tempfile::tempdir().expect("folder");
    let (_server, origin) = server(&["--test-pattern", "--size", "640x360"]);
    let cache = folder.path().display().to_string();
    let (_relay, address) = relay(&["--origin", &origin, "--cache-dir", &cache, "--dvr", "10m"]);
    let args = ["--connect", &address, "--no-audio", "--latency", "100"];
    let mut client = client(Some(&display), None, &args);
    let _ = display.window("pattern");
    let read = || stamp::read(&display.screenshot(), display.width, display.height);
    let frame = |what: &str, wanted: &dyn Fn(u32) -> bool| {
        eventually(what, || read().map(|s| s.frame).filter(|frame| wanted(*frame)))
    };
    let first = frame("a stamp on the screen", &|_| true);
    let live = frame("some seconds of it", &|frame| frame > first + 200);
    display.press("pattern", "Left");
    client.line("watching what is kept");
    let back = frame("an earlier picture", &|frame| frame + 60 < live);
    frame("it goes on", &|frame| (back + 5..live).contains(&frame));
    display.press("pattern", "End");
    client.line("live again");
    let live = frame("the present", &|frame| frame > live);
    frame("it goes on live", &|frame| frame > live + 10);
    display.press("pattern", "q");
    let (code, said) = client.end();
    assert_eq!(code, 0, "{said:?}");
}

#[test]
fn the_window_shows_what_the_decoder_makes_of_the_movie() {
    let display = Display::start(640, 360);
    let (_server, address) = server(&["--file", &sample(SILENT).display().to_string(), "--loop"]);
    let _client = client(Some(&display), None, &["--connect", &address, "--no-audio"]);
    let _ = display.window("city");
    let frames = decoded();
    // Some frame of the movie, to a few steps of brightness a pixel.
    let best = eventually("a picture of the movie on the screen", || {
        let shot = display.screenshot();
        let difference = frames.iter().map(|frame| difference(frame, &shot)).min()?;
        (difference < 3_000).then_some(difference)
    });
    assert!(best < 3_000);
    let black = vec![0; 640 * 360];
    assert!(frames.iter().all(|frame| difference(frame, &black) > 3_000), "the measure measures");
}

/// Every tenth picture of the movie.
fn decoded() -> Vec<Vec<u32>> {
    let mut movie = media::demux::Movie::open(&sample(SILENT)).expect("movie");
    let mut decoder = media::decode::VideoDecoder::new(&movie.tracks()[0]).expect("decoder");
    let mut frames = Vec::new();
    let mut number = 0;
    while let Some(packet) = movie.next_packet().expect("packet") {
        for picture in decoder.decode(&packet).expect("picture") {
            if number % 2 == 0 {
                let mut rgb = Vec::new();
                picture.to_rgb(&mut rgb);
                frames.push(rgb);
            }
            number += 1;
        }
    }
    frames
}

/// Mean difference of two pictures, thousandths of a step of brightness.
fn difference(one: &[u32], two: &[u32]) -> u64 {
    let channel = |pixel: u32, shift: u32| i64::from(pixel >> shift & 0xff);
    // One pixel in seven: enough, and quick.
    let pairs = one.iter().zip(two).step_by(7);
    let sum: u64 = pairs
        .clone()
        .map(|(a, b)| {
            [0, 8, 16].iter().map(|s| channel(*a, *s).abs_diff(channel(*b, *s))).sum::<u64>()
        })
        .sum();
    sum * 1_000 / (3 * pairs.len() as u64).max(1)
}

#[test]
fn the_sound_card_plays_the_movies_own_sound() {
    let sound = Sound::start();
    let recording = sound.record();
    let (_server, address) = server(&["--file", &sample(MOVIE).display().to_string()]);
    let _client = client(None, Some(&sound), &["--connect", &address]);
    let wanted = movie_sound();
    // Eight seconds from the middle, wherever they come in the recording.
    let part = envelope(&wanted[4 * RATE..12 * RATE]);
    let best = eventually("the movie's sound from the card", || {
        let heard = envelope(&recording.heard());
        let likeness = if heard.len() > part.len() { likeness(&part, &heard) } else { 0.0 };
        (likeness > 0.95).then_some(likeness)
    });
    assert!(best > 0.95, "{best}");
}

/// The sample movie's sound, decoded by our own decoder, mono.
fn movie_sound() -> Vec<f32> {
    let mut movie = media::demux::Movie::open(&sample(MOVIE)).expect("movie");
    let index = movie.tracks().iter().position(|track| !track.is_video()).expect("sound");
    let mut decoder = media::decode::AudioDecoder::new(&movie.tracks()[index]).expect("decoder");
    let mut samples = Vec::new();
    while let Some(packet) = movie.next_packet().expect("packet") {
        if usize::from(packet.header.track) != index {
            continue;
        }
        if let Some(sound) = decoder.decode(&packet).expect("sound") {
            let channels = usize::from(sound.channels);
            assert_eq!(sound.sample_rate as usize, RATE);
            let mono = |frame: &[f32]| frame.iter().sum::<f32>() / channels as f32;
            samples.extend(sound.samples.chunks(channels).map(mono));
        }
    }
    samples
}

#[test]
fn the_patterns_flash_and_beep_come_together() {
    let display = Display::start(640, 360);
    let sound = Sound::start();
    let (_server, address) = server(&["--test-pattern", "--size", "640x360"]);
    let _client = client(Some(&display), Some(&sound), &["--connect", &address]);
    let _ = display.window("pattern");
    let mut offsets = eventually("flashes with beeps", || {
        let offsets = lip_sync::measure(&display, &sound, 8);
        (offsets.len() >= 4).then_some(offsets)
    });
    offsets.sort_by(f64::total_cmp);
    let median = offsets[offsets.len() / 2];
    // EBU R37: sound at most 40 ms before and 60 ms behind the picture.
    assert!((-40.0..=60.0).contains(&median), "sound is {median:.0} ms late: {offsets:?}");
}
