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

/// Somebody's turn. It lasts as long as what is computed in it: that goes on when nobody waits for it
/// any more.
#[derive(Clone)]
pub(super) struct Turn(#[expect(dead_code, reason = "ends it")] Arc<[OwnedSemaphorePermit; 2]>);

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
        Ok(Turn(Arc::new([place, turn])))
    }

    /// What is compared where there is no account.
    pub(super) fn nobody(&self) -> &str {
        &self.nobody
    }
}

impl Turn {
    /// How a password is kept.
    pub(super) async fn hash(&self, password: String) -> Result<String, Error> {
        self.compute(move || hash(&password))
            .await
            .flatten()
            .ok_or_else(|| Error::Unavailable("the password cannot be kept now".to_owned()))
    }

    /// Whether that is it.
    pub(super) async fn is_right(&self, password: String, kept: String) -> bool {
        let is_it = move || Argon2::default().verify_password(password.as_bytes(), &*kept).is_ok();
        self.compute(is_it).await.unwrap_or(false)
    }

    async fn compute<T: Send + 'static>(
        &self,
        what: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let turn = self.clone();
        let computing = move || {
            let computed = what();
            drop(turn);
            computed
        };
        tokio::task::spawn_blocking(computing).await.ok()
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

    #[test]
    fn who_goes_leaves_the_turn_to_what_is_computed() {
        // The one thread that computes is busy: what is to be computed stays in line.
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build();
        runtime.expect("a runtime").block_on(async {
            let passwords = Passwords::new().await;
            let (go, wait) = std::sync::mpsc::channel::<()>();
            let busy = tokio::task::spawn_blocking(move || wait.recv());
            let turn = passwords.turn().await.expect("a turn");
            let mut hashing = Box::pin(turn.hash("correct horse".to_owned()));
            assert!(futures_util::poll!(&mut hashing).is_pending());
            drop(hashing);
            drop(turn);
            assert_eq!(passwords.turns.available_permits(), limits::HASHES - 1);
            assert_eq!(passwords.line.available_permits(), limits::HASHES_WAITING - 1);
            drop(go);
            busy.await.expect("no panic").expect_err("nothing was sent");
            // Both come back; the test is over when they have.
            while passwords.line.available_permits() < limits::HASHES_WAITING
                || passwords.turns.available_permits() < limits::HASHES
            {
                tokio::task::yield_now().await;
            }
        });
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
