//! How much a cache may hold, and what goes first: the recording that was not wanted for longest.
//! What is being watched stays.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use proto::recording::RecordingId;

/// Bytes of each recording, and who was wanted when.
#[derive(Debug)]
pub(super) struct Room {
    most: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    recordings: HashMap<RecordingId, Entry>,
    /// All that was there at the start is known.
    counted: bool,
}

#[derive(Debug)]
struct Entry {
    bytes: u64,
    used: SystemTime,
    held: usize,
}

impl Room {
    pub(super) fn new(most: u64) -> Self {
        Self { most, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// So much of a recording was there at the start.
    pub(super) fn found(&self, id: RecordingId, bytes: u64, used: SystemTime) {
        let mut state = self.state();
        let entry = state.entry(id, used);
        entry.bytes += bytes;
    }

    /// All that was there has been found.
    pub(super) fn counted(&self) {
        self.state().counted = true;
    }

    /// So many bytes of it are about to be written.
    pub(super) fn expects(&self, id: RecordingId, bytes: u64) {
        let mut state = self.state();
        let entry = state.entry(id, SystemTime::now());
        entry.bytes += bytes;
        entry.used = SystemTime::now();
    }

    /// They were not.
    pub(super) fn expected(&self, id: RecordingId, bytes: u64) {
        if let Some(entry) = self.state().recordings.get_mut(&id) {
            entry.bytes = entry.bytes.saturating_sub(bytes);
        }
    }

    pub(super) fn removed(&self, id: RecordingId) {
        let mut state = self.state();
        match state.recordings.get_mut(&id) {
            Some(entry) if entry.held > 0 => entry.bytes = 0,
            _ => {
                state.recordings.remove(&id);
            }
        }
    }

    /// What is to be thrown away next; `None` when all fits, or all is being watched.
    pub(super) fn too_much(&self) -> Option<RecordingId> {
        let state = self.state();
        let bytes: u64 = state.recordings.values().map(|entry| entry.bytes).sum();
        if !state.counted || bytes <= self.most {
            return None;
        }
        let idle = state.recordings.iter().filter(|(_, entry)| entry.held == 0 && entry.bytes > 0);
        idle.min_by_key(|(_, entry)| entry.used).map(|(id, _)| *id)
    }

    /// Keeps a recording from being thrown away as long as the guard lives.
    pub(super) fn hold(self: &Arc<Self>, id: RecordingId) -> impl Send + Sync + use<> {
        let mut state = self.state();
        let entry = state.entry(id, SystemTime::now());
        entry.held += 1;
        entry.used = SystemTime::now();
        drop(state);
        Hold(self.clone(), id)
    }
}

impl State {
    fn entry(&mut self, id: RecordingId, used: SystemTime) -> &mut Entry {
        self.recordings.entry(id).or_insert(Entry { bytes: 0, used, held: 0 })
    }
}

struct Hold(Arc<Room>, RecordingId);

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(entry) = self.0.state().recordings.get_mut(&self.1) {
            entry.held = entry.held.saturating_sub(1);
            entry.used = SystemTime::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_not_wanted_for_longest_goes_and_what_is_watched_stays() {
        let room = Arc::new(Room::new(100));
        let id = |n: u8| RecordingId([n; 16]);
        let at = |s: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(s);
        for (n, used) in [(1, 30), (2, 10), (3, 20)] {
            room.found(id(n), 40, at(used));
        }
        assert_eq!(room.too_much(), None, "not before all is counted");
        room.counted();
        assert_eq!(room.too_much(), Some(id(2)));
        let held = room.hold(id(2));
        assert_eq!(room.too_much(), Some(id(3)));
        room.removed(id(3));
        assert_eq!(room.too_much(), None, "80 fit");
        room.expects(id(1), 30);
        let other = room.hold(id(1));
        assert_eq!(room.too_much(), None, "all is watched");
        drop(other);
        assert_eq!(room.too_much(), Some(id(1)));
        drop(held);
        room.expected(id(1), 30);
        assert_eq!(room.too_much(), None);
    }
}
