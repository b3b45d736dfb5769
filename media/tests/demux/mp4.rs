//! Times, edits, fragments, rotation, and what is refused.

use std::io::Cursor;

use media::demux::Refusal;
use media::demux::mp4::Mp4;
use proto::Packet;
use proto::stream::Media;

use super::build::{Base, Layout, Track, mp4, read_mp4};

const LAYOUTS: [Layout; 5] = [
    Layout::MoovFirst,
    Layout::MoovLast,
    Layout::Fragments(Base::Moof),
    Layout::Fragments(Base::Explicit),
    Layout::Fragments(Base::Chained),
];

fn packets(tracks: &[Track], layout: Layout) -> Vec<Packet> {
    let (packets, note) = read_mp4(&mp4(tracks, layout)).expect("playable");
    assert_eq!(note, None);
    packets
}

fn of_track(packets: &[Packet], track: u16) -> Vec<&Packet> {
    packets.iter().filter(|packet| packet.header.track == track).collect()
}

#[test]
fn every_layout_gives_the_same_packets() {
    let tracks = [Track::video_with_b_frames(31), Track::audio(50)];
    for layout in LAYOUTS {
        let packets = packets(&tracks, layout);
        assert!(packets.is_sorted_by_key(|p| p.header.dts_us), "{layout:?}");
        for (index, track) in tracks.iter().enumerate() {
            let given = of_track(&packets, u16::try_from(index).expect("small"));
            assert_eq!(given.len(), track.samples.len(), "{layout:?}");
            let mut dts = 0i64;
            for (packet, sample) in given.iter().zip(&track.samples) {
                let us = |ticks: i64| ticks * 1_000_000 / i64::from(track.timescale);
                let header = packet.header;
                assert_eq!(packet.payload, sample.payload, "{layout:?}");
                assert_eq!(header.key, sample.key, "{layout:?}");
                assert!((header.dts_us - us(dts)).abs() <= 1, "{layout:?} {header:?}");
                let pts = us(dts + i64::from(sample.shift));
                assert!((header.pts_us - pts).abs() <= 1, "{layout:?} {header:?}");
                assert!(i64::from(header.duration_us).abs_diff(us(sample.duration.into())) <= 1);
                dts += i64::from(sample.duration);
            }
        }
    }
}

#[test]
fn tracks_and_length_are_described() {
    for layout in LAYOUTS {
        let file = mp4(&[Track::video(50), Track::audio(94)], layout);
        let movie = Mp4::open(Cursor::new(file)).expect("playable");
        let [video, audio] = movie.tracks() else { panic!("{:?}", movie.tracks()) };
        assert_eq!(video.to_string(), "H.264 854x480 25 fps", "{layout:?}");
        assert_eq!(audio.to_string(), "AAC 48 kHz stereo", "{layout:?}");
        assert_eq!(audio.language, "", "und says nothing");
        // 94 frames of 1024 samples are a little longer than 50 pictures.
        assert_eq!(movie.duration_us(), Some(2_005_333), "{layout:?}");
    }
}

#[test]
fn an_edit_begins_where_it_says_and_keeps_the_key_frame_before() {
    let mut video = Track::video(50);
    // From the 15th picture on, for 20 pictures: 0.6 s to 1.4 s.
    video.edits = vec![(800, 15 * 512)];
    let mut audio = Track::audio(94);
    audio.edits = vec![(800, 28_800)];
    let packets = packets(&[video, audio], Layout::MoovFirst);
    let pictures = of_track(&packets, 0);
    // The key frame is the 10th: five pictures come before the first one that is shown.
    assert_eq!(pictures[0].header.pts_us, -200_000);
    assert!(pictures[0].header.key);
    assert_eq!(pictures.last().map(|p| p.header.pts_us), Some(760_000));
    let sounds = of_track(&packets, 1);
    let first = sounds[0].header.pts_us;
    assert!((-110_000..-80_000).contains(&first), "a little before 0, not from the start: {first}");
    assert!(sounds.last().is_some_and(|p| (770_000..800_000).contains(&p.header.pts_us)));
}

#[test]
fn encoder_delay_comes_before_zero() {
    for layout in LAYOUTS {
        let mut audio = Track::audio(20);
        audio.edits = vec![(0, 1024)];
        let packets = packets(&[Track::video(10), audio], layout);
        assert_eq!(of_track(&packets, 1)[0].header.pts_us, -21_333, "{layout:?}");
        assert_eq!(of_track(&packets, 0)[0].header.pts_us, 0, "{layout:?}");
    }
}

#[test]
fn b_frames_with_an_edit_start_at_zero_and_are_decoded_before() {
    let mut video = Track::video_with_b_frames(31);
    video.edits = vec![(0, 512)];
    let packets = packets(&[video], Layout::MoovLast);
    let first = packets[0].header;
    assert_eq!((first.pts_us, first.dts_us, first.key), (0, -40_000, true));
    assert!(packets.iter().all(|p| p.header.dts_us <= p.header.pts_us));
}

#[test]
fn an_empty_edit_delays_a_track() {
    let mut audio = Track::audio(20);
    audio.edits = vec![(1500, -1), (0, 0)];
    let packets = packets(&[Track::video(50), audio], Layout::MoovFirst);
    assert_eq!(of_track(&packets, 1)[0].header.pts_us, 1_500_000);
    assert!(packets.is_sorted_by_key(|p| p.header.dts_us));
}

#[test]
fn a_movie_that_begins_late_is_moved_to_zero() {
    let late = |mut track: Track| {
        track.edits = vec![(7000, -1), (0, 0)];
        track
    };
    let tracks = [late(Track::video(20)), late(Track::audio(20))];
    for packet in [0, 1].map(|t| of_track(&packets(&tracks, Layout::MoovFirst), t)[0].header) {
        assert_eq!(packet.pts_us, 0);
    }
}

#[test]
fn negative_composition_offsets_do_not_make_decoding_late() {
    let mut video = Track::video_with_b_frames(31);
    for sample in &mut video.samples {
        sample.shift -= 512;
    }
    for layout in LAYOUTS {
        let packets = packets(std::slice::from_ref(&video), layout);
        assert_eq!(packets[0].header.pts_us, 0, "{layout:?}");
        assert!(packets.iter().all(|p| p.header.dts_us <= p.header.pts_us), "{layout:?}");
    }
}

#[test]
fn rotation_and_pixel_aspect_are_told() {
    const ONE: i32 = 0x1_0000;
    for (matrix, rotation) in [
        ([ONE, 0, 0, ONE], 0),
        ([0, ONE, -ONE, 0], 90),
        ([-ONE, 0, 0, -ONE], 180),
        ([0, -ONE, ONE, 0], 270),
    ] {
        let track = Track { matrix, pixel_aspect: Some((8, 6)), ..Track::video(3) };
        let movie = Mp4::open(Cursor::new(mp4(&[track], Layout::MoovFirst))).expect("playable");
        let Media::Video(video) = &movie.tracks()[0].media else { panic!("no picture") };
        assert_eq!((video.rotation, video.pixel_aspect), (rotation, (4, 3)));
    }
}

#[test]
fn what_cannot_go_as_it_is_says_why() {
    const ONE: i32 = 0x1_0000;
    let mirrored = Track { matrix: [-ONE, 0, 0, ONE], ..Track::video(3) };
    let cut = Track { edits: vec![(100, 0), (100, 12_800)], ..Track::video(50) };
    for (track, reason) in
        [(mirrored, "the picture is mirrored"), (cut, "the picture is edited from several pieces")]
    {
        match Mp4::open(Cursor::new(mp4(&[track], Layout::MoovFirst))) {
            Err(Refusal::Convert { found, why, is_edited }) => {
                assert_eq!(
                    (found.as_str(), why.as_str(), is_edited),
                    ("H.264 video", reason, true)
                );
            }
            other => panic!("{other:?}"),
        }
    }
    let mut file = mp4(&[Track::video(3)], Layout::MoovFirst);
    let at = file.windows(4).position(|w| w == b"avc1").expect("is there");
    file[at..at + 4].copy_from_slice(b"hvc1");
    match Mp4::open(Cursor::new(file)) {
        Err(Refusal::Convert { why, is_edited, .. }) => {
            assert_eq!((why.as_str(), is_edited), ("the picture is HEVC", false));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_without_pictures_or_sound_say_so() {
    let no_tracks = mp4(&[], Layout::MoovFirst);
    assert!(matches!(read_mp4(&no_tracks), Err(Refusal::NoTrack { .. })));
    let empty = mp4(&[Track::video(0)], Layout::MoovFirst);
    assert!(matches!(read_mp4(&empty), Err(Refusal::Damaged(_))));
}

#[test]
fn a_track_without_samples_is_left_out() {
    let file = mp4(&[Track::video(5), Track::audio(0)], Layout::MoovFirst);
    let movie = Mp4::open(Cursor::new(file)).expect("playable");
    assert_eq!(movie.tracks().len(), 1);
}

#[test]
fn rewinding_gives_the_same_again() {
    for layout in LAYOUTS {
        let file = mp4(&[Track::video_with_b_frames(31), Track::audio(50)], layout);
        let mut movie = Mp4::open(Cursor::new(file)).expect("playable");
        let mut all = || {
            let mut packets = Vec::new();
            while let Some(packet) = movie.next_packet().expect("whole") {
                packets.push(packet);
            }
            movie.rewind();
            packets
        };
        let first = all();
        assert_eq!(first.len(), 81, "{layout:?}");
        assert_eq!(all(), first, "{layout:?}");
    }
}
