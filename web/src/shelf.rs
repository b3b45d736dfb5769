//! What was made of recordings, as much as there is room for: what was not asked for longest goes.

use std::collections::HashMap;

use bytes::Bytes;
use proto::recording::RecordingId;

use crate::form::Form;

/// What was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) id: RecordingId,
    pub(crate) what: What,
    /// Of the segment; the key of a subtitle.
    pub(crate) number: u64,
}

/// Of what kind it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// A segment, muxed.
    Fragment(Form),
    /// The pictures beside its MP4.
    Pictures(Form),
    /// A small picture of it.
    Thumbnail,
    /// A text.
    Subtitle,
}

/// See the module.
pub(crate) struct Shelf {
    room: usize,
    used: usize,
    /// Counts what is asked for.
    turn: u64,
    kept: HashMap<Key, (u64, Bytes)>,
}

impl Shelf {
    /// With room for so many bytes.
    pub(crate) fn new(room: usize) -> Self {
        Self { room, used: 0, turn: 0, kept: HashMap::new() }
    }

    pub(crate) fn get(&mut self, key: &Key) -> Option<Bytes> {
        self.turn += 1;
        let (turn, bytes) = self.kept.get_mut(key)?;
        *turn = self.turn;
        Some(bytes.clone())
    }

    pub(crate) fn put(&mut self, key: Key, bytes: Bytes) {
        self.turn += 1;
        self.used += bytes.len();
        if let Some((_, before)) = self.kept.insert(key, (self.turn, bytes)) {
            self.used -= before.len();
        }
        while self.used > self.room {
            let oldest = self.kept.iter().min_by_key(|(_, (turn, _))| *turn).map(|(key, _)| *key);
            let Some((_, bytes)) = oldest.and_then(|key| self.kept.remove(&key)) else { break };
            self.used -= bytes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::FILE;

    #[test]
    fn what_was_not_asked_for_longest_makes_room() {
        let mut shelf = Shelf::new(100);
        let what = What::Fragment(FILE);
        let key = |number| Key { id: RecordingId::UNKNOWN, what, number };
        let bytes = |length: usize| Bytes::from(vec![0; length]);
        shelf.put(key(1), bytes(40));
        shelf.put(key(2), bytes(40));
        assert!(shelf.get(&key(1)).is_some());
        shelf.put(key(3), bytes(40));
        assert!(shelf.get(&key(2)).is_none() && shelf.get(&key(1)).is_some());
        shelf.put(key(3), bytes(60));
        assert_eq!((shelf.used, shelf.kept.len()), (100, 2));
        shelf.put(key(4), bytes(101));
        assert_eq!((shelf.used, shelf.kept.len()), (0, 0));
    }
}
