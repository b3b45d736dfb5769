//! Fragments for browsers and HLS are read by ffmpeg packet for packet.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use media::demux::Movie;
use media::mux::{self, Muxed, Muxer, Part};
use media::segment::{Plan, Segmented};
use proto::{Packet, Track, limits};
use support::{live, mjpeg, samples};

/// Presentation and decoding time and key flag of the packets of a track, as ffprobe reads them.
fn probe(path: &Path, track: usize) -> Vec<(i64, i64, bool)> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "packet=pts_time,dts_time,flags", "-of", "csv=p=0"])
        .args(["-select_streams", &track.to_string()])
        .arg(path)
        .output()
        .expect("ffprobe");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.is_empty(), "{}: {said}", path.display());
    let micros = |text: &str| (text.parse::<f64>().unwrap() * 1e6).round() as i64;
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        (micros(fields[0]), micros(fields[1]), fields[2].starts_with('K'))
    };
    text.lines().map(line).collect()
}

fn muxer(tracks: &[Track], lead_us: i64) -> Muxer {
    let muxed = |(track, index): (&Track, u16)| Muxed { track: track.clone(), index, lead_us };
    Muxer::new(tracks.iter().zip(0..).map(muxed).collect()).unwrap()
}

fn of_track(packets: &[Packet], track: u16) -> Vec<&Packet> {
    packets.iter().filter(|packet| packet.header.track == track).collect()
}

fn assert_read(path: &Path, packets: &[Packet], tracks: &[Track], origin_us: i64) {
    for (index, track) in (0..).zip(tracks) {
        let read = probe(path, usize::from(index));
        let written = of_track(packets, index);
        assert_eq!(read.len(), written.len(), "{track}");
        for (packet, (pts_us, dts_us, key)) in written.iter().zip(read) {
            let header = &packet.header;
            let off_us = (pts_us - (header.pts_us - origin_us)).abs();
            assert!(off_us <= 30, "{track} at {}: {off_us} us off", header.pts_us);
            assert!((dts_us - (header.dts_us - origin_us)).abs() <= 30, "{track}");
            assert_eq!(key, header.key, "{track} at {}", header.pts_us);
        }
    }
}

#[test]
fn a_fragment_a_packet_is_a_live_stream() {
    let dir = tempfile::tempdir().unwrap();
    for (name, (description, packets)) in [("live", live(60)), ("mjpeg", mjpeg(30, 0, (1, 1)))] {
        let tracks = &description.tracks;
        let mut muxer = muxer(tracks, 0);
        let mut file = muxer.header(None).to_vec();
        // What a viewer gets that comes late: times do not start at 0.
        let origin_us = -3_600_000_000;
        for packet in &packets {
            let header = &packet.header;
            muxer.push(packet, header.pts_us - origin_us, header.dts_us - origin_us);
            muxer.settle();
            let fragment = muxer.fragment().expect("each packet is a fragment");
            let most = mux::OVERHEAD + mux::TRACK_OVERHEAD + mux::PACKET_OVERHEAD;
            assert!(fragment.len() <= packet.payload.len() + most);
            file.extend(&fragment);
        }
        assert!(muxer.fragment().is_none(), "nothing is said twice");
        let path = dir.path().join(name).with_extension("mp4");
        std::fs::write(&path, file).unwrap();
        assert_read(&path, &packets, tracks, origin_us);
    }
}

/// A movie as a file of parts whose sizes are known before they are made.
fn parts_of(movie: &mut Segmented) -> (Vec<u8>, Vec<Packet>) {
    let first = movie.packets(0).unwrap()[0].header;
    let lead_us = first.pts_us - first.dts_us;
    let plan = movie.plan().clone();
    let tracks = plan.tracks();
    let mut muxer = muxer(tracks, lead_us);
    let beside = mux::OVERHEAD + tracks.len() * mux::TRACK_OVERHEAD + 8;
    let parts: Vec<Part> = plan
        .segments()
        .iter()
        .map(|segment| Part {
            bytes: segment.bytes + beside as u32,
            duration_us: segment.duration_us,
            key: segment.key,
        })
        .collect();
    let start_us = plan.segments()[0].start_us + lead_us;
    let timescales: Vec<u32> = tracks.iter().map(mux::timescale).collect();
    let index = mux::index(&timescales, start_us.unsigned_abs(), &parts).unwrap();
    let mut file = [muxer.header(Some(plan.duration_us())), index].concat();
    let mut all = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let packets = movie.packets(number).unwrap();
        for packet in &packets {
            muxer.push(packet, packet.header.pts_us, packet.header.dts_us);
        }
        muxer.settle();
        let fragment = muxer.fragment().unwrap();
        file.extend(&fragment);
        let room = part.bytes - fragment.len() as u32;
        assert!(room >= 8, "segment {number} has no room to be filled up");
        file.extend(mux::padding(room));
        all.extend(packets);
    }
    (file, all)
}

#[test]
fn a_movie_in_parts_of_known_size_is_the_movie_and_is_read_from_any_point() {
    let dir = tempfile::tempdir().unwrap();
    // The other one goes through ffmpeg.
    for sample in [&samples()[0], &samples()[2]] {
        let mut movie = Movie::open(sample).unwrap();
        let plan = Arc::new(Plan::new(&mut movie, sample, None).unwrap());
        let mut movie = Segmented::open(sample, plan.clone()).unwrap();
        let (file, packets) = parts_of(&mut movie);
        let path = dir.path().join(sample.file_name().unwrap());
        std::fs::write(&path, file).unwrap();
        assert_read(&path, &packets, plan.tracks(), 0);
        let length = Command::new("ffprobe")
            .args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"])
            .arg(&path)
            .output()
            .unwrap();
        let seconds: f64 = String::from_utf8_lossy(&length.stdout).trim().parse().unwrap();
        let expected = plan.duration_us() as f64 / 1e6;
        assert!((seconds - expected).abs() < 0.2, "{seconds} s, not {expected}");
        // Seeking uses the index: the packet at the fourth second is found.
        let seek = Command::new("ffmpeg")
            .args(["-v", "error", "-ss", "4", "-i"])
            .arg(&path)
            .args(["-frames:v", "1", "-f", "null", "-"])
            .output()
            .unwrap();
        assert!(seek.status.success() && seek.stderr.is_empty(), "{seek:?}");
    }
}

#[test]
fn times_that_go_backwards_and_packets_of_no_length_are_written_in_order() {
    let (description, mut packets) = live(10);
    packets.iter_mut().for_each(|packet| packet.header.duration_us = 0);
    packets.retain(|packet| packet.header.track == 0);
    packets[4].header.dts_us = -1_000_000;
    packets[5].header.pts_us = i64::MIN;
    packets[6].header.dts_us = i64::MAX;
    let mut muxer = muxer(&description.tracks[..1], 0);
    let mut file = muxer.header(None).to_vec();
    for packet in &packets {
        muxer.push(packet, packet.header.pts_us, packet.header.dts_us);
        muxer.settle();
        file.extend(muxer.fragment().unwrap_or_default());
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("odd.mp4");
    std::fs::write(&path, file).unwrap();
    let read = probe(&path, 0);
    let times: Vec<i64> = read.iter().map(|(pts_us, ..)| *pts_us).collect();
    let expected = [0, 40_000, 80_000, 120_000, 160_000, 280_000, 320_000, 360_000];
    assert_eq!(times, expected, "impossible times are left out");
    assert!(read.windows(2).all(|pair| pair[0].1 < pair[1].1), "{read:?}");
}

#[test]
fn browsers_are_told_what_is_in_it() {
    let (description, _) = live(1);
    let mime = mux::mime(&description.tracks);
    assert!(mime.starts_with("video/mp4; codecs=\"avc1.42") && mime.ends_with(",opus\""), "{mime}");
    let sample = Movie::open(&samples()[0]).unwrap();
    let mime = mux::mime(sample.tracks());
    assert!(mime.ends_with(",mp4a.40.2\""), "{mime}");
    assert_eq!(mux::mime(&description.tracks[1..]), "audio/mp4; codecs=\"opus\"");
}

#[test]
fn an_index_of_more_than_it_can_name_is_none() {
    let part = Part { bytes: 100, duration_us: 1, key: true };
    assert!(mux::index(&[1_000_000], 0, &vec![part; 65_535]).is_some());
    assert!(mux::index(&[1_000_000], 0, &vec![part; 65_536]).is_none());
    assert!(mux::index(&[1_000_000], 0, &[Part { bytes: u32::MAX, ..part }]).is_none());
    assert!(limits::SEGMENT < i32::MAX as usize, "every segment is small enough");
}
