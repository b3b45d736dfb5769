//! Random, flipped and absurd bytes: no panic, no end of memory, always an end.

use std::io::Cursor;
use std::sync::Once;

use media::demux::Refusal;
use media::demux::mp4::Mp4;
use proptest::prelude::*;
use proto::Packet;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::build::{self, Base, Layout, Track, boxed, mp4};

/// What all tests of this process may have together, bytes: an allocation that follows a claim in a
/// file and not its length ends them.
const MEMORY: u64 = 3 << 30;

fn limit_memory() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let maximum = getrlimit(Resource::As).maximum;
        setrlimit(Resource::As, Rlimit { current: Some(MEMORY), maximum }).expect("may be lowered");
    });
}

/// Takes all packets, which must be within the bounds that everything after them relies on.
fn drain(mut next: impl FnMut() -> Result<Option<Packet>, Refusal>, length: usize) -> usize {
    let mut count = 0;
    while let Ok(Some(packet)) = next() {
        let header = packet.header;
        assert!(packet.payload.len() <= length && !packet.payload.is_empty());
        let far = i64::MAX / 2;
        assert!(header.pts_us.abs() < far && header.dts_us.abs() < far, "{header:?}");
        count += 1;
    }
    count
}

fn drain_mp4(bytes: &[u8]) -> usize {
    limit_memory();
    let movie = Mp4::open(Cursor::new(bytes));
    movie.map_or(0, |mut movie| drain(|| movie.next_packet(), bytes.len()))
}

fn read_everything(bytes: &[u8]) {
    drain_mp4(bytes);
    for is_matroska in [true, false] {
        if let Ok(mut reader) = build::open_reader(bytes, is_matroska) {
            drain(|| reader.next_packet(), bytes.len());
        }
    }
}

/// A small file of each kind.
fn files() -> impl Strategy<Value = Vec<u8>> {
    let tracks = || [Track::video_with_b_frames(13), Track::audio(12)];
    prop::sample::select(vec![
        mp4(&tracks(), Layout::MoovFirst),
        mp4(&tracks(), Layout::MoovLast),
        mp4(&tracks(), Layout::Fragments(Base::Moof)),
        mp4(&tracks(), Layout::Fragments(Base::Chained)),
        build::matroska(&tracks()),
        build::wav(300),
        build::mp3(4),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn flipped_bits(
        mut file in files(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..12),
    ) {
        for (at, bit) in flips {
            let at = at.index(file.len());
            file[at] ^= 1 << bit;
        }
        read_everything(&file);
    }

    /// Counts, sizes and offsets are where large numbers hurt.
    #[test]
    fn absurd_numbers(
        mut file in files(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        number in prop::sample::select(vec![0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX, u32::MAX - 7]),
    ) {
        for at in places {
            let at = at.index(file.len() - 3);
            file[at..at + 4].copy_from_slice(&number.to_be_bytes());
        }
        read_everything(&file);
    }

    #[test]
    fn cut_and_joined(
        first in files(),
        second in files(),
        cuts in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let file = [&first[..cuts.0.index(first.len())], &second[cuts.1.index(second.len())..]];
        read_everything(&file.concat());
    }

    #[test]
    fn random_bytes(
        magic in prop::sample::select(vec![
            &b"\0\0\0\x10ftypisom\0\0\0\0"[..], b"\x1A\x45\xDF\xA3", b"OggS\0\x02", b"fLaC\0\0\0\x22",
            b"RIFF\xff\xff\xff\x7fWAVEfmt ", b"ID3\x04\0\0", b"\xff\xfb\x94\0", b"",
        ]),
        noise in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        read_everything(&[magic, &noise].concat());
    }
}

#[test]
fn claims_of_endless_samples_end() {
    // One byte a sample, four billion of them, all at the same place.
    let mut file = mp4(&[Track::video(9)], Layout::MoovFirst);
    let at =
        |file: &[u8], kind: &[u8]| file.windows(4).position(|w| w == kind).expect("is there") + 8;
    let sizes = at(&file, b"stsz");
    file[sizes..sizes + 8].copy_from_slice(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]);
    let chunks = at(&file, b"stsc");
    file[chunks + 8..chunks + 12].copy_from_slice(&[0xff; 4]);
    let count = drain_mp4(&file);
    assert!((1..=1 << 24).contains(&count), "{count}");
}

#[test]
fn deep_nesting_does_not_reach_the_stack() {
    for kind in [b"moov", b"trak", b"meta", b"moof", b"udta"] {
        let mut nested = Vec::new();
        for _ in 0..2000 {
            nested = boxed(kind, &[&nested]);
        }
        let file = [boxed(b"ftyp", &[b"isom"]), boxed(b"moov", &[&nested]), nested].concat();
        assert_eq!(drain_mp4(&file), 0);
    }
}
