//! Tells the local network, by mDNS, that a node can be dialled here (RFC 6762, RFC 6763).

use mdns_sd::{ServiceDaemon, ServiceInfo};

/// Keeps the announcement up; withdraws it when dropped.
pub struct Announcement {
    daemon: ServiceDaemon,
    name: String,
}

impl std::fmt::Debug for Announcement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Announcement").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Announcing did not work; everything else does.
#[derive(Debug, thiserror::Error)]
#[error("this node is not announced on the network ({0}); viewers can still use its address")]
pub struct AnnounceError(#[from] mdns_sd::Error);

/// What is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Makes its streams itself.
    Server,
    /// Passes on those of others.
    Relay,
}

/// Announces the node with the number `node` on `port`, on all interfaces.
///
/// # Errors
/// [`AnnounceError`] when there is no network to announce on.
pub fn announce(kind: Kind, node: u64, port: u16) -> Result<Announcement, AnnounceError> {
    let daemon = ServiceDaemon::new()?;
    let host = host_name();
    let kind = match kind {
        Kind::Server => "server",
        Kind::Relay => "relay",
    };
    // Several may run on one host: the number tells them apart.
    let instance = format!("{host} {kind} {:04x}", node & 0xffff);
    let node = format!("{node:016x}");
    let facts = [("node", node.as_str()), ("kind", kind), ("name", host.as_str())];
    let service = ServiceInfo::new(
        proto::SERVICE_TYPE,
        &instance,
        &format!("{host}.local."),
        "",
        port,
        &facts[..],
    )?
    .enable_addr_auto();
    let name = service.get_fullname().to_owned();
    daemon.register(service)?;
    Ok(Announcement { daemon, name })
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // The goodbye packet is a courtesy; the announcement expires by itself.
        if let Ok(receiver) = self.daemon.unregister(&self.name) {
            let _ = receiver.recv_timeout(std::time::Duration::from_millis(200));
        }
        let _ = self.daemon.shutdown();
    }
}

fn host_name() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    if plain.is_empty() { "host".to_owned() } else { plain }
}
