//! Pictures and sound the tests make themselves.
#![allow(dead_code)] // each test file uses its own part
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use media::Picture;
use media::encode::{H264Encoder, OpusEncoder, h264};
use media::picture::{Matrix, Pixels, Subsampling, Yuv};
use proto::packet::PacketHeader;
use proto::stream::{Audio, AudioCodec, Media, Video, VideoCodec};
use proto::{Packet, StreamDescription, Track};
use serde_bytes::ByteBuf;

/// A moving gradient with a bright square, different for each `index`.
pub(crate) fn pattern(index: u32, width: u32, height: u32) -> Picture {
    let plane = |w: u32, h: u32, sample: &dyn Fn(u32, u32) -> u32| -> Vec<u8> {
        (0..w * h).map(|i| sample(i % w, i / w).clamp(16, 235) as u8).collect()
    };
    let (cw, ch) = Subsampling::Half.chroma_size(width, height);
    let square = |x: u32, y: u32| {
        let left = index * 7 % width;
        x >= left && x < left + width / 8 && y >= height / 4 && y < height / 2
    };
    let y = plane(width, height, &|x, y| {
        if square(x, y) { 230 } else { 30 + (x + y + index * 2) * 150 / (width + height) }
    });
    let u = plane(cw, ch, &|x, _| 60 + x * 120 / cw);
    let v = plane(cw, ch, &|_, y| 60 + y * 120 / ch);
    let pixels = Pixels::Yuv(Yuv {
        y,
        u,
        v,
        subsampling: Subsampling::Half,
        matrix: Matrix::Bt709,
        full_range: false,
    });
    Picture { pts_us: i64::from(index) * 40_000, width, height, pixels }
}

/// Peak signal-to-noise ratio of the luma of two pictures of one size, decibels.
pub(crate) fn psnr(a: &Picture, b: &Picture) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    psnr_of(&a.to_yuv420().y, &b.to_yuv420().y)
}

/// Peak signal-to-noise ratio of two planes, decibels.
pub(crate) fn psnr_of(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    10.0 * (255.0f64.powi(2) * a.len() as f64 / squares.max(1e-9)).log10()
}

/// The sample movies of the project.
pub(crate) fn samples() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples");
    ["big-buck-bunny-480p-30s.mp4", "big-buck-bunny-720p-5s.mp4", "city-360p-7s-silent.mp4"]
        .map(|name| dir.join(name))
        .to_vec()
}

/// A stream of these tracks.
pub(crate) fn described(tracks: Vec<Track>) -> StreamDescription {
    StreamDescription {
        name: "test".into(),
        title: "A test".into(),
        live: true,
        run: 1,
        duration_us: None,
        tracks,
    }
}

/// A sound track that needs no configuration.
pub(crate) fn audio_track(codec: AudioCodec) -> Track {
    let media = Media::Audio(Audio { codec, sample_rate: 48_000, channels: 2 });
    Track { media, codec_config: ByteBuf::new(), language: String::new() }
}

/// `count` pictures of 25 a second as H.264 on track 0 and a tone as Opus on track 1, in the order
/// of a live source.
pub(crate) fn live(count: u32) -> (StreamDescription, Vec<Packet>) {
    let (width, height) = (160, 96);
    let config = h264::Config { width, height, frame_rate: (25, 1), bitrate: 500_000 };
    let mut encoder = H264Encoder::new(config).unwrap();
    let mut opus = OpusEncoder::new(2, 64_000).unwrap();
    let mut packets = Vec::new();
    for index in 0..count {
        let picture = pattern(index, width, height);
        let coded = encoder.encode(&picture, index % 50 == 0).unwrap().unwrap();
        packets.push(video_packet(&picture, coded));
        let tone: Vec<f32> = (0..1920u32)
            .map(|i| (index * 1920 + i) as f32 * 0.05)
            .flat_map(|phase| [phase.sin() * 0.3, phase.cos() * 0.3])
            .collect();
        let sound = opus.push(&tone, picture.pts_us).unwrap();
        packets.extend(sound.into_iter().map(|mut packet| {
            packet.header.track = 1;
            packet
        }));
    }
    (described(vec![encoder.track().unwrap(), opus.track()]), packets)
}

/// The packet of a picture from an encoder without B-frames at 25 frames a second.
pub(crate) fn video_packet(picture: &Picture, coded: h264::Encoded) -> Packet {
    let header = PacketHeader {
        key: coded.key,
        pts_us: picture.pts_us,
        dts_us: picture.pts_us,
        duration_us: 40_000,
        ..PacketHeader::default()
    };
    Packet { header, payload: coded.payload }
}

/// `count` JPEGs of 25 a second.
pub(crate) fn mjpeg(
    count: u32,
    rotation: u16,
    pixel_aspect: (u32, u32),
) -> (StreamDescription, Vec<Packet>) {
    let (width, height) = (160, 96);
    let video = Video {
        codec: VideoCodec::Mjpeg,
        width,
        height,
        pixel_aspect,
        rotation,
        frame_rate: (25, 1),
    };
    let packets = (0..count).map(|index| {
        let picture = pattern(index, width, height);
        let payload = media::encode::jpeg(&picture, 80).unwrap();
        video_packet(&picture, h264::Encoded { key: true, payload })
    });
    let media = Media::Video(video);
    let track = Track { media, codec_config: ByteBuf::new(), language: String::new() };
    (described(vec![track]), packets.collect())
}
