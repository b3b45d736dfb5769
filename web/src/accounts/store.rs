//! What is kept: accounts, their sessions, and their rooms. Moments are handed in, in seconds since
//! 1970.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, Row};

use super::cookie::TokenHash;
use super::visitor::AccountId;
use crate::limits;

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
            "DELETE FROM room WHERE account = $1",
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

    pub(super) async fn own(&self, account: AccountId, room: &str, now_s: i64) -> Asked<()> {
        let mut all = self.0.begin().await?;
        let own = sqlx::query(
            "INSERT INTO room (code, since_s, account) VALUES ($1, $2, $3) \
             ON CONFLICT (code) DO UPDATE SET account = excluded.account",
        );
        own.bind(room).bind(now_s).bind(account.0).execute(&mut *all).await?;
        let many = sqlx::query(
            "DELETE FROM room WHERE account = $1 AND code NOT IN \
             (SELECT code FROM room WHERE account = $1 ORDER BY since_s DESC LIMIT $2)",
        );
        many.bind(account.0).bind(limits::OWN_ROOMS).execute(&mut *all).await?;
        all.commit().await
    }

    pub(super) async fn owner(&self, room: &str) -> Asked<Option<AccountId>> {
        let ask = sqlx::query_scalar("SELECT account FROM room WHERE code = $1");
        let id: Option<i64> = ask.bind(room).fetch_optional(&self.0).await?;
        Ok(id.map(AccountId))
    }

    pub(super) async fn owned(&self, account: AccountId) -> Asked<Vec<String>> {
        let ask = sqlx::query_scalar(
            "SELECT code FROM room WHERE account = $1 ORDER BY since_s DESC, code",
        );
        ask.bind(account.0).fetch_all(&self.0).await
    }

    pub(super) async fn forget(&self, room: &str) -> Asked<()> {
        let forget = sqlx::query("DELETE FROM room WHERE code = $1");
        forget.bind(room).execute(&self.0).await?;
        Ok(())
    }
}

#[cfg(test)]
impl Store {
    /// Nothing is found or kept from now on.
    pub(super) async fn close(&self) {
        self.0.close().await;
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
