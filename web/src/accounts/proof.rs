//! Names and passwords that are tried. Wrong ones are counted by address and by name, answered slower
//! and slower, and not heard for a while when there were too many. The answer is the same, and as
//! late, whether there is an account of that name or not.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use proto::conn::now;
use relay::guard::{Guard, MOST, subscriber};
use tokio::time::Instant;

use super::Accounts;
use super::password::Turn;
use super::rules::{check_name, fold};
use super::store::Account;
use crate::error::Error;
use crate::limits;

/// What was tried.
#[derive(Debug)]
pub(super) struct Guesses {
    addresses: Guard<IpAddr>,
    names: Guard<String>,
    registered: Guard<IpAddr>,
    right: Right,
}

impl Default for Guesses {
    fn default() -> Self {
        Self {
            addresses: Guard::new(MOST),
            names: Guard::new(limits::GUESSES_OF_NAME),
            registered: Guard::new(limits::REGISTERED),
            right: Right { key: rand::random(), seen: HashMap::new() },
        }
    }
}

/// Passwords that were right lately, as hashes under a key that nobody knows: a program that gives its
/// password with each request is not compared each time.
#[derive(Debug)]
struct Right {
    key: [u8; 32],
    seen: HashMap<blake3::Hash, Instant>,
}

impl Right {
    fn hash(&self, account: &Account, password: &str) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        // Another password of the account makes another hash of it.
        hasher.update(blake3::hash(account.password.as_bytes()).as_bytes());
        hasher.update(&account.id.0.to_be_bytes()).update(password.as_bytes());
        hasher.finalize()
    }

    fn knows(&self, hash: &blake3::Hash) -> bool {
        self.seen.get(hash).is_some_and(|at| at.elapsed() < limits::RIGHT)
    }

    fn keep(&mut self, hash: blake3::Hash) {
        self.seen.retain(|_, at| at.elapsed() < limits::RIGHT);
        if self.seen.len() < limits::RIGHTS {
            self.seen.insert(hash, Instant::now());
        }
    }
}

/// What one who guessed too often is told.
fn too_often() -> Error {
    let reason = "too many wrong names or passwords were tried; try again in 10 minutes";
    Error::TooMany(reason.to_owned())
}

fn wrong() -> Error {
    Error::Refused("the name or the password is wrong".to_owned())
}

impl Accounts {
    /// Whose name and password these are.
    pub(super) async fn prove(
        &self,
        name: &str,
        password: &str,
        from: IpAddr,
    ) -> Result<Account, Error> {
        // What nobody can be called is nobody, and not worth remembering.
        let name = if check_name(name).is_ok() { fold(name) } else { String::new() };
        self.hear(&name, from)?;
        let turn = self.0.passwords.turn().await?;
        // Many may guess at once: while this one waited, others were wrong.
        self.hear(&name, from)?;
        let (accounts, password) = (self.clone(), password.to_owned());
        // In a task of its own: who hangs up meanwhile has guessed all the same.
        let comparing =
            tokio::spawn(async move { accounts.compare(turn, name, &password, from).await });
        let gone =
            |_| Error::Unavailable("passwords cannot be compared now; try again soon".to_owned());
        match comparing.await.map_err(gone)?? {
            Ok(account) => Ok(account),
            Err(late) => {
                tokio::time::sleep(late).await;
                Err(wrong())
            }
        }
    }

    /// Compares them; a wrong one is counted, and says how late it is to be answered.
    async fn compare(
        &self,
        turn: Turn,
        name: String,
        password: &str,
        from: IpAddr,
    ) -> Result<Result<Account, Duration>, Error> {
        let account = self.0.store.by_name(&name).await?;
        let kept = account.as_ref().map_or(self.0.passwords.nobody(), |it| &it.password);
        let fits = password.len() <= limits::PASSWORD;
        let tried = if fits { password } else { "" };
        let right = turn.is_right(tried.to_owned(), kept.to_owned()).await;
        // Counted before the next one has its turn.
        let account = account.filter(|_| right && fits);
        let compared = account.ok_or_else(|| self.was_wrong(name, from));
        drop(turn);
        Ok(compared)
    }

    /// As [`Self::prove`], for programs that prove themselves with each request.
    pub(super) async fn prove_again(
        &self,
        name: &str,
        password: &str,
        from: IpAddr,
    ) -> Result<Account, Error> {
        if let Some(account) = self.0.store.by_name(&fold(name)).await? {
            let guesses = self.guesses();
            let hash = guesses.right.hash(&account, password);
            if guesses.right.knows(&hash) {
                return Ok(account);
            }
        }
        let account = self.prove(name, password, from).await?;
        let mut guesses = self.guesses();
        let hash = guesses.right.hash(&account, password);
        guesses.right.keep(hash);
        Ok(account)
    }

    /// Somebody makes an account; not many after each other.
    pub(super) fn registers(&self, from: IpAddr) -> Result<(), Error> {
        let (mut guesses, now) = (self.guesses(), now());
        if !guesses.registered.hears(&subscriber(from), now) {
            let reason = "too many accounts were made from your address; try again in 10 minutes";
            return Err(Error::TooMany(reason.to_owned()));
        }
        let _ = guesses.registered.wrong(subscriber(from), now);
        Ok(())
    }

    fn hear(&self, name: &String, from: IpAddr) -> Result<(), Error> {
        let (guesses, now) = (self.guesses(), now());
        let hears =
            guesses.addresses.hears(&subscriber(from), now) && guesses.names.hears(name, now);
        if hears { Ok(()) } else { Err(too_often()) }
    }

    /// How late that is to be answered.
    fn was_wrong(&self, name: String, from: IpAddr) -> Duration {
        let (mut guesses, now) = (self.guesses(), now());
        let late = guesses.addresses.wrong(subscriber(from), now);
        late.max(guesses.names.wrong(name, now))
    }

    fn guesses(&self) -> std::sync::MutexGuard<'_, Guesses> {
        self.0.guesses.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Place, Policy, now_s};
    use super::*;

    async fn with_ana() -> (Accounts, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::File(folder.path().join("accounts"));
        let accounts = Accounts::open(place, Policy::Optional).await.expect("a file");
        let turn = accounts.0.passwords.turn().await.expect("a turn");
        let hash = turn.hash("correct horse".to_owned()).await.expect("a hash");
        drop(turn);
        let made = accounts.0.store.make("Ana", "ana", &hash, now_s()).await.expect("asked");
        made.expect("is new");
        (accounts, folder)
    }

    fn address(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_addresses_do_not_guess_more_at_one_name() {
        let (accounts, _folder) = with_ana().await;
        assert!(accounts.prove("ANA", "correct horse", address(0)).await.is_ok());
        // Their answers are late; what counts is that they came.
        let guesses = (1..=limits::GUESSES_OF_NAME).map(|n| {
            let accounts = accounts.clone();
            tokio::spawn(async move { accounts.prove("Ana", "wrong", address(n)).await.map(drop) })
        });
        let guesses: Vec<_> = guesses.collect();
        let shut = async {
            while accounts.hear(&"ana".to_owned(), address(0)).is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), shut).await.expect("is shut");
        guesses.iter().for_each(|guess| guess.abort());
        let right = accounts.prove("Ana", "correct horse", address(0)).await;
        assert_eq!(right.map(drop), Err(too_often()));
        // Other names are not concerned.
        assert_eq!(accounts.prove("Ben", "wrong", address(0)).await.map(drop), Err(wrong()));
    }

    #[tokio::test]
    async fn a_program_that_was_right_is_right_until_the_password_changes() {
        let (accounts, _folder) = with_ana().await;
        let ana = accounts.prove_again("Ana", "correct horse", address(0)).await.expect("right");
        // Though nothing new is heard from there.
        for _ in 0..MOST {
            let _ = accounts.was_wrong(String::new(), address(0));
        }
        assert!(accounts.prove_again("Ana", "correct horse", address(0)).await.is_ok());
        let other = accounts.prove_again("Ana", "correct horsf", address(0)).await;
        assert_eq!(other.map(drop), Err(too_often()));
        assert!(accounts.0.store.set_password(&ana, "other").await.expect("asked"));
        let old = accounts.prove_again("Ana", "correct horse", address(0)).await;
        assert_eq!(old.map(drop), Err(too_often()));
    }
}
