//! A run of a stream: an append-only log of messages, framed for the wire once.
//!
//! The log is a row of segments, each a GOP or some GOPs. One writer appends; any number of
//! [cursors](crate::cursor) read what is published without asking the writer. Old segments are
//! dropped whole once every viewer worth keeping is past them.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::Duration;

use bytes::Bytes;
use proto::conn::now;
use proto::message::Held;
use proto::stream::fitting_text;
use proto::time::{Stamp, micros};
use proto::{CloseCode, Message, Packet, StreamDescription};
use tokio::sync::watch;

use crate::limits::Budget;
use crate::store::Store;

/// A key frame starts a new segment when the current one is older than this: where every frame is a
/// key frame, or GOPs are short, a segment holds several.
const SEGMENT_AGE: Duration = Duration::from_secs(1);
/// A segment ends before it exceeds this, key frame or not, bytes.
const SEGMENT_BYTES: u64 = 16 << 20;
/// A segment ends after this many messages, key frame or not.
const SEGMENT_ENTRIES: usize = 8_192;

/// Most segments of a log: a file each, however little is in it.
const SEGMENTS: usize = 64;
/// What a segment costs besides its messages, bytes.
const SEGMENT_COST: u64 = 4 << 10;
/// Key frames are large: no more than two a second on viewers' wishes, microseconds.
const KEY_FRAME_PAUSE_US: i64 = 500_000;

/// What the writer of a log may find.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The node's memory for logs is used up by this and other streams.
    #[error("the memory for streams is used up (--log-memory raises it)")]
    OutOfMemory,
    /// The packet names a track that the description does not have.
    #[error("packet of track {0}, which the stream does not have")]
    NoSuchTrack(u16),
    /// The packet is larger than a message may be.
    #[error("a packet of {0} bytes is larger than a message may be")]
    TooLarge(usize),
    /// The system has no room for a segment.
    #[error("cannot store a segment: {0}")]
    Io(#[from] io::Error),
}

impl AppendError {
    /// What to tell a peer whose packet it was.
    pub(crate) fn close_code(&self) -> CloseCode {
        match self {
            Self::OutOfMemory | Self::Io(_) => CloseCode::OutOfMemory,
            Self::NoSuchTrack(_) => CloseCode::Malformed,
            Self::TooLarge(_) => CloseCode::TooLarge,
        }
    }
}

/// What a message in the log is to a cursor that must leave something out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A picture (or sound, in a stream without pictures): left out when far behind.
    Droppable,
    /// Sound beside pictures, or a word about the stream: kept even in a gap.
    Kept,
}

/// One message in a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) offset: u64,
    pub(crate) kind: Kind,
    /// When it was appended, by this node's clock.
    pub(crate) at: Stamp,
}

/// A file of messages. `length` only grows, and what is below it never changes.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) store: Store,
    /// The encoded `Describe` that holds from the segment's start.
    pub(crate) describe: Bytes,
    length: AtomicU64,
    sealed: AtomicBool,
    started: Stamp,
    /// Droppable messages in all segments before this one.
    droppable_before: u64,
    index: RwLock<Vec<Entry>>,
    budget: Arc<Budget>,
}

impl Segment {
    /// Bytes that may be read now.
    pub(crate) fn length(&self) -> u64 {
        self.length.load(Ordering::Acquire)
    }

    /// Whether nothing will be appended any more.
    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// What its packets are.
    pub(crate) fn description(&self) -> Option<StreamDescription> {
        let body = self.describe.slice(proto::frame::LENGTH_PREFIX..);
        match Message::decode(body) {
            Ok(Message::Describe(description)) => Some(description),
            _ => None,
        }
    }

    /// All its bytes.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        let length = self.length();
        let mut whole = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        while (whole.len() as u64) < length {
            let left = usize::try_from(length).unwrap_or(usize::MAX) - whole.len();
            let slices = self.store.read(whole.len() as u64, left)?;
            slices.iter().for_each(|slice| whole.extend_from_slice(slice));
        }
        Ok(whole)
    }

    fn overhead(&self) -> u64 {
        SEGMENT_COST + self.describe.len() as u64
    }

    /// The messages of the segment, looked at under a short lock.
    pub(crate) fn with_index<T>(&self, look: impl FnOnce(&[Entry]) -> T) -> T {
        look(&self.index.read().unwrap_or_else(|e| e.into_inner()))
    }

    /// Droppable messages of the run before `offset` in here, and when the one there was appended.
    pub(crate) fn measure(&self, offset: u64) -> (u64, Option<Stamp>) {
        self.with_index(|index| {
            let first = index.partition_point(|entry| entry.offset < offset);
            let droppable = index[..first].iter().filter(|e| e.kind == Kind::Droppable).count();
            let next = index.get(first).or(index.last());
            (self.droppable_before + droppable as u64, next.map(|entry| entry.at))
        })
    }

    /// A word about the stream is taken in whatever the budget.
    fn push(&self, frame: Bytes, kind: Kind, is_word: bool, at: Stamp) -> Result<(), AppendError> {
        let size = frame.len() as u64;
        if !self.budget.take(size, is_word) {
            return Err(AppendError::OutOfMemory);
        }
        let offset = self.length.load(Ordering::Relaxed);
        if let Err(error) = self.store.append(offset, frame) {
            self.budget.give(size);
            return Err(error.into());
        }
        let mut index = self.index.write().unwrap_or_else(|e| e.into_inner());
        index.push(Entry { offset, kind, at });
        drop(index);
        self.length.store(offset + size, Ordering::Release);
        Ok(())
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.budget.give(self.length() + self.overhead());
    }
}

/// A place between two messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// Where a viewer starts.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) segment: Arc<Segment>,
    pub(crate) offset: u64,
    /// The encoded `Held`, while the source is away.
    pub(crate) held: Option<Bytes>,
}

/// The bounds of one log.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) budget: Arc<Budget>,
    pub(crate) stream_memory: u64,
    pub(crate) max_lag: Duration,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Log {
    state: Mutex<State>,
    /// Counts appends: wakes the fan-out's tasks, once each however many viewers they serve.
    changed: watch::Sender<u64>,
    key_frame_wanted: AtomicBool,
    last_key_us: AtomicI64,
    bounds: Bounds,
}

#[derive(Debug)]
struct State {
    segments: VecDeque<Arc<Segment>>,
    description: StreamDescription,
    /// Newest place where decoding can start.
    newest_key: Option<Position>,
    /// Key frames seen: the first one's GOP starts where the run starts.
    keys: u64,
    held: Option<Bytes>,
    finished: bool,
    sequence: u64,
}

impl State {
    fn head(&self) -> &Arc<Segment> {
        // There is a segment from the first moment on, and the last one is never dropped.
        &self.segments[self.segments.len() - 1]
    }
}

impl Log {
    pub(crate) fn new(
        description: StreamDescription,
        bounds: Bounds,
    ) -> Result<Arc<Self>, AppendError> {
        let first = new_segment(0, 0, &description, &bounds)?;
        let state = State {
            segments: VecDeque::from([first]),
            description,
            newest_key: None,
            keys: 0,
            held: None,
            finished: false,
            sequence: 0,
        };
        let changed = watch::Sender::new(0);
        Ok(Arc::new(Self {
            state: Mutex::new(state),
            changed,
            key_frame_wanted: AtomicBool::new(false),
            last_key_us: AtomicI64::new(i64::MIN),
            bounds,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Changes whenever something was appended.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    pub(crate) fn description(&self) -> StreamDescription {
        self.state().description.clone()
    }

    /// Appends a packet. `sequence` is counted here unless the packet comes from another node.
    pub(crate) fn append(&self, mut packet: Packet, relayed: bool) -> Result<(), AppendError> {
        let mut state = self.state();
        let track = packet.header.track;
        let Some(is_video) = state.description.tracks.get(usize::from(track)).map(|t| t.is_video())
        else {
            return Err(AppendError::NoSuchTrack(track));
        };
        if packet.payload.len() + 1024 > proto::limits::MESSAGE {
            return Err(AppendError::TooLarge(packet.payload.len()));
        }
        if relayed {
            state.sequence = packet.header.sequence.wrapping_add(1);
        } else {
            packet.header.sequence = state.sequence;
            state.sequence += 1;
        }
        let has_video = state.description.video().is_some();
        let droppable = is_video || !has_video;
        let key = packet.header.key && droppable;
        let kind = if droppable { Kind::Droppable } else { Kind::Kept };
        let frame = Message::Packet(packet).encode();
        let at = self.write(&mut state, frame, kind, false, key)?;
        if key {
            state.keys += 1;
            let first = Position { segment: 0, offset: 0 };
            state.newest_key = Some(if state.keys == 1 { first } else { at });
            self.key_frame_wanted.store(false, Ordering::Relaxed);
            self.last_key_us.store(now().0, Ordering::Relaxed);
        }
        drop(state);
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
        Ok(())
    }

    /// Puts a word to all viewers into the log: they get it in its place among the packets.
    fn say(&self, state: &mut State, message: &Message) -> Result<(), AppendError> {
        self.write(state, message.encode(), Kind::Kept, true, false)?;
        Ok(())
    }

    /// The source is away; the last picture is held.
    pub(crate) fn hold(&self, reason: &str) -> Result<(), AppendError> {
        let mut state = self.state();
        let message = Message::Held(Held { reason: fitting_text(reason) });
        self.say(&mut state, &message)?;
        state.held = Some(message.encode());
        drop(state);
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
        Ok(())
    }

    /// The source is back.
    pub(crate) fn resume(&self) -> Result<(), AppendError> {
        let mut state = self.state();
        if state.held.take().is_some() {
            self.say(&mut state, &Message::Resumed)?;
        }
        drop(state);
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
        Ok(())
    }

    /// What follows is coded otherwise: a new segment that starts with its description.
    pub(crate) fn describe(&self, description: StreamDescription) -> Result<(), AppendError> {
        let mut state = self.state();
        if description.run != state.description.run {
            state.sequence = 0;
        }
        state.description = description;
        self.roll(&mut state)?;
        // Older GOPs belong to the older description: joiners wait for the next key frame.
        state.newest_key = None;
        let message = Message::Describe(state.description.clone());
        self.say(&mut state, &message)?;
        drop(state);
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
        Ok(())
    }

    /// Nothing follows.
    pub(crate) fn finish(&self) {
        let mut state = self.state();
        if !state.finished {
            if let Err(error) = self.say(&mut state, &Message::End) {
                tracing::warn!("the end of a stream could not be written: {error}");
            }
            state.finished = true;
            state.head().sealed.store(true, Ordering::Release);
        }
        drop(state);
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Highest sequence number appended, plus one.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.state().sequence
    }

    /// A viewer cannot go on without a fresh key frame.
    pub(crate) fn want_key_frame(&self) {
        self.key_frame_wanted.store(true, Ordering::Relaxed);
    }

    /// Whether one was wanted since the last key frame or the last call; a wish that comes too soon
    /// after a key frame waits.
    pub(crate) fn take_key_frame_request(&self) -> bool {
        let age_us = now().0.saturating_sub(self.last_key_us.load(Ordering::Relaxed));
        age_us >= KEY_FRAME_PAUSE_US && self.key_frame_wanted.swap(false, Ordering::Relaxed)
    }

    /// Where a viewer starts that joins now.
    pub(crate) fn join(&self) -> Start {
        let state = self.state();
        let head = state.head();
        let at = state.newest_key.unwrap_or(Position {
            segment: head.number,
            offset: if state.keys == 0 { 0 } else { head.length() },
        });
        let segment = find(&state, at.segment).unwrap_or_else(|| head.clone());
        let offset = if segment.number == at.segment { at.offset } else { 0 };
        Start { segment, offset, held: state.held.clone() }
    }

    /// Whether a segment of that number is still in the log.
    pub(crate) fn has(&self, number: u64) -> bool {
        self.state().segments.front().is_some_and(|oldest| oldest.number <= number)
    }

    /// The newest place where decoding can start.
    pub(crate) fn newest_key(&self) -> Option<Position> {
        self.state().newest_key
    }

    /// The segment of that number, or the oldest one after it; `None` past the head.
    pub(crate) fn segment_from(&self, number: u64) -> Option<Arc<Segment>> {
        let state = self.state();
        let oldest = state.segments.front()?.number;
        find(&state, number.max(oldest))
    }

    fn write(
        &self,
        state: &mut State,
        frame: Bytes,
        kind: Kind,
        is_word: bool,
        key: bool,
    ) -> Result<Position, AppendError> {
        let at = now();
        let head = state.head();
        let entries = head.with_index(<[Entry]>::len);
        let aged = key && at.us_since(head.started) >= micros(SEGMENT_AGE);
        let full = head.length() + frame.len() as u64 > SEGMENT_BYTES || entries >= SEGMENT_ENTRIES;
        if entries > 0 && (aged || full) {
            self.roll(state)?;
        }
        self.trim(state, at, frame.len() as u64);
        let head = state.head();
        let position = Position { segment: head.number, offset: head.length() };
        head.push(frame, kind, is_word, at)?;
        Ok(position)
    }

    fn roll(&self, state: &mut State) -> Result<(), AppendError> {
        let head = state.head();
        let (droppable, _) = head.measure(head.length());
        let next = new_segment(head.number + 1, droppable, &state.description, &self.bounds)?;
        // Sealed under the lock that `segment_from` takes: whoever sees the seal finds the next.
        state.head().sealed.store(true, Ordering::Release);
        state.segments.push_back(next);
        Ok(())
    }

    /// Drops segments that no viewer worth keeping needs: all before the newest GOP once they are
    /// older than the lag bound, and the oldest ones when there are `coming` bytes too many.
    fn trim(&self, state: &mut State, now: Stamp, coming: u64) {
        let max_lag = micros(self.bounds.max_lag);
        let mut bytes: u64 = state.segments.iter().map(|s| s.length()).sum::<u64>() + coming;
        while state.segments.len() > 1 {
            let key_segment = state.newest_key.map_or(u64::MAX, |key| key.segment);
            let (oldest, next) = (&state.segments[0], &state.segments[1]);
            let aged = oldest.number < key_segment && now.us_since(next.started) > max_lag;
            let fits = bytes <= self.bounds.stream_memory && state.segments.len() <= SEGMENTS;
            if !aged && fits {
                break;
            }
            bytes -= oldest.length();
            if oldest.number == key_segment {
                state.newest_key = None;
                self.want_key_frame();
            }
            state.segments.pop_front();
        }
    }
}

fn new_segment(
    number: u64,
    droppable_before: u64,
    description: &StreamDescription,
    bounds: &Bounds,
) -> Result<Arc<Segment>, AppendError> {
    let segment = Segment {
        number,
        store: Store::create()?,
        describe: Message::Describe(description.clone()).encode(),
        length: AtomicU64::new(0),
        sealed: AtomicBool::new(false),
        started: now(),
        droppable_before,
        index: RwLock::default(),
        budget: bounds.budget.clone(),
    };
    // A stream that has no room for its packets has room for its description.
    bounds.budget.take(segment.overhead(), true);
    Ok(Arc::new(segment))
}

fn find(state: &State, number: u64) -> Option<Arc<Segment>> {
    let oldest = state.segments.front()?.number;
    let index = usize::try_from(number.checked_sub(oldest)?).ok()?;
    state.segments.get(index).cloned()
}
