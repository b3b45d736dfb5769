//! The lobby: which rooms there are, and who may make one.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use proto::conn::now;
use proto::limits;
use proto::room::{Refusal, Refused, RoomCode, RoomLine, RoomSettings};
use relay::Node;
use relay::guard::{self, Guard};
use relay::rooms::{Rooms, Seat as Ends};
use tokio::sync::mpsc;

use super::hook::Hook;
use super::keeper::Keeper;
use super::pin::Pins;
use super::rules::{About, Input, Room, words};
use super::seat::{Seat, address_of};
use super::shown::Shown;
use super::store::{Store, Stored};
use super::task::{Call, Handle, Task};
use super::{Error, Options};

/// What a connection said and no room took in yet; one that says more is closed.
const SAID: usize = 64;
/// What a connection is told and its socket did not take yet.
const TOLD: usize = 4;

/// Keeps the rooms of a node.
#[derive(Debug)]
pub struct Lobby {
    /// Handed to seats.
    this: std::sync::Weak<Self>,
    options: Options,
    rooms: Mutex<HashMap<RoomCode, Handle>>,
    guard: Mutex<Guard>,
    pins: Pins,
    store: Option<Store>,
    hook: Option<Hook>,
    seats: AtomicU64,
}

impl Lobby {
    /// A lobby with the rooms that are kept in the file, if there is one.
    ///
    /// # Errors
    /// The file cannot be used, or nobody can be told.
    pub async fn open(options: Options) -> Result<Arc<Self>, Error> {
        let (store, stored) = match &options.file {
            Some(file) => {
                let (store, stored) = Store::open(file).await?;
                (Some(store), stored)
            }
            None => (None, Vec::new()),
        };
        let hook = options.announce_url.clone().map(Hook::new).transpose()?;
        let lobby = Arc::new_cyclic(|this| Self {
            this: this.clone(),
            options,
            rooms: Mutex::default(),
            guard: Mutex::new(Guard::new(guard::MOST)),
            pins: Pins::default(),
            store,
            hook,
            seats: AtomicU64::new(0),
        });
        for Stored { room, pin } in stored {
            let room = Room::restore(room, lobby.options.size, now());
            lobby.start(&mut lobby.rooms(), room, pin);
        }
        Ok(lobby)
    }

    /// Where rooms are kept; `None`: in memory.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.options.file.as_deref()
    }

    /// Returns when all that happened is written down.
    pub async fn flush(&self) {
        if let Some(store) = &self.store {
            store.flush().await;
        }
    }

    pub(super) fn guard(&self) -> MutexGuard<'_, Guard> {
        self.guard.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(super) fn pins(&self) -> &Pins {
        &self.pins
    }

    pub(super) fn room(&self, code: RoomCode) -> Option<Handle> {
        self.rooms().get(&code).cloned()
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomCode, Handle>> {
        self.rooms.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// A new room that nobody is in yet, or why there is none.
    pub(super) async fn create(
        &self,
        shown: Shown,
        settings: RoomSettings,
        pin: Option<String>,
    ) -> Result<Handle, Refused> {
        let pin = match pin {
            Some(pin) => {
                let reason = "the PIN cannot be kept now; try again later";
                let failed = || words::refusal(Refusal::TooManyRooms, reason);
                Some(self.pins.turn().await.hash(pin).await.ok_or_else(failed)?)
            }
            None => None,
        };
        let mut rooms = self.rooms();
        self.make_room(&rooms)?;
        let code = new_code(&rooms);
        let Shown { stream, film } = shown;
        let about = About { code, stream, film, settings, pin: pin.is_some() };
        Ok(self.start(&mut rooms, Room::new(about, self.options.size, now()), pin))
    }

    /// Runs a room until it is over.
    fn start(
        &self,
        rooms: &mut HashMap<RoomCode, Handle>,
        room: Room,
        pin: Option<Arc<str>>,
    ) -> Handle {
        let code = room.about().code;
        let keeper = Keeper::new(self.store.clone(), pin.clone());
        let (handle, task) = Task::new(room, pin, keeper, self.hook.clone());
        rooms.insert(code, handle.clone());
        let (lobby, started) = (self.this.clone(), handle.clone());
        tokio::spawn(async move {
            task.run().await;
            let Some(lobby) = lobby.upgrade() else { return };
            let mut rooms = lobby.rooms();
            if rooms.get(&code).is_some_and(|there| there.is(&handle)) {
                rooms.remove(&code);
            }
        });
        started
    }

    /// Where there are as many rooms as may be, one that is empty goes: first those that never had more
    /// than one member, then what has been empty for longest.
    fn make_room(&self, rooms: &HashMap<RoomCode, Handle>) -> Result<(), Refused> {
        if rooms.len() < self.options.rooms {
            return Ok(());
        }
        let worth = |room: &Handle| {
            let face = room.face();
            Some((face.had_company, face.empty_since?))
        };
        let empty = rooms.iter().filter_map(|(code, room)| Some((worth(room)?, *code, room)));
        let least = empty.min_by_key(|(worth, code, _)| (*worth, *code));
        // It leaves the list when it has ended; should somebody have come in meanwhile, it stays.
        let end = || Call::Input(Input::End, None);
        if least.is_some_and(|(_, _, room)| room.calls.try_send(end()).is_ok()) {
            return Ok(());
        }
        let reason = format!(
            "there are {} rooms here, the most this relay takes; try again later",
            rooms.len()
        );
        Err(words::refusal(Refusal::TooManyRooms, &reason))
    }
}

/// One nobody has, and nobody guesses.
fn new_code(rooms: &HashMap<RoomCode, Handle>) -> RoomCode {
    loop {
        // Uniform: below 30 each, not modulo 30.
        let code = RoomCode::from_random(std::array::from_fn(|_| rand::random_range(0..30)));
        if !rooms.contains_key(&code) {
            return code;
        }
    }
}

impl Rooms for Lobby {
    fn connect(&self, node: &Node, peer: &str) -> Ends {
        let (say, said) = mpsc::channel(SAID);
        let (tell, hear) = mpsc::channel(TOLD);
        // It is asked through a handle to itself: it is there.
        if let Some(lobby) = self.this.upgrade() {
            let id = self.seats.fetch_add(1, Ordering::Relaxed);
            let (node, address) = (node.clone(), address_of(peer));
            let (room, waiting) = (None, None);
            tokio::spawn(Seat { lobby, node, id, address, said, tell, room, waiting }.run());
        }
        Ends { say, hear }
    }

    fn list(&self) -> Vec<RoomLine> {
        let rooms: Vec<Handle> =
            self.rooms().values().filter(|room| !room.private).cloned().collect();
        let lines = rooms.iter().map(|room| room.face().line.clone());
        let mut lines: Vec<RoomLine> = lines.filter(|line| !line.members.is_empty()).collect();
        lines.sort_by(|a, b| (&a.stream, a.code).cmp(&(&b.stream, b.code)));
        lines.truncate(limits::ROOMS);
        lines
    }

    fn find(&self, code: RoomCode) -> Option<RoomLine> {
        Some(self.room(code)?.face().line.clone())
    }

    fn close(&self, code: RoomCode, reason: &str) {
        let Some(room) = self.room(code) else { return };
        let close = Call::Input(Input::Close(reason.to_owned()), None);
        // It is told when its queue, which is busy, has a place.
        tokio::spawn(async move { room.calls.send(close).await });
    }
}
