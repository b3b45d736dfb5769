//! Movie fragments (ISO/IEC 14496-12 §8.8): samples that are described where they lie.

use std::collections::VecDeque;
use std::io::{self, Read, Seek};

use mp4_atom::{Tfdt, Tfhd, Trex, Trun, TrunEntry};

use super::boxes::{Boxes, TopBox, leaf};
use super::table::Sample;

/// Largest `moof` that is read, bytes: an hour of samples described one by one is 4 MB.
const MOST_MOOF: u64 = 16 << 20;
/// Most samples that one `moof` may describe.
const MOST_SAMPLES: usize = 1 << 20;
/// `sample_is_non_sync_sample` (§8.8.3.1).
const NOT_SYNC: u32 = 0x1_0000;

/// The samples of one track that fragments have brought and nobody has taken.
#[derive(Debug)]
pub(super) struct Fragmented {
    pub(super) track_id: u32,
    /// Of other tracks nothing is kept; but the data of one may begin where that of another ends.
    pub(super) wanted: bool,
    /// What holds where a fragment does not say.
    pub(super) defaults: Trex,
    /// Where a fragment without a time of its own goes on.
    pub(super) next_dts: i64,
    pub(super) queue: VecDeque<Sample>,
    /// How many samples have been queued since the first fragment.
    pub(super) queued: u64,
}

impl Fragmented {
    /// As before the first fragment.
    pub(super) fn rewind(&mut self) {
        self.queue.clear();
        self.next_dts = 0;
        self.queued = 0;
    }

    /// How many samples have been taken since the first fragment.
    pub(super) fn taken(&self) -> u64 {
        self.queued - self.queue.len() as u64
    }
}

/// A walk over the fragments of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    /// First byte of the next box.
    pub(super) at: u64,
    /// A fragment was begun that the file does not hold to its end.
    pub(super) cut: bool,
}

impl From<u64> for Walk {
    /// A walk from this byte on.
    fn from(at: u64) -> Self {
        Self { at, cut: false }
    }
}

impl Walk {
    /// Reads up to the next `moof` and queues its samples. `false` at the end of the file.
    pub(super) fn step<R: Read + Seek>(
        &mut self,
        file: &mut R,
        file_length: u64,
        tracks: &mut [Fragmented],
    ) -> io::Result<bool> {
        while let Some(top) = TopBox::read(file, self.at, file_length)? {
            self.at = top.end;
            if top.kind != *b"moof" {
                continue;
            }
            let Some(body) = top.body(file, file_length, MOST_MOOF)? else {
                self.cut = true;
                return Ok(false);
            };
            queue_samples(&body, top.start, file_length, tracks);
            return Ok(true);
        }
        Ok(false)
    }
}

fn queue_samples(moof: &[u8], moof_start: u64, file_length: u64, tracks: &mut [Fragmented]) {
    // Where data of the fragment before ends: the base of one that names none (§8.8.7.1).
    let mut data_end = moof_start;
    for (kind, traf) in Boxes(moof) {
        let traf = Boxes(traf);
        let Some(header) = traf.leaf::<Tfhd>(b"tfhd").filter(|_| kind == *b"traf") else {
            continue;
        };
        let base = match header.base_data_offset {
            Some(offset) => offset,
            None if header.default_base_is_moof => moof_start,
            None => data_end,
        };
        let Some(track) = tracks.iter_mut().find(|t| t.track_id == header.track_id) else {
            continue;
        };
        if let Some(tfdt) = traf.leaf::<Tfdt>(b"tfdt") {
            track.next_dts = i64::try_from(tfdt.base_media_decode_time).unwrap_or(i64::MAX / 4);
        }
        let before = track.queue.len();
        let mut run = Run { track, at: base, header, file_length };
        for trun in traf.filter(|(kind, _)| kind == b"trun").filter_map(|(_, body)| leaf(body)) {
            run.queue(base, &trun);
        }
        data_end = run.at;
        if track.wanted {
            track.queued += (track.queue.len() - before) as u64;
        } else {
            track.queue.clear();
        }
    }
}

/// Where a run of samples goes on.
struct Run<'a> {
    track: &'a mut Fragmented,
    /// Next byte of data.
    at: u64,
    header: Tfhd,
    file_length: u64,
}

impl Run<'_> {
    fn queue(&mut self, base: u64, trun: &Trun) {
        if let Some(offset) = trun.data_offset {
            self.at = base.saturating_add_signed(i64::from(offset));
        }
        let room = MOST_SAMPLES.saturating_sub(self.track.queue.len());
        for entry in trun.samples.iter().take(room) {
            // Nothing behind the end of the file can be read.
            if self.at > self.file_length {
                break;
            }
            let sample = self.sample(entry);
            self.at = self.at.saturating_add(u64::from(sample.size));
            let next = self.track.next_dts.saturating_add(i64::from(sample.duration));
            self.track.next_dts = next.min(i64::MAX / 4);
            self.track.queue.push_back(sample);
        }
    }

    fn sample(&self, entry: TrunEntry) -> Sample {
        let (header, defaults) = (&self.header, &self.track.defaults);
        let size = entry.size.or(header.default_sample_size);
        let duration = entry.duration.or(header.default_sample_duration);
        let flags = entry.flags.or(header.default_sample_flags);
        let dts = self.track.next_dts;
        Sample {
            offset: self.at,
            size: size.unwrap_or(defaults.default_sample_size),
            dts,
            cts: dts.saturating_add(entry.cts.unwrap_or(0)),
            duration: duration.unwrap_or(defaults.default_sample_duration),
            sync: flags.unwrap_or(defaults.default_sample_flags) & NOT_SYNC == 0,
        }
    }
}
