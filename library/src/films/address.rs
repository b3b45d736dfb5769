//! Which addresses are the public's: a film is fetched from nowhere else, or whoever may add one could
//! ask machines inside that only the relay can reach.
//!
//! By the registries of special-purpose addresses of IANA (RFC 6890 and what came after). What this
//! machine is called by everybody, and what shares a network with it, is not somewhere else either.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address belongs to a host that everybody can reach.
#[must_use]
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

/// Whether an address is the public's, and neither this machine's nor in one of its networks.
pub(super) fn is_elsewhere(ip: IpAddr) -> bool {
    is_public(ip) && !is_near(ip, &own_networks())
}

/// The addresses of this machine, each with the bits that its network shares. What the system does not
/// say is not known.
fn own_networks() -> Vec<(IpAddr, u8)> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let network = |interface: if_addrs::Interface| match interface.addr {
        if_addrs::IfAddr::V4(v4) => (v4.ip.into(), v4.prefixlen),
        if_addrs::IfAddr::V6(v6) => (v6.ip.into(), v6.prefixlen),
    };
    interfaces.into_iter().map(network).collect()
}

fn is_near(ip: IpAddr, networks: &[(IpAddr, u8)]) -> bool {
    // As IPv4, where the network translates (see below).
    let ip = match ip.to_canonical() {
        IpAddr::V6(v6) if v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] => {
            let [.., a, b, c, d] = v6.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        other => other,
    };
    networks.iter().any(|&(own, bits)| match (ip, own) {
        // A tunnel that everything goes through shares no bits: that makes nothing near.
        (a, b) if bits == 0 => a == b,
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            (a.to_bits() ^ b.to_bits()).leading_zeros() >= u32::from(bits)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            (a.to_bits() ^ b.to_bits()).leading_zeros() >= u32::from(bits)
        }
        _ => false,
    })
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let within =
        |net: [u8; 4], bits: u32| (ip.to_bits() ^ u32::from_be_bytes(net)).leading_zeros() >= bits;
    let special = within([0, 0, 0, 0], 8) // this network
        || within([10, 0, 0, 0], 8) // private
        || within([100, 64, 0, 0], 10) // behind a provider's translation
        || within([127, 0, 0, 0], 8) // loopback
        || within([169, 254, 0, 0], 16) // link-local; clouds' metadata
        || within([172, 16, 0, 0], 12) // private
        || within([192, 0, 0, 0], 24) // protocol assignments
        || within([192, 0, 2, 0], 24) // documentation
        || within([192, 88, 99, 0], 24) // 6to4 relays, which are no more
        || within([192, 168, 0, 0], 16) // private
        || within([198, 18, 0, 0], 15) // benchmarking
        || within([198, 51, 100, 0], 24) // documentation
        || within([203, 0, 113, 0], 24) // documentation
        || within([224, 0, 0, 0], 4) // multicast
        || within([240, 0, 0, 0], 4); // reserved, broadcast
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, ..] = ip.segments();
    let [_, _, _, _, _, _, _, _, _, _, _, _, v4 @ ..] = ip.octets();
    match (a, b) {
        // An IPv4 address in another form (RFC 4291 §2.5.5.2).
        (0, 0) if (c, d, e, f) == (0, 0, 0, 0xffff) => is_public_v4(v4.into()),
        // Translated to one by the network (NAT64, RFC 6052), which is all there is in some.
        (0x64, 0xff9b) if (c, d, e, f) == (0, 0, 0, 0) => is_public_v4(v4.into()),
        // Protocol assignments: Teredo, benchmarking, ORCHID.
        (0x2001, 0..=0x1ff) => false,
        // Documentation.
        (0x2001, 0xdb8) | (0x3fff, 0..=0xfff) => false,
        // 6to4, which is no more, and has an IPv4 address in it.
        (0x2002, _) => false,
        // What is neither global unicast nor above: unspecified, loopback, local, multicast.
        _ => (a & 0xe000) == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().expect("an address"))
    }

    #[test]
    fn what_shares_a_network_with_this_machine_is_near() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let own = [
            (ip("1.2.3.4"), 24),
            (ip("2a00:1:2:3::4"), 64),
            (ip("5.6.7.8"), 32),
            (ip("9.9.9.9"), 0),
        ];
        for near in [
            "1.2.3.4",
            "1.2.3.255",
            "::ffff:1.2.3.9",
            "64:ff9b::1.2.3.9",
            "2a00:1:2:3:ffff::1",
            "5.6.7.8",
            "9.9.9.9",
        ] {
            assert!(is_public(ip(near)) && is_near(ip(near), &own), "{near}");
        }
        for far in ["1.2.4.4", "2a00:1:2:4::4", "5.6.7.9", "64:ff9b::1.2.4.4", "8.8.8.8"] {
            assert!(!is_near(ip(far), &own), "{far}");
        }
        assert!(own_networks().iter().any(|(own, _)| own.is_loopback()), "this machine is known");
    }

    /// The first and the last of every network that is not the public's, and what lies beside it.
    #[test]
    fn ipv4_networks_end_where_they_should() {
        for (first, last) in [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "255.255.255.255"),
        ] {
            let [first, last] = [first, last].map(|ip| ip.parse::<Ipv4Addr>().expect("IPv4"));
            let (low, high) = (first.to_bits(), last.to_bits());
            for inside in [low, low + 1, low + (high - low) / 2, high - 1, high] {
                assert!(!is_public_v4(inside.into()), "{}", Ipv4Addr::from(inside));
            }
            for beside in [low.checked_sub(1), high.checked_add(1)].into_iter().flatten() {
                assert!(is_public_v4(beside.into()), "{}", Ipv4Addr::from(beside));
            }
        }
        for ip in ["1.1.1.1", "8.8.8.8", "93.184.215.14", "192.0.1.1", "172.32.0.1"] {
            assert!(public(ip), "{ip}");
        }
    }

    #[test]
    fn every_form_of_an_inside_address_is_one() {
        for inside in ["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.1.1", "0.0.0.0"] {
            let v4: Ipv4Addr = inside.parse().expect("IPv4");
            let [a, b, c, d] = v4.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            for form in [
                format!("::ffff:{inside}"),
                format!("::ffff:{high:x}:{low:x}"),
                format!("::{inside}"),
                format!("::ffff:0:{inside}"),
                format!("64:ff9b::{inside}"),
                format!("64:ff9b:1::{inside}"),
                format!("2002:{high:x}:{low:x}::1"),
                format!("2001:0:4136:e378:8000:63bf:{:x}:{:x}", !high, !low),
                format!("fe80::5efe:{inside}"),
            ] {
                assert!(!public(&form), "{form}");
            }
        }
        assert!(public("::ffff:8.8.8.8") && public("64:ff9b::8.8.8.8"));
    }

    #[test]
    fn ipv6_networks_that_are_not_the_publics() {
        for ip in [
            "::",
            "::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "2001:db8:ffff:ffff::1",
            "2002::1",
            "3fff::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456:789a::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
            "64:ff9b:1::8.8.8.8",
            "64:ff9b::1:0:8.8.8.8",
        ] {
            assert!(!public(ip), "{ip}");
        }
        for ip in [
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2001:200::1",
            "2a00:1450:4001::1",
            "3fff:1000::1",
        ] {
            assert!(public(ip), "{ip}");
        }
    }
}
