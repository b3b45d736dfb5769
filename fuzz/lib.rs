//! What must hold of every demuxer, whatever the file.

use std::io::Cursor;

use bytes::Bytes;
use media::demux::mp4::Mp4;
use media::demux::{Reader, Refusal};
use proto::{Packet, Track, limits};

/// Packets looked at in one file: a small file can claim very many.
const MOST_PACKETS: usize = 2_000;

/// An MP4 file: opened, read, and read again from its start.
///
/// # Panics
/// When something does not hold that must.
pub fn check_mp4(data: &[u8]) {
    let Ok(mut movie) = Mp4::open(Cursor::new(data)) else { return };
    let tracks = movie.tracks().to_vec();
    let first = check_packets(&tracks, || movie.next_packet());
    movie.rewind();
    assert_eq!(check_packets(&tracks, || movie.next_packet()), first, "a second reading differs");
}

/// As [`check_mp4`], of a Matroska file or one of sound alone.
///
/// # Panics
/// When something does not hold that must.
pub fn check_reader(data: &[u8], is_matroska: bool) {
    let source = Box::new(Bytes::copy_from_slice(data));
    let Ok(mut reader) = Reader::open(source, is_matroska) else { return };
    let tracks = reader.tracks().to_vec();
    let first = check_packets(&tracks, || reader.next_packet());
    if reader.rewind().is_ok() {
        let second = check_packets(&tracks, || reader.next_packet());
        assert_eq!(second, first, "a second reading differs");
    }
}

/// Takes packets until there are no more, and checks that they can be sent.
fn check_packets(
    tracks: &[Track],
    mut next: impl FnMut() -> Result<Option<Packet>, Refusal>,
) -> Vec<Packet> {
    assert!((1..=limits::TRACKS).contains(&tracks.len()));
    for track in tracks {
        track.validate().expect("a track that may be described");
    }
    let mut packets = Vec::new();
    while packets.len() < MOST_PACKETS {
        let Ok(Some(packet)) = next() else { break };
        let track = usize::from(packet.header.track);
        assert!(track < tracks.len(), "a packet of no track");
        assert!(packet.payload.len() <= limits::MESSAGE, "a packet that cannot be sent");
        packets.push(packet);
    }
    packets
}
