//! MP4 files, whole and fragmented.

#![no_main]

use std::io::Cursor;

use instep_fuzz::check_packets;
use libfuzzer_sys::fuzz_target;
use media::demux::mp4::Mp4;

fuzz_target!(|data: &[u8]| {
    let Ok(mut movie) = Mp4::open(Cursor::new(data)) else { return };
    let tracks = movie.tracks().to_vec();
    let first = check_packets(&tracks, || movie.next_packet());
    movie.rewind();
    assert_eq!(check_packets(&tracks, || movie.next_packet()), first, "a second reading differs");
});
