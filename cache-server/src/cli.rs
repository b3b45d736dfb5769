//! Flags of `cache-server`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use proto::dial::{DialError, parse_address};
use relay::Rewind;
use web::accounts::{Place, Policy};

use crate::rooms::Options;

/// What is said of a folder for recordings.
#[derive(Clone, Debug, clap::Args)]
pub struct Folder {
    /// The folder in which recordings are kept
    #[arg(long, value_name = "DIR")]
    pub cache_dir: PathBuf,
}

/// What can be done with the folder itself.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Look after the recordings that are kept on the disk
    #[command(subcommand)]
    Cache(Chore),
}

/// Whether people have accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum When {
    /// They have none.
    Off,
    /// They may have one.
    Optional,
    /// They need one.
    Required,
}

/// See [`Command::Cache`].
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Chore {
    /// List what is kept, and how much of it
    List {
        /// Which folder.
        #[command(flatten)]
        folder: Folder,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Read everything and say what is damaged; damaged files are removed and come again from the
    /// origin
    Verify {
        /// Which folder.
        #[command(flatten)]
        folder: Folder,
    },
    /// Remove a recording
    Remove {
        /// Which folder.
        #[command(flatten)]
        folder: Folder,
        /// Its name, or its number as `list` shows it
        movie: String,
    },
    /// Fetch a whole recording from an origin before anybody asks for it
    Prefetch {
        /// Which folder.
        #[command(flatten)]
        folder: Folder,
        /// How much may be kept; what was not watched for longest makes room
        #[arg(long, value_name = "SIZE", default_value = "20G", value_parser = size)]
        cache_size: u64,
        /// Where it is
        #[arg(long, value_name = "HOST[:PORT]", value_parser = address)]
        origin: String,
        /// Its name there
        movie: String,
    },
    /// Write a recording as a movie that any player opens
    Export {
        /// Which folder.
        #[command(flatten)]
        folder: Folder,
        /// Its name, or its number as `list` shows it
        movie: String,
        /// Where to: OUT.mkv or OUT.mp4
        out: PathBuf,
    },
}

/// Relays live and recorded streams to many viewers.
///
/// Dials its origins (servers or other relays), offers every stream of theirs under its name, and
/// asks for one only while somebody watches it. Viewers stay connected when an origin goes away.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true)
    .args(["origin", "publish_token", "films"]))]
#[command(
    version,
    after_help = "Examples:\n  \
    cache-server --origin 192.168.1.7            relay what the server at 192.168.1.7 offers\n  \
    cache-server --origin cam --origin films     two origins, one catalogue\n  \
    cache-server --origin films --cache-dir /var/cache/films --cache-size 50G\n                                                 \
    keep recordings on the disk\n  \
    cache-server --films /srv/films              offer a folder of movies, to which people add films
  \
    cache-server --publish-token SECRET          take streams that servers push here\n  \
    cache-server cache list --cache-dir /var/cache/films\n\n\
    Watch with: client --connect THIS-HOST, or in a browser: http://THIS-HOST:8080/\n\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage."
)]
pub struct Args {
    /// Something else than relaying.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// A server or relay whose streams are offered here; may be given several times
    #[arg(long, value_name = "HOST[:PORT]", value_parser = address)]
    pub origin: Vec<String>,

    /// Where to listen; may be given several times [default: port 9999 of all addresses]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = relay::cli::listen_address)]
    pub listen: Vec<SocketAddr>,

    /// Where browsers find a page to watch on; may be given several times [default: port 8080 of all
    /// addresses]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = relay::cli::listen_address)]
    pub http: Vec<SocketAddr>,

    /// No page for browsers
    #[arg(long, conflicts_with = "http")]
    pub no_http: bool,

    /// Take streams that are pushed here by whoever knows this word
    #[arg(long, value_name = "TOKEN", env = "PUBLISH_TOKEN", hide_env_values = true)]
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub publish_token: Option<String>,

    /// Keep recordings of origins in this folder; without it, a little of them in memory
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,

    /// How much the folder may hold, as 500M, 20G or 1T; what was not watched for longest makes room
    #[arg(long, value_name = "SIZE", default_value = "20G", value_parser = size)]
    #[arg(requires = "cache_dir")]
    pub cache_size: u64,

    /// Keep so much of live streams that viewers can go back in them, as 90s, 30m or 2h; they are
    /// received whether somebody watches or not
    #[arg(long, value_name = "TIME", requires = "cache_dir", value_parser = time)]
    pub dvr: Option<Duration>,

    /// Keep live streams whole, watched or not: when one ends, it is offered as a recording
    #[arg(long, requires = "cache_dir")]
    pub record: bool,

    /// Offer the movies below this folder, each from any point; people add films to it in the page. What
    /// viewers cannot play is converted by ffmpeg
    #[arg(long, value_name = "DIR")]
    pub films: Option<PathBuf>,

    /// Largest film that may be added, as 500M, 8G or 1T
    #[arg(long, value_name = "SIZE", default_value = "8G", value_parser = size)]
    #[arg(requires = "films")]
    pub film_size: u64,

    /// Fetch films that people add by their address from networks that are not everybody's, too: from
    /// this machine and the local network
    #[arg(long, requires = "films")]
    pub fetch_private: bool,

    /// Most members of a room in which people watch together
    #[arg(long, value_name = "N", default_value_t = Options::default().size)]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new()
        .range(2..=proto::limits::MEMBERS as u64))]
    pub room_size: usize,

    /// Keep rooms in this file, so that they survive a restart [default: rooms.sqlite in the folder
    /// of --cache-dir; without one, in memory]
    #[arg(long, value_name = "FILE")]
    pub rooms_file: Option<PathBuf>,

    /// Tell the program behind this http:// or https:// address when a room opens or somebody joins one:
    /// it is sent JSON with event, stream, member, at and, unless the room is private, room (its code)
    #[arg(long, value_name = "URL", value_parser = url)]
    pub announce_url: Option<String>,

    /// Keep no rooms in which people watch together
    #[arg(long, conflicts_with_all = ["room_size", "rooms_file", "announce_url"])]
    pub no_rooms: bool,

    /// Whether people have accounts on the page: off, optional (what they make belongs to them) or
    /// required (nothing is shown to who is not logged in)
    #[arg(long, value_name = "WHEN", default_value = "off", conflicts_with = "no_http")]
    pub accounts: When,

    /// Keep accounts in this database, as sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE
    /// [default: accounts.sqlite in the folder of --cache-dir]
    #[arg(long, value_name = "URL", env = "ACCOUNTS_DB", hide_env_values = true)]
    pub accounts_db: Option<Place>,

    /// Do not announce this relay on the local network (mDNS)
    #[arg(long)]
    pub no_announce: bool,

    /// Bounds.
    #[command(flatten)]
    pub limits: relay::cli::LimitArgs,
}

impl Args {
    /// How much of live streams is kept.
    #[must_use]
    pub fn rewind(&self) -> Option<Rewind> {
        let length = self.dvr.or(self.record.then_some(Duration::MAX))?;
        Some(Rewind { length, record: self.record })
    }

    /// What one may do without an account; `None`: there are none.
    #[must_use]
    pub fn policy(&self) -> Option<Policy> {
        match self.accounts {
            When::Off => None,
            When::Optional => Some(Policy::Optional),
            When::Required => Some(Policy::Required),
        }
    }

    /// Where films are added, and what is taken; `None`: none are.
    #[must_use]
    pub fn films(&self) -> Option<library::films::Settings> {
        let folder = self.films.clone()?;
        Some(library::films::Settings::new(folder, self.film_size, self.fetch_private))
    }

    /// How rooms are kept; `None`: they are not.
    #[must_use]
    pub fn rooms(&self) -> Option<Options> {
        (!self.no_rooms).then(|| Options {
            size: self.room_size,
            file: self.rooms_file.clone(),
            announce_url: self.announce_url.clone(),
            ..Options::default()
        })
    }
}

/// A time with s, m or h behind the number.
fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        _ => None,
    };
    let seconds = unit.and_then(|unit| digits.parse::<u64>().ok()?.checked_mul(unit));
    match seconds {
        Some(seconds) if (10..=30 * 24 * 3_600).contains(&seconds) => {
            Ok(Duration::from_secs(seconds))
        }
        _ => Err("a time looks like 90s, 30m or 2h, from 10s to 720h".to_owned()),
    }
}

/// An address of the web.
fn url(text: &str) -> Result<String, String> {
    let uri = text.parse::<ureq::http::Uri>().ok();
    let is_web = |uri: &ureq::http::Uri| matches!(uri.scheme_str(), Some("http" | "https"));
    match uri {
        Some(uri) if is_web(&uri) && uri.host().is_some() => Ok(text.to_owned()),
        _ => Err("an address looks like https://example.org/rooms".to_owned()),
    }
}

/// HOST[:PORT], as it was written.
fn address(text: &str) -> Result<String, DialError> {
    parse_address(text).map(|_| text.to_owned())
}

/// Bytes, with K, M, G or T behind the number.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" => Some(0),
        "K" => Some(10),
        "M" => Some(20),
        "G" => Some(30),
        "T" => Some(40),
        _ => None,
    };
    let bytes = shift.and_then(|shift| digits.parse::<u64>().ok()?.checked_mul(1 << shift));
    match bytes {
        Some(bytes) if bytes >= SMALLEST => Ok(bytes),
        _ => Err("a size looks like 500M, 20G or 1T, and is at least 1M".to_owned()),
    }
}

/// Less than a segment would keep nothing.
const SMALLEST: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("1M", 1 << 20), ("20G", 20 << 30), ("1t", 1 << 40)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "G", "20X", "-1G", "99999999999T", "10"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn announcements_go_to_the_web() {
        assert!(url("http://127.0.0.1:8080/rooms?x=1").is_ok());
        for bad in ["", "example.org", "ftp://example.org", "http://", "https:// x"] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn chores_need_no_origin() {
        for line in [
            "cache-server cache list --cache-dir d --json",
            "cache-server cache verify --cache-dir d",
            "cache-server cache remove --cache-dir d film",
            "cache-server cache prefetch --cache-dir d --origin tv film",
            "cache-server cache export --cache-dir d film out.mkv",
            "cache-server --films d --film-size 500M --fetch-private",
        ] {
            assert!(Args::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in [
            "cache-server",
            "cache-server cache list",
            "cache-server --cache-dir d",
            "cache-server --origin a --film-size 1G",
            "cache-server --origin a --fetch-private",
        ] {
            assert!(Args::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }

    #[test]
    fn the_flags_are_consistent_and_the_defaults_are_the_librarys() {
        use clap::CommandFactory;
        Args::command().debug_assert();
        let args = Args::parse_from(["cache-server", "--origin", "tv"]);
        let (ours, theirs) = (args.limits.limits(), relay::Limits::default());
        assert_eq!(ours.log_memory, theirs.log_memory);
        assert_eq!(ours.max_lag, theirs.max_lag);
        assert_eq!(ours.stall, theirs.stall);
    }
}
