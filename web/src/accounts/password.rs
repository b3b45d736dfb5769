//! Passwords as they are kept: Argon2id hashes, from which nobody reads a password.

use std::sync::Arc;

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;
use crate::limits;

/// Hashes passwords and compares them, off the tasks that talk.
#[derive(Debug)]
pub(super) struct Passwords {
    /// Who is compared, or waits for it.
    line: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    /// Of a password that nobody has: compared where there is no account, which takes as long.
    nobody: String,
}

/// Somebody's turn.
pub(super) struct Turn(#[expect(dead_code, reason = "ends it")] [OwnedSemaphorePermit; 2]);

impl Passwords {
    pub(super) async fn new() -> Self {
        let password = format!("{:032x}", rand::random::<u128>());
        let hash = tokio::task::spawn_blocking(move || hash(&password));
        Self {
            line: Arc::new(Semaphore::new(limits::HASHES_WAITING)),
            turns: Arc::new(Semaphore::new(limits::HASHES)),
            nobody: hash.await.ok().flatten().unwrap_or_default(),
        }
    }

    /// Waits for one; not where too many wait.
    pub(super) async fn turn(&self) -> Result<Turn, Error> {
        let busy = || Error::Unavailable("too many log in at once; try again soon".to_owned());
        let place = self.line.clone().try_acquire_owned().map_err(|_| busy())?;
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| busy())?;
        Ok(Turn([place, turn]))
    }

    /// What is compared where there is no account.
    pub(super) fn nobody(&self) -> &str {
        &self.nobody
    }
}

impl Turn {
    /// How a password is kept.
    pub(super) async fn hash(&self, password: String) -> Result<String, Error> {
        let hash = tokio::task::spawn_blocking(move || hash(&password)).await.ok().flatten();
        hash.ok_or_else(|| Error::Unavailable("the password cannot be kept now".to_owned()))
    }

    /// Whether that is it.
    pub(super) async fn is_right(&self, password: String, kept: String) -> bool {
        let is_it = move || Argon2::default().verify_password(password.as_bytes(), &*kept).is_ok();
        tokio::task::spawn_blocking(is_it).await.unwrap_or(false)
    }
}

fn hash(password: &str) -> Option<String> {
    Some(Argon2::default().hash_password(password.as_bytes()).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_and_not_readable() {
        let passwords = Passwords::new().await;
        let turn = passwords.turn().await.expect("a turn");
        let kept = turn.hash("correct horse".to_owned()).await.expect("a hash");
        assert!(kept.starts_with("$argon2id$") && !kept.contains("horse"), "{kept}");
        assert!(turn.is_right("correct horse".to_owned(), kept.clone()).await);
        assert!(!turn.is_right("correct horsf".to_owned(), kept).await);
        assert!(passwords.nobody().starts_with("$argon2id$"), "takes as long as any");
    }

    #[tokio::test]
    async fn who_waits_is_bounded() {
        let passwords = Arc::new(Passwords::new().await);
        let mut turns = Vec::new();
        for _ in 0..limits::HASHES {
            turns.push(passwords.turn().await.expect("a turn"));
        }
        let wait = || {
            let passwords = passwords.clone();
            tokio::spawn(async move { passwords.turn().await.map(drop) })
        };
        let waiting: Vec<_> =
            (0..limits::HASHES_WAITING - limits::HASHES).map(|_| wait()).collect();
        while passwords.line.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(passwords.turn().await.is_err());
        drop(turns);
        for turn in waiting {
            assert!(turn.await.expect("no panic").is_ok());
        }
    }
}
