//! What the player's threads share: queues, counters, and the board that says how things are.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use proto::StreamDescription;
use proto::conn::now;
use proto::time::Stamp;

use crate::jitter::{Buffer, Limits};
use crate::progress::Progress;
use crate::session::SessionError;
use crate::sound::Desk;
use crate::stage::Stage;
use crate::stats::{Snapshot, State, Stats};
use crate::timeline::Schedule;

/// Most that is kept of what was said in a room.
const SAID: usize = 50;

/// Everything the threads of one player share.
#[derive(Debug)]
pub struct Shared {
    /// When what is due.
    pub schedule: Arc<Schedule>,
    /// What was counted.
    pub stats: Stats,
    /// How things are.
    pub board: Board,
    /// Coded pictures.
    pub video: Buffer,
    /// Coded sound.
    pub audio: Buffer,
    /// Decoded pictures, and what is drawn over them.
    pub stage: Stage,
    /// Volume, and the way to the sound card.
    pub desk: Arc<Desk>,
    /// How far a recording is played; `None` for live streams.
    pub progress: Mutex<Option<Progress>>,
    /// Decode only: no window, no sound card.
    pub headless: bool,
    wants_picture: AtomicBool,
    wants_sound: AtomicBool,
}

impl Shared {
    /// Nothing yet; `desk` sets volume and latency of the sound.
    #[must_use]
    pub fn new(headless: bool, wants_sound: bool, desk: Desk) -> Self {
        Self {
            schedule: Arc::default(),
            stats: Stats::new(now()),
            board: Board::default(),
            video: Buffer::new(Limits::DEFAULT),
            audio: Buffer::new(Limits::DEFAULT),
            stage: Stage::default(),
            desk: Arc::new(desk),
            progress: Mutex::default(),
            headless,
            wants_picture: AtomicBool::new(true),
            wants_sound: AtomicBool::new(wants_sound),
        }
    }

    /// Whether pictures are to be decoded.
    #[must_use]
    pub fn wants_picture(&self) -> bool {
        self.wants_picture.load(Ordering::Relaxed)
    }

    /// Whether sound is to be decoded.
    #[must_use]
    pub fn wants_sound(&self) -> bool {
        self.wants_sound.load(Ordering::Relaxed)
    }

    /// There is nothing to show pictures on.
    pub fn without_picture(&self) {
        self.wants_picture.store(false, Ordering::Relaxed);
    }

    /// The counters since the last look.
    #[must_use]
    pub fn look(&self) -> Snapshot {
        self.with_progress(self.stats.look(now(), self.schedule.delay_us()))
    }

    /// The counters since the start.
    #[must_use]
    pub fn summary(&self) -> Snapshot {
        self.with_progress(self.stats.summary(now(), self.schedule.delay_us()))
    }

    /// How far a recording is played; `None` for live streams.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_progress(&self, snapshot: Snapshot) -> Snapshot {
        let Some(progress) = self.progress() else { return snapshot };
        let position_us = progress.position_us(now(), self.schedule.delay_us());
        let seconds = |us: i64| Some((us as f64 / 1e4).round() / 100.0);
        Snapshot {
            position_s: seconds(position_us),
            duration_s: seconds(progress.duration_us),
            rate: Some(if progress.cue.stands() { 0.0 } else { progress.cue.rate }),
            buffered_s: seconds(progress.buffered_us.saturating_sub(position_us).max(0)),
            behind_s: progress.behind_us(now(), self.schedule.delay_us()).and_then(seconds),
            latency_ms: None,
            ..snapshot
        }
    }

    /// Ends every thread that waits for something here.
    pub fn close(&self) {
        self.video.close();
        self.audio.close();
        self.stage.close();
        self.desk.close();
    }
}

/// How things are: written by every thread, read by the one that talks to the user. A peer may
/// change its mind a thousand times a second; the reader sees the last word only.
#[derive(Debug, Default)]
pub struct Board {
    status: Mutex<Status>,
    changed: Condvar,
}

/// What is on the board.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Grows with every change.
    pub version: u64,
    /// What is watched, once it is known.
    pub description: Option<Arc<StreamDescription>>,
    /// What the player is doing.
    pub state: State,
    /// Why it is held, buffering or reconnecting.
    pub reason: String,
    /// How the session ended.
    pub outcome: Option<Result<(), Arc<SessionError>>>,
    /// When the last moment of an ended stream is over, on the capture timeline.
    pub last: Option<Stamp>,
    /// No sound card, and why.
    pub no_card: Option<String>,
    /// The decoder has given up on the pictures or the sound, and why.
    pub undecodable: Option<String>,
    /// What was said last of a recording, for people.
    pub word: String,
    /// How many such words there were.
    pub words: u64,
    /// What others type to come into the room that was made.
    pub invitation: Option<String>,
    /// What was said in a room, the newest last.
    pub said: VecDeque<Said>,
    /// Everything received is decoded: pictures and sound.
    pub decoded: (bool, bool),
    /// A signal asked the player to end.
    pub quit: bool,
}

/// Something that was said in a room.
#[derive(Clone, Debug)]
pub struct Said {
    /// Counts them, from 1.
    pub number: u64,
    /// When it was shown first.
    pub at: Instant,
    /// What it says.
    pub words: String,
}

impl Board {
    /// Says something that came from a room.
    pub fn say(&self, words: String) {
        self.update(|status| {
            let number = status.said.back().map_or(0, |said| said.number) + 1;
            if status.said.len() == SAID {
                status.said.pop_front();
            }
            status.said.push_back(Said { number, at: Instant::now(), words });
        });
    }

    /// Changes what is on it.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        let mut status = self.lock();
        change(&mut status);
        status.version += 1;
        drop(status);
        self.changed.notify_all();
    }

    /// What is on it, if that has changed since `version`.
    #[must_use]
    pub fn news(&self, version: u64) -> Option<Status> {
        let status = self.lock();
        (status.version != version).then(|| status.clone())
    }

    /// As [`Board::news`], waiting up to `patience` for some.
    #[must_use]
    pub fn wait(&self, version: u64, patience: Duration) -> Option<Status> {
        let status = self.lock();
        let (status, _) = self
            .changed
            .wait_timeout_while(status, patience, |status| status.version == version)
            .unwrap_or_else(PoisonError::into_inner);
        (status.version != version).then(|| status.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
