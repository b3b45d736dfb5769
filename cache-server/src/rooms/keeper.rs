//! What one room has written down of itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::rules::{Changes, Room};
use super::store::{Change, Store};

/// A room of which something could not be written is written whole so much later.
const AGAIN: Duration = Duration::from_secs(10);

/// Has a room's changes written, if rooms are.
pub(super) struct Keeper(Option<Inner>);

struct Inner {
    store: Store,
    pin: Option<Arc<str>>,
    lost: watch::Receiver<u64>,
    /// Something could not be written: all of it is to be, at this moment.
    again: Option<Instant>,
}

impl Keeper {
    pub(super) fn new(store: Option<Store>, pin: Option<Arc<str>>) -> Self {
        let inner = |store: Store| Inner { lost: store.lost(), store, pin, again: None };
        Self(store.map(inner))
    }

    /// Has written what changed, or everything if that is due.
    pub(super) fn keep(&mut self, room: &mut Room) {
        let changes = room.take_changes();
        let Some(inner) = &mut self.0 else { return };
        let change = match inner.again {
            None if changes == Changes::default() => return,
            None => inner.some(room, changes),
            Some(at) if at > Instant::now() => return,
            Some(_) => inner.whole(room),
        };
        inner.again = (!inner.store.write(change)).then(|| Instant::now() + AGAIN);
    }

    /// Returns when the room is to be written whole.
    pub(super) async fn overdue(&mut self) {
        let Some(inner) = &mut self.0 else { return std::future::pending().await };
        loop {
            let again = inner.again;
            let due = async {
                match again {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => return,
                Ok(()) = inner.lost.changed() => inner.again = Some(Instant::now() + AGAIN),
            }
        }
    }

    /// The room is no more.
    pub(super) async fn remove(&self, room: &Room) {
        if let Some(inner) = &self.0 {
            inner.store.remove(room.about().code).await;
        }
    }
}

impl Inner {
    fn some(&self, room: &Room, changes: Changes) -> Change {
        Change {
            code: room.about().code,
            room: changes.room.then(|| Box::new(room.kept_room())),
            pin: self.pin.clone(),
            members: changes.members.then(|| room.kept_members()),
            lines: changes.lines,
            whole: false,
        }
    }

    fn whole(&self, room: &Room) -> Change {
        let changes = Changes { room: true, members: true, lines: room.kept().lines };
        Change { whole: true, ..self.some(room, changes) }
    }
}
