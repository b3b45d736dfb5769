//! The jitter buffer of one track: packets wait here, still coded, until its decoder wants them.
//!
//! Bounded in bytes and in time. A server sends no faster than the stream plays, so the bounds are
//! met only when the decoder cannot keep up (or the peer means harm); then the oldest group of
//! pictures goes, never a single packet that others need.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::time::Stamp;
use proto::{Packet, Track};

use crate::cue::{Cue, Times};

/// What a decoder is told, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// From here on packets are of this track: a new decoder is due.
    Start(Arc<Track>),
    /// One coded frame.
    Packet(Timed),
    /// The stream is over: what the decoder still holds is to be shown.
    End,
}

/// A packet and its place on the player's timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    /// As it came.
    pub packet: Packet,
    /// When the moment of its pts was captured, on our clock.
    pub captured: Stamp,
    /// It was captured before the stream was asked for: it is there to catch up with.
    pub backlog: bool,
    /// How the recording it is of is played; `None` for live streams.
    pub cue: Option<Cue>,
}

impl Timed {
    /// How the stream's times around this packet lie on our clock.
    #[must_use]
    pub fn times(&self) -> Times {
        let header = &self.packet.header;
        match self.cue {
            Some(cue) => Times::Recorded(cue),
            None => Times::Live { shift_us: self.captured.us_since(Stamp(header.pts_us)) },
        }
    }
}

/// What an item costs beside its payload, bytes: empty packets are bounded, too.
const OVERHEAD: usize = 128;
/// Most announced tracks that wait for the decoder. More are a peer's nonsense: only the newest
/// matters then.
const STARTS: usize = 8;

/// Bounds of a buffer.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most payload, bytes.
    pub bytes: usize,
    /// Most time between the oldest and the newest packet, microseconds.
    pub span_us: i64,
}

impl Limits {
    /// A late joiner is sent a whole group of pictures at once, and those of some encoders last
    /// 10 s; twice the largest message fits.
    pub const DEFAULT: Self = Self { bytes: 32 << 20, span_us: 15_000_000 };
}

/// What a take came back with.
#[derive(Debug, PartialEq)]
pub enum Taken {
    /// The oldest item.
    Item(Item),
    /// Nothing came in time.
    Nothing,
    /// Nothing will come any more.
    Closed,
}

/// The buffer: filled by the session, emptied by a decoder's thread.
#[derive(Debug)]
pub struct Buffer {
    limits: Limits,
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    key_awaited: bool,
    closed: bool,
}

impl Buffer {
    /// An empty buffer.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default(), filled: Condvar::new() }
    }

    /// Announces a track; what follows starts with one of its key frames.
    pub fn start(&self, track: Arc<Track>) {
        let mut state = self.lock();
        state.key_awaited = true;
        if state.items.iter().filter(|item| matches!(item, Item::Start(_))).count() >= STARTS {
            state.items.clear();
            state.bytes = 0;
        }
        state.items.push_back(Item::Start(track));
        drop(state);
        self.filled.notify_one();
    }

    /// Drops all there is and announces a track: what follows has nothing to do with what was.
    pub fn restart(&self, track: Arc<Track>) {
        let mut state = self.lock();
        state.items.clear();
        state.bytes = 0;
        drop(state);
        self.start(track);
    }

    /// Whether it is less than half full, so that more can be put in without any being dropped.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let Limits { bytes, span_us } = self.limits;
        !self.lock().is_over(Limits { bytes: bytes / 2, span_us: span_us / 2 })
    }

    /// Packets are missing here: nothing is taken in before the next key frame.
    pub fn lost(&self) {
        self.lock().key_awaited = true;
    }

    /// Takes a packet in. Gives how many packets were dropped for it, itself perhaps among them.
    pub fn push(&self, timed: Timed) -> usize {
        let mut state = self.lock();
        if state.key_awaited && !timed.packet.header.key {
            return 1;
        }
        state.key_awaited = false;
        state.bytes += cost(&timed);
        state.items.push_back(Item::Packet(timed));
        let dropped = state.trim(self.limits);
        drop(state);
        self.filled.notify_one();
        dropped
    }

    /// The stream is over.
    pub fn end(&self) {
        self.lock().items.push_back(Item::End);
        self.filled.notify_one();
    }

    /// Nothing more will come, and nobody wants what is there.
    pub fn close(&self) {
        let mut state = self.lock();
        *state = State { closed: true, ..State::default() };
        drop(state);
        self.filled.notify_all();
    }

    /// The oldest item, waiting up to `patience` for it.
    pub fn take(&self, patience: Duration) -> Taken {
        let state = self.lock();
        let (mut state, _) = self
            .filled
            .wait_timeout_while(state, patience, |s| s.items.is_empty() && !s.closed)
            .unwrap_or_else(PoisonError::into_inner);
        match state.items.pop_front() {
            Some(item) => {
                if let Item::Packet(timed) = &item {
                    state.bytes -= cost(timed);
                }
                Taken::Item(item)
            }
            None if state.closed => Taken::Closed,
            None => Taken::Nothing,
        }
    }

    /// Drops everything before the newest key frame captured up to `captured`, if there is one: the
    /// way back for a decoder that is late. Gives how many packets that were.
    pub fn skip_to_key(&self, captured: Stamp) -> usize {
        let mut state = self.lock();
        // Not over the start of a track or the end of the stream: those must be seen.
        let packets = state.items.iter().map_while(|item| match item {
            Item::Packet(timed) => Some(timed),
            Item::Start(_) | Item::End => None,
        });
        let newest = packets
            .enumerate()
            .filter(|(_, timed)| timed.packet.header.key && timed.captured <= captured)
            .map(|(index, _)| index)
            .last();
        let count = newest.unwrap_or(0);
        for _ in 0..count {
            state.drop_oldest();
        }
        count
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(timed: &Timed) -> usize {
    timed.packet.payload.len() + OVERHEAD
}

impl State {
    fn packets(&self) -> impl DoubleEndedIterator<Item = &Packet> {
        self.items.iter().filter_map(|item| match item {
            Item::Packet(timed) => Some(&timed.packet),
            Item::Start(_) | Item::End => None,
        })
    }

    fn is_over(&self, limits: Limits) -> bool {
        let times = (self.packets().next(), self.packets().next_back());
        let span_us = match times {
            (Some(first), Some(last)) => last.header.dts_us.saturating_sub(first.header.dts_us),
            _ => 0,
        };
        self.bytes > limits.bytes || span_us > limits.span_us
    }

    /// Drops whole groups of pictures, the oldest first, until the bounds are kept.
    fn trim(&mut self, limits: Limits) -> usize {
        let mut dropped = 0;
        while self.is_over(limits) {
            dropped += self.drop_oldest();
            while self.packets().next().is_some_and(|p| !p.header.key) {
                dropped += self.drop_oldest();
            }
            if self.packets().next().is_none() {
                // The newest packet was dropped with what it needs.
                self.key_awaited = true;
            }
        }
        dropped
    }

    /// Drops the oldest packet; starts and ends stay where they are.
    fn drop_oldest(&mut self) -> usize {
        let position = self.items.iter().position(|item| matches!(item, Item::Packet(_)));
        match position.and_then(|index| self.items.remove(index)) {
            Some(Item::Packet(timed)) => {
                self.bytes -= cost(&timed);
                1
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::PacketHeader;

    use super::*;

    const SOON: Duration = Duration::ZERO;

    fn packet(at_ms: i64, key: bool, bytes: usize) -> Timed {
        let header = PacketHeader {
            key,
            pts_us: at_ms * 1000,
            dts_us: at_ms * 1000,
            ..PacketHeader::default()
        };
        let packet = Packet { header, payload: vec![0; bytes].into() };
        Timed { packet, captured: Stamp(at_ms * 1000), backlog: false, cue: None }
    }

    fn times(buffer: &Buffer) -> Vec<i64> {
        std::iter::from_fn(|| match buffer.take(SOON) {
            Taken::Item(Item::Packet(timed)) => Some(timed.captured.0 / 1000),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn bytes_are_bounded_by_whole_groups() {
        let buffer = Buffer::new(Limits { bytes: 2280, span_us: i64::MAX });
        let mut dropped = 0;
        for i in 0..100 {
            dropped += buffer.push(packet(i * 40, i % 5 == 0, 100));
            assert!(buffer.lock().bytes <= 2280);
        }
        let left = times(&buffer);
        assert_eq!(left.len() + dropped, 100);
        assert_eq!(left.first().map(|t| t % 200), Some(0), "starts with a key frame: {left:?}");
        assert_eq!(left.last(), Some(&(99 * 40)));
    }

    #[test]
    fn time_is_bounded() {
        let buffer = Buffer::new(Limits { bytes: usize::MAX, span_us: 1_000_000 });
        for i in 0..200 {
            buffer.push(packet(i * 40, i % 5 == 0, 1));
        }
        let left = times(&buffer);
        assert!(left[left.len() - 1] - left[0] <= 1000, "{left:?}");
    }

    #[test]
    fn a_group_larger_than_the_bounds_waits_for_the_next_key_frame() {
        let buffer = Buffer::new(Limits { bytes: 800, span_us: i64::MAX });
        for i in 0..6 {
            buffer.push(packet(i, i == 0, 100));
        }
        assert!(times(&buffer).is_empty());
        assert_eq!(buffer.push(packet(7, false, 100)), 1);
        assert_eq!(buffer.push(packet(8, true, 100)), 0);
        assert_eq!(times(&buffer), [8]);
    }

    #[test]
    fn after_a_loss_only_a_key_frame_gets_in() {
        let buffer = Buffer::new(Limits::DEFAULT);
        buffer.push(packet(0, true, 1));
        buffer.lost();
        assert_eq!(buffer.push(packet(40, false, 1)), 1);
        assert_eq!(buffer.push(packet(80, true, 1)), 0);
        assert_eq!(buffer.push(packet(120, false, 1)), 0);
        assert_eq!(times(&buffer), [0, 80, 120]);
    }

    #[test]
    fn a_late_decoder_skips_to_the_newest_key_frame_that_is_due() {
        let buffer = Buffer::new(Limits::DEFAULT);
        for i in 0..20 {
            buffer.push(packet(i * 40, i % 5 == 0, 1));
        }
        assert_eq!(buffer.skip_to_key(Stamp(450_000)), 10);
        assert_eq!(buffer.skip_to_key(Stamp(450_000)), 0);
        assert_eq!(times(&buffer)[0], 400);
    }

    #[test]
    fn starts_and_ends_survive_what_is_dropped() {
        let buffer = Buffer::new(Limits { bytes: 500, span_us: i64::MAX });
        let media = proto::stream::Media::Audio(proto::stream::Audio {
            codec: proto::stream::AudioCodec::Opus,
            sample_rate: 48_000,
            channels: 2,
        });
        let track = Track { media, codec_config: Vec::new().into(), language: String::new() };
        buffer.start(Arc::new(track.clone()));
        for i in 0..10 {
            buffer.push(packet(i * 20, true, 100));
        }
        buffer.end();
        assert_eq!(buffer.take(SOON), Taken::Item(Item::Start(Arc::new(track))));
        assert_eq!(times(&buffer), [160, 180]);
        assert_eq!(buffer.take(SOON), Taken::Nothing);
    }

    #[test]
    fn empty_packets_and_endless_descriptions_are_bounded() {
        let buffer = Buffer::new(Limits { bytes: 1 << 20, span_us: i64::MAX });
        let media = proto::stream::Media::Audio(proto::stream::Audio {
            codec: proto::stream::AudioCodec::Opus,
            sample_rate: 48_000,
            channels: 2,
        });
        let track = Track { media, codec_config: Vec::new().into(), language: String::new() };
        for i in 0..20_000 {
            buffer.push(packet(0, true, 0));
            if i % 100 == 0 {
                buffer.start(Arc::new(track.clone()));
            }
        }
        assert!(buffer.lock().items.len() <= (1 << 20) / OVERHEAD + STARTS);
    }

    #[test]
    fn closing_wakes_whoever_waits() {
        let buffer = Arc::new(Buffer::new(Limits::DEFAULT));
        let waiting = {
            let buffer = buffer.clone();
            std::thread::spawn(move || buffer.take(Duration::from_secs(60)))
        };
        buffer.push(packet(0, true, 1));
        assert!(matches!(waiting.join(), Ok(Taken::Item(_))));
        buffer.close();
        assert_eq!(buffer.take(Duration::from_secs(60)), Taken::Closed);
    }
}
