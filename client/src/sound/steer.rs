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
/// The card's stamps are off by up to some milliseconds on a busy machine: the error is their mean
/// over about this time, seconds.
const SMOOTH_S: f64 = 1.0;
/// More than noise, microseconds: a stall of the card, or a change of the delay.
const STEP_US: f64 = 10_000.0;
/// A step is believed when it lasts this long, microseconds: longer than one callback, whose stamp
/// may be wrong.
const BELIEVED_US: i64 = 60_000;
/// Sound that is later than this all of a sudden has been silent meanwhile: it jumps back to its
/// time rather than trail behind it for many seconds. Microseconds.
const STALL_US: f64 = 30_000.0;
/// An error beyond this is not steered but jumped over, microseconds.
const JUMP_US: f64 = 150_000.0;
/// How long a card starts up, microseconds: its first stamps are guesses, and a jump is hardly
/// heard.
const START_US: i64 = 1_500_000;

/// What to do with the next stretch of sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Play it at this speed, 1 being the stream's own.
    Play(f64),
    /// Set it on its time anew.
    Jump,
}

/// The controller. Errors are positive when the sound is late.
#[derive(Debug, Default)]
pub(super) struct Steer {
    smooth_us: f64,
    played_us: i64,
    steering: bool,
    /// How long the error has been apart from its mean, microseconds.
    apart_us: i64,
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

    /// Judges the error of the next `length_us` of sound.
    pub(super) fn judge(&mut self, error_us: i64, length_us: i64) -> Verdict {
        let error = error_us as f64;
        self.played_us = self.played_us.saturating_add(length_us);
        if (error - self.smooth_us).abs() > STEP_US {
            self.apart_us = self.apart_us.saturating_add(length_us);
            if self.apart_us > BELIEVED_US {
                if self.is_lost(error) {
                    return Verdict::Jump;
                }
                self.apart_us = 0;
                self.smooth_us = error;
            }
        } else {
            self.apart_us = 0;
            let part = (length_us as f64 / 1e6 / SMOOTH_S).min(1.0);
            self.smooth_us += (error - self.smooth_us) * part;
        }
        Verdict::Play(self.speed())
    }

    /// Whether a step to this error is better jumped over.
    fn is_lost(&self, error: f64) -> bool {
        !(-JUMP_US..=STALL_US).contains(&error) || self.played_us < START_US
    }

    fn speed(&mut self) -> f64 {
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

    const BLOCK_US: i64 = 10_000;

    fn settled() -> Steer {
        let mut steer = Steer::default();
        for _ in 0..START_US / BLOCK_US {
            assert_eq!(steer.judge(0, BLOCK_US), Verdict::Play(1.0));
        }
        steer
    }

    /// Plays `seconds` on a card that is `ppm` fast and whose stamps are off by up to `noise_us`;
    /// gives the largest error and the largest correction of the last quarter.
    fn simulate(mut error_us: f64, ppm: f64, noise_us: f64, seconds: usize) -> (f64, f64) {
        let mut steer = settled();
        let (mut worst, mut fastest) = (0.0_f64, 0.0_f64);
        for block in 0..seconds * 100 {
            let noise = if block % 2 == 0 { noise_us } else { -noise_us };
            let Verdict::Play(speed) = steer.judge((error_us + noise) as i64, BLOCK_US) else {
                panic!("jumped");
            };
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
        for start in [-140_000.0, -5_000.0, 5_000.0, 25_000.0] {
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

    /// What comes of an error that is there all at once and stays.
    fn after_step(mut steer: Steer, error_us: i64) -> (bool, i64) {
        for _ in 0..20 {
            if steer.judge(error_us, BLOCK_US) == Verdict::Jump {
                return (true, 0);
            }
        }
        (false, steer.error_us())
    }

    #[test]
    fn a_stall_is_jumped_over_and_a_longer_delay_is_steered_to() {
        assert!(after_step(settled(), 116_000).0);
        assert!(after_step(settled(), -200_000).0);
        assert!(after_step(settled(), i64::MIN).0);
        // Believed at once, so that the picture goes along.
        assert_eq!(after_step(settled(), -60_000), (false, -60_000));
        assert_eq!(after_step(settled(), 20_000), (false, 20_000));
        assert!(after_step(Steer::default(), 15_000).0, "sooner at the start");
    }

    #[test]
    fn one_wrong_stamp_is_not_believed() {
        let mut steer = settled();
        for _ in 0..100 {
            // A callback of 50 ms, then five that are right.
            for error in [[80_000; 5], [0; 5], [0; 5], [-300_000; 5], [0; 5]].concat() {
                assert_eq!(steer.judge(error, BLOCK_US), Verdict::Play(1.0));
            }
        }
    }
}
