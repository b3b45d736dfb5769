//! Sound that was converted to Opus is the sound that it was.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use media::decode::AudioDecoder;
use media::transcode::ToOpus;
use proto::packet::PacketHeader;
use proto::stream::{Audio, AudioCodec, Media};
use proto::{Packet, Track};
use serde_bytes::ByteBuf;

const TONE: f64 = 997.0;

/// Two seconds of a tone from `start_us` on, as PCM in packets of 20 ms.
fn pcm(rate: u32, channels: u16, start_us: i64) -> (Track, Vec<Packet>) {
    let audio = Audio { codec: AudioCodec::PcmS16Le, sample_rate: rate, channels };
    let media = Media::Audio(audio);
    let track = Track { media, codec_config: ByteBuf::new(), language: "deu".into() };
    let frames = rate / 50;
    let packet = |index: u32| {
        let sample = |i: u32| {
            let at = f64::from(index * frames + i) / f64::from(rate);
            let value = ((at * TONE * std::f64::consts::TAU).sin() * 10_000.0) as i16;
            std::iter::repeat_n(value, usize::from(channels)).flat_map(i16::to_le_bytes)
        };
        let pts_us = start_us + i64::from(index) * 20_000;
        let header = PacketHeader {
            track: 1,
            key: true,
            pts_us,
            dts_us: pts_us,
            duration_us: 20_000,
            ..PacketHeader::default()
        };
        Packet { header, payload: (0..frames).flat_map(sample).collect::<Vec<u8>>().into() }
    };
    (track, (0..100).map(packet).collect())
}

#[test]
fn a_tone_keeps_its_pitch_and_its_time() {
    for (rate, channels) in [(48_000, 2), (44_100, 2), (44_100, 1), (22_050, 2)] {
        let (track, packets) = pcm(rate, channels, 5_000_000);
        let mut converter = ToOpus::new(&track).unwrap();
        let opus = converter.track();
        assert_eq!(opus.language, "deu");
        let mut converted: Vec<Packet> =
            packets.iter().flat_map(|packet| converter.convert(packet)).collect();
        converted.extend(converter.flush(1));
        assert!(converted.iter().all(|packet| packet.header.track == 1 && packet.header.key));
        assert!(converted.len().abs_diff(101) <= 2, "{} packets at {rate} Hz", converted.len());
        let steps = converted.windows(2);
        let even = |pair: &[Packet]| pair[1].header.pts_us - pair[0].header.pts_us;
        let steps: Vec<i64> = steps.map(even).collect();
        assert!(steps.iter().all(|step| (step - 20_000).abs() <= 500), "{steps:?} at {rate} Hz");
        // Where the tone crosses zero upwards near 6 s, heard and computed.
        let mut decoder = AudioDecoder::new(&opus).unwrap();
        let (mut crossings, mut before) = (Vec::new(), None);
        for packet in &converted {
            let sound = decoder.decode(packet).unwrap().unwrap();
            for (index, frame) in sound.samples.chunks(usize::from(channels)).enumerate() {
                let at_us = sound.pts_us as f64 + index as f64 * 1e6 / 48_000.0;
                if let Some(before) = before.replace(frame[0])
                    && before < 0.0
                    && frame[0] >= 0.0
                    && (6e6..6.5e6).contains(&at_us)
                {
                    crossings
                        .push(at_us - 1e6 / 48_000.0 * f64::from(frame[0] / (frame[0] - before)));
                }
            }
        }
        let period_us = 1e6 / TONE;
        assert!(crossings.len().abs_diff((0.5 * TONE) as usize) <= 1, "{}", crossings.len());
        let off = crossings.iter().map(|at| {
            let phase = ((at - 5e6) / period_us).rem_euclid(1.0);
            phase.min(1.0 - phase) * period_us
        });
        let worst = off.fold(0.0, f64::max);
        assert!(worst < 60.0, "{worst} us off at {rate} Hz");
    }
}

#[test]
fn sound_that_jumps_goes_on_where_it_jumped_to() {
    let (track, packets) = pcm(44_100, 2, 0);
    let (_, later) = pcm(44_100, 2, 60_000_000);
    let mut converter = ToOpus::new(&track).unwrap();
    let all = packets.iter().chain(&later);
    let converted: Vec<Packet> = all.flat_map(|packet| converter.convert(packet)).collect();
    let between = converted.iter().filter(|p| (2_100_000..59_900_000).contains(&p.header.pts_us));
    assert_eq!(between.count(), 0);
    let last = converted.last().unwrap().header.pts_us;
    assert!((61_900_000..62_000_000).contains(&last), "{last}");
}

#[test]
fn broken_packets_are_left_out() {
    let (track, mut packets) = pcm(44_100, 2, 0);
    packets[10].payload = bytes::Bytes::from_static(b"x");
    packets[20].header.pts_us = i64::MAX;
    packets[21].header.pts_us = i64::MIN;
    let mut converter = ToOpus::new(&track).unwrap();
    let converted = packets.iter().flat_map(|packet| converter.convert(packet)).count();
    assert!((80..110).contains(&converted), "{converted}");
    converter.flush(1);
}
