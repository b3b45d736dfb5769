//! Whatever comes over the network as a packet: decoders neither panic nor grow, and go on.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use std::sync::OnceLock;

use media::decode::{AudioDecoder, VideoDecoder};
use proptest::prelude::*;
use proto::stream::{Audio, AudioCodec, Media};
use proto::{Packet, StreamDescription, Track};
use serde_bytes::ByteBuf;

/// What is done to one packet's bytes.
#[derive(Clone, Debug)]
enum Damage {
    Cut(prop::sample::Index),
    Flip(Vec<prop::sample::Index>),
    Replace(Vec<u8>),
    Append(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Damage::Cut),
        prop::collection::vec(any::<prop::sample::Index>(), 1..20).prop_map(Damage::Flip),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Damage::Replace),
        prop::collection::vec(any::<u8>(), 1..50).prop_map(Damage::Append),
    ]
}

fn damaged(payload: &[u8], damage: &Damage) -> Vec<u8> {
    let mut bytes = payload.to_vec();
    match damage {
        Damage::Cut(at) => bytes.truncate(at.index(payload.len() + 1)),
        Damage::Flip(bits) => {
            for bit in bits.iter().filter(|_| !payload.is_empty()) {
                let bit = bit.index(payload.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
        Damage::Replace(with) => bytes.clone_from(with),
        Damage::Append(more) => bytes.extend(more),
    }
    bytes
}

fn live() -> &'static (StreamDescription, Vec<Packet>) {
    static LIVE: OnceLock<(StreamDescription, Vec<Packet>)> = OnceLock::new();
    LIVE.get_or_init(|| support::live(60))
}

/// Pictures with B-frames: the beginning of a sample movie.
fn movie() -> &'static (Vec<Track>, Vec<Packet>) {
    static MOVIE: OnceLock<(Vec<Track>, Vec<Packet>)> = OnceLock::new();
    MOVIE.get_or_init(|| {
        let mut movie = media::demux::Movie::open(&support::samples()[0]).unwrap();
        let packets = std::iter::from_fn(|| movie.next_packet().unwrap()).take(150).collect();
        (movie.tracks().to_vec(), packets)
    })
}

/// Decodes all, some of them damaged. Gives how many pictures or sounds came out.
fn decode(track: &Track, packets: &[&Packet], damages: &[(prop::sample::Index, Damage)]) -> usize {
    let mut packets: Vec<Packet> = packets.iter().map(|packet| (*packet).clone()).collect();
    for (at, damage) in damages {
        let packet = at.get_mut(&mut packets);
        packet.payload = damaged(&packet.payload, damage).into();
    }
    if track.is_video() {
        let mut decoder = VideoDecoder::new(track).unwrap();
        let mut pictures = 0;
        for packet in &packets {
            let given = decoder.decode(packet).map_or(0, |given| given.len());
            assert!(given <= 17, "more pictures at once than any stream holds back");
            pictures += given;
        }
        pictures + decoder.flush().len()
    } else {
        let mut decoder = AudioDecoder::new(track).unwrap();
        let sounds = packets.iter().filter_map(|packet| decoder.decode(packet).unwrap());
        sounds
            .map(|sound| {
                assert!(sound.samples.len() <= 1 << 20, "a packet became minutes of sound");
                sound.frames()
            })
            .filter(|&frames| frames > 0)
            .count()
    }
}

fn of_track(packets: &[Packet], track: u16) -> Vec<&Packet> {
    packets.iter().filter(|p| p.header.track == track).collect()
}

fn damages() -> impl Strategy<Value = Vec<(prop::sample::Index, Damage)>> {
    prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn broken_h264_costs_pictures_and_nothing_else(damages in damages()) {
        let (description, packets) = live();
        let packets = of_track(packets, 0);
        prop_assert!(decode(&description.tracks[0], &packets, &damages) <= packets.len());
    }

    #[test]
    fn broken_b_frames_cost_pictures_and_nothing_else(damages in damages()) {
        let (tracks, packets) = movie();
        let video = tracks.iter().position(Track::is_video).unwrap();
        let packets = of_track(packets, u16::try_from(video).unwrap());
        prop_assert!(decode(&tracks[video], &packets, &damages) <= packets.len());
    }

    #[test]
    fn broken_opus_and_aac_cost_sound_and_nothing_else(damages in damages()) {
        let (description, packets) = live();
        prop_assert!(decode(&description.tracks[1], &of_track(packets, 1), &damages) > 0);
        let (tracks, packets) = movie();
        let sound = tracks.iter().position(|t| !t.is_video()).unwrap();
        let packets = of_track(packets, u16::try_from(sound).unwrap());
        decode(&tracks[sound], &packets, &damages);
    }

    #[test]
    fn broken_jpegs_cost_their_own_picture(damages in damages()) {
        let (description, packets) = support::mjpeg(6, 0, (1, 1));
        let packets: Vec<_> = packets.iter().collect();
        let pictures = decode(&description.tracks[0], &packets, &damages);
        let untouched = packets.len().saturating_sub(damages.len());
        prop_assert!(pictures >= untouched, "{pictures} pictures of {untouched}");
    }

    #[test]
    fn any_bytes_are_a_codec_configuration_or_an_error(
        config in prop::collection::vec(any::<u8>(), 0..200),
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..500), 1..6),
        codec in prop::sample::select(vec![
            AudioCodec::Aac, AudioCodec::Opus, AudioCodec::Mp3, AudioCodec::Flac,
            AudioCodec::Vorbis, AudioCodec::PcmS16Le,
        ]),
        channels in 1u16..=32,
        sample_rate in 1u32..=384_000,
    ) {
        let media = Media::Audio(Audio { codec, sample_rate, channels });
        let track = Track { media, codec_config: ByteBuf::from(config.clone()), language: String::new() };
        if let Ok(mut decoder) = AudioDecoder::new(&track) {
            for payload in payloads {
                let packet = Packet { payload: payload.into(), ..Packet::default() };
                decoder.decode(&packet).unwrap();
            }
        }
        let mut video = live().0.tracks[0].clone();
        video.codec_config = ByteBuf::from(config);
        prop_assert!(VideoDecoder::new(&video).is_err());
    }

    #[test]
    fn a_damaged_avcc_is_refused_or_decodes_what_it_can(damage in damage()) {
        let (description, packets) = live();
        let mut track = description.tracks[0].clone();
        track.codec_config = ByteBuf::from(damaged(&track.codec_config, &damage));
        if let Ok(mut decoder) = VideoDecoder::new(&track) {
            for packet in of_track(packets, 0).into_iter().take(10) {
                let _ = decoder.decode(packet);
            }
        }
    }
}

#[test]
fn decoding_goes_on_at_the_next_key_frame() {
    let (description, packets) = live();
    let packets = of_track(packets, 0);
    let second_key = packets.iter().rposition(|p| p.header.key).unwrap();
    let mut decoder = VideoDecoder::new(&description.tracks[0]).unwrap();
    let mut shown = Vec::new();
    for (index, packet) in packets.iter().enumerate() {
        let mut packet = (*packet).clone();
        if index == 10 {
            packet.payload = packet.payload.slice(..packet.payload.len() / 2);
        }
        shown.extend(decoder.decode(&packet).unwrap().iter().map(|p| p.pts_us / 40_000));
    }
    let whole: Vec<i64> = (0..10).chain(second_key as i64..packets.len() as i64).collect();
    assert_eq!(shown, whole);
    // All up to the key frame; the cut one itself where the decoder noticed that it was cut.
    let broken = second_key as u64 - 10;
    assert!((broken - 1..=broken).contains(&decoder.skipped()), "{}", decoder.skipped());
}

#[test]
fn a_jpeg_that_claims_to_be_huge_is_refused() {
    let (_, packets) = support::mjpeg(1, 0, (1, 1));
    let mut jpeg = packets[0].payload.to_vec();
    let frame = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    assert_eq!(media::decode::jpeg_picture(&jpeg, 0), None);
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x40, 0, 0x40, 0]);
    assert_eq!(media::decode::jpeg_picture(&jpeg, 0), None);
}
