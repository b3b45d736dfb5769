//! People with a name and a password: who is asking, and what belongs to them.
//!
//! ```text
//! gate      every request: who asks, and whether that may be answered
//! visitor   who asks, for handlers
//! pages     register, log in, log out, change the password, delete: JSON by HTTP
//! asked     the body of a request: JSON, bounded
//! proof     names and passwords that are tried: slowed, cut off, then compared
//! password  passwords as hashes
//! cookie    how a browser shows that it is logged in
//! rules     what may be a name and a password. Pure
//! store     what is kept: accounts, sessions, rooms of accounts
//! database  SQLite or PostgreSQL, and the versions of the tables
//! ```

mod asked;
mod cookie;
mod database;
mod gate;
pub(crate) mod pages;
mod password;
mod proof;
mod rules;
mod store;
mod visitor;

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::broadcast;

pub use database::{OpenError, Place};
pub(crate) use gate::gate;
pub use visitor::{AccountId, Visitor};

use self::password::Passwords;
use self::proof::Guesses;
use self::store::Store;
use crate::error::Error;

/// Endings of sessions that whoever waits for one has not looked at yet; one who missed some looks
/// whether its own is there.
const ENDED: usize = 64;

/// What one may do without an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Watch; what people make belongs to them where they are logged in.
    Optional,
    /// Nothing but log in.
    Required,
}

/// The accounts of a site. Clones are the same accounts.
#[derive(Clone, Debug)]
pub struct Accounts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    policy: Policy,
    place: Place,
    store: Store,
    passwords: Passwords,
    guesses: Mutex<Guesses>,
    ended: broadcast::Sender<AccountId>,
}

impl Accounts {
    /// Those that are kept there; tables that are missing are made.
    ///
    /// # Errors
    /// The database cannot be used, or a newer version of this program wrote it.
    pub async fn open(place: Place, policy: Policy) -> Result<Self, OpenError> {
        let store = Store::new(database::open(&place).await?);
        let (passwords, guesses) = (Passwords::new().await, Mutex::default());
        let ended = broadcast::Sender::new(ENDED);
        Ok(Self(Arc::new(Inner { policy, place, store, passwords, guesses, ended })))
    }

    /// What one may do without.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.0.policy
    }

    /// Where they are kept.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// Says whose sessions ended: after a log-out, another password, or the end of the account.
    #[must_use]
    pub fn ended(&self) -> broadcast::Receiver<AccountId> {
        self.0.ended.subscribe()
    }

    /// Whether that room belongs to them.
    async fn owns(&self, account: AccountId, room: &str) -> Result<bool, Error> {
        Ok(self.0.store.owner(room).await? == Some(account))
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        tracing::warn!("accounts: {error}");
        Self::Unavailable("accounts cannot be looked up at the moment; try again soon".to_owned())
    }
}

/// Seconds since 1970.
fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
