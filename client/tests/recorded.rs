//! Recordings, against a node that has one and sometimes fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::cue::Cue;
use client::session::{Command, Config, Event, Patience, SessionError, Sink, run};
use client::timeline::Schedule;
use proto::conn::{Reader, Writer, now};
use proto::message::{Catalog, Pong, Welcome};
use proto::recording::{Digest, Index, NoSegment, RecordingId, Segment, SegmentInfo};
use proto::stream::{Audio, AudioCodec, Media, Video, VideoCodec};
use proto::{Message, Packet, PacketHeader, Role, StreamDescription, Track};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;

/// Nothing here takes that long unless it hangs.
const HANGS: Duration = Duration::from_secs(60);
/// Pictures in a segment, 40 ms each, and as many pieces of sound. Every fifth picture is a key frame.
const PICTURES: u64 = 10;
const SEGMENT_US: i64 = PICTURES as i64 * 40_000;

fn description() -> StreamDescription {
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

/// Sequence numbers are even for pictures, odd for the sound at the same time.
fn packet(sequence: u64) -> Packet {
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

fn segment(number: u64) -> Vec<u8> {
    let from = number * 2 * PICTURES;
    (from..from + 2 * PICTURES).flat_map(|s| Message::Packet(packet(s)).encode().to_vec()).collect()
}

fn index(id: u8, first: u64, count: u64, finished: bool) -> Index {
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
enum Answer {
    Whole,
    Damaged,
    CutIn,
    Later,
    Gone,
}

/// What the node has and does; shared with the test.
struct Node {
    /// What is told, whole, to whoever opens, and when it changes.
    index: watch::Sender<Index>,
    /// How the nth fetch of a segment is answered, n from 0.
    answer: Box<dyn Fn(u64, usize) -> Answer + Send + Sync>,
    /// Every segment asked for, in order.
    asked: Mutex<Vec<u64>>,
    opened: AtomicUsize,
}

impl Node {
    fn new(
        index: Index,
        answer: impl Fn(u64, usize) -> Answer + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            index: watch::Sender::new(index),
            answer: Box::new(answer),
            asked: Mutex::default(),
            opened: AtomicUsize::new(0),
        })
    }

    async fn listen(self: &Arc<Self>) -> String {
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
            control(reader, writer).await
        } else {
            self.view(reader, writer).await
        }
    }

    async fn view(
        &self,
        mut reader: Reader<OwnedReadHalf>,
        mut writer: Writer<OwnedWriteHalf>,
    ) -> Option<()> {
        let message = reader.read().await.ok()?;
        assert!(matches!(message, Message::Open(_) | Message::Subscribe(_)), "{message:?}");
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

    fn times_asked(&self, number: u64) -> usize {
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

async fn control(
    mut reader: Reader<OwnedReadHalf>,
    mut writer: Writer<OwnedWriteHalf>,
) -> Option<()> {
    loop {
        let answer = match reader.read().await.ok()? {
            Message::Ping(ping) => {
                let at = now();
                Message::Pong(Pong { ping_sent_us: ping.sent_us, received_us: at, sent_us: at })
            }
            _ => Message::Catalog(Catalog { streams: Vec::new() }),
        };
        writer.write(&answer).await.ok()?;
    }
}

struct Collector(mpsc::UnboundedSender<Event>);

impl Sink for Collector {
    fn event(&mut self, event: Event) {
        let _ = self.0.send(event);
    }
    fn clock_error_us(&mut self, _: f64) {}
    fn shows_still(&self) -> bool {
        false
    }
}

struct Viewer {
    events: mpsc::UnboundedReceiver<Event>,
    remote: mpsc::Sender<Command>,
    outcome: tokio::task::JoinHandle<Result<(), SessionError>>,
}

async fn watch(node: &Arc<Node>, start_us: Option<i64>) -> Viewer {
    let (to_test, events) = mpsc::unbounded_channel();
    let (remote, mut commands) = mpsc::channel(8);
    let config = Config {
        address: node.listen().await,
        stream: Some("film".into()),
        buffer_us: 250_000,
        start_us,
        ahead_us: 30_000_000,
        schedule: Arc::new(Schedule::default()),
        patience: Patience {
            first_wait: Duration::from_millis(5),
            longest_wait: Duration::from_millis(20),
            ..Patience::default()
        },
    };
    let outcome = tokio::spawn(async move {
        run(&config, &mut Collector(to_test), &mut commands, Arc::new(Notify::new())).await
    });
    Viewer { events, remote, outcome }
}

impl Viewer {
    async fn event(&mut self) -> Option<Event> {
        timeout(HANGS, self.events.recv()).await.expect("an event in time")
    }

    /// Sequence numbers of the packets up to the end, and everything else that was said.
    async fn rest_of_it(&mut self) -> (Vec<u64>, Vec<Event>) {
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
    async fn played(&mut self, count: usize) -> (Cue, Vec<u64>) {
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

    async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        loop {
            let event = self.event().await.expect("goes on");
            if wanted(&event) {
                return event;
            }
        }
    }
}

fn words(events: &[Event]) -> Vec<&str> {
    let mut words = Vec::new();
    for event in events {
        if let Event::Word(word) = event {
            words.push(word.as_str());
        }
    }
    words
}

#[tokio::test]
async fn a_recording_plays_to_its_end() {
    let node = Node::new(index(1, 0, 3, true), |_, _| Answer::Whole);
    let mut viewer = watch(&node, None).await;
    let (packets, rest) = viewer.rest_of_it().await;
    assert_eq!(packets, (0..3 * 2 * PICTURES).collect::<Vec<_>>());
    assert!(matches!(rest.last(), Some(Event::Ended)), "{rest:?}");
    assert!(rest.iter().any(|event| matches!(event, Event::AllFed)));
    assert!(words(&rest).is_empty());
    assert!(viewer.outcome.await.expect("does not panic").is_ok());
    assert_eq!(*node.asked.lock().expect("not poisoned"), [0, 1, 2]);
}

#[tokio::test]
async fn a_seek_feeds_from_the_key_frame_before() {
    let node = Node::new(index(1, 0, 500, true), |_, _| Answer::Whole);
    let mut viewer = watch(&node, Some(100 * SEGMENT_US + 290_000)).await;
    // Picture 1007 is wanted, 1005 is the key frame before it. Sound runs up from 300 ms before.
    let (cue, packets) = viewer.played(20).await;
    assert_eq!((cue.position_us, cue.rate), (100 * SEGMENT_US + 290_000, 1.0));
    let (pictures, sound): (Vec<u64>, Vec<u64>) = packets.iter().partition(|n| *n % 2 == 0);
    assert_eq!(pictures[..3], [2010, 2012, 2014]);
    assert_eq!(sound[..3], [2001, 2003, 2005]);
    assert!(!node.asked.lock().expect("not poisoned").contains(&0), "from there on alone");

    viewer.remote.send(Command::Skip(20_000_000)).await.expect("listens");
    let landed = viewer.until(|event| matches!(event, Event::Cue(c) if c.rate == 1.0)).await;
    let Event::Cue(landed) = landed else { panic!("{landed:?}") };
    let by_us = landed.position_us - cue.position_us;
    assert!((20_000_000..25_000_000).contains(&by_us), "{by_us}");
    assert!(landed.number > cue.number);
    let Some(Event::Packet(first, _)) = viewer.event().await else { panic!("no packet") };
    let before_us = landed.position_us - first.header.pts_us;
    assert!((0..=SEGMENT_US).contains(&before_us), "{before_us}");
}

#[tokio::test]
async fn a_pause_stands_and_goes_on_where_it_was_and_the_speed_is_kept() {
    let node = Node::new(index(1, 0, 500, true), |_, _| Answer::Whole);
    let mut viewer = watch(&node, None).await;
    viewer.played(1).await;
    viewer.remote.send(Command::Faster).await.expect("listens");
    viewer.until(|event| matches!(event, Event::Cue(c) if c.rate == 1.25)).await;
    viewer.remote.send(Command::Pause).await.expect("listens");
    let paused = viewer.until(|event| matches!(event, Event::Cue(c) if c.stands())).await;
    viewer.until(|event| matches!(event, Event::Progress(p) if p.paused)).await;
    viewer.remote.send(Command::Pause).await.expect("listens");
    let again = viewer.until(|event| matches!(event, Event::Cue(_))).await;
    let (Event::Cue(paused), Event::Cue(again)) = (paused, again) else { panic!("no cues") };
    assert_eq!((paused.position_us, again.rate), (again.position_us, 1.25));
}

#[tokio::test]
async fn a_damaged_segment_is_fetched_again_and_one_that_stays_so_is_left_out() {
    let node = Node::new(index(1, 0, 4, true), |number, times| match number {
        1 if times < 2 => Answer::Damaged,
        2 => Answer::Damaged,
        _ => Answer::Whole,
    });
    let mut viewer = watch(&node, None).await;
    let (mut packets, rest) = viewer.rest_of_it().await;
    // What follows the hole is fed again when the hole is jumped over.
    packets.sort_unstable();
    packets.dedup();
    let expected: Vec<u64> = (0..4 * 2 * PICTURES).filter(|n| n / (2 * PICTURES) != 2).collect();
    assert_eq!(packets, expected);
    assert_eq!((node.times_asked(1), node.times_asked(2)), (3, 4));
    assert!(rest.iter().any(|event| matches!(event, Event::Gap(_))));
    assert_eq!(words(&rest).len(), 1, "{rest:?}");
    assert_eq!(node.opened.load(Ordering::SeqCst), 1, "on the same connection");
}

#[tokio::test]
async fn a_connection_cut_within_a_segment_is_made_again_and_nothing_is_lost() {
    let node = Node::new(index(1, 0, 4, true), |number, times| {
        if number == 1 && times == 0 { Answer::CutIn } else { Answer::Whole }
    });
    let mut viewer = watch(&node, None).await;
    let (packets, rest) = viewer.rest_of_it().await;
    let mut once = packets.clone();
    once.dedup();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once, (0..4 * 2 * PICTURES).collect::<Vec<_>>());
    assert_eq!(node.opened.load(Ordering::SeqCst), 2);
    assert_eq!(rest.iter().filter(|event| matches!(event, Event::Lost(_))).count(), 1);
    assert!(matches!(rest.last(), Some(Event::Ended)));
}

#[tokio::test]
async fn what_cannot_be_had_now_is_asked_for_again_and_said_once() {
    let node = Node::new(index(1, 0, 3, true), |number, times| match number {
        1 if times < 2 => Answer::Later,
        2 => Answer::Gone,
        _ => Answer::Whole,
    });
    let mut viewer = watch(&node, None).await;
    let (packets, rest) = viewer.rest_of_it().await;
    assert!(packets.contains(&(2 * PICTURES)) && !packets.contains(&(4 * PICTURES)));
    let said = words(&rest);
    assert_eq!(said.iter().filter(|word| word.contains("trying again")).count(), 1, "{said:?}");
    assert_eq!(said.iter().filter(|word| word.contains("left out")).count(), 1, "{said:?}");
}

#[tokio::test]
async fn a_growing_recording_waits_at_its_end_and_goes_on() {
    let node = Node::new(index(1, 0, 4, false), |_, _| Answer::Whole);
    let mut viewer = watch(&node, None).await;
    let waits = |event: &Event| matches!(event, Event::Buffering(why) if why.contains("recorded"));
    viewer.until(waits).await;
    node.index.send_replace(index(1, 0, 8, true));
    let (packets, rest) = viewer.rest_of_it().await;
    assert_eq!(packets.last(), Some(&(8 * 2 * PICTURES - 1)));
    assert!(rest.iter().any(|event| matches!(event, Event::Resumed)), "{rest:?}");
    assert_eq!(node.times_asked(0), 1, "what was here is not fetched again");
}

#[tokio::test]
async fn another_recording_under_the_name_goes_on_at_the_same_time() {
    let node = Node::new(index(1, 0, 500, true), |_, _| Answer::Whole);
    let mut viewer = watch(&node, Some(50_000_000)).await;
    viewer.played(1).await;
    node.index.send_replace(index(2, 0, 500, true));
    viewer.until(|event| matches!(event, Event::Word(word) if word.contains("changed"))).await;
    viewer.until(|event| matches!(event, Event::Open(d) if d.run == 2)).await;
    let (cue, _) = viewer.played(1).await;
    assert!((50_000_000..60_000_000).contains(&cue.position_us), "{cue:?}");
}
