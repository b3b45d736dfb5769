//! What comes through ffmpeg cannot be read from any point; written into a file once, it can.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use proto::StreamDescription;

use crate::demux::{self, Movie};
use crate::record::{self, Recorder};

/// A conversion that goes on, as others see it.
#[derive(Debug, Default)]
pub struct Conversion {
    done_us: AtomicU64,
    stop: AtomicBool,
}

/// Why a movie was not converted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The movie cannot be read.
    #[error(transparent)]
    Demux(#[from] demux::Error),
    /// The file cannot be written.
    #[error(transparent)]
    Record(#[from] record::Error),
    /// It was told to stop.
    #[error("the conversion was stopped; ask for it again")]
    Stopped,
}

impl Conversion {
    /// Up to where it has got, microseconds of the movie.
    #[must_use]
    pub fn done_us(&self) -> u64 {
        self.done_us.load(Ordering::Relaxed)
    }

    /// Ends it soon.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Writes what `movie` gives into the file `to`, whose name ends in `.mkv`. It takes as long as
/// ffmpeg takes, which is some fraction of the movie's length.
///
/// # Errors
/// An error of [`crate::demux`]; a file that was begun is left to the caller.
pub fn convert(movie: &mut Movie, to: &Path, conversion: &Conversion) -> Result<(), Error> {
    let description = StreamDescription {
        name: "movie".into(),
        title: movie.title().to_owned(),
        live: false,
        run: 0,
        duration_us: movie.duration_us(),
        tracks: movie.tracks().to_vec(),
    };
    let mut recorder = Recorder::create(to, &description)?.from_zero();
    while let Some(packet) = movie.next_packet()? {
        if conversion.stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        recorder.write(&packet)?;
        let done_us = u64::try_from(packet.header.dts_us).unwrap_or(0);
        conversion.done_us.store(done_us, Ordering::Relaxed);
    }
    recorder.finish()?;
    Ok(())
}
