//! How far apart the test pattern's flashes and beeps are on a screen and a sound card.

use crate::display::Display;
use crate::sound::Sound;

/// Watches a bar of the pattern and listens to the sound card for some seconds, both stamped with
/// the wall clock by one ffmpeg; how late each beep was, milliseconds. The pattern is shown at
/// 640x360 in the upper left corner.
///
/// # Panics
/// When ffmpeg cannot look or listen.
#[must_use]
pub fn measure(display: &Display, sound: &Sound, seconds: u32) -> Vec<f64> {
    let seconds = seconds.to_string();
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (light, noise) = (at("light"), at("noise"));
    let eye = format!(
        "format=gray,settb=1/1000000,signalstats,metadata=mode=print:key={YAVG}:file={light}"
    );
    let ear = format!(
        "asetnsamples=n=48,asettb=1/1000000,astats=metadata=1:reset=1:measure_perchannel=none:\
         measure_overall=Peak_level,ametadata=mode=print:key={PEAK}:file={noise}"
    );
    let patch = format!("{}+570,20", display.name);
    let output = std::process::Command::new("ffmpeg")
        .env("PULSE_SERVER", sound.address())
        .args(["-loglevel", "error", "-nostdin", "-copyts", "-t", &seconds])
        .args(["-thread_queue_size", "1024", "-use_wallclock_as_timestamps", "1"])
        .args(["-f", "x11grab", "-framerate", LOOKS, "-video_size", "48x48", "-i", &patch])
        .args(["-thread_queue_size", "1024", "-f", "pulse", "-fragment_size", "1920"])
        .args(["-t", &seconds, "-i", "card.monitor"])
        .args(["-map", "0:v", "-vf", &eye, "-fps_mode", "passthrough", "-f", "null", "-"])
        .args(["-map", "1:a", "-af", &ear, "-f", "null", "-"])
        .output()
        .expect("ffmpeg");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let beeps = onsets(&measured(&noise));
    let nearest = |flash: &f64| {
        let offsets = beeps.iter().map(|beep| (beep - flash) * 1_000.0 + HALF_A_LOOK_MS);
        offsets.min_by(|a, b| a.abs().total_cmp(&b.abs()))
    };
    let flashes = onsets(&measured(&light));
    flashes.iter().filter_map(nearest).filter(|offset| offset.abs() < 400.0).collect()
}

/// Looks at the screen a second: no whole number, so that flashes, which come once a second,
/// are not all seen equally late.
const LOOKS: &str = "973/10";
/// How late a flash is seen in the mean.
const HALF_A_LOOK_MS: f64 = 500.0 / 97.3;
/// Mean brightness of a frame.
const YAVG: &str = "lavfi.signalstats.YAVG";
/// Loudest sample of a block, decibels.
const PEAK: &str = "lavfi.astats.Overall.Peak_level";

/// The time in a line of ffmpeg's metadata, seconds. Its `pts_time` has but six digits, too few for
/// the time of day; `pts` has all, in microseconds where the filters before it say `settb`.
#[must_use]
pub fn time_of(line: &str) -> Option<f64> {
    let (_, stamp) = line.split_once(" pts:")?;
    let us: i64 = stamp.split_whitespace().next()?.parse().ok()?;
    Some(us as f64 / 1e6)
}

/// Times (seconds) and values that ffmpeg wrote down. Silence is minus infinity decibels.
fn measured(path: &str) -> Vec<(f64, f64)> {
    let text = std::fs::read_to_string(path).expect("measurements");
    let mut time = 0.0;
    let mut rows = Vec::new();
    for line in text.lines() {
        if let Some(stamp) = time_of(line) {
            time = stamp;
        } else if let Some((_, value)) = line.split_once('=') {
            rows.push((time, value.trim().parse::<f64>().unwrap_or(-120.0).max(-120.0)));
        }
    }
    rows
}

/// When a row rises past the middle of its range after having been below for a while.
fn onsets(row: &[(f64, f64)]) -> Vec<f64> {
    let low = row.iter().map(|r| r.1).fold(f64::MAX, f64::min);
    let high = row.iter().map(|r| r.1).fold(f64::MIN, f64::max);
    let above: Vec<bool> = row.iter().map(|r| r.1 > (low + high) / 2.0).collect();
    let rises = |i: &usize| above[*i] && !above[i - 5..*i].iter().any(|a| *a);
    (5..above.len()).filter(rises).map(|i| row[i].0).collect()
}
