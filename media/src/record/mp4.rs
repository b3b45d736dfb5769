//! Fragmented MP4 files: every second of packets becomes a fragment, so a file that is cut off plays
//! to the last whole one.

use std::io::{self, Seek, SeekFrom, Write};

use proto::{Packet, StreamDescription, Track};

use super::timeline::Times;
use super::{Container, Error};
use crate::mux::{self, MOVIE_TIMESCALE, Muxed, Muxer, run_up_us};

/// Length of a fragment, microseconds; and the bytes that end one earlier.
const FRAGMENT_US: i64 = 1_000_000;
const FRAGMENT_BYTES: usize = 32 << 20;

/// Codecs that MP4 files have no customary place for.
pub(super) fn check(tracks: &[Track]) -> Result<(), Error> {
    let unsupported =
        |error: mux::Unsupported| Error::Unsupported { codec: error.codec, container: "mp4" };
    tracks.iter().try_for_each(|track| mux::can_hold(track).map_err(unsupported))
}

pub(super) struct Writer<W> {
    out: W,
    description: StreamDescription,
    /// None until the first packet, which decides where time starts.
    muxer: Option<Muxer>,
    /// Of the duration in the header.
    duration_at: u64,
    /// Decoding time of the first packet of the fragment, microseconds.
    fragment_from_us: Option<i64>,
    fragment_bytes: usize,
    /// Where the last packet ends, microseconds.
    end_us: i64,
}

impl<W: Write + Seek + Send> Writer<W> {
    pub(super) fn new(out: W, description: &StreamDescription) -> Self {
        Self {
            out,
            description: description.clone(),
            muxer: None,
            duration_at: 0,
            fragment_from_us: None,
            fragment_bytes: 0,
            end_us: 0,
        }
    }

    fn start(&mut self, first: Times) -> io::Result<Muxer> {
        let muxed = |(track, index): (&Track, u16)| {
            let lead_us = if track.is_video() { (-first.dts_us).max(0) } else { run_up_us(track) };
            Muxed { track: track.clone(), index, lead_us }
        };
        let tracks = self.description.tracks.iter().zip(0..).map(muxed).collect();
        let muxer = Muxer::new(tracks).map_err(io::Error::other)?;
        let (header, duration_at) = muxer.header_and_place(Some(0));
        self.duration_at = duration_at.unwrap_or(0) as u64;
        self.out.write_all(&header)?;
        Ok(muxer)
    }

    fn write_fragment(&mut self) -> io::Result<()> {
        if let Some(fragment) = self.muxer.as_mut().and_then(Muxer::fragment) {
            self.out.write_all(&fragment)?;
        }
        self.fragment_bytes = 0;
        self.out.flush()
    }
}

impl<W: Write + Seek + Send> Container for Writer<W> {
    fn write(&mut self, packet: &Packet, times: Times) -> io::Result<()> {
        if self.muxer.is_none() {
            self.muxer = Some(self.start(times)?);
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
        if let Some(muxer) = &mut self.muxer {
            muxer.push(packet, times.pts_us, times.dts_us);
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        if let Some(muxer) = &mut self.muxer {
            muxer.settle();
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
