//! Films that are fetched: each waits for its turn, and takes only room that no other was promised.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::card::{Card, FilmId, Owner};
use super::film::{Film, Stage};
use super::{Films, Refusal, fetch, ready};

impl Films {
    /// Fetches a film from an address of the web; its number. May block.
    ///
    /// # Errors
    /// A [`Refusal`]; what goes wrong later is said in the list.
    pub fn fetch(&self, owner: &Owner, from: IpAddr, url: &str) -> Result<FilmId, Refusal> {
        let name = fetch::title(url)?;
        let film = self.admit(Card { fetched: true, ..super::card(&name, owner) }, from)?;
        let (films, url, id) = (self.clone(), url.to_owned(), film.id);
        self.0.runtime.spawn(async move {
            match films.fetch_in_turn(&film, url).await {
                Ok(()) => {
                    film.set_stage(Stage::Waiting);
                    films.make_ready(film);
                }
                Err(why) => films.fail(film, why).await,
            }
        });
        Ok(id)
    }

    async fn fetch_in_turn(&self, film: &Arc<Film>, url: String) -> Result<(), String> {
        let _turn = ready::turn(&self.0.fetching, film).await?;
        let (films, film) = (self.clone(), film.clone());
        ready::on_thread(move || films.fetch_into(&film, &url)).await
    }

    /// Fetches what is at `url`.
    fn fetch_into(&self, film: &Film, url: &str) -> Result<(), String> {
        let part = OpenOptions::new().append(true).open(self.part(film.id));
        let mut part = part.map_err(|error| Refusal::Disk(error).to_string())?;
        let begin = |size: Option<u64>| match size {
            Some(size) => self.promise(film, size).map_err(|refusal| refusal.to_string()),
            None => Ok(()),
        };
        let take = |bytes: &[u8]| {
            if film.is_gone() {
                return Err(ready::UNWANTED.to_owned());
            }
            self.take(film, &mut part, bytes).map_err(|refusal| refusal.to_string())
        };
        self.0.fetcher.fetch(url, begin, take)
    }

    fn take(&self, film: &Film, part: &mut File, bytes: &[u8]) -> Result<(), Refusal> {
        let arrived = film.arrived() + bytes.len() as u64;
        if arrived > self.most() {
            return Err(Refusal::TooLarge(arrived, self.most()));
        }
        self.check_spare(film, bytes.len() as u64)?;
        part.write_all(bytes)?;
        film.arrived.store(arrived, Ordering::Relaxed);
        film.touch();
        Ok(())
    }
}
