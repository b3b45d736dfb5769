//! How far apart players are, by what is heard of them and seen of them.

use std::io::Read;
use std::process::{Command, Stdio};

use server::source::pattern::stamp;

use crate::display::Display;
use crate::sound::RATE;

/// What is compared at a time, samples: a quarter of a second.
const WINDOW: usize = RATE / 4;
/// Quieter than this nothing can be compared: root mean square.
const QUIET: f32 = 1e-3;
/// Less alike than this is something else.
const ALIKE: f32 = 0.5;

/// More alike than this is surely the same.
const SAME: f32 = 0.9;
/// The last lag is looked for so far around first, milliseconds.
const NEAR_MS: usize = 3;

/// How much later the second hears at `at` what the first hears there, milliseconds, looked for up to
/// `most_ms` to both sides; `None` where it is too quiet, or nothing alike is found.
#[must_use]
pub fn lag_ms(first: &[f32], second: &[f32], at: usize, most_ms: usize) -> Option<f64> {
    lag(first, second, at, 0, most_ms).filter(|found| found.1 > ALIKE).map(|found| to_ms(found.0))
}

fn to_ms(samples: isize) -> f64 {
    samples as f64 * 1000.0 / RATE as f64
}

/// The lag in samples, looked for around another one, and how alike they are there.
fn lag(
    first: &[f32],
    second: &[f32],
    at: usize,
    around: isize,
    most_ms: usize,
) -> Option<(isize, f32)> {
    let most = RATE / 1000 * most_ms;
    let part = first.get(at..at + WINDOW)?;
    let begin = at.checked_add_signed(around)?.checked_sub(most)?;
    let whole = second.get(begin..begin + WINDOW + 2 * most)?;
    let power = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>();
    let loud = power(part);
    if loud < QUIET * QUIET * WINDOW as f32 {
        return None;
    }
    let likeness = |shift: usize| {
        let other = &whole[shift..shift + WINDOW];
        dot(part, other) / (loud * power(other)).sqrt().max(f32::EPSILON)
    };
    let (best, alike) =
        (0..=2 * most).map(|s| (s, likeness(s))).max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some((around + best as isize - most as isize, alike))
}

/// Eight sums at once, which the compiler makes one instruction of.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// Where sound falls silent or begins again, in turn: a silence is at least 100 ms long.
#[must_use]
pub fn edges(samples: &[f32]) -> Vec<usize> {
    const SILENCE: usize = RATE / 10;
    let mut edges = Vec::new();
    let mut last_loud = None;
    for (at, sample) in samples.iter().enumerate() {
        if sample.abs() < QUIET {
            continue;
        }
        if let Some(before) = last_loud.replace(at)
            && at - before > SILENCE
        {
            edges.extend([before, at]);
        }
    }
    edges
}

/// The lags of `second` behind `first` in milliseconds, and at which sample each: one each `every`
/// samples from `from` on. Each is looked for where the last one was, and farther if it is not there.
#[must_use]
pub fn lags_ms(first: &[f32], second: &[f32], from: usize, every: usize) -> Vec<(usize, f64)> {
    let end = first.len().min(second.len());
    let mut last = 0;
    let mut lags = Vec::new();
    for at in (from..end).step_by(every) {
        let near = lag(first, second, at, last, NEAR_MS).filter(|(_, alike)| *alike > SAME);
        let far = || lag(first, second, at, 0, 100).filter(|(_, alike)| *alike > ALIKE);
        if let Some((found, _)) = near.or_else(far) {
            last = found;
            lags.push((at, to_ms(found)));
        }
    }
    lags
}

/// The frame numbers of the test pattern on the left and on the right half of a screen at the same
/// instants, twenty times a second.
///
/// # Panics
/// When ffmpeg cannot look.
#[must_use]
pub fn frames(display: &Display, seconds: u32) -> Vec<(u32, u32)> {
    let size = format!("{}x{}", display.width, display.height);
    let mut eye = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-nostdin", "-t", &seconds.to_string()])
        .args(["-f", "x11grab", "-draw_mouse", "0", "-framerate", "20"])
        .args(["-video_size", &size, "-i", &display.name])
        .args(["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "bgra", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("ffmpeg");
    let mut pixels = eye.stdout.take().expect("piped");
    let mut frame = vec![0; display.width * display.height * 4];
    let mut seen = Vec::new();
    while pixels.read_exact(&mut frame).is_ok() {
        if let (Some(left), Some(right)) = (half(display, &frame, 0), half(display, &frame, 1)) {
            seen.push((left, right));
        }
    }
    let _ = eye.wait();
    seen
}

/// The frame number on the left (0) or the right (1) half.
fn half(display: &Display, frame: &[u8], side: usize) -> Option<u32> {
    let across = display.width / 2;
    let left = side * across * 4;
    let pixel = |p: &[u8]| u32::from_be_bytes([0, p[2], p[1], p[0]]);
    let rows = frame.chunks_exact(display.width * 4);
    let rgb: Vec<u32> =
        rows.flat_map(|row| row[left..left + across * 4].chunks_exact(4).map(pixel)).collect();
    stamp::read(&rgb, across, display.height).map(|stamp| stamp.frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise that is the same in every run.
    fn noise(length: usize) -> Vec<f32> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn a_known_lag_is_found_to_the_sample() {
        let first = noise(RATE * 2);
        for samples in [0, 1, 480, 4_000] {
            let mut second = vec![0.0; samples];
            second.extend(&first);
            let lag = lag_ms(&first, &second, RATE, 100).expect("a lag");
            assert!((lag - samples as f64 / 48.0).abs() < 0.01, "{samples}: {lag}");
            let lead = lag_ms(&second, &first, RATE, 100).expect("a lag");
            assert!((lead + samples as f64 / 48.0).abs() < 0.01, "{samples}: {lead}");
        }
    }

    #[test]
    fn a_lag_that_changes_is_followed() {
        let first = noise(RATE * 5);
        let mut second = vec![0.0; 96];
        second.extend(&first[..RATE * 5 / 2]);
        second.extend(vec![0.0; 3_000]);
        second.extend(&first[RATE * 5 / 2..]);
        let lags = lags_ms(&first, &second, RATE, RATE);
        let found: Vec<(usize, i64)> =
            lags.iter().map(|(at, ms)| (at / RATE, *ms as i64)).collect();
        assert_eq!(found, [(1, 2), (2, 2), (3, 64), (4, 64)]);
    }

    #[test]
    fn silences_are_found_where_they_begin_and_end() {
        let mut samples = noise(RATE);
        samples[10_000..20_000].fill(0.0);
        samples[30_000..30_400].fill(0.0);
        let edges = edges(&samples);
        assert_eq!(edges.len(), 2, "a short silence is none: {edges:?}");
        assert!(edges[0].abs_diff(10_000) < 10 && edges[1].abs_diff(20_000) < 10, "{edges:?}");
    }

    #[test]
    fn silence_and_strangers_say_nothing() {
        let sound = noise(RATE * 2);
        let other: Vec<f32> = sound.iter().rev().copied().collect();
        assert_eq!(lag_ms(&sound, &other, RATE, 100), None);
        assert_eq!(lag_ms(&vec![0.0; RATE * 2], &sound, RATE, 100), None);
        assert_eq!(lag_ms(&sound, &sound, 10, 100), None, "too near the start");
    }
}
