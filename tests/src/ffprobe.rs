//! What ffprobe says of a movie's packets.

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
