//! Rooms on a disk: an SQLite file, written by one task in the order in which things happened.
//!
//! Rooms never wait for it. What cannot be written (a full disk, a queue that is full) is said, and
//! written whole as soon as that can be.

mod tables;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proto::room::{Line, RoomCode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use super::rules::{Kept, KeptMember};

/// What is to be written and is not yet: beyond that, rooms are written whole later.
const QUEUE: usize = 4_096;
/// So much is written in one transaction.
const TOGETHER: usize = 256;
/// Rooms that are over and could not be removed yet.
const GONE: usize = 10_000;
/// A disk that took everything for so long is well again.
const WELL: Duration = Duration::from_secs(60);
/// The end of the program waits so long for what is not written yet.
const FLUSH: Duration = Duration::from_secs(5);

/// Why rooms cannot be kept in a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be used.
    #[error("rooms cannot be kept in {path} ({error}); --rooms-file names another")]
    File {
        /// Which.
        path: PathBuf,
        /// What the database says.
        error: sqlx::Error,
    },
    /// It was written by a newer version of this program.
    #[error(
        "{0} was written by a newer cache-server; update this one, or name another --rooms-file"
    )]
    Newer(PathBuf),
}

/// A room as it is kept, with how its PIN is.
pub(super) struct Stored {
    pub(super) room: Kept,
    pub(super) pin: Option<Arc<str>>,
}

/// What changed of a room.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) code: RoomCode,
    /// Without members and lines.
    pub(super) room: Option<Box<Kept>>,
    pub(super) pin: Option<Arc<str>>,
    pub(super) members: Option<Vec<KeptMember>>,
    pub(super) lines: Vec<Line>,
    /// The lines are all there are.
    pub(super) whole: bool,
}

enum Order {
    Write(Change),
    Remove(RoomCode),
    /// Answered when all before it is written.
    Flush(oneshot::Sender<()>),
}

/// Writes rooms down. Clones write to the same file.
#[derive(Clone, Debug)]
pub(super) struct Store {
    orders: mpsc::Sender<Order>,
    /// Changes whenever something could not be written.
    lost: watch::Receiver<u64>,
}

impl Store {
    /// Opens or makes the file; gives what is kept there.
    pub(super) async fn open(path: &Path) -> Result<(Self, Vec<Stored>), Error> {
        let failed = |error| Error::File { path: path.to_owned(), error };
        make_private(path);
        let mut file = connect(path).await.map_err(failed)?;
        let version: i64 =
            sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut file).await.map_err(failed)?;
        if version > tables::VERSION {
            return Err(Error::Newer(path.to_owned()));
        }
        tables::make(&mut file).await.map_err(failed)?;
        let stored = tables::load(&mut file).await.map_err(failed)?;
        Ok((Self::of(file, path.to_owned()), stored))
    }

    fn of(file: SqliteConnection, path: PathBuf) -> Self {
        let (orders, ordered) = mpsc::channel(QUEUE);
        let (losing, lost) = watch::channel(0);
        let (file, gone, ill) = (Some(file), HashSet::new(), None);
        tokio::spawn(Writer { file, path, ordered, losing, gone, ill }.run());
        Self { orders, lost }
    }

    /// Whether it will be written, unless the disk fails.
    pub(super) fn write(&self, change: Change) -> bool {
        self.orders.try_send(Order::Write(change)).is_ok()
    }

    pub(super) async fn remove(&self, code: RoomCode) {
        // Without its writer there is nothing to remove it from.
        let _ = self.orders.send(Order::Remove(code)).await;
    }

    pub(super) fn lost(&self) -> watch::Receiver<u64> {
        self.lost.clone()
    }

    /// Waits until everything is written.
    pub(super) async fn flush(&self) {
        let (done, is_done) = oneshot::channel();
        let flush = async {
            if self.orders.send(Order::Flush(done)).await.is_ok() {
                let _ = is_done.await;
            }
        };
        if timeout(FLUSH, flush).await.is_err() {
            tracing::warn!("the last that happened in rooms is not written down: the disk is slow");
        }
    }
}

/// What was said in rooms is not for others on this machine. A file that is there stays as it is.
fn make_private(path: &Path) {
    let mut options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // What is wrong with the path, the database says.
    let _ = options.write(true).create_new(true).open(path);
}

async fn connect(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        // Survives the end of the process at any moment; the last moments before a power cut may go.
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        // Two relays would give out each other's rooms.
        .locking_mode(SqliteLockingMode::Exclusive)
        .busy_timeout(Duration::from_secs(1))
        .disable_statement_logging()
        .connect()
        .await
}

/// The only one who writes to the file.
struct Writer {
    /// `None` after a failure.
    file: Option<SqliteConnection>,
    path: PathBuf,
    ordered: mpsc::Receiver<Order>,
    losing: watch::Sender<u64>,
    /// Rooms that are over, and could not be removed yet.
    gone: HashSet<RoomCode>,
    /// It was said that something cannot be written, and when that last was so.
    ill: Option<Instant>,
}

impl Writer {
    async fn run(mut self) {
        let mut orders = Vec::with_capacity(TOGETHER);
        while self.ordered.recv_many(&mut orders, TOGETHER).await > 0 {
            let mut flushed = Vec::new();
            let mut changes = Vec::new();
            for order in orders.drain(..) {
                match order {
                    Order::Write(change) => changes.push(change),
                    Order::Remove(code) if self.gone.len() < GONE => {
                        self.gone.insert(code);
                    }
                    Order::Remove(_) => {}
                    Order::Flush(done) => flushed.push(done),
                }
            }
            let written = self.write(&changes).await;
            self.say(written);
            for done in flushed {
                // Who waited may have lost patience.
                let _ = done.send(());
            }
        }
        if let Some(file) = self.file {
            // Tidies up; what is written is written.
            let _ = file.close().await;
        }
    }

    /// All of it or nothing. A connection on which something went wrong is used no more: what it takes
    /// for the state of its transactions may be wrong, too.
    async fn write(&mut self, changes: &[Change]) -> Result<(), sqlx::Error> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => connect(&self.path).await?,
        };
        let written = write_together(&mut file, changes, &self.gone).await;
        if written.is_ok() {
            self.gone.clear();
            self.file = Some(file);
        } else {
            let _ = file.close().await;
        }
        written
    }

    fn say(&mut self, written: Result<(), sqlx::Error>) {
        match written {
            Ok(()) if self.ill.is_some_and(|at| at.elapsed() >= WELL) => {
                self.ill = None;
                tracing::warn!("rooms are written to {} again", self.path.display());
            }
            Ok(()) => {}
            Err(error) => {
                if self.ill.is_none() {
                    tracing::error!(
                        "rooms cannot be written to {} ({error}): they go on, but would not \
                         survive a restart; is the disk full?",
                        self.path.display()
                    );
                }
                tracing::debug!("rooms: not written: {error}");
                self.ill = Some(Instant::now());
                self.losing.send_modify(|lost| *lost += 1);
            }
        }
    }
}

async fn write_together(
    file: &mut SqliteConnection,
    changes: &[Change],
    gone: &HashSet<RoomCode>,
) -> Result<(), sqlx::Error> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *file).await?;
    for change in changes.iter().filter(|change| !gone.contains(&change.code)) {
        tables::write(file, change).await?;
    }
    for code in gone {
        tables::remove(file, *code).await?;
    }
    sqlx::query("COMMIT").execute(file).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proto::room::{RoomSettings, What};
    use proto::time::Stamp;

    use super::super::rules::{About, LINES_KEPT, Room};
    use super::*;

    fn kept(code: RoomCode) -> Kept {
        let about = About {
            code,
            stream: "film".to_owned(),
            film: None,
            settings: RoomSettings::default(),
            pin: false,
        };
        Room::new(about, 2, Stamp(1)).kept()
    }

    fn change(code: RoomCode) -> Change {
        let room = Some(Box::new(kept(code)));
        Change { code, room, pin: None, members: None, lines: Vec::new(), whole: false }
    }

    fn line(number: u64) -> Line {
        let (position_us, at_us) = (0, Stamp(number as i64));
        Line { number, position_us, at_us, who: "Ana".to_owned(), what: What::Joined }
    }

    #[tokio::test]
    async fn what_is_written_in_order_is_read_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("rooms");
        let (one, two) = (RoomCode::from_random([1; 10]), RoomCode::from_random([2; 10]));
        let (store, stored) = Store::open(&file).await.expect("a file");
        assert!(stored.is_empty());
        assert!(store.write(Change { lines: vec![line(1), line(2)], ..change(one) }));
        assert!(store.write(Change { room: None, lines: vec![line(3)], ..change(one) }));
        assert!(store.write(change(two)));
        store.remove(two).await;
        store.flush().await;
        let second = Store::open(&file).await;
        assert!(matches!(second, Err(Error::File { .. })), "two relays, one file");
        drop(store);
        let (_, stored) = until_free(&file).await;
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0].room, Kept { lines: (1..4).map(line).collect(), ..kept(one) });
    }

    #[tokio::test]
    async fn the_oldest_lines_make_way() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("rooms");
        let code = RoomCode::from_random([1; 10]);
        let (store, _) = Store::open(&file).await.expect("a file");
        let last = LINES_KEPT as u64 + 500;
        assert!(store.write(Change { lines: (1..=last).map(line).collect(), ..change(code) }));
        store.flush().await;
        drop(store);
        let (_, stored) = until_free(&file).await;
        assert_eq!(stored[0].room.lines.len(), LINES_KEPT);
        assert_eq!(stored[0].room.lines.last(), Some(&line(last)));
    }

    #[tokio::test]
    async fn what_could_not_be_written_is_told_to_all_rooms() {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, _) = Store::open(&folder.path().join("rooms")).await.expect("a file");
        let mut lost = store.lost();
        // Lines of a room that is not there: the database does not take them.
        let code = RoomCode::from_random([1; 10]);
        assert!(store.write(Change { room: None, lines: vec![line(1)], ..change(code) }));
        lost.changed().await.expect("told");
        assert!(store.write(Change { lines: vec![line(1)], whole: true, ..change(code) }));
        store.flush().await;
        assert!(!lost.has_changed().expect("still writing"), "the whole room was taken");
    }

    #[tokio::test]
    async fn a_disk_that_was_full_is_written_to_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rooms");
        let mut file = connect(&path).await.expect("a file");
        tables::make(&mut file).await.expect("tables");
        // As long as this connection lasts.
        sqlx::query("PRAGMA max_page_count = 16").execute(&mut file).await.expect("known");
        let store = Store::of(file, path.clone());
        let mut lost = store.lost();
        let code = RoomCode::from_random([1; 10]);
        let lines: Vec<Line> = (1..=1_000).map(line).collect();
        assert!(store.write(Change { lines: lines.clone(), ..change(code) }));
        lost.changed().await.expect("told");
        assert!(store.write(Change { lines: lines.clone(), whole: true, ..change(code) }));
        store.flush().await;
        assert!(!lost.has_changed().expect("still writing"));
        drop(store);
        let (_, stored) = until_free(&path).await;
        assert_eq!(stored[0].room.lines, lines);
    }

    #[tokio::test]
    async fn what_is_no_file_of_ours_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("rooms");
        std::fs::write(&file, "not a database at all, but long enough to look at").expect("write");
        let said = Store::open(&file).await.err().map(|error| error.to_string());
        assert!(said.is_some_and(|said| said.contains("--rooms-file")));
    }

    async fn until_free(file: &Path) -> (Store, Vec<Stored>) {
        let patience = Instant::now();
        loop {
            match Store::open(file).await {
                Ok(opened) => return opened,
                Err(error) => assert!(patience.elapsed().as_secs() < 20, "{error}"),
            }
        }
    }
}
