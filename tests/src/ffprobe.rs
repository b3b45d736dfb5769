//! What ffprobe and ffmpeg say of a movie's packets.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// One packet as the container has it.
#[derive(Debug, PartialEq, Eq)]
pub struct Packet {
    /// `true` for pictures, `false` for sound.
    pub video: bool,
    /// Presentation time, microseconds.
    pub pts_us: i64,
    /// Whether decoding can start here.
    pub key: bool,
    /// Its coded bytes.
    pub payload: Vec<u8>,
}

/// All packets of the movie in the file's order.
///
/// # Panics
/// When ffprobe is missing or does not understand the movie.
#[must_use]
pub fn packets(movie: &Path) -> Vec<Packet> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_packets", "-of", "json"])
        .arg(movie)
        .output()
        .expect("ffprobe");
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let bytes = std::fs::read(movie).expect("movie");
    let packets = json["packets"].as_array().expect("packets");
    packets.iter().map(|packet| read(packet, &bytes)).collect()
}

fn read(packet: &Value, movie: &[u8]) -> Packet {
    let number = |name: &str| -> f64 {
        let text = packet[name].as_str().unwrap_or_else(|| panic!("no {name} in {packet}"));
        text.parse().expect("a number")
    };
    let (start, size) = (number("pos") as usize, number("size") as usize);
    Packet {
        video: packet["codec_type"] == "video",
        pts_us: (number("pts_time") * 1e6).round() as i64,
        key: packet["flags"].as_str().is_some_and(|flags| flags.starts_with('K')),
        payload: movie[start..start + size].to_vec(),
    }
}

/// A hash of each packet's bytes of one track (`0:v:0`) and its time in seconds, after a bit-stream
/// filter if one is given.
///
/// # Panics
/// When ffmpeg is missing or does not understand the movie.
#[must_use]
pub fn hashes(movie: &Path, track: &str, filter: Option<&str>) -> Vec<(f64, String)> {
    let filter = filter.map(|filter| ["-bsf", filter]);
    let output = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-i"])
        .arg(movie)
        .args(["-map", track, "-c", "copy"])
        .args(filter.iter().flatten())
        .args(["-f", "framehash", "-hash", "md5", "-"])
        .output()
        .expect("ffmpeg");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", movie.display());
    let text = String::from_utf8_lossy(&output.stdout);
    let base = text.lines().find_map(|line| line.strip_prefix("#tb 0: ")?.split_once('/'));
    let (num, den) = base.expect("a time base");
    let unit = num.parse::<f64>().expect("a number") / den.parse::<f64>().expect("a number");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    // Stream, decoding time, presentation time, duration, size, hash; side data may follow.
    let hash = |line: &str| {
        let field = |i: usize| line.split(',').nth(i).unwrap_or_default().trim();
        (field(2).parse::<f64>().unwrap_or_default() * unit, field(5).to_owned())
    };
    lines.map(hash).collect()
}
