//! How fast the sound has to be played to be heard on time.

/// An error below this is not worth resampling for, microseconds; well below what lips betray.
const DEAD_US: f64 = 500.0;
/// Once steering, until the error is below this, microseconds.
const DONE_US: f64 = 100.0;
/// Fastest change of speed: 0.5 %, a twelfth of a semitone.
const MOST: f64 = 0.005;
/// An error is worked off in about this time, seconds. A card that is 100 ppm off is then followed
/// 0.4 ms behind, at 0.01 %.
const TIME_S: f64 = 4.0;
/// The card's stamps are noisy: the error is their mean over about this time, seconds.
const SMOOTH_S: f64 = 1.0;
/// An error beyond this is not steered but jumped over, microseconds.
const JUMP_US: i64 = 150_000;
/// The same while the card starts up: its first stamps are guesses, and a jump is hardly heard.
const START_JUMP_US: i64 = 10_000;
/// How long a card starts up, microseconds.
const START_US: i64 = 1_500_000;

/// The controller. Errors are positive when the sound is late.
#[derive(Debug, Default)]
pub(super) struct Steer {
    smooth_us: f64,
    played_us: i64,
    steering: bool,
}

impl Steer {
    /// Sound begins (again), on time.
    pub(super) fn start(&mut self) {
        *self = Self::default();
    }

    /// The smoothed error, microseconds.
    pub(super) fn error_us(&self) -> i64 {
        self.smooth_us.round() as i64
    }

    /// Whether only a jump helps.
    pub(super) fn is_lost(&self, error_us: i64) -> bool {
        let limit = if self.played_us < START_US { START_JUMP_US } else { JUMP_US };
        error_us.saturating_abs() > limit
    }

    /// The speed for the next `length_us` of sound, 1 being the stream's own.
    pub(super) fn speed(&mut self, error_us: i64, length_us: i64) -> f64 {
        let length_s = length_us as f64 / 1e6;
        self.smooth_us += (error_us as f64 - self.smooth_us) * (length_s / SMOOTH_S).min(1.0);
        self.played_us = self.played_us.saturating_add(length_us);
        let off = self.smooth_us.abs();
        self.steering = off > if self.steering { DONE_US } else { DEAD_US };
        if !self.steering {
            return 1.0;
        }
        1.0 + (self.smooth_us / 1e6 / TIME_S).clamp(-MOST, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `seconds` on a card that is `ppm` fast and whose stamps are off by up to `noise_us`;
    /// gives the largest error and the largest correction of the last quarter.
    fn simulate(mut error_us: f64, ppm: f64, noise_us: f64, seconds: usize) -> (f64, f64) {
        let mut steer = Steer::default();
        let (mut worst, mut fastest) = (0.0_f64, 0.0_f64);
        for block in 0..seconds * 100 {
            let noise = if block % 2 == 0 { noise_us } else { -noise_us };
            let speed = steer.speed((error_us + noise) as i64, 10_000);
            // 10 ms on the card's clock; what is played faster is heard earlier.
            error_us -= 10_000.0 * (speed - 1.0) + 10_000.0 * ppm * 1e-6;
            if block > seconds * 75 {
                worst = worst.max(error_us.abs());
                fastest = fastest.max((speed - 1.0).abs());
            }
        }
        (worst, fastest)
    }

    #[test]
    fn an_error_is_worked_off_without_overshoot() {
        for start in [-100_000.0, -5_000.0, 5_000.0, 100_000.0] {
            let (worst, _) = simulate(start, 0.0, 0.0, 120);
            assert!(worst <= DEAD_US, "from {start}: {worst} us left");
        }
    }

    #[test]
    fn a_cards_drift_is_followed_unheard() {
        for ppm in [-200.0, -50.0, 50.0, 200.0] {
            let (worst, fastest) = simulate(0.0, ppm, 2_000.0, 240);
            assert!(worst < 1_500.0, "{ppm} ppm: {worst} us off");
            assert!(fastest <= 0.0005, "{ppm} ppm: corrected by {fastest}");
        }
    }

    #[test]
    fn noise_alone_steers_nothing() {
        let (_, fastest) = simulate(0.0, 0.0, 5_000.0, 60);
        assert_eq!(fastest, 0.0);
    }

    #[test]
    fn large_errors_are_jumped_over_and_sooner_at_the_start() {
        let mut steer = Steer::default();
        assert!(steer.is_lost(START_JUMP_US + 1));
        for _ in 0..200 {
            steer.speed(0, 10_000);
        }
        assert!(!steer.is_lost(JUMP_US));
        assert!(steer.is_lost(-JUMP_US - 1));
        assert!(steer.is_lost(i64::MIN));
    }
}
