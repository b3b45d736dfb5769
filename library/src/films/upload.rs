//! Bytes of a film as they arrive: appended to its file, by one at a time.
//!
//! Who comes later takes over, since who came before may be a connection that nobody knows to be dead:
//! the earlier one is told to give way, and what it has brought stays.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedMutexGuard, watch};
use tokio::time::timeout;

use super::film::Film;
use super::{Films, Refusal, limits};

/// Appends to a film. What was brought stays, however it ends.
#[derive(Debug)]
pub struct Writer {
    film: Arc<Film>,
    /// `None` while it writes, and where all of the film is here.
    sink: Option<Sink>,
    /// Not written yet.
    waiting: BytesMut,
    /// All there is to come.
    size: u64,
    /// Bytes in the file and waiting.
    at: u64,
    turn: watch::Receiver<u64>,
}

/// The file, and the right to write to it. Both go where the bytes are written: who comes later waits
/// for what is on its way to the disk, even if nobody else does any more.
#[derive(Debug)]
struct Sink {
    films: Films,
    film: Arc<Film>,
    file: File,
    _writing: OwnedMutexGuard<()>,
}

/// Makes the caller the one who writes: how much is here is known then.
pub(super) async fn take_over(
    film: &Film,
) -> Result<(OwnedMutexGuard<()>, watch::Receiver<u64>), Refusal> {
    let mut mine = 0;
    film.turn.send_modify(|turn| {
        *turn += 1;
        mine = *turn;
    });
    let mut turn = film.turn.subscribe();
    let held = timeout(limits::GIVE_WAY, film.writing.clone().lock_owned()).await;
    let held = held.map_err(|_| Refusal::Displaced)?;
    if *turn.borrow_and_update() != mine {
        return Err(if film.is_gone() { Refusal::NoSuch } else { Refusal::Displaced });
    }
    Ok((held, turn))
}

impl Sink {
    /// Writes, and says how much is here then. A film that is all here is made ready. May block.
    fn write(&mut self, bytes: &[u8], and_sync: bool) -> Result<u64, Refusal> {
        let room = self.films.check_room(bytes.len() as u64);
        let written = room.and_then(|()| Ok(self.file.write_all(bytes)?));
        // What is in the file counts, whatever was said of it.
        let here = self.file.metadata()?.len();
        self.film.arrived.store(here, Ordering::Relaxed);
        self.film.touch();
        written?;
        let is_all = self.film.card().size == Some(here);
        if and_sync || is_all {
            self.file.sync_data()?;
        }
        if is_all {
            self.films.all_here(&self.film);
        }
        Ok(here)
    }
}

impl Writer {
    pub(super) fn open(
        films: Films,
        film: Arc<Film>,
        path: PathBuf,
        (writing, turn): (OwnedMutexGuard<()>, watch::Receiver<u64>),
    ) -> Result<Self, Refusal> {
        let file = OpenOptions::new().append(true).open(path)?;
        let at = file.metadata()?.len();
        let size = film.card().size.unwrap_or(0);
        let sink = Some(Sink { films, film: film.clone(), file, _writing: writing });
        Ok(Self { film, sink, waiting: BytesMut::new(), size, at, turn })
    }

    /// For a film that is all here: who did not hear that may say its end again.
    pub(super) fn at_end(film: Arc<Film>) -> Self {
        let (size, turn) = (film.here(), film.turn.subscribe());
        Self { film, sink: None, waiting: BytesMut::new(), size, at: size, turn }
    }

    /// Bytes that are here.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// Returns when somebody else goes on with it, or it is not wanted any more.
    pub async fn displaced(&mut self) -> Refusal {
        // The sender lives as long as the film.
        let _ = self.turn.changed().await;
        if self.film.is_gone() { Refusal::NoSuch } else { Refusal::Displaced }
    }

    /// Adds bytes. They may still reach the disk when this is not waited for.
    ///
    /// # Errors
    /// More came than the film has, or the disk takes no more; what came before stays.
    pub async fn append(&mut self, bytes: Bytes) -> Result<(), Refusal> {
        if bytes.len() as u64 > self.size - self.at.min(self.size) {
            return Err(Refusal::Beyond);
        }
        for part in bytes.chunks(limits::CHUNK) {
            self.waiting.extend_from_slice(part);
            self.at += part.len() as u64;
            if self.waiting.len() >= limits::CHUNK {
                self.flush(false).await?;
            }
        }
        Ok(())
    }

    /// Writes what waits, on a thread that may wait for the disk.
    async fn flush(&mut self, and_sync: bool) -> Result<(), Refusal> {
        let Some(mut sink) = self.sink.take() else { return Err(Refusal::NoSuch) };
        let bytes = self.waiting.split().freeze();
        let written = tokio::task::spawn_blocking(move || {
            let here = sink.write(&bytes, and_sync);
            (sink, here)
        });
        let (sink, here) = written.await.map_err(std::io::Error::other)?;
        self.sink = Some(sink);
        self.at = here?;
        Ok(())
    }

    /// Writes what waits: how much is here then.
    ///
    /// # Errors
    /// The disk takes no more.
    pub async fn finish(mut self) -> Result<u64, Refusal> {
        if self.sink.is_some() {
            self.flush(true).await?;
        }
        Ok(self.at)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The connection broke: what it brought is kept. At most a chunk.
        let Some(mut sink) = self.sink.take().filter(|_| !self.waiting.is_empty()) else { return };
        let bytes = self.waiting.split().freeze();
        let runtime = sink.films.0.runtime.clone();
        runtime.spawn_blocking(move || {
            if let Err(error) = sink.write(&bytes, false) {
                tracing::debug!("a film's last bytes were not written: {error}");
            }
        });
    }
}
