//! The way of everything that cannot go as it is: an `ffmpeg` child that writes Matroska to a pipe.
//!
//! ```text
//! probe      what ffprobe says of the source
//! plan       what is copied and what is converted
//! child      the process: started, watched, stopped, reaped
//! subtitles  texts within a movie
//! ```

mod child;
mod plan;
mod probe;
pub(crate) mod subtitles;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

pub use child::Stopper;

use super::error::{Error, Refusal};
use super::reader::Reader;
use child::{Ffmpeg, Stderr};
use plan::Plan;
use probe::Probe;

/// ffprobe calls everything it is not sure of by a file's ending 50, what it guesses 25 or less.
const SURE: u32 = 51;
/// Formats of ffmpeg's that are devices; the input is written FORMAT:WHAT, as x11grab::0.0.
const DEVICES: [&str; 10] = [
    "x11grab",
    "kmsgrab",
    "lavfi",
    "v4l2",
    "alsa",
    "pulse",
    "avfoundation",
    "gdigrab",
    "dshow",
    "fbdev",
];

/// Formats of files, by ffmpeg's names. Not among them: lists of other files and addresses (HLS, DASH,
/// concat and their like), or who made a file could have others read that its reader may read.
const FORMATS: &str = "3dostr,aa,aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,asf_o,au,av1,avi,avr,avs,avs2,avs3,\
    bink,binka,caf,dirac,dnxhd,dsf,dts,dtshd,dv,ea,eac3,film_cpk,flac,flic,flv,gif,gxf,h261,h263,h264,hevc,\
    ivf,live_flv,lxf,m4v,matroska,mjpeg,mjpeg_2000,mlp,mov,mp3,mp4,mpc,mpc8,mpeg,mpegts,mpegvideo,mxf,nsv,\
    nut,nuv,obu,ogg,oma,pva,rm,roq,smk,sox,swf,tak,truehd,tta,vc1,vc1test,vivo,voc,w64,wav,webm,wsvqa,wtv,wv,xmv,\
    yuv4mpegpipe";

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    pub(crate) ffmpeg: PathBuf,
    pub(crate) ffprobe: PathBuf,
}

impl Default for Tools {
    /// As the `PATH` has them.
    fn default() -> Self {
        Self { ffmpeg: "ffmpeg".into(), ffprobe: "ffprobe".into() }
    }
}

/// What ffmpeg is to open.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    File(PathBuf),
    Url(String),
    Device { format: &'static str, what: String },
}

impl Input {
    /// An address, a device as FORMAT:WHAT, or "screen" for this session's.
    pub(crate) fn parse(input: &str) -> Self {
        if input == "screen" {
            let what = std::env::var("DISPLAY").unwrap_or_else(|_| ":0".into());
            return Self::Device { format: "x11grab", what };
        }
        let device = input.split_once(':').and_then(|(format, what)| {
            let format = DEVICES.iter().find(|device| **device == format)?;
            Some(Self::Device { format, what: what.into() })
        });
        device.unwrap_or_else(|| Self::Url(input.into()))
    }

    /// Its arguments, the last of which names it. Nothing in a name can pass for an option or for
    /// another protocol.
    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        let named = match self {
            Self::File(path) => {
                arguments.extend(os(&["-protocol_whitelist", "file"]));
                arguments.extend(os(&["-format_whitelist", FORMATS]));
                let mut named = OsString::from("file:");
                named.push(path);
                named
            }
            Self::Url(url) => {
                // Microseconds of a live source that ffmpeg looks at before it begins, which
                // viewers wait for: by itself it takes five seconds.
                arguments.extend(os(&["-analyzeduration", "2000000"]));
                let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
                match scheme {
                    "rtsp" | "rtsps" => arguments.extend(os(&["-rtsp_transport", "tcp"])),
                    // Microseconds without a byte after which it gives up.
                    "http" | "https" | "rtmp" | "tcp" => {
                        arguments.extend(os(&["-rw_timeout", "15000000"]));
                    }
                    _ => {}
                }
                url.into()
            }
            Self::Device { format, what } => {
                arguments.extend(os(&["-f", format]));
                what.into()
            }
        };
        arguments.extend(["-i".into(), named]);
        arguments
    }

    /// What ffmpeg said, in which it names an address as it was given.
    fn without_password(&self, said: &str, name: &str) -> String {
        match self {
            Self::Url(url) => said.replace(url.as_str(), name),
            Self::File(_) | Self::Device { .. } => said.to_owned(),
        }
    }
}

fn os(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// Why ffmpeg or ffprobe gave nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Not installed.
    Missing,
    /// The system did not start it.
    Spawn(io::Error),
    /// It started, and this is the last it said.
    Said(String),
}

impl Failure {
    fn of_spawn(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Spawn(error),
        }
    }

    /// `found`: what is known of the source already.
    fn named(self, input: &Input, name: &str, found: &str) -> Error {
        let name = name.to_owned();
        match self {
            Self::Missing => Error::NeedsFfmpeg { name, found: found.into() },
            Self::Spawn(source) => Error::Spawn { name, source },
            Self::Said(said) => Error::Ffmpeg { said: input.without_password(&said, &name), name },
        }
    }
}

/// A source that comes through ffmpeg.
pub(crate) struct Converted {
    pub(crate) reader: Reader,
    /// What is done with it, for people.
    pub(crate) why: String,
    /// Not all of it is copied.
    converts: bool,
    pub(crate) stopper: Stopper,
    stderr: Stderr,
    input: Input,
}

impl Converted {
    /// What went wrong, if a child that ended should not have.
    pub(crate) fn complaint(&self, name: &str) -> Option<Complaint> {
        let said = self.stopper.failed().then(|| self.stderr.last_line())?;
        let said = self.input.without_password(&said, name);
        let is_file = matches!(self.input, Input::File(_));
        Some(if is_file { Complaint::Damaged(said) } else { Complaint::Lost(said) })
    }
}

/// How a child's failure is to be taken.
pub(crate) enum Complaint {
    /// A source that should go on has gone.
    Lost(String),
    /// A file is played as far as it goes.
    Damaged(String),
}

/// What is known of a source before ffmpeg looks at it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// What is in it; empty for a file whose format was not recognised.
    pub(crate) found: String,
    /// Why it does not go without ffmpeg: "the picture is edited from several pieces"; may be empty.
    pub(crate) why: String,
    /// How it is to be shown goes lost when its packets are copied.
    pub(crate) is_edited: bool,
}

/// Opens a source through ffmpeg.
pub(crate) fn open(
    tools: &Tools,
    input: &Input,
    name: &str,
    known: &Known,
) -> Result<Converted, Error> {
    let found = known.found.as_str();
    if let Input::Device { .. } = input {
        return start(tools, input, Plan::for_device())
            .map_err(|(_, f)| f.named(input, name, found));
    }
    let is_unknown = found.is_empty();
    let probe = match probe::run(tools, input) {
        Err(Failure::Said(_) | Failure::Missing) if is_unknown => Err(unrecognised(name)),
        Err(failure) => Err(failure.named(input, name, found)),
        Ok(probe) if is_unknown && !is_movie(&probe) => Err(unrecognised(name)),
        Ok(probe) => Ok(probe),
    }?;
    let found = format!("{} in {}", plan::found(&probe), probe.format.format_long_name);
    let planned = |may_copy| {
        let nothing = || Error::NoTrack { name: name.into(), found: plan::found(&probe) };
        Plan::new(&probe, may_copy).ok_or_else(nothing)
    };
    let mut started = start(tools, input, planned(!known.is_edited)?);
    // What it copied may turn out not to be what viewers play.
    if matches!(&started, Err((plan, _)) if plan.copies) {
        started = start(tools, input, planned(false)?);
    }
    let mut converted = started.map_err(|(_, failure)| failure.named(input, name, &found))?;
    // Else what is done with each stream tells it.
    if !known.why.is_empty() && (known.is_edited || !converted.converts) {
        converted.why = format!("{}; {}", known.why, converted.why);
    }
    Ok(converted)
}

fn unrecognised(name: &str) -> Error {
    Error::Unrecognised { name: name.into() }
}

/// Text and single pictures are no movies, though ffmpeg makes pictures of them.
fn is_movie(probe: &Probe) -> bool {
    let format = probe.format.format_name.as_str();
    probe.format.probe_score >= SURE
        && !probe.streams.is_empty()
        && !matches!(format, "tty" | "image2" | "concat" | "ffmetadata")
        && !format.ends_with("_pipe")
}

fn start(tools: &Tools, input: &Input, plan: Plan) -> Result<Converted, (Plan, Failure)> {
    let ffmpeg = Ffmpeg::new(tools, input, &plan.arguments);
    let (stopper, stderr) = (ffmpeg.stopper(), ffmpeg.stderr());
    match Reader::open_told(Box::new(ffmpeg), true, &plan.told) {
        Ok(reader) => {
            let input = input.clone();
            let Plan { why, converts, .. } = plan;
            Ok(Converted { reader, why, converts, stopper, stderr, input })
        }
        Err(Refusal::Io(error)) => Err((plan, Failure::of_spawn(error))),
        Err(Refusal::Convert { why, .. }) => Err((plan, Failure::Said(why))),
        Err(Refusal::NoTrack { .. } | Refusal::Damaged(_)) => {
            Err((plan, Failure::Said(stderr.last_line())))
        }
    }
}

/// What a file is called in front of people: an address without its password.
pub(crate) fn public_name(input: &str) -> String {
    let Some((scheme, rest)) = input.split_once("://") else { return input.to_owned() };
    let (host, path) = rest.split_once('/').map_or((rest, None), |(h, p)| (h, Some(p)));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    // Keys are handed over in queries.
    let path = path.map(|path| path.split('?').next().unwrap_or_default());
    path.map_or_else(|| format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
}

/// The name without directories and ending, for a title.
pub(crate) fn title_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let clean: String = stem.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let end = clean.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = end.take_while(|&end| end <= proto::limits::TEXT).last().unwrap_or(0);
    clean[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_stay_out_of_names() {
        for (input, name) in [
            ("rtsp://user:p@ss@cam.lan:554/live?key=1", "rtsp://cam.lan:554/live"),
            ("http://host", "http://host"),
            ("screen", "screen"),
        ] {
            assert_eq!(public_name(input), name);
        }
    }

    #[test]
    fn titles_are_short_and_on_one_line() {
        assert_eq!(title_of(Path::new("/a/b\nc.tar.mp4")), "b c.tar");
        let long = "ä".repeat(400);
        let title = title_of(Path::new(&long));
        assert!(proto::stream::is_valid_text(&title) && title.len() == 512);
    }

    #[test]
    fn names_cannot_pass_for_options_or_protocols() {
        let file = Input::File("-y".into());
        assert!(file.arguments().ends_with(&os(&["-i", "file:-y"])));
        let device = Input::parse("lavfi:testsrc=size=64x64");
        assert_eq!(device.arguments(), os(&["-f", "lavfi", "-i", "testsrc=size=64x64"]));
        let url = Input::parse("rtsp://cam/live");
        let arguments = url.arguments();
        assert!(arguments.ends_with(&os(&["-rtsp_transport", "tcp", "-i", "rtsp://cam/live"])));
    }
}
