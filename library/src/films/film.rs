//! One film that somebody added: how far it is.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use media::segment::Conversion;
use serde::Serialize;
use tokio::sync::watch;

use super::card::{Card, FilmId, Owner};

/// How far a film is.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// Its bytes come.
    Arriving,
    /// It is all here, and waits for its turn.
    Waiting,
    /// It is looked through.
    Checking,
    /// What it is converted into is written; its length, microseconds.
    Converting(Arc<Conversion>, Option<u64>),
    /// It is in the library.
    Ready,
    /// It is not, and why.
    Failed(String),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Film {
    pub(super) id: FilmId,
    card: Mutex<Card>,
    stage: Mutex<Stage>,
    /// What its stream is called, once there is one.
    stream: Mutex<Option<String>>,
    /// Bytes that are here.
    pub(super) arrived: AtomicU64,
    /// When something last happened to it.
    touched: Mutex<Instant>,
    /// Who began it, unless that was before this process.
    pub(super) from: Option<IpAddr>,
    /// Counts who wants to write: the last one may.
    pub(super) turn: watch::Sender<u64>,
    /// Held by who writes.
    pub(super) writing: Arc<tokio::sync::Mutex<()>>,
    /// Held by who writes its card, or puts its files where they belong, or removes them.
    filing: Mutex<()>,
    /// Nobody wants it any more.
    gone: AtomicBool,
}

/// What is said of a film.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// What it is known by.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// What its stream is called, once it can be watched.
    pub stream: Option<String>,
    /// `arriving`, `waiting`, `checking`, `converting`, `ready` or `failed`.
    pub stage: &'static str,
    /// How much of this stage is done, 0 to 1, where that is known.
    pub done: Option<f64>,
    /// Bytes that are here.
    pub arrived: u64,
    /// All bytes, where that is known.
    pub size: Option<u64>,
    /// The relay fetches it from an address.
    pub fetched: bool,
    /// Whoever asks added it.
    pub mine: bool,
    /// Why it failed; said to who added it.
    pub why: Option<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Film {
    pub(super) fn new(id: FilmId, card: Card, stage: Stage, from: Option<IpAddr>) -> Arc<Self> {
        Arc::new(Self {
            id,
            card: Mutex::new(card),
            stage: Mutex::new(stage),
            stream: Mutex::default(),
            arrived: AtomicU64::new(0),
            touched: Mutex::new(Instant::now()),
            from,
            turn: watch::Sender::new(0),
            writing: Arc::default(),
            filing: Mutex::default(),
            gone: AtomicBool::new(false),
        })
    }

    pub(super) fn card(&self) -> Card {
        lock(&self.card).clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Card)) -> Card {
        let mut card = lock(&self.card);
        change(&mut card);
        card.clone()
    }

    pub(super) fn is_of(&self, owner: &Owner) -> bool {
        lock(&self.card).owner == *owner
    }

    pub(super) fn stage(&self) -> Stage {
        lock(&self.stage).clone()
    }

    pub(super) fn set_stage(&self, stage: Stage) {
        *lock(&self.stage) = stage;
        self.touch();
    }

    pub(super) fn set_stream(&self, name: &str) {
        *lock(&self.stream) = Some(name.to_owned());
    }

    pub(super) fn touch(&self) {
        *lock(&self.touched) = Instant::now();
    }

    /// Nothing has happened to it for so long, before this process.
    pub(super) fn rested(&self, age: Duration) {
        if let Some(then) = Instant::now().checked_sub(age) {
            *lock(&self.touched) = then;
        }
    }

    pub(super) fn touched(&self) -> Instant {
        *lock(&self.touched)
    }

    pub(super) fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }

    /// Bytes of what was uploaded, whatever became of it; of what is fetched, those that came.
    pub(super) fn here(&self) -> u64 {
        let card = self.card();
        let is_all = !card.fetched && !self.is_arriving();
        card.size.filter(|_| is_all).unwrap_or_else(|| self.arrived())
    }

    /// Whether an upload has just become complete: true for one who asks.
    pub(super) fn completes(&self) -> bool {
        let card = self.card();
        let mut stage = lock(&self.stage);
        let is_all = !card.fetched && card.size == Some(self.arrived());
        let completes = is_all && matches!(*stage, Stage::Arriving) && !self.is_gone();
        if completes {
            *stage = Stage::Waiting;
        }
        completes
    }

    /// Its files stay as they are as long as this is held. May block: others wait for the disk.
    pub(super) fn filing(&self) -> MutexGuard<'_, ()> {
        lock(&self.filing)
    }

    pub(super) fn is_arriving(&self) -> bool {
        matches!(*lock(&self.stage), Stage::Arriving)
    }

    /// Whether it arrives or is made ready.
    pub(super) fn is_underway(&self) -> bool {
        !matches!(*lock(&self.stage), Stage::Ready | Stage::Failed(_))
    }

    /// Bytes that are still to come, as far as that is known.
    pub(super) fn to_come(&self) -> u64 {
        let size = if self.is_arriving() { lock(&self.card).size } else { None };
        size.unwrap_or(0).saturating_sub(self.arrived())
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Returns when nobody wants it any more.
    pub(super) async fn unwanted(&self) {
        let mut turn = self.turn.subscribe();
        // The sender lives as long as the film.
        let _ = turn.wait_for(|_| self.is_gone()).await;
    }

    /// Ends whatever is done with it.
    pub(super) fn stop(&self) {
        self.gone.store(true, Ordering::Relaxed);
        self.turn.send_modify(|turn| *turn += 1);
        if let Stage::Converting(conversion, _) = &*lock(&self.stage) {
            conversion.stop();
        }
    }

    /// What is said of it to `visitor`.
    pub(super) fn line(&self, visitor: Option<&Owner>) -> Line {
        let (card, stage) = (self.card(), self.stage());
        let mine = visitor == Some(&card.owner);
        let share = |done: u64, all: Option<u64>| {
            all.filter(|all| *all > 0).map(|all| (done as f64 / all as f64).min(1.0))
        };
        let (name, done) = match &stage {
            Stage::Arriving => ("arriving", share(self.arrived(), card.size)),
            Stage::Waiting => ("waiting", None),
            Stage::Checking => ("checking", None),
            Stage::Converting(conversion, us) => ("converting", share(conversion.done_us(), *us)),
            Stage::Ready => ("ready", None),
            Stage::Failed(_) => ("failed", None),
        };
        Line {
            id: self.id.to_string(),
            title: card.title,
            stream: lock(&self.stream).clone(),
            stage: name,
            done,
            arrived: self.arrived(),
            size: card.size,
            fetched: card.fetched,
            mine,
            why: match stage {
                Stage::Failed(why) if mine => Some(why),
                _ => None,
            },
        }
    }
}
