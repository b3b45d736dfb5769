//! Moments and offsets on peers' clocks. A moment, a length of time and a difference between two
//! clocks are three types: mixing them up does not compile.

use std::ops::{Add, Neg, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment on one peer's clock: microseconds since the Unix epoch as that peer counts them.
///
/// The clock behind it is monotonic (it is read once from the wall and then only counts on), so
/// two stamps of one peer can be subtracted; stamps of different peers need an [`Offset`] first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Stamp(pub i64);

/// What must be added to a local stamp to get the peer's: `remote - local`, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub i64);

impl Stamp {
    /// This many microseconds later (or earlier, when negative). Saturates.
    #[must_use]
    pub fn plus_us(self, us: i64) -> Self {
        Self(self.0.saturating_add(us))
    }

    /// Microseconds from `earlier` to `self`, negative if `self` came first. Saturates.
    #[must_use]
    pub fn us_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Offset> for Stamp {
    type Output = Self;
    fn add(self, offset: Offset) -> Self {
        self.plus_us(offset.0)
    }
}

impl Sub<Offset> for Stamp {
    type Output = Self;
    fn sub(self, offset: Offset) -> Self {
        self + -offset
    }
}

impl Neg for Offset {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Add<Duration> for Stamp {
    type Output = Self;
    fn add(self, length: Duration) -> Self {
        self.plus_us(micros(length))
    }
}

/// A length of time as microseconds, saturating at `i64::MAX`.
#[must_use]
pub fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_takes_a_stamp_to_the_peers_clock_and_back() {
        let local = Stamp(1_000);
        let offset = Offset(-250);
        assert_eq!(local + offset, Stamp(750));
        assert_eq!((local + offset) - offset, local);
        assert_eq!(Stamp(i64::MAX).plus_us(1), Stamp(i64::MAX));
        assert_eq!(Stamp(i64::MIN).us_since(Stamp(1)), i64::MIN);
    }
}
