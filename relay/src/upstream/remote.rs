//! A recording of an origin, offered here: what is kept is served from there, what is not is fetched,
//! once however many want it, and kept.
//!
//! One connection a recording, made when something is missing and let go when nothing is wanted for
//! a while. Whoever wants a segment waits for the one fetch that is under way.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use proto::conn::{ConnError, Reader, Writer};
use proto::dial::dial;
use proto::message::Message;
use proto::recording::{
    Digest, Fetch, Index, NoSegment, Open, RecordingId, RecordingInfo, Segment,
};
use proto::retry::Backoff;
use proto::subtitle::SubtitleTrack;
use proto::{Role, StreamInfo};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::recording::{Answer, Coming, Keep, Missing, Piece, Recording};

/// Segments asked for and not got yet: enough to fill a long way, few enough to turn to what is
/// wanted more.
const IN_FLIGHT: usize = 3;
/// Who wants a segment waits so long for an origin that is away.
const PATIENCE: Duration = Duration::from_secs(20);
/// A connection that nobody needs is let go after this.
const IDLE: Duration = Duration::from_secs(10);
/// An origin that sends nothing of what was asked for is gone.
pub(super) const SILENCE: Duration = Duration::from_secs(10);
/// Bytes that do not fit their digest are asked for again so many times.
const TRIES: u32 = 3;
/// Segments wanted at a time: all viewers of a recording together.
const WANTED: usize = 4_096;

type Seat = oneshot::Sender<Result<Arc<Piece>, Missing>>;

/// See the module.
pub(super) struct Remote {
    pub(super) address: String,
    /// The stream's name at the origin.
    pub(super) name: String,
    pub(super) agent: String,
    pub(super) keep: Arc<dyn Keep>,
    recording: Mutex<RecordingInfo>,
    /// Its line in the origin's catalogue.
    info: Mutex<StreamInfo>,
    index: watch::Sender<Option<Arc<Index>>>,
    wanted: Mutex<Wanted>,
    work: Notify,
    /// As last asked for, and of which content.
    pub(super) poster: tokio::sync::Mutex<Option<(RecordingId, Bytes)>>,
    /// As last asked for, when, and of which content.
    pub(super) subtitles: tokio::sync::Mutex<Option<(Instant, RecordingId, Vec<SubtitleTrack>)>>,
}

/// What is to be fetched, in the order it was asked for, and who waits.
#[derive(Default)]
struct Wanted {
    order: VecDeque<u64>,
    seats: HashMap<u64, Vec<Seat>>,
    /// Somebody wants the index from the origin.
    index: bool,
}

/// A connection on which the recording is open.
struct Line {
    reader: Reader<OwnedReadHalf>,
    writer: Writer<OwnedWriteHalf>,
    in_flight: VecDeque<(RecordingId, u64)>,
    /// How often bytes of a segment were not what they should be.
    spoilt: HashMap<u64, u32>,
}

impl Line {
    fn is_fetching(&self, number: u64) -> bool {
        self.in_flight.iter().any(|(_, there)| *there == number)
    }

    /// Takes a segment off the list of those that are to come; the content it is of.
    fn arrived(&mut self, number: u64) -> Option<RecordingId> {
        let place = self.in_flight.iter().position(|(_, there)| *there == number)?;
        self.in_flight.remove(place).map(|(id, _)| id)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Remote {
    /// A recording in the catalogue of the origin at `address`. It works as long as [`Remote::run`] does.
    pub(super) fn new(
        (address, agent): (&str, &str),
        info: &StreamInfo,
        recording: RecordingInfo,
        keep: Arc<dyn Keep>,
    ) -> Arc<Self> {
        Arc::new(Self {
            address: address.to_owned(),
            name: info.name.clone(),
            agent: agent.to_owned(),
            keep,
            recording: Mutex::new(recording),
            info: Mutex::new(info.clone()),
            index: watch::Sender::new(None),
            wanted: Mutex::default(),
            work: Notify::new(),
            poster: tokio::sync::Mutex::default(),
            subtitles: tokio::sync::Mutex::default(),
        })
    }

    /// The origin's catalogue says this now; whether it is news.
    pub(super) fn update(&self, info: &StreamInfo, recording: RecordingInfo) -> bool {
        *lock(&self.info) = info.clone();
        let mut known = lock(&self.recording);
        let unknown = RecordingId::UNKNOWN;
        // An origin that has not looked into it yet knows less than we do.
        let id = if recording.id == unknown { known.id } else { recording.id };
        let changed = known.id != unknown && known.id != id;
        let recording = RecordingInfo { id, ..recording };
        let news = *known != recording;
        *known = recording;
        drop(known);
        if changed {
            tracing::info!("'{}' has changed at {}: it is fetched anew", self.name, self.address);
            lock(&self.wanted).index = true;
            self.work.notify_one();
        }
        news
    }

    pub(super) fn id(&self) -> RecordingId {
        lock(&self.recording).id
    }

    /// Fetches what is wanted, for as long as it is polled.
    pub(super) async fn run(self: Arc<Self>) {
        let mut backoff = Backoff::default();
        let mut complaint = super::Complaint::default();
        loop {
            self.wait_for_work().await;
            match self.serve().await {
                Ok(()) => {
                    backoff.reset();
                    complaint.clear();
                }
                Err(reason) => {
                    complaint.say(format!("'{}' from {}: {reason}", self.name, self.address));
                    backoff.wait().await;
                }
            }
        }
    }

    async fn wait_for_work(&self) {
        while !self.is_work() {
            self.work.notified().await;
        }
    }

    fn is_work(&self) -> bool {
        let mut wanted = lock(&self.wanted);
        let Wanted { order, seats, .. } = &mut *wanted;
        // Those who went away want nothing any more.
        seats.retain(|_, seats| {
            seats.retain(|seat| !seat.is_closed());
            !seats.is_empty()
        });
        order.retain(|number| seats.contains_key(number));
        wanted.index || !wanted.order.is_empty()
    }

    /// One connection, until nothing is wanted for a while.
    async fn serve(&self) -> Result<(), String> {
        let dialled = dial(&self.address, Role::Relay, None, &self.agent).await;
        let dialled = dialled.map_err(|error| error.to_string())?;
        let mut line = Line {
            reader: dialled.reader,
            writer: dialled.writer,
            in_flight: VecDeque::new(),
            spoilt: HashMap::new(),
        };
        let said = |error: ConnError| error.to_string();
        let open = Message::Open(Open { stream: Some(self.name.clone()) });
        line.writer.write(&open).await.map_err(said)?;
        loop {
            self.ask(&mut line).await.map_err(said)?;
            let busy = !line.in_flight.is_empty() || lock(&self.wanted).index;
            tokio::select! {
                message = line.reader.read_within(if busy { SILENCE } else { IDLE }) => match message {
                    Ok(message) => self.take(&mut line, message).await.map_err(said)?,
                    Err(ConnError::Timeout(_)) if !busy => return Ok(()),
                    Err(error) => return Err(error.to_string()),
                },
                () = self.work.notified() => {}
            }
        }
    }

    /// Asks for the next segments, once the index is there.
    async fn ask(&self, line: &mut Line) -> Result<(), ConnError> {
        let Some(id) = self.index.borrow().as_ref().map(|index| index.id) else { return Ok(()) };
        while line.in_flight.len() < IN_FLIGHT {
            let next = {
                let wanted = lock(&self.wanted);
                if wanted.index {
                    return Ok(());
                }
                wanted.order.iter().copied().find(|number| !line.is_fetching(*number))
            };
            let Some(segment) = next else { return Ok(()) };
            line.writer.write(&Message::Fetch(Fetch { id, segment })).await?;
            line.in_flight.push_back((id, segment));
        }
        Ok(())
    }

    async fn take(&self, line: &mut Line, message: Message) -> Result<(), ConnError> {
        match message {
            Message::Index(index) => self.take_index(index).await,
            Message::Segment(head) => {
                let Some(id) = line.arrived(head.number) else {
                    return Err(ConnError::OutOfOrder { got: "Segment", expected: "nothing" });
                };
                let bytes = line.reader.segment(head, SILENCE).await?;
                self.take_segment(line, id, head, bytes).await;
            }
            Message::NoSegment(NoSegment { number, later, reason }) => {
                line.arrived(number);
                let missing = if later { Missing::Later(reason) } else { Missing::Gone(reason) };
                self.answer(number, &Err(missing));
            }
            other => {
                let expected = "Index, Segment or NoSegment";
                return Err(ConnError::OutOfOrder { got: other.kind(), expected });
            }
        }
        Ok(())
    }

    /// Takes over what the origin says; what it only adds is added.
    async fn take_index(&self, news: Index) {
        let known = self.index.borrow().clone().filter(|known| known.id == news.id);
        let whole = match known {
            Some(known) if news.first > known.first => {
                let mut segments = known.segments.clone();
                let keep = usize::try_from(news.first - known.first).unwrap_or(usize::MAX);
                segments.truncate(keep);
                segments.extend_from_slice(&news.segments);
                Index { first: known.first, segments, ..news }
            }
            _ => news,
        };
        let whole = Arc::new(whole);
        lock(&self.wanted).index = false;
        lock(&self.recording).id = whole.id;
        if !self.publish(&whole) {
            return;
        }
        let (keep, address) = (self.keep.clone(), self.address.clone());
        let mut info = lock(&self.info).clone();
        info.recording = Some(*lock(&self.recording));
        // One that is being asked for is kept when it comes.
        let poster = self.poster.try_lock().ok().and_then(|poster| poster.clone());
        let poster = poster.filter(|(of, _)| *of == whole.id);
        let kept = tokio::task::spawn_blocking(move || {
            // What grows there is told by its origin, and may be other when that is back.
            if whole.finished {
                keep.put_index(&whole);
            }
            // Seen in a catalogue before somebody wanted it.
            if let Some((id, jpeg)) = poster {
                keep.put_poster(id, &jpeg);
            }
            keep.remember(&address, &info);
        });
        // Should it panic, nothing is kept, and what came is served all the same.
        let _ = kept.await;
    }

    /// Makes an index known; whether it is news. The same again is none to anybody.
    fn publish(&self, whole: &Arc<Index>) -> bool {
        self.index.send_if_modified(|index| {
            let news = index.as_ref() != Some(whole);
            *index = Some(whole.clone());
            news
        })
    }

    async fn take_segment(&self, line: &mut Line, id: RecordingId, head: Segment, bytes: Bytes) {
        let Segment { number, digest, .. } = head;
        let keep = self.keep.clone();
        let stored = tokio::task::spawn_blocking(move || {
            let whole = Digest::of(&bytes) == digest;
            whole.then(|| keep.put_segment(id, number, digest, bytes)).transpose()
        });
        let answer = match stored.await {
            Ok(Ok(Some(piece))) => Ok(piece),
            Ok(Ok(None)) => {
                let tries = line.spoilt.entry(number).or_default();
                *tries += 1;
                tracing::warn!("segment {number} of '{}' came damaged", self.name);
                if *tries < TRIES {
                    return;
                }
                let reason = format!("segment {number} comes damaged from {}", self.address);
                Err(Missing::Later(reason))
            }
            Ok(Err(error)) => Err(Missing::Later(format!("no room for a segment: {error}"))),
            Err(_) => Err(Missing::Later("a segment could not be kept".to_owned())),
        };
        self.answer(number, &answer);
    }

    /// Gives those who wait for a segment what came of it.
    fn answer(&self, number: u64, answer: &Result<Arc<Piece>, Missing>) {
        let mut wanted = lock(&self.wanted);
        wanted.order.retain(|there| *there != number);
        let seats = wanted.seats.remove(&number).unwrap_or_default();
        drop(wanted);
        for seat in seats {
            // Who does not wait any more needs no answer.
            let _ = seat.send(answer.clone());
        }
    }

    /// Waits for a segment that is being fetched, or is to be.
    async fn fetch(&self, number: u64) -> Result<Arc<Piece>, Missing> {
        let (seat, coming) = oneshot::channel();
        {
            let mut wanted = lock(&self.wanted);
            if !wanted.seats.contains_key(&number) {
                if wanted.order.len() >= WANTED {
                    return Err(Missing::Later("too many segments are wanted".to_owned()));
                }
                wanted.order.push_back(number);
            }
            wanted.seats.entry(number).or_default().push(seat);
        }
        self.work.notify_one();
        let away = || {
            let away = format!("segment {number} is not here, and {} is away", self.address);
            Err(Missing::Later(away))
        };
        match timeout(PATIENCE, coming).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => away(),
        }
    }

    /// Makes the index known: from what is kept, or from the origin.
    async fn know(&self) -> Result<(), Missing> {
        let id = self.id();
        let known = self.index.borrow().clone().filter(|index| index.id == id && index.finished);
        let keep = self.keep.clone();
        let kept = tokio::task::spawn_blocking(move || {
            let kept = keep.index(id);
            // It may have made room meanwhile: segments that come without it would be nameless.
            if let (None, Some(known)) = (&kept, &known) {
                keep.put_index(known);
                return Some((**known).clone());
            }
            kept
        });
        let kept = kept.await.ok().flatten();
        if let Some(kept) = kept.filter(|kept| kept.finished && kept.id == id) {
            self.publish(&Arc::new(kept));
            return Ok(());
        }
        lock(&self.wanted).index = true;
        self.work.notify_one();
        let mut index = self.index.subscribe();
        let known =
            index.wait_for(|index| index.as_ref().is_some_and(|index| index.id == self.id()));
        match timeout(PATIENCE, known).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Missing::Later(format!(
                "nothing of '{}' is here, and {} is away",
                self.name, self.address
            ))),
        }
    }
}

impl Recording for Remote {
    fn info(&self) -> Option<RecordingInfo> {
        Some(*lock(&self.recording))
    }

    fn index(&self) -> watch::Receiver<Option<Arc<Index>>> {
        self.index.subscribe()
    }

    fn open(&self) -> Pin<Box<dyn Future<Output = Result<(), Missing>> + Send + '_>> {
        Box::pin(self.know())
    }

    fn attend(&self) -> Box<dyn Send + Sync> {
        self.keep.hold(self.id())
    }

    fn segment(&self, number: u64) -> Answer<'_> {
        Box::pin(async move {
            let id = self.id();
            let line = self.index.borrow().as_ref().and_then(|index| {
                let place = usize::try_from(number.checked_sub(index.first)?).ok()?;
                index.segments.get(place).filter(|_| number >= index.oldest).copied()
            });
            if line.is_none() {
                return Err(Missing::Gone(format!("there is no segment {number}")));
            }
            let keep = self.keep.clone();
            let kept = tokio::task::spawn_blocking(move || keep.segment(id, number)).await;
            match kept.ok().flatten() {
                Some(piece) => Ok(piece),
                None => self.fetch(number).await,
            }
        })
    }

    fn poster(&self) -> Coming<'_, Bytes> {
        Box::pin(self.picture())
    }

    fn subtitles(&self) -> Coming<'_, Result<Vec<SubtitleTrack>, Missing>> {
        Box::pin(self.list_subtitles())
    }

    fn subtitle(&self, key: u64) -> Coming<'_, Result<Bytes, Missing>> {
        Box::pin(self.subtitle_text(key))
    }
}
