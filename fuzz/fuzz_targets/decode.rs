//! Decoders, fed as a hostile server would: a track of its choice, then packets of its choice. Input:
//! the codec, the length of its configuration, the configuration, then length and bytes of each packet.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use media::decode::{AudioDecoder, VideoDecoder};
use proto::stream::{Audio, AudioCodec, Media, Video, VideoCodec};
use proto::{Packet, PacketHeader, Track};

fn take<'a>(data: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = data.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (piece, rest) = rest.split_at(length);
    *data = rest;
    Some(piece)
}

fn video(codec: VideoCodec) -> Media {
    let (width, height, pixel_aspect, rotation, frame_rate) = (64, 48, (1, 1), 0, (25, 1));
    Media::Video(Video { codec, width, height, pixel_aspect, rotation, frame_rate })
}

fn audio(codec: AudioCodec) -> Media {
    Media::Audio(Audio { codec, sample_rate: 48_000, channels: 2 })
}

fuzz_target!(|data: &[u8]| {
    let Some((codec, mut data)) = data.split_first() else { return };
    let media = match codec % 8 {
        0 => video(VideoCodec::H264),
        1 => video(VideoCodec::Mjpeg),
        2 => audio(AudioCodec::Aac),
        3 => audio(AudioCodec::Opus),
        4 => audio(AudioCodec::Mp3),
        5 => audio(AudioCodec::Flac),
        6 => audio(AudioCodec::Vorbis),
        _ => audio(AudioCodec::PcmS16Le),
    };
    let Some(config) = take(&mut data) else { return };
    let track = Track { media, codec_config: config.to_vec().into(), language: String::new() };
    let mut packets = std::iter::from_fn(|| take(&mut data)).enumerate().map(|(n, payload)| {
        let time = n as i64 * 40_000;
        let header = PacketHeader { key: n == 0, pts_us: time, dts_us: time, ..Default::default() };
        Packet { header, payload: Bytes::copy_from_slice(payload) }
    });
    if track.is_video() {
        let Ok(mut decoder) = VideoDecoder::new(&track) else { return };
        packets.by_ref().take(50).for_each(|packet| drop(decoder.decode(&packet)));
        decoder.flush();
    } else {
        let Ok(mut decoder) = AudioDecoder::new(&track) else { return };
        packets.by_ref().take(50).for_each(|packet| drop(decoder.decode(&packet)));
    }
});
