//! Where accounts are kept: an SQLite file, or a PostgreSQL database that relays may share. What is
//! asked of them is the same, in the SQL that both understand.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, ConnectOptions, Connection};

use crate::names;

/// Connections to a PostgreSQL server.
const CONNECTIONS: u32 = 4;
/// Somebody who asks waits so long for the database.
const PATIENCE: Duration = Duration::from_secs(5);
/// Whoever makes tables holds this lock of PostgreSQL: relays that share them may start at once.
const LOCK: i64 = 0x1057_e900_acc0_0417;

/// What makes each version of the tables out of the one before.
const VERSIONS: &[&[&str]] = &[&[
    // `id` is random: what belonged to an account that is gone never belongs to another.
    "CREATE TABLE account (id BIGINT PRIMARY KEY, name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE, \
     password TEXT NOT NULL, made_s BIGINT NOT NULL)",
    "CREATE TABLE session (token TEXT PRIMARY KEY, used_s BIGINT NOT NULL, \
     account BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE)",
    "CREATE INDEX session_account ON session (account)",
    "CREATE INDEX session_used ON session (used_s)",
    "CREATE TABLE room (code TEXT PRIMARY KEY, since_s BIGINT NOT NULL, \
     account BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE)",
    "CREATE INDEX room_account ON room (account)",
]];

/// Where accounts are kept. Shown without what is secret of it.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// An SQLite file, of one relay.
    File(PathBuf),
    /// The address of a PostgreSQL database.
    Postgres(String),
}

/// Accounts cannot be kept there.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database cannot be used.
    #[error(
        "accounts cannot be kept in {place} ({error}); --accounts-db names another, as \
         sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE"
    )]
    Database {
        /// Which.
        place: Place,
        /// What it says.
        error: sqlx::Error,
    },
    /// A newer version of this program wrote it.
    #[error(
        "{0} was written by a newer cache-server; update this one, or name another --accounts-db"
    )]
    Newer(Place),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(file) = text.strip_prefix("sqlite:").filter(|file| !file.is_empty()) {
            return Ok(Self::File(file.strip_prefix("//").unwrap_or(file).into()));
        }
        let is_ours = text.starts_with("postgres://") || text.starts_with("postgresql://");
        if is_ours && text.parse::<AnyConnectOptions>().is_ok() {
            return Ok(Self::Postgres(text.to_owned()));
        }
        Err("a database looks like sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE"
            .to_owned())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Postgres(url) => {
                let rest = url.split_once("://").map_or("", |(_, rest)| rest);
                let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
                write!(f, "postgres://{}", rest.split('?').next().unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Opens it; tables that are missing are made.
pub(super) async fn open(place: &Place) -> Result<AnyPool, OpenError> {
    let failed = |error| OpenError::Database { place: place.clone(), error };
    sqlx::any::install_default_drivers();
    let (url, connections) = match place {
        Place::File(path) => {
            make_private(path);
            (address(path), 1)
        }
        Place::Postgres(url) => (url.clone(), CONNECTIONS),
    };
    let options: AnyConnectOptions = url.parse().map_err(failed)?;
    let options = options.disable_statement_logging();
    let connecting = tokio::time::timeout(PATIENCE, options.connect());
    let mut first = connecting.await.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(failed)?;
    let version = make(&mut first, place).await.map_err(failed)?;
    let _ = first.close().await;
    if usize::try_from(version).is_ok_and(|version| version > VERSIONS.len()) {
        return Err(OpenError::Newer(place.clone()));
    }
    let pool = AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(matches!(place, Place::Postgres(_)));
    Ok(pool.connect_lazy_with(options))
}

/// A file's, whatever its name is.
fn address(path: &Path) -> String {
    format!("sqlite:{}?mode=rwc", names::encode_bytes(path.as_os_str().as_encoded_bytes()))
}

/// Hashes of passwords are not for others on this machine. A file that is there stays as it is.
fn make_private(path: &Path) {
    let mut options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // What is wrong with the path, the database says.
    let _ = options.write(true).create_new(true).open(path);
}

/// Brings the tables to the newest version; which one they have then.
async fn make(database: &mut AnyConnection, place: &Place) -> Result<i64, sqlx::Error> {
    if matches!(place, Place::File(_)) {
        // Readers and the writer do not wait for each other; kept in the file.
        sqlx::query("PRAGMA journal_mode = WAL").execute(&mut *database).await?;
    }
    let mut all = database.begin().await?;
    if matches!(place, Place::Postgres(_)) {
        let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)::text").bind(LOCK);
        lock.execute(&mut *all).await?;
    }
    let version = "CREATE TABLE IF NOT EXISTS accounts_version (version BIGINT NOT NULL)";
    sqlx::query(version).execute(&mut *all).await?;
    let version = sqlx::query_scalar("SELECT version FROM accounts_version");
    let version: i64 = version.fetch_optional(&mut *all).await?.unwrap_or(0);
    let missing = usize::try_from(version).ok().and_then(|version| VERSIONS.get(version..));
    let missing = missing.unwrap_or_default();
    for statement in missing.iter().copied().flatten() {
        sqlx::query(statement).execute(&mut *all).await?;
    }
    let version = version + missing.len() as i64;
    sqlx::query("DELETE FROM accounts_version").execute(&mut *all).await?;
    let write = sqlx::query("INSERT INTO accounts_version VALUES ($1)").bind(version);
    write.execute(&mut *all).await?;
    all.commit().await?;
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_shown_without_their_secrets() {
        sqlx::any::install_default_drivers();
        for (text, shown) in [
            ("sqlite:accounts.sqlite", "accounts.sqlite"),
            ("sqlite:///var/lib/a b", "/var/lib/a b"),
            (
                "postgres://ana:secret@db:5432/accounts?sslmode=require",
                "postgres://db:5432/accounts",
            ),
            ("postgresql://db/accounts", "postgres://db/accounts"),
        ] {
            let place: Place = text.parse().expect(text);
            assert_eq!(place.to_string(), shown);
            assert_eq!(format!("{place:?}"), shown);
        }
        for bad in ["", "sqlite:", "accounts.sqlite", "mysql://db/x", "postgres://[", "http://db"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_file_is_opened_again_and_not_when_it_is_newer_or_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::File(folder.path().join("ä b?c%d#e.sqlite"));
        open(&place).await.expect("a new file").close().await;
        let pool = open(&place).await.expect("the same file");
        let newer = sqlx::query("UPDATE accounts_version SET version = 99");
        assert_eq!(newer.execute(&pool).await.expect("a row").rows_affected(), 1);
        pool.close().await;
        assert!(matches!(open(&place).await, Err(OpenError::Newer(_))));
        let Place::File(path) = &place else { return };
        assert!(path.exists(), "its name is what was asked for");
        std::fs::write(path, "not a database at all, but long enough to look at").expect("write");
        let said = open(&place).await.err().map(|error| error.to_string());
        assert!(said.is_some_and(|said| said.contains("--accounts-db")));
    }
}
