//! Sound there and back.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use media::Sound;
use media::decode::AudioDecoder;
use media::encode::OpusEncoder;
use proto::stream::AudioCodec;
use proto::{Packet, packet::PacketHeader};

/// A second of silence with a click half way: the loudest sample of what comes out of the decoder.
fn click_after(channels: u16, start_us: i64, chunk: usize) -> i64 {
    let mut samples = vec![0.0f32; 48_000 * usize::from(channels)];
    let at = 24_000 * usize::from(channels);
    samples[at..at + usize::from(channels)].fill(0.9);
    let mut encoder = OpusEncoder::new(channels, 96_000).unwrap();
    let mut packets = Vec::new();
    for (index, part) in samples.chunks(chunk * usize::from(channels)).enumerate() {
        let pts_us = start_us + (index * chunk) as i64 * 1_000_000 / 48_000;
        packets.extend(encoder.push(part, pts_us).unwrap());
    }
    let mut decoder = AudioDecoder::new(&encoder.track()).unwrap();
    let (mut loudest, mut loudest_us) = (0.0, 0);
    for packet in &packets {
        let Some(sound) = decoder.decode(packet).unwrap() else { continue };
        assert_eq!((sound.sample_rate, sound.channels), (48_000, channels));
        for (index, frame) in sound.samples.chunks(usize::from(channels)).enumerate() {
            if frame[0].abs() > loudest {
                loudest = frame[0].abs();
                loudest_us = sound.pts_us + index as i64 * 1_000_000 / 48_000;
            }
        }
    }
    assert!(loudest > 0.1, "the click is gone");
    assert_eq!(decoder.skipped(), 0);
    loudest_us - start_us
}

#[test]
fn a_click_stays_within_a_millisecond_through_opus() {
    for (channels, start_us, chunk) in [(1, 0, 960), (2, 0, 480), (2, 5_000_000, 1000), (1, 7, 64)]
    {
        let off_us = click_after(channels, start_us, chunk) - 500_000;
        assert!(off_us.abs() <= 1_000, "{off_us} us off with chunks of {chunk}");
    }
}

#[test]
fn opus_packets_are_20_ms_and_begin_before_the_sound_by_the_pre_skip() {
    let mut encoder = OpusEncoder::new(2, 64_000).unwrap();
    let packets = encoder.push(&vec![0.1; 2 * 4800], 1_000_000).unwrap();
    let times: Vec<_> = packets.iter().map(|p| p.header.pts_us).collect();
    assert_eq!(times, [993_500, 1_013_500, 1_033_500, 1_053_500, 1_073_500]);
    assert!(packets.iter().all(|p| p.header.key && p.header.duration_us == 20_000));
    let head = encoder.track().codec_config.into_vec();
    assert_eq!(head[..8], *b"OpusHead");
    assert_eq!((head[9], u16::from_le_bytes([head[10], head[11]])), (2, 312));
}

#[test]
fn a_gap_in_the_input_stays_a_gap() {
    let mut encoder = OpusEncoder::new(1, 64_000).unwrap();
    let mut packets = encoder.push(&vec![0.1; 1000], 0).unwrap();
    packets.extend(encoder.push(&vec![0.1; 960], 1_000_000).unwrap());
    let times: Vec<_> = packets.iter().map(|p| p.header.pts_us).collect();
    assert_eq!(times, [-6_500, 13_500, 993_500], "the packet begun before the gap ends in silence");
}

#[test]
fn a_late_sound_card_shifts_the_packets_and_breaks_nothing() {
    let mut encoder = OpusEncoder::new(1, 64_000).unwrap();
    let mut times = Vec::new();
    for index in 0..50i64 {
        let drift_us = index * 10;
        let packets = encoder.push(&vec![0.1; 480], index * 10_000 + drift_us).unwrap();
        times.extend(packets.iter().map(|p| p.header.pts_us));
    }
    assert_eq!(times.len(), 25);
    assert!(times.windows(2).all(|w| (20_000..20_100).contains(&(w[1] - w[0]))), "{times:?}");
}

#[test]
fn the_run_up_before_0_is_cut_off_to_the_sample() {
    let (channels, rate) = (2, 48_000);
    let mut track = support::audio_track(AudioCodec::PcmS16Le);
    track.language = "deu".into();
    let mut decoder = AudioDecoder::new(&track).unwrap();
    // 480 stereo frames, each holding its own index, that start 1 ms (48 frames) too early.
    let payload: Vec<u8> = (0..480i16).flat_map(|i| [i, -i]).flat_map(i16::to_le_bytes).collect();
    let packet = |pts_us| Packet {
        header: PacketHeader { pts_us, ..PacketHeader::default() },
        payload: payload.clone().into(),
    };
    let sound = decoder.decode(&packet(-1_000)).unwrap().unwrap();
    assert_eq!((sound.pts_us, sound.sample_rate, sound.channels), (0, rate, channels));
    assert_eq!(sound.frames(), 432);
    assert_eq!((sound.samples[0] * 32768.0).round() as i32, 48);
    assert_eq!(decoder.decode(&packet(-10_000)).unwrap(), None);
    let whole = decoder.decode(&packet(500)).unwrap().unwrap();
    assert_eq!((whole.pts_us, whole.frames(), whole.duration_us()), (500, 480, 10_000));
}

#[test]
fn the_sample_movies_sound_decodes_completely() {
    let mut movie = media::demux::Movie::open(&support::samples()[0]).unwrap();
    let track = movie.tracks().iter().position(|t| !t.is_video()).unwrap();
    let mut decoder = AudioDecoder::new(&movie.tracks()[track]).unwrap();
    let mut last: Option<Sound> = None;
    let (mut frames, mut loudest) = (0, 0.0f32);
    while let Some(packet) = movie.next_packet().unwrap() {
        if usize::from(packet.header.track) != track {
            continue;
        }
        let Some(sound) = decoder.decode(&packet).unwrap() else { continue };
        if let Some(last) = last {
            let gap_us = sound.pts_us - (last.pts_us + last.duration_us());
            assert!(gap_us.abs() < 50, "{gap_us} us between packets at {}", sound.pts_us);
        }
        frames += sound.frames();
        loudest = sound.samples.iter().fold(loudest, |most, s| most.max(s.abs()));
        last = Some(sound);
    }
    assert_eq!(decoder.skipped(), 0);
    assert!((frames as f64 / 48_000.0 - 30.0).abs() < 0.05, "{frames} samples");
    assert!((0.1..1.5).contains(&loudest), "{loudest}");
}

#[test]
fn settings_that_opus_does_not_take_are_said() {
    for (channels, bitrate) in [(0, 64_000), (6, 64_000), (2, 0), (2, 1_000_000)] {
        let error = OpusEncoder::new(channels, bitrate).err().unwrap().to_string();
        assert!(error.contains("1 or 2 channels"), "{error}");
    }
}
