//! Looks through a movie by segments: how long each step takes, and whether all segments one after the
//! other are the movie.
//!
//! `cargo run -p media --example segments -- MOVIE ...`

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use media::demux::{Movie, Way};
use media::segment::{Plan, Segmented};

fn main() {
    for path in std::env::args().skip(1) {
        match look(Path::new(&path)) {
            Ok(said) => println!("{path}: {said}"),
            Err(error) => println!("{path}: {error}"),
        }
    }
}

fn look(path: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let began = Instant::now();
    let mut movie = Movie::open(path)?;
    if movie.way() != &Way::PassThrough {
        return Ok(movie.way().to_string());
    }
    let opened = began.elapsed();
    let plan = Arc::new(Plan::new(&mut movie, path, None)?);
    let planned = began.elapsed() - opened;
    movie.rewind()?;
    let count = plan.segments().len();
    let mut segments = Segmented::open(path, plan.clone())?;
    for number in 0..count {
        for packet in segments.packets(number)? {
            let mut expected = movie.next_packet()?.ok_or("the segments have more packets")?;
            expected.header.sequence = packet.header.sequence;
            if packet != expected {
                return Err(format!("segment {number} differs at {:?}", packet.header).into());
            }
        }
    }
    if movie.next_packet()?.is_some() {
        return Err("the segments have fewer packets".into());
    }
    let jumped = Instant::now();
    let jumps = 20;
    for jump in 0..jumps {
        // Back and forth: no jump goes to where the file is.
        segments.packets((jump * 7919 + 13) * count / 20 % count)?;
    }
    let keys = plan.segments().iter().filter(|segment| segment.key).count();
    Ok(format!(
        "{count} segments, {keys} with a key frame, {} bytes, {:.1} s; opened in {opened:.0?}, planned in \
         {planned:.0?}, a jump takes {:.1?}",
        plan.bytes(),
        plan.duration_us() as f64 / 1e6,
        jumped.elapsed() / jumps as u32,
    ))
}
