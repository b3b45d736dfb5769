//! A viewer's place in a log: what to send next, when to jump, when it is over.
//!
//! A cursor that keeps up sends whole stretches of a segment at once. One that is further behind
//! than the bound finishes the message it is in, then goes on at the newest key frame; of what lies
//! between it sends only the sound.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::task::AtomicWaker;
use proto::Message;
use proto::message::Gap;
use proto::time::{Stamp, micros};
use tokio::sync::Notify;

use crate::log::{Kind, Log, Position, Segment, Start};
use crate::outlet::Outlet;

/// What a session may ask of its viewer while the fan-out has it.
#[derive(Debug, Default)]
pub(crate) struct Control {
    state: AtomicU8,
    waker: AtomicWaker,
    /// Messages for this viewer alone, sent at the next message boundary.
    mail: Mutex<BytesMut>,
    has_mail: AtomicBool,
    /// Wakes the shard that serves the viewer while it keeps up.
    pub(crate) shard: OnceLock<Arc<Notify>>,
}

const RUN: u8 = 0;
const LEAVE: u8 = 1;
const STALL: u8 = 2;
const KILL: u8 = 3;

impl Control {
    /// Stop at the next message boundary.
    pub(crate) fn leave(&self) {
        self.state.fetch_max(LEAVE, Ordering::AcqRel);
        self.wake();
    }

    /// Stop at once: the peer has taken nothing for too long.
    pub(crate) fn stall(&self) {
        self.state.fetch_max(STALL, Ordering::AcqRel);
        self.wake();
    }

    /// Stop at once: the peer is gone.
    pub(crate) fn kill(&self) {
        self.state.fetch_max(KILL, Ordering::AcqRel);
        self.wake();
    }

    /// Sends `message` to this viewer alone.
    pub(crate) fn post(&self, message: &Message) {
        message.encode_into(&mut self.mail.lock().unwrap_or_else(|e| e.into_inner()));
        self.has_mail.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        self.waker.wake();
        if let Some(shard) = self.shard.get() {
            shard.notify_one();
        }
    }
}

/// Why a viewer needs no more service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The log is finished and all of it was sent.
    Ended,
    /// The session asked for it.
    Left,
    /// The viewer took nothing for too long.
    Stalled,
    /// The socket failed.
    Broken,
}

/// A cursor and where its bytes go.
pub(crate) struct Viewer {
    pub(crate) outlet: Box<dyn Outlet>,
    pub(crate) control: Arc<Control>,
    log: Arc<Log>,
    segment: Arc<Segment>,
    offset: u64,
    /// Offset of the end of a message that was sent in part.
    mid_message: Option<u64>,
    /// This viewer's own bytes, sent before anything else.
    own: Bytes,
    /// In a gap: up to here only sound.
    gap_until: Option<Position>,
    /// How long packets may wait to go out in one bunch, microseconds.
    bunch_us: i64,
    /// When the last bunch went out, microseconds.
    sent_at_us: i64,
    /// When it last had all there was: what waits for it now was appended later.
    full_at: Stamp,
}

impl Viewer {
    /// Starts with the description, then at `start`.
    pub(crate) fn new(
        log: Arc<Log>,
        start: Start,
        outlet: Box<dyn Outlet>,
        control: Arc<Control>,
        bunch_us: i64,
    ) -> Self {
        let mut own = BytesMut::from(&start.segment.describe[..]);
        if let Some(held) = start.held {
            own.extend_from_slice(&held);
        }
        Self {
            outlet,
            control,
            log,
            segment: start.segment,
            offset: start.offset,
            mid_message: None,
            own: own.freeze(),
            gap_until: None,
            bunch_us,
            sent_at_us: i64::MIN,
            full_at: Stamp(i64::MIN),
        }
    }

    /// Sends what there is. `Ready(None)`: all sent, up to the log's head. `now` may be some viewers
    /// old: asking the clock for each of them would be felt.
    pub(crate) fn poll_advance(
        &mut self,
        cx: &mut Context<'_>,
        now: Stamp,
    ) -> Poll<Option<Outcome>> {
        match self.poll_all(cx, now) {
            Poll::Ready(Ok(outcome)) => Poll::Ready(outcome),
            Poll::Ready(Err(_)) => Poll::Ready(Some(Outcome::Broken)),
            Poll::Pending => {
                self.control.waker.register(cx.waker());
                // What was asked between the last look and the registration woke nobody.
                self.must_stop().map_or(Poll::Pending, |outcome| Poll::Ready(Some(outcome)))
            }
        }
    }

    /// For a viewer that buffers: whether its next bunch may wait until more is there.
    pub(crate) fn may_wait(&self, now_us: i64) -> bool {
        self.bunch_us > 0
            && now_us.saturating_sub(self.sent_at_us) < self.bunch_us
            && self.own.is_empty()
            && !self.control.has_mail.load(Ordering::Acquire)
            && !self.segment.is_sealed()
            && self.control.state.load(Ordering::Acquire) == RUN
    }

    /// When a bunch that waits is due.
    pub(crate) fn due_us(&self) -> i64 {
        self.sent_at_us.saturating_add(self.bunch_us)
    }

    /// Whether there is anything left to send.
    pub(crate) fn is_behind(&self) -> bool {
        self.offset < self.segment.length()
    }

    /// Whether this viewer alone keeps a segment in memory.
    pub(crate) fn keeps_dropped_segment(&self) -> bool {
        !self.log.has(self.segment.number)
    }

    /// A place that moves whenever the viewer takes something.
    pub(crate) fn progress(&self) -> (u64, u64, usize) {
        (self.segment.number, self.offset, self.own.len())
    }

    /// Whether the session wants this to end here.
    fn must_stop(&self) -> Option<Outcome> {
        match self.control.state.load(Ordering::Acquire) {
            KILL => Some(Outcome::Broken),
            STALL => Some(Outcome::Stalled),
            LEAVE if self.own.is_empty() && self.mid_message.is_none() => Some(Outcome::Left),
            _ => None,
        }
    }

    fn poll_all(&mut self, cx: &mut Context<'_>, now: Stamp) -> Poll<io::Result<Option<Outcome>>> {
        loop {
            if let Some(outcome) = self.must_stop() {
                return Poll::Ready(Ok(Some(outcome)));
            }
            ready!(self.poll_own(cx))?;
            // Sealed is read before the length: after the seal nothing is appended.
            let sealed = self.segment.is_sealed();
            let length = self.segment.length();
            if self.offset < length {
                ready!(self.poll_stretch(cx, length, now))?;
            } else if !sealed {
                self.full_at = now;
                return Poll::Ready(Ok(None));
            } else if let Some(next) = self.log.segment_from(self.segment.number + 1) {
                self.enter(next);
            } else {
                return Poll::Ready(Ok(Some(Outcome::Ended)));
            }
        }
    }

    /// Own bytes and mail, which may only stand between two messages.
    fn poll_own(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.mid_message.is_none() && self.control.has_mail.swap(false, Ordering::AcqRel) {
            let mail = self.control.mail.lock().unwrap_or_else(|e| e.into_inner()).split();
            self.say(&[&mail]);
        }
        while !self.own.is_empty() && self.mid_message.is_none() {
            let sent = ready!(self.outlet.poll_write(cx, &self.own))?;
            self.own.advance(sent);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends once from the current segment.
    fn poll_stretch(
        &mut self,
        cx: &mut Context<'_>,
        length: u64,
        now: Stamp,
    ) -> Poll<io::Result<()>> {
        let to = match self.mid_message {
            Some(end) if self.must_stop_at_boundary(now) => end,
            None if self.gap_until.is_none() && self.is_too_late(now) => {
                self.jump();
                return Poll::Ready(Ok(()));
            }
            None if self.gap_until.is_some() => match self.next_kept() {
                Some(end) => end,
                None => return Poll::Ready(Ok(())),
            },
            _ => length,
        };
        let most = usize::try_from(to - self.offset).unwrap_or(usize::MAX);
        let sent = ready!(self.outlet.poll_send(cx, &self.segment.store, self.offset, most))?;
        self.offset += sent as u64;
        self.sent_at_us = now.0;
        self.mid_message = if self.offset == length { None } else { self.message_end() };
        Poll::Ready(Ok(()))
    }

    /// The end of the message the cursor is inside of, if it is inside of one.
    fn message_end(&self) -> Option<u64> {
        self.segment.with_index(|index| {
            let after = index.partition_point(|entry| entry.offset <= self.offset);
            let inside = index.get(after.checked_sub(1)?)?.offset < self.offset;
            inside.then(|| index.get(after).map_or(self.segment.length(), |e| e.offset))
        })
    }

    fn must_stop_at_boundary(&self, now: Stamp) -> bool {
        self.gap_until.is_some()
            || self.control.state.load(Ordering::Acquire) != RUN
            || self.control.has_mail.load(Ordering::Acquire)
            || !self.own.is_empty()
            || self.is_too_late(now)
    }

    /// Further behind than the bound, with a newer key frame to go on from.
    fn is_too_late(&self, now: Stamp) -> bool {
        let max_lag_us = micros(self.log.bounds().max_lag);
        if now.us_since(self.full_at) <= max_lag_us {
            return false;
        }
        let waiting = self.segment.with_index(|index| {
            index.get(index.partition_point(|e| e.offset < self.offset)).map(|e| e.at)
        });
        let Some(waiting) = waiting else { return false };
        now.us_since(waiting) > max_lag_us
            && self.log.newest_key().is_some_and(|key| key > self.position())
    }

    fn position(&self) -> Position {
        Position { segment: self.segment.number, offset: self.offset }
    }

    /// Leaves pictures out up to the newest key frame and says so.
    fn jump(&mut self) {
        let Some(until) = self.log.newest_key() else { return };
        let Some(target) = self.log.segment_from(until.segment) else { return };
        let (passed, since) = self.segment.measure(self.offset);
        let (reached, at) = target.measure(until.offset);
        self.say(&[&gap(passed, since, reached, at)]);
        self.gap_until = Some(until);
    }

    /// Adds to this viewer's own bytes.
    fn say(&mut self, messages: &[&[u8]]) {
        let mut own = BytesMut::from(&self.own[..]);
        messages.iter().for_each(|message| own.extend_from_slice(message));
        self.own = own.freeze();
    }

    /// In a gap: moves to the next message that is kept and gives its end, or leaves the gap.
    fn next_kept(&mut self) -> Option<u64> {
        let until = self.gap_until?;
        if self.position() >= until {
            self.gap_until = None;
            return None;
        }
        let number = self.segment.number;
        let found = self.segment.with_index(|index| {
            let first = index.partition_point(|e| e.offset < self.offset);
            let kept = first + index[first..].iter().position(|e| e.kind == Kind::Kept)?;
            let end = index.get(kept + 1).map_or(self.segment.length(), |e| e.offset);
            Some((index[kept].offset, end))
        });
        match found {
            Some((offset, end)) if Position { segment: number, offset } < until => {
                self.offset = offset;
                Some(end)
            }
            _ if number == until.segment => {
                self.offset = until.offset;
                None
            }
            _ => {
                self.offset = self.segment.length();
                None
            }
        }
    }

    /// Goes on in `next`; if segments in between were dropped, says what is missed.
    fn enter(&mut self, next: Arc<Segment>) {
        if next.number != self.segment.number + 1 {
            if self.gap_until.is_none() {
                self.jump();
            }
            if self.gap_until.is_none() {
                // Nowhere to start decoding yet: what is there comes, and what is not is told.
                let (passed, since) = self.segment.measure(self.offset);
                let (reached, at) = next.measure(0);
                self.say(&[&gap(passed, since, reached, at)]);
            }
            // A change of the description may have been among what was dropped.
            self.say(&[&next.describe]);
        }
        self.segment = next;
        self.offset = 0;
    }
}

/// The word about a gap between two places: droppable messages before each, and their times.
fn gap(passed: u64, since: Option<Stamp>, reached: u64, at: Option<Stamp>) -> Bytes {
    let length_us = since.zip(at).map_or(0, |(since, at)| at.us_since(since).max(0));
    Message::Gap(Gap { packets: reached.saturating_sub(passed), length_us }).encode()
}
