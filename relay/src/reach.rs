//! Where viewers reach a node: the lines printed when it is up.

use std::net::{IpAddr, SocketAddr};

use proto::DEFAULT_PORT;

/// Addresses to dial, with where they work: those of the local network first.
#[must_use]
pub fn addresses(listening: &[SocketAddr], local: &[IpAddr]) -> Vec<(String, &'static str)> {
    let mut found: Vec<(String, &'static str)> = Vec::new();
    for address in listening {
        for ip in local {
            let covered = if address.ip().is_unspecified() {
                address.is_ipv4() == ip.is_ipv4()
            } else {
                address.ip() == *ip
            };
            if covered && is_useful(*ip) {
                let place = if ip.is_loopback() { "this machine" } else { "the network" };
                found.push((dialled(*ip, address.port()), place));
            }
        }
    }
    // 127.0.0.1 says it all: ::1 beside it is no news.
    let v4_loopback = found.iter().any(|(text, _)| text.starts_with("127."));
    found.retain(|(text, _)| !(v4_loopback && (text == "::1" || text.starts_with("[::1]"))));
    found.sort_by_key(|(_, place)| *place == "this machine");
    found
}

/// This machine's addresses.
#[must_use]
pub fn local() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let mut addresses: Vec<IpAddr> = interfaces.iter().map(if_addrs::Interface::ip).collect();
    // IPv4 first: it is what people type.
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses
}

/// Link-local IPv6 addresses need an interface's name behind them: nobody types that.
fn is_useful(ip: IpAddr) -> bool {
    !matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// As `client --connect` takes it, without the usual port.
fn dialled(ip: IpAddr, port: u16) -> String {
    match ip {
        ip if port == DEFAULT_PORT => ip.to_string(),
        ip => SocketAddr::new(ip, port).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(listening: &[&str]) -> Vec<String> {
        let local = ["127.0.0.1", "192.168.1.7", "::1", "fe80::1", "2001:db8::7"];
        let local: Vec<IpAddr> = local.iter().map(|ip| ip.parse().expect("an address")).collect();
        let listening: Vec<SocketAddr> =
            listening.iter().map(|at| at.parse().expect("an address")).collect();
        addresses(&listening, &local).into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn wildcards_are_reached_at_every_address() {
        let both = reach(&["0.0.0.0:9999", "[::]:9999"]);
        assert_eq!(both, ["192.168.1.7", "2001:db8::7", "127.0.0.1"]);
    }

    #[test]
    fn an_unusual_port_is_said() {
        assert_eq!(reach(&["0.0.0.0:80"]), ["192.168.1.7:80", "127.0.0.1:80"]);
        assert_eq!(reach(&["[::1]:80"]), ["[::1]:80"]);
    }

    #[test]
    fn only_what_is_listened_on_is_said() {
        assert_eq!(reach(&["127.0.0.1:9999"]), ["127.0.0.1"]);
        assert_eq!(reach(&["192.168.1.7:9999"]), ["192.168.1.7"]);
    }
}
