//! The sample movies, and what ffmpeg makes of them: packets against what ffprobe says.

use std::path::{Path, PathBuf};
use std::process::Command;

use media::demux::{Error, Movie, Way};
use proto::Packet;
use proto::stream::{Media, VideoCodec};
use symphonia::core::checksum::Md5;
use symphonia::core::io::Monitor;
use tempfile::TempDir;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(name)
}

const BUNNY: &str = "big-buck-bunny-480p-30s.mp4";
const BUNNY_51: &str = "big-buck-bunny-720p-5s.mp4";
const CITY: &str = "city-360p-7s-silent.mp4";

/// Runs a program that these tests need. Says which is missing.
fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program} is needed: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    output.stdout
}

/// Makes a file from the first seconds of a sample movie.
fn make(folder: &TempDir, name: &str, from: &str, arguments: &str) -> PathBuf {
    let path = folder.path().join(name);
    let source = sample(from);
    let mut all = vec!["-v", "error", "-y"];
    let (before, after) = arguments.split_once("INPUT").unwrap_or(("", arguments));
    all.extend(before.split_whitespace());
    all.extend(["-i", source.to_str().expect("UTF-8")]);
    all.extend(after.split_whitespace());
    all.push(path.to_str().expect("UTF-8"));
    run("ffmpeg", &all);
    path
}

fn all_packets(movie: &mut Movie) -> Vec<Packet> {
    let mut packets = Vec::new();
    while let Some(packet) = movie.next_packet().expect("readable") {
        packets.push(packet);
    }
    packets
}

#[derive(Debug)]
struct Probed {
    pts_us: i64,
    dts_us: Option<i64>,
    key: bool,
    /// Decoded but not shown.
    discard: bool,
    md5: String,
}

fn probe(path: &Path, stream: &str) -> Vec<Probed> {
    let arguments = ["-v", "error", "-select_streams", stream, "-show_packets"];
    let hash = ["-show_data_hash", "md5", "-of", "json", path.to_str().expect("UTF-8")];
    let json = run("ffprobe", &[&arguments[..], &hash].concat());
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    let packets = json["packets"].as_array().expect("packets");
    let us = |value: &serde_json::Value| {
        let seconds: f64 = value.as_str()?.parse().ok()?;
        Some((seconds * 1e6).round() as i64)
    };
    let flags = |packet: &serde_json::Value| packet["flags"].as_str().unwrap_or("").to_owned();
    packets
        .iter()
        .map(|packet| Probed {
            pts_us: us(&packet["pts_time"]).expect("has a time"),
            dts_us: us(&packet["dts_time"]),
            key: flags(packet).contains('K'),
            discard: flags(packet).contains('D'),
            md5: packet["data_hash"].as_str().expect("hash").trim_start_matches("MD5:").into(),
        })
        .collect()
}

fn md5(payload: &[u8]) -> String {
    let mut md5 = Md5::default();
    md5.process_buf_bytes(payload);
    md5.md5().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All packets of a file that goes as it is equal what ffprobe says: bytes, times and key flags.
/// `slack_us`: what the two may differ in counting where a file's times begin.
fn assert_as_probed(path: &Path, streams: &[&str], slack_us: i64) {
    let mut movie = Movie::open(path).expect("playable");
    assert_eq!(movie.way(), &Way::PassThrough);
    assert_eq!(movie.tracks().len(), streams.len());
    let packets = all_packets(&mut movie);
    assert_eq!(movie.note(), None);
    assert!(packets.is_sorted_by_key(|p| p.header.dts_us), "in order of decoding");
    for (stream, track) in streams.iter().zip(0u16..) {
        let mine: Vec<&Packet> = packets.iter().filter(|p| p.header.track == track).collect();
        let mut probed = probe(path, stream);
        // ffprobe gives a second of sound before an edit, which nobody decodes.
        let extra = probed.len().checked_sub(mine.len()).expect("no packet too many");
        assert!(probed.drain(..extra).all(|p| p.discard), "{stream}: {extra} are missing");
        let shift = probed[0].pts_us - mine[0].header.pts_us;
        assert!(shift.abs() <= slack_us, "{stream} begins {shift} us off");
        for (mine, probed) in mine.iter().zip(&probed) {
            let header = mine.header;
            assert_eq!(md5(&mine.payload), probed.md5, "{stream} {header:?}");
            assert_eq!(header.key, probed.key, "{stream} {header:?}");
            assert!((header.pts_us + shift - probed.pts_us).abs() <= 1, "{header:?} {probed:?}");
            let dts_us = probed.dts_us.unwrap_or(header.dts_us + shift);
            assert!((header.dts_us + shift - dts_us).abs() <= 1, "{header:?} {probed:?}");
            assert!(header.dts_us <= header.pts_us, "{header:?}");
        }
    }
}

#[test]
fn sample_movies_are_passed_through_packet_by_packet() {
    assert_as_probed(&sample(BUNNY), &["v:0", "a:0"], 0);
    assert_as_probed(&sample(CITY), &["v:0"], 0);
}

#[test]
fn other_layouts_of_mp4_are_passed_through() {
    let folder = TempDir::new().expect("folder");
    for (name, arguments) in [
        ("end.mp4", "-t 6 -c copy"),
        ("front.mov", "-t 6 -c copy -movflags +faststart"),
        ("frag.mp4", "-t 6 -c copy -movflags frag_keyframe+empty_moov+default_base_moof"),
        ("each.mp4", "-t 6 -c copy -movflags frag_every_frame+empty_moov"),
        ("cut.mp4", "-ss 8.3 INPUT -t 6 -c copy"),
        ("sound.m4a", "-vn -t 6 -c copy"),
        ("opus.mp4", "-vn -t 3 -c:a libopus"),
        ("flac.mp4", "-vn -t 3 -c:a flac -strict -2"),
        ("mp3.mp4", "-vn -t 3 -c:a libmp3lame"),
        ("mjpeg.mov", "-an -t 1 -c:v mjpeg"),
        ("mjpeg.mp4", "-an -t 1 -c:v mjpeg"),
    ] {
        let path = make(&folder, name, BUNNY, arguments);
        let streams: &[&str] = match arguments {
            a if a.contains("-vn") => &["a:0"],
            a if a.contains("-an") => &["v:0"],
            _ => &["v:0", "a:0"],
        };
        // Where an edit begins within a picture, ffprobe moves the next picture to its start.
        let slack_us = if name == "cut.mp4" { 41_667 } else { 0 };
        assert_as_probed(&path, streams, slack_us);
    }
}

#[test]
fn matroska_and_sound_files_are_passed_through() {
    let folder = TempDir::new().expect("folder");
    for (name, arguments, slack_us) in [
        ("copy.mkv", "-t 6 -c copy", 30_000),
        ("no-b.mkv", "-t 2 -c:v libx264 -preset ultrafast -bf 0 -c:a libopus", 30_000),
        ("vorbis.mkv", "-t 2 -c:v copy -c:a libvorbis", 30_000),
        ("mp3.mp3", "-t 3 -c:a libmp3lame", 30_000),
        ("opus.ogg", "-t 3 -c:a libopus", 0),
        ("vorbis.ogg", "-t 3 -c:a libvorbis", 20_000),
        ("flac.flac", "-t 3 -c:a flac", 0),
    ] {
        let sound_only = !name.ends_with(".mkv");
        let arguments = if sound_only { format!("-vn {arguments}") } else { arguments.into() };
        let path = make(&folder, name, BUNNY, &arguments);
        let streams: &[&str] = if sound_only { &["a:0"] } else { &["v:0", "a:0"] };
        assert_as_probed(&path, streams, slack_us);
    }
}

#[test]
fn pcm_is_passed_through_byte_for_byte() {
    let folder = TempDir::new().expect("folder");
    let path = make(&folder, "pcm.wav", BUNNY, "-vn -t 3 -ac 1 -ar 22050");
    let mut movie = Movie::open(&path).expect("playable");
    let packets = all_packets(&mut movie);
    let bytes: Vec<u8> = packets.iter().flat_map(|p| p.payload.to_vec()).collect();
    let file = std::fs::read(&path).expect("readable");
    assert!(file.ends_with(&bytes) && bytes.len() == 3 * 22_050 * 2, "{}", bytes.len());
    let mut at = 0;
    for packet in &packets {
        let due = i64::try_from(at).expect("small") * 1_000_000 / (22_050 * 2);
        assert!((packet.header.pts_us - due).abs() <= 1, "{:?} {due}", packet.header);
        at += packet.payload.len();
    }
}

/// Opens what must go through ffmpeg, checks what comes out, and gives the way it took.
fn assert_converted(path: &Path) -> String {
    let mut movie = Movie::open(path).unwrap_or_else(|error| panic!("{error}"));
    let Way::Ffmpeg { why } = movie.way().clone() else { panic!("{}", movie.way()) };
    assert!(movie.way().to_string().starts_with("through ffmpeg: "));
    let length = movie.duration_us().expect("known");
    let tracks = movie.tracks().to_vec();
    for track in &tracks {
        assert_eq!(track.validate(), Ok(()));
        match &track.media {
            Media::Video(video) => assert_eq!(video.codec, VideoCodec::H264),
            Media::Audio(audio) => assert!(audio.channels <= 2),
        }
    }
    let packets = all_packets(&mut movie);
    assert_eq!(movie.note(), None);
    for (index, track) in (0u16..).zip(&tracks) {
        let mine: Vec<&Packet> = packets.iter().filter(|p| p.header.track == index).collect();
        assert!(mine[0].header.key && mine[0].header.pts_us < 200_000, "{:?}", mine[0].header);
        assert!(mine.is_sorted_by_key(|p| p.header.dts_us), "{track}");
        assert!(mine.iter().all(|p| p.header.dts_us <= p.header.pts_us), "{track}");
        let last = mine.iter().map(|p| p.header.pts_us).max().unwrap_or(0);
        let missing = i64::try_from(length).expect("small") - last;
        assert!(missing.abs() < 300_000, "{track} ends {missing} us before {length}");
    }
    why
}

#[test]
fn what_viewers_cannot_play_is_converted() {
    let folder = TempDir::new().expect("folder");
    let small = "-t 2 -vf scale=214:120";
    for (name, arguments, way) in [
        (
            "copy.ts",
            "-t 2 -c copy".to_owned(),
            "the picture goes as it is, the sound (AAC) becomes AAC",
        ),
        (
            "copy.flv",
            "-t 2 -c copy".to_owned(),
            "only ffmpeg reads FLV; the picture goes as it is, the sound goes as it is",
        ),
        (
            "mpeg4.avi",
            format!("{small} -c:v mpeg4 -c:a libmp3lame"),
            "the picture (MPEG-4 Part 2) becomes H.264, the sound goes as it is",
        ),
        (
            "hevc.mp4",
            format!("{small} -c:v libx265 -preset ultrafast -x265-params log-level=none -c:a copy"),
            "the picture (HEVC) becomes H.264, the sound goes as it is",
        ),
        (
            "ac3.mkv",
            "-t 2 -c:v copy -c:a ac3".to_owned(),
            "the picture goes as it is, the sound (AC-3) becomes AAC",
        ),
        (
            "deep.mp4",
            format!("{small} -c:v libx264 -preset ultrafast -pix_fmt yuv420p10le -c:a copy"),
            "the picture (H.264 10-bit) becomes H.264, the sound goes as it is",
        ),
        (
            "fields.mp4",
            format!("{small} -c:v libx264 -preset ultrafast -flags +ildct+ilme -c:a copy"),
            "becomes H.264, the sound goes as it is",
        ),
        (
            "odd.mpg",
            "-t 2 -vf scale=360:203 -c:v mpeg2video -c:a mp2".to_owned(),
            "the picture (MPEG-2) becomes H.264, the sound (MPEG audio layer II) becomes AAC",
        ),
    ] {
        let path = make(&folder, name, BUNNY, &arguments);
        let taken = assert_converted(&path);
        assert!(taken.contains(way), "{name}: {taken}");
    }
    let way = assert_converted(&sample(BUNNY_51));
    let expected = "the picture goes as it is, the sound (AAC with 6 channels) becomes AAC";
    assert_eq!(way, expected);
}

#[test]
fn pictures_that_are_copied_keep_their_bytes() {
    let mut copied = Movie::open(&sample(BUNNY_51)).expect("playable");
    let pictures: Vec<String> = all_packets(&mut copied)
        .iter()
        .filter(|packet| packet.header.track == 0)
        .map(|packet| md5(&packet.payload))
        .collect();
    let probed: Vec<String> = probe(&sample(BUNNY_51), "v:0").into_iter().map(|p| p.md5).collect();
    assert_eq!(pictures, probed);
}

#[test]
fn an_edit_of_several_pieces_is_converted_and_not_copied() {
    // Two pieces of the sample, as an editor leaves them: written over the edit list that is there.
    let folder = TempDir::new().expect("folder");
    let path = make(&folder, "pieces.mp4", BUNNY, "-t 6 -c copy -movflags +faststart");
    let mut file = std::fs::read(&path).expect("readable");
    let edts = file.windows(4).position(|w| w == b"edts").expect("has edits") - 4;
    let old =
        usize::try_from(u32::from_be_bytes(file[edts..edts + 4].try_into().expect("four bytes")))
            .expect("small");
    let entry = |length: u32, time: u32| {
        [length.to_be_bytes(), time.to_be_bytes(), 0x1_0000u32.to_be_bytes()].concat()
    };
    let entries = [entry(1000, 1024), entry(1000, 1024 + 3 * 12_288)].concat();
    let elst = [&[0, 0, 0, 0x28][..], b"elst", &[0; 4], &2u32.to_be_bytes(), &entries].concat();
    let edits = [&[0, 0, 0, 0x30][..], b"edts", &elst].concat();
    let grown = edits.len() - old;
    file.splice(edts..edts + old, edits);
    // Its parents, and what lies behind, have moved.
    for kind in [b"moov", b"trak"] {
        let at = file.windows(4).position(|w| w == kind).expect("is there") - 4;
        let length = u32::from_be_bytes(file[at..at + 4].try_into().expect("four bytes"));
        let length = length + u32::try_from(grown).expect("small");
        file[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }
    let mut from = 0;
    while let Some(found) = file[from..].windows(4).position(|w| w == b"stco") {
        let at = from + found + 8;
        let count = u32::from_be_bytes(file[at..at + 4].try_into().expect("four bytes"));
        for n in 0..usize::try_from(count).expect("small") {
            let at = at + 4 + n * 4;
            let offset = u32::from_be_bytes(file[at..at + 4].try_into().expect("four bytes"));
            let offset = offset + u32::try_from(grown).expect("small");
            file[at..at + 4].copy_from_slice(&offset.to_be_bytes());
        }
        from = at;
    }
    std::fs::write(&path, file).expect("writable");
    let mut movie = Movie::open(&path).unwrap_or_else(|error| panic!("{error}"));
    let way = movie.way().to_string();
    assert!(way.contains("edited from several pieces; the picture (H.264) becomes"), "{way}");
    let pictures = all_packets(&mut movie).iter().filter(|p| p.header.track == 0).count();
    assert!((44..=52).contains(&pictures), "two seconds at 24 fps: {pictures}");
}

#[test]
fn a_file_through_ffmpeg_can_be_rewound() {
    let mut movie = Movie::open(&sample(BUNNY_51)).expect("playable");
    let first = all_packets(&mut movie);
    movie.rewind().expect("rewinds");
    let again = all_packets(&mut movie);
    assert_eq!(first.len(), again.len());
    assert_eq!(first[0], again[0]);
    assert_eq!(first.last(), again.last());
}

#[test]
fn an_endless_input_is_stopped_from_another_thread() {
    let mut movie = Movie::open_input("lavfi:testsrc2=size=160x120:rate=25").expect("opens");
    assert!(movie.tracks()[0].is_video());
    let first = movie.next_packet().expect("readable").expect("a packet");
    assert!(first.header.key);
    let stopper = movie.stopper();
    let reader =
        std::thread::spawn(move || while movie.next_packet().is_ok_and(|p| p.is_some()) {});
    stopper.stop();
    reader.join().expect("it ends");
}

/// Whether a process runs, or waits to be reaped, that was started with this word.
#[cfg(target_os = "linux")]
fn is_running(word: &str) -> bool {
    let processes = std::fs::read_dir("/proc").expect("readable").flatten();
    let children = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let is_it = |line: &Vec<u8>| {
        line.starts_with(b"ffmpeg") && line.windows(word.len()).any(|w| w == word.as_bytes())
    };
    children.into_iter().any(|line| is_it(&line))
}

#[cfg(target_os = "linux")]
#[test]
fn dropping_a_movie_ends_its_child() {
    let unusual = format!("testsrc2=size=162x{}:rate=25", 100 + std::process::id() % 100 * 2);
    let mut movie = Movie::open_input(&format!("lavfi:{unusual}")).expect("opens");
    movie.next_packet().expect("readable").expect("a packet");
    assert!(is_running(&unusual));
    let stopper = movie.stopper();
    drop(movie);
    assert!(!is_running(&unusual), "ended and reaped, whoever holds the stopper");
    stopper.stop();
}

#[test]
fn inputs_that_ffmpeg_cannot_open_say_why() {
    let error = Movie::open_input("rtsp://user:secret@127.0.0.1:1/live").expect_err("refused");
    let said = error.to_string();
    assert!(matches!(error, Error::Ffmpeg { .. }), "{said}");
    assert!(said.contains("rtsp://127.0.0.1:1/live") && !said.contains("secret"), "{said}");
}

#[test]
fn what_is_no_movie_says_so_in_one_sentence() {
    let folder = TempDir::new().expect("folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("writable");
        path
    };
    let noise: Vec<u8> =
        (0..65_536u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let bunny = std::fs::read(sample(BUNNY)).expect("readable");
    let cases = [
        (folder.path().join("missing.mp4"), "there is no such file"),
        (folder.path().to_owned(), "is a directory"),
        (write("empty.mp4", b""), "is empty"),
        (write("text.mp4", b"This is not a movie.\n"), "is not a movie"),
        (write("text.txt", b"This is not a movie.\n"), "is not a movie"),
        (write("noise.mp4", &noise), "is not a movie"),
        (write("head.mp4", &bunny[..2000]), "is damaged"),
        (write("script.sh", b"#!/bin/sh\nexit\n"), "is not a movie"),
        ("/dev/null".into(), "is not a regular file"),
    ];
    for (path, expected) in cases {
        let error = Movie::open(&path).expect_err("is no movie").to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("; ") && !error.contains('\n'), "with the way out: {error}");
    }
}
