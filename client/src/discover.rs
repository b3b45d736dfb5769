//! `client` without `--connect`: lists the servers and relays that announce themselves.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mdns_sd::{ResolvedService, ServiceDaemon, ServiceEvent};

/// How long to listen: everybody on a LAN has answered by then.
pub const LISTEN: Duration = Duration::from_secs(2);

/// Somebody who announces streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Host name, for people.
    pub name: String,
    /// "server" or "relay"; empty if not said.
    pub kind: String,
    /// How many streams it offers, where it says so.
    pub streams: Option<u32>,
    /// Where to connect to, HOST:PORT.
    pub address: String,
}

/// Listens for announcements for so long.
pub fn browse(patience: Duration) -> Result<Vec<Found>, mdns_sd::Error> {
    let daemon = ServiceDaemon::new()?;
    let events = daemon.browse(proto::SERVICE_TYPE)?;
    let until = Instant::now() + patience;
    // By node: one that has several interfaces announces itself on each.
    let mut found = BTreeMap::new();
    while let Ok(event) = events.recv_deadline(until) {
        if let ServiceEvent::ServiceResolved(service) = event
            && let Some(one) = read(&service)
        {
            let node = service.get_property_val_str("node").unwrap_or_default();
            let key = (node.to_owned(), service.get_fullname().to_owned());
            found.insert(key, one);
        }
    }
    if let Ok(done) = daemon.shutdown() {
        let _ = done.recv_timeout(Duration::from_millis(500));
    }
    Ok(found.into_values().collect())
}

fn read(service: &ResolvedService) -> Option<Found> {
    // It goes to a terminal.
    let printable =
        |value: &str| value.chars().filter(|c| !c.is_control()).take(64).collect::<String>();
    let text = |key| printable(service.get_property_val_str(key).unwrap_or_default());
    let addresses = service.get_addresses().iter().map(|address| address.to_ip_addr());
    let address = SocketAddr::new(addresses.min_by_key(preference)?, service.get_port());
    let name = text("name");
    Some(Found {
        name: if name.is_empty() {
            printable(service.get_hostname().trim_end_matches('.'))
        } else {
            name
        },
        kind: text("kind"),
        streams: text("streams").parse().ok(),
        address: address.to_string(),
    })
}

/// IPv4 before IPv6, this host's own and link-local addresses last: what works in most commands.
fn preference(address: &IpAddr) -> (bool, bool, IpAddr) {
    let awkward = match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    };
    (awkward, address.is_ipv6(), *address)
}

/// The lines of the list, each with the command that watches it.
#[must_use]
pub fn lines(found: &[Found]) -> Vec<String> {
    let line = |one: &Found| {
        let kind = if one.kind.is_empty() { "server" } else { &one.kind };
        let streams = match one.streams {
            Some(1) => ", 1 stream".to_owned(),
            Some(count) => format!(", {count} streams"),
            None => String::new(),
        };
        format!("{} ({kind}{streams}): client --connect {}", one.name, one.address)
    };
    found.iter().map(line).collect()
}

/// One JSON object each.
#[must_use]
pub fn json_lines(found: &[Found]) -> Vec<String> {
    let json = |one: &Found| {
        serde_json::json!({
            "name": one.name,
            "kind": one.kind,
            "streams": one.streams,
            "address": one.address,
        })
    };
    found.iter().map(|one| json(one).to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_work_everywhere_come_first() {
        let mut addresses: Vec<IpAddr> =
            ["fe80::1", "127.0.0.1", "2001:db8::1", "169.254.1.1", "192.0.2.1"]
                .iter()
                .map(|text| text.parse().expect("an address"))
                .collect();
        addresses.sort_by_key(preference);
        let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["192.0.2.1", "2001:db8::1", "127.0.0.1", "169.254.1.1", "fe80::1"]);
    }

    #[test]
    fn a_line_says_how_to_watch() {
        let found = Found {
            name: "kitchen".into(),
            kind: "relay".into(),
            streams: Some(2),
            address: "[2001:db8::1]:9999".into(),
        };
        assert_eq!(
            lines(&[found]),
            ["kitchen (relay, 2 streams): client --connect [2001:db8::1]:9999"]
        );
    }
}
