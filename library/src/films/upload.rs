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

use super::film::{Film, Stage};
use super::{Films, Refusal, limits};

/// Appends to a film. What was brought stays, however it ends.
#[derive(Debug)]
pub struct Writer {
    films: Films,
    film: Arc<Film>,
    file: Option<File>,
    /// Not written yet.
    waiting: BytesMut,
    /// All there is to come.
    size: u64,
    /// Bytes in the file and waiting.
    at: u64,
    turn: watch::Receiver<u64>,
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
        Ok(Self {
            films,
            film,
            file: Some(file),
            waiting: BytesMut::new(),
            size,
            at,
            turn,
            _writing: writing,
        })
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

    /// Adds bytes.
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
        let Some(mut file) = self.file.take() else { return Err(Refusal::NoSuch) };
        let (bytes, films) = (self.waiting.split().freeze(), self.films.clone());
        let written = tokio::task::spawn_blocking(move || {
            let done = films.check_room(bytes.len() as u64).and_then(|()| {
                file.write_all(&bytes)?;
                if and_sync {
                    file.sync_data()?;
                }
                Ok(())
            });
            (file, done)
        });
        let (file, done) = written.await.map_err(std::io::Error::other)?;
        self.note(&file)?;
        self.file = Some(file);
        done
    }

    /// What is in the file counts, whatever was said of it.
    fn note(&mut self, file: &File) -> Result<(), Refusal> {
        self.at = file.metadata()?.len() + self.waiting.len() as u64;
        self.film.arrived.store(self.at - self.waiting.len() as u64, Ordering::Relaxed);
        self.film.touch();
        Ok(())
    }

    /// Writes what waits. A film that is all here is made ready. How much is here.
    ///
    /// # Errors
    /// The disk takes no more.
    pub async fn finish(mut self) -> Result<u64, Refusal> {
        self.flush(true).await?;
        let all_here = self.at == self.size && self.film.is_arriving() && !self.film.is_gone();
        if all_here {
            self.film.set_stage(Stage::Waiting);
            self.films.make_ready(self.film.clone());
        }
        Ok(self.at)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The connection broke: what it brought is kept. At most a chunk.
        let Some(mut file) = self.file.take().filter(|_| !self.waiting.is_empty()) else { return };
        if let Err(error) = file.write_all(&self.waiting.split()) {
            tracing::debug!("a film's last bytes were not written: {error}");
        }
        let _ = self.note(&file);
    }
}
