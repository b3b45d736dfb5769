//! H.264 there and back.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use media::Picture;
use media::decode::VideoDecoder;
use media::encode::{H264Encoder, h264};
use media::h264::Avcc;
use media::picture::{Matrix, Pixels};
use proto::{Packet, Track};

const SIZE: (u32, u32) = (320, 180);

fn encoder((width, height): (u32, u32)) -> H264Encoder {
    let config = h264::Config { width, height, frame_rate: (25, 1), bitrate: 2_000_000 };
    H264Encoder::new(config).unwrap()
}

/// `count` pictures of 25 a second and their packets; key frames at the indices of `forced`.
fn encoded(count: u32, forced: &[u32], size: (u32, u32)) -> (Vec<Picture>, Vec<Packet>, Track) {
    let mut encoder = encoder(size);
    let pictures: Vec<_> = (0..count).map(|i| support::pattern(i, size.0, size.1)).collect();
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
    let (pictures, packets, track) = encoded(60, &[], SIZE);
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
    let (_, packets, _) = encoded(130, &[7], SIZE);
    let keys: Vec<_> =
        packets.iter().filter(|p| p.header.key).map(|p| p.header.pts_us / 40_000).collect();
    assert_eq!(keys, [0, 7, 57, 107]);
}

/// Parameter sets in front of a packet, as some cameras send them.
fn with_sets(track: &Track, packet: &Packet) -> Packet {
    let avcc = Avcc::parse(&track.codec_config).unwrap();
    let mut payload = Vec::new();
    for set in avcc.sps.iter().chain(&avcc.pps) {
        payload.extend(u32::try_from(set.len()).unwrap().to_be_bytes());
        payload.extend(set);
    }
    payload.extend(&packet.payload);
    Packet { payload: payload.into(), ..packet.clone() }
}

#[test]
fn a_stream_may_change_its_size_at_a_key_frame() {
    let (_, packets, track) = encoded(5, &[], SIZE);
    let (larger, more, other) = encoded(5, &[], (640, 360));
    let mut decoder = VideoDecoder::new(&track).unwrap();
    let mut sizes = Vec::new();
    for packet in packets.iter().chain([&with_sets(&other, &more[0])]).chain(&more[1..]) {
        sizes.extend(decoder.decode(packet).unwrap().iter().map(|p| (p.width, p.height)));
    }
    assert_eq!(sizes, [[SIZE; 5], [(640, 360); 5]].concat());
    assert_eq!((decoder.skipped(), larger[0].width), (0, 640));
}

#[test]
fn packets_without_a_slice_cost_nothing() {
    let (_, packets, track) = encoded(6, &[], SIZE);
    let mut decoder = VideoDecoder::new(&track).unwrap();
    // An access unit delimiter, SEI, parameter sets, nothing at all.
    let bare = |payload: Vec<u8>| Packet { payload: payload.into(), ..packets[0].clone() };
    let sets = with_sets(&track, &Packet::default()).payload.to_vec();
    let extras = [vec![0, 0, 0, 2, 9, 0xf0], vec![0, 0, 0, 3, 6, 0x80, 0x80], sets, Vec::new()];
    let mut pictures = 0;
    for packet in &packets {
        for extra in &extras {
            pictures += decoder.decode(&bare(extra.clone())).unwrap().len();
        }
        pictures += decoder.decode(packet).unwrap().len();
    }
    assert_eq!((pictures, decoder.skipped()), (6, 0));
}

#[test]
fn what_openh264_cannot_decode_is_said_before_it_is_tried() {
    let (_, _, track) = encoded(1, &[], SIZE);
    let avcc = Avcc::parse(&track.codec_config).unwrap();
    // High 4:2:2 at 10 bits, as x264 writes it.
    let sps = [0x67, 122, 0, 13, 0xac, 0xb6, 0xd0, 0xa0, 0xcf, 0x80];
    let record = Avcc { sps: vec![sps.to_vec()], ..avcc }.to_bytes().unwrap();
    let deep = Track { codec_config: record.into(), ..track.clone() };
    let error = VideoDecoder::new(&deep).err().unwrap().to_string();
    assert!(error.contains("ffmpeg"), "{error}");
    let none = Track { codec_config: Default::default(), ..track };
    let error = VideoDecoder::new(&none).err().unwrap().to_string();
    assert!(error.contains("codec configuration"), "{error}");
}

#[test]
fn pictures_of_other_colours_or_formats_encode_too() {
    let mut encoder = encoder(SIZE);
    let first = support::pattern(0, SIZE.0, SIZE.1);
    encoder.encode(&first, false).unwrap().unwrap();
    let before = encoder.track().unwrap();
    let mut rgb = Vec::new();
    first.to_rgb(&mut rgb);
    let packed = Picture { pts_us: 40_000, pixels: Pixels::Rgb(rgb), ..first.clone() };
    let coded = encoder.encode(&packed, false).unwrap().unwrap();
    // 320x180 is standard definition: other coefficients, so a key frame with new parameter sets.
    assert!(coded.key);
    let after = encoder.track().unwrap();
    assert_ne!(before.codec_config, after.codec_config);
    let mut decoder = VideoDecoder::new(&after).unwrap();
    let decoded = decoder.decode(&support::video_packet(&packed, coded)).unwrap();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    packed.to_rgb(&mut before);
    decoded[0].to_rgb(&mut after);
    let bytes = |rgb: &[u32]| rgb.iter().flat_map(|p| p.to_be_bytes()).collect::<Vec<u8>>();
    let psnr = support::psnr_of(&bytes(&before), &bytes(&after));
    assert!(psnr > 30.0, "{psnr} dB");
}

#[test]
fn sizes_that_h264_does_not_take_are_said() {
    for (width, height) in [(0, 0), (321, 180), (320, 181), (8000, 4000), (4096, 2160)] {
        let config = h264::Config { width, height, frame_rate: (25, 1), bitrate: 1_000_000 };
        let error = H264Encoder::new(config).err().unwrap().to_string();
        assert!(error.contains("even"), "{error}");
    }
    let mut encoder = encoder(SIZE);
    let error = encoder.encode(&support::pattern(0, 64, 64), false).unwrap_err().to_string();
    assert!(error.contains("64x64"), "{error}");
}
