//! Places in a file to read on from.
//!
//! symphonia seeks by time, and not to the packet. So a place is known by the packets that come next:
//! the file is taken up somewhere before them and read until they are found. Where they are not, it
//! is taken up earlier, at last from its start.

use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use symphonia::core::formats::{SeekMode, SeekTo};
use symphonia::core::io::MediaSource;
use symphonia::core::units::Time;

use super::clusters;
use super::reorder::Reorder;
use super::{Reader, Refusal, Source};

/// What symphonia may have read beyond the packet it gives, bytes: its buffer, twice.
const READ_AHEAD: u64 = 128 << 10;
/// How much earlier a file is taken up whose place was not found, bytes.
const EARLIER: [u64; 3] = [0, 2 << 20, 32 << 20];
/// A sound file is taken up this long before its place, microseconds.
const BEFORE_US: i64 = 1_000_000;

/// A packet as it comes from symphonia.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pulled {
    /// Index of its track among those that are played.
    pub(super) pick: usize,
    /// Ticks of its track.
    pub(super) pts: i64,
    /// Ticks; 0 where the container does not say.
    pub(super) lasts: i64,
    pub(super) payload: Bytes,
}

/// A place between two packets.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// The file had not been read beyond this byte.
    read_to: u64,
    /// Of the packets that wait, bytes.
    waiting: u64,
    picks: Vec<PickMark>,
    /// The last packet that was read.
    last: Option<Likeness>,
}

/// Where one of the tracks is.
#[derive(Clone, Debug)]
struct PickMark {
    /// From which decoding times go on.
    reorder: Option<Reorder>,
    /// The first packet that waits, and how many do.
    waiting: Option<(Likeness, usize)>,
}

/// Enough to recognise a packet by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Likeness {
    pick: usize,
    /// Microseconds.
    pts_us: i64,
    bytes: usize,
    hash: u64,
}

impl Likeness {
    fn new(pick: usize, pts_us: i64, payload: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(payload);
        Self { pick, pts_us, bytes: payload.len(), hash: hasher.finish() }
    }
}

impl Reader {
    /// The place before the next packet.
    pub(crate) fn mark(&self) -> Mark {
        let picks = self.picks.iter().enumerate().map(|(index, pick)| match pick.queue.front() {
            None => PickMark { reorder: pick.reorder.clone(), waiting: None },
            Some(first) => {
                let packet = &first.packet;
                let likeness = Likeness::new(index, packet.header.pts_us, &packet.payload);
                let waiting = Some((likeness, pick.queue.len()));
                PickMark { reorder: first.before.clone(), waiting }
            }
        });
        let queued = self.picks.iter().flat_map(|pick| &pick.queue);
        Mark {
            read_to: self.read_to.load(Ordering::Relaxed),
            waiting: queued.map(|queued| queued.packet.payload.len() as u64).sum(),
            picks: picks.collect(),
            last: self.last.as_ref().map(|last| self.likeness(last)),
        }
    }

    fn likeness(&self, pulled: &Pulled) -> Likeness {
        let pts_us = self.picks[pulled.pick].pts_us(pulled.pts);
        Likeness::new(pulled.pick, pts_us, &pulled.payload)
    }

    /// Goes back, or ahead, to a place.
    pub(crate) fn go_to(&mut self, mark: &Mark) -> Result<(), Refusal> {
        let near = mark.read_to.saturating_sub(mark.waiting + READ_AHEAD);
        for earlier in EARLIER {
            let taken_up = if self.is_matroska {
                self.take_up_cluster(near.saturating_sub(earlier))?
            } else {
                earlier == 0 && self.take_up_time(mark)?
            };
            if taken_up && self.find(mark)? {
                return Ok(());
            }
        }
        let bytes = Tracked::open(&mut *self.source, &self.read_to)?;
        self.take_up(bytes)?;
        let changed = || Refusal::Damaged("it has changed since it was opened".into());
        if self.find(mark)? { Ok(()) } else { Err(changed()) }
    }

    /// Takes a Matroska file up at a cluster before byte `near`; `false` if there is none.
    fn take_up_cluster(&mut self, near: u64) -> Result<bool, Refusal> {
        let bytes = Tracked::open(&mut *self.source, &self.read_to)?;
        let Some(bytes) = clusters::from_before(bytes, near)? else { return Ok(false) };
        Ok(self.take_up(Box::new(bytes)).is_ok())
    }

    /// Takes a sound file up a little before the place; `false` if it cannot be.
    fn take_up_time(&mut self, mark: &Mark) -> Result<bool, Refusal> {
        let next = mark.picks.iter().filter_map(|pick| Some(pick.waiting.as_ref()?.0.pts_us)).min();
        let Some(pts_us) = next.or(mark.last.map(|last| last.pts_us)) else { return Ok(false) };
        let shift_us = self.picks.first().map_or(0, |pick| pick.shift_us());
        let from_us = pts_us.saturating_sub(shift_us).saturating_sub(BEFORE_US);
        if from_us <= 0 {
            return Ok(false);
        }
        let bytes = Tracked::open(&mut *self.source, &self.read_to)?;
        self.take_up(bytes)?;
        let to = SeekTo::Time { time: Time::from_micros(from_us), track_id: None };
        Ok(self.format.seek(SeekMode::Coarse, to).is_ok())
    }

    /// Reads on to the place; `false` if it does not come.
    fn find(&mut self, mark: &Mark) -> Result<bool, Refusal> {
        for (pick, mark) in self.picks.iter_mut().zip(&mark.picks) {
            pick.take_up(mark.reorder.clone());
        }
        while !self.at_end && self.read_to.load(Ordering::Relaxed) <= mark.read_to + READ_AHEAD {
            // Bytes that only look like the start of a cluster may be anything.
            let pulled = match self.pull_raw() {
                Ok(Some(pulled)) => pulled,
                Ok(None) => continue,
                Err(Refusal::Io(error)) => return Err(error.into()),
                Err(_) => return Ok(false),
            };
            let likeness = self.likeness(&pulled);
            let index = pulled.pick;
            let begun = !self.picks[index].queue.is_empty();
            let waiting = mark.picks.get(index).and_then(|pick| pick.waiting.as_ref());
            if waiting.is_some_and(|(first, _)| begun || *first == likeness) {
                self.take_in(pulled);
            } else {
                self.last = Some(pulled);
            }
            if mark.last == Some(likeness) && self.holds(mark) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether as many packets wait as did at the place.
    fn holds(&self, mark: &Mark) -> bool {
        let expected = |pick: &PickMark| pick.waiting.as_ref().map_or(0, |(_, count)| *count);
        self.picks.iter().zip(&mark.picks).all(|(pick, mark)| pick.queue.len() == expected(mark))
    }
}

/// Bytes, and how far they have been read.
pub(super) struct Tracked {
    inner: Box<dyn MediaSource>,
    at: u64,
    read_to: Arc<AtomicU64>,
}

impl Tracked {
    /// Opens a source from its start.
    pub(super) fn open(
        source: &mut dyn Source,
        read_to: &Arc<AtomicU64>,
    ) -> io::Result<Box<dyn MediaSource>> {
        let inner = source.open()?;
        read_to.store(0, Ordering::Relaxed);
        Ok(Box::new(Self { inner, at: 0, read_to: Arc::clone(read_to) }))
    }
}

impl Read for Tracked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.at += count as u64;
        self.read_to.store(self.at, Ordering::Relaxed);
        Ok(count)
    }
}

impl Seek for Tracked {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.inner.seek(to)?;
        Ok(self.at)
    }
}

impl MediaSource for Tracked {
    fn is_seekable(&self) -> bool {
        self.inner.is_seekable()
    }

    fn byte_len(&self) -> Option<u64> {
        self.inner.byte_len()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::{Path, PathBuf};

    use proto::StreamDescription;

    use super::*;
    use crate::demux::Movie;
    use crate::record::Recorder;

    /// A file that counts what is read of it.
    struct Counted(PathBuf, Arc<AtomicU64>);

    struct Counting(File, Arc<AtomicU64>);

    impl Source for Counted {
        fn open(&mut self) -> io::Result<Box<dyn MediaSource>> {
            Ok(Box::new(Counting(File::open(&self.0)?, self.1.clone())))
        }
    }

    impl Read for Counting {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.read(buffer)?;
            self.1.fetch_add(count as u64, Ordering::Relaxed);
            Ok(count)
        }
    }

    impl Seek for Counting {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    impl MediaSource for Counting {
        fn is_seekable(&self) -> bool {
            true
        }

        fn byte_len(&self) -> Option<u64> {
            None
        }
    }

    /// A sample as Matroska.
    fn matroska(folder: &Path) -> PathBuf {
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../samples/big-buck-bunny-480p-30s.mp4");
        let mut movie = Movie::open(Path::new(sample)).expect("opens");
        let description = StreamDescription {
            name: "bunny".into(),
            title: String::new(),
            live: false,
            run: 0,
            duration_us: None,
            tracks: movie.tracks().to_vec(),
        };
        let path = folder.join("bunny.mkv");
        let mut recorder = Recorder::create(&path, &description).expect("is made");
        while let Some(packet) = movie.next_packet().expect("readable") {
            recorder.write(&packet).expect("is written");
        }
        recorder.finish().expect("is written");
        path
    }

    #[test]
    fn a_place_is_reached_without_reading_what_is_before_it() {
        let folder = tempfile::tempdir().expect("folder");
        let path = matroska(folder.path());
        let read = Arc::new(AtomicU64::new(0));
        let source = Box::new(Counted(path.clone(), read.clone()));
        let mut reader = Reader::open(source, true).expect("opens");
        let mut mark = None;
        while let Some((header, _)) = reader.peek().expect("readable") {
            if header.key && header.track == 0 {
                mark = Some((reader.mark(), header));
            }
            reader.next_packet().expect("readable");
        }
        let (mark, header) = mark.expect("has key frames");
        read.store(0, Ordering::Relaxed);
        reader.go_to(&mark).expect("is found");
        let next = reader.next_packet().expect("readable").expect("a packet");
        assert_eq!(next.header, header);
        let (read, whole) =
            (read.load(Ordering::Relaxed), std::fs::metadata(&path).expect("file").len());
        assert!(read < whole * 2 / 3, "{read} of {whole} bytes");
    }

    #[test]
    fn a_place_in_another_file_is_not_found() {
        let folder = tempfile::tempdir().expect("folder");
        let path = matroska(folder.path());
        let mut reader = Reader::open(Box::new(path.clone()), true).expect("opens");
        for _ in 0..500 {
            reader.next_packet().expect("readable");
        }
        let mark = reader.mark();
        let mut bytes = std::fs::read(&path).expect("readable");
        let early = bytes.len() / 10;
        bytes[early..].fill(0);
        std::fs::write(&path, bytes).expect("written");
        assert!(reader.go_to(&mark).is_err());
    }
}
