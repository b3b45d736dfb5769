//! Prints what a movie's demuxer gives: its tracks, and a line for each packet.
//!
//! `cargo run -p media --example packets -- MOVIE`

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use media::demux::Movie;
use symphonia::core::checksum::Md5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match print() {
        // Whoever reads has seen enough.
        Err(error) if error.downcast_ref().is_some_and(is_broken_pipe) => Ok(()),
        other => other,
    }
}

fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe
}

fn print() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = io::stdout().lock();
    let what = std::env::args().nth(1).ok_or("usage: packets MOVIE|ADDRESS")?;
    let path = Path::new(&what);
    let is_address = what.contains("://") || what.starts_with("lavfi:") || what == "screen";
    let mut movie = if is_address { Movie::open_input(&what) } else { Movie::open(path) }?;
    writeln!(out, "# {} [{}] {:?} us", movie.title(), movie.way(), movie.duration_us())?;
    for track in movie.tracks() {
        writeln!(out, "# {track} {:?} {} bytes of set-up", track.media, track.codec_config.len())?;
    }
    while let Some(packet) = movie.next_packet()? {
        let h = packet.header;
        let mut md5 = Md5::default();
        symphonia::core::io::Monitor::process_buf_bytes(&mut md5, &packet.payload);
        let md5: String = md5.md5().iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(
            out,
            "{} {} {} {} {} {} {md5}",
            h.track,
            h.pts_us,
            h.dts_us,
            h.duration_us,
            u8::from(h.key),
            packet.payload.len()
        )?;
    }
    if let Some(note) = movie.note() {
        writeln!(out, "# {note}")?;
    }
    Ok(())
}
