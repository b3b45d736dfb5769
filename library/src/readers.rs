//! Open files: who watches on reads on where the file is.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use media::demux::Error;
use media::segment::{Plan, Segmented};

/// Files kept open that nobody reads at the moment.
const MOST: usize = 16;
/// Of one movie.
const MOST_OF_ONE: usize = 4;

/// Files that nobody reads at the moment, the one put back last at the end.
#[derive(Debug, Default)]
pub(crate) struct Readers(Mutex<VecDeque<Segmented>>);

impl Readers {
    /// A reader of the file at `path`, if it can be at the segment.
    pub(crate) fn take(
        &self,
        path: &Path,
        plan: &Arc<Plan>,
        segment: usize,
    ) -> Result<Segmented, Error> {
        let idle = {
            let mut readers = self.lock();
            let ours = |reader: &Segmented| Arc::ptr_eq(reader.plan(), plan);
            let there = readers.iter().position(|r| ours(r) && r.next() == Some(segment));
            let many = readers.iter().filter(|reader| ours(reader)).count() >= MOST_OF_ONE;
            let any = || readers.iter().position(ours).filter(|_| many);
            let index = there.or_else(any);
            index.and_then(|index| readers.remove(index))
        };
        match idle {
            Some(reader) => Ok(reader),
            None => Segmented::open(path, plan.clone()),
        }
    }

    /// For whoever reads next.
    pub(crate) fn put_back(&self, reader: Segmented) {
        let mut readers = self.lock();
        readers.push_back(reader);
        let surplus = if readers.len() > MOST { readers.pop_front() } else { None };
        drop(readers);
        // Closed after others can go on.
        drop(surplus);
    }

    /// Closes what is open of a movie that is gone.
    pub(crate) fn forget(&self, plan: &Arc<Plan>) {
        self.lock().retain(|reader| !Arc::ptr_eq(reader.plan(), plan));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Segmented>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}
