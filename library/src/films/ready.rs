//! What has arrived is made ready: looked through, converted if viewers cannot play it, and put into
//! the library.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::demux::{Movie, Way};
use media::segment::{self, Conversion, Plan};
use media::subtitle;
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use super::film::{Film, Stage};
use super::{Films, limits};

/// How often a conversion is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Said of what ends because nobody wants it.
pub(super) const UNWANTED: &str = "it is not wanted any more";

/// What a film turned out to be.
enum Found {
    /// It plays as it is.
    Plays,
    /// It must be converted; its length, microseconds.
    Converts(Option<u64>),
}

/// Makes a film ready, or says of it why it is not.
pub(super) async fn make(films: Films, film: Arc<Film>) {
    match prepare(&films, &film).await {
        Ok(()) => films.ring(),
        Err(why) => films.fail(film, why).await,
    }
}

async fn prepare(films: &Films, film: &Arc<Film>) -> Result<(), String> {
    let part = films.part(film.id);
    let title = film.card().title;
    let found = {
        let _turn = turn(films.checking(), film).await?;
        film.set_stage(Stage::Checking);
        let part = part.clone();
        on_thread(move || look_through(&part)).await
    };
    match found.map_err(|error| said(&error, &part, &title))? {
        Found::Plays => put(films, film, part, film.card().ending).await,
        Found::Converts(length_us) => {
            film.set_stage(Stage::Waiting);
            let converted = films.converted(film.id);
            let made = {
                let _turn = turn(films.converting(), film).await?;
                convert(films, film, &converted, length_us).await
            };
            let placed = match made {
                Ok(()) => {
                    keep_texts(films, film).await;
                    put(films, film, converted.clone(), "mkv".to_owned()).await
                }
                Err(why) => Err(why),
            };
            if placed.is_err() {
                let removed = on_thread(move || {
                    std::fs::remove_file(converted).map_err(|error| error.to_string())
                });
                // There may be none.
                let _ = removed.await;
            }
            placed
        }
    }
}

/// Keeps the subtitles that are within what arrived: converted it has none. A film is worth having
/// without them, too.
async fn keep_texts(films: &Films, film: &Arc<Film>) {
    film.set_stage(Stage::Checking);
    let Ok(_turn) = turn(films.checking(), film).await else { return };
    let (with, of) = (films.clone(), film.clone());
    let kept = on_thread(move || {
        let to = with.texts(of.id);
        let is_wanted = || !of.is_gone() && !with.is_stopped();
        let fits = with.check_spare(&of, 0).map_err(|error| error.to_string());
        let kept = fits.and_then(|()| {
            subtitle::keep(&with.part(of.id), &to, &is_wanted).map_err(|error| error.to_string())
        });
        kept.inspect_err(|_| {
            // There may be none.
            let _ = std::fs::remove_file(&to);
        })
    });
    if let Err(error) = kept.await
        && !film.is_gone()
    {
        tracing::warn!("films: '{}' lost its subtitles: {error}", film.card().title);
    }
}

/// Waits for a place, as long as somebody wants the film.
pub(super) async fn turn<'a>(
    places: &'a Semaphore,
    film: &Film,
) -> Result<SemaphorePermit<'a>, String> {
    tokio::select! {
        biased;
        () = film.unwanted() => Err(UNWANTED.to_owned()),
        place = places.acquire() => place.map_err(|closed| closed.to_string()),
    }
}

/// Puts what plays into the library, on a thread that may wait for the disk.
async fn put(films: &Films, film: &Arc<Film>, from: PathBuf, ending: String) -> Result<(), String> {
    let (films, film) = (films.clone(), film.clone());
    on_thread(move || films.put_in_place(&film, &from, &ending)).await
}

/// Goes through all of it: what begins like a film may be none.
fn look_through(path: &Path) -> Result<Found, String> {
    let mut movie = Movie::open(path).map_err(|error| error.to_string())?;
    if movie.way() != &Way::PassThrough {
        return Ok(Found::Converts(movie.duration_us()));
    }
    Plan::new(&mut movie, path, None).map_err(|error| error.to_string())?;
    Ok(Found::Plays)
}

async fn convert(
    films: &Films,
    film: &Arc<Film>,
    to: &Path,
    length_us: Option<u64>,
) -> Result<(), String> {
    let conversion = Arc::new(Conversion::default());
    film.set_stage(Stage::Converting(conversion.clone(), length_us));
    let (part, title) = (films.part(film.id), film.card().title);
    let mut work = Box::pin(on_thread({
        let (part, to, conversion) = (part.clone(), to.to_owned(), conversion.clone());
        move || {
            let mut movie = Movie::open(&part).map_err(|error| error.to_string())?;
            segment::convert(&mut movie, &to, &conversion).map_err(|error| error.to_string())?;
            look_through(&to).map(drop)
        }
    }));
    let began = Instant::now();
    let mut stopped = None;
    loop {
        tokio::select! {
            done = &mut work => {
                let done = done.map_err(|error| said(&said(&error, to, &title), &part, &title));
                return stopped.map_or(done, Err);
            }
            () = tokio::time::sleep(LOOK), if stopped.is_none() => {
                stopped = must_end(films, film, to, began);
                if stopped.is_some() {
                    conversion.stop();
                }
            }
        }
    }
}

/// Why a conversion may not go on.
fn must_end(films: &Films, film: &Film, to: &Path, began: Instant) -> Option<String> {
    let bytes = std::fs::metadata(to).map_or(0, |metadata| metadata.len());
    if film.is_gone() || films.is_stopped() {
        return Some(UNWANTED.to_owned());
    }
    if bytes > films.most().saturating_mul(limits::GROWTH) {
        return Some(
            "converted it becomes too large; convert it yourself, and add that".to_owned(),
        );
    }
    if began.elapsed() > limits::CONVERTING {
        return Some("converting it takes too long; convert it yourself, and add that".to_owned());
    }
    films.check_spare(film, 0).err().map(|error| error.to_string())
}

/// What went wrong, for people: they need not know what its file is called.
fn said(error: &str, path: &Path, title: &str) -> String {
    error.replace(&path.display().to_string(), title)
}

/// On a thread of its own: a runtime that ends would wait for one of its own.
pub(super) async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (tell, told) = oneshot::channel();
    let thread = std::thread::Builder::new().name("film".to_owned());
    let started = thread.spawn(move || {
        // Nobody listens any more if the process ends.
        let _ = tell.send(work());
    });
    started.map_err(|error| format!("the system does not let it be worked on: {error}"))?;
    told.await.unwrap_or_else(|_| Err("it could not be worked on; add it again".to_owned()))
}

impl Films {
    /// Where a film is that plays.
    pub(super) fn place(&self, film: &Film, ending: &str) -> PathBuf {
        self.added().join(format!("{}.{ending}", film.id))
    }

    /// Puts what plays into the library. May block.
    fn put_in_place(&self, film: &Film, from: &Path, ending: &str) -> Result<(), String> {
        let of_io = |error: std::io::Error| format!("it could not be kept: {error}");
        // Nobody renames or removes it meanwhile.
        let _filing = film.filing();
        if film.is_gone() {
            return Err(UNWANTED.to_owned());
        }
        let card = film.change(|card| ending.clone_into(&mut card.ending));
        card.write(&self.card(film.id)).map_err(of_io)?;
        // There may be none.
        let _ = std::fs::rename(self.texts(film.id), self.added_texts(film.id));
        std::fs::rename(from, self.place(film, ending)).map_err(of_io)?;
        for path in [self.part(film.id), self.incoming_card(film.id)] {
            let _ = std::fs::remove_file(path);
        }
        film.set_stage(Stage::Ready);
        Ok(())
    }
}
