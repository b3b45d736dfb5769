//! People at a site with accounts, each with a browser's cookie.

use std::path::Path;

use serde_json::Value;
use web::accounts::{Accounts, Place, Policy};

use super::{Answer, Site};

pub(crate) async fn accounts(folder: &Path, policy: Policy) -> Accounts {
    Accounts::open(Place::File(folder.join("accounts.sqlite")), policy).await.unwrap()
}

/// A site, and the folder in which its accounts are.
pub(crate) async fn site(policy: Policy) -> (Site, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let accounts = Some(accounts(folder.path(), policy).await);
    (Site::start_with(web::Options { accounts, ..web::Options::default() }).await, folder)
}

pub(crate) struct Person<'a> {
    site: &'a Site,
    /// As a browser sends it; empty: none.
    pub(crate) cookie: String,
}

impl<'a> Person<'a> {
    pub(crate) fn nobody(site: &'a Site) -> Self {
        Self::with(site, String::new())
    }

    pub(crate) fn with(site: &'a Site, cookie: String) -> Self {
        Self { site, cookie }
    }

    /// As the page says it; a cookie that is set is kept.
    pub(crate) async fn says(&mut self, what: &str, words: Value) -> Answer {
        let cookie = format!("Cookie: {}", self.cookie);
        let origin = format!("Origin: http://{}", self.site.address);
        let headers = ["Content-Type: application/json", &cookie, &origin];
        let path = format!("/account/{what}");
        let answer = self.site.send("POST", &path, &headers, &words.to_string()).await;
        let set = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
        if let Some(set) = set {
            self.cookie = set.split(';').next().unwrap_or_default().to_owned();
        }
        answer
    }

    pub(crate) async fn logs_in(&mut self, name: &str, password: &str) -> Answer {
        self.says("log-in", serde_json::json!({"name": name, "password": password})).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.site.ask("GET", path, &[&format!("Cookie: {}", self.cookie)]).await
    }

    pub(crate) async fn who(&self) -> Value {
        self.get("/account.json").await.json()
    }
}
