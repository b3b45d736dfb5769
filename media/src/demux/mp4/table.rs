//! The sample table (ISO/IEC 14496-12 §8.6 and §8.7): where each sample lies and when it is due.
//!
//! The boxes are kept as they are and walked by a cursor, a sample at a time: a table costs what
//! its boxes cost in the file, whatever counts a hostile one claims.

use mp4_atom::{Co64, Ctts, Stco, Stsc, Stss, Stsz, StszSamples, Stts};

use super::boxes::Boxes;

/// No movie has more samples in a track: 100 fps for 46 hours.
const MOST_SAMPLES: u32 = 1 << 24;

/// One sample of one track. Times are in the track's own time scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// Where it begins in the file.
    pub(super) offset: u64,
    /// Bytes.
    pub(super) size: u32,
    /// Decoding time.
    pub(super) dts: i64,
    /// Composition (presentation) time, before any edit.
    pub(super) cts: i64,
    pub(super) duration: u32,
    /// The table calls it a sync sample.
    pub(super) sync: bool,
}

/// A track's sample table.
#[derive(Debug, Default)]
pub(super) struct Table {
    durations: Vec<mp4_atom::SttsEntry>,
    offsets: Vec<mp4_atom::CttsEntry>,
    /// Numbers of sync samples from 1, sorted; all are where there is no such box.
    sync: Option<Vec<u32>>,
    chunk_runs: Vec<mp4_atom::StscEntry>,
    sizes: StszSamples,
    chunks: Chunks,
}

#[derive(Debug)]
enum Chunks {
    Short(Vec<u32>),
    Long(Vec<u64>),
}

impl Default for Chunks {
    fn default() -> Self {
        Self::Short(Vec::new())
    }
}

impl Chunks {
    fn get(&self, index: usize) -> Option<u64> {
        match self {
            Self::Short(offsets) => offsets.get(index).copied().map(u64::from),
            Self::Long(offsets) => offsets.get(index).copied(),
        }
    }
}

impl Table {
    /// Reads the boxes of an `stbl`; what is missing means no samples.
    pub(super) fn parse(stbl: Boxes<'_>) -> Self {
        let sync = stbl.leaf::<Stss>(b"stss").map(|stss| {
            let mut numbers = stss.entries;
            numbers.sort_unstable();
            numbers
        });
        let chunks = match stbl.leaf::<Stco>(b"stco") {
            Some(stco) => Chunks::Short(stco.entries),
            None => Chunks::Long(stbl.leaf::<Co64>(b"co64").map(|c| c.entries).unwrap_or_default()),
        };
        Self {
            durations: stbl.leaf::<Stts>(b"stts").map(|b| b.entries).unwrap_or_default(),
            offsets: stbl.leaf::<Ctts>(b"ctts").map(|b| b.entries).unwrap_or_default(),
            sync,
            chunk_runs: stbl.leaf::<Stsc>(b"stsc").map(|b| b.entries).unwrap_or_default(),
            sizes: stbl.leaf::<Stsz>(b"stsz").map(|b| b.samples).unwrap_or_default(),
            chunks,
        }
    }

    /// Whether samples are described by more than the first sample entry.
    pub(super) fn changes_description(&self) -> bool {
        self.chunk_runs.iter().any(|run| run.sample_description_index > 1)
    }

    /// The duration most samples have, if nearly all do: ticks a frame of a constant rate.
    pub(super) fn usual_duration(&self) -> Option<u32> {
        let total: u64 = self.durations.iter().map(|run| u64::from(run.sample_count)).sum();
        let usual = self.durations.iter().max_by_key(|run| run.sample_count)?;
        let same: u64 = self
            .durations
            .iter()
            .filter(|run| run.sample_delta == usual.sample_delta)
            .map(|run| u64::from(run.sample_count))
            .sum();
        (same * 10 >= total * 9 && usual.sample_delta > 0).then_some(usual.sample_delta)
    }

    fn size(&self, index: u32) -> Option<u32> {
        match &self.sizes {
            StszSamples::Identical { count, size } => (index < *count).then_some(*size),
            StszSamples::Different { sizes } => sizes.get(usize::try_from(index).ok()?).copied(),
        }
    }

    fn is_sync(&self, index: u32) -> bool {
        self.sync.as_ref().is_none_or(|numbers| numbers.binary_search(&(index + 1)).is_ok())
    }

    /// The sample at the cursor, which moves on; `None` at the end or where the boxes disagree.
    pub(super) fn next(&self, cursor: &mut Cursor) -> Option<Sample> {
        if cursor.index >= MOST_SAMPLES {
            return None;
        }
        let size = self.size(cursor.index)?;
        let offset = cursor.offset(self)?;
        let duration = cursor.duration.next(&self.durations, |run| run.sample_count);
        // A table that is short of durations goes on with its last one.
        let duration = duration.or(self.durations.last()).map_or(0, |run| run.sample_delta);
        let shift = cursor.composition.next(&self.offsets, |run| run.sample_count);
        let shift = shift.map_or(0, |run| run.sample_offset);
        let dts = cursor.dts;
        let sync = self.is_sync(cursor.index);
        cursor.index += 1;
        cursor.chunk_offset = offset.checked_add(u64::from(size))?;
        // At most 2^24 samples of 2^32 ticks: no overflow.
        cursor.dts += i64::from(duration);
        Some(Sample { offset, size, dts, cts: dts + shift, duration, sync })
    }
}

/// A place in a [`Table`].
#[derive(Clone, Debug, Default)]
pub(super) struct Cursor {
    index: u32,
    dts: i64,
    duration: RunCursor,
    composition: RunCursor,
    /// Chunks entered so far: the current one's number, from 1.
    chunk: usize,
    chunk_run: usize,
    left_in_chunk: u32,
    chunk_offset: u64,
}

impl Cursor {
    /// Samples passed so far.
    pub(super) fn index(&self) -> u32 {
        self.index
    }

    /// Where the sample at the cursor lies; enters the next chunk where one is used up.
    fn offset(&mut self, table: &Table) -> Option<u64> {
        while self.left_in_chunk == 0 {
            self.chunk_offset = table.chunks.get(self.chunk)?;
            self.chunk += 1;
            let begins = |run: &mp4_atom::StscEntry| {
                usize::try_from(run.first_chunk).is_ok_and(|first| first <= self.chunk)
            };
            while table.chunk_runs.get(self.chunk_run + 1).is_some_and(begins) {
                self.chunk_run += 1;
            }
            self.left_in_chunk = table.chunk_runs.get(self.chunk_run)?.samples_per_chunk;
        }
        self.left_in_chunk -= 1;
        Some(self.chunk_offset)
    }
}

/// A place in a list of runs, each of some number of equal samples.
#[derive(Clone, Debug, Default)]
struct RunCursor {
    run: usize,
    used: u32,
}

impl RunCursor {
    fn next<'a, T>(&mut self, runs: &'a [T], count: impl Fn(&T) -> u32) -> Option<&'a T> {
        while self.used >= count(runs.get(self.run)?) {
            self.run += 1;
            self.used = 0;
        }
        self.used += 1;
        runs.get(self.run)
    }
}

#[cfg(test)]
mod tests {
    use mp4_atom::{CttsEntry, StscEntry, SttsEntry};

    use super::*;

    fn all(table: &Table) -> Vec<Sample> {
        let mut cursor = Cursor::default();
        std::iter::from_fn(|| table.next(&mut cursor)).take(100).collect()
    }

    #[test]
    fn runs_chunks_and_offsets_are_unrolled() {
        let entry = |first_chunk, samples_per_chunk| StscEntry {
            first_chunk,
            samples_per_chunk,
            sample_description_index: 1,
        };
        let table = Table {
            durations: vec![
                SttsEntry { sample_count: 2, sample_delta: 10 },
                SttsEntry { sample_count: 0, sample_delta: 99 },
                SttsEntry { sample_count: 2, sample_delta: 20 },
            ],
            offsets: vec![
                CttsEntry { sample_count: 1, sample_offset: 5 },
                CttsEntry { sample_count: 3, sample_offset: -5 },
            ],
            sync: Some(vec![1, 4]),
            chunk_runs: vec![entry(1, 2), entry(3, 1)],
            sizes: StszSamples::Different { sizes: vec![1, 2, 3, 4, 5, 6] },
            chunks: Chunks::Short(vec![100, 200, 300, 400]),
        };
        let samples = all(&table);
        let column = |f: fn(&Sample) -> i64| samples.iter().map(f).collect::<Vec<_>>();
        assert_eq!(column(|s| s.offset as i64), [100, 101, 200, 203, 300, 400]);
        assert_eq!(column(|s| s.dts), [0, 10, 20, 40, 60, 80]);
        assert_eq!(column(|s| s.cts), [5, 5, 15, 35, 60, 80]);
        assert_eq!(column(|s| i64::from(s.duration)), [10, 10, 20, 20, 20, 20]);
        assert_eq!(column(|s| i64::from(s.sync)), [1, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn claims_without_substance_cost_nothing() {
        let table = Table {
            sizes: StszSamples::Identical { count: u32::MAX, size: 1 },
            chunk_runs: vec![StscEntry {
                first_chunk: 1,
                samples_per_chunk: 0,
                sample_description_index: 1,
            }],
            chunks: Chunks::Long(vec![0; 1000]),
            ..Table::default()
        };
        assert_eq!(all(&table), []);
    }
}
