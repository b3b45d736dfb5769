//! What was made once and may be wanted again.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::OnceCell;

/// Keeps at most so many bytes and things; what was not asked for the longest goes first. Whatever is
/// wanted by many is made once.
pub(crate) struct Shelf<K, V> {
    slots: Mutex<Slots<K, V>>,
    most_bytes: u64,
    most: usize,
}

struct Slots<K, V> {
    slots: HashMap<K, Slot<V>>,
    /// Counts what is asked for.
    time: u64,
}

struct Slot<V> {
    cell: Arc<OnceCell<V>>,
    /// 0 until it is made.
    bytes: u64,
    asked: u64,
}

impl<K, V> fmt::Debug for Shelf<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").field("most_bytes", &self.most_bytes).finish_non_exhaustive()
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Shelf<K, V> {
    pub(crate) fn new(most_bytes: u64, most: usize) -> Self {
        Self { slots: Mutex::new(Slots { slots: HashMap::new(), time: 0 }), most_bytes, most }
    }

    /// What is there, or what `make` gives: the thing and its size in bytes. Who asks while it is
    /// being made waits for it.
    pub(crate) async fn get<E>(
        &self,
        key: K,
        make: impl Future<Output = Result<(V, u64), E>>,
    ) -> Result<V, E> {
        let cell = self.slot(&key);
        let made = async {
            let (value, bytes) = make.await?;
            self.weigh(&key, bytes);
            Ok(value)
        };
        cell.get_or_try_init(|| made).await.cloned()
    }

    fn slot(&self, key: &K) -> Arc<OnceCell<V>> {
        let mut slots = self.lock();
        slots.time += 1;
        let asked = slots.time;
        let empty = || Slot { cell: Arc::default(), bytes: 0, asked };
        let slot = slots.slots.entry(key.clone()).or_insert_with(empty);
        slot.asked = asked;
        let cell = slot.cell.clone();
        self.tidy(&mut slots);
        cell
    }

    fn weigh(&self, key: &K, bytes: u64) {
        let mut slots = self.lock();
        if let Some(slot) = slots.slots.get_mut(key) {
            slot.bytes = bytes;
        }
        self.tidy(&mut slots);
    }

    fn tidy(&self, slots: &mut Slots<K, V>) {
        let bytes = |slots: &Slots<K, V>| slots.slots.values().map(|slot| slot.bytes).sum::<u64>();
        while slots.slots.len() > self.most || bytes(slots) > self.most_bytes {
            let oldest = slots.slots.iter().min_by_key(|(_, slot)| slot.asked);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { return };
            slots.slots.remove(&key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slots<K, V>> {
        self.slots.lock().unwrap_or_else(|e| e.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_many_want_is_made_once() {
        let shelf: Shelf<u32, u32> = Shelf::new(100, 10);
        let made = AtomicUsize::new(0);
        let make = || async {
            made.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok::<_, ()>((7, 10))
        };
        let both = tokio::join!(shelf.get(1, make()), shelf.get(1, make()));
        assert_eq!((both, made.into_inner()), ((Ok(7), Ok(7)), 1));
    }

    #[tokio::test]
    async fn what_was_not_asked_for_the_longest_goes() {
        let shelf: Shelf<u32, u32> = Shelf::new(100, 10);
        let put = async |key, bytes| shelf.get(key, async { Ok::<_, ()>((0, bytes)) }).await;
        let has = |key: u32| shelf.lock().slots.contains_key(&key);
        for key in [1, 2, 1, 3] {
            put(key, 40).await.expect("made");
        }
        assert!(has(1) && !has(2) && has(3));
        for key in 10..30 {
            put(key, 1).await.expect("made");
        }
        assert_eq!(shelf.lock().slots.len(), 10);
        // What is larger than the shelf is handed out all the same.
        assert_eq!(put(99, 1000).await, Ok(0));
        assert_eq!(shelf.lock().slots.len(), 0);
    }

    #[tokio::test]
    async fn what_failed_is_tried_again() {
        let shelf: Shelf<u32, u32> = Shelf::new(100, 10);
        assert_eq!(shelf.get(1, async { Err(5) }).await, Err(5));
        assert_eq!(shelf.get(1, async { Ok::<_, i32>((6, 1)) }).await, Ok(6));
    }
}
