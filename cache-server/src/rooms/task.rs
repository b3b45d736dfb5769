//! The owner of one room: takes in what its members say, in order, and tells them what comes of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use proto::Message;
use proto::conn::now;
use proto::room::{RoomLine, RoomToken};
use proto::time::Stamp;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::hook::Hook;
use super::keeper::Keeper;
use super::rules::{Input, Output, Room, SeatId};

/// What members said and was not taken in yet; who says more waits.
const INPUTS: usize = 256;
/// What a member was told and did not read yet; one that lets more come together is gone. All members of
/// a large room may laugh at once; and they share the bytes.
pub(super) const UNREAD: usize = 4_096;

/// What a seat is to pass on.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) bytes: Bytes,
    /// The connection is not in the room (any more).
    pub(super) last: bool,
}

/// What comes to the task.
pub(super) enum Call {
    /// For the rules; a seat comes with whoever enters.
    Input(Input, Option<mpsc::Sender<Told>>),
    /// Whether a member would come back with this.
    Knows(RoomToken, oneshot::Sender<bool>),
}

/// What others see of a room without asking it.
#[derive(Debug)]
pub(super) struct Face {
    pub(super) line: RoomLine,
    /// Since when nobody is there.
    pub(super) empty_since: Option<Stamp>,
    pub(super) had_company: bool,
}

/// A room to its lobby. Clones are the same room.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) calls: mpsc::Sender<Call>,
    face: Arc<Mutex<Face>>,
    /// How the PIN is kept.
    pub(super) pin: Option<Arc<str>>,
    pub(super) private: bool,
}

impl Handle {
    pub(super) fn face(&self) -> MutexGuard<'_, Face> {
        self.face.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.face, &other.face)
    }
}

/// The task; over when the room is, or when all handles are gone.
pub(super) struct Task {
    room: Room,
    calls: mpsc::Receiver<Call>,
    seats: HashMap<SeatId, mpsc::Sender<Told>>,
    face: Arc<Mutex<Face>>,
    keeper: Keeper,
    hook: Option<Hook>,
}

impl Task {
    pub(super) fn new(
        room: Room,
        pin: Option<Arc<str>>,
        keeper: Keeper,
        hook: Option<Hook>,
    ) -> (Handle, Self) {
        let (sender, calls) = mpsc::channel(INPUTS);
        let had_company = room.had_company();
        let face = Face { line: room.line(), empty_since: Some(now()), had_company };
        let face = Arc::new(Mutex::new(face));
        let private = room.about().settings.private;
        let handle = Handle { calls: sender, face: face.clone(), pin, private };
        (handle, Self { room, calls, seats: HashMap::new(), face, keeper, hook })
    }

    /// Runs the room to its end.
    pub(super) async fn run(mut self) {
        loop {
            let due = self.room.due().map(|due| Duration::from_micros(until_us(due)));
            let call = tokio::select! {
                call = self.calls.recv() => match call {
                    Some(call) => call,
                    None => return,
                },
                () = sleep(due) => Call::Input(Input::Tick, None),
                () = self.keeper.overdue() => {
                    self.keeper.keep(&mut self.room);
                    continue;
                }
            };
            let over = match call {
                Call::Knows(token, answer) => {
                    // Who asked may be gone.
                    let _ = answer.send(self.room.knows(token));
                    false
                }
                Call::Input(input, seat) => {
                    if let (Input::Enter(enter), Some(seat)) = (&input, seat) {
                        self.seats.insert(enter.seat, seat);
                    }
                    self.handle(input)
                }
            };
            if over {
                return self.keeper.remove(&self.room).await;
            }
        }
    }

    /// Whether the room is over.
    fn handle(&mut self, input: Input) -> bool {
        let mut over = false;
        let mut next = vec![input];
        while let Some(input) = next.pop() {
            if let Input::Gone(seat) = input {
                self.seats.remove(&seat);
            }
            for output in self.room.handle(input, now()) {
                match output {
                    Output::Tell(seats, message) => {
                        next.extend(self.tell(&seats, &message).map(Input::Gone));
                    }
                    Output::Dismiss(seat, message) => self.dismiss(seat, &message),
                    Output::Happened(event) => {
                        if let Some(hook) = &self.hook {
                            hook.tell(self.room.about(), event);
                        }
                    }
                    Output::Over => over = true,
                }
            }
        }
        self.keeper.keep(&mut self.room);
        self.show();
        over
    }

    /// Tells them; gives those that do not read, and are gone with that.
    fn tell(
        &mut self,
        seats: &[SeatId],
        message: &Message,
    ) -> impl Iterator<Item = SeatId> + use<> {
        let bytes = message.encode();
        let takes = |seat: &&SeatId| {
            let Some(to) = self.seats.get(*seat) else { return true };
            let told = to.try_send(Told { bytes: bytes.clone(), last: false });
            // One whose end is closed says itself that it is gone, after its last words.
            !matches!(told, Err(TrySendError::Full(_)))
        };
        let gone: Vec<SeatId> = seats.iter().filter(|seat| !takes(seat)).copied().collect();
        gone.iter().for_each(|seat| drop(self.seats.remove(seat)));
        gone.into_iter()
    }

    fn dismiss(&mut self, seat: SeatId, message: &Message) {
        if let Some(to) = self.seats.remove(&seat) {
            // One that does not read learns it from the end of its connection.
            let _ = to.try_send(Told { bytes: message.encode(), last: true });
        }
    }

    fn show(&self) {
        let line = self.room.line();
        let mut face = self.face.lock().unwrap_or_else(|e| e.into_inner());
        let since = face.empty_since;
        face.empty_since = line.members.is_empty().then(|| since.unwrap_or_else(now));
        face.line = line;
        face.had_company = self.room.had_company();
    }
}

/// Microseconds until then; never nothing, so that a clock that is asked early cannot spin.
fn until_us(due: Stamp) -> u64 {
    u64::try_from(due.us_since(now())).unwrap_or(0).max(500)
}

async fn sleep(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}
