//! Flags of `cache-server`.

use std::net::SocketAddr;

use clap::Parser;
use proto::dial::{DialError, parse_address};

/// Relays live and recorded streams to many viewers.
///
/// Dials its origins (servers or other relays), offers every stream of theirs under its name, and
/// asks for one only while somebody watches it. Viewers stay connected when an origin goes away.
#[derive(Debug, Parser)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true)
    .args(["origin", "publish_token"]))]
#[command(
    version,
    after_help = "Examples:\n  \
    cache-server --origin 192.168.1.7            relay what the server at 192.168.1.7 offers\n  \
    cache-server --origin cam --origin films     two origins, one catalogue\n  \
    cache-server --publish-token SECRET          take streams that servers push here\n\n\
    Watch with: client --connect THIS-HOST\n\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage."
)]
pub struct Args {
    /// A server or relay whose streams are offered here; may be given several times
    #[arg(long, value_name = "HOST[:PORT]", value_parser = address)]
    pub origin: Vec<String>,

    /// Where to listen; may be given several times [default: port 9999 of all addresses]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = relay::cli::listen_address)]
    pub listen: Vec<SocketAddr>,

    /// Take streams that are pushed here by whoever knows this word
    #[arg(long, value_name = "TOKEN", env = "PUBLISH_TOKEN", hide_env_values = true)]
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub publish_token: Option<String>,

    /// Do not announce this relay on the local network (mDNS)
    #[arg(long)]
    pub no_announce: bool,

    /// Bounds.
    #[command(flatten)]
    pub limits: relay::cli::LimitArgs,
}

/// HOST[:PORT], as it was written.
fn address(text: &str) -> Result<String, DialError> {
    parse_address(text).map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

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
