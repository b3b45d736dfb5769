//! Flags of `cache-server`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;

/// Relays live and recorded streams to many viewers.
///
/// Dials its origins (servers or other relays), offers every stream of theirs under its name, and
/// asks for one only while somebody watches it. Viewers stay connected when an origin goes away.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  \
    cache-server --origin 192.168.1.7            relay what the server at 192.168.1.7 offers\n  \
    cache-server --origin cam --origin films     two origins, one catalogue\n  \
    cache-server --publish-token SECRET          take streams that servers push here\n\n\
    Watch with: client --connect THIS-HOST"
)]
pub struct Args {
    /// A server or relay whose streams are offered here (repeatable; the port is 9999 unless given)
    #[arg(long, value_name = "HOST[:PORT]")]
    pub origin: Vec<String>,

    /// Where to listen (repeatable) [default: 0.0.0.0:9999 and [::]:9999]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Vec<SocketAddr>,

    /// Take streams that are pushed here by whoever knows this word
    #[arg(long, value_name = "TOKEN", env = "PUBLISH_TOKEN", hide_env_values = true)]
    pub publish_token: Option<String>,

    /// Do not announce this relay on the local network (mDNS)
    #[arg(long)]
    pub no_announce: bool,

    /// Bounds.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// Bounds of the relay.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Most viewers at a time, over all streams
    #[arg(long, value_name = "N", default_value_t = relay::Limits::default().viewers)]
    pub max_viewers: usize,

    /// Most connections at a time; a viewer has two
    #[arg(long, value_name = "N", default_value_t = relay::Limits::default().connections)]
    pub max_connections: usize,

    /// Most connections from one address
    #[arg(long, value_name = "N", default_value_t = relay::Limits::default().connections_per_address)]
    pub max_connections_per_address: usize,

    /// Memory for all streams together, MiB
    #[arg(long, value_name = "MIB", default_value_t = relay::Limits::default().log_memory >> 20,
          value_parser = clap::value_parser!(u64).range(1..1 << 30))]
    pub log_memory: u64,

    /// Memory for one stream, MiB
    #[arg(long, value_name = "MIB", default_value_t = relay::Limits::default().stream_memory >> 20,
          value_parser = clap::value_parser!(u64).range(1..1 << 30))]
    pub stream_memory: u64,

    /// A viewer further behind than this jumps to the newest key frame, milliseconds
    #[arg(long, value_name = "MS", default_value_t = relay::Limits::default().max_lag.as_millis() as u64)]
    pub max_lag: u64,

    /// A viewer that takes nothing for so long is closed, seconds
    #[arg(long, value_name = "S", default_value_t = relay::Limits::default().stall.as_secs())]
    pub stall: u64,
}

impl LimitArgs {
    /// As the library has them.
    #[must_use]
    pub fn limits(&self) -> relay::Limits {
        relay::Limits {
            viewers: self.max_viewers,
            connections: self.max_connections,
            connections_per_address: self.max_connections_per_address,
            log_memory: self.log_memory << 20,
            stream_memory: self.stream_memory << 20,
            max_lag: Duration::from_millis(self.max_lag),
            stall: Duration::from_secs(self.stall),
            ..relay::Limits::default()
        }
    }
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
