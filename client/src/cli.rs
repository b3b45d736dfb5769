//! The command line.

use std::path::PathBuf;

use clap::Parser;
use proto::dial::{DialError, parse_address};

use proto::room::{self, Control, CreateRoom, EnterRoom, Film, RoomCode, RoomSettings};

use crate::progress::parse_clock;
use crate::record;
use crate::room::Seat;
use crate::room::seat::Errand;
use crate::room::secret::{self, SecretError};
use crate::sound::LOUDEST;

/// Between capture and presentation unless told otherwise, milliseconds.
///
/// What the stretch is made of on a LAN, at the worst: a server may send in bunches of up to a
/// quarter of it (63 ms), the sound card wants its samples 150 ms ahead (two callbacks of 50 ms and
/// the device), and 30 ms remain for Wi-Fi and the decoder. A conversation still works with it.
/// Where it is too short it grows by itself.
pub const DEFAULT_LATENCY_MS: u32 = 250;
/// Longest latency that can be asked for: what the jitter buffer can hold.
const LONGEST_LATENCY_MS: u32 = 10_000;

/// How far ahead a recording is fetched unless told otherwise, seconds: a router that starts anew is
/// back by then.
pub const DEFAULT_BUFFER_S: u32 = 30;
/// Farthest that can be asked for, seconds.
const LONGEST_BUFFER_S: u32 = 3600;

/// Watches a stream: picture in a window, sound alongside.
///
/// Keys in the window: space pauses, m mutes, up and down turn the volume, i shows codec, size,
/// rates, latency, drops and buffer, q or Esc leaves. In a recording, and in a live stream of which a
/// relay keeps some (--dvr), left and right go 10 s back and ahead, home to the start of what there
/// is, end near the end of a recording or back to the present, space goes on where it was, and the
/// square brackets play slower and faster. A live stream of which nothing is kept goes on live.
///
/// In a room these keys are for all. What is typed in the terminal, or in the window after t or Enter,
/// is said to the others, 1 to 6 send a sign; /help lists the commands of a room.
#[derive(Clone, Debug, Parser)]
#[command(name = "client", version, after_help = AFTER_HELP)]
pub struct Args {
    /// The server or relay to watch. Without it, the client lists those that announce themselves on
    /// the network
    #[arg(long, short, value_name = "HOST[:PORT]", value_parser = address)]
    pub connect: Option<String>,

    /// The stream to watch, where there are several
    #[arg(long, short, value_name = "NAME", requires = "connect")]
    pub stream: Option<String>,

    /// List the streams of the server and leave
    #[arg(long, requires = "connect", conflicts_with_all = ["stream", "start", "headless", "record"])]
    pub list: bool,

    /// Time between capture and presentation, milliseconds. The default is room for a sound card
    /// (150), bunched sending (60) and Wi-Fi (40); where it is too short it grows by itself. 0
    /// shows pictures as soon as they are decoded; sound then takes what its card
    /// needs (some 70), and the picture waits for it
    #[arg(
        long,
        value_name = "MS",
        allow_negative_numbers = true,
        default_value_t = DEFAULT_LATENCY_MS,
        value_parser = clap::value_parser!(u32).range(0..=i64::from(LONGEST_LATENCY_MS)),
    )]
    pub latency: u32,

    /// Where to start in a recording: SECONDS, MINUTES:SECONDS or HOURS:MINUTES:SECONDS
    #[arg(long, value_name = "TIME", requires = "connect", value_parser = parse_clock)]
    pub start: Option<i64>,

    /// How far ahead a recording is fetched, seconds; no more than 256 MiB
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = DEFAULT_BUFFER_S,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(LONGEST_BUFFER_S)),
    )]
    pub buffer: u32,

    /// Play no sound
    #[arg(long)]
    pub no_audio: bool,

    /// Loudness at the start, per cent
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = LOUDEST,
        value_parser = clap::value_parser!(u32).range(0..=i64::from(LOUDEST)),
    )]
    pub volume: u32,

    /// Decode everything without window or sound card, and print a line of statistics a second
    #[arg(long)]
    pub headless: bool,

    /// Print statistics or lists as JSON, one object a line
    #[arg(long)]
    pub json: bool,

    /// Write what is known of how well it is in step to FILE, as JSON, one object a second
    #[arg(long, value_name = "FILE", requires = "connect")]
    pub stats: Option<PathBuf>,

    /// Write what arrives, untouched, to FILE.mkv or FILE.mp4 while it plays
    #[arg(long, value_name = "FILE", requires = "connect", value_parser = recordable)]
    pub record: Option<PathBuf>,

    /// With others, or alone
    #[command(flatten)]
    pub together: Together,
}

/// Watching together with others.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Watching together")]
pub struct Together {
    /// Make a room in which others watch the same stream at the same moment
    #[arg(long, requires = "connect", conflicts_with_all = ["room", "list", "start"])]
    pub create_room: bool,

    /// Enter a room
    #[arg(long, value_name = "CODE", requires = "connect", conflicts_with_all = ["stream", "list", "start"])]
    pub room: Option<RoomCode>,

    /// List the rooms of the server and leave
    #[arg(long, requires = "connect", conflicts_with_all = ["stream", "list", "start", "headless", "record", "create_room", "room"])]
    pub rooms: bool,

    /// What the others in the room call you
    #[arg(long, value_name = "NAME", default_value_t = own_name())]
    pub name: String,

    /// What others must know to get into the room, or what the room asks for: 4 to 64 bytes
    #[arg(long)]
    pub pin: Option<String>,

    /// Who may pause, seek and change the speed for all, unless said otherwise everyone
    #[arg(long, value_enum)]
    pub control: Option<Who>,

    /// Who wants into the room knocks, and you open
    #[arg(long)]
    pub approve: bool,

    /// Leave the room out of the list of rooms
    #[arg(long)]
    pub private: bool,

    /// Play this movie in the room, in place of its stream: only the remote control is shared
    #[arg(long, value_name = "MOVIE")]
    pub local: Option<PathBuf>,

    /// What is said in the room is sealed with a passphrase of which the server knows nothing
    #[arg(long, value_name = "PASSPHRASE")]
    pub secret: Option<String>,
}

/// See [`Together::control`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Who {
    /// Every member of the room
    Everyone,
    /// Its host: who made it, or was handed it
    Host,
}

impl Together {
    /// The viewer's place in the room that is meant, if any.
    ///
    /// # Errors
    /// No key can be made of the passphrase.
    pub fn seat(
        &self,
        stream: Option<String>,
        film: Option<Film>,
    ) -> Result<Option<Seat>, SecretError> {
        let (mut secret, mut key) = (None, None);
        if let Some(passphrase) = self.secret.as_deref().filter(|_| self.create_room) {
            let made = secret::make(passphrase)?;
            (secret, key) = (Some(made.0), Some(made.1));
        }
        let (name, pin) = (self.name.clone(), self.pin.clone());
        let errand = match self.room {
            Some(code) => Errand::Enter(EnterRoom { code, name, pin, token: None, film }),
            None if self.create_room => {
                let control = match self.control {
                    None | Some(Who::Everyone) => Control::Everyone,
                    Some(Who::Host) => Control::Host,
                };
                let (approve, private) = (self.approve, self.private);
                let settings = RoomSettings { control, approve, private, secret };
                Errand::Create(CreateRoom { stream, name, pin, settings, film })
            }
            None => return Ok(None),
        };
        Ok(Some(Seat::sealing(errand, key, self.secret.clone())))
    }

    fn validate(&self) -> Result<(), &'static str> {
        let in_room = self.create_room || self.room.is_some();
        if self.pin.is_some() && !in_room {
            return Err("--pin goes with --create-room or --room");
        }
        if self.local.is_some() && !in_room {
            return Err("--local goes with --create-room or --room");
        }
        if self.secret.is_some() && !in_room {
            return Err("--secret goes with --create-room or --room");
        }
        if self.secret.as_deref() == Some("") {
            return Err("an empty passphrase keeps no secret");
        }
        let runs = self.control.is_some() || self.approve || self.private;
        if runs && !self.create_room {
            return Err("--control, --approve and --private go with --create-room");
        }
        if !room::is_valid_member(&self.name) {
            return Err("a name in a room is 1 to 40 bytes long, without slashes");
        }
        if self.pin.as_deref().is_some_and(|pin| !room::is_valid_pin(pin)) {
            return Err("a PIN has 4 to 64 bytes");
        }
        Ok(())
    }
}

/// What the system calls who runs us.
fn own_name() -> String {
    let known =
        ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    known.filter(|name| room::is_valid_member(name)).unwrap_or_else(|| "guest".to_owned())
}

const AFTER_HELP: &str = "\
Examples:
  client                                       what is on offer on this network
  client --connect kitchen                     the only stream of kitchen, port 9999
  client --connect [2001:db8::1]:8000 --stream door --latency 0 --no-audio
  client --connect kitchen --headless --json   statistics for programs
  client --connect kitchen --record door.mkv
  client --connect kitchen --stream film --start 1:02:03 --buffer 120
  client --connect kitchen --stream film --create-room --pin 4711 --name Ana
  client --connect kitchen --room ABCDE23456 --pin 4711 --name Ben

Exit codes: 0 done, 1 failed, 2 wrong usage or a stream has to be chosen.";

impl Args {
    /// Checks what single flags cannot.
    pub fn validate(&self) -> Result<(), clap::Error> {
        let wrong = |text: &str| {
            use clap::CommandFactory;
            Err(Self::command().error(clap::error::ErrorKind::ArgumentConflict, text))
        };
        if self.headless && self.connect.is_none() {
            return wrong("--headless needs --connect HOST: there is nothing to decode without it");
        }
        let lists = self.list || self.together.rooms;
        if self.json && self.connect.is_some() && !self.headless && !lists {
            return wrong("--json goes with --headless, --list or --rooms");
        }
        if let Err(text) = self.together.validate() {
            return wrong(text);
        }
        if let Some(name) = &self.stream
            && !proto::stream::is_valid_name(name)
        {
            return wrong("a stream's name is 1 to 128 bytes long, without slashes");
        }
        Ok(())
    }

    /// [`Args::latency`] in the unit of the timeline.
    #[must_use]
    pub fn latency_us(&self) -> u32 {
        self.latency.saturating_mul(1000)
    }
}

/// HOST[:PORT] with its port.
fn address(text: &str) -> Result<String, DialError> {
    let (host, port) = parse_address(text)?;
    Ok(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
}

fn recordable(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if record::is_recordable(&path) {
        Ok(path)
    } else {
        Err("the name must end in .mkv or .mp4".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        let args = Args::try_parse_from(line.split_whitespace())?;
        args.validate()?;
        Ok(args)
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_usual_lines_are_taken() {
        let args =
            parse("client --connect [::1]:80 --stream a --latency 0 --volume 50 --record a.mkv")
                .expect("parses");
        assert_eq!(args.connect.as_deref(), Some("[::1]:80"));
        assert_eq!((args.latency, args.volume), (0, 50));
        for line in [
            "client",
            "client --json",
            "client -c host -s name",
            "client --connect host --list --json",
            "client --connect host --start 1:02:03.5 --buffer 120",
            "client --connect host --headless --json --no-audio",
            "client --connect host --stream film --create-room --pin 4711 --control host --approve",
            "client --connect host --room abcde-23456 --name Ben",
            "client --connect host --rooms --json",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
        let defaults = parse("client --connect host").expect("parses");
        assert_eq!(defaults.latency_us(), 250_000);
    }

    #[test]
    fn wrong_usage_is_refused_with_2() {
        for line in [
            "client --frobnicate",
            "client --connect",
            "client --connect host:port",
            "client --connect http://host",
            "client --stream a",
            "client --connect h --latency -1",
            "client --connect h --latency 10001",
            "client --connect h --volume 101",
            "client --connect h --record a.avi",
            "client --connect h --list --stream a",
            "client --connect h --json",
            "client --connect h --stream a/b",
            "client --headless",
            "client --start 10",
            "client --connect h --start soon",
            "client --connect h --start -1",
            "client --connect h --buffer 0",
            "client --connect h --list --start 1",
            "client --connect h --room ABCDE2345O",
            "client --connect h --room ABCDE23456 --create-room",
            "client --connect h --room ABCDE23456 --approve",
            "client --connect h --pin 4711",
            "client --connect h --create-room --pin 123",
            "client --connect h --create-room --name a/b",
            "client --create-room",
        ] {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
