//! What there is of a recording, and what of it is here: segments around the position, bounded.

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::Packet;
use proto::limits;
use proto::recording::{Index, RecordingId, SegmentInfo};
use proto::stream::StreamDescription;
use proto::time::Stamp;

/// Most that is kept, bytes.
pub(super) const MOST: usize = 256 << 20;
/// Most of it that lies ahead of the position, bytes: what is left keeps what was just seen, since
/// a viewer goes back a little more often than far.
const MOST_AHEAD: usize = 192 << 20;

/// No farther back is looked for where decoding can start, segments: longer ones are nonsense.
const FARTHEST: usize = 1000;

/// The least there must be to start, microseconds: less is played before the next look.
const LEAST_US: i64 = 1_000_000;
/// Segments by which is judged how long the next will be.
const RECENT: usize = 8;
/// No segment is waited for longer, microseconds.
const LONGEST_US: i64 = 15_000_000;

/// A segment that was asked for at least once.
#[derive(Debug)]
enum Slot {
    /// Asked for.
    Coming,
    /// Here.
    Held(Arc<[Packet]>, usize),
    /// Cannot be had before this moment.
    Later(Stamp),
    /// Cannot be had.
    Gone,
}

/// How a segment stands to what is fed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    /// Its packets.
    Held(Arc<[Packet]>),
    /// It is not here yet.
    Awaited,
    /// It will never come.
    Gone,
    /// There is no such segment, yet or at all.
    Beyond,
}

/// The segments.
#[derive(Debug)]
pub(super) struct Reel {
    id: RecordingId,
    description: StreamDescription,
    /// Number of the first of `segments`.
    first: u64,
    segments: Vec<SegmentInfo>,
    finished: bool,
    slots: BTreeMap<u64, Slot>,
    bytes: usize,
}

impl Reel {
    /// Of this index; nothing is here yet.
    pub(super) fn new(index: Index) -> Self {
        let Index { id, description, oldest, first, segments, finished } = index;
        let (slots, bytes) = (BTreeMap::new(), 0);
        let mut reel = Self { id, description, first, segments, finished, slots, bytes };
        reel.forget_before(oldest);
        reel
    }

    /// Takes in what was added. False, and nothing done, for another recording.
    pub(super) fn grow(&mut self, news: &Index) -> bool {
        if news.id != self.id {
            return false;
        }
        if (self.first..=self.end()).contains(&news.first) {
            self.segments.truncate((news.first - self.first) as usize);
            self.segments.extend_from_slice(&news.segments);
        } else {
            self.first = news.first;
            self.segments.clone_from(&news.segments);
        }
        let end = self.end();
        let beyond = self.slots.split_off(&end);
        beyond.values().for_each(|slot| self.bytes -= slot.bytes());
        self.finished = news.finished;
        let too_many = self.segments.len().saturating_sub(limits::SEGMENTS) as u64;
        self.forget_before(news.oldest.max(self.first + too_many));
        true
    }

    fn forget_before(&mut self, oldest: u64) {
        let gone = oldest.saturating_sub(self.first).min(self.segments.len() as u64);
        self.segments.drain(..gone as usize);
        self.first += gone;
        let kept = self.slots.split_off(&self.first);
        let forgotten = std::mem::replace(&mut self.slots, kept);
        forgotten.values().for_each(|slot| self.bytes -= slot.bytes());
    }

    /// The content.
    pub(super) fn id(&self) -> RecordingId {
        self.id
    }

    /// How to decode it.
    pub(super) fn description(&self) -> &StreamDescription {
        &self.description
    }

    /// Whether nothing will be added.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether it is the past of a live stream that goes on.
    pub(super) fn is_live(&self) -> bool {
        self.description.live && !self.finished
    }

    /// How much there must be beyond a position to play on from it without stopping, microseconds: of
    /// what is still being recorded as much as may come at once.
    pub(super) fn least_us(&self) -> i64 {
        let last = self.segments.iter().rev().take(RECENT).filter(|_| self.is_live());
        let longest_us = last.map(|segment| i64::from(segment.duration_us)).max();
        LEAST_US + longest_us.unwrap_or(0).min(LONGEST_US)
    }

    /// The number after the last.
    pub(super) fn end(&self) -> u64 {
        self.first + self.segments.len() as u64
    }

    fn info(&self, number: u64) -> Option<&SegmentInfo> {
        let index = number.checked_sub(self.first)?;
        self.segments.get(usize::try_from(index).ok()?)
    }

    /// Where what there is begins, microseconds.
    pub(super) fn start_us(&self) -> i64 {
        self.segments.first().map_or(0, |segment| segment.start_us)
    }

    /// Where what there is ends, microseconds.
    pub(super) fn end_us(&self) -> i64 {
        self.segments.last().map_or(0, over_us)
    }

    /// The segment that holds this moment: the last that starts by then.
    pub(super) fn at(&self, position_us: i64) -> u64 {
        let after = self.segments.partition_point(|segment| segment.start_us <= position_us);
        self.first + after.saturating_sub(1) as u64
    }

    /// The segment from which `number` can be decoded.
    pub(super) fn key_before(&self, number: u64) -> u64 {
        let before = (self.first..=number).rev().take(FARTHEST);
        let mut keys = before.filter(|n| self.info(*n).is_some_and(|segment| segment.key));
        keys.next().unwrap_or(number)
    }

    /// A segment, for feeding.
    pub(super) fn place(&self, number: u64) -> Place {
        match self.slots.get(&number) {
            _ if number >= self.end() => Place::Beyond,
            _ if number < self.first => Place::Gone,
            Some(Slot::Held(packets, _)) => Place::Held(packets.clone()),
            Some(Slot::Gone) => Place::Gone,
            _ => Place::Awaited,
        }
    }

    /// Whether something was asked for and is not here.
    pub(super) fn is_coming(&self) -> bool {
        self.slots.values().any(|slot| matches!(slot, Slot::Coming))
    }

    fn is_there(&self, number: u64) -> bool {
        matches!(self.slots.get(&number), Some(Slot::Held(..) | Slot::Gone))
    }

    /// From the segments that are needed to show `position_us` on: the first that is not here.
    pub(super) fn first_missing(&self, position_us: i64) -> u64 {
        let from = self.key_before(self.at(position_us));
        (from..self.end()).find(|number| !self.is_there(*number)).unwrap_or(self.end())
    }

    /// Up to where all is here from `position_us` on, microseconds.
    pub(super) fn buffered_us(&self, position_us: i64) -> i64 {
        let missing = self.first_missing(position_us);
        let until_us = self.info(missing).map_or(self.end_us(), |segment| segment.start_us);
        until_us.max(position_us)
    }

    /// The next segment to ask for: the first that is not here up to `ahead_us` beyond the
    /// position, as long as there is room and fewer than `at_once` are coming. It counts as asked for from here
    /// on.
    pub(super) fn next_wanted(
        &mut self,
        position_us: i64,
        ahead_us: i64,
        at_once: usize,
        now: Stamp,
    ) -> Option<u64> {
        let coming = self.slots.values().filter(|slot| matches!(slot, Slot::Coming)).count();
        if coming >= at_once || self.segments.is_empty() {
            return None;
        }
        let at = self.at(position_us);
        let until_us = position_us.saturating_add(ahead_us);
        let mut ahead = 0;
        for number in self.key_before(at)..self.end() {
            let segment = *self.info(number)?;
            ahead += segment.bytes as usize;
            // What is needed at once is fetched however large it is.
            if number > at + 1 && (segment.start_us > until_us || ahead > MOST_AHEAD) {
                return None;
            }
            let wanted = match self.slots.get(&number) {
                None => true,
                Some(Slot::Later(at)) => *at <= now,
                Some(_) => false,
            };
            if wanted {
                self.slots.insert(number, Slot::Coming);
                return Some(number);
            }
        }
        None
    }

    /// Whether all that [`Reel::next_wanted`] would ask for is here.
    pub(super) fn is_full(&self, position_us: i64, ahead_us: i64) -> bool {
        let at = self.at(position_us);
        let until_us = position_us.saturating_add(ahead_us);
        let mut ahead = 0;
        for (number, segment) in self.from(self.key_before(at)) {
            ahead += segment.bytes as usize;
            if number > at + 1 && (segment.start_us > until_us || ahead > MOST_AHEAD) {
                break;
            }
            if !self.is_there(number) {
                return false;
            }
        }
        true
    }

    /// Number and line of every segment from this one on.
    pub(super) fn from(&self, number: u64) -> impl Iterator<Item = (u64, &SegmentInfo)> {
        let skip = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        (self.first..).zip(&self.segments).skip(skip)
    }

    /// A segment has come. What is farthest behind `position_us` makes room for it, then what is
    /// farthest ahead.
    pub(super) fn put(
        &mut self,
        number: u64,
        packets: Vec<Packet>,
        bytes: usize,
        position_us: i64,
    ) {
        if self.info(number).is_none() {
            return;
        }
        self.set(number, Slot::Held(packets.into(), bytes));
        let needed = self.key_before(self.at(position_us))..=self.at(position_us);
        while self.bytes > MOST {
            let held = |(number, slot): (&u64, &Slot)| (slot.bytes() > 0).then_some(*number);
            let lowest = self.slots.iter().find_map(held).filter(|n| n < needed.start());
            let highest = || self.slots.iter().rev().find_map(held).filter(|n| n > needed.end());
            let Some(number) = lowest.or_else(highest) else { break };
            self.forget(number);
        }
    }

    /// It may be asked for again from `at` on.
    pub(super) fn put_off(&mut self, number: u64, at: Stamp) {
        if self.info(number).is_some() {
            self.set(number, Slot::Later(at));
        }
    }

    /// It will never come.
    pub(super) fn give_up(&mut self, number: u64) {
        if self.info(number).is_some() {
            self.set(number, Slot::Gone);
        }
    }

    /// The connection is lost: nothing that was asked for comes.
    pub(super) fn void(&mut self) {
        self.slots.retain(|_, slot| !matches!(slot, Slot::Coming));
    }

    fn set(&mut self, number: u64, slot: Slot) {
        self.bytes += slot.bytes();
        if let Some(before) = self.slots.insert(number, slot) {
            self.bytes -= before.bytes();
        }
    }

    fn forget(&mut self, number: u64) {
        if let Some(slot) = self.slots.remove(&number) {
            self.bytes -= slot.bytes();
        }
    }
}

impl Slot {
    /// What it is counted as: an empty segment is not free.
    fn bytes(&self) -> usize {
        match self {
            Self::Held(_, bytes) => (*bytes).max(1),
            Self::Coming | Self::Later(_) | Self::Gone => 0,
        }
    }
}

fn over_us(segment: &SegmentInfo) -> i64 {
    segment.start_us.saturating_add(i64::from(segment.duration_us))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const S: i64 = 1_000_000;
    const NOW: Stamp = Stamp(0);

    /// Segments of 2 s from `first` on, each so large; every second one can be decoded on its own.
    fn index(first: u64, count: u64, bytes: u32, finished: bool) -> Index {
        let segment = |number: u64| SegmentInfo {
            start_us: number as i64 * 2 * S,
            duration_us: 2_000_000,
            bytes,
            key: number.is_multiple_of(2),
        };
        Index {
            id: RecordingId([1; 16]),
            description: StreamDescription {
                name: "a".into(),
                title: String::new(),
                live: false,
                run: 1,
                duration_us: None,
                tracks: Vec::new(),
            },
            oldest: 0,
            first,
            segments: (first..first + count).map(segment).collect(),
            finished,
        }
    }

    /// A reel of a hundred segments that are all here, and empty.
    pub(crate) fn full() -> Reel {
        let mut reel = Reel::new(index(0, 100, 1, true));
        (0..100).for_each(|number| reel.put(number, Vec::new(), 1, 0));
        reel
    }

    fn wanted(reel: &mut Reel, position_us: i64, ahead_us: i64) -> Vec<u64> {
        std::iter::from_fn(|| reel.next_wanted(position_us, ahead_us, 3, NOW)).collect()
    }

    #[test]
    fn what_is_wanted_begins_where_decoding_can_and_ends_where_the_buffer_does() {
        let mut reel = Reel::new(index(0, 100, 1000, true));
        assert_eq!(wanted(&mut reel, 7 * S, 5 * S), [2, 3, 4], "at most three at a time");
        for number in [2, 3, 4] {
            reel.put(number, Vec::new(), 1000, 7 * S);
        }
        assert_eq!(reel.buffered_us(7 * S), 10 * S);
        assert!(!reel.is_full(7 * S, 5 * S));
        assert_eq!(wanted(&mut reel, 7 * S, 5 * S), [5, 6]);
        reel.put(5, Vec::new(), 1000, 7 * S);
        reel.give_up(6);
        assert!(reel.is_full(7 * S, 5 * S));
        assert_eq!(reel.place(6), Place::Gone);
        assert_eq!(reel.place(100), Place::Beyond);
    }

    #[test]
    fn what_was_asked_for_on_a_lost_connection_is_asked_for_again() {
        let mut reel = Reel::new(index(0, 3, 1000, true));
        assert_eq!(wanted(&mut reel, 0, 60 * S), [0, 1, 2]);
        reel.put(0, Vec::new(), 1000, 0);
        reel.put_off(1, Stamp(5));
        reel.void();
        assert_eq!(wanted(&mut reel, 0, 60 * S), [2]);
        assert_eq!(reel.next_wanted(0, 60 * S, 3, Stamp(5)), Some(1));
    }

    #[test]
    fn memory_is_bounded_and_what_is_played_stays() {
        let large = 60 << 20;
        let mut reel = Reel::new(index(0, 100, large, true));
        for position in [0, 6, 20, 100, 40] {
            while let Some(number) = reel.next_wanted(position * S, 500 * S, 3, NOW) {
                reel.put(number, Vec::new(), large as usize, position * S);
                assert!(reel.bytes <= MOST, "{}", reel.bytes);
            }
            assert!(matches!(reel.place(reel.at(position * S)), Place::Held(_)), "{position}");
        }
    }

    #[test]
    fn a_growing_index_is_appended_and_its_tail_forgotten() {
        let mut reel = Reel::new(index(0, 3, 1000, false));
        reel.put(0, Vec::new(), 1000, 0);
        assert!(reel.grow(&Index { oldest: 2, ..index(3, 2, 1000, true) }));
        assert_eq!((reel.start_us(), reel.end_us(), reel.end()), (4 * S, 10 * S, 5));
        assert_eq!(reel.bytes, 0);
        assert_eq!(reel.place(0), Place::Gone);
        assert!(reel.is_finished());
        let other = Index { id: RecordingId([2; 16]), ..index(5, 1, 1000, true) };
        assert!(!reel.grow(&other), "another recording");
        assert_eq!(reel.end(), 5);
    }

    #[test]
    fn an_index_without_segments_is_no_harm() {
        let mut reel = Reel::new(index(0, 0, 0, true));
        assert_eq!(reel.next_wanted(5 * S, S, 3, NOW), None);
        assert_eq!((reel.at(5 * S), reel.first_missing(0), reel.buffered_us(0)), (0, 0, 0));
        assert!(reel.is_full(0, S));
    }
}
