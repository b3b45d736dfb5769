//! Recordings hold what was written into them.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use std::fs;
use std::path::Path;

use media::demux::Movie;
use media::record::{Error, Recorder};
use proto::{Packet, StreamDescription, Track};
use support::{described, live, samples};

/// Everything in a file, as the demuxer reads it.
fn read(path: &Path) -> (Vec<Track>, Vec<Packet>) {
    let mut movie = Movie::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let packets = std::iter::from_fn(|| movie.next_packet().unwrap()).collect();
    (movie.tracks().to_vec(), packets)
}

fn record(path: &Path, description: &StreamDescription, packets: &[Packet]) {
    let mut recorder = Recorder::create(path, description).unwrap();
    for packet in packets {
        recorder.write(packet).unwrap();
    }
    recorder.finish().unwrap();
}

/// The packets of one track.
fn of_track(packets: &[Packet], track: u16) -> Vec<&Packet> {
    packets.iter().filter(|p| p.header.track == track).collect()
}

/// Same payloads, key flags and, within a tolerance, times from `start_us`.
fn assert_same(written: &[&Packet], read: &[&Packet], start_us: i64, tolerance_us: i64) {
    assert_eq!(written.len(), read.len());
    for (written, read) in written.iter().zip(read) {
        let pts_us = written.header.pts_us;
        assert_eq!(written.payload, read.payload, "at {pts_us}");
        assert_eq!(written.header.key, read.header.key, "at {pts_us}");
        let off = read.header.pts_us + start_us - pts_us;
        assert!(off.abs() <= tolerance_us, "{off} us off at {pts_us}");
    }
}

#[test]
fn movies_come_back_from_recordings_packet_for_packet() {
    let dir = tempfile::tempdir().unwrap();
    for name in samples() {
        let (tracks, packets) = read(&name);
        let description = described(tracks);
        let (video, ..) = description.video().unwrap();
        let start_us = of_track(&packets, video)[0].header.pts_us;
        for (extension, tolerance_us) in [("mkv", 100), ("mp4", 30)] {
            let path = dir.path().join("copy").with_extension(extension);
            record(&path, &description, &packets);
            let (copied_tracks, copied) = read(&path);
            assert_eq!(copied_tracks.len(), description.tracks.len(), "{}", name.display());
            for (track, index) in description.tracks.iter().zip(0..) {
                // What sounds before the first picture is left out.
                let mut written = of_track(&packets, index);
                written.retain(|p| track.is_video() || p.header.pts_us >= start_us);
                assert_same(&written, &of_track(&copied, index), start_us, tolerance_us);
                let copied = &copied_tracks[usize::from(index)];
                assert_eq!(copied.codec_config, track.codec_config, "{extension} {track}");
                assert_eq!(copied.media, track.media, "{extension}");
            }
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn live_pictures_and_sound_start_at_the_first_key_frame_and_stay_in_step() {
    let dir = tempfile::tempdir().unwrap();
    let (description, packets) = live(75);
    // A viewer that joins late: the first key frame that it gets is another one.
    let second_key = packets.iter().rposition(|p| p.header.track == 0 && p.header.key).unwrap();
    let start_us = packets[second_key].header.pts_us;
    let joined = &packets[second_key - 5..];
    for extension in ["mkv", "mp4"] {
        let path = dir.path().join("live").with_extension(extension);
        record(&path, &description, joined);
        let (tracks, read) = read(&path);
        assert_eq!(tracks[1].codec_config, description.tracks[1].codec_config);
        for (track, run_up_us) in [(0, 0), (1, 6_500)] {
            let mut written = of_track(joined, track);
            written.retain(|p| p.header.pts_us >= start_us - run_up_us);
            assert!(written.len() > 20);
            assert_same(&written, &of_track(&read, track), start_us, 100);
        }
    }
}

#[test]
fn mjpeg_goes_into_both_containers_with_rotation_and_pixel_aspect() {
    let dir = tempfile::tempdir().unwrap();
    let (description, packets) = support::mjpeg(20, 90, (4, 3));
    let path = dir.path().join("camera.mp4");
    record(&path, &description, &packets);
    let (tracks, copied) = read(&path);
    assert_eq!(tracks[0].media, description.tracks[0].media);
    assert_same(&of_track(&packets, 0), &of_track(&copied, 0), 0, 1);
    let path = dir.path().join("camera.mkv");
    record(&path, &description, &packets);
    let (_, copied) = read(&path);
    assert_same(&of_track(&packets, 0), &of_track(&copied, 0), 0, 100);
}

#[test]
fn a_recording_that_was_killed_plays_nearly_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let (description, packets) = live(200);
    for extension in ["mkv", "mp4"] {
        let path = dir.path().join("killed").with_extension(extension);
        let mut recorder = Recorder::create(&path, &description).unwrap();
        for packet in &packets {
            recorder.write(packet).unwrap();
        }
        // What a killed process leaves: no destructor runs.
        std::mem::forget(recorder);
        let (_, copied) = read(&path);
        let end = |packets: &[Packet]| packets.iter().map(|p| p.header.pts_us).max().unwrap();
        let lost_us = end(&packets) - end(&copied);
        assert!(lost_us < 3_000_000, "{lost_us} us are missing from the .{extension}");
        for (copied, written) in of_track(&copied, 0).iter().zip(of_track(&packets, 0)) {
            assert_eq!(copied.payload, written.payload);
        }
    }
}

#[test]
fn a_stream_that_changes_goes_on_in_another_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("camera.mkv");
    let (description, packets) = live(10);
    let mut recorder = Recorder::create(&path, &description).unwrap();
    packets.iter().for_each(|packet| recorder.write(packet).unwrap());
    recorder.describe(&description, false).unwrap();
    assert_eq!(recorder.path(), path, "the same description again changes nothing");
    let (changed, more) = support::mjpeg(10, 0, (1, 1));
    recorder.describe(&changed, false).unwrap();
    assert_eq!(recorder.path(), dir.path().join("camera-2.mkv"));
    more.iter().for_each(|packet| recorder.write(packet).unwrap());
    recorder.finish().unwrap();
    assert_same(&of_track(&packets, 0), &of_track(&read(&path).1, 0), 0, 100);
    let second = read(&dir.path().join("camera-2.mkv")).1;
    assert_same(&of_track(&more, 0), &of_track(&second, 0), 0, 100);
}

#[test]
fn a_stream_that_changes_before_its_first_packet_keeps_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("camera.mp4");
    let mut recorder = Recorder::create(&path, &live(1).0).unwrap();
    let (changed, packets) = support::mjpeg(10, 0, (1, 1));
    recorder.describe(&changed, true).unwrap();
    assert_eq!(recorder.path(), path);
    packets.iter().for_each(|packet| recorder.write(packet).unwrap());
    recorder.finish().unwrap();
    assert_same(&of_track(&packets, 0), &of_track(&read(&path).1, 0), 0, 1);
}

#[test]
fn what_cannot_be_recorded_is_said_before_a_file_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let (description, _) = live(2);
    let create = |name: &str, description: &StreamDescription| {
        Recorder::create(&dir.path().join(name), description).err().unwrap()
    };
    assert!(matches!(create("film.avi", &description), Error::Extension { .. }));
    assert!(matches!(create("film", &description), Error::Extension { .. }));
    assert!(matches!(create("no/such/film.mkv", &description), Error::Create { .. }));
    fs::write(dir.path().join("old.mkv"), "precious").unwrap();
    assert!(matches!(create("old.mkv", &description), Error::Exists { .. }));
    assert_eq!(fs::read(dir.path().join("old.mkv")).unwrap(), b"precious");
    let vorbis = described(vec![support::audio_track(proto::stream::AudioCodec::Vorbis)]);
    assert!(matches!(create("film.mp4", &vorbis), Error::Unsupported { .. }));
    assert!(!dir.path().join("film.mp4").exists());
}

#[test]
fn a_recording_without_a_key_frame_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nothing.mp4");
    let (description, packets) = live(10);
    let mut recorder = Recorder::create(&path, &description).unwrap();
    for packet in packets.iter().filter(|p| p.header.track == 0 && !p.header.key) {
        recorder.write(packet).unwrap();
    }
    assert!(matches!(recorder.finish(), Err(Error::Nothing { .. })));
    assert!(!path.exists());
}
