//! What can be done by hand with the recordings on the disk.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use media::record::Recorder;
use proto::conn::ConnError;
use proto::dial::{DialError, Dialled, dial};
use proto::message::{List, Message};
use proto::recording::{Digest, Fetch, Index, Open, packets};
use proto::{Role, StreamInfo};
use relay::Keep;
use serde::Serialize;

use crate::cli::Chore;
use crate::store::file::{self, Damage};
use crate::store::shelf::{self, Shelf};
use crate::store::{self, Store};

/// Program and version, for the origin's log.
const AGENT: &str = concat!("cache-server ", env!("CARGO_PKG_VERSION"));
/// An origin that sends nothing for so long is gone.
const SILENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// Why a chore cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// There is no such folder: listing does not make one.
    #[error("there is no folder {0}; --cache-dir names the one of the relay")]
    NoFolder(PathBuf),
    /// Nothing of that name is kept.
    #[error("no recording '{0}' is kept here; cache-server cache list shows what is")]
    NoSuch(String),
    /// Several are called so.
    #[error("'{name}' are {count} recordings; name one by its number: {ids}")]
    Several {
        /// As it was given.
        name: String,
        /// How many.
        count: usize,
        /// Their numbers.
        ids: String,
    },
    /// Not all of it is here.
    #[error(
        "of '{name}' {missing} of {all} segments are not here; cache-server cache prefetch brings them"
    )]
    Incomplete {
        /// As it was given.
        name: String,
        /// Segments that are not here, or damaged.
        missing: usize,
        /// Segments it has.
        all: usize,
    },
    /// Damaged files were found.
    #[error(
        "{0} damaged files were found and removed; they come again from the origin when they are wanted"
    )]
    Damaged(usize),
    /// It cannot be removed, read or written.
    #[error("{path}: {error}")]
    Io {
        /// What.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The movie cannot be written.
    #[error(transparent)]
    Record(#[from] media::record::Error),
    /// The origin cannot be reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The origin broke off, or has no such recording.
    #[error("{origin}: {error}")]
    Origin {
        /// `HOST[:PORT]`.
        origin: String,
        /// What happened.
        error: ConnError,
    },
    /// The origin cannot give a segment.
    #[error("{origin} cannot give segment {number}: {reason}")]
    NoSegment {
        /// `HOST[:PORT]`.
        origin: String,
        /// Which.
        number: u64,
        /// Why.
        reason: String,
    },
    /// The system gives no threads.
    #[error("cannot start: {0}")]
    Start(io::Error),
}

/// Does it.
///
/// # Errors
/// See [`Error`].
pub fn run(chore: Chore) -> Result<(), Error> {
    match chore {
        Chore::List { folder, json } => list(&folder.cache_dir, json),
        Chore::Verify { folder } => verify(&folder.cache_dir),
        Chore::Remove { folder, movie } => remove(&folder.cache_dir, &movie),
        Chore::Prefetch { folder, cache_size, origin, movie } => {
            let store = Store::open(&folder.cache_dir, cache_size)?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(Error::Start)?;
            runtime.block_on(prefetch(store.as_ref(), &origin, &movie))
        }
        Chore::Export { folder, movie, out } => export(&folder.cache_dir, &movie, &out),
    }
}

fn shelves(folder: &Path) -> Result<Vec<Shelf>, Error> {
    if !folder.is_dir() {
        return Err(Error::NoFolder(folder.to_owned()));
    }
    Ok(shelf::all(folder).collect())
}

/// The one that is called so, or has that number.
fn find(folder: &Path, movie: &str) -> Result<Shelf, Error> {
    let is_it = |shelf: &Shelf| {
        shelf.id().to_string() == movie
            || shelf.about().iter().any(|about| about.stream.name == movie)
    };
    let mut found: Vec<Shelf> = shelves(folder)?.into_iter().filter(is_it).collect();
    match found.len() {
        0 => Err(Error::NoSuch(movie.to_owned())),
        1 => Ok(found.remove(0)),
        count => Err(Error::Several {
            name: movie.to_owned(),
            count,
            ids: found.iter().map(|s| s.id().to_string()).collect::<Vec<_>>().join(", "),
        }),
    }
}

/// A line of the list.
#[derive(Debug, Serialize)]
struct Row {
    id: String,
    name: String,
    origin: String,
    summary: String,
    duration_s: f64,
    /// On the disk.
    bytes: u64,
    segments: usize,
    segments_of: usize,
}

fn row_of(shelf: &Shelf) -> Row {
    let about = shelf.about().into_iter().next();
    let index = shelf.index().ok();
    let stream = about.as_ref().map(|about| &about.stream);
    let duration_us = stream.and_then(|s| s.recording).map_or(0, |r| r.duration_us);
    Row {
        id: shelf.id().to_string(),
        name: stream.map(|s| s.name.clone()).unwrap_or_default(),
        origin: about.as_ref().map(|about| about.origin.clone()).unwrap_or_default(),
        summary: stream.map(|s| s.summary.clone()).unwrap_or_default(),
        duration_s: duration_us as f64 / 1e6,
        bytes: shelf.bytes(),
        segments: shelf.segments().len(),
        segments_of: index.map_or(0, |index| index.segments.len()),
    }
}

fn list(folder: &Path, json: bool) -> Result<(), Error> {
    let mut lines: Vec<Row> = shelves(folder)?.iter().map(row_of).collect();
    lines.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    let mut out = io::stdout().lock();
    // A reader that went away has seen enough.
    let mut say = |text: String| writeln!(out, "{text}").is_ok();
    if json {
        let text = |line: &Row| serde_json::to_string(line).unwrap_or_default();
        let _ = lines.iter().map(text).all(say);
        return Ok(());
    }
    let widest = lines.iter().map(|line| line.name.chars().count()).max().unwrap_or(0).max(4);
    let head = format!("{:widest$}  {:>10}  {:>5}  {:32}  ORIGIN", "NAME", "ON DISK", "PART", "ID");
    if !say(head) {
        return Ok(());
    }
    for line in &lines {
        let part = match line.segments_of {
            // The tail of a live stream: it has no end to be a part of.
            0 => "-".to_owned(),
            all => format!("{:.0}%", 100.0 * line.segments as f64 / all as f64),
        };
        let size = indicatif::HumanBytes(line.bytes).to_string();
        let text = format!(
            "{:widest$}  {size:>10}  {part:>5}  {:32}  {}",
            line.name, line.id, line.origin
        );
        if !say(text) {
            break;
        }
    }
    Ok(())
}

/// A reader that went away has seen enough.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// A bar on a terminal, nothing elsewhere.
fn bar(length: u64, what: &str) -> ProgressBar {
    let bar =
        if io::stderr().is_terminal() { ProgressBar::new(length) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{msg} [{wide_bar}] {percent}% {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.with_message(what.to_owned())
}

/// Looks at a segment's file.
fn check(shelf: &Shelf, number: u64) -> Result<(), Damage> {
    let mut file = File::open(shelf.segment(number))?;
    let head = file::look(&mut file, file::SEGMENT, shelf.id(), number)?;
    file::verify(&mut file, &head)
}

fn verify(folder: &Path) -> Result<(), Error> {
    let shelves = shelves(folder)?;
    let all: Vec<(Shelf, Vec<u64>)> =
        shelves.into_iter().map(|shelf| (shelf.clone(), shelf.segments())).collect();
    let count: usize = all.iter().map(|(_, segments)| segments.len()).sum();
    let progress = bar(count as u64, "verifying");
    let mut damaged = 0;
    for (shelf, segments) in &all {
        for number in segments {
            progress.inc(1);
            let Err(damage) = check(shelf, *number) else { continue };
            if damage.is_absence() {
                continue;
            }
            damaged += 1;
            let path = shelf.segment(*number);
            progress.suspend(|| say(format_args!("{}: {damage}", path.display())));
            std::fs::remove_file(&path).map_err(|error| Error::Io { path, error })?;
        }
    }
    progress.finish_and_clear();
    say(format_args!("{} of {count} segments are whole", count - damaged));
    if damaged > 0 { Err(Error::Damaged(damaged)) } else { Ok(()) }
}

fn remove(folder: &Path, movie: &str) -> Result<(), Error> {
    let shelf = find(folder, movie)?;
    // Not while a relay serves from it: it would count wrongly ever after.
    let _ours = Store::open(folder, u64::MAX)?;
    let bytes = shelf.bytes();
    let path = folder.join(shelf.id().to_string());
    shelf.remove().map_err(|error| Error::Io { path, error })?;
    say(format_args!("removed {movie}: {}", indicatif::HumanBytes(bytes)));
    Ok(())
}

/// An origin, and a connection to it on which a recording is open.
struct Line<'a> {
    origin: &'a str,
    connection: Dialled,
    index: Index,
}

impl<'a> Line<'a> {
    async fn open(origin: &'a str, movie: &str) -> Result<Self, Error> {
        let broken = |error| Error::Origin { origin: origin.to_owned(), error };
        let mut connection = dial(origin, Role::Relay, None, AGENT).await?;
        let open = Message::Open(Open { stream: Some(movie.to_owned()) });
        connection.writer.write(&open).await.map_err(broken)?;
        match connection.reader.read_within(SILENCE).await.map_err(broken)? {
            Message::Index(index) => Ok(Self { origin, connection, index }),
            other => Err(broken(ConnError::OutOfOrder { got: other.kind(), expected: "Index" })),
        }
    }

    /// Brings a segment here; how many bytes came.
    async fn fetch(&mut self, store: &dyn Keep, number: u64) -> Result<u64, Error> {
        let origin = self.origin.to_owned();
        let fetch = Message::Fetch(Fetch { id: self.index.id, segment: number });
        let received = async {
            self.connection.writer.write(&fetch).await?;
            let reader = &mut self.connection.reader;
            match reader.read_within(SILENCE).await? {
                Message::Segment(head) => Ok(Ok((head, reader.segment(head, SILENCE).await?))),
                Message::NoSegment(no) => Ok(Err(no.reason)),
                other => Err(ConnError::OutOfOrder { got: other.kind(), expected: "Segment" }),
            }
        };
        let received =
            received.await.map_err(|error| Error::Origin { origin: origin.clone(), error })?;
        let missing = |reason: &str| Error::NoSegment {
            origin: origin.clone(),
            number,
            reason: reason.to_owned(),
        };
        let (head, bytes) = received.map_err(|reason| missing(&reason))?;
        if head.number != number || Digest::of(&bytes) != head.digest {
            return Err(missing("it came damaged"));
        }
        let came = bytes.len() as u64;
        store
            .put_segment(self.index.id, number, head.digest, bytes)
            .map_err(|error| missing(&error.to_string()))?;
        Ok(came)
    }
}

/// What an origin says of a recording in its catalogue.
async fn info(origin: &str, movie: &str) -> Result<Option<StreamInfo>, Error> {
    let broken = |error| Error::Origin { origin: origin.to_owned(), error };
    let mut control = dial(origin, Role::Control, None, AGENT).await?;
    let list = Message::List(List { follow: false });
    control.writer.write(&list).await.map_err(broken)?;
    match control.reader.read_within(SILENCE).await.map_err(broken)? {
        Message::Catalog(catalog) => Ok(catalog.streams.into_iter().find(|s| s.name == movie)),
        _ => Ok(None),
    }
}

/// Brings all of a recording here.
async fn prefetch(store: &dyn Keep, origin: &str, movie: &str) -> Result<(), Error> {
    let mut line = Line::open(origin, movie).await?;
    let (id, first, count) = (line.index.id, line.index.first, line.index.segments.len());
    store.put_index(&line.index);
    let _held = store.hold(id);
    if let Some(info) = info(origin, movie).await? {
        store.remember(origin, &info);
    }
    let progress = bar(count as u64, movie);
    let mut came = 0;
    for number in first..first + count as u64 {
        if number >= line.index.oldest && store.segment(id, number).is_none() {
            came += line.fetch(store, number).await?;
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    say(format_args!("{movie}: all of it is here, {} came now", indicatif::HumanBytes(came)));
    Ok(())
}

fn export(folder: &Path, movie: &str, out: &Path) -> Result<(), Error> {
    let shelf = find(folder, movie)?;
    let unusable = || Error::NoSuch(movie.to_owned());
    let index = shelf.index().map_err(|_| unusable())?;
    let numbers = index.first..index.first + index.segments.len() as u64;
    let missing = numbers.clone().filter(|number| check(&shelf, *number).is_err()).count();
    if missing > 0 {
        let (name, all) = (movie.to_owned(), index.segments.len());
        return Err(Error::Incomplete { name, missing, all });
    }
    let mut recorder = Recorder::create(out, &index.description)?;
    let progress = bar(index.segments.len() as u64, "writing");
    for number in numbers {
        let path = shelf.segment(number);
        let whole = std::fs::read(&path).map_err(|error| Error::Io { path, error })?;
        let body = whole.get(file::HEAD as usize..).unwrap_or_default();
        for packet in packets(body) {
            recorder.write(&packet)?;
        }
        progress.inc(1);
    }
    recorder.finish()?;
    progress.finish_and_clear();
    say(format_args!("wrote {}", out.display()));
    Ok(())
}
