//! Who guesses codes, PINs and passwords is answered slower and slower, and then not at all for a
//! while. Pure: every moment is handed in.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use proto::time::Stamp;

/// The answer to the first wrong guess is so late; it doubles with each.
const FIRST: Duration = Duration::from_millis(250);
/// Slower than this it does not get.
const SLOWEST: Duration = Duration::from_secs(8);
/// After so many wrong guesses of an address, no more are heard.
pub const MOST: u32 = 10;
/// One wrong guess is forgotten after so long, microseconds: a typing error now and then costs nothing.
const FORGOTTEN_US: i64 = 60_000_000;
/// So long nothing is heard from who guessed too often, microseconds.
const SHUT_US: i64 = 600_000_000;
/// Most that are remembered; those that guessed least make way.
const REMEMBERED: usize = 10_000;

/// Remembers who guessed wrong: addresses (see [`subscriber`]), or names that were guessed at.
#[derive(Debug)]
pub struct Guard<K = IpAddr> {
    most: u32,
    guesses: HashMap<K, Guesses>,
}

#[derive(Clone, Copy, Debug)]
struct Guesses {
    wrong: u32,
    at: Stamp,
}

impl Guesses {
    /// How many count at `now`.
    fn wrong(&self, most: u32, now: Stamp) -> u32 {
        let since_us = now.us_since(self.at).max(0);
        if self.wrong >= most {
            return if since_us < SHUT_US { self.wrong } else { 0 };
        }
        let forgotten = u32::try_from(since_us / FORGOTTEN_US).unwrap_or(u32::MAX);
        self.wrong.saturating_sub(forgotten)
    }
}

impl<K: Hash + Eq + Ord + Clone> Guard<K> {
    /// One that hears no more than so many wrong guesses in a row of the same.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self { most, guesses: HashMap::new() }
    }

    /// Whether guesses of `who` are heard.
    #[must_use]
    pub fn hears(&self, who: &K, now: Stamp) -> bool {
        self.guesses.get(who).is_none_or(|guesses| guesses.wrong(self.most, now) < self.most)
    }

    /// A guess was wrong; how late it is to be answered.
    pub fn wrong(&mut self, who: K, now: Stamp) -> Duration {
        if self.guesses.len() >= REMEMBERED && !self.guesses.contains_key(&who) {
            self.make_room(now);
        }
        let guesses = self.guesses.entry(who).or_insert(Guesses { wrong: 0, at: now });
        let wrong = guesses.wrong(self.most, now) + 1;
        *guesses = Guesses { wrong, at: now };
        FIRST.saturating_mul(1 << (wrong - 1).min(16)).min(SLOWEST)
    }

    fn make_room(&mut self, now: Stamp) {
        let most = self.most;
        self.guesses.retain(|_, guesses| guesses.wrong(most, now) > 0);
        while self.guesses.len() >= REMEMBERED {
            let worth = |guesses: &Guesses| (guesses.wrong(most, now), guesses.at);
            let least = self.guesses.iter().min_by_key(|(_, guesses)| worth(guesses));
            let Some(who) = least.map(|(who, _)| who.clone()) else { return };
            self.guesses.remove(&who);
        }
    }
}

/// The network one subscriber has: the first 64 bits of an IPv6 address, all of an IPv4 one.
#[must_use]
pub fn subscriber(address: IpAddr) -> IpAddr {
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
        let (mut guard, now) = (Guard::new(MOST), Stamp(0));
        let late: Vec<Duration> = (0..MOST).map(|_| guard.wrong(address(1), now)).collect();
        assert_eq!(late[0], FIRST);
        assert_eq!(late[2], FIRST * 4);
        assert_eq!(late.last(), Some(&SLOWEST));
        assert!(!guard.hears(&address(1), now));
        assert!(guard.hears(&address(2), now), "others are not concerned");
        assert!(!guard.hears(&address(1), now.plus_us(SHUT_US - 1)));
        assert!(guard.hears(&address(1), now.plus_us(SHUT_US)));
        assert_eq!(guard.wrong(address(1), now.plus_us(SHUT_US)), FIRST, "from the beginning");
    }

    #[test]
    fn typing_errors_are_forgotten() {
        let mut guard = Guard::new(MOST);
        for minute in 0..100 {
            let at = Stamp(minute * FORGOTTEN_US);
            assert_eq!(guard.wrong(address(1), at), FIRST);
            assert!(guard.hears(&address(1), at));
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut guard = Guard::new(MOST);
        for _ in 0..MOST {
            guard.wrong(address(u32::MAX), Stamp(0));
        }
        for n in 0..REMEMBERED as u32 + 10 {
            guard.wrong(address(n), Stamp(1));
        }
        assert!(guard.guesses.len() <= REMEMBERED);
        assert!(!guard.hears(&address(u32::MAX), Stamp(1)), "stays");
    }

    #[test]
    fn one_network_of_ipv6_is_one() {
        let of = |text: &str| subscriber(text.parse().expect("address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:0:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
