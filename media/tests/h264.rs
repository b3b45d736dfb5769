//! H.264 there and back.

#![allow(clippy::unwrap_used)] // tests

mod support;

use media::decode::VideoDecoder;
use media::encode::{H264Encoder, h264};
use media::picture::{Matrix, Pixels};
use proto::{Packet, Track};

const SIZE: (u32, u32) = (320, 180);

fn encoder() -> H264Encoder {
    let (width, height) = SIZE;
    let config = h264::Config { width, height, frame_rate: (25, 1), bitrate: 2_000_000 };
    H264Encoder::new(config).unwrap()
}

/// `count` pictures of 25 a second and their packets; key frames at the indices of `forced`.
fn encoded(count: u32, forced: &[u32]) -> (Vec<media::Picture>, Vec<Packet>, Track) {
    let mut encoder = encoder();
    let pictures: Vec<_> = (0..count).map(|i| support::pattern(i, SIZE.0, SIZE.1)).collect();
    let packets = pictures
        .iter()
        .zip(0..)
        .map(|(picture, i)| {
            let coded = encoder.encode(picture, forced.contains(&i)).unwrap().unwrap();
            support::video_packet(picture, coded)
        })
        .collect();
    (pictures, packets, encoder.track().unwrap())
}

#[test]
fn each_packet_gives_its_picture_at_once_with_its_time_and_colours() {
    let (pictures, packets, track) = encoded(60, &[]);
    let mut decoder = VideoDecoder::new(&track).unwrap();
    for (picture, packet) in pictures.iter().zip(&packets) {
        let decoded = decoder.decode(packet).unwrap();
        assert_eq!(decoded.len(), 1, "no picture may be held back at {}", picture.pts_us);
        assert_eq!(decoded[0].pts_us, picture.pts_us);
        let Pixels::Yuv(yuv) = &decoded[0].pixels else { panic!("planes are expected") };
        assert_eq!((yuv.matrix, yuv.full_range), (Matrix::Bt709, false));
        let psnr = support::psnr(picture, &decoded[0]);
        assert!(psnr > 35.0, "{psnr} dB at {}", picture.pts_us);
    }
    assert_eq!(decoder.flush(), []);
    assert_eq!(decoder.skipped(), 0);
}

#[test]
fn key_frames_come_when_forced_and_at_least_every_two_seconds() {
    let (_, packets, _) = encoded(130, &[7]);
    let keys: Vec<_> =
        packets.iter().filter(|p| p.header.key).map(|p| p.header.pts_us / 40_000).collect();
    assert_eq!(keys, [0, 7, 57, 107]);
}
