//! Files that end too early play as far as they are whole.

use media::demux::Refusal;
use proto::Packet;

use super::build::{self, Base, Layout, Track, mp4, read_mp4, read_with_reader};

/// The first bytes of every box, at every depth.
fn box_starts(file: &[u8], from: usize, end: usize, starts: &mut Vec<usize>) {
    let mut at = from;
    while at + 8 <= end {
        let length = u32::from_be_bytes(file[at..at + 4].try_into().expect("four bytes"));
        let next = at + usize::try_from(length).expect("small");
        starts.push(at);
        let kind = &file[at + 4..at + 8];
        let containers: [&[u8]; 8] =
            [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf"];
        if containers.contains(&kind) {
            box_starts(file, at + 8, next, starts);
        }
        at = next;
    }
}

/// Each track's packets are the first ones of the whole file's.
fn assert_is_beginning_of(part: &[Packet], whole: &[Packet], what: &str) {
    for track in [0, 1] {
        let of = |packets: &[Packet]| -> Vec<Packet> {
            packets.iter().filter(|p| p.header.track == track).cloned().collect()
        };
        let (part, whole) = (of(part), of(whole));
        assert!(whole.starts_with(&part), "{what}, track {track}: {} packets", part.len());
    }
}

#[test]
fn mp4_cut_at_every_box() {
    for layout in [
        Layout::MoovFirst,
        Layout::MoovLast,
        Layout::Fragments(Base::Moof),
        Layout::Fragments(Base::Chained),
    ] {
        let file = mp4(&[Track::video(23), Track::audio(40)], layout);
        let (whole, _) = read_mp4(&file).expect("playable");
        let mut cuts = Vec::new();
        box_starts(&file, 0, file.len(), &mut cuts);
        cuts.extend((0..file.len()).step_by(97));
        for cut in cuts.into_iter().flat_map(|at| [at, at + 3, at + 8, at + 20]) {
            let part = &file[..cut.min(file.len() - 1)];
            let what = format!("{layout:?} cut at {cut} of {}", file.len());
            match read_mp4(part) {
                Ok((packets, note)) => {
                    assert!(!packets.is_empty() || note.is_some(), "{what}");
                    assert_is_beginning_of(&packets, &whole, &what);
                }
                Err(Refusal::Damaged(why)) => assert!(why.starts_with("it"), "{what}: {why}"),
                Err(other) => panic!("{what}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_cut_file_says_where_it_ends() {
    let file = mp4(&[Track::video(50)], Layout::MoovFirst);
    let (packets, note) = read_mp4(&file[..file.len() - 30]).expect("playable");
    assert_eq!(packets.len(), 48);
    assert_eq!(note.as_deref(), Some("the file is cut off; its picture ends after 1.9 s"));
    let (_, note) = read_mp4(&file).expect("playable");
    assert_eq!(note, None);
}

#[test]
fn matroska_cut_anywhere() {
    let file = build::matroska(&[Track::video_with_b_frames(31), Track::audio(50)]);
    let (whole, note) = read_with_reader(&file, true).expect("playable");
    assert_eq!((whole.len(), note), (81, None));
    for cut in (1..file.len()).step_by(13) {
        match read_with_reader(&file[..cut], true) {
            Ok((packets, _)) => {
                let payloads = |packets: &[Packet], track| -> Vec<_> {
                    let of_track = packets.iter().filter(|p| p.header.track == track);
                    of_track.map(|p| p.payload.clone()).collect()
                };
                for track in [0, 1] {
                    let (part, all) = (payloads(&packets, track), payloads(&whole, track));
                    // With one track left its index is 0.
                    let alone = payloads(&whole, 1);
                    assert!(all.starts_with(&part) || alone.starts_with(&part), "cut at {cut}");
                }
            }
            Err(Refusal::Damaged(_) | Refusal::NoTrack { .. }) => {}
            Err(other) => panic!("cut at {cut}: {other:?}"),
        }
    }
}

#[test]
fn sound_files_cut_anywhere() {
    for file in [build::wav(5000), build::mp3(12)] {
        let (whole, _) = read_with_reader(&file, false).expect("playable");
        let bytes = |packets: &[Packet]| packets.iter().flat_map(|p| p.payload.to_vec()).collect();
        let all: Vec<u8> = bytes(&whole);
        let mut played = 0;
        for cut in (1..file.len()).step_by(61) {
            if let Ok((packets, _)) = read_with_reader(&file[..cut], false) {
                let part: Vec<u8> = bytes(&packets);
                assert!(all.starts_with(&part), "cut at {cut}");
                played += 1;
            }
        }
        assert!(played > 10, "most of them have something to play: {played}");
    }
}
