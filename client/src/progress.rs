//! How far a recording is played, and times as people read and write them.

use proto::time::Stamp;

use crate::cue::Cue;

/// How far a recording is played. Times are microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// How it is played now.
    pub cue: Cue,
    /// Where it begins on its own timeline.
    pub start_us: i64,
    /// How long it is, as far as is known by now.
    pub duration_us: i64,
    /// Up to where it is there without a hole from the position on, counted from its start.
    pub buffered_us: i64,
    /// How fast it goes when it goes.
    pub rate: f64,
    /// The user holds it.
    pub paused: bool,
    /// It is the past of a live stream, whose time 0 was captured then, on our clock.
    pub live: Option<Stamp>,
}

impl Progress {
    /// What is shown at `now` by a player of this delay, microseconds from the start.
    #[must_use]
    pub fn position_us(&self, now: Stamp, delay_us: i64) -> i64 {
        let position_us = self.cue.position_us(now, delay_us).saturating_sub(self.start_us);
        position_us.clamp(0, self.duration_us.max(0))
    }

    /// How far behind the present of the live stream that is that it is of; `None` for others.
    #[must_use]
    pub fn behind_us(&self, now: Stamp, delay_us: i64) -> Option<i64> {
        let present_us = now.us_since(self.live?).saturating_sub(delay_us);
        Some(present_us.saturating_sub(self.cue.position_us(now, delay_us)).max(0))
    }
}

/// Seconds as a clock shows them: `1:02:03`, `2:03`.
#[must_use]
pub fn clock(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// A time as it is typed, in microseconds: `90`, `1:30`, `1:30.5`, `01:02:03`.
pub fn parse_clock(text: &str) -> Result<i64, String> {
    let wrong = || "a time is SECONDS, MINUTES:SECONDS or HOURS:MINUTES:SECONDS".to_owned();
    let parts: Vec<&str> = text.split(':').collect();
    let (last, before) = parts.split_last().ok_or_else(wrong)?;
    let digits = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    let (whole, fraction) = last.split_once('.').unwrap_or((last, "0"));
    let fine = before.len() <= 2
        && before.iter().all(|part| digits(part, 6))
        && digits(whole, 8)
        && digits(fraction, 6);
    if !fine {
        return Err(wrong());
    }
    let number = |part: &str| part.parse::<i64>().map_err(|_| wrong());
    let mut minutes = 0;
    for (index, part) in before.iter().enumerate() {
        let part = number(part)?;
        if index > 0 && part > 59 {
            return Err("an hour has 60 minutes".to_owned());
        }
        minutes = minutes * 60 + part;
    }
    let seconds = number(whole)?;
    if !before.is_empty() && seconds > 59 {
        return Err("a minute has 60 seconds".to_owned());
    }
    let us = number(&format!("{fraction:0<6}"))?;
    let total_us = (minutes * 60 + seconds) * 1_000_000 + us;
    if total_us > proto::limits::RECORDING_US {
        return Err("no recording is longer than a year".to_owned());
    }
    Ok(total_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_taken_as_people_type_them() {
        for (text, us) in [
            ("0", 0),
            ("90", 90_000_000),
            ("1:30", 90_000_000),
            ("1:30.5", 90_500_000),
            ("90:00", 5_400_000_000),
            ("01:02:03", 3_723_000_000),
            ("0:00:00.000001", 1),
        ] {
            assert_eq!(parse_clock(text), Ok(us), "{text}");
        }
        for text in [
            "",
            ":",
            "1:",
            ":30",
            "-5",
            "+5",
            "1:60",
            "1:60:00",
            "1:2:3:4",
            "1e3",
            "1.5:00",
            "5.",
            ".5",
            "99999999999999999999",
            "9999:00:00",
            "1.1234567",
            "٣",
        ] {
            assert!(parse_clock(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_shown_as_a_clock_does() {
        let shown = [0.0, 59.9, 61.0, 3_599.0, 3_723.0, -4.0, f64::NAN].map(clock);
        assert_eq!(shown, ["0:00", "0:59", "1:01", "59:59", "1:02:03", "0:00", "0:00"]);
    }

    #[test]
    fn the_position_is_within_the_recording() {
        let cue = Cue { number: 1, position_us: 5_000_000, captured: Stamp(0), rate: 1.0 };
        let progress = Progress {
            cue,
            start_us: 1_000_000,
            duration_us: 10_000_000,
            buffered_us: 0,
            rate: 1.0,
            paused: false,
            live: None,
        };
        assert_eq!(progress.position_us(Stamp(2_000_000), 500_000), 5_500_000);
        assert_eq!(progress.position_us(Stamp(i64::MAX), 0), 10_000_000);
        assert_eq!(progress.behind_us(Stamp(2_000_000), 500_000), None);
        let live = Progress { live: Some(Stamp(-20_000_000)), ..progress };
        // Shown live: 21.5 s.
        assert_eq!(live.behind_us(Stamp(2_000_000), 500_000), Some(15_000_000));
    }
}
