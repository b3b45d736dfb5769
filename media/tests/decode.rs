//! The sample movies decode completely, in order, to what ffmpeg makes of them.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use std::path::Path;

use media::Picture;
use media::decode::VideoDecoder;
use media::demux::Movie;
use media::picture::{Pixels, Yuv};
use support::samples;

/// Decodes a movie's pictures, one at a time; gives the presentation times of their packets.
fn decode(path: &Path, mut see: impl FnMut(&Picture)) -> Vec<i64> {
    let mut movie = Movie::open(path).unwrap();
    let video = movie.tracks().iter().position(|track| track.is_video()).unwrap();
    let mut decoder = VideoDecoder::new(&movie.tracks()[video]).unwrap();
    let mut times = Vec::new();
    while let Some(packet) = movie.next_packet().unwrap() {
        if usize::from(packet.header.track) == video {
            times.push(packet.header.pts_us);
            decoder.decode(&packet).unwrap().iter().for_each(&mut see);
        }
    }
    decoder.flush().iter().for_each(see);
    assert_eq!(decoder.skipped(), 0);
    times
}

fn yuv(picture: &Picture) -> &Yuv {
    match &picture.pixels {
        Pixels::Yuv(yuv) => yuv,
        Pixels::Rgb(_) => panic!("H.264 decodes to planes"),
    }
}

#[test]
fn every_packet_of_every_sample_becomes_a_picture_in_its_place() {
    for path in samples() {
        let mut shown = Vec::new();
        let mut times = decode(&path, |picture| shown.push(picture.pts_us));
        times.sort_unstable();
        assert_eq!(shown, times, "{}", path.display());
    }
}

#[test]
fn pictures_without_b_frames_are_those_of_ffmpeg_to_the_bit() {
    // zlib.adler32 of: ffmpeg -i big-buck-bunny-720p-5s.mp4 -f rawvideo -pix_fmt yuv420p
    let (mut low, mut high) = (1u32, 0u32);
    decode(&samples()[1], |picture| {
        let yuv = yuv(picture);
        for byte in yuv.y.iter().chain(&yuv.u).chain(&yuv.v) {
            low = (low + u32::from(*byte)) % 65_521;
            high = (high + low) % 65_521;
        }
    });
    assert_eq!(high << 16 | low, 623954030);
}

#[test]
fn b_frames_come_where_ffmpeg_shows_them() {
    // The mean luma of pictures 4 to 51, which fade in: ffmpeg's signalstats, YAVG.
    let means = [
        16.98, 17.82, 18.76, 18.94, 20.84, 21.90, 23.05, 25.00, 26.80, 28.67, 30.77, 32.77, 35.37,
        37.72, 40.53, 43.52, 46.23, 49.44, 53.04, 56.19, 59.94, 63.86, 67.42, 71.55, 76.09, 80.02,
        84.66, 89.54, 93.96, 99.03, 104.44, 109.28, 114.81, 120.67, 125.89, 131.91, 138.16, 143.94,
        150.35, 157.12, 163.28, 170.17, 177.31, 183.88, 190.91, 198.62, 205.77, 205.71,
    ];
    let mut found = Vec::new();
    decode(&samples()[0], |picture| {
        let luma = &yuv(picture).y;
        let sum: u64 = luma.iter().copied().map(u64::from).sum();
        found.push(sum as f64 / luma.len() as f64);
    });
    for (index, (found, expected)) in found[4..].iter().zip(means).enumerate() {
        assert!((found - expected).abs() < 0.02, "{found} for {expected} in picture {}", index + 4);
    }
}
