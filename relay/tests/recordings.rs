//! Recordings on real sockets: the index, segments on demand, changes, and viewers that misbehave.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use common::{Running, VIDEO, make, packet, read, tracks, until, within};
use proto::dial::Dialled;
use proto::message::Subscribe;
use proto::recording::{
    Digest, Fetch, Index, Open, PosterWanted, RecordingId, RecordingInfo, SegmentInfo,
};
use proto::subtitle::{SubtitleTrack, SubtitleWanted, SubtitlesWanted};
use proto::{CloseCode, Message, Packet, Role, StreamDescription, limits};
use relay::recording::Coming;
use relay::{Limits, Missing, Piece, Recording};
use tokio::sync::watch;

/// A recording in memory: segment `n` holds `n + 1` pictures.
pub(crate) struct Tape {
    index: watch::Sender<Option<Arc<Index>>>,
    pieces: Mutex<Vec<Arc<Piece>>>,
    asked: AtomicUsize,
}

const ID: RecordingId = RecordingId(*b"one of the tapes");
const SEGMENT_US: i64 = 400_000;

fn pictures(number: u64) -> Vec<Packet> {
    let at = |i: u64| number as i64 * SEGMENT_US + i as i64 * 40_000;
    (0..=number).map(|i| make(VIDEO, i == 0, at(i), 20_000)).collect()
}

fn encoded(packets: &[Packet]) -> Bytes {
    let mut to = BytesMut::new();
    packets.iter().for_each(|packet| Message::Packet(packet.clone()).encode_into(&mut to));
    to.freeze()
}

impl Tape {
    fn new(segments: u64) -> Arc<Self> {
        let tape = Arc::new(Self {
            index: watch::Sender::new(None),
            pieces: Mutex::default(),
            asked: AtomicUsize::new(0),
        });
        tape.record(ID, segments, true);
        tape
    }

    /// All of it anew, with so many segments.
    fn record(&self, id: RecordingId, segments: u64, finished: bool) {
        let pieces: Vec<Arc<Piece>> = (0..segments)
            .map(|n| Arc::new(Piece::in_memory(encoded(&pictures(n))).expect("memory")))
            .collect();
        let line = |(n, piece): (usize, &Arc<Piece>)| SegmentInfo {
            start_us: n as i64 * SEGMENT_US,
            duration_us: SEGMENT_US as u32,
            bytes: piece.bytes(),
            key: true,
        };
        let index = Index {
            id,
            description: StreamDescription {
                name: "tape".into(),
                title: String::new(),
                live: false,
                run: 1,
                duration_us: Some(segments * SEGMENT_US as u64),
                tracks: tracks(),
            },
            oldest: 0,
            first: 0,
            segments: pieces.iter().enumerate().map(line).collect(),
            finished,
        };
        *self.pieces.lock().expect("lock") = pieces;
        self.index.send_replace(Some(Arc::new(index)));
    }
}

impl Recording for Tape {
    fn info(&self) -> Option<RecordingInfo> {
        let index = self.index.borrow().clone()?;
        Some(RecordingInfo {
            id: index.id,
            duration_us: index.segments.len() as u64 * SEGMENT_US as u64,
            bytes: index.segments.iter().map(|s| u64::from(s.bytes)).sum(),
            growing: !index.finished,
            poster: true,
        })
    }

    fn index(&self) -> watch::Receiver<Option<Arc<Index>>> {
        self.index.subscribe()
    }

    fn segment(&self, number: u64) -> relay::recording::Answer<'_> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let piece = self.pieces.lock().expect("lock").get(number as usize).cloned();
        Box::pin(std::future::ready(piece.ok_or(Missing::Gone("past the end".into()))))
    }

    fn poster(&self) -> std::pin::Pin<Box<dyn Future<Output = Bytes> + Send + '_>> {
        Box::pin(std::future::ready(Bytes::from_static(&[0xff, 0xd8, 0xff])))
    }

    fn subtitles(&self) -> Coming<'_, Result<Vec<SubtitleTrack>, Missing>> {
        let (language, title) = ("de".to_owned(), "für alle".to_owned());
        Box::pin(std::future::ready(Ok(vec![SubtitleTrack { key: 7, language, title }])))
    }

    fn subtitle(&self, key: u64) -> Coming<'_, Result<Bytes, Missing>> {
        let text = match key {
            7 => Ok(Bytes::from_static(b"WEBVTT\n")),
            8 => Err(Missing::Later("it is being read".into())),
            _ => Err(Missing::Gone("there is no such".into())),
        };
        Box::pin(std::future::ready(text))
    }
}

/// As a tape, but no segment ever comes.
struct Slow(Arc<Tape>);

impl Recording for Slow {
    fn info(&self) -> Option<RecordingInfo> {
        self.0.info()
    }

    fn index(&self) -> watch::Receiver<Option<Arc<Index>>> {
        self.0.index()
    }

    fn segment(&self, _: u64) -> relay::recording::Answer<'_> {
        Box::pin(std::future::pending())
    }
}

/// A node with a tape of so many segments.
async fn node_with(segments: u64) -> (Running, relay::Source, Arc<Tape>) {
    let node = Running::start(Limits::default(), None).await;
    let source = node.node.add_stream("tape", "A tape", false).expect("stream");
    let tape = Tape::new(segments);
    source.set_recording(Some(tape.clone()));
    (node, source, tape)
}

async fn say(viewer: &mut Dialled, message: Message) {
    within(viewer.writer.write(&message)).await.expect("write");
}

async fn open(node: &Running) -> (Dialled, Index) {
    let mut viewer = node.connect(Role::View).await;
    say(&mut viewer, Message::Open(Open { stream: Some("tape".into()) })).await;
    let Message::Index(index) = read(&mut viewer).await.expect("an index") else { panic!() };
    (viewer, index)
}

/// Reads a segment that was asked for: its number and packets, which are what the digest says.
async fn segment(viewer: &mut Dialled) -> (u64, Vec<Packet>) {
    let Message::Segment(head) = read(viewer).await.expect("a segment") else { panic!() };
    let (mut packets, mut words) = (Vec::new(), Vec::new());
    while encoded(&packets).len() < head.bytes as usize {
        packets.push(packet(viewer, &mut words).await);
    }
    assert!(words.is_empty(), "nothing stands between: {words:?}");
    assert_eq!(Digest::of(&encoded(&packets)), head.digest);
    (head.number, packets)
}

fn payloads(packets: &[Packet]) -> Vec<(i64, Bytes)> {
    packets.iter().map(|packet| (packet.header.pts_us, packet.payload.clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_come_in_the_order_they_are_asked_for() {
    let (node, _source, tape) = node_with(5).await;
    let (mut viewer, index) = open(&node).await;
    assert_eq!((index.id, index.segments.len(), index.finished), (ID, 5, true));
    for number in [3, 0, 4] {
        say(&mut viewer, Message::Fetch(Fetch { id: ID, segment: number })).await;
    }
    for number in [3, 0, 4] {
        let (got, packets) = segment(&mut viewer).await;
        assert_eq!(got, number);
        assert_eq!(payloads(&packets), payloads(&pictures(number)));
    }
    assert_eq!(tape.asked.load(Ordering::Relaxed), 3, "nothing is made that nobody asked for");
    say(&mut viewer, Message::Unsubscribe).await;
    assert_eq!(read(&mut viewer).await.expect("the end"), Message::End);
    // The connection may be used again, and a stream that is only recorded is subscribed to as well.
    let subscribe = Subscribe { stream: None, buffer_us: 0 };
    say(&mut viewer, Message::Subscribe(subscribe)).await;
    assert_eq!(read(&mut viewer).await.expect("an index"), Message::Index(index));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_had_is_said_and_the_rest_goes_on() {
    let (node, _source, _tape) = node_with(2).await;
    let (mut viewer, _) = open(&node).await;
    let other = RecordingId([7; 16]);
    for (id, number) in [(ID, 9), (other, 0), (ID, 1)] {
        say(&mut viewer, Message::Fetch(Fetch { id, segment: number })).await;
    }
    for (number, word) in [(9, "end"), (0, "changed")] {
        let Message::NoSegment(no) = read(&mut viewer).await.expect("an answer") else { panic!() };
        assert_eq!((no.number, no.later), (number, false));
        assert!(no.reason.contains(word), "{}", no.reason);
    }
    assert_eq!(segment(&mut viewer).await.0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_grows_is_told_and_what_changes_is_told_whole() {
    let (node, _source, tape) = node_with(2).await;
    let (mut viewer, _) = open(&node).await;
    tape.record(ID, 4, false);
    let Message::Index(grown) = until(&mut viewer, "Index").await else { panic!() };
    assert_eq!((grown.first, grown.segments.len(), grown.finished), (2, 2, false));
    let other = RecordingId([7; 16]);
    tape.record(other, 3, true);
    let Message::Index(new) = until(&mut viewer, "Index").await else { panic!() };
    assert_eq!((new.id, new.first, new.segments.len()), (other, 0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_says_what_can_be_watched_and_shows_a_poster() {
    let (node, source, _tape) = node_with(3).await;
    let live = node.node.add_stream("live", "", true).expect("stream");
    let mut control = node.connect(Role::Control).await;
    say(&mut control, Message::List(proto::message::List { follow: false })).await;
    let Message::Catalog(catalog) = read(&mut control).await.expect("a catalogue") else {
        panic!()
    };
    let length: Vec<_> =
        catalog.streams.iter().map(|s| s.recording.map(|r| (r.id, r.duration_us))).collect();
    assert_eq!(length, [None, Some((ID, 3 * SEGMENT_US as u64))]);
    for (stream, bytes) in [("tape", 3), ("live", 0), ("nothing", 0)] {
        let wanted = PosterWanted { stream: stream.into() };
        say(&mut control, Message::PosterWanted(wanted)).await;
        let Message::Poster(poster) = read(&mut control).await.expect("a poster") else { panic!() };
        assert_eq!((poster.stream.as_str(), poster.jpeg.len()), (stream, bytes));
    }
    for (stream, count) in [("tape", 1), ("live", 0), ("nothing", 0)] {
        let wanted = SubtitlesWanted { stream: stream.into() };
        say(&mut control, Message::SubtitlesWanted(wanted)).await;
        let Message::Subtitles(told) = read(&mut control).await.expect("an answer") else {
            panic!()
        };
        assert_eq!((told.stream.as_str(), told.tracks.len(), told.later), (stream, count, false));
    }
    for (key, bytes, later) in [(7, 7, false), (8, 0, true), (9, 0, false)] {
        let wanted = SubtitleWanted { stream: "tape".into(), key };
        say(&mut control, Message::SubtitleWanted(wanted)).await;
        let Message::Subtitle(told) = read(&mut control).await.expect("an answer") else {
            panic!()
        };
        assert_eq!((told.key, told.vtt.len(), told.later), (key, bytes, later));
    }
    // Viewers of a recording are viewers.
    let (viewer, _) = open(&node).await;
    let mut viewers = source.viewers();
    within(viewers.wait_for(|n| *n == 1)).await.expect("counted");
    drop(viewer);
    within(viewers.wait_for(|n| *n == 0)).await.expect("counted");
    drop(live);
}

async fn closed(viewer: &mut Dialled) -> CloseCode {
    loop {
        match read(viewer).await {
            Ok(_) => {}
            Err(proto::conn::ConnError::Closed { code: Some(code), .. }) => return code,
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_too_much_or_for_nothing_recorded_is_closed() {
    let (node, _source, _tape) = node_with(1).await;
    let _live = node.node.add_stream("live", "", true).expect("stream");
    let mut viewer = node.connect(Role::View).await;
    say(&mut viewer, Message::Open(Open { stream: Some("live".into()) })).await;
    assert_eq!(closed(&mut viewer).await, CloseCode::NoSuchStream);

    let source = node.node.add_stream("never", "", false).expect("stream");
    source.set_recording(Some(Arc::new(Slow(Tape::new(1)))));
    let mut greedy = node.connect(Role::View).await;
    say(&mut greedy, Message::Open(Open { stream: Some("never".into()) })).await;
    for _ in 0..=limits::FETCHES {
        say(&mut greedy, Message::Fetch(Fetch { id: ID, segment: 0 })).await;
    }
    assert_eq!(closed(&mut greedy).await, CloseCode::OutOfOrder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_takes_nothing_is_closed_and_nobody_else_notices() {
    let limits = Limits { stall: Duration::from_millis(300), ..Limits::default() };
    let node = Running::start(limits, None).await;
    let source = node.node.add_stream("tape", "", false).expect("stream");
    source.set_recording(Some(Tape::new(200)));
    let (mut stalled, _) = open(&node).await;
    for segment in 190..198 {
        say(&mut stalled, Message::Fetch(Fetch { id: ID, segment })).await;
    }
    let mut viewers = source.viewers();
    within(viewers.wait_for(|n| *n == 1)).await.expect("counted");
    let (mut other, _) = open(&node).await;
    within(viewers.wait_for(|n| *n == 1)).await.expect("the stalled one is gone");
    say(&mut other, Message::Fetch(Fetch { id: ID, segment: 199 })).await;
    assert_eq!(segment(&mut other).await.1.len(), 200);
}

/// A relay of `origin`, and its task.
async fn relay_of(origin: &str) -> Running {
    let relay = Running::start(Limits::default(), None).await;
    let (node, address) = (relay.node.clone(), origin.to_owned());
    tokio::spawn(async move { node.pull(&address).await });
    let offered = relay.node.clone();
    common::eventually("the origin's recording", || {
        offered.catalogue().iter().any(|info| info.recording.is_some())
    })
    .await;
    relay
}

#[tokio::test(flavor = "multi_thread")]
async fn what_many_viewers_of_a_relay_want_is_asked_for_once() {
    let (origin, _source, tape) = node_with(12).await;
    let first = relay_of(&origin.address).await;
    let second = relay_of(&first.address).await;
    let viewers = (0..20u64).map(|viewer| {
        let address = second.address.clone();
        tokio::spawn(async move {
            let mut connection =
                proto::dial::dial(&address, Role::View, None, "viewer").await.expect("dial");
            let open = Open { stream: Some("tape".into()) };
            say(&mut connection, Message::Open(open)).await;
            let Message::Index(index) = read(&mut connection).await.expect("index") else {
                panic!()
            };
            assert_eq!(index.segments.len(), 12);
            for i in 0..12 {
                let number = (i + viewer) % 12;
                say(&mut connection, Message::Fetch(Fetch { id: ID, segment: number })).await;
                let (got, packets) = segment(&mut connection).await;
                assert_eq!(got, number);
                assert_eq!(payloads(&packets), payloads(&pictures(number)));
            }
        })
    });
    for viewer in viewers.collect::<Vec<_>>() {
        within(viewer).await.expect("a viewer");
    }
    assert_eq!(tape.asked.load(Ordering::Relaxed), 12, "each segment once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_relay_has_is_served_when_the_origin_is_gone_and_the_rest_when_it_is_back() {
    let (origin, _source, _tape) = node_with(4).await;
    let relay = relay_of(&origin.address).await;
    let (mut viewer, _) = open(&relay).await;
    say(&mut viewer, Message::Fetch(Fetch { id: ID, segment: 2 })).await;
    assert_eq!(segment(&mut viewer).await.0, 2);

    let at = origin.address.parse().expect("address");
    origin.stop().await;
    say(&mut viewer, Message::Fetch(Fetch { id: ID, segment: 2 })).await;
    assert_eq!(segment(&mut viewer).await.0, 2);
    let (mut late, index) = open(&relay).await;
    assert_eq!(index.segments.len(), 4);
    say(&mut late, Message::Fetch(Fetch { id: ID, segment: 3 })).await;

    let back = Running::start_at(at, Limits::default(), None).await;
    let source = back.node.add_stream("tape", "", false).expect("stream");
    source.set_recording(Some(Tape::new(4)));
    assert_eq!(segment(&mut late).await.0, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_changed_at_the_origin_is_fetched_anew() {
    let (origin, source, tape) = node_with(3).await;
    let relay = relay_of(&origin.address).await;
    let (mut viewer, _) = open(&relay).await;
    say(&mut viewer, Message::Fetch(Fetch { id: ID, segment: 1 })).await;
    assert_eq!(segment(&mut viewer).await.0, 1);
    let other = RecordingId([9; 16]);
    tape.record(other, 2, true);
    source.set_recording(Some(tape.clone()));
    let Message::Index(new) = until(&mut viewer, "Index").await else { panic!() };
    assert_eq!((new.id, new.segments.len()), (other, 2));
    say(&mut viewer, Message::Fetch(Fetch { id: other, segment: 1 })).await;
    assert_eq!(segment(&mut viewer).await.0, 1);
    assert_eq!(tape.asked.load(Ordering::Relaxed), 2, "what was kept is of another recording");
}

/// A node that keeps the tail of live streams in memory.
async fn node_with_tail(length: Duration, record: bool) -> Running {
    let rewind = Some(relay::Rewind { length, record });
    Running::start_with(Limits::default(), rewind).await
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_go_back_in_a_live_stream_while_others_stay_live() {
    let node = node_with_tail(Duration::from_secs(3_600), false).await;
    let source = node.node.add_stream("tape", "", true).expect("stream");
    let mut writer = source.start(tracks(), None).expect("run");
    let mut live = node.watch("tape", 0).await;
    // GOPs of 0.4 s; the log starts a segment at a key frame after a second.
    let mut written = 0;
    let catalogue = node.node.clone();
    while catalogue.catalogue()[0].recording.is_none_or(|r| r.duration_us < 800_000) {
        common::append_gops(&mut writer, written * 10, 1, 200);
        written += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(written < 1_000, "nothing is kept");
    }
    let (mut back, index) = open(&node).await;
    assert!(!index.finished && index.segments[0].key && index.segments[0].start_us == 0);
    say(&mut back, Message::Fetch(Fetch { id: index.id, segment: index.first })).await;
    let (_, packets) = segment(&mut back).await;
    assert_eq!(packets[0].header.pts_us, 0, "from the beginning");
    // What was kept is what the live viewer got, but for the stamps.
    let mut words = Vec::new();
    for kept in &packets {
        let sent = packet(&mut live, &mut words).await;
        assert_eq!((sent.header.pts_us, &sent.payload), (kept.header.pts_us, &kept.payload));
    }
    drop(writer);
    let Message::Index(last) = until(&mut back, "Index").await else { panic!() };
    assert!(last.first >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_received_though_nobody_watches_and_only_then() {
    for (keeps, wanted) in [(Some(Duration::from_secs(3_600)), 1), (None, 0)] {
        let origin = Running::start(Limits::default(), None).await;
        let live = origin.node.add_stream("tape", "", true).expect("stream");
        let mut writer = live.start(tracks(), None).expect("run");
        let rewind = keeps.map(|length| relay::Rewind { length, record: false });
        let relay = Running::start_with(Limits::default(), rewind).await;
        let (node, address) = (relay.node.clone(), origin.address.clone());
        tokio::spawn(async move { node.pull(&address).await });
        common::eventually("the origin's stream", || !relay.node.catalogue().is_empty()).await;
        let there = || relay.node.catalogue()[0].clone();
        let mut written = 0;
        // Long enough for either to show: some of it is kept, or much was written and none.
        while there().recording.is_none_or(|r| r.duration_us < 800_000) && written < 100 {
            common::append_gops(&mut writer, written * 10, 1, 200);
            written += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(there().recording.is_some(), keeps.is_some());
        assert_eq!(*live.viewers().borrow(), wanted, "whom the origin serves");
        assert_eq!(there().viewers, 0, "nobody watches");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_too_far_back_goes() {
    let node = node_with_tail(Duration::from_secs(10), false).await;
    let source = node.node.add_stream("tape", "", true).expect("stream");
    let mut writer = source.start(tracks(), None).expect("run");
    let info = || node.node.catalogue()[0].recording;
    // Descriptions part segments at once: no need to wait a second for each.
    for i in 0..12 {
        common::append_gops(&mut writer, i * 100, 10, 50);
        writer.describe(tracks()).expect("describe");
        common::eventually("the next segment", || {
            info().is_some_and(|r| r.duration_us as i64 >= (4_000_000 * (i + 1)).min(8_000_000))
        })
        .await;
    }
    // 48 s were written, 10 s and a segment stay.
    let (mut viewer, mut index) = open(&node).await;
    while index.oldest < 8 {
        let Message::Index(news) = until(&mut viewer, "Index").await else { panic!() };
        index = news;
    }
    let (mut viewer, index) = open(&node).await;
    assert_eq!(index.first, index.oldest);
    say(&mut viewer, Message::Fetch(Fetch { id: index.id, segment: 0 })).await;
    assert!(matches!(read(&mut viewer).await.expect("an answer"), Message::NoSegment(_)));
    say(&mut viewer, Message::Fetch(Fetch { id: index.id, segment: index.first })).await;
    let (_, packets) = segment(&mut viewer).await;
    assert_eq!(packets[0].header.pts_us, index.segments[0].start_us);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_stream_that_is_recorded_can_be_watched_when_it_is_over() {
    let node = node_with_tail(Duration::MAX, true).await;
    let source = node.node.add_stream("tape", "", true).expect("stream");
    let mut writer = source.start(tracks(), None).expect("run");
    common::append_gops(&mut writer, 0, 3, 200);
    drop(writer);
    let mut name = String::new();
    common::eventually("the recording", || {
        let catalogue = node.node.catalogue();
        let recorded = catalogue.iter().find(|info| info.recording.is_some() && !info.live);
        name = recorded.map(|info| info.name.clone()).unwrap_or_default();
        !name.is_empty()
    })
    .await;
    assert!(name.starts_with("tape 2"), "{name}");
    let mut viewer = node.connect(Role::View).await;
    say(&mut viewer, Message::Open(Open { stream: Some(name) })).await;
    let Message::Index(index) = read(&mut viewer).await.expect("index") else { panic!() };
    assert!(index.finished);
    let mut got = Vec::new();
    for number in 0..index.segments.len() as u64 {
        say(&mut viewer, Message::Fetch(Fetch { id: index.id, segment: number })).await;
        got.extend(segment(&mut viewer).await.1);
    }
    assert_eq!(got.iter().filter(|p| p.header.track == VIDEO).count(), 30);
    assert!(got.iter().zip(0..).all(|(p, n)| p.header.sequence == n), "nothing is missing");
}
