//! What was said and done in a room, and what of that is to be shown now.
//!
//! A line belongs to a position of the recording and is shown when the viewer is there, once. What was
//! just done (somebody paused) is shown at once, wherever it belongs.

use std::collections::VecDeque;

use proto::room::{Line, What};
use proto::time::Stamp;

/// Most lines kept; the oldest go.
const MOST: usize = 4_000;
/// A line is shown to who is no farther behind its place, microseconds: a newcomer reads what was said
/// last, not an hour of it.
const STILL_US: i64 = 10_000_000;
/// What happened no longer ago is news, microseconds.
const NEWS_US: i64 = 10_000_000;

/// The lines of a room.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    /// Those that were not shown, in the order of their numbers.
    waiting: VecDeque<Waiting>,
    /// The highest number that was here.
    highest: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct Waiting {
    line: Line,
    news: bool,
}

impl Lines {
    /// Takes lines in at `now` on the node's clock. What was here before is not taken again.
    pub fn take(&mut self, lines: Vec<Line>, now: Stamp) {
        for line in lines {
            if line.number <= self.highest {
                continue;
            }
            self.highest = line.number;
            let done = !matches!(line.what, What::Said(_));
            let news = done && now.us_since(line.at_us) < NEWS_US;
            self.waiting.push_back(Waiting { line, news });
            if self.waiting.len() > MOST {
                self.waiting.pop_front();
            }
        }
    }

    /// What is to be shown at this position, microseconds on the recording's timeline; `None` for a
    /// live stream, where everything belongs to the present.
    pub fn due(&mut self, position_us: Option<i64>) -> Vec<Line> {
        let is_due = |waiting: &Waiting| {
            waiting.news
                || position_us.is_none_or(|position_us| {
                    let ago_us = position_us.saturating_sub(waiting.line.position_us);
                    (0..=STILL_US).contains(&ago_us)
                })
        };
        if !self.waiting.iter().any(is_due) {
            return Vec::new();
        }
        let (due, waiting) = self.waiting.drain(..).partition::<Vec<_>, _>(is_due);
        self.waiting = waiting.into();
        due.into_iter().map(|waiting| waiting.line).collect()
    }
}

#[cfg(test)]
mod tests {
    use proto::room::Words;

    use super::*;

    const S: i64 = 1_000_000;

    fn line(number: u64, position_us: i64, what: What) -> Line {
        Line { number, position_us, at_us: Stamp(100 * S), who: "Ana".into(), what }
    }

    fn said(number: u64, position_us: i64) -> Line {
        line(number, position_us, What::Said(Words::Plain("hello".into())))
    }

    fn due(lines: &mut Lines, position_us: i64) -> Vec<u64> {
        lines.due(Some(position_us)).iter().map(|line| line.number).collect()
    }

    #[test]
    fn lines_are_shown_where_they_belong_and_once() {
        let mut lines = Lines::default();
        lines.take(vec![said(1, 5 * S), said(2, 60 * S), said(3, 61 * S)], Stamp(900 * S));
        lines.take(vec![said(3, 0)], Stamp(900 * S));
        assert!(due(&mut lines, 4 * S).is_empty());
        assert_eq!(due(&mut lines, 62 * S), [2, 3], "not what was said an hour before");
        assert!(due(&mut lines, 62 * S).is_empty());
        assert_eq!(due(&mut lines, 6 * S), [1], "who goes back reads it there");
    }

    #[test]
    fn what_was_just_done_is_said_at_once_and_what_was_done_long_ago_is_not() {
        let mut lines = Lines::default();
        lines.take(vec![line(1, 3_600 * S, What::Paused)], Stamp(101 * S));
        assert_eq!(due(&mut lines, 0), [1]);
        lines.take(vec![line(2, 3_600 * S, What::Paused)], Stamp(900 * S));
        assert!(due(&mut lines, 0).is_empty());
    }

    #[test]
    fn a_live_stream_has_one_place() {
        let mut lines = Lines::default();
        lines.take((1..=2 * MOST as u64).map(|number| said(number, 0)).collect(), Stamp(0));
        let due = lines.due(None);
        assert_eq!((due.len(), due[0].number), (MOST, MOST as u64 + 1), "bounded");
    }
}
