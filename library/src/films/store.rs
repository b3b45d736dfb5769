//! What is on the disk when it all begins, and what is not wanted there any more.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::card::{Card, FilmId};
use super::fetch::Fetcher;
use super::film::{Film, Stage};
use super::{Error, Films, Inner, Settings, limits, ready};

/// Bytes that this user may still write on the disk of `folder`.
pub(super) fn free(folder: &Path) -> io::Result<u64> {
    #[cfg(unix)]
    {
        let disk = rustix::fs::statvfs(folder)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        Ok(u64::MAX)
    }
}

impl Films {
    /// Uses a folder: what was added is known again, uploads are gone on with, what was half made is
    /// made anew. `runtime` works on it. May block.
    ///
    /// # Errors
    /// The folder cannot be written to, or another relay does.
    pub fn open(settings: Settings, runtime: &Handle) -> Result<Self, Error> {
        let folder = settings.folder.clone();
        let failed = |source| Error::Folder { folder: folder.clone(), source };
        let incoming = folder.join(".instep");
        std::fs::create_dir_all(&incoming).map_err(failed)?;
        std::fs::create_dir_all(folder.join("added")).map_err(failed)?;
        let lock = File::create(incoming.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse(folder)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let films = Self(Arc::new(Inner {
            fetcher: Fetcher::new(settings.fetch_inside),
            settings,
            runtime: runtime.clone(),
            films: Mutex::default(),
            bell: Arc::default(),
            checking: Semaphore::new(limits::CHECKS),
            converting: Semaphore::new(1),
            fetching: Semaphore::new(limits::FETCHES),
            stopped: AtomicBool::new(false),
            _lock: lock,
        }));
        let known = films.added_before().map_err(failed)?;
        let resumed = films.resumed(&known).map_err(failed)?;
        films.films().extend(known);
        for film in resumed {
            films.films().insert(film.id, film.clone());
            films.all_here(&film);
        }
        runtime.spawn(tidy(Arc::downgrade(&films.0)));
        Ok(films)
    }

    /// Where what arrives is, and what is converted may go: hidden from the library, and tidied when
    /// it all begins.
    #[must_use]
    pub fn incoming(&self) -> PathBuf {
        self.0.settings.folder.join(".instep")
    }

    pub(super) fn added(&self) -> PathBuf {
        self.0.settings.folder.join("added")
    }

    /// What has arrived of a film.
    pub(super) fn part(&self, id: FilmId) -> PathBuf {
        self.incoming().join(format!("{id}.part"))
    }

    /// What it is converted into.
    pub(super) fn converted(&self, id: FilmId) -> PathBuf {
        self.incoming().join(format!("{id}.mkv"))
    }

    /// The subtitles of what is converted, and of a film that plays.
    pub(super) fn texts(&self, id: FilmId) -> PathBuf {
        self.incoming().join(format!("{id}.mks"))
    }

    pub(super) fn added_texts(&self, id: FilmId) -> PathBuf {
        self.added().join(format!("{id}.mks"))
    }

    pub(super) fn incoming_card(&self, id: FilmId) -> PathBuf {
        self.incoming().join(format!("{id}.json"))
    }

    /// The card of a film that plays.
    pub(super) fn card(&self, id: FilmId) -> PathBuf {
        self.added().join(format!("{id}.json"))
    }

    /// Removes all files of a film. May block: large ones take a while.
    pub(super) fn remove_files(&self, film: &Film) {
        let _filing = film.filing();
        let id = film.id;
        let place = self.place(film, &film.card().ending);
        // The card after its film: a card alone is tidied, a film alone would be nobody's.
        let added = [self.added_texts(id), place, self.card(id)];
        let incoming = [self.part(id), self.converted(id), self.texts(id), self.incoming_card(id)];
        for path in added.into_iter().chain(incoming) {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!("films: {} could not be removed: {error}", path.display());
                }
                _ => {}
            }
        }
    }

    /// Those that play.
    fn added_before(&self) -> io::Result<BTreeMap<FilmId, Arc<Film>>> {
        let mut known = BTreeMap::new();
        for (id, path) in cards(&self.added())? {
            let Ok(card) = Card::read(&path) else { continue };
            let film = Film::new(id, card, Stage::Ready, None);
            let place = self.place(&film, &film.card().ending);
            match std::fs::metadata(place) {
                Ok(metadata) => film.arrived.store(metadata.len(), Ordering::Relaxed),
                // The card was written, and then the process ended.
                Err(_) => {
                    let _ = std::fs::remove_file(path);
                    continue;
                }
            }
            known.insert(id, film);
        }
        Ok(known)
    }

    /// Uploads that are gone on with; everything else that is left over is removed.
    fn resumed(&self, known: &BTreeMap<FilmId, Arc<Film>>) -> io::Result<Vec<Arc<Film>>> {
        let mut resumed = Vec::new();
        for (id, path) in cards(&self.incoming())? {
            let part = std::fs::metadata(self.part(id));
            let (Ok(card), Ok(part)) = (Card::read(&path), part) else { continue };
            if card.fetched || known.contains_key(&id) {
                continue;
            }
            let film = Film::new(id, card, Stage::Arriving, None);
            film.arrived.store(part.len(), Ordering::Relaxed);
            let age = part.modified().ok().and_then(|at| at.elapsed().ok()).unwrap_or_default();
            film.rested(age);
            resumed.push(film);
        }
        for entry in std::fs::read_dir(self.incoming())?.flatten() {
            let path = entry.path();
            let is_resumed = |film: &Arc<Film>| {
                path == self.part(film.id) || path == self.incoming_card(film.id)
            };
            if path.is_dir() {
                // Where the library converted something.
                let _ = std::fs::remove_dir_all(&path);
            } else if entry.file_name() != "lock" && !resumed.iter().any(is_resumed) {
                let _ = std::fs::remove_file(&path);
            }
        }
        Ok(resumed)
    }

    /// Forgets what is too old, and says what that was.
    fn forget_old(&self) -> Vec<Arc<Film>> {
        let now = Instant::now();
        let is_old = |film: &Film| {
            let age = now.saturating_duration_since(film.touched());
            match film.stage() {
                Stage::Failed(_) => age > limits::FAILED,
                // One that is fetched ends by itself.
                Stage::Arriving if film.card().fetched => false,
                Stage::Arriving if film.arrived() == 0 => {
                    age > limits::UNSTARTED.min(self.unfinished())
                }
                Stage::Arriving => age > self.unfinished(),
                _ => false,
            }
        };
        let mut films = self.films();
        let mut old: Vec<Arc<Film>> = films.values().filter(|film| is_old(film)).cloned().collect();
        let failed = |film: &&Arc<Film>| matches!(film.stage(), Stage::Failed(_));
        let mut failures: Vec<&Arc<Film>> = films.values().filter(failed).collect();
        failures.sort_by_key(|film| std::cmp::Reverse(film.touched()));
        old.extend(failures.into_iter().skip(limits::MOST_FAILED).cloned());
        for film in &old {
            film.stop();
            films.remove(&film.id);
        }
        old
    }

    async fn tidy(self) {
        let old = self.forget_old();
        if old.is_empty() {
            return;
        }
        let removed = ready::on_thread(move || {
            old.iter().for_each(|film| self.remove_files(film));
            Ok(())
        });
        if let Err(error) = removed.await {
            tracing::warn!("films: what is too old stays until the next start: {error}");
        }
    }

    fn unfinished(&self) -> Duration {
        self.0.settings.unfinished
    }
}

/// Every card in a folder, and whose it is.
fn cards(folder: &Path) -> io::Result<Vec<(FilmId, PathBuf)>> {
    let card = |path: PathBuf| {
        let is_card = path.extension().is_some_and(|ending| ending == "json");
        let id = path.file_stem()?.to_str()?.parse().ok()?;
        is_card.then_some((id, path))
    };
    let paths = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    Ok(paths.filter_map(card).collect())
}

/// Now and then, as long as there is something to tidy.
async fn tidy(films: Weak<Inner>) {
    while let Some(films) = films.upgrade() {
        let films = Films(films);
        let every = limits::TIDY.min(films.unfinished());
        films.tidy().await;
        tokio::time::sleep(every).await;
    }
}
