//! What is kept: accounts, their sessions, and what is whose. Moments are handed in, in seconds since
//! 1970.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, Row};

use super::cookie::TokenHash;
use super::visitor::AccountId;
use crate::limits;

/// What can belong to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A room, by its code.
    Room,
    /// A film that was added, by its name.
    Film,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Film => "film",
        }
    }
}

/// An account as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) id: AccountId,
    pub(super) name: String,
    /// The password's hash.
    pub(super) password: String,
}

/// Who a session is of, and when it was last used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) id: AccountId,
    pub(super) name: String,
    pub(super) used_s: i64,
}

/// Why there is no new account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotMade {
    /// Somebody has the name.
    Taken,
    /// There are as many as may be.
    Full,
}

type Asked<T> = Result<T, sqlx::Error>;

#[derive(Clone, Debug)]
pub(super) struct Store(AnyPool);

impl Store {
    pub(super) fn new(pool: AnyPool) -> Self {
        Self(pool)
    }

    /// Makes an account. `folded` is the name as it is looked up.
    pub(super) async fn make(
        &self,
        name: &str,
        folded: &str,
        password: &str,
        now_s: i64,
    ) -> Asked<Result<Account, NotMade>> {
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM account");
        let count: i64 = count.fetch_one(&self.0).await?;
        if count >= limits::ACCOUNTS {
            return Ok(Err(NotMade::Full));
        }
        let id = AccountId::random();
        let made = sqlx::query("INSERT INTO account VALUES ($1, $2, $3, $4, $5)")
            .bind(id.0)
            .bind(name)
            .bind(folded)
            .bind(password)
            .bind(now_s)
            .execute(&self.0)
            .await;
        match made {
            Ok(_) => Ok(Ok(Account { id, name: name.to_owned(), password: password.to_owned() })),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                Ok(Err(NotMade::Taken))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn by_name(&self, folded: &str) -> Asked<Option<Account>> {
        let ask = sqlx::query("SELECT id, name, password FROM account WHERE folded = $1");
        ask.bind(folded).fetch_optional(&self.0).await?.map(account).transpose()
    }

    pub(super) async fn by_id(&self, id: AccountId) -> Asked<Option<Account>> {
        let ask = sqlx::query("SELECT id, name, password FROM account WHERE id = $1");
        ask.bind(id.0).fetch_optional(&self.0).await?.map(account).transpose()
    }

    /// Another password; all sessions end. False if the old one is not that any more.
    pub(super) async fn set_password(&self, old: &Account, password: &str) -> Asked<bool> {
        let mut all = self.0.begin().await?;
        let set = sqlx::query("UPDATE account SET password = $1 WHERE id = $2 AND password = $3");
        let set = set.bind(password).bind(old.id.0).bind(&old.password);
        let is_set = set.execute(&mut *all).await?.rows_affected() == 1;
        if is_set {
            remove(&mut all, "DELETE FROM session WHERE account = $1", old.id).await?;
        }
        all.commit().await?;
        Ok(is_set)
    }

    /// Nothing of it stays.
    pub(super) async fn delete(&self, id: AccountId) -> Asked<()> {
        let mut all = self.0.begin().await?;
        for statement in [
            "DELETE FROM session WHERE account = $1",
            "DELETE FROM owned WHERE account = $1",
            "DELETE FROM account WHERE id = $1",
        ] {
            remove(&mut all, statement, id).await?;
        }
        all.commit().await
    }

    /// Begins a session, if the password is still what was compared. Those nobody used for long go, and
    /// of many of one account the oldest.
    pub(super) async fn begin(
        &self,
        account: &Account,
        token: &TokenHash,
        now_s: i64,
    ) -> Asked<bool> {
        let mut all = self.0.begin().await?;
        let begin = sqlx::query(
            "INSERT INTO session (token, used_s, account) \
             SELECT $1, $2, id FROM account WHERE id = $3 AND password = $4",
        );
        let begin = begin.bind(&token.0).bind(now_s).bind(account.id.0).bind(&account.password);
        let has_begun = begin.execute(&mut *all).await?.rows_affected() == 1;
        let over = sqlx::query("DELETE FROM session WHERE used_s < $1");
        over.bind(now_s - session_s()).execute(&mut *all).await?;
        let many = sqlx::query(
            "DELETE FROM session WHERE account = $1 AND token NOT IN \
             (SELECT token FROM session WHERE account = $1 ORDER BY used_s DESC LIMIT $2)",
        );
        many.bind(account.id.0).bind(limits::SESSIONS).execute(&mut *all).await?;
        all.commit().await?;
        Ok(has_begun)
    }

    pub(super) async fn session(&self, token: &TokenHash, now_s: i64) -> Asked<Option<Session>> {
        let ask = sqlx::query(
            "SELECT account.id, account.name, session.used_s FROM session \
             JOIN account ON account.id = session.account \
             WHERE session.token = $1 AND session.used_s >= $2",
        );
        let row = ask.bind(&token.0).bind(now_s - session_s()).fetch_optional(&self.0).await?;
        let session = |row: AnyRow| {
            let (id, name) = (AccountId(row.try_get(0)?), row.try_get(1)?);
            Ok(Session { id, name, used_s: row.try_get(2)? })
        };
        row.map(session).transpose()
    }

    /// It is used.
    pub(super) async fn touch(&self, token: &TokenHash, now_s: i64) -> Asked<()> {
        let touch = sqlx::query("UPDATE session SET used_s = $1 WHERE token = $2");
        touch.bind(now_s).bind(&token.0).execute(&self.0).await?;
        Ok(())
    }

    pub(super) async fn end(&self, token: &TokenHash) -> Asked<()> {
        let end = sqlx::query("DELETE FROM session WHERE token = $1");
        end.bind(&token.0).execute(&self.0).await?;
        Ok(())
    }

    pub(super) async fn own(
        &self,
        account: AccountId,
        kind: Kind,
        what: &str,
        now_s: i64,
    ) -> Asked<()> {
        let mut all = self.0.begin().await?;
        let own = sqlx::query(
            "INSERT INTO owned (kind, what, since_s, account) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (kind, what) DO UPDATE \
             SET account = excluded.account, since_s = excluded.since_s",
        );
        let own = own.bind(kind.word()).bind(what).bind(now_s).bind(account.0);
        own.execute(&mut *all).await?;
        let many = sqlx::query(
            "DELETE FROM owned WHERE account = $1 AND kind = $2 AND what NOT IN \
             (SELECT what FROM owned WHERE account = $1 AND kind = $2 \
             ORDER BY since_s DESC LIMIT $3)",
        );
        let many = many.bind(account.0).bind(kind.word()).bind(limits::OWNED);
        many.execute(&mut *all).await?;
        all.commit().await
    }

    pub(super) async fn owner(&self, kind: Kind, what: &str) -> Asked<Option<AccountId>> {
        let ask = sqlx::query_scalar("SELECT account FROM owned WHERE kind = $1 AND what = $2");
        let id: Option<i64> = ask.bind(kind.word()).bind(what).fetch_optional(&self.0).await?;
        Ok(id.map(AccountId))
    }

    pub(super) async fn owned(&self, account: AccountId, kind: Kind) -> Asked<Vec<String>> {
        let ask = sqlx::query_scalar(
            "SELECT what FROM owned WHERE account = $1 AND kind = $2 ORDER BY since_s DESC, what",
        );
        ask.bind(account.0).bind(kind.word()).fetch_all(&self.0).await
    }

    pub(super) async fn forget(&self, kind: Kind, what: &str) -> Asked<()> {
        let forget = sqlx::query("DELETE FROM owned WHERE kind = $1 AND what = $2");
        forget.bind(kind.word()).bind(what).execute(&self.0).await?;
        Ok(())
    }
}

fn account(row: AnyRow) -> Asked<Account> {
    let (id, name) = (AccountId(row.try_get(0)?), row.try_get(1)?);
    Ok(Account { id, name, password: row.try_get(2)? })
}

async fn remove(database: &mut AnyConnection, statement: &'static str, id: AccountId) -> Asked<()> {
    sqlx::query(statement).bind(id.0).execute(database).await?;
    Ok(())
}

fn session_s() -> i64 {
    i64::try_from(limits::SESSION.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(all(test, target_os = "linux"))]
mod postgres;
#[cfg(test)]
mod tests;
