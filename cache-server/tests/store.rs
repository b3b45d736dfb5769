//! The cache folder: what is kept, what is believed, what makes way.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache_server::store::{Error, Store};
use proto::recording::{Digest, Index, RecordingId, RecordingInfo, SegmentInfo};
use proto::stream::{Media, StreamState, Track, Video, VideoCodec};
use proto::subtitle::SubtitleTrack;
use proto::{StreamDescription, StreamInfo};
use relay::Keep;

const PLENTY: u64 = 1 << 30;

fn id(n: u8) -> RecordingId {
    RecordingId([n; 16])
}

fn body(n: u64) -> Bytes {
    Bytes::from(format!("segment {n} ").repeat(1_000))
}

fn put(store: &Store, id: RecordingId, number: u64) {
    let bytes = body(number);
    let piece = store.put_segment(id, number, Digest::of(&bytes), bytes).expect("room");
    assert_eq!(piece.read().expect("read"), body(number));
}

fn get(store: &Store, id: RecordingId, number: u64) -> Option<Bytes> {
    store.segment(id, number).map(|piece| piece.read().expect("read"))
}

fn open(folder: &Path) -> Arc<Store> {
    Store::open(folder, PLENTY).expect("a store")
}

/// Once the one before has let go: the thread that counts has it until it is done.
fn open_again(folder: &Path) -> Arc<Store> {
    let patience = std::time::Instant::now();
    loop {
        match Store::open(folder, PLENTY) {
            Ok(store) => return store,
            Err(error) => assert!(patience.elapsed() < Duration::from_secs(20), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn index(id: RecordingId) -> Index {
    let video = Video {
        codec: VideoCodec::Mjpeg,
        width: 64,
        height: 48,
        pixel_aspect: (1, 1),
        rotation: 0,
        frame_rate: (25, 1),
    };
    let track = Track {
        media: Media::Video(video),
        codec_config: Default::default(),
        language: String::new(),
    };
    Index {
        id,
        description: StreamDescription {
            name: "film".into(),
            title: "A film".into(),
            live: false,
            run: 7,
            duration_us: Some(4_000_000),
            tracks: vec![track],
        },
        oldest: 0,
        first: 0,
        segments: (0..2)
            .map(|n| SegmentInfo {
                start_us: n * 2_000_000,
                duration_us: 2_000_000,
                bytes: 10_000,
                key: true,
            })
            .collect(),
        finished: true,
    }
}

fn info(id: RecordingId) -> StreamInfo {
    StreamInfo {
        name: "film".into(),
        title: "A film".into(),
        live: false,
        state: StreamState::Idle,
        viewers: 3,
        summary: "MJPEG 64x48".into(),
        path: vec![1],
        recording: Some(RecordingInfo {
            id,
            duration_us: 4_000_000,
            bytes: 20_000,
            growing: false,
            poster: false,
        }),
    }
}

#[test]
fn what_was_kept_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    assert!(get(&store, id(1), 0).is_none());
    store.put_index(&index(id(1)));
    store.remember("films:9999", &info(id(1)));
    (0..3).for_each(|n| put(&store, id(1), n));
    drop(store);

    let store = open(folder.path());
    (0..3).for_each(|n| assert_eq!(get(&store, id(1), n), Some(body(n))));
    assert!(get(&store, id(1), 3).is_none() && get(&store, id(2), 0).is_none());
    assert_eq!(store.index(id(1)), Some(index(id(1))));
    let remembered = store.remembered("films:9999");
    assert_eq!(remembered, [StreamInfo { viewers: 0, ..info(id(1)) }]);
    assert!(store.remembered("elsewhere").is_empty());
}

#[test]
fn nothing_damaged_is_given_out_and_it_can_be_kept_anew() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    let file = store.shelf(id(1)).segment(0);
    type Harm = fn(&mut Vec<u8>);
    let harms: [(&str, Harm); 6] = [
        ("a flipped bit", |bytes| bytes[500] ^= 4),
        ("a flipped bit in the head", |bytes| bytes[33] ^= 1),
        ("cut", |bytes| bytes.truncate(900)),
        ("cut in the head", |bytes| bytes.truncate(20)),
        ("empty", Vec::clear),
        ("longer", |bytes| bytes.push(0)),
    ];
    for (name, harm) in harms {
        put(&store, id(1), 0);
        assert!(get(&store, id(1), 0).is_some());
        let mut bytes = fs::read(&file).expect("read");
        harm(&mut bytes);
        fs::write(&file, bytes).expect("write");
        assert_eq!(get(&store, id(1), 0), None, "{name}");
        assert!(!file.exists(), "{name}: removed");
    }
    // Another segment's file under this one's name.
    put(&store, id(1), 0);
    put(&store, id(1), 1);
    fs::copy(store.shelf(id(1)).segment(1), &file).expect("copy");
    assert_eq!(get(&store, id(1), 0), None);
    let index_file = folder.path().join(id(1).to_string()).join("index");
    store.put_index(&index(id(1)));
    let mut bytes = fs::read(&index_file).expect("read");
    bytes[70] ^= 1;
    fs::write(&index_file, bytes).expect("write");
    assert_eq!(store.index(id(1)), None);
}

#[test]
fn other_bytes_under_the_same_number_replace_all_of_it() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    put(&store, id(1), 0);
    put(&store, id(1), 1);
    let other = Bytes::from_static(b"something else");
    store.put_segment(id(1), 1, Digest::of(&other), other.clone()).expect("room");
    assert_eq!(get(&store, id(1), 1), Some(other));
    assert_eq!(get(&store, id(1), 0), None, "it was of what is no more");
}

fn growing(id: RecordingId, segments: usize) -> Index {
    let line = index(id).segments[0];
    let at = |n: usize| SegmentInfo { start_us: n as i64 * 2_000_000, ..line };
    Index { segments: (0..segments).map(at).collect(), finished: false, ..index(id) }
}

#[test]
fn an_index_that_grows_is_added_to_and_survives_half_a_line() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    let shelf = folder.path().join(id(1).to_string());
    let (whole, added) = (shelf.join("index"), shelf.join("index-added"));
    let length = |path: &Path| fs::metadata(path).map(|metadata| metadata.len()).unwrap_or(0);
    store.put_index(&growing(id(1), 1));
    let (first, line) = (length(&whole), length(&added));
    for segments in 2..=50 {
        store.put_index(&growing(id(1), segments));
        assert_eq!(store.index(id(1)), Some(growing(id(1), segments)));
    }
    assert_eq!((length(&whole), length(&added)), (first, 50 * line), "added to, not rewritten");
    // Killed, or the disk full, in the middle of a line.
    let bytes = fs::read(&added).expect("read");
    for cut in 1..line as usize {
        fs::write(&added, &bytes[..bytes.len() - cut]).expect("write");
        assert_eq!(store.index(id(1)), Some(growing(id(1), 49)), "{cut} bytes are missing");
        store.put_index(&growing(id(1), 51));
        assert_eq!(store.index(id(1)), Some(growing(id(1), 51)), "goes on after {cut}");
    }
    // What is damaged, and what comes behind it, is not believed.
    for at in 0..line as usize {
        let mut bytes = bytes.clone();
        bytes[20 * line as usize + at] ^= 0x10;
        fs::write(&added, bytes).expect("write");
        assert_eq!(store.index(id(1)), Some(growing(id(1), 20)), "byte {at}");
    }
    let finished = Index { finished: true, ..growing(id(1), 60) };
    store.put_index(&finished);
    assert_eq!(store.index(id(1)), Some(finished));
    assert!(!added.exists());
}

#[test]
fn the_tail_of_a_process_that_was_killed_goes_and_what_was_recorded_stays() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    put(&store, id(1), 0);
    put(&store, id(2), 0);
    store.put_index(&growing(id(2), 1));
    drop(store);
    let store = open_again(folder.path());
    assert!(!store.shelf(id(1)).is_there(), "nothing says what it is");
    assert_eq!(get(&store, id(2), 0), Some(body(0)));
    assert_eq!(store.index(id(2)), Some(growing(id(2), 1)));
}

#[test]
fn a_poster_is_kept_with_what_it_stands_for() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    store.put_poster(id(1), b"jpeg");
    assert_eq!(store.poster(id(1)), None, "nobody wanted to watch it");
    store.put_index(&index(id(1)));
    store.put_poster(id(1), b"jpeg");
    assert_eq!(store.poster(id(1)).as_deref(), Some(&b"jpeg"[..]));
    let file = folder.path().join(id(1).to_string()).join("poster");
    let mut bytes = fs::read(&file).expect("read");
    *bytes.last_mut().expect("bytes") ^= 1;
    fs::write(&file, bytes).expect("write");
    assert_eq!(store.poster(id(1)), None, "damaged");
}

#[test]
fn subtitles_are_kept_as_long_as_there_are_such() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    let track = |key| SubtitleTrack { key, language: "de".into(), title: String::new() };
    store.put_subtitles(id(1), &[track(1)]);
    assert_eq!(store.subtitles(id(1)), None, "nobody wanted to watch it");
    store.put_index(&index(id(1)));
    store.put_subtitles(id(1), &[track(1), track(2)]);
    store.put_subtitle(id(1), 1, b"one");
    store.put_subtitle(id(1), 2, b"two");
    assert_eq!(store.subtitles(id(1)), Some(vec![track(1), track(2)]));
    assert_eq!(store.subtitle(id(1), 1).as_deref(), Some(&b"one"[..]));
    // One was written anew: its key is another.
    store.put_subtitles(id(1), &[track(1), track(3)]);
    assert_eq!(store.subtitle(id(1), 2), None);
    assert_eq!(store.subtitle(id(1), 1).as_deref(), Some(&b"one"[..]));
    store.put_subtitles(id(1), &[]);
    assert_eq!((store.subtitles(id(1)), store.subtitle(id(1), 1)), (Some(vec![]), None));
}

#[test]
fn half_a_file_of_a_dead_process_is_cleared_away() {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(folder.path());
    put(&store, id(1), 0);
    store.put_index(&index(id(1)));
    drop(store);
    let half = folder.path().join(id(1).to_string()).join("unfinished-1-7");
    fs::write(&half, b"half").expect("write");
    let store = open_again(folder.path());
    let waiting = std::time::Instant::now();
    while half.exists() {
        assert!(waiting.elapsed() < Duration::from_secs(20), "never cleared");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(get(&store, id(1), 0).is_some());
}

#[test]
fn two_processes_do_not_write_to_one_folder() {
    let folder = tempfile::tempdir().expect("folder");
    let first = open(folder.path());
    let second = Store::open(folder.path(), PLENTY);
    assert!(matches!(second, Err(Error::InUse(_))));
    let said = second.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(said.contains("in use") && said.contains("--cache-dir"), "{said}");
    drop(first);
    open_again(folder.path());
}

#[test]
fn what_was_not_wanted_for_longest_makes_way_and_what_is_watched_stays() {
    let folder = tempfile::tempdir().expect("folder");
    // A segment is some 10 kB: six of them fit.
    let store = Store::open(folder.path(), 66_000).expect("a store");
    for n in 1..=3 {
        put(&store, id(n), 0);
        put(&store, id(n), 1);
    }
    let watched = store.hold(id(1));
    let until = |fine: &dyn Fn() -> bool| {
        let waiting = std::time::Instant::now();
        while !fine() {
            assert!(waiting.elapsed() < Duration::from_secs(20), "never");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    until(&|| {
        put(&store, id(4), 0);
        get(&store, id(2), 0).is_none()
    });
    assert!(get(&store, id(1), 0).is_some(), "is watched, though it is the oldest");
    assert!(get(&store, id(4), 0).is_some(), "just came");
    drop(watched);
}

#[test]
fn a_folder_that_is_a_file_is_said() {
    let file = tempfile::NamedTempFile::new().expect("file");
    let error = Store::open(file.path(), PLENTY).err().map(|error| error.to_string());
    assert!(error.is_some_and(|said| said.contains("--cache-dir")));
}
