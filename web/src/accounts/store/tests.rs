//! The same of both databases.

use super::super::cookie::Token;
use super::super::database::{self, Place};
use super::*;

async fn exercise(place: &Place) {
    let store = Store::new(database::open(place).await.expect("a database"));
    accounts(&store).await;
    sessions(&store).await;
    rooms(&store).await;
    store.0.close().await;
    // All of it is there when the relay starts again.
    let again = Store::new(database::open(place).await.expect("the same database"));
    assert!(again.by_name("ben").await.expect("asked").is_some());
    again.0.close().await;
}

async fn made(store: &Store, name: &str) -> Account {
    let made = store.make(name, &name.to_lowercase(), "hash", 100).await;
    made.expect("asked").expect("is new")
}

async fn accounts(store: &Store) {
    let ana = made(store, "Ana").await;
    assert_eq!(store.by_name("ana").await.expect("asked"), Some(ana.clone()));
    assert_eq!(store.by_id(ana.id).await.expect("asked"), Some(ana.clone()));
    assert_eq!(store.by_name("' OR 1=1 --").await.expect("asked"), None);
    let again = store.make("ANA", "ana", "other", 100).await.expect("asked");
    assert_eq!(again, Err(NotMade::Taken));
    assert!(store.set_password(&ana, "new").await.expect("asked"));
    assert!(!store.set_password(&ana, "newer").await.expect("asked"), "the old one is not it");
    store.delete(ana.id).await.expect("asked");
    assert_eq!(store.by_name("ana").await.expect("asked"), None);
}

async fn sessions(store: &Store) {
    let ben = made(store, "Ben").await;
    let token = Token::random().hash();
    assert!(store.begin(&ben, &token, 1_000).await.expect("asked"));
    let session = store.session(&token, 1_000).await.expect("asked").expect("is there");
    assert_eq!((session.id, session.name.as_str(), session.used_s), (ben.id, "Ben", 1_000));
    assert!(store.session(&Token::random().hash(), 1_000).await.expect("asked").is_none());
    let last = 1_000 + session_s();
    assert!(store.session(&token, last).await.expect("asked").is_some());
    assert!(store.session(&token, last + 1).await.expect("asked").is_none(), "expired");
    store.touch(&token, last).await.expect("asked");
    assert!(store.session(&token, last + 1).await.expect("asked").is_some(), "used meanwhile");
    store.end(&token).await.expect("asked");
    assert!(store.session(&token, last).await.expect("asked").is_none());

    let mut tokens = Vec::new();
    for n in 0..=limits::SESSIONS {
        let token = Token::random().hash();
        assert!(store.begin(&ben, &token, 2_000 + n).await.expect("asked"));
        tokens.push(token);
    }
    let there = async |token| store.session(token, 3_000).await.expect("asked").is_some();
    assert!(!there(&tokens[0]).await, "the oldest made way");
    assert!(there(&tokens[1]).await);
    assert!(store.set_password(&ben, "new").await.expect("asked"));
    assert!(!there(&tokens[5]).await, "another password ends all sessions");
    assert!(
        !store.begin(&ben, &Token::random().hash(), 3_000).await.expect("asked"),
        "an old hash"
    );
}

async fn rooms(store: &Store) {
    let (cem, dora) = (made(store, "Cem").await, made(store, "Dora").await);
    let own = async |who: &Account, room, at| store.own(who.id, room, at).await.expect("asked");
    own(&cem, "K7XW2M9QPD", 1).await;
    own(&cem, "AAAAAAAAAA", 2).await;
    own(&cem, "K7XW2M9QPD", 3).await;
    let owned = async |who: &Account| store.owned(who.id).await.expect("asked");
    assert_eq!(owned(&cem).await, ["AAAAAAAAAA", "K7XW2M9QPD"]);
    own(&dora, "AAAAAAAAAA", 4).await;
    assert_eq!(store.owner("AAAAAAAAAA").await.expect("asked"), Some(dora.id));
    store.forget("AAAAAAAAAA").await.expect("asked");
    assert_eq!(store.owner("AAAAAAAAAA").await.expect("asked"), None);
    store.delete(cem.id).await.expect("asked");
    assert_eq!(store.owner("K7XW2M9QPD").await.expect("asked"), None);
    for n in 0..=limits::OWN_ROOMS {
        let room = format!("room {n}");
        store.own(dora.id, &room, 10 + n).await.expect("asked");
    }
    let all = owned(&dora).await;
    assert_eq!(all.len() as i64, limits::OWN_ROOMS);
    assert_eq!(all.last().map(String::as_str), Some("room 1"), "the oldest made way");
}

#[tokio::test]
async fn accounts_are_kept_in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("accounts.sqlite");
    exercise(&Place::File(path.clone())).await;
    #[cfg(unix)]
    {
        let mode = std::fs::metadata(path).expect("a file").permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_kept_in_postgresql() {
    let Some(server) = postgres::Server::start() else {
        eprintln!("SKIPPED: PostgreSQL is not installed (scripts/setup --tests installs it)");
        return;
    };
    let place: Place = server.url().parse().expect("an address");
    let ready = async {
        while database::open(&place).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), ready).await.expect("it starts");
    // Two relays that share them.
    let (one, two) = tokio::join!(database::open(&place), database::open(&place));
    for pool in [one, two] {
        pool.expect("opened").close().await;
    }
    exercise(&place).await;
    drop(server);
    let gone = database::open(&place).await.err().map(|error| error.to_string());
    let gone = gone.expect("nobody is there");
    assert!(gone.contains("--accounts-db") && !gone.contains("secret"), "{gone}");
}
