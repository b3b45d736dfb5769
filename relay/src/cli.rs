//! The limits of a node as flags, the same for every binary.

use std::net::SocketAddr;
use std::time::Duration;

use crate::Limits;

/// A number of which none would make no sense.
fn some() -> clap::builder::RangedU64ValueParser<usize> {
    clap::builder::RangedU64ValueParser::new().range(1..=1_000_000)
}

/// An address to listen on.
///
/// # Errors
/// A sentence that shows what one looks like.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "an address to listen on has an IP address and a port, like 0.0.0.0:9999, [::]:9999 or \
         127.0.0.1:8000"
            .to_owned()
    })
}

/// Bounds of a node.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Most viewers at a time, over all streams
    #[arg(long, value_name = "N", default_value_t = Limits::default().viewers)]
    #[arg(value_parser = some())]
    pub max_viewers: usize,

    /// Most connections at a time; a viewer has two
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections)]
    #[arg(value_parser = some())]
    pub max_connections: usize,

    /// Most connections from one address
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections_per_address)]
    #[arg(value_parser = some())]
    pub max_connections_per_address: usize,

    /// Memory for all streams together, MiB
    #[arg(long, value_name = "MIB", default_value_t = Limits::default().log_memory >> 20)]
    #[arg(value_parser = clap::value_parser!(u64).range(16..1 << 30))]
    pub log_memory: u64,

    /// Memory for one stream, MiB
    #[arg(long, value_name = "MIB", default_value_t = Limits::default().stream_memory >> 20)]
    #[arg(value_parser = clap::value_parser!(u64).range(16..1 << 30))]
    pub stream_memory: u64,

    /// A viewer further behind than this jumps to the newest key frame, milliseconds
    #[arg(long, value_name = "MS", default_value_t = Limits::default().max_lag.as_millis() as u64)]
    #[arg(value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub max_lag: u64,

    /// A viewer that takes nothing for so long is closed, seconds
    #[arg(long, value_name = "S", default_value_t = Limits::default().stall.as_secs())]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub stall: u64,
}

impl LimitArgs {
    /// As the node takes them.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            viewers: self.max_viewers,
            connections: self.max_connections,
            connections_per_address: self.max_connections_per_address,
            log_memory: self.log_memory << 20,
            stream_memory: self.stream_memory << 20,
            max_lag: Duration::from_millis(self.max_lag),
            stall: Duration::from_secs(self.stall),
            ..Limits::default()
        }
    }
}
