//! Recordings for web viewers: segments by number, muxed when they are first asked for and shared.
//!
//! A [`Movie`] is one open recording: a task that holds the connection to the node, fetches segments
//! and follows the index. What was muxed is kept on a [`Shelf`] for all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use proto::recording::{Digest, Index, RecordingId, SegmentInfo, packets};
use proto::{Message, Packet, limits as wire};
use relay::Node;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::error::Error;
use crate::form::{Form, Packager};
use crate::limits;
use crate::shelf::{Key, Shelf, What};
use crate::still::thumbnail;
use crate::viewer::Viewer;

/// Segments that may be asked of one recording and not be there yet.
const ASKED: usize = 64;

/// The recordings of a node.
#[derive(Clone)]
pub(crate) struct Movies {
    node: Node,
    open: Arc<Mutex<HashMap<String, Movie>>>,
    shelf: Arc<Mutex<Shelf>>,
    places: Arc<Semaphore>,
}

impl Movies {
    pub(crate) fn new(node: Node) -> Self {
        let shelf = Arc::new(Mutex::new(Shelf::new(limits::MOVIES)));
        let places = Arc::new(Semaphore::new(limits::STILLS));
        Self { node, open: Arc::default(), shelf, places }
    }

    /// The recording of that name with its index.
    pub(crate) async fn open(&self, name: &str) -> Result<Movie, Error> {
        let recorded = |info: &proto::StreamInfo| info.name == name && info.recording.is_some();
        if !self.node.catalogue().iter().any(recorded) {
            return Err(Error::no_such(name));
        }
        let movie = self.movie(name)?;
        let mut index = movie.index.clone();
        let late = |_| Error::Unavailable(format!("'{name}' did not open in time; try again"));
        let opened = timeout(limits::START, index.wait_for(Option::is_some)).await.map_err(late)?;
        match opened.map(|_| ()) {
            Ok(()) => Ok(movie),
            // The task is gone, and has said why.
            Err(_) => Err(movie.reason()),
        }
    }

    fn movie(&self, name: &str) -> Result<Movie, Error> {
        let mut open = self.open.lock().unwrap_or_else(|e| e.into_inner());
        open.retain(|_, movie| !movie.asks.is_closed());
        if let Some(movie) = open.get(name) {
            return Ok(movie.clone());
        }
        if open.len() >= limits::OPEN_MOVIES {
            let reason = format!("{} recordings are open, the most there may be", open.len());
            return Err(Error::Unavailable(reason));
        }
        let (asks, asked) = mpsc::channel(ASKED);
        let (told, index) = watch::channel(None);
        let ended = Arc::new(Mutex::new(None));
        let (name, shelf) = (name.to_owned(), self.shelf.clone());
        let (node, places) = (self.node.clone(), self.places.clone());
        let lead = Arc::default();
        let movie = Movie { name, asks, index, ended, shelf, node, places, lead };
        open.insert(movie.name.clone(), movie.clone());
        let (node, name, why) = (self.node.clone(), movie.name.clone(), movie.ended.clone());
        tokio::spawn(async move {
            let reason = Deck { asked, told, waiting: HashMap::new() }.run(&node, &name).await;
            tracing::debug!("web: the recording {name} is closed: {reason}");
            *why.lock().unwrap_or_else(|e| e.into_inner()) = Some(reason);
        });
        Ok(movie)
    }
}

type Answer = Result<Arc<Vec<Packet>>, Error>;
type Ask = (u64, oneshot::Sender<Answer>);

/// A recording that is open.
#[derive(Clone)]
pub(crate) struct Movie {
    name: String,
    asks: mpsc::Sender<Ask>,
    index: watch::Receiver<Option<Arc<Index>>>,
    ended: Arc<Mutex<Option<Error>>>,
    shelf: Arc<Mutex<Shelf>>,
    node: Node,
    /// For those who make small pictures.
    places: Arc<Semaphore>,
    /// See [`Movie::lead_us`].
    lead: Arc<Mutex<Option<(RecordingId, i64)>>>,
}

impl Movie {
    /// Its segments at the moment.
    pub(crate) fn index(&self) -> Result<Arc<Index>, Error> {
        self.index.borrow().clone().ok_or_else(|| self.reason())
    }

    /// Whether the name still means that recording.
    ///
    /// # Errors
    /// It does not, or cannot be read.
    pub(crate) fn is_still(&self, id: RecordingId) -> Result<(), Error> {
        if self.index()?.id == id {
            return Ok(());
        }
        Err(Error::Unavailable(format!("'{}' has changed; open it again", self.name)))
    }

    fn reason(&self) -> Error {
        let ended = self.ended.lock().unwrap_or_else(|e| e.into_inner()).clone();
        ended.unwrap_or_else(|| Error::Unavailable(format!("'{}' cannot be read now", self.name)))
    }

    /// The packets of a segment.
    async fn packets(&self, number: u64) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.asks.send((number, answer)).await.map_err(|_| self.reason())?;
        let late = |_| {
            let reason = format!("segment {number} of '{}' did not come in time", self.name);
            Error::Unavailable(reason)
        };
        let answer = timeout(limits::SEGMENT_TIME, answered).await.map_err(late)?;
        answer.map_err(|_| self.reason())?
    }

    /// What comes before all segments, and how the segments are made.
    pub(crate) async fn opening(&self, form: Form) -> Result<Opening, Error> {
        let index = self.index()?;
        let duration_us = index
            .finished
            .then(|| index.segments.iter().map(|line| u64::from(line.duration_us)).sum());
        let lead_us = self.lead_us(&index).await?;
        let packager = Packager::new(&index.description, form, lead_us, 0)?;
        Ok(Opening { header: packager.header(duration_us), lead_us, packager, index })
    }

    /// Room before time 0 for what is decoded before it is shown: as much as at the start. The same
    /// for all of a recording, or its times would jump.
    async fn lead_us(&self, index: &Index) -> Result<i64, Error> {
        let known = *self.lead.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((_, lead_us)) = known.filter(|(id, _)| *id == index.id) {
            return Ok(lead_us);
        }
        let first = self.packets(index.oldest.max(index.first)).await?;
        let ahead = |packet: &Packet| packet.header.pts_us.saturating_sub(packet.header.dts_us);
        let lead_us = first.iter().map(ahead).max().unwrap_or(0).clamp(RUN_UP_US, LONGEST_LEAD_US);
        *self.lead.lock().unwrap_or_else(|e| e.into_inner()) = Some((index.id, lead_us));
        Ok(lead_us)
    }

    /// A segment, muxed.
    pub(crate) async fn segment(&self, number: u64, form: Form) -> Result<Bytes, Error> {
        self.made(What::Fragment(form), number, async {
            let mut packager = self.opening(form).await?.packager;
            let packets = self.packets(number).await?;
            // Sound may have to be made anew, which takes a while.
            self.blocking(move || packager.segment(&packets)).await
        })
        .await
    }

    /// The pictures of a segment, where they are not in the MP4.
    pub(crate) async fn pictures(&self, number: u64, form: Form) -> Result<Bytes, Error> {
        self.made(What::Pictures(form), number, async {
            let packager = self.opening(form).await?.packager;
            let packets = self.packets(number).await?;
            self.blocking(move || packager.pictures(&packets)).await
        })
        .await
    }

    /// A small picture of where a segment begins.
    pub(crate) async fn thumbnail(&self, number: u64) -> Result<Bytes, Error> {
        self.made(What::Thumbnail, number, async {
            let index = self.index()?;
            let busy = |_| Error::Unavailable("too many pictures are asked for".to_owned());
            let place = self.places.clone().acquire_owned().await.map_err(busy)?;
            let packets = self.packets(number).await?;
            let none = || Error::Missing(format!("there is no picture in segment {number}"));
            // Who goes meanwhile does not end it: its place is free when it is done.
            let make = move || {
                let made = thumbnail(&index.description, &packets);
                drop(place);
                made
            };
            self.blocking(make).await?.ok_or_else(none)
        })
        .await
    }

    /// The text of subtitles.
    pub(crate) async fn subtitle(&self, key: u64) -> Result<Bytes, Error> {
        self.made(What::Subtitle, key, Viewer::subtitle(&self.node, &self.name, key)).await
    }

    async fn made(
        &self,
        what: What,
        number: u64,
        make: impl Future<Output = Result<Bytes, Error>>,
    ) -> Result<Bytes, Error> {
        let key = Key { id: self.index()?.id, what, number };
        let kept = self.shelf.lock().unwrap_or_else(|e| e.into_inner()).get(&key);
        if let Some(bytes) = kept {
            return Ok(bytes);
        }
        let bytes = make.await?;
        self.is_still(key.id)?;
        self.shelf.lock().unwrap_or_else(|e| e.into_inner()).put(key, bytes.clone());
        Ok(bytes)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        make: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        tokio::task::spawn_blocking(make).await.map_err(|_| self.reason())
    }
}

/// Room before time 0 that every recording has: an encoder's run-up.
const RUN_UP_US: i64 = 50_000;
/// More than any codec looks ahead.
const LONGEST_LEAD_US: i64 = 2_000_000;

/// See [`Movie::opening`].
pub(crate) struct Opening {
    pub(crate) header: Bytes,
    pub(crate) lead_us: i64,
    pub(crate) packager: Packager,
    pub(crate) index: Arc<Index>,
}

/// The line of that number.
pub(crate) fn line(index: &Index, number: u64) -> Option<&SegmentInfo> {
    let at = usize::try_from(number.checked_sub(index.first)?).ok()?;
    index.segments.get(at).filter(|_| number >= index.oldest)
}

/// Holds the connection on which a recording is read.
struct Deck {
    asked: mpsc::Receiver<Ask>,
    told: watch::Sender<Option<Arc<Index>>>,
    /// Who waits for which segment.
    waiting: HashMap<u64, Vec<oneshot::Sender<Answer>>>,
}

impl Deck {
    /// Until nobody asks any more; why it ended.
    async fn run(mut self, node: &Node, name: &str) -> Error {
        match self.read(node, name).await {
            Ok(reason) | Err(reason) => {
                let waiting = self.waiting.drain().flat_map(|(_, waiting)| waiting);
                waiting.for_each(|waiting| drop(waiting.send(Err(reason.clone()))));
                reason
            }
        }
    }

    async fn read(&mut self, node: &Node, name: &str) -> Result<Error, Error> {
        let mut viewer = Viewer::open(node, name).await?;
        // The newest segments asked for: players come back to them.
        let mut recent: Vec<(u64, Arc<Vec<Packet>>)> = Vec::new();
        let mut idle_at = Instant::now() + limits::MOVIE_LINGER;
        loop {
            let may_ask = self.told.borrow().is_some() && self.waiting.len() < wire::FETCHES;
            tokio::select! {
                ask = self.asked.recv(), if may_ask => {
                    let Some((number, answer)) = ask else { break };
                    idle_at = Instant::now() + limits::MOVIE_LINGER;
                    if let Some((_, packets)) = recent.iter().find(|(there, _)| *there == number) {
                        let _ = answer.send(Ok(packets.clone()));
                        continue;
                    }
                    self.ask(&mut viewer, number, answer).await?;
                }
                message = viewer.reader.read() => match message? {
                    Message::Index(index) if self.tell(&index) => recent.clear(),
                    Message::Segment(head) => {
                        let bytes = viewer.reader.segment(head, limits::SEGMENT_TIME).await?;
                        if Digest::of(&bytes) != head.digest {
                            return Err(Error::Unavailable("a segment is damaged".to_owned()));
                        }
                        let packets = Arc::new(packets(&bytes));
                        recent.retain(|(number, _)| *number != head.number);
                        recent.push((head.number, packets.clone()));
                        if recent.len() > 2 {
                            recent.remove(0);
                        }
                        self.answer(head.number, &Ok(packets));
                    }
                    Message::NoSegment(none) => {
                        let kind = if none.later { Error::Unavailable } else { Error::Missing };
                        self.answer(none.number, &Err(kind(none.reason)));
                    }
                    Message::End => {
                        return Err(Error::Unavailable("the recording is over".to_owned()));
                    }
                    _ => {}
                },
                () = sleep_until(idle_at), if self.waiting.is_empty() => break,
            }
        }
        Ok(Error::Unavailable("nobody watches any more".to_owned()))
    }

    async fn ask(
        &mut self,
        viewer: &mut Viewer,
        number: u64,
        answer: oneshot::Sender<Answer>,
    ) -> Result<(), Error> {
        let index = self.told.borrow().clone();
        let Some(index) = index.filter(|index| line(index, number).is_some()) else {
            let _ = answer.send(Err(Error::Missing(format!("there is no segment {number}"))));
            return Ok(());
        };
        let waiting = self.waiting.entry(number).or_default();
        waiting.push(answer);
        if waiting.len() == 1 {
            viewer.fetch(index.id, number).await?;
        }
        Ok(())
    }

    fn answer(&mut self, number: u64, answer: &Answer) {
        let waiting = self.waiting.remove(&number).unwrap_or_default();
        waiting.into_iter().for_each(|waiting| drop(waiting.send(answer.clone())));
    }

    /// Takes news of the index; whether all was replaced.
    fn tell(&mut self, news: &Index) -> bool {
        let before = self.told.borrow().clone();
        let (index, replaced) = match before {
            Some(before) if before.id == news.id => {
                let mut index = (*before).clone();
                let known = index.first + index.segments.len() as u64;
                let skip = usize::try_from(known.saturating_sub(news.first)).unwrap_or(usize::MAX);
                index.segments.extend(news.segments.iter().skip(skip).copied());
                // Only what can still be fetched is remembered.
                let gone = news.oldest.saturating_sub(index.first);
                let gone = usize::try_from(gone).unwrap_or(usize::MAX).min(index.segments.len());
                index.segments.drain(..gone);
                index.first += gone as u64;
                (index.oldest, index.finished) = (news.oldest, news.finished);
                (index, false)
            }
            _ => (news.clone(), true),
        };
        self.told.send_replace(Some(Arc::new(index)));
        replaced
    }
}
