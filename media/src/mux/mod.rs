//! Fragmented MP4 (ISO/IEC 14496-12 §8.8): for files, for browsers (Media Source Extensions) and for
//! HTTP Live Streaming.
//!
//! ```text
//! header    the movie header: what the tracks are
//! lane      one track's packets on their way into a fragment
//! seek      an index of fragments; padding
//! mime      how a browser is told what is in it
//! boxes     how boxes are written
//! ```
//!
//! A [`Muxer`] takes packets and gives a header and fragments as bytes; where they go is the
//! caller's.

mod boxes;
mod header;
mod lane;
mod mime;
mod seek;

use bytes::{Bytes, BytesMut};
use proto::stream::{Audio, AudioCodec, Media};
use proto::{Packet, Track, limits};

use boxes::{put_box, put_full, put_u32};
use header::TrackTimes;
use lane::Lane;
pub use lane::timescale;
pub use mime::mime;
pub use seek::{Part, index, padding};

/// What a fragment has beside its payloads, bytes: boxes of the whole, of each track, and of each
/// packet. No fragment has more.
pub const OVERHEAD: usize = 32;
/// See [`OVERHEAD`]; of each track.
pub const TRACK_OVERHEAD: usize = 72;
/// See [`OVERHEAD`]; of each packet.
pub const PACKET_OVERHEAD: usize = 16;

/// A track for which this format has no customary place.
#[derive(Debug, thiserror::Error)]
#[error("{codec} does not go into .mp4")]
pub struct Unsupported {
    /// For people.
    pub codec: String,
}

/// Fails for a codec that MP4 files have no customary place for.
///
/// # Errors
/// [`Unsupported`].
pub fn can_hold(track: &Track) -> Result<(), Unsupported> {
    match &track.media {
        Media::Audio(audio) if matches!(audio.codec, AudioCodec::Vorbis | AudioCodec::PcmS16Le) => {
            Err(Unsupported { codec: audio.codec.to_string() })
        }
        _ => Ok(()),
    }
}

/// A track of a file to be made.
#[derive(Clone, Debug)]
pub struct Muxed {
    /// What is in it.
    pub track: Track,
    /// [`proto::PacketHeader::track`] of its packets.
    pub index: u16,
    /// Room before the file's time 0, microseconds: for times below it, and for an encoder's
    /// run-up. Players skip it.
    pub lead_us: i64,
}

/// Makes fragments of packets.
#[derive(Debug)]
pub struct Muxer {
    tracks: Vec<Muxed>,
    lanes: Vec<Lane>,
    fragments: u32,
}

impl Muxer {
    /// For these tracks, at most [`proto::limits::TRACKS`].
    ///
    /// # Errors
    /// [`Unsupported`].
    pub fn new(tracks: Vec<Muxed>) -> Result<Self, Unsupported> {
        tracks.iter().try_for_each(|muxed| can_hold(&muxed.track))?;
        let lanes = tracks.iter().map(Lane::new).collect();
        Ok(Self { tracks, lanes, fragments: 0 })
    }

    /// The header, which comes before all fragments. The length is said where it is known.
    #[must_use]
    pub fn header(&self, duration_us: Option<u64>) -> Bytes {
        let ticks = |us: u64| us.saturating_mul(u64::from(header::MOVIE_TIMESCALE)) / 1_000_000;
        self.header_and_place(duration_us.map(ticks)).0.into()
    }

    /// The header, and where in it the length is to be written later: 8 bytes, big-endian, in
    /// [`MOVIE_TIMESCALE`].
    pub(crate) fn header_and_place(&self, duration: Option<u64>) -> (Vec<u8>, Option<usize>) {
        let times = |lane: &Lane| TrackTimes {
            timescale: lane.timescale,
            skip: lane.ticks(0).unsigned_abs(),
        };
        let tracks = self.tracks.iter().zip(&self.lanes);
        let tracks: Vec<_> = tracks.map(|(muxed, lane)| (&muxed.track, times(lane))).collect();
        header::header(&tracks, duration)
    }

    /// Adds a packet, its times counted from the file's time 0, microseconds. Packets of tracks that
    /// are not muxed are left out, and those of times that cannot be ([`limits::RECORDING_US`] away
    /// from 0). One that waits for its successor, which says how long it is, goes
    /// into a later fragment unless [`Muxer::settle`] is called.
    pub fn push(&mut self, packet: &Packet, pts_us: i64, dts_us: i64) {
        let possible = -limits::RECORDING_US..=limits::RECORDING_US;
        if !possible.contains(&pts_us) || !possible.contains(&dts_us) {
            return;
        }
        let lanes = self.lanes.iter_mut();
        if let Some(lane) = lanes.into_iter().find(|lane| lane.index == packet.header.track) {
            lane.push(packet, pts_us, dts_us);
        }
    }

    /// No packet waits for its successor any more: the last ones are as long as they say.
    pub fn settle(&mut self) {
        self.lanes.iter_mut().for_each(Lane::settle);
    }

    /// All that was pushed and whose length is known, as `moof` and `mdat`; `None` if that is
    /// nothing, or more than a fragment can hold (4 GB).
    pub fn fragment(&mut self) -> Option<Bytes> {
        let mut moof = Vec::with_capacity(256);
        let mut offsets = Vec::new();
        put_box(&mut moof, b"moof", |out| {
            put_full(out, b"mfhd", 0, 0, |out| put_u32(out, self.fragments.wrapping_add(1)));
            for (lane, id) in self.lanes.iter().zip(1..) {
                if !lane.samples.is_empty() {
                    put_box(out, b"traf", |out| offsets.push(lane.describe(id, out)));
                }
            }
        });
        if offsets.is_empty() {
            return None;
        }
        let mut data = moof.len() + 8;
        let filled = self.lanes.iter().filter(|lane| !lane.samples.is_empty());
        for (lane, at) in filled.zip(offsets) {
            moof[at..at + 4].copy_from_slice(&i32::try_from(data).ok()?.to_be_bytes());
            data += lane.bytes();
        }
        let size = u32::try_from(data - moof.len()).ok()?;
        self.fragments = self.fragments.wrapping_add(1);
        let mut out = BytesMut::with_capacity(data);
        out.extend_from_slice(&moof);
        out.extend_from_slice(&size.to_be_bytes());
        out.extend_from_slice(b"mdat");
        for lane in &mut self.lanes {
            lane.samples.drain(..).for_each(|sample| out.extend_from_slice(&sample.payload));
        }
        Some(out.freeze())
    }
}

/// Ticks a second of the file as a whole.
pub(crate) const MOVIE_TIMESCALE: u32 = header::MOVIE_TIMESCALE;

/// How much earlier than it sounds a track's first packet is decoded: Opus needs a run-up (its
/// pre-skip, RFC 7845 §5.1), which containers give a place of its own.
pub(crate) fn run_up_us(track: &Track) -> i64 {
    pre_skip(track).map_or(0, |samples| i64::from(samples) * 1_000_000 / 48_000)
}

/// Opus pre-skip, samples of 48 kHz.
pub(crate) fn pre_skip(track: &Track) -> Option<u16> {
    let Media::Audio(Audio { codec: AudioCodec::Opus, .. }) = track.media else { return None };
    Some(u16::from_le_bytes([*track.codec_config.get(10)?, *track.codec_config.get(11)?]))
}
