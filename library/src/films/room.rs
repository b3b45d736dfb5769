//! Whether there is room for another film, and for more of one.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::IpAddr;
use std::sync::Arc;

use relay::guard::subscriber;

use super::card::{Card, FilmId};
use super::film::{Film, Stage};
use super::{Films, Refusal, limits};

/// Bytes that these are still promised.
fn promised<'a>(films: impl Iterator<Item = &'a Arc<Film>>) -> u64 {
    films.fold(0, |sum, film| sum.saturating_add(film.to_come()))
}

impl Films {
    /// Takes a film in, if there is room, with a file that is empty.
    pub(super) fn admit(&self, card: Card, from: IpAddr) -> Result<Arc<Film>, Refusal> {
        let film = {
            let mut films = self.films();
            self.check_places(&films, from)?;
            let needed = promised(films.values()).saturating_add(card.size.unwrap_or(0));
            self.check_room(needed)?;
            let film = Film::new(FilmId::random(), card, Stage::Arriving, Some(from));
            films.insert(film.id, film.clone());
            film
        };
        let id = film.id;
        let made = film.card().write(&self.incoming_card(id));
        let made = made.and_then(|()| File::create_new(self.part(id)).map(drop));
        made.map_err(|error| {
            self.films().remove(&id);
            self.remove_files(&film);
            Refusal::Disk(error)
        })?;
        Ok(film)
    }

    fn check_places(
        &self,
        films: &BTreeMap<FilmId, Arc<Film>>,
        from: IpAddr,
    ) -> Result<(), Refusal> {
        if films.len() >= proto::limits::STREAMS {
            return Err(Refusal::Full);
        }
        let underway = || films.values().filter(|film| film.is_underway());
        let is_here = |film: &&Arc<Film>| film.from.map(subscriber) == Some(subscriber(from));
        let here = underway().filter(is_here).count();
        if underway().count() >= limits::UNDERWAY || here >= limits::UNDERWAY_PER_ADDRESS {
            return Err(Refusal::TooMany);
        }
        Ok(())
    }

    /// Whether the disk has room for so many bytes more.
    pub(super) fn check_room(&self, bytes: u64) -> Result<(), Refusal> {
        let free = (self.0.settings.free)(&self.0.settings.folder)?;
        let needed = bytes.saturating_add(self.0.settings.reserve);
        if free < needed { Err(Refusal::NoRoom) } else { Ok(()) }
    }

    /// Promises room to a film whose size becomes known now.
    pub(super) fn promise(&self, film: &Film, size: u64) -> Result<(), Refusal> {
        if size > self.most() {
            return Err(Refusal::TooLarge(size, self.most()));
        }
        // With the list: nobody else is promised the same room.
        let films = self.films();
        self.check_room(promised(films.values()).saturating_add(size))?;
        film.change(|card| card.size = Some(size));
        Ok(())
    }

    /// Whether the disk has room for so many bytes more of `film`, besides what others were promised.
    pub(super) fn check_spare(&self, film: &Film, bytes: u64) -> Result<(), Refusal> {
        let others = promised(self.films().values().filter(|other| other.id != film.id));
        self.check_room(bytes.saturating_add(others))
    }
}
