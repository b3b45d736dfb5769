//! What ffprobe says of a file or an address.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde::Deserialize;

use super::{Failure, Input, Stderr, Tools};

/// A network source has this long to say what it is.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest answer that is read, bytes.
const MOST_ANSWER: u64 = 4 << 20;

/// The part of ffprobe's JSON that we use.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Probe {
    pub(super) streams: Vec<Stream>,
    pub(super) format: Format,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Format {
    /// "mov,mp4,m4a,3gp,3g2,mj2"
    pub(super) format_name: String,
    pub(super) format_long_name: String,
    /// Seconds.
    pub(super) duration: Option<String>,
    /// 0 to 100: how sure ffprobe is of the format.
    pub(super) probe_score: u32,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stream {
    pub(super) index: u32,
    pub(super) codec_type: String,
    pub(super) codec_name: String,
    pub(super) profile: String,
    pub(super) pix_fmt: String,
    pub(super) field_order: String,
    /// "4:3", or "0:1" if unknown.
    pub(super) sample_aspect_ratio: String,
    pub(super) channels: u16,
    pub(super) disposition: Disposition,
    pub(super) side_data_list: Vec<SideData>,
    pub(super) tags: Tags,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tags {
    /// ISO 639; "und" if it is not known.
    pub(super) language: String,
    pub(super) title: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Disposition {
    pub(super) default: u8,
    pub(super) attached_pic: u8,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SideData {
    /// Counter-clockwise, degrees.
    pub(super) rotation: Option<f64>,
}

impl Stream {
    /// Clockwise, in whole quarters.
    pub(super) fn rotation(&self) -> u16 {
        let turned = self.side_data_list.iter().find_map(|data| data.rotation).unwrap_or(0.0);
        match (-turned).rem_euclid(360.0).round() {
            90.0 => 90,
            180.0 => 180,
            270.0 => 270,
            _ => 0,
        }
    }

    /// Width : height of one pixel, where it is said.
    pub(super) fn pixel_aspect(&self) -> Option<(u32, u32)> {
        let (num, den) = self.sample_aspect_ratio.split_once(':')?;
        let ratio = (num.parse().ok()?, den.parse().ok()?);
        (ratio.0 > 0 && ratio.1 > 0).then_some(ratio)
    }
}

impl Probe {
    pub(super) fn duration_us(&self) -> Option<u64> {
        let seconds: f64 = self.format.duration.as_ref()?.parse().ok()?;
        (seconds > 0.0).then_some((seconds * 1e6) as u64)
    }
}

/// Asks ffprobe.
pub(super) fn run(tools: &Tools, input: &Input) -> Result<Probe, Failure> {
    let mut command = Command::new(&tools.ffprobe);
    command.args(["-hide_banner", "-loglevel", "error", "-show_streams", "-show_format"]);
    command.args(["-print_format", "json"]).args(input.arguments());
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Failure::of_spawn)?;
    let stderr = Stderr::collect(&mut child);
    let answer = read_answer(&mut child);
    // Answered or not, it has nothing more to say.
    let _ = child.kill();
    let _ = child.wait();
    let answer = answer.ok_or_else(|| Failure::Said("it does not answer".into()))?;
    match serde_json::from_slice::<Probe>(&answer) {
        Ok(probe) if !probe.format.format_name.is_empty() => Ok(probe),
        _ => Err(Failure::Said(stderr.last_line())),
    }
}

/// All of the child's stdout, unless it takes too long.
fn read_answer(child: &mut Child) -> Option<Vec<u8>> {
    let stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut answer = Vec::new();
        let _ = stdout.take(MOST_ANSWER).read_to_end(&mut answer);
        // Nobody waits any more if it took too long.
        let _ = sender.send(answer);
    });
    receiver.recv_timeout(PATIENCE).ok()
}
