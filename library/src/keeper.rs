//! Looks at the folder every few seconds: what came, went, or changed.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use media::demux::Movie;
use proto::limits;
use proto::recording::RecordingInfo;
use relay::{Node, Recording, Source};
use tokio::sync::watch;

use crate::bell::Bell;
use crate::films::Films;
use crate::names::stream_name;
use crate::title::Title;
use crate::tree::{self, Stamp};
use crate::version::Version;
use crate::{Settings, Shared};

/// A file that was written to so recently may not be all there.
const SETTLED: Duration = Duration::from_secs(5);
/// A folder that takes long to look at is looked at less often: this much of the time at most.
const SHARE: u32 = 10;
/// Files that cannot be served are named up to so many.
const MOST_NAMED: usize = 20;
/// Names that are tried for a stream.
const MOST_TRIES: usize = 100;
/// Who waits looks up this often for whether it is time to end.
const NAP: Duration = Duration::from_millis(100);

/// Turns true when it is time to end.
pub(crate) type Stop = watch::Receiver<bool>;

pub(crate) struct Keeper {
    settings: Settings,
    node: Node,
    shared: Arc<Shared>,
    /// Those that people added, which are called as they say.
    films: Option<Films>,
    /// Rung when one of those came, went, or is called otherwise.
    bell: Arc<Bell>,
    shown: BTreeMap<PathBuf, Shown>,
    /// Files that cannot be served, as they were.
    refused: BTreeMap<PathBuf, Stamp>,
    /// Files that may still be written to, as they were.
    settling: BTreeMap<PathBuf, Stamp>,
    /// Files that were named as not servable.
    named: usize,
}

/// A movie in the catalogue.
struct Shown {
    source: Source,
    title: Arc<Title>,
    /// What the catalogue says of it.
    told: Option<RecordingInfo>,
}

impl Keeper {
    pub(crate) fn new(
        settings: Settings,
        films: Option<Films>,
        node: Node,
        shared: Arc<Shared>,
    ) -> Self {
        let bell = films.as_ref().map(Films::bell).unwrap_or_default();
        Self {
            settings,
            node,
            shared,
            films,
            bell,
            shown: BTreeMap::new(),
            refused: BTreeMap::new(),
            settling: BTreeMap::new(),
            named: 0,
        }
    }

    /// Keeps the library until `stop` turns true.
    pub(crate) fn keep(&mut self, stop: &Stop) {
        let mut said = None;
        while !*stop.borrow() {
            let began = Instant::now();
            self.look(stop);
            if said != Some(self.shown.len()) && !*stop.borrow() {
                said = Some(self.shown.len());
                self.say_count();
            }
            let pause = self.settings.every.max(began.elapsed() * SHARE);
            let next = Instant::now() + pause;
            while Instant::now() < next && self.prepare_one() && !*stop.borrow() {}
            self.tell();
            self.wait_until(next, stop);
        }
    }

    /// Until there is something new, or it is time to end.
    fn wait_until(&self, next: Instant, stop: &Stop) {
        while !*stop.borrow() {
            let left = next.saturating_duration_since(Instant::now());
            if left.is_zero() || self.bell.wait(left.min(NAP)) {
                return;
            }
        }
    }

    fn say_count(&self) {
        let (count, folder) = (self.shown.len(), self.settings.folder.display());
        let what = match count {
            0 => "0 movies so far",
            1 => "1 movie",
            _ => &format!("{count} movies"),
        };
        // A closed pipe (`server ... | head`) is no reason to end.
        let _ = writeln!(std::io::stdout().lock(), "library: {what} in {folder}");
    }

    /// One look at the folder. If it cannot be looked into (a disk that is away), all stays as it is.
    fn look(&mut self, stop: &Stop) {
        let Ok(found) = tree::movies(&self.settings.folder, limits::STREAMS) else { return };
        self.shown.retain(|path, shown| {
            let stays = found.contains_key(path);
            if !stays {
                shown.title.close();
            }
            stays
        });
        self.refused.retain(|path, stamp| found.get(path) == Some(stamp));
        let refused = self.refused.len();
        let settling = std::mem::take(&mut self.settling);
        for (path, stamp) in found {
            if *stop.borrow() {
                return;
            }
            let known = self.shown.get(&path).map(|shown| shown.title.version().stamp);
            if known == Some(stamp) || self.refused.contains_key(&path) {
                continue;
            }
            // What was added is there whole or not at all.
            let is_added = self.films.as_ref().is_some_and(|films| films.named(&path).is_some());
            if is_added || is_settled(&stamp) || settling.get(&path) == Some(&stamp) {
                self.take_up(&path, stamp);
            } else {
                self.settling.insert(path, stamp);
            }
        }
        self.count_refused(self.refused.len().saturating_sub(refused));
    }

    /// Offers a file that is new, or offers it anew.
    fn take_up(&mut self, path: &Path, stamp: Stamp) {
        let movie = match Movie::open(path) {
            Ok(movie) => movie,
            Err(error) => {
                self.shown.remove(path);
                self.refuse(path, stamp, &error.to_string());
                return;
            }
        };
        let version = Version::new(path.to_owned(), stamp, &movie);
        if let Some(shown) = self.shown.get_mut(path) {
            shown.title.replace(version);
            shown.tell();
        } else if let Some(shown) = self.add(path, &movie, &version) {
            self.shown.insert(path.to_owned(), shown);
        } else {
            let full = format!("{}: there is no room for another stream", path.display());
            self.refuse(path, stamp, &full);
        }
    }

    /// A stream of its own, with a number behind its name if another has the name.
    fn add(&self, path: &Path, movie: &Movie, version: &Arc<Version>) -> Option<Shown> {
        let lies = || name(path.strip_prefix(&self.settings.folder).unwrap_or(path));
        let named = self.films.as_ref().and_then(|films| films.named(path));
        let (wish, title) = named.unwrap_or_else(|| (lies(), movie.title().to_owned()));
        let numbered = (2..MOST_TRIES).map(|n| format!("{wish} {n}"));
        let mut names = std::iter::once(wish.clone()).chain(numbered);
        names.find_map(|name| {
            let words = (name.clone(), title.clone());
            let movie = Title::new(words.0, words.1, self.shared.clone(), version.clone());
            let (told, summary) = (movie.info(), summary(version));
            let source = self.node.add_recording(&name, &title, &summary, movie.clone()).ok()?;
            self.films.iter().for_each(|films| films.offered(path, &name));
            Some(Shown { source, title: movie, told })
        })
    }

    fn refuse(&mut self, path: &Path, stamp: Stamp, why: &str) {
        self.refused.insert(path.to_owned(), stamp);
        self.named += 1;
        if self.named <= MOST_NAMED {
            let _ = writeln!(std::io::stderr().lock(), "library: {why}");
        }
    }

    /// Those that are not named are counted.
    fn count_refused(&self, new: usize) {
        let unnamed = self.named.saturating_sub(MOST_NAMED).min(new);
        if unnamed > 0 {
            let _ = writeln!(
                std::io::stderr().lock(),
                "library: {unnamed} more files cannot be served ({} in all)",
                self.refused.len()
            );
        }
    }

    /// Looks through one more movie that nobody has looked through; `false` if there is none. What
    /// must be converted waits until somebody wants it.
    fn prepare_one(&mut self) -> bool {
        let waits = |shown: &&mut Shown| {
            let version = shown.title.version();
            !version.converts && version.is_new()
        };
        let Some(shown) = self.shown.values_mut().find(waits) else { return false };
        self.shared.runtime.block_on(shown.title.prepare());
        shown.tell();
        true
    }

    /// The catalogue says what has become known, and what films are called now.
    fn tell(&mut self) {
        if let Some(films) = &self.films {
            for (path, shown) in &mut self.shown {
                if let Some((_, title)) = films.named(path)
                    && shown.title.rename(&title)
                {
                    shown.source.set_title(&title);
                }
            }
        }
        let news = |shown: &&mut Shown| shown.title.info() != shown.told;
        self.shown.values_mut().filter(news).for_each(Shown::tell);
    }
}

impl Shown {
    fn tell(&mut self) {
        self.told = self.title.info();
        self.source.set_summary(&summary(&self.title.version()));
        self.source.set_recording(Some(self.title.clone()));
    }
}

fn summary(version: &Version) -> String {
    let tracks: Vec<String> = version.tracks.iter().map(ToString::to_string).collect();
    tracks.join(", ")
}

fn is_settled(stamp: &Stamp) -> bool {
    let age = stamp.modified.and_then(|at| SystemTime::now().duration_since(at).ok());
    age.is_some_and(|age| age > SETTLED)
}

/// What a stream is called: the folders and the file's name without its ending.
fn name(path: &Path) -> String {
    let whole = path.with_extension("");
    let parts: Vec<String> =
        whole.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    stream_name(&parts.join(" - "), "movie")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_where_a_movie_lies() {
        for (path, expected) in [
            ("a.mp4", "a"),
            ("Series/Season 1/02. Two.mkv", "Series - Season 1 - 02. Two"),
            ("a\\b.mp4", "a_b"),
        ] {
            assert_eq!(name(Path::new(path)), expected);
        }
        let long = format!("{}/{}.mp4", "x".repeat(100), "y".repeat(100));
        assert!(proto::stream::is_valid_name(&name(Path::new(&long))));
    }

    #[test]
    fn what_is_being_written_is_not_settled() {
        let file = tempfile::NamedTempFile::new().expect("file");
        let stamp = Stamp::of(file.path()).expect("is there");
        assert!(!is_settled(&stamp));
        let old = SystemTime::now() - 2 * SETTLED;
        file.as_file().set_modified(old).expect("is set");
        assert!(is_settled(&Stamp::of(file.path()).expect("is there")));
    }
}
