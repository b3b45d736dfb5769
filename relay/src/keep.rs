//! The [`Keep`] of a relay without a disk: the segments that were wanted last, in memory.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use proto::StreamInfo;
use proto::recording::{Digest, Index, RecordingId};

use crate::recording::{Keep, Piece};

/// Keeps segments up to a sum of bytes; those that were not wanted for longest go.
pub(crate) struct MemoryKeep {
    most: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Last wanted, last.
    pieces: VecDeque<(RecordingId, u64, Arc<Piece>)>,
    bytes: u64,
}

impl MemoryKeep {
    /// Holds up to `most` bytes.
    pub(crate) fn new(most: u64) -> Self {
        Self { most, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl State {
    fn take(&mut self, id: RecordingId, number: u64) -> Option<Arc<Piece>> {
        let place = self.pieces.iter().position(|(i, n, _)| (*i, *n) == (id, number))?;
        let (_, _, piece) = self.pieces.remove(place)?;
        self.bytes -= u64::from(piece.bytes());
        Some(piece)
    }

    fn push(&mut self, id: RecordingId, number: u64, piece: Arc<Piece>) {
        self.bytes += u64::from(piece.bytes());
        self.pieces.push_back((id, number, piece));
    }
}

impl Keep for MemoryKeep {
    fn remembered(&self, _: &str) -> Vec<StreamInfo> {
        Vec::new()
    }

    fn remember(&self, _: &str, _: &StreamInfo) {}

    fn index(&self, _: RecordingId) -> Option<Index> {
        None
    }

    fn put_index(&self, _: &Index) {}

    fn segment(&self, id: RecordingId, number: u64) -> Option<Arc<Piece>> {
        let mut state = self.state();
        let piece = state.take(id, number)?;
        state.push(id, number, piece.clone());
        Some(piece)
    }

    fn put_segment(
        &self,
        id: RecordingId,
        number: u64,
        _: Digest,
        bytes: Bytes,
    ) -> io::Result<Arc<Piece>> {
        let piece = Arc::new(Piece::in_memory(bytes)?);
        let mut state = self.state();
        state.take(id, number);
        state.push(id, number, piece.clone());
        while state.bytes > self.most
            && let Some((_, _, oldest)) = state.pieces.pop_front()
        {
            state.bytes -= u64::from(oldest.bytes());
        }
        Ok(piece)
    }

    fn remove_segment(&self, id: RecordingId, number: u64) {
        self.state().take(id, number);
    }

    fn remove(&self, id: RecordingId) {
        let mut state = self.state();
        state.pieces.retain(|(there, _, _)| *there != id);
        state.bytes = state.pieces.iter().map(|(_, _, piece)| u64::from(piece.bytes())).sum();
    }

    fn hold(&self, _: RecordingId) -> Box<dyn Send + Sync> {
        Box::new(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_wanted_last_stays() {
        let keep = MemoryKeep::new(25);
        let id = RecordingId([1; 16]);
        let put = |number: u64| {
            let bytes = Bytes::from(vec![number as u8; 10]);
            let digest = Digest::of(&bytes);
            keep.put_segment(id, number, digest, bytes).expect("memory").digest()
        };
        let first = put(1);
        put(2);
        assert_eq!(keep.segment(id, 1).map(|piece| piece.digest()), Some(first));
        put(3);
        assert!(keep.segment(id, 2).is_none(), "nobody wanted it for longest");
        assert!(keep.segment(id, 1).is_some() && keep.segment(id, 3).is_some());
        assert!(keep.segment(RecordingId([2; 16]), 1).is_none());
    }
}
