//! The command line.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Parser, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  server --test-pattern                    a picture with a clock, and a beep a second
  server --file movie.mp4 --loop           a movie, again and again
  server --file a.mp4 --file b.mkv         two streams, a and b
  server --library ~/Movies                all movies below a folder, from any point
  server --webcam --mic                    the first camera with the default microphone
  server --webcam 'HD Pro' --codec h264 --size 1280x720 --fps 30
  server --input rtsp://10.0.0.7/stream    whatever ffmpeg opens
  server --webcam --push relay.example:9999 --name door --token SECRET
                                           from behind a router, to a relay

Watch with: client --connect HOST

Exit codes: 0 done, 1 failed, 2 wrong usage.";

/// Turns a webcam, a movie or a test pattern into a stream and serves it.
#[derive(Clone, Debug, Parser)]
#[command(name = "server", version, after_help = EXAMPLES)]
#[command(group = ArgGroup::new("what").required(true).multiple(true)
    .args(["webcam", "file", "library", "input", "test_pattern", "list_devices"]))]
pub struct Cli {
    /// Serve a camera: its number, its path, or a part of its name [the first one if not given]
    #[arg(long, value_name = "CAMERA", num_args = 0..=1, default_missing_value = "")]
    #[arg(help_heading = "What to serve")]
    pub webcam: Option<String>,

    /// Serve a movie or a sound file; may be given several times
    #[arg(long, value_name = "MOVIE", help_heading = "What to serve")]
    pub file: Vec<PathBuf>,

    /// Serve all movies below a folder: each viewer watches from any point, on its own
    #[arg(long, value_name = "DIR", help_heading = "What to serve")]
    pub library: Option<PathBuf>,

    /// Serve what ffmpeg opens (rtsp://, http://, ...); may be given several times
    #[arg(long, value_name = "URL", help_heading = "What to serve")]
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub input: Vec<String>,

    /// Serve a picture with a running clock, with a flash and a beep every second
    #[arg(long, help_heading = "What to serve")]
    pub test_pattern: bool,

    /// Show cameras with their formats, and microphones, and end
    #[arg(long, exclusive = true, help_heading = "What to serve")]
    pub list_devices: bool,

    /// The stream's name [default: the file's name, "camera", "pattern", the URL's host]
    #[arg(long, value_parser = stream_name)]
    pub name: Option<String>,

    /// Start files again when they are over
    #[arg(long = "loop", requires = "file")]
    pub repeat: bool,

    /// Where movies of the library go that must be converted [default: the system's temporary folder]
    #[arg(long, value_name = "DIR", requires = "library")]
    pub work_dir: Option<PathBuf>,

    /// Add a microphone to the camera: a part of its name [the default one if not given]
    #[arg(long, value_name = "MICROPHONE", num_args = 0..=1, default_missing_value = "")]
    #[arg(requires = "webcam")]
    pub mic: Option<String>,

    /// Picture size of camera and test pattern; a camera's nearest is taken
    #[arg(long, value_name = "WxH", default_value = "1280x720")]
    pub size: Size,

    /// Frames per second of camera and test pattern; a camera's nearest is taken
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=120))]
    pub fps: u32,

    /// How camera and test pattern are sent; auto: a camera's MJPEG as it comes, else H.264
    #[arg(long, value_enum, default_value_t = Codec::Auto)]
    pub codec: Codec,

    /// Bits per second of encoded pictures, as 2500k or 4M [default: by size and rate]
    #[arg(long, value_parser = bits)]
    pub bitrate: Option<u32>,

    /// Show what is being sent in a window; q ends the server
    #[arg(long)]
    pub preview: bool,

    /// Where to listen; may be given several times [default: port 9999 of all addresses]
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Network")]
    #[arg(value_parser = relay::cli::listen_address)]
    pub listen: Vec<SocketAddr>,

    /// Offer the streams to a relay too, by dialling it; for servers behind NAT
    #[arg(long, value_name = "HOST[:PORT]", help_heading = "Network")]
    pub push: Option<String>,

    /// The relay's publish token
    #[arg(long, env = "PUBLISH_TOKEN", hide_env_values = true, help_heading = "Network")]
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub token: Option<String>,

    /// Do not announce the streams by mDNS
    #[arg(long, help_heading = "Network")]
    pub no_announce: bool,

    /// Bounds.
    #[command(flatten)]
    pub limits: relay::cli::LimitArgs,
}

/// How pictures are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Codec {
    /// A camera's MJPEG untouched, everything else as H.264.
    Auto,
    /// A JPEG a picture: more bits, least delay.
    Mjpeg,
    /// H.264 Baseline.
    H264,
}

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// Largest side of a picture that is encoded here, pixels: the encoder's own limit.
const LARGEST_SIDE: u32 = 3840;
/// Smallest side: below this neither the clock nor the stamp could be read.
const SMALLEST_SIDE: u32 = 64;

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sides =
            text.split_once(['x', 'X']).and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
        let Some((width, height)) = sides else {
            return Err("a size looks like 1280x720".to_owned());
        };
        let fine =
            |side: u32| (SMALLEST_SIDE..=LARGEST_SIDE).contains(&side) && side.is_multiple_of(2);
        if !fine(width) || !fine(height) {
            return Err(format!(
                "sides are even and from {SMALLEST_SIDE} to {LARGEST_SIDE} pixels"
            ));
        }
        Ok(Self { width, height })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

fn stream_name(text: &str) -> Result<String, String> {
    if proto::stream::is_valid_name(text) {
        return Ok(text.to_owned());
    }
    let most = proto::limits::NAME;
    Err(format!("a name has 1 to {most} bytes, no / or \\ and no spaces around it"))
}

/// A number with an optional k or M behind it.
fn bits(text: &str) -> Result<u32, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" => Some(1),
        "k" | "K" => Some(1_000),
        "m" | "M" => Some(1_000_000),
        _ => None,
    };
    let number = unit.and_then(|unit| digits.parse::<u32>().ok()?.checked_mul(unit));
    match number {
        Some(bits) if (50_000..=200_000_000).contains(&bits) => Ok(bits),
        _ => Err("a bit rate looks like 2500k or 4M, from 50k to 200M".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    fn parse(args: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("server").chain(args.split_whitespace()))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_source_is_enough_and_one_is_needed() {
        for args in [
            "--test-pattern",
            "--webcam",
            "--file a --file b",
            "--input rtsp://x",
            "--library movies --work-dir work",
            "--library movies --test-pattern",
            "--list-devices",
        ] {
            assert!(parse(args).is_ok(), "{args}");
        }
        let error = parse("--fps 30").expect_err("nothing to serve");
        assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument);
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn values_that_may_be_left_out() {
        let cli = parse("--webcam --mic --preview").expect("fine");
        assert_eq!((cli.webcam.as_deref(), cli.mic.as_deref()), (Some(""), Some("")));
        let cli = parse("--webcam 2 --mic usb").expect("fine");
        assert_eq!((cli.webcam.as_deref(), cli.mic.as_deref()), (Some("2"), Some("usb")));
        assert!(parse("--test-pattern --mic").is_err());
    }

    #[test]
    fn units_are_understood() {
        let cli = parse("--test-pattern --bitrate 2500k --log-memory 64").expect("fine");
        assert_eq!(cli.bitrate, Some(2_500_000));
        assert_eq!(cli.limits.limits().log_memory, 64 << 20);
    }

    #[test]
    fn the_defaults_are_the_librarys() {
        let ours = parse("--test-pattern").expect("fine").limits.limits();
        assert_eq!(format!("{ours:?}"), format!("{:?}", relay::Limits::default()));
    }

    #[test]
    fn nonsense_is_a_usage_error() {
        for args in [
            "--test-pattern --size 1280",
            "--test-pattern --size 0x0",
            "--test-pattern --size 1281x720",
            "--test-pattern --fps 0",
            "--test-pattern --bitrate fast",
            "--test-pattern --bitrate 1",
            "--test-pattern --listen nowhere",
            "--test-pattern --name a/b",
            "--test-pattern --log-memory 1",
            "--test-pattern --log-memory 99999999999999999999",
            "--test-pattern --loop",
            "--test-pattern --work-dir work",
            "--frobnicate",
        ] {
            assert_eq!(parse(args).expect_err(args).exit_code(), 2, "{args}");
        }
    }
}
