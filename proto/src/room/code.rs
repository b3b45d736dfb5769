//! What rooms and their members are known by.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a room is called by: ten characters that are not mistaken for each other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RoomCode([u8; 10]);

impl RoomCode {
    /// The characters of codes: no 0 and O, 1, I and L, U and V.
    pub const ALPHABET: &[u8; 30] = b"23456789ABCDEFGHJKMNPQRSTVWXYZ";

    /// The code made of ten numbers, each taken modulo 30: for a generator of random ones.
    #[must_use]
    pub fn from_random(numbers: [u8; 10]) -> Self {
        Self(numbers.map(|n| Self::ALPHABET[usize::from(n) % Self::ALPHABET.len()]))
    }

    pub(super) fn is_valid(&self) -> bool {
        self.0.iter().all(|c| Self::ALPHABET.contains(c))
    }
}

/// What was typed is no room code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a room code has 10 letters and digits, without 0, 1, I, L, O and U")]
pub struct BadCode;

impl FromStr for RoomCode {
    type Err = BadCode;

    /// As people type it: small letters, spaces and hyphens are fine.
    fn from_str(text: &str) -> Result<Self, BadCode> {
        let mut code = text.bytes().filter(|c| !matches!(c, b' ' | b'-'));
        let mut bytes = [0; 10];
        for byte in &mut bytes {
            *byte = code.next().ok_or(BadCode)?.to_ascii_uppercase();
        }
        let code = if code.next().is_none() { Self(bytes) } else { return Err(BadCode) };
        if code.is_valid() { Ok(code) } else { Err(BadCode) }
    }
}

impl fmt::Display for RoomCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.0).unwrap_or("?"))
    }
}

impl fmt::Debug for RoomCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Proof of having been in a room: with it a member comes back as who it was, without PIN or knock.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomToken(pub [u8; 16]);

impl fmt::Debug for RoomToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomToken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_people_type_them() {
        let code: RoomCode = "abcde-23456".parse().expect("a code");
        assert_eq!(code.to_string(), "ABCDE23456");
        assert_eq!(" ABCDE 23456 ".parse(), Ok(code));
        for bad in ["", "ABCDE2345", "ABCDE234567", "ABCDE2345O", "ABCDE2345\u{e9}", "0BCDE23456"] {
            assert_eq!(bad.parse::<RoomCode>(), Err(BadCode), "{bad}");
        }
        let random = RoomCode::from_random([0, 29, 30, 255, 7, 8, 9, 10, 11, 12]);
        assert_eq!(random.to_string().parse(), Ok(random));
    }
}
