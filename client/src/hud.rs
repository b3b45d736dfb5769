//! What is written over the picture.

use proto::time::Stamp;

use crate::progress::{Progress, clock};
use crate::stats::Snapshot;
use crate::text::Bar;

/// What is said of a source that is away.
#[must_use]
pub fn held(reason: &str) -> String {
    if reason.is_empty() {
        "the picture is held".to_owned()
    } else {
        format!("the picture is held: {reason}")
    }
}

/// What is said of a recording that waits for more.
#[must_use]
pub fn buffering(reason: &str) -> String {
    if reason.is_empty() { "buffering ...".to_owned() } else { format!("buffering ... ({reason})") }
}

/// What the bar shows of a recording now; of a live stream's past, how far it is behind.
#[must_use]
pub fn bar(progress: &Progress, now: Stamp, delay_us: i64) -> Bar {
    let position_us = progress.position_us(now, delay_us);
    let part = |us: i64| us as f64 / progress.duration_us.max(1) as f64;
    let shown = |us: i64| clock(us as f64 / 1e6);
    let buffered = part(progress.buffered_us.max(position_us));
    let mut label = match progress.behind_us(now, delay_us) {
        Some(behind_us) => format!("{} behind live", shown(behind_us)),
        None => format!("{} / {}", shown(position_us), shown(progress.duration_us)),
    };
    if progress.rate != 1.0 {
        label = format!("{}x  {label}", progress.rate);
    }
    Bar { played: part(position_us), buffered, label }
}

/// The overlay's lines.
#[must_use]
pub fn overlay(now: &Snapshot) -> Vec<String> {
    let ms = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{ms:.0} ms"));
    let mut lines = vec![now.codec.clone()];
    if now.width > 0 {
        lines[0] = format!("{} {}x{}  {:.1} fps", now.codec, now.width, now.height, now.fps);
    }
    lines.push(format!("bitrate {:.0} kbit/s", now.bitrate_kbps));
    match now.buffered_s {
        Some(buffered) => {
            lines.extend(now.behind_s.map(|s| format!("{} behind live", clock(s))));
            lines.push(format!("buffer {buffered:.0} s"));
        }
        None => {
            lines.push(format!("latency from capture {}", ms(now.latency_ms)));
            lines.push(format!("buffer {:.0} ms", now.buffer_ms));
        }
    }
    lines.push(format!(
        "dropped {}  late {}  missing {}",
        now.dropped, now.late, now.packets_missing
    ));
    lines
}
