//! Who guesses codes and PINs is answered slower and slower, and then not at all for a while. Pure:
//! every moment is handed in.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use proto::time::Stamp;

/// The answer to the first wrong guess is so late; it doubles with each.
const FIRST: Duration = Duration::from_millis(250);
/// Slower than this it does not get.
const SLOWEST: Duration = Duration::from_secs(8);
/// After so many wrong guesses, no more are heard.
const MOST: u32 = 10;
/// One wrong guess is forgotten after so long, microseconds: a typing error now and then costs nothing.
const FORGOTTEN_US: i64 = 60_000_000;
/// So long nothing is heard from who guessed too often, microseconds.
const SHUT_US: i64 = 600_000_000;
/// Most addresses that are remembered; those that guessed least make way.
const ADDRESSES: usize = 10_000;

/// Remembers who guessed wrong.
#[derive(Debug, Default)]
pub(super) struct Guard(HashMap<IpAddr, Guesses>);

#[derive(Clone, Copy, Debug)]
struct Guesses {
    wrong: u32,
    at: Stamp,
}

impl Guesses {
    /// How many count at `now`.
    fn wrong(&self, now: Stamp) -> u32 {
        let since_us = now.us_since(self.at).max(0);
        if self.wrong >= MOST {
            return if since_us < SHUT_US { self.wrong } else { 0 };
        }
        let forgotten = u32::try_from(since_us / FORGOTTEN_US).unwrap_or(u32::MAX);
        self.wrong.saturating_sub(forgotten)
    }
}

impl Guard {
    /// Whether guesses from there are heard.
    #[must_use]
    pub(super) fn hears(&self, address: IpAddr, now: Stamp) -> bool {
        self.0.get(&subscriber(address)).is_none_or(|guesses| guesses.wrong(now) < MOST)
    }

    /// A guess was wrong; how late it is to be answered.
    pub(super) fn wrong(&mut self, address: IpAddr, now: Stamp) -> Duration {
        if self.0.len() >= ADDRESSES {
            self.make_room(now);
        }
        let guesses = self.0.entry(subscriber(address)).or_insert(Guesses { wrong: 0, at: now });
        let wrong = guesses.wrong(now) + 1;
        *guesses = Guesses { wrong, at: now };
        FIRST.saturating_mul(1 << (wrong - 1).min(16)).min(SLOWEST)
    }

    fn make_room(&mut self, now: Stamp) {
        self.0.retain(|_, guesses| guesses.wrong(now) > 0);
        while self.0.len() >= ADDRESSES {
            let least = self.0.iter().min_by_key(|(_, guesses)| (guesses.wrong(now), guesses.at));
            let Some(address) = least.map(|(address, _)| *address) else { return };
            self.0.remove(&address);
        }
    }
}

/// The network one subscriber has: the first 64 bits of an IPv6 address, all of an IPv4 one.
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::from(u64::MAX) << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(n).into()
    }

    #[test]
    fn guesses_are_answered_slower_and_then_not_heard() {
        let (mut guard, now) = (Guard::default(), Stamp(0));
        let late: Vec<Duration> = (0..MOST).map(|_| guard.wrong(address(1), now)).collect();
        assert_eq!(late[0], FIRST);
        assert_eq!(late[2], FIRST * 4);
        assert_eq!(late.last(), Some(&SLOWEST));
        assert!(!guard.hears(address(1), now));
        assert!(guard.hears(address(2), now), "others are not concerned");
        assert!(!guard.hears(address(1), now.plus_us(SHUT_US - 1)));
        assert!(guard.hears(address(1), now.plus_us(SHUT_US)));
        assert_eq!(guard.wrong(address(1), now.plus_us(SHUT_US)), FIRST, "from the beginning");
    }

    #[test]
    fn typing_errors_are_forgotten() {
        let mut guard = Guard::default();
        for minute in 0..100 {
            let at = Stamp(minute * FORGOTTEN_US);
            assert_eq!(guard.wrong(address(1), at), FIRST);
            assert!(guard.hears(address(1), at));
        }
    }

    #[test]
    fn one_network_of_ipv6_is_one_and_what_is_remembered_is_bounded() {
        let mut guard = Guard::default();
        for n in 0..MOST {
            guard.wrong(format!("2001:db8::{n}").parse().expect("address"), Stamp(0));
        }
        assert!(!guard.hears("2001:db8::ffff".parse().expect("address"), Stamp(0)));
        for n in 0..ADDRESSES as u32 + 10 {
            guard.wrong(address(n), Stamp(1));
        }
        assert!(guard.0.len() <= ADDRESSES);
        assert!(!guard.hears("2001:db8::1".parse().expect("address"), Stamp(1)), "stays");
    }
}
