//! A library as its viewers get it: the catalogue, the index, segments with their digests, posters.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use library::{Library, Settings};
use media::demux::Movie;
use proto::dial::{Dialled, dial};
use proto::message::Subscribe;
use proto::recording::{Digester, Fetch, Index, Open, PosterWanted, RecordingId};
use proto::subtitle::{Subtitle, SubtitleWanted, Subtitles, SubtitlesWanted};
use proto::{Message, Packet, Role, StreamInfo};
use relay::Node;
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

mod common;

use common::PATIENCE;

const BUNNY: &str = "big-buck-bunny-480p-30s.mp4";
const BUNNY_51: &str = "big-buck-bunny-720p-5s.mp4";
const CITY: &str = "city-360p-7s-silent.mp4";

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(name)
}

/// Copies a sample; written to long ago.
fn place(name: &str, to: &Path) {
    std::fs::create_dir_all(to.parent().expect("has a folder")).expect("made");
    let beside = to.with_extension("part");
    std::fs::copy(sample(name), &beside).expect("copied");
    age(&beside, 60);
    std::fs::rename(&beside, to).expect("renamed");
}

fn age(path: &Path, seconds: u64) {
    let file = std::fs::File::options().append(true).open(path).expect("opens");
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).expect("is set");
}

/// A served library.
struct Served {
    movies: TempDir,
    work: TempDir,
    node: Node,
    address: String,
    stop: watch::Sender<bool>,
    library: Library,
}

impl Served {
    /// Of copies of samples, under names in the folder.
    async fn new(files: &[(&str, &str)]) -> Self {
        let movies = tempfile::tempdir().expect("folder");
        for (from, to) in files {
            place(from, &movies.path().join(to));
        }
        let work = tempfile::tempdir().expect("folder");
        let node = Node::new(relay::Config::default());
        let listener = relay::listen::bind("127.0.0.1:0".parse().expect("an address"));
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("is bound").to_string();
        let (stop, stopped) = watch::channel(false);
        let settings = Settings {
            folder: movies.path().to_owned(),
            work: Some(work.path().to_owned()),
            every: Duration::from_millis(20),
        };
        let library = Library::start(settings, None, &node, stopped, &Handle::current());
        let library = library.expect("starts");
        let serving = node.clone();
        tokio::spawn(async move { serving.serve(vec![listener]).await });
        Self { movies, work, node, address, stop, library }
    }

    /// Waits until the catalogue is as it should be.
    async fn catalogue(&self, is_so: impl Fn(&[StreamInfo]) -> bool) -> Vec<StreamInfo> {
        let waited = common::catalogue(&self.node, is_so).await;
        waited.unwrap_or_else(|other| panic!("still {other:?}"))
    }

    async fn viewer(&self, stream: &str) -> Viewer {
        let mut connection = dial(&self.address, Role::View, None, "test").await.expect("served");
        let open = Message::Open(Open { stream: Some(stream.to_owned()) });
        connection.writer.write(&open).await.expect("is taken");
        let index = match connection.reader.read().await.expect("answers") {
            Message::Index(index) => index,
            other => panic!("{other:?} in place of the index"),
        };
        Viewer { connection, index }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        let library = self.library;
        let ended = tokio::task::spawn_blocking(move || {
            while !library.is_finished() {
                std::thread::yield_now();
            }
        });
        timeout(PATIENCE, ended).await.expect("ends").expect("ends well");
        let left = std::fs::read_dir(self.work.path()).expect("readable").count();
        assert_eq!(left, 0, "what was converted is removed");
    }
}

struct Viewer {
    connection: Dialled,
    index: Index,
}

impl Viewer {
    async fn ask(&mut self, segment: u64) {
        let fetch = Message::Fetch(Fetch { id: self.index.id, segment });
        self.connection.writer.write(&fetch).await.expect("is taken");
    }

    /// The segment that was asked for; its digest is right.
    async fn segment(&mut self, number: u64) -> Vec<Packet> {
        let head = match self.connection.reader.read().await.expect("goes on") {
            Message::Segment(head) => head,
            other => panic!("{other:?} in place of segment {number}"),
        };
        assert_eq!(head.number, number);
        assert_eq!(head.bytes, self.index.segments[number as usize].bytes);
        let (mut digester, mut bytes) = (Digester::default(), 0);
        let mut packets = Vec::new();
        while bytes < head.bytes as usize {
            let message = self.connection.reader.read().await.expect("goes on");
            let encoded = message.encode();
            digester.update(&encoded);
            bytes += encoded.len();
            match message {
                Message::Packet(packet) => packets.push(packet),
                other => panic!("{} among packets", other.kind()),
            }
        }
        assert_eq!((bytes, digester.finish()), (head.bytes as usize, head.digest));
        packets
    }

    /// Everything, asked for ahead.
    async fn whole(&mut self) -> Vec<Packet> {
        let count = self.index.segments.len() as u64;
        let mut packets = Vec::new();
        for number in 0..count.min(4) {
            self.ask(number).await;
        }
        for number in 0..count {
            packets.extend(self.segment(number).await);
            if number + 4 < count {
                self.ask(number + 4).await;
            }
        }
        packets
    }
}

fn sequential(path: &Path) -> Vec<Packet> {
    let mut movie = Movie::open(path).expect("opens");
    let mut packets = Vec::new();
    while let Some(mut packet) = movie.next_packet().expect("readable") {
        packet.header.sequence = packets.len() as u64;
        packets.push(packet);
    }
    packets
}

fn all_known(catalogue: &[StreamInfo], count: usize) -> bool {
    let known = |stream: &StreamInfo| {
        stream.recording.is_some_and(|recording| recording.id != RecordingId::UNKNOWN)
    };
    catalogue.len() == count && catalogue.iter().all(known)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_movie_is_a_recording_and_whole() {
    let served = Served::new(&[(BUNNY, "bunny.mp4"), (CITY, "Trips/2026/city.mp4")]).await;
    let catalogue = served.catalogue(|streams| all_known(streams, 2)).await;
    let names: Vec<&str> = catalogue.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, ["Trips - 2026 - city", "bunny"]);
    assert_eq!(catalogue[0].title, "city");
    assert_eq!(catalogue[1].summary, "H.264 854x480 24 fps, AAC 48 kHz stereo");
    for (stream, file) in catalogue.iter().zip([CITY, BUNNY]) {
        assert!(!stream.live);
        let info = stream.recording.expect("is known");
        assert!(info.poster && !info.growing);
        let mut viewer = served.viewer(&stream.name).await;
        assert_eq!((viewer.index.id, viewer.index.finished), (info.id, true));
        let total: u64 = viewer.index.segments.iter().map(|line| u64::from(line.bytes)).sum();
        assert_eq!(total, info.bytes);
        assert_eq!(viewer.index.description.duration_us, Some(info.duration_us));
        assert!(viewer.whole().await == sequential(&sample(file)), "{file}");
        // A jump back, and to the middle.
        let middle = viewer.index.segments.len() as u64 / 2;
        for number in [middle, 0, middle] {
            viewer.ask(number).await;
            let first = viewer.segment(number).await[0].header;
            assert!(first.key && (number == 0) == (first.sequence == 0));
        }
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_can_be_subscribed_to_and_missed() {
    let served = Served::new(&[(CITY, "city.mp4")]).await;
    served.catalogue(|streams| all_known(streams, 1)).await;
    let mut connection = dial(&served.address, Role::View, None, "test").await.expect("served");
    let subscribe = Subscribe { stream: None, buffer_us: 0 };
    connection.writer.write(&Message::Subscribe(subscribe)).await.expect("is taken");
    let Message::Index(index) = connection.reader.read().await.expect("answers") else {
        panic!("no index");
    };
    let fetch = Fetch { id: index.id, segment: 1000 };
    connection.writer.write(&Message::Fetch(fetch)).await.expect("is taken");
    match connection.reader.read().await.expect("answers") {
        Message::NoSegment(missing) => assert!(missing.number == 1000 && !missing.later),
        other => panic!("{other:?}"),
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_goes_and_changes_is_noticed() {
    let served = Served::new(&[]).await;
    let at = |name: &str| served.movies.path().join(name);
    place(BUNNY, &at("one.mp4"));
    // One that is still being written is not offered before it rests.
    std::fs::copy(sample(CITY), at("two.mp4")).expect("copied");
    std::fs::write(at("notes.txt"), "not a movie").expect("written");
    std::fs::write(at("broken.mp4"), "not a movie").expect("written");
    let catalogue = served.catalogue(|streams| all_known(streams, 2)).await;
    let city = catalogue[1].recording.expect("is known").id;
    let mut viewer = served.viewer("one").await;
    let before = viewer.index.id;
    // Another content under the same name: who watches is told.
    place(CITY, &at("one.mp4"));
    let index = match timeout(PATIENCE, viewer.connection.reader.read()).await.expect("told") {
        Ok(Message::Index(index)) => index,
        other => panic!("{other:?}"),
    };
    assert!(index.id == city && index.id != before, "the same content, the same number");
    viewer.index = index;
    assert!(viewer.whole().await == sequential(&sample(CITY)));
    viewer
        .connection
        .writer
        .write(&Message::Fetch(Fetch { id: before, segment: 0 }))
        .await
        .expect("is taken");
    match viewer.connection.reader.read().await.expect("answers") {
        Message::NoSegment(missing) => assert!(!missing.later),
        other => panic!("{other:?}"),
    }
    std::fs::remove_file(at("two.mp4")).expect("removed");
    served.catalogue(|streams| streams.len() == 1).await;
    std::fs::rename(at("one.mp4"), at("three.mp4")).expect("renamed");
    served.catalogue(|streams| streams.len() == 1 && streams[0].name == "three").await;
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_ffmpeg_is_converted_for_who_asks() {
    let served = Served::new(&[(BUNNY_51, "bunny.mp4")]).await;
    let catalogue = served.catalogue(|streams| streams.len() == 1).await;
    assert!(catalogue[0].summary.starts_with("H.264 1280x720"), "{}", catalogue[0].summary);
    let recording = catalogue[0].recording.expect("is a recording all the same");
    assert_eq!(recording.id, RecordingId::UNKNOWN, "nobody has asked");
    let (mut first, second) = tokio::join!(served.viewer("bunny"), served.viewer("bunny"));
    assert_eq!(first.index, second.index);
    let packets = first.whole().await;
    let pictures = packets.iter().filter(|packet| packet.header.track == 0).count();
    let expected = sequential(&sample(BUNNY_51));
    assert_eq!(pictures, expected.iter().filter(|packet| packet.header.track == 0).count());
    let folder = std::fs::read_dir(served.work.path()).expect("readable").next();
    let folder = folder.expect("is there").expect("readable").path();
    assert_eq!(std::fs::read_dir(folder).expect("readable").count(), 1, "converted once");
    served.catalogue(|streams| all_known(streams, 1)).await;
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn posters_come_on_the_control_connection() {
    let served = Served::new(&[(BUNNY, "bunny.mp4"), (CITY, "city.mp4")]).await;
    served.catalogue(|streams| all_known(streams, 2)).await;
    let mut control = dial(&served.address, Role::Control, None, "test").await.expect("served");
    for stream in ["bunny", "city", "nobody"] {
        // One that takes longer than the node waits is there for who asks again.
        let mut jpeg = Vec::new();
        for _ in 0..20 {
            let wanted = PosterWanted { stream: stream.to_owned() };
            control.writer.write(&Message::PosterWanted(wanted)).await.expect("is taken");
            match control.reader.read().await.expect("answers") {
                Message::Poster(poster) => {
                    assert_eq!(poster.stream, stream);
                    jpeg = poster.jpeg.into_vec();
                }
                other => panic!("{other:?}"),
            }
            if !jpeg.is_empty() || stream == "nobody" {
                break;
            }
        }
        if stream == "nobody" {
            assert!(jpeg.is_empty());
            continue;
        }
        assert!(jpeg.len() <= proto::limits::POSTER);
        let picture = image::load_from_memory(&jpeg).expect("a picture");
        assert_eq!((picture.width(), picture.height()), (320, 180));
    }
    served.end().await;
}

/// Which subtitles a stream has.
async fn subtitles(control: &mut Dialled, stream: &str) -> Subtitles {
    let wanted = SubtitlesWanted { stream: stream.to_owned() };
    control.writer.write(&Message::SubtitlesWanted(wanted)).await.expect("is taken");
    match control.reader.read().await.expect("answers") {
        Message::Subtitles(subtitles) => subtitles,
        other => panic!("{other:?}"),
    }
}

async fn text(control: &mut Dialled, stream: &str, key: u64) -> Subtitle {
    let wanted = SubtitleWanted { stream: stream.to_owned(), key };
    control.writer.write(&Message::SubtitleWanted(wanted)).await.expect("is taken");
    match control.reader.read().await.expect("answers") {
        Message::Subtitle(subtitle) => subtitle,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subtitles_beside_a_movie_are_offered_as_they_are_now() {
    let served = Served::new(&[(CITY, "city.mp4")]).await;
    served.catalogue(|streams| all_known(streams, 1)).await;
    let mut control = dial(&served.address, Role::Control, None, "test").await.expect("served");
    assert_eq!(subtitles(&mut control, "city").await.tracks, []);
    assert_eq!(subtitles(&mut control, "nobody").await.tracks, []);
    let file = served.movies.path().join("city.de.srt");
    std::fs::write(&file, "1\n00:00:01,000 --> 00:00:02,000\nJa?\n").expect("written");
    let told = subtitles(&mut control, "city").await;
    assert_eq!((told.later, told.tracks.len()), (false, 1));
    assert_eq!(told.tracks[0].language, "de");
    let key = told.tracks[0].key;
    let said = text(&mut control, "city", key).await;
    let expected = "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nJa?\n";
    assert_eq!((said.later, &said.vtt[..]), (false, expected.as_bytes()));
    std::fs::write(&file, "1\n00:00:01,000 --> 00:00:02,000\nNein.\n").expect("written");
    let anew = subtitles(&mut control, "city").await.tracks[0].key;
    assert_ne!(anew, key, "another text, another key");
    assert!(text(&mut control, "city", anew).await.vtt.ends_with(b"Nein.\n"));
    for (stream, key) in [("city", 7), ("nobody", anew)] {
        let none = text(&mut control, stream, key).await;
        assert!(none.vtt.is_empty() && !none.later);
    }
    served.end().await;
}
