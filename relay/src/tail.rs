//! The tail of a live stream, kept so that viewers can go back in it: segments of the log, written to
//! where recordings are kept as soon as they are complete.
//!
//! One task a run, a reader of the log like any viewer. What is older than the tail is long is
//! dropped. When the run is over, the tail goes, or stays as a recording under a name of its own.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::BytesMut;
use proto::recording::{Digest, Index, RecordingId, RecordingInfo, SegmentInfo};
use proto::stream::StreamState;
use proto::time::{Stamp, micros};
use proto::{Message, Packet, StreamDescription, StreamInfo, limits};
use tokio::sync::watch;

use crate::log::{Log, Segment};
use crate::node::Node;
use crate::recording::{Answer, Keep, Missing, Recording};
use crate::source::{Source, Stream};

/// How much of live streams is kept, and whether it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewind {
    /// How far back viewers can go.
    pub length: Duration,
    /// A live stream becomes a recording when it ends.
    pub record: bool,
}

/// What was recorded here, as opposed to by an origin, is remembered under this name.
pub(crate) const HERE: &str = "";

/// A recording of this node: segments from where they are kept.
pub(crate) struct Tail {
    id: RecordingId,
    /// What it will be called as a recording.
    name: String,
    keep: Arc<dyn Keep>,
    index: watch::Sender<Option<Arc<Index>>>,
    bytes: Mutex<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Tail {
    /// Nothing yet.
    fn new(description: StreamDescription, keep: Arc<dyn Keep>) -> Arc<Self> {
        let (id, name) = (RecordingId(rand::random()), recorded_name(&description.name));
        let index =
            Index { id, description, oldest: 0, first: 0, segments: Vec::new(), finished: false };
        let index = watch::Sender::new(Some(Arc::new(index)));
        Arc::new(Self { id, name, keep, index, bytes: Mutex::default() })
    }

    /// What was recorded earlier.
    fn of_index(name: &str, index: Index, keep: Arc<dyn Keep>) -> Arc<Self> {
        let bytes = index.segments.iter().map(|segment| u64::from(segment.bytes)).sum();
        let index = Index { finished: true, ..index };
        let (id, name) = (index.id, name.to_owned());
        let index = watch::Sender::new(Some(Arc::new(index)));
        Arc::new(Self { id, name, keep, index, bytes: Mutex::new(bytes) })
    }

    fn change(&self, change: impl FnOnce(&mut Index)) {
        self.index.send_modify(|index| {
            if let Some(index) = index {
                change(Arc::make_mut(index));
            }
        });
    }

    /// Whether it has as many segments as a recording may have.
    fn is_full(&self) -> bool {
        self.index.borrow().as_ref().is_some_and(|index| index.segments.len() >= limits::SEGMENTS)
    }

    /// Its line in the catalogue as a stream of its own.
    fn as_recording(&self, live: StreamInfo) -> StreamInfo {
        let recording = self.info().map(|info| RecordingInfo { growing: false, ..info });
        StreamInfo {
            name: self.name.clone(),
            live: false,
            state: StreamState::Idle,
            viewers: 0,
            path: Vec::new(),
            recording,
            ..live
        }
    }

    fn now(&self) -> Option<Arc<Index>> {
        self.index.borrow().clone()
    }
}

impl Recording for Tail {
    fn info(&self) -> Option<RecordingInfo> {
        let index = self.now()?;
        let there = &index.segments[skipped(&index)..];
        Some(RecordingInfo {
            id: self.id,
            duration_us: there.iter().map(|segment| u64::from(segment.duration_us)).sum(),
            bytes: *lock(&self.bytes),
            growing: !index.finished,
            poster: false,
        })
    }

    fn index(&self) -> watch::Receiver<Option<Arc<Index>>> {
        self.index.subscribe()
    }

    fn attend(&self) -> Box<dyn Send + Sync> {
        self.keep.hold(self.id)
    }

    fn segment(&self, number: u64) -> Answer<'_> {
        let (keep, id) = (self.keep.clone(), self.id);
        Box::pin(async move {
            let kept = tokio::task::spawn_blocking(move || keep.segment(id, number)).await;
            let gone = || Missing::Gone(format!("segment {number} is not kept any more"));
            kept.ok().flatten().ok_or_else(gone)
        })
    }
}

/// Segments of an index that are not there any more.
fn skipped(index: &Index) -> usize {
    let skipped = usize::try_from(index.oldest.saturating_sub(index.first)).unwrap_or(usize::MAX);
    skipped.min(index.segments.len())
}

/// Offers again what was recorded here earlier. The streams are there as long as what is returned.
pub(crate) fn offer_recorded(node: &Node) -> Vec<Source> {
    let keep = node.keep();
    let offer = |info: StreamInfo| {
        let index = keep.index(info.recording?.id)?;
        let tail = Tail::of_index(&info.name, index, keep.clone());
        node.add_recording(&info.name, &info.title, &info.summary, tail).ok()
    };
    keep.remembered(HERE).into_iter().filter_map(offer).collect()
}

/// Keeps the tail of a run until the run is over.
pub(crate) async fn keep(node: Node, stream: Arc<Stream>, log: Arc<Log>, rewind: Rewind) {
    let mut changes = log.changes();
    let mut number = 0;
    let mut taken: Option<(StreamDescription, Arc<Tail>)> = None;
    while let Some(segment) = sealed(&log, number, &mut changes).await {
        number = segment.number + 1;
        let Some(description) = segment.description() else { continue };
        // Coded otherwise, counted anew, or as long as one may be: another recording.
        let goes_on = taken.as_ref().is_some_and(|(known, tail)| {
            (known.run, &known.tracks) == (description.run, &description.tracks) && !tail.is_full()
        });
        if !goes_on {
            if let Some((_, tail)) = taken.take() {
                end(&node, &stream, &tail, rewind).await;
            }
            let tail = Tail::new(description.clone(), node.keep().clone());
            stream.set_recording(Some(tail.clone()));
            taken = Some((description, tail));
        }
        if let Some((_, tail)) = &taken {
            let (tail, length) = (tail.clone(), rewind.length);
            let info = rewind.record.then(|| stream.info());
            let added = tokio::task::spawn_blocking(move || add(&tail, &segment, length, info));
            if let Ok(Err(error)) = added.await {
                tracing::warn!("'{}' cannot be kept: {error}", stream.name);
            }
            node.catalogue_changed();
        }
    }
    if let Some((_, tail)) = taken {
        end(&node, &stream, &tail, rewind).await;
    }
}

/// The next complete segment; `None` when the run is over.
async fn sealed(
    log: &Arc<Log>,
    number: u64,
    changes: &mut watch::Receiver<u64>,
) -> Option<Arc<Segment>> {
    loop {
        changes.mark_unchanged();
        let segment = log.segment_from(number)?;
        if segment.is_sealed() {
            return Some(segment);
        }
        changes.changed().await.ok()?;
    }
}

/// Writes a segment of the log to the tail, and drops what is too old.
fn add(
    tail: &Tail,
    segment: &Segment,
    length: Duration,
    recorded_of: Option<StreamInfo>,
) -> io::Result<()> {
    let packets = packets(segment)?;
    let index = tail.now().ok_or(io::ErrorKind::NotFound)?;
    let Some(line) = line(&packets, &index.description) else { return Ok(()) };
    let mut bytes = BytesMut::new();
    packets.into_iter().for_each(|packet| Message::Packet(packet).encode_into(&mut bytes));
    let bytes = bytes.freeze();
    let number = index.first + index.segments.len() as u64;
    // Who adds to it while somebody looks at it copies all of it.
    drop(index);
    let size = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    tail.keep.put_segment(tail.id, number, Digest::of(&bytes), bytes)?;
    *lock(&tail.bytes) += u64::from(size);
    tail.change(|index| index.segments.push(SegmentInfo { bytes: size, ..line }));
    match recorded_of {
        Some(live) => remember(tail, live),
        None => trim(tail, length),
    }
    Ok(())
}

/// Writes down what is recorded so far: if the process is killed, that much stays.
fn remember(tail: &Tail, live: StreamInfo) {
    if let Some(index) = tail.now() {
        tail.keep.put_index(&index);
        tail.keep.remember(HERE, &tail.as_recording(live));
    }
}

/// Drops what lies further back than `length`.
fn trim(tail: &Tail, length: Duration) {
    let Some(index) = tail.now() else { return };
    let Some(last) = index.segments.last() else { return };
    let from = last.start_us.saturating_sub(micros(length));
    let old = index.segments.iter().filter(|s| s.start_us + i64::from(s.duration_us) < from);
    let oldest = index.first + old.count() as u64;
    for number in index.oldest..oldest {
        tail.keep.remove_segment(tail.id, number);
    }
    if oldest == index.oldest {
        return;
    }
    tail.change(|index| {
        index.oldest = oldest;
        let gone = skipped(index);
        let bytes: u64 = index.segments.drain(..gone).map(|s| u64::from(s.bytes)).sum();
        index.first = oldest;
        let mut kept = lock(&tail.bytes);
        *kept = kept.saturating_sub(bytes);
    });
}

/// The run is over: the tail goes, or becomes a recording.
async fn end(node: &Node, stream: &Arc<Stream>, tail: &Arc<Tail>, rewind: Rewind) {
    tail.change(|index| index.finished = true);
    stream.set_recording(None);
    node.catalogue_changed();
    let (tail, info) = (tail.clone(), stream.info());
    let node = node.clone();
    let ended = tokio::task::spawn_blocking(move || {
        if rewind.record {
            publish(&node, &tail, info);
        } else {
            tail.keep.remove(tail.id);
        }
    });
    if ended.await.is_err() {
        tracing::warn!("'{}' was not recorded to its end", stream.name);
    }
}

/// Offers what was recorded as a stream of its own.
fn publish(node: &Node, tail: &Arc<Tail>, live: StreamInfo) {
    if tail.now().is_none_or(|index| index.segments.is_empty()) {
        return;
    }
    remember(tail, live.clone());
    match node.add_recording(&tail.name, &live.title, &live.summary, tail.clone()) {
        Ok(source) => {
            tracing::info!("'{}' was recorded", tail.name);
            node.adopt(source);
        }
        Err(error) => tracing::warn!("{error}"),
    }
}

/// The live stream's name and this moment, UTC.
fn recorded_name(live: &str) -> String {
    let now = time::OffsetDateTime::now_utc();
    let (year, month, day) = (now.year(), u8::from(now.month()), now.day());
    let (hour, minute, second) = now.to_hms();
    let stamp = format!(" {year:04}-{month:02}-{day:02} {hour:02}.{minute:02}.{second:02}");
    let mut name = live.to_owned();
    while name.len() + stamp.len() > limits::NAME {
        name.pop();
    }
    name + &stamp
}

/// The packets of a segment of the log.
fn packets(segment: &Segment) -> io::Result<Vec<Packet>> {
    let mut packets = proto::recording::packets(&segment.read()?);
    // When it was captured says nothing to who watches it later.
    packets.iter_mut().for_each(|packet| packet.header.captured_at_us = Stamp(0));
    Ok(packets)
}

/// A segment's line in the index, but for its length in bytes; `None` for one without packets.
fn line(packets: &[Packet], description: &StreamDescription) -> Option<SegmentInfo> {
    let leading = description.video().map(|(track, ..)| track);
    let leads = |packet: &&Packet| leading.is_none_or(|track| packet.header.track == track);
    let first = packets.iter().find(leads).or(packets.first())?;
    let times = packets.iter().filter(leads).map(|p| p.header);
    let start_us = times.clone().map(|h| h.pts_us).min().unwrap_or(first.header.pts_us);
    let end_us = times.map(|h| h.pts_us.saturating_add(i64::from(h.duration_us))).max();
    let duration_us = end_us.unwrap_or(start_us).saturating_sub(start_us).max(0);
    Some(SegmentInfo {
        start_us,
        duration_us: u32::try_from(duration_us).unwrap_or(u32::MAX),
        bytes: 0,
        key: first.header.key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_recordings_fit() {
        let name = recorded_name("camera");
        assert!(name.starts_with("camera 2") && proto::stream::is_valid_name(&name), "{name}");
        assert!(proto::stream::is_valid_name(&recorded_name(&"ü".repeat(64))));
    }
}
