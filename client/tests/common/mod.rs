//! A node that has a recording, and perhaps a live stream, and sometimes fails; and who watches it.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::cue::Cue;
use client::room::Seat;
use client::session::{Command, Config, Event, Patience, SessionError, Sink, run};
use client::timeline::Schedule;
use proto::conn::{Reader, Writer, now};
use proto::message::{Catalog, Pong, Welcome};
use proto::recording::{Digest, Index, NoSegment, RecordingId, Segment, SegmentInfo};
use proto::stream::{Audio, AudioCodec, Media, StreamState, Video, VideoCodec};
use proto::{CloseCode, Message, Packet, PacketHeader, Role, StreamDescription, StreamInfo, Track};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::time::timeout;

/// Nothing here takes that long unless it hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(60);
/// Pictures in a segment, 40 ms each, and as many pieces of sound. Every fifth picture is a key frame.
pub(crate) const PICTURES: u64 = 10;
pub(crate) const SEGMENT_US: i64 = PICTURES as i64 * 40_000;

pub(crate) fn description() -> StreamDescription {
    let video = Video {
        codec: VideoCodec::Mjpeg,
        width: 64,
        height: 48,
        pixel_aspect: (1, 1),
        rotation: 0,
        frame_rate: (25, 1),
    };
    let audio = Audio { codec: AudioCodec::PcmS16Le, sample_rate: 48_000, channels: 2 };
    let track = |media| Track { media, codec_config: Vec::new().into(), language: String::new() };
    StreamDescription {
        name: "film".into(),
        title: String::new(),
        live: false,
        run: 1,
        duration_us: None,
        tracks: vec![track(Media::Video(video)), track(Media::Audio(audio))],
    }
}

/// As [`description`], of a live stream.
pub(crate) fn live_description() -> StreamDescription {
    StreamDescription { live: true, ..description() }
}

/// Sequence numbers are even for pictures, odd for the sound at the same time.
pub(crate) fn packet(sequence: u64) -> Packet {
    let picture = sequence / 2;
    let pts_us = picture as i64 * 40_000;
    let sound = sequence % 2 == 1;
    let header = PacketHeader {
        track: u16::from(sound),
        key: sound || picture.is_multiple_of(5),
        sequence,
        pts_us,
        dts_us: pts_us,
        duration_us: 40_000,
        captured_at_us: proto::time::Stamp(0),
    };
    Packet { header, payload: vec![sequence as u8; 100].into() }
}

pub(crate) fn segment(number: u64) -> Vec<u8> {
    let from = number * 2 * PICTURES;
    (from..from + 2 * PICTURES).flat_map(|s| Message::Packet(packet(s)).encode().to_vec()).collect()
}

pub(crate) fn index(id: u8, first: u64, count: u64, finished: bool) -> Index {
    let info = |number: u64| SegmentInfo {
        start_us: number as i64 * SEGMENT_US,
        duration_us: SEGMENT_US as u32,
        bytes: segment(number).len() as u32,
        key: true,
    };
    Index {
        id: RecordingId([id; 16]),
        description: StreamDescription { run: u64::from(id), ..description() },
        oldest: 0,
        first,
        segments: (first..first + count).map(info).collect(),
        finished,
    }
}

/// How a node answers a fetch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Answer {
    Whole,
    Damaged,
    CutIn,
    Later,
    Gone,
}

/// What the node has and does; shared with the test.
pub(crate) struct Node {
    /// What is told, whole, to whoever opens, and when it changes.
    pub(crate) index: watch::Sender<Index>,
    /// How the nth fetch of a segment is answered, n from 0.
    answer: Box<dyn Fn(u64, usize) -> Answer + Send + Sync>,
    /// Every segment asked for, in order.
    pub(crate) asked: Mutex<Vec<u64>>,
    pub(crate) opened: AtomicUsize,
    /// How many packets of the live stream there are; 0 where there is none.
    live: u64,
    /// Whether anything is kept.
    keeps: bool,
    pub(crate) subscribed: AtomicUsize,
    /// What is said of rooms on its control connections, and told there.
    rooms: mpsc::UnboundedSender<Message>,
    pub(crate) heard: Mutex<mpsc::UnboundedReceiver<Message>>,
    pub(crate) told: broadcast::Sender<Message>,
}

impl Node {
    pub(crate) fn new(
        index: Index,
        answer: impl Fn(u64, usize) -> Answer + Send + Sync + 'static,
    ) -> Arc<Self> {
        let (rooms, heard) = mpsc::unbounded_channel();
        Arc::new(Self {
            rooms,
            heard: Mutex::new(heard),
            told: broadcast::Sender::new(64),
            index: watch::Sender::new(index),
            answer: Box::new(answer),
            asked: Mutex::default(),
            opened: AtomicUsize::new(0),
            live: 0,
            keeps: true,
            subscribed: AtomicUsize::new(0),
        })
    }

    /// A node with a live stream of so many packets by now, of which it keeps `index`.
    pub(crate) fn live(packets: u64, kept: Option<Index>) -> Arc<Self> {
        let keeps = kept.is_some();
        let mut index = kept.unwrap_or_else(|| index(1, 0, 0, false));
        index.description = live_description();
        let (rooms, heard) = mpsc::unbounded_channel();
        Arc::new(Self {
            rooms,
            heard: Mutex::new(heard),
            told: broadcast::Sender::new(64),
            index: watch::Sender::new(index),
            answer: Box::new(|_, _| Answer::Whole),
            asked: Mutex::default(),
            opened: AtomicUsize::new(0),
            live: packets,
            keeps,
            subscribed: AtomicUsize::new(0),
        })
    }

    pub(crate) async fn listen(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("has an address").to_string();
        let node = self.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let node = node.clone();
                tokio::spawn(async move { node.serve(socket).await });
            }
        });
        address
    }

    async fn serve(&self, socket: TcpStream) -> Option<()> {
        let (read, write) = socket.into_split();
        let (mut reader, mut writer) = (Reader::new(read), Writer::new(write, HANGS));
        let Message::Hello(hello) = reader.read().await.ok()? else { return None };
        let welcome = Welcome { version: 1, node: 7, agent: "fake".into() };
        writer.write(&Message::Welcome(welcome)).await.ok()?;
        if hello.role == Role::Control {
            self.control(reader, writer).await
        } else {
            self.view(reader, writer).await
        }
    }

    async fn view(
        &self,
        mut reader: Reader<OwnedReadHalf>,
        mut writer: Writer<OwnedWriteHalf>,
    ) -> Option<()> {
        match reader.read().await.ok()? {
            Message::Subscribe(_) if self.live > 0 => return self.live_view(reader, writer).await,
            Message::Open(_) if !self.keeps => {
                let close = Message::close(CloseCode::NoSuchStream, "live only");
                return writer.write(&close).await.ok();
            }
            message => {
                assert!(matches!(message, Message::Open(_) | Message::Subscribe(_)), "{message:?}");
            }
        }
        self.opened.fetch_add(1, Ordering::SeqCst);
        let mut index = self.index.subscribe();
        let mut told = index.borrow_and_update().clone();
        writer.write(&Message::Index(told.clone())).await.ok()?;
        loop {
            tokio::select! {
                message = reader.read() => {
                    let Ok(Message::Fetch(fetch)) = message else { return None };
                    if fetch.id != told.id {
                        let none = NoSegment { number: fetch.segment, later: false, reason: "changed".into() };
                        writer.write(&Message::NoSegment(none)).await.ok()?;
                        continue;
                    }
                    self.answer(&mut writer, fetch.segment).await?;
                }
                changed = index.changed() => {
                    changed.ok()?;
                    let now = index.borrow_and_update().clone();
                    let skip = if now.id == told.id { told.segments.len() } else { 0 };
                    let news = Index {
                        first: now.first + skip as u64,
                        segments: now.segments[skip..].to_vec(),
                        ..now.clone()
                    };
                    writer.write(&Message::Index(news)).await.ok()?;
                    told = now;
                }
            }
        }
    }

    /// The live stream, from its newest key frame on.
    async fn live_view(
        &self,
        mut reader: Reader<OwnedReadHalf>,
        mut writer: Writer<OwnedWriteHalf>,
    ) -> Option<()> {
        self.subscribed.fetch_add(1, Ordering::SeqCst);
        writer.write(&Message::Describe(live_description())).await.ok()?;
        for number in (self.live - 1) / 10 * 10..self.live {
            writer.write(&Message::Packet(packet(number))).await.ok()?;
        }
        while reader.read().await.is_ok() {}
        Some(())
    }

    async fn answer(&self, writer: &mut Writer<OwnedWriteHalf>, number: u64) -> Option<()> {
        let times = {
            let mut asked = self.asked.lock().expect("not poisoned");
            asked.push(number);
            asked.iter().filter(|n| **n == number).count() - 1
        };
        let mut bytes = segment(number);
        let head = Segment { number, bytes: bytes.len() as u32, digest: Digest::of(&bytes) };
        let answer = (self.answer)(number, times);
        let none = |later| NoSegment { number, later, reason: "the disk is asleep".into() };
        match answer {
            Answer::Whole => {}
            // A length among the packets: bytes that cannot even be read.
            Answer::Damaged => bytes[3] ^= 0xff,
            Answer::CutIn => bytes.truncate(bytes.len() / 2),
            Answer::Later | Answer::Gone => {
                let none = none(answer == Answer::Later);
                return writer.write(&Message::NoSegment(none)).await.ok();
            }
        }
        let mut all = Message::Segment(head).encode().to_vec();
        all.extend_from_slice(&bytes);
        writer.write_raw(&all).await?;
        (answer != Answer::CutIn).then_some(())
    }

    async fn control(
        &self,
        mut reader: Reader<OwnedReadHalf>,
        mut writer: Writer<OwnedWriteHalf>,
    ) -> Option<()> {
        let mut told = self.told.subscribe();
        loop {
            let answer = tokio::select! {
                message = reader.read() => match message.ok()? {
                    Message::Ping(ping) => {
                        let at = now();
                        Message::Pong(Pong { ping_sent_us: ping.sent_us, received_us: at, sent_us: at })
                    }
                    Message::List(_) => Message::Catalog(Catalog { streams: vec![film()] }),
                    other => {
                        self.rooms.send(other).ok()?;
                        continue;
                    }
                },
                message = told.recv() => message.ok()?,
            };
            // The test ends a connection so.
            if matches!(answer, Message::End) {
                return None;
            }
            writer.write(&answer).await.ok()?;
        }
    }

    /// The next that is said of rooms, but for reports.
    pub(crate) async fn hears(&self) -> Message {
        loop {
            let message = self.hears_all().await;
            if !matches!(message, Message::Report(_)) {
                return message;
            }
        }
    }

    /// The next that is said of rooms.
    #[expect(clippy::await_holding_lock, reason = "one test alone listens")]
    pub(crate) async fn hears_all(&self) -> Message {
        let mut heard = self.heard.lock().expect("not poisoned");
        timeout(HANGS, heard.recv()).await.expect("says something").expect("goes on")
    }

    /// Tells the viewer.
    pub(crate) fn tells(&self, message: Message) {
        self.told.send(message).expect("somebody listens");
    }

    pub(crate) fn times_asked(&self, number: u64) -> usize {
        self.asked.lock().expect("not poisoned").iter().filter(|n| **n == number).count()
    }
}

trait WriteRaw {
    async fn write_raw(&mut self, bytes: &[u8]) -> Option<()>;
}

impl WriteRaw for Writer<OwnedWriteHalf> {
    async fn write_raw(&mut self, bytes: &[u8]) -> Option<()> {
        self.get_mut().write_all(bytes).await.ok()
    }
}

fn film() -> StreamInfo {
    StreamInfo {
        name: "film".into(),
        title: String::new(),
        live: true,
        state: StreamState::Running,
        viewers: 0,
        summary: String::new(),
        path: vec![7],
        recording: None,
    }
}

/// Keeps what it is told. Shown is the last packet that came.
struct Collector {
    events: mpsc::UnboundedSender<Event>,
    shown_us: AtomicI64,
}

impl Sink for Collector {
    fn event(&mut self, event: Event) {
        if let Event::Packet(packet, _) = &event {
            self.shown_us.store(packet.header.pts_us, Ordering::Relaxed);
        }
        let _ = self.events.send(event);
    }
    fn shown_us(&self) -> Option<i64> {
        Some(self.shown_us.load(Ordering::Relaxed))
    }
    fn clock_error_us(&mut self, _: f64) {}
    fn shows_still(&self) -> bool {
        false
    }
}

pub(crate) struct Viewer {
    events: mpsc::UnboundedReceiver<Event>,
    pub(crate) remote: mpsc::Sender<Command>,
    pub(crate) outcome: tokio::task::JoinHandle<Result<(), SessionError>>,
}

pub(crate) async fn watch(node: &Arc<Node>, start_us: Option<i64>) -> Viewer {
    watch_as(node, start_us, None).await
}

pub(crate) async fn watch_as(
    node: &Arc<Node>,
    start_us: Option<i64>,
    seat: Option<Arc<Seat>>,
) -> Viewer {
    let (to_test, events) = mpsc::unbounded_channel();
    let (remote, mut commands) = mpsc::channel(8);
    let config = Config {
        address: node.listen().await,
        stream: Some("film".into()),
        buffer_us: 250_000,
        start_us,
        ahead_us: 30_000_000,
        seat,
        local: None,
        schedule: Arc::new(Schedule::default()),
        patience: Patience {
            first_wait: Duration::from_millis(5),
            longest_wait: Duration::from_millis(20),
            ..Patience::default()
        },
    };
    let mut collector = Collector { events: to_test, shown_us: AtomicI64::new(0) };
    let outcome = tokio::spawn(async move {
        run(&config, &mut collector, &mut commands, Arc::new(Notify::new())).await
    });
    Viewer { events, remote, outcome }
}

impl Viewer {
    pub(crate) async fn event(&mut self) -> Option<Event> {
        timeout(HANGS, self.events.recv()).await.expect("an event in time")
    }

    /// Sequence numbers of the packets up to the end, and everything else that was said.
    pub(crate) async fn rest_of_it(&mut self) -> (Vec<u64>, Vec<Event>) {
        let (mut packets, mut rest) = (Vec::new(), Vec::new());
        while let Some(event) = self.event().await {
            match event {
                Event::Packet(packet, _) => packets.push(packet.header.sequence),
                other => rest.push(other),
            }
        }
        (packets, rest)
    }

    /// Waits for a cue that plays; gives it and the next so many packets.
    pub(crate) async fn played(&mut self, count: usize) -> (Cue, Vec<u64>) {
        let mut cue: Option<Cue> = None;
        let mut packets = Vec::new();
        while packets.len() < count {
            match self.event().await.expect("goes on") {
                Event::Cue(next) => {
                    cue = Some(next);
                    packets.clear();
                }
                Event::Packet(packet, _) => packets.push(packet.header.sequence),
                _ => {}
            }
        }
        (cue.expect("a cue"), packets)
    }

    pub(crate) async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.event().await.expect("goes on");
            if wanted(&event) {
                return event;
            }
        }
    }
}

pub(crate) fn words(events: &[Event]) -> Vec<&str> {
    let mut words = Vec::new();
    for event in events {
        if let Event::Word(word) = event {
            words.push(word.as_str());
        }
    }
    words
}
