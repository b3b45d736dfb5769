//! Who asks.

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::cookie::TokenHash;
use super::{Accounts, now_s};
use crate::limits;

/// What an account is known by: never given out again when the account is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub(super) i64);

impl AccountId {
    pub(super) fn random() -> Self {
        Self(rand::random::<i64>() & i64::MAX)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who a request is from: somebody who is logged in, or anybody. Handlers take it as an argument.
#[derive(Clone, Default)]
pub struct Visitor(Option<Arc<Known>>);

struct Known {
    id: AccountId,
    name: String,
    proof: Proof,
    accounts: Accounts,
}

/// By what we know them.
pub(super) enum Proof {
    Session(TokenHash),
    /// The hash of the password they gave.
    Password(String),
}

impl Visitor {
    pub(super) fn new(accounts: &Accounts, id: AccountId, name: String, proof: Proof) -> Self {
        Self(Some(Arc::new(Known { id, name, proof, accounts: accounts.clone() })))
    }

    /// Their account.
    #[must_use]
    pub fn id(&self) -> Option<AccountId> {
        self.0.as_ref().map(|known| known.id)
    }

    /// Their name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.as_ref().map(|known| known.name.as_str())
    }

    /// From now on the room is theirs; nobody's where nobody is logged in. Not waited for.
    pub fn owns_room(&self, code: &str) {
        let Some(known) = self.0.clone() else { return };
        let code = code.to_owned();
        tokio::spawn(async move {
            if let Err(error) = known.accounts.0.store.own(known.id, &code, now_s()).await {
                tracing::warn!("accounts: a room is nobody's: {error}");
            }
        });
    }

    /// Returns when they are logged in no more; never for who was not.
    pub async fn over(&self) {
        let Some(known) = &self.0 else { return pending().await };
        let mut ended = known.accounts.ended();
        while known.is_known().await {
            // Also looked for by and by: sessions expire, and relays may share the accounts.
            let news = async {
                loop {
                    match ended.recv().await {
                        Ok(id) if id != known.id => {}
                        Ok(_) | Err(RecvError::Lagged(_)) => return,
                        Err(RecvError::Closed) => pending().await,
                    }
                }
            };
            let _ = timeout(limits::SESSION_LOOK, news).await;
        }
    }

    /// By what this browser is logged in.
    pub(super) fn session(&self) -> Option<&TokenHash> {
        match &self.0.as_ref()?.proof {
            Proof::Session(token) => Some(token),
            Proof::Password(_) => None,
        }
    }
}

impl Known {
    async fn is_known(&self) -> bool {
        let store = &self.accounts.0.store;
        let known = match &self.proof {
            Proof::Session(token) => {
                store.session(token, now_s()).await.map(|session| session.is_some())
            }
            Proof::Password(password) => {
                let account = store.by_id(self.id).await;
                account.map(|account| account.is_some_and(|it| it.password == *password))
            }
        };
        // A database that is away for a while throws nobody out.
        known.unwrap_or(true)
    }
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Visitor").field(&self.name()).finish()
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}
