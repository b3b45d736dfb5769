//! Fragmented MP4 (ISO/IEC 14496-12 §8.8).
//!
//! ```text
//! header   the movie header: what the tracks are
//! boxes    how boxes are written
//! ```
//!
//! Every second of packets becomes a fragment, so a file that is cut off plays to the last whole
//! one.

mod boxes;
mod header;

use std::io::{self, Seek, SeekFrom, Write};

use bytes::Bytes;
use proto::stream::{AudioCodec, Media};
use proto::{Packet, StreamDescription, Track};

use super::timeline::Times;
use super::{Container, Error, run_up_us};
use boxes::{put_box, put_full, put_u32, put_u64};
use header::{MOVIE_TIMESCALE, TrackTimes};

/// Length of a fragment, microseconds; and the bytes that end one earlier.
const FRAGMENT_US: i64 = 1_000_000;
const FRAGMENT_BYTES: usize = 32 << 20;

/// Codecs that MP4 files have no customary place for.
pub(super) fn check(tracks: &[Track]) -> Result<(), Error> {
    for track in tracks {
        if let Media::Audio(audio) = &track.media
            && matches!(audio.codec, AudioCodec::Vorbis | AudioCodec::PcmS16Le)
        {
            return Err(Error::Unsupported { codec: audio.codec.to_string(), container: "mp4" });
        }
    }
    Ok(())
}

pub(super) struct Writer<W> {
    out: W,
    description: StreamDescription,
    /// Empty until the first packet, which decides where time starts.
    tracks: Vec<TrackState>,
    /// Of the duration in the header.
    duration_at: u64,
    fragments: u32,
    /// Decoding time of the first packet of the fragment, microseconds.
    fragment_from_us: Option<i64>,
    fragment_bytes: usize,
    /// Where the last packet ends, microseconds.
    end_us: i64,
}

struct TrackState {
    timescale: u32,
    /// Added to all times so that none is negative; the edit list takes it off again.
    shift_us: i64,
    /// Its length is known only when its successor comes.
    last: Option<Sample>,
    /// Those of the fragment, whose lengths are known.
    samples: Vec<Sample>,
}

struct Sample {
    /// Ticks.
    dts: u64,
    /// Presentation after decoding, ticks.
    offset: i32,
    /// Ticks.
    duration: u32,
    key: bool,
    payload: Bytes,
}

impl<W: Write + Seek + Send> Writer<W> {
    pub(super) fn new(out: W, description: &StreamDescription) -> Self {
        Self {
            out,
            description: description.clone(),
            tracks: Vec::new(),
            duration_at: 0,
            fragments: 0,
            fragment_from_us: None,
            fragment_bytes: 0,
            end_us: 0,
        }
    }

    fn start(&mut self, first: Times) -> io::Result<()> {
        for track in &self.description.tracks {
            let (timescale, shift_us) = match &track.media {
                // Microseconds keep the packets' times as they are.
                Media::Video(_) => (1_000_000, (-first.dts_us).max(0)),
                Media::Audio(audio) => (audio.sample_rate.max(1), run_up_us(track)),
            };
            self.tracks.push(TrackState { timescale, shift_us, last: None, samples: Vec::new() });
        }
        let times = self.tracks.iter().map(|state| TrackTimes {
            timescale: state.timescale,
            skip: state.ticks(0).unsigned_abs(),
        });
        let tracks: Vec<_> = self.description.tracks.iter().zip(times).collect();
        let (header, duration_at) = header::header(&tracks);
        self.duration_at = duration_at as u64;
        self.out.write_all(&header)
    }

    fn write_fragment(&mut self) -> io::Result<()> {
        self.fragments += 1;
        let mut moof = Vec::new();
        let mut offsets = Vec::new();
        put_box(&mut moof, b"moof", |out| {
            put_full(out, b"mfhd", 0, 0, |out| put_u32(out, self.fragments));
            for (track, id) in self.tracks.iter().zip(1..) {
                if !track.samples.is_empty() {
                    put_box(out, b"traf", |out| offsets.push(track.describe(id, out)));
                }
            }
        });
        if offsets.is_empty() {
            return Ok(());
        }
        let mut data = moof.len() + 8;
        let filled = self.tracks.iter().filter(|track| !track.samples.is_empty());
        for (track, at) in filled.zip(offsets) {
            let offset = i32::try_from(data).map_err(io::Error::other)?;
            moof[at..at + 4].copy_from_slice(&offset.to_be_bytes());
            data += track.samples.iter().map(|sample| sample.payload.len()).sum::<usize>();
        }
        let size = u32::try_from(data - moof.len()).map_err(io::Error::other)?;
        self.out.write_all(&moof)?;
        self.out.write_all(&size.to_be_bytes())?;
        self.out.write_all(b"mdat")?;
        for track in &mut self.tracks {
            for sample in track.samples.drain(..) {
                self.out.write_all(&sample.payload)?;
            }
        }
        self.fragment_bytes = 0;
        self.out.flush()
    }
}

impl<W: Write + Seek + Send> Container for Writer<W> {
    fn write(&mut self, packet: &Packet, times: Times) -> io::Result<()> {
        if self.tracks.is_empty() {
            self.start(times)?;
        }
        let from_us = *self.fragment_from_us.get_or_insert(times.dts_us);
        let is_long = times.dts_us.saturating_sub(from_us) >= FRAGMENT_US;
        if is_long || self.fragment_bytes >= FRAGMENT_BYTES {
            self.write_fragment()?;
            self.fragment_from_us = Some(times.dts_us);
        }
        self.fragment_bytes += packet.payload.len();
        let end_us = times.pts_us.saturating_add(i64::from(packet.header.duration_us));
        self.end_us = self.end_us.max(end_us);
        if let Some(track) = self.tracks.get_mut(usize::from(packet.header.track)) {
            track.push(packet, times);
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        for track in &mut self.tracks {
            track.samples.extend(track.last.take());
        }
        self.write_fragment()?;
        if self.duration_at > 0 {
            let duration = self.end_us.max(0) * i64::from(MOVIE_TIMESCALE) / 1_000_000;
            self.out.seek(SeekFrom::Start(self.duration_at))?;
            self.out.write_all(&duration.to_be_bytes())?;
            self.out.seek(SeekFrom::End(0))?;
        }
        self.out.flush()
    }
}

impl TrackState {
    /// Rounded from the start, so that errors do not add up.
    fn ticks(&self, us: i64) -> i64 {
        let us = i128::from(us.saturating_add(self.shift_us));
        let ticks = (us * i128::from(self.timescale) + 500_000).div_euclid(1_000_000);
        i64::try_from(ticks).unwrap_or(i64::MAX)
    }

    fn push(&mut self, packet: &Packet, times: Times) {
        let mut dts = self.ticks(times.dts_us).max(0).unsigned_abs();
        if let Some(mut last) = self.last.take() {
            // Decoding times only grow, whatever came over the network.
            dts = dts.max(last.dts + 1);
            last.duration = u32::try_from(dts - last.dts).unwrap_or(u32::MAX);
            self.samples.push(last);
        }
        let pts = self.ticks(times.pts_us);
        let offset = pts.saturating_sub(i64::try_from(dts).unwrap_or(i64::MAX));
        let length_us = i64::from(packet.header.duration_us);
        let duration = self.ticks(length_us) - self.ticks(0);
        self.last = Some(Sample {
            dts,
            offset: i32::try_from(offset).unwrap_or(0),
            duration: u32::try_from(duration).unwrap_or(0),
            key: packet.header.key,
            payload: packet.payload.clone(),
        });
    }

    /// Appends the content of a `traf` (§8.8.6 ff.); gives where its data offset is to be filled in.
    fn describe(&self, id: u32, out: &mut Vec<u8>) -> usize {
        // Data offsets count from the start of the moof.
        put_full(out, b"tfhd", 0, 0x02_0000, |out| put_u32(out, id));
        put_full(out, b"tfdt", 1, 0, |out| {
            put_u64(out, self.samples.first().map_or(0, |sample| sample.dts));
        });
        let mut offset_at = 0;
        // Data offset; and of each sample its length, size, flags and composition offset.
        put_full(out, b"trun", 1, 0xf01, |out| {
            put_u32(out, u32::try_from(self.samples.len()).unwrap_or(0));
            offset_at = out.len();
            put_u32(out, 0);
            for sample in &self.samples {
                put_u32(out, sample.duration);
                put_u32(out, u32::try_from(sample.payload.len()).unwrap_or(0));
                // §8.8.3.1: depends on no other sample, or does and is no sync sample
                put_u32(out, if sample.key { 0x0200_0000 } else { 0x0101_0000 });
                out.extend(sample.offset.to_be_bytes());
            }
        });
        offset_at
    }
}
