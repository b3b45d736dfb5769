//! Films that people add to a library: they arrive, are made ready, and belong to who added them.
//!
//! ```text
//! card     what is known of a film besides its bytes, in a file beside them
//! film     one film: how far it is
//! upload   bytes as they arrive, gone on with after a broken connection
//! fetch    bytes from an address
//! fetched  films that are fetched, each in its turn
//! address  which addresses are the public's
//! ready    what has arrived is looked through, and converted where it must be
//! room     whether there is room for another, and for more of one
//! store    what is on the disk when it all begins
//! error    why a film is not taken
//! limits   every bound
//! ```
//!
//! What arrives is in the hidden folder `.instep`, what plays in `added`; files are called by numbers
//! chosen at random. What people say is only ever text on a card.

mod address;
mod card;
mod error;
mod fetch;
mod fetched;
mod film;
pub mod limits;
mod ready;
mod room;
mod store;
mod upload;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

pub use address::is_public;
pub use card::{FilmId, Owner};
pub use error::{Error, Refusal};
pub use film::Line;
pub use upload::Writer;

use crate::bell::Bell;
use crate::names::stream_name;
use crate::tree;
use card::Card;
use fetch::Fetcher;
use film::{Film, Stage};

/// Where films go, and what is taken.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the library; made if it is not there.
    pub folder: PathBuf,
    /// Largest film, bytes.
    pub most: u64,
    /// Films are also fetched from addresses that are not everybody's.
    pub fetch_inside: bool,
    /// Bytes that are left free on the disk.
    pub reserve: u64,
    /// How many bytes are free on the disk of a folder.
    pub free: fn(&Path) -> io::Result<u64>,
    /// An upload of which nothing comes for so long is dropped.
    pub unfinished: Duration,
}

impl Settings {
    /// For a folder, with the usual bounds.
    #[must_use]
    pub fn new(folder: PathBuf, most: u64, fetch_inside: bool) -> Self {
        let (reserve, unfinished) = (limits::RESERVE, limits::UNFINISHED);
        Self { folder, most, fetch_inside, reserve, free: store::free, unfinished }
    }
}

/// A file that somebody wants to upload.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// What the file is called where it comes from.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// Tells it from other files of that name and size (when it was changed): the same file of the same
    /// owner is gone on with.
    pub mark: String,
}

/// The films that people added to a folder. Clones are the same.
#[derive(Clone, Debug)]
pub struct Films(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    runtime: Handle,
    films: Mutex<BTreeMap<FilmId, Arc<Film>>>,
    fetcher: Fetcher,
    /// Rung when the library has to look.
    bell: Arc<Bell>,
    checking: Semaphore,
    converting: Semaphore,
    fetching: Semaphore,
    stopped: AtomicBool,
    /// Held as long as the folder is ours.
    _lock: File,
}

impl Films {
    /// All that are there or underway, for `visitor`; of those that play, the visitor's own.
    #[must_use]
    pub fn list(&self, visitor: Option<&Owner>) -> Vec<Line> {
        let lines = self.films().values().map(|film| film.line(visitor)).collect::<Vec<_>>();
        let concerns = |line: &Line| line.mine || !matches!(line.stage, "ready" | "failed");
        lines.into_iter().filter(concerns).collect()
    }

    /// Largest film, bytes.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.0.settings.most
    }

    /// Begins an upload, or finds the one that was begun: its number, and how many bytes are here.
    /// May block.
    ///
    /// # Errors
    /// A [`Refusal`].
    pub fn begin(
        &self,
        owner: &Owner,
        from: IpAddr,
        wish: &Wish,
    ) -> Result<(FilmId, u64), Refusal> {
        if wish.size == 0 {
            return Err(Refusal::Empty);
        }
        if wish.size > self.most() {
            return Err(Refusal::TooLarge(wish.size, self.most()));
        }
        let card = Card {
            size: Some(wish.size),
            mark: wish.mark.chars().take(64).collect(),
            ..card(&wish.name, owner)
        };
        let same = |film: &&Arc<Film>| film.is_underway() && film.card() == card;
        let found = self.films().values().find(same).cloned();
        if let Some(film) = found {
            // Whoever brought its end may not have come to say so.
            self.all_here(&film);
            return Ok((film.id, film.here()));
        }
        let film = self.admit(card, from)?;
        Ok((film.id, 0))
    }

    /// Goes on with an upload, taking it over from whoever did. One that is all here takes its end again.
    ///
    /// # Errors
    /// A [`Refusal`]; [`Refusal::Offset`] unless `offset` bytes are here.
    pub async fn write(&self, id: FilmId, owner: &Owner, offset: u64) -> Result<Writer, Refusal> {
        let film = self.own(id, owner)?;
        if film.card().fetched {
            return Err(Refusal::NoSuch);
        }
        let turn = if film.is_arriving() { Some(upload::take_over(&film).await?) } else { None };
        // Whoever had it before may have brought the rest.
        let writer = match turn.filter(|_| film.is_arriving()) {
            Some(turn) => Writer::open(self.clone(), film, self.part(id), turn)?,
            None => Writer::at_end(film),
        };
        if writer.offset() == offset { Ok(writer) } else { Err(Refusal::Offset(writer.offset())) }
    }

    /// How many bytes of an upload are here, and how many there will be. Whoever goes on with it gives way.
    ///
    /// # Errors
    /// A [`Refusal`].
    pub async fn offset(&self, id: FilmId, owner: &Owner) -> Result<(u64, u64), Refusal> {
        let film = self.own(id, owner)?;
        let size = film.card().size.unwrap_or(0);
        let _turn = if film.is_arriving() { Some(upload::take_over(&film).await?) } else { None };
        Ok((film.here(), size))
    }

    /// Calls a film otherwise. May block.
    ///
    /// # Errors
    /// A [`Refusal`].
    pub fn rename(&self, id: FilmId, owner: &Owner, title: &str) -> Result<(), Refusal> {
        let film = self.own(id, owner)?;
        let title = title.trim();
        if title.is_empty() || !proto::stream::is_valid_text(title) {
            return Err(Refusal::Title);
        }
        let filing = film.filing();
        if film.is_gone() {
            return Err(Refusal::NoSuch);
        }
        let card = film.change(|card| title.clone_into(&mut card.title));
        match film.stage() {
            Stage::Ready => card.write(&self.card(id))?,
            Stage::Failed(_) => {}
            _ => card.write(&self.incoming_card(id))?,
        }
        drop(filing);
        self.ring();
        Ok(())
    }

    /// Removes a film, or ends what is underway. May block.
    ///
    /// # Errors
    /// A [`Refusal`].
    pub fn remove(&self, id: FilmId, owner: &Owner) -> Result<(), Refusal> {
        let film = self.own(id, owner)?;
        let mut films = self.films();
        film.stop();
        films.remove(&id);
        drop(films);
        self.remove_files(&film);
        self.ring();
        Ok(())
    }

    /// Ends what is underway, since the process ends; uploads are gone on with in the next.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Relaxed);
        for film in self.films().values().filter(|film| film.is_underway()) {
            film.stop();
        }
    }

    /// What the stream of a file is called, and the film, if somebody added it.
    pub(crate) fn named(&self, path: &Path) -> Option<(String, String)> {
        let film = self.at(path)?;
        let card = film.card();
        Some((card.name, card.title))
    }

    /// A film can be watched, under this name.
    pub(crate) fn offered(&self, path: &Path, stream: &str) {
        if let Some(film) = self.at(path) {
            film.set_stream(stream);
        }
    }

    pub(crate) fn bell(&self) -> Arc<Bell> {
        self.0.bell.clone()
    }

    fn at(&self, path: &Path) -> Option<Arc<Film>> {
        let id = path.file_stem()?.to_str()?.parse().ok()?;
        let film = self.films().get(&id).cloned()?;
        (path.parent() == Some(&self.added())).then_some(film)
    }

    fn ring(&self) {
        self.0.bell.ring();
    }

    fn films(&self) -> MutexGuard<'_, BTreeMap<FilmId, Arc<Film>>> {
        self.0.films.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn own(&self, id: FilmId, owner: &Owner) -> Result<Arc<Film>, Refusal> {
        let film = self.films().get(&id).cloned().ok_or(Refusal::NoSuch)?;
        if film.is_of(owner) { Ok(film) } else { Err(Refusal::NotYours) }
    }

    /// A film that is all here is made ready: once, whoever finds that out.
    fn all_here(&self, film: &Arc<Film>) {
        if film.completes() {
            self.make_ready(film.clone());
        }
    }

    fn make_ready(&self, film: Arc<Film>) {
        let films = self.clone();
        self.0.runtime.spawn(ready::make(films, film));
    }

    /// It will not be watched: said to who added it, unless that is who does not want it.
    async fn fail(&self, film: Arc<Film>, why: String) {
        // What was underway when the process ends is gone on with in the next.
        if self.is_stopped() {
            return;
        }
        tracing::info!("films: '{}' was not added: {why}", film.card().title);
        let (films, of) = (self.clone(), film.clone());
        let removed = ready::on_thread(move || {
            films.remove_files(&of);
            Ok(())
        });
        if let Err(error) = removed.await {
            tracing::warn!("films: what is left of a film stays until the next start: {error}");
        }
        film.set_stage(Stage::Failed(why));
    }

    fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Relaxed)
    }

    fn checking(&self) -> &Semaphore {
        &self.0.checking
    }

    fn converting(&self) -> &Semaphore {
        &self.0.converting
    }
}

/// The card of a film that is called so where it comes from.
fn card(name: &str, owner: &Owner) -> Card {
    let file = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let (stem, ending) = match file.rsplit_once('.') {
        Some((stem, ending)) => (stem, tree::ending(ending)),
        None => (file, None),
    };
    let title = if ending.is_some() { stem } else { file };
    let title = proto::stream::fitting_text(title.trim()).trim().to_owned();
    let title = if title.is_empty() { "film".to_owned() } else { title };
    Card {
        name: stream_name(&title, "film"),
        title,
        owner: owner.clone(),
        size: None,
        mark: String::new(),
        fetched: false,
        // What it is its first bytes say; this is for people who look into the folder.
        ending: ending.unwrap_or("mp4").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_become_titles() {
        let owner = Owner("a".into());
        for (name, title, ending) in [
            ("Holiday 2026.MKV", "Holiday 2026", "mkv"),
            ("../../etc/passwd", "passwd", "mp4"),
            ("C:\\films\\a.b.avi", "a.b", "avi"),
            ("..", "..", "mp4"),
            ("x.sh", "x.sh", "mp4"),
            ("a.mp4/", "film", "mp4"),
            (".mp4", "film", "mp4"),
            ("<script>\r\n\u{0}", "<script>", "mp4"),
            ("", "film", "mp4"),
        ] {
            let card = card(name, &owner);
            assert_eq!((card.title.as_str(), card.ending.as_str()), (title, ending), "{name}");
            assert!(proto::stream::is_valid_name(&card.name));
        }
        assert!(proto::stream::is_valid_text(&card(&"ü".repeat(4000), &owner).title));
    }
}
