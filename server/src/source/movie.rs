//! A file, sent as it is at its own pace.

use std::path::Path;

use media::demux::Movie;
use proto::conn::now;
use proto::{Packet, Track};

use super::Feed;
use super::stage::{Run, Stage};
use crate::Error;
use crate::pace::{Pacer, Splice};
use crate::say::say;

/// A movie that has been opened.
pub struct Feature {
    name: String,
    movie: Movie,
    repeat: bool,
}

impl Feature {
    /// Opens the file at `path`; `repeat` starts it again when it is over.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn open(path: &Path, repeat: bool) -> Result<Self, Error> {
        let name =
            library::stream_name(&path.file_stem().unwrap_or_default().to_string_lossy(), "movie");
        Ok(Self { name, movie: Movie::open(path)?, repeat })
    }

    /// Sends the movie once, or until nobody watches; or again and again.
    fn play(&mut self, stage: &mut Stage) -> Result<(), Error> {
        let duration_us = if self.repeat { None } else { self.movie.duration_us() };
        let run = stage.start(self.movie.tracks().to_vec(), duration_us)?;
        let mut pacer = Pacer::new(now());
        let mut splice = Splice::default();
        loop {
            let mut any = false;
            while let Some(mut packet) = self.movie.next_packet()? {
                if splice.is_repeating() && self.is_priming(&packet) {
                    continue;
                }
                any = true;
                splice.place(&mut packet.header);
                if !send(&run, stage, &mut pacer, packet) {
                    return Ok(());
                }
            }
            if let Some(note) = self.movie.note() {
                say!("{}: {note}", self.name);
            }
            if !self.repeat || !any {
                return Ok(());
            }
            splice.next_pass(self.movie.duration_us());
            self.movie.rewind()?;
        }
    }

    /// Sound before the beginning, with which an encoder got going. It is for the first pass only:
    /// on the next it would sound over the end of the last.
    fn is_priming(&self, packet: &Packet) -> bool {
        let track = self.movie.tracks().get(usize::from(packet.header.track));
        packet.header.pts_us < 0 && track.is_some_and(|track| !track.is_video())
    }
}

/// Sends a packet when it is due; `false` if nobody wants it any more.
pub(super) fn send(run: &Run, stage: &mut Stage, pacer: &mut Pacer, mut packet: Packet) -> bool {
    let moment = now();
    let wait_us = pacer.wait_us(packet.header.dts_us, moment);
    if wait_us > 0 && !stage.stop().sleep_until(moment.plus_us(wait_us)) {
        return false;
    }
    packet.header.captured_at_us = pacer.captured_at(packet.header.pts_us);
    run.append(packet);
    !stage.is_over()
}

impl Feed for Feature {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn title(&self) -> String {
        self.movie.title().to_owned()
    }

    fn is_live(&self) -> bool {
        self.repeat
    }

    fn tracks(&self) -> Vec<Track> {
        self.movie.tracks().to_vec()
    }

    fn way(&self) -> String {
        self.movie.way().to_string()
    }

    fn run(mut self: Box<Self>, mut stage: Stage) -> Result<(), Error> {
        while stage.wait_for_viewer() {
            if let Err(error) = self.play(&mut stage) {
                say!("{}: ended early, {error}", self.name);
            }
            self.movie.rewind()?;
        }
        Ok(())
    }
}
