//! Movies by segments are the movies packet by packet, from any point, in any order.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use media::demux::{Movie, Way};
use media::record::Recorder;
use media::segment::{Conversion, Plan, Segmented, convert};
use proto::{Message, Packet, limits};
use support::{described, live, mjpeg, samples};
use tempfile::TempDir;

/// As the sequential read gives them, counted.
fn sequential(path: &Path) -> Vec<Packet> {
    let mut movie = Movie::open(path).unwrap();
    let mut packets = Vec::new();
    while let Some(mut packet) = movie.next_packet().unwrap() {
        packet.header.sequence = packets.len() as u64;
        packets.push(packet);
    }
    packets
}

fn plan(path: &Path) -> Arc<Plan> {
    let mut movie = Movie::open(path).unwrap();
    assert_eq!(movie.way(), &Way::PassThrough, "{}", path.display());
    Arc::new(Plan::new(&mut movie, path, None).unwrap())
}

/// Segments front to back, back to front and from the middle are the sequential read; the index is
/// one that peers accept. Gives the plan.
fn assert_whole(path: &Path) -> Arc<Plan> {
    let name = path.display();
    let expected = sequential(path);
    let plan = plan(path);
    let mut movie = Segmented::open(path, plan.clone()).unwrap();
    let count = plan.segments().len();
    let forward: Vec<Vec<Packet>> = (0..count).map(|n| movie.packets(n).unwrap()).collect();
    assert!(forward.concat() == expected, "{name} differs front to back");
    for number in (0..count).rev() {
        let mut fresh = Segmented::open(path, plan.clone()).unwrap();
        assert!(fresh.packets(number).unwrap() == forward[number], "{name}: segment {number}");
        assert!(movie.packets(number).unwrap() == forward[number], "{name}: back to {number}");
    }
    assert!(movie.packets(count).unwrap().is_empty());
    let video = plan.video();
    for (number, (line, packets)) in plan.segments().iter().zip(&forward).enumerate() {
        let messages = movie.messages(number).unwrap();
        assert_eq!(messages.len(), line.bytes as usize);
        let encoded = packets.iter().flat_map(|p| Message::Packet(p.clone()).encode());
        assert!(encoded.eq(messages.iter().copied()), "{name}: segment {number} as messages");
        assert!(messages.len() <= 16 << 20);
        let first = packets.iter().find(|p| video.is_none_or(|video| p.header.track == video));
        let starts = first.is_none_or(|first| first.header.key);
        assert!(!line.key || starts, "{name}: segment {number} says that it starts with a key");
    }
    let index = proto::recording::Index {
        id: plan.id(),
        description: described(plan.tracks().to_vec()),
        oldest: 0,
        first: 0,
        segments: plan.segments().to_vec(),
        finished: true,
    };
    assert_eq!(index.validate(), Ok(()));
    assert!(plan.segments()[0].key);
    plan
}

fn ffmpeg(folder: &TempDir, name: &str, arguments: &str) -> PathBuf {
    let path = folder.path().join(name);
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-i"]).arg(&samples()[0]);
    command.args(arguments.split_whitespace()).arg(&path);
    assert!(command.status().expect("ffmpeg is needed").success(), "{arguments}");
    path
}

#[test]
fn the_samples_by_segments_are_the_samples() {
    for path in [&samples()[0], &samples()[2]] {
        let plan = assert_whole(path);
        let ends = plan
            .segments()
            .windows(2)
            .all(|w| w[0].start_us + i64::from(w[0].duration_us) == w[1].start_us);
        assert!(ends, "one begins where the other ends");
        let shortest = plan.segments().split_last().unwrap().1.iter();
        assert!(shortest.clone().all(|segment| segment.duration_us > 1_500_000));
        let length: u64 = plan.segments().iter().map(|s| u64::from(s.duration_us)).sum();
        assert!(length.abs_diff(plan.duration_us()) < 200_000, "{length} {}", plan.duration_us());
    }
    assert!(plan(&samples()[0]).segments().len() >= 3);
}

#[test]
fn so_are_other_layouts() {
    let folder = TempDir::new().unwrap();
    for (name, arguments) in [
        ("copy.mkv", "-c copy"),
        ("live.mkv", "-c copy -f matroska -live 1 -cluster_time_limit 40"),
        ("cues.mkv", "-c copy -reserve_index_space 50k -cluster_time_limit 900"),
        ("frag.mp4", "-c copy -movflags frag_keyframe+empty_moov+default_base_moof"),
        ("each.mp4", "-t 9 -c copy -movflags frag_every_frame+empty_moov"),
        ("apart.mp4", "-c copy -movflags empty_moov+default_base_moof -frag_duration 700000"),
        ("edit.mp4", "-ss 4.2 -c copy"),
        ("jpeg.mov", "-an -t 3 -c:v mjpeg -q:v 9"),
        ("sound.m4a", "-vn -c copy"),
        ("sound.ogg", "-vn -c:a libopus"),
        ("sound.mp3", "-vn -c:a libmp3lame -q:a 5"),
        ("sound.flac", "-vn -c:a flac"),
        ("sound.wav", "-vn -ac 1"),
        ("sound.webm", "-vn -c:a libvorbis"),
    ] {
        let path = ffmpeg(&folder, name, arguments);
        let plan = assert_whole(&path);
        let least = plan.duration_us() / 15_000_000;
        assert!(plan.segments().len() as u64 > least, "{name}: {} segments", plan.segments().len());
        if plan.video().is_none() {
            assert!(plan.segments().iter().all(|segment| segment.key), "{name}");
        }
    }
}

#[test]
fn an_open_group_of_pictures_is_no_place_to_start() {
    let folder = TempDir::new().unwrap();
    let coding = "-an -t 12 -vf scale=160:90 -c:v libx264 -preset ultrafast -bf 2 -g 24 \
                  -sc_threshold 0 -x264-params open-gop=1";
    for name in ["open.mp4", "open.mkv"] {
        let path = ffmpeg(&folder, name, coding);
        let keys = sequential(&path).iter().filter(|packet| packet.header.key).count();
        assert_eq!(keys, 1, "the encoder does what it is told");
        assert_eq!(assert_whole(&path).segments().len(), 1);
    }
}

#[test]
fn what_is_too_large_for_one_segment_continues() {
    let folder = TempDir::new().unwrap();
    let noise = "-f rawvideo -an -t 4 -vf noise=alls=90:allf=t,scale=1280:720 -c:v libx264 \
                 -preset ultrafast -qp 8 -g 9999 -sc_threshold 0 -f mp4";
    let path = ffmpeg(&folder, "large.mp4", noise.trim_start_matches("-f rawvideo "));
    let plan = assert_whole(&path);
    let keys: Vec<bool> = plan.segments().iter().map(|segment| segment.key).collect();
    assert!(keys.len() > 1 && keys[0] && keys[1..].iter().all(|key| !key), "{keys:?}");
}

#[test]
fn sound_beyond_the_picture_is_cut_too() {
    let folder = TempDir::new().unwrap();
    let (description, packets) = live(60);
    let path = folder.path().join("long.mkv");
    let mut recorder = Recorder::create(&path, &description).unwrap();
    packets.iter().for_each(|packet| recorder.write(packet).unwrap());
    let sound: Vec<&Packet> = packets.iter().filter(|p| p.header.track == 1).collect();
    for round in 1..12 {
        for packet in &sound {
            let mut packet = (*packet).clone();
            packet.header.pts_us += round * 2_400_000;
            packet.header.dts_us += round * 2_400_000;
            recorder.write(&packet).unwrap();
        }
    }
    recorder.finish().unwrap();
    let plan = assert_whole(&path);
    assert!(plan.segments().len() > 6, "{:?}", plan.segments());
    assert!(plan.segments().last().unwrap().key, "nothing is missed by who starts there");
}

#[test]
fn every_sound_that_is_copied_survives_conversion() {
    let folder = TempDir::new().unwrap();
    let sounds = ["aac", "libopus", "libmp3lame", "flac", "libvorbis", "pcm_s16le"];
    for sound in sounds {
        // Pictures that must be converted beside sound that need not be.
        let pictures = "-t 3 -vf scale=160:90 -c:v mpeg4 -ac 2 -strict -2 -c:a";
        let path = ffmpeg(&folder, &format!("{sound}.mkv"), &format!("{pictures} {sound}"));
        let mut movie = Movie::open(&path).unwrap();
        assert_ne!(movie.way(), &Way::PassThrough);
        let to = folder.path().join(format!("{sound}-converted.mkv"));
        convert(&mut movie, &to, &Conversion::default()).unwrap();
        let codecs = |path: &Path| {
            let movie = Movie::open(path).unwrap();
            movie.tracks().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(codecs(&to), codecs(&path), "{sound}");
        let (before, after) = (sequential(&path), sequential(&to));
        let payloads = |packets: &[Packet]| {
            let sound = packets.iter().filter(|packet| packet.header.track == 1);
            sound.map(|packet| packet.payload.clone()).collect::<Vec<_>>()
        };
        let (before, after) = (payloads(&before), payloads(&after));
        // What primes a decoder and does not sound is left out.
        assert!(before.ends_with(&after) && after.len() + 3 > before.len(), "{sound}");
        assert_whole(&to);
    }
}

#[test]
fn sound_before_the_picture_is_converted_too() {
    let folder = TempDir::new().unwrap();
    let late = "-t 6 -vf setpts=PTS+3/TB,scale=160:90 -c:v mpeg4 -c:a aac";
    let path = ffmpeg(&folder, "late.mkv", late);
    let to = folder.path().join("converted.mkv");
    convert(&mut Movie::open(&path).unwrap(), &to, &Conversion::default()).unwrap();
    let first = |path: &Path, track: u16| {
        let packets = sequential(path);
        packets.iter().find(|packet| packet.header.track == track).unwrap().header.pts_us
    };
    for track in [0, 1] {
        let (before, after) = (first(&path, track), first(&to, track));
        assert!(before.abs_diff(after) < 60_000, "track {track}: {before} {after}");
    }
    assert!(first(&to, 0) > 2_500_000 && first(&to, 1) < 100_000);
    assert!(assert_whole(&to).segments()[0].key);
}

#[test]
fn a_movie_is_known_by_what_is_in_it() {
    let folder = TempDir::new().unwrap();
    let source = &samples()[2];
    let id = plan(source).id();
    let other_name = folder.path().join("holiday.mov");
    std::fs::copy(source, &other_name).unwrap();
    assert_eq!(plan(&other_name).id(), id);
    // A byte in the middle, which the table knows nothing of; and one more at the end.
    let mut bytes = std::fs::read(source).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&other_name, &bytes).unwrap();
    assert_ne!(plan(&other_name).id(), id);
    bytes[middle] ^= 1;
    bytes.push(0);
    std::fs::write(&other_name, &bytes).unwrap();
    assert_ne!(plan(&other_name).id(), id);
    assert_ne!(plan(&samples()[0]).id(), id);
}

#[test]
fn damaged_files_are_cut_without_harm() {
    let folder = TempDir::new().unwrap();
    let coding = "-t 5 -vf scale=64:36 -c:v libx264 -preset ultrafast -g 12 -c:a aac -b:a 8k";
    let fragments = "-movflags frag_keyframe+empty_moov+default_base_moof";
    let mut planned = 0;
    for (name, layout) in [("a.mp4", ""), ("b.mp4", fragments), ("c.mkv", "")] {
        let whole = std::fs::read(ffmpeg(&folder, name, &format!("{coding} {layout}"))).unwrap();
        let path = folder.path().join(format!("damaged-{name}"));
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize
        };
        for round in 0..60 {
            let mut bytes = whole.clone();
            for _ in 0..1 + round % 8 {
                // Tables and headers lie at both ends.
                let reach = bytes.len().min(4000);
                let at = random() % reach;
                let at = if random() % 2 == 0 { at } else { bytes.len() - 1 - at };
                bytes[at] = random() as u8;
            }
            bytes.truncate(bytes.len() - random() % 2 * (random() % bytes.len()));
            std::fs::write(&path, bytes).unwrap();
            let Ok(mut movie) = Movie::open(&path) else { continue };
            if movie.way() != &Way::PassThrough {
                continue;
            }
            let Ok(plan) = Plan::new(&mut movie, &path, None) else { continue };
            planned += 1;
            let plan = Arc::new(plan);
            let Ok(mut movie) = Segmented::open(&path, plan.clone()) else { continue };
            for number in (0..plan.segments().len()).rev() {
                if let Ok(messages) = movie.messages(number) {
                    assert_eq!(messages.len(), plan.segments()[number].bytes as usize);
                }
            }
            let _ = movie.poster();
        }
    }
    assert!(planned > 40, "{planned} were worth it");
}

#[test]
fn a_file_that_changed_under_its_plan_is_noticed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("movie.mp4");
    std::fs::copy(&samples()[0], &path).unwrap();
    let plan = plan(&path);
    std::fs::copy(&samples()[2], &path).unwrap();
    assert!(Segmented::open(&path, plan).is_err());
}

#[test]
fn what_needs_ffmpeg_is_converted_into_what_does_not() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("converted.mkv");
    let mut movie = Movie::open(&samples()[1]).unwrap();
    assert_ne!(movie.way(), &Way::PassThrough);
    let conversion = Conversion::default();
    convert(&mut movie, &path, &conversion).unwrap();
    assert!(conversion.done_us() > 4_000_000);
    let mut converted = Movie::open(&path).unwrap();
    let plan = Plan::new(&mut converted, &path, Some(&samples()[1])).unwrap();
    assert_eq!(plan.tracks().len(), 2);
    assert!(plan.duration_us().abs_diff(5_300_000) < 200_000, "{}", plan.duration_us());
    assert_whole(&path);
    let stopped = Conversion::default();
    stopped.stop();
    movie.rewind().unwrap();
    assert!(convert(&mut movie, &folder.path().join("stopped.mkv"), &stopped).is_err());
}

fn poster(path: &Path) -> Option<(u32, u32, image::RgbImage)> {
    let jpeg = Segmented::open(path, plan(path)).unwrap().poster().unwrap()?;
    assert!(jpeg.len() <= limits::POSTER);
    let picture = image::load_from_memory(&jpeg).unwrap().to_rgb8();
    Some((picture.width(), picture.height(), picture))
}

#[test]
fn posters_have_the_shape_of_the_picture() {
    let (width, height, picture) = poster(&samples()[0]).unwrap();
    assert_eq!((width, height), (320, 180));
    let brightness: u64 = picture.as_raw().iter().map(|byte| u64::from(*byte)).sum();
    assert!(brightness / picture.as_raw().len() as u64 > 20, "it is not black");
    let folder = TempDir::new().unwrap();
    // 160x96 pixels, turned, or twice as wide as high.
    for (rotation, aspect, size) in
        [(0, (1, 1), (300, 180)), (90, (1, 1), (108, 180)), (0, (2, 1), (320, 96))]
    {
        let (description, packets) = mjpeg(30, rotation, aspect);
        let path = folder.path().join(format!("{rotation}-{}.mkv", aspect.0));
        let mut recorder = Recorder::create(&path, &description).unwrap();
        packets.iter().for_each(|packet| recorder.write(packet).unwrap());
        recorder.finish().unwrap();
        let (width, height, picture) = poster(&path).unwrap();
        assert_eq!((width, height), size, "{rotation} {aspect:?}");
        // Blue grows to the right, red downwards, before it is turned.
        let at = |x: u32, y: u32| picture.get_pixel(x, y).0;
        let near = at(width / 8, height - height / 8);
        let far = at(width - width / 8, height / 8);
        let is_upright = far[2] > near[2] && far[0] < near[0];
        assert_eq!(is_upright, rotation == 0, "{near:?} {far:?}");
    }
    let sound = ffmpeg(&folder, "sound.ogg", "-vn -t 3 -c:a libopus");
    assert!(poster(&sound).is_none());
}
