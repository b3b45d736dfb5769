//! Edit lists (ISO/IEC 14496-12 §8.6.6): which part of a track is shown, and when.

use mp4_atom::ElstEntry;

/// A rate of 1.0 in 16.16 fixed point is what an entry of ordinary speed has.
const NORMAL: i16 = 1;

/// The one stretch of a track that is shown. Times are in the track's own time scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Edit {
    /// Composition time of what is shown first.
    pub(super) start: i64,
    /// Composition time at which the stretch ends, if it does before the track.
    pub(super) end: Option<i64>,
    /// When on the movie's timeline the stretch begins.
    pub(super) delay: i64,
}

impl Edit {
    /// The edit that `entries` describe, or why it takes a converter to play them.
    pub(super) fn parse(
        entries: &[ElstEntry],
        movie_timescale: u32,
        timescale: u32,
    ) -> Result<Self, String> {
        let in_track = |ticks: u64| rescale(ticks, movie_timescale, timescale);
        let mut delay = 0u64;
        let mut shown: Option<(u64, Option<u64>)> = None;
        for entry in entries {
            match (entry.media_time, shown) {
                (None, None) => delay = delay.saturating_add(entry.segment_duration),
                // An empty edit at the end shows nothing.
                (None, Some(_)) => {}
                (Some(_), _) if entry.media_rate.integer() != NORMAL => {
                    return Err("is edited to change its speed".into());
                }
                (Some(from), None) => {
                    let length = in_track(entry.segment_duration);
                    shown = Some((from, (length > 0).then(|| from.saturating_add(length))));
                }
                (Some(from), Some((start, Some(end))))
                    if from.abs_diff(end) <= tick(movie_timescale, timescale) =>
                {
                    shown =
                        Some((start, Some(from.saturating_add(in_track(entry.segment_duration)))));
                }
                (Some(_), Some(_)) => return Err("is edited from several pieces".into()),
            }
        }
        let Some((start, end)) = shown else { return Ok(Self::default()) };
        let signed = |ticks: u64| i64::try_from(ticks).unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
        Ok(Self { start: signed(start), end: end.map(signed), delay: signed(in_track(delay)) })
    }

    /// Where a composition time comes to lie on the movie's timeline, in the track's time scale.
    pub(super) fn place(&self, time: i64) -> i64 {
        time.saturating_sub(self.start).saturating_add(self.delay)
    }
}

/// One tick of the movie's time scale, in that of the track, rounded up: how exact an edit can be.
fn tick(movie_timescale: u32, timescale: u32) -> u64 {
    u64::from(timescale).div_ceil(u64::from(movie_timescale.max(1)))
}

fn rescale(ticks: u64, from: u32, to: u32) -> u64 {
    let from = u128::from(from.max(1));
    let scaled = (u128::from(ticks) * u128::from(to) + from / 2) / from;
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(segment_duration: u64, media_time: Option<u64>) -> ElstEntry {
        ElstEntry { segment_duration, media_time, media_rate: 1.into() }
    }

    fn parse(entries: &[ElstEntry]) -> Result<Edit, String> {
        Edit::parse(entries, 1000, 48_000)
    }

    #[test]
    fn the_usual_lists_become_a_delay_and_a_stretch() {
        assert_eq!(parse(&[]), Ok(Edit::default()));
        // B-frames or encoder delay
        let edit = parse(&[entry(2000, Some(1024))]);
        assert_eq!(edit, Ok(Edit { start: 1024, end: Some(97_024), delay: 0 }));
        assert_eq!(edit.map(|e| e.place(0)), Ok(-1024));
        // Sound that starts 1.5 s later
        let edit = parse(&[entry(1500, None), entry(0, Some(0))]);
        assert_eq!(edit, Ok(Edit { start: 0, end: None, delay: 72_000 }));
        // Two halves without a cut between them
        let edit = parse(&[entry(1000, Some(0)), entry(1000, Some(48_000)), entry(5, None)]);
        assert_eq!(edit, Ok(Edit { start: 0, end: Some(96_000), delay: 0 }));
    }

    #[test]
    fn cuts_and_speeds_are_left_to_the_converter() {
        assert!(parse(&[entry(1000, Some(0)), entry(1000, Some(96_000))]).is_err());
        let slow = ElstEntry { media_rate: 0.into(), ..entry(1000, Some(0)) };
        assert!(parse(&[slow]).is_err());
    }

    #[test]
    fn absurd_times_do_not_overflow() {
        let edit = parse(&[entry(u64::MAX, None), entry(u64::MAX, Some(u64::MAX >> 1))]);
        assert!(edit.is_ok_and(|e| e.place(i64::MIN) < 0 && e.place(i64::MAX) > 0));
    }
}
