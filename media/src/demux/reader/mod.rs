//! Matroska, WebM and files of sound only, read by symphonia.
//!
//! ```text
//! tracks    symphonia's track list, and which of it can travel as it is
//! matroska  what symphonia leaves out of Matroska's
//! pick      one track: its packets on their way
//! reorder   decoding times from presentation times
//! mark      places to read on from
//! clusters  where a Matroska file can be taken up
//! ```
//!
//! symphonia gives no key flags and, of Matroska, only presentation times: both are derived here.
//! Packets of several tracks come in the order they lie in the file; a short queue a track puts them
//! in order of decoding.

mod clusters;
mod mark;
mod matroska;
mod pick;
mod reorder;
mod tracks;

use std::fs::File;
use std::io::{self, Cursor, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use proto::stream::Media;
use proto::{Packet, PacketHeader, Track, limits};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::{Hint, Probe};
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;
use symphonia::default::formats::{FlacReader, MkvReader, MpaReader, OggReader, WavReader};
use symphonia::default::meta::{ApeReader, Id3v1Reader, Id3v2Reader};

use super::error::Refusal;
use super::{HEADER_ROOM, stream};
pub(crate) use mark::Mark;
use mark::{Pulled, Tracked};
use pick::{Pick, Queued};
pub(crate) use tracks::Told;

/// Most packets queued to put tracks in order, and to find the first of each.
const MOST_PACKETS: usize = 1024;
/// Most bytes queued for that.
const MOST_BYTES: usize = 32 << 20;
/// One track waits for the others no longer than this, microseconds: a sound may pause.
const MOST_LAG_US: i64 = 500_000;

/// Where the bytes come from; opened again to start over.
pub trait Source: Send {
    /// The bytes from their start.
    ///
    /// # Errors
    /// Whatever the system says.
    fn open(&mut self) -> io::Result<Box<dyn MediaSource>>;
}

/// A file.
impl Source for PathBuf {
    fn open(&mut self) -> io::Result<Box<dyn MediaSource>> {
        Ok(Box::new(File::open(self)?))
    }
}

/// What a file would hold.
impl Source for Bytes {
    fn open(&mut self) -> io::Result<Box<dyn MediaSource>> {
        Ok(Box::new(Cursor::new(self.clone())))
    }
}

/// An open file or pipe.
pub struct Reader {
    source: Box<dyn Source>,
    is_matroska: bool,
    format: Box<dyn FormatReader>,
    /// Ends of a pipe are no damage.
    is_pipe: bool,
    tracks: Vec<Track>,
    picks: Vec<Pick>,
    /// What is subtracted so that the first track begins at 0, microseconds.
    base_us: i64,
    duration_us: Option<u64>,
    at_end: bool,
    note: Option<String>,
    /// How far the source has been read.
    read_to: Arc<AtomicU64>,
    /// The last packet that was queued.
    last: Option<Pulled>,
}

impl Reader {
    /// Opens Matroska (`is_matroska`) or whatever kind of sound file `source` is, and reads its
    /// first packets.
    ///
    /// # Errors
    /// A [`Refusal`] if it cannot be read or holds what cannot go as it is.
    pub fn open(source: Box<dyn Source>, is_matroska: bool) -> Result<Self, Refusal> {
        Self::open_told(source, is_matroska, &Told::default())
    }

    /// The same, for a source of which more is known than it says itself.
    pub(crate) fn open_told(
        mut source: Box<dyn Source>,
        is_matroska: bool,
        told: &Told,
    ) -> Result<Self, Refusal> {
        let read_to = Arc::default();
        let mut bytes = Tracked::open(&mut *source, &read_to)?;
        let is_pipe = !bytes.is_seekable();
        let mut entries = Vec::new();
        if is_matroska && !is_pipe {
            entries = matroska::tracks(&mut *bytes)?;
            bytes.rewind()?;
        }
        let format = open_format(bytes, is_matroska)?;
        let (indices, streams) = tracks::streams(format.tracks(), &entries, told);
        let (mut picks, mut tracks) = (Vec::new(), Vec::new());
        for (index, track) in stream::playable(&streams)? {
            picks.push(Pick::new(&format.tracks()[indices[index]], &track, is_matroska));
            tracks.push(track);
        }
        let mut reader = Self {
            source,
            is_matroska,
            is_pipe,
            tracks,
            picks,
            base_us: 0,
            duration_us: told.duration_us.or_else(|| duration_us(&*format)),
            format,
            at_end: false,
            note: None,
            read_to,
            last: None,
        };
        reader.begin()?;
        reader.settle()?;
        Ok(reader)
    }

    /// The picture, then the sound.
    #[must_use]
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Length, if it is known.
    #[must_use]
    pub fn duration_us(&self) -> Option<u64> {
        let base = u64::try_from(self.base_us).unwrap_or(0);
        self.duration_us.map(|us| us.saturating_sub(base)).filter(|&us| us > 0)
    }

    /// What a person should know of the file: that it is cut off, and where.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Back to the first packet: opens the source again.
    ///
    /// # Errors
    /// A [`Refusal`] if it cannot be opened a second time.
    pub fn rewind(&mut self) -> Result<(), Refusal> {
        let bytes = Tracked::open(&mut *self.source, &self.read_to)?;
        self.take_up(bytes)?;
        self.picks.iter_mut().for_each(Pick::rewind);
        self.begin()
    }

    /// Reads on from other bytes.
    fn take_up(&mut self, bytes: Box<dyn MediaSource>) -> Result<(), Refusal> {
        self.format = open_format(bytes, self.is_matroska)?;
        self.at_end = false;
        Ok(())
    }

    /// The next packet in order of decoding over all tracks; `None` at the end, or where the file
    /// is no longer whole.
    ///
    /// # Errors
    /// A [`Refusal`] if the system cannot read on.
    pub fn next_packet(&mut self) -> Result<Option<Packet>, Refusal> {
        let Some(pick) = self.due()? else { return Ok(None) };
        let queued = self.picks[pick].queue.pop_front();
        Ok(queued.map(|Queued { packet, .. }| Packet {
            header: self.on_timeline(packet.header),
            payload: packet.payload,
        }))
    }

    /// What [`Reader::next_packet`] will give, and how many bytes; it stays the next one.
    pub(crate) fn peek(&mut self) -> Result<Option<(PacketHeader, usize)>, Refusal> {
        let Some(pick) = self.due()? else { return Ok(None) };
        let packet = self.picks[pick].queue.front().map(|queued| &queued.packet);
        Ok(packet.map(|packet| (self.on_timeline(packet.header), packet.payload.len())))
    }

    /// The track whose packet is next.
    fn due(&mut self) -> Result<Option<usize>, Refusal> {
        while !self.at_end && self.must_wait() {
            self.pull()?;
        }
        let dts = |pick: &Pick| Some(pick.queue.front()?.packet.header.dts_us);
        let due =
            self.picks.iter().enumerate().filter_map(|(index, pick)| Some((dts(pick)?, index)));
        Ok(due.min().map(|(_, index)| index))
    }

    fn on_timeline(&self, header: PacketHeader) -> PacketHeader {
        PacketHeader {
            pts_us: header.pts_us - self.base_us,
            dts_us: header.dts_us - self.base_us,
            ..header
        }
    }

    /// Whether a track without a packet might still bring an earlier one.
    fn must_wait(&self) -> bool {
        self.picks.iter().any(|pick| pick.queue.is_empty())
            && self.picks.iter().all(|pick| pick.lag_us() <= MOST_LAG_US)
            && self.has_room()
    }

    fn has_room(&self) -> bool {
        let queued = || self.picks.iter().flat_map(|pick| &pick.queue);
        queued().count() < MOST_PACKETS
            && queued().map(|queued| queued.packet.payload.len()).sum::<usize>() < MOST_BYTES
    }

    /// Reads until each track has its first packet and the order of the pictures is known.
    fn begin(&mut self) -> Result<(), Refusal> {
        while !self.at_end && self.has_room() && !self.picks.iter().all(Pick::has_begun) {
            self.pull()?;
        }
        self.picks.iter_mut().for_each(Pick::settle_order);
        Ok(())
    }

    /// What the first packets tell: where the time begins, the frame rate, tracks without any.
    fn settle(&mut self) -> Result<(), Refusal> {
        let first = self.picks.iter().flat_map(Pick::presentation_times).min();
        self.base_us = first.unwrap_or(0).max(0);
        for (track, pick) in self.tracks.iter_mut().zip(&self.picks) {
            let Media::Video(video) = &mut track.media else { continue };
            let frame_us = reorder::spacing(&pick.presentation_times());
            if video.frame_rate.0 == 0 && frame_us > 0 {
                let rate = tracks::frame_rate(1000 * frame_us.unsigned_abs());
                video.frame_rate = rate.unwrap_or((0, 1));
            }
        }
        if self.at_end {
            self.drop_silent_tracks()?;
        }
        Ok(())
    }

    /// A track that never brings a packet would only make viewers wait.
    fn drop_silent_tracks(&mut self) -> Result<(), Refusal> {
        let silent: Vec<bool> = self.picks.iter().map(|pick| pick.queue.is_empty()).collect();
        if let Some(last) = &mut self.last {
            last.pick -= silent.iter().take(last.pick).filter(|silent| **silent).count();
        }
        let mut is_silent = silent.into_iter();
        self.tracks.retain(|_| !is_silent.next().unwrap_or(false));
        self.picks.retain(|pick| !pick.queue.is_empty());
        for (index, pick) in (0u16..).zip(&mut self.picks) {
            pick.queue.iter_mut().for_each(|queued| queued.packet.header.track = index);
        }
        if self.tracks.is_empty() {
            return Err(Refusal::Damaged("it ends before its first picture or sound".into()));
        }
        Ok(())
    }

    /// Queues one more packet, or notes the end.
    fn pull(&mut self) -> Result<(), Refusal> {
        if let Some(pulled) = self.pull_raw()? {
            self.take_in(pulled);
        }
        Ok(())
    }

    fn take_in(&mut self, pulled: Pulled) {
        self.picks[pulled.pick].take_in(&pulled);
        self.last = Some(pulled);
    }

    /// The next packet of a track that is played. `None` for any other, and at the end, which it
    /// notes.
    fn pull_raw(&mut self) -> Result<Option<Pulled>, Refusal> {
        let packet = match self.format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => {
                self.at_end = true;
                return Ok(None);
            }
            Err(error) => return self.end(error).map(|()| None),
        };
        let index = self.picks.iter().position(|pick| pick.id == packet.track_id);
        let Some(index) = index.filter(|_| !packet.data.is_empty()) else { return Ok(None) };
        let size = packet.data.len();
        if size > limits::MESSAGE - HEADER_ROOM {
            return Err(Refusal::Damaged(format!("it holds a packet of {size} bytes")));
        }
        let lasts = i64::try_from(packet.dur.get()).unwrap_or(0);
        Ok(Some(Pulled { pick: index, pts: packet.pts.get(), lasts, payload: packet.data.into() }))
    }

    /// The end, as symphonia tells it: a pipe's is an error to it, a file's may be damage.
    fn end(&mut self, error: SymphoniaError) -> Result<(), Refusal> {
        self.at_end = true;
        let why = match error {
            SymphoniaError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
                "is cut off"
            }
            SymphoniaError::IoError(error) => return Err(error.into()),
            SymphoniaError::ResetRequired => "changes its coding on the way",
            _ => "is damaged",
        };
        if !self.is_pipe {
            let last =
                self.picks.iter().filter_map(|p| p.queue.back()).map(|q| q.packet.header.pts_us);
            let at = last.max().unwrap_or(0).saturating_sub(self.base_us) as f64 / 1e6;
            let note = format!("the file {why}; it is played up to there (about {at:.1} s)");
            self.note.get_or_insert(note);
        }
        Ok(())
    }
}

/// Knows the sound files that are read here and nothing else: not symphonia's MP4, above all.
fn sound_probe() -> Probe {
    let mut probe = Probe::default();
    probe.register_format::<OggReader<'_>>();
    probe.register_format::<FlacReader<'_>>();
    probe.register_format::<WavReader<'_>>();
    probe.register_format::<MpaReader<'_>>();
    // Tags stand in front of MP3.
    probe.register_metadata::<Id3v2Reader<'_>>();
    probe.register_metadata::<Id3v1Reader<'_>>();
    probe.register_metadata::<ApeReader<'_>>();
    probe
}

fn open_format(
    bytes: Box<dyn MediaSource>,
    is_matroska: bool,
) -> Result<Box<dyn FormatReader>, Refusal> {
    let stream = MediaSourceStream::new(bytes, MediaSourceStreamOptions::default());
    let options = FormatOptions::default();
    let opened = if is_matroska {
        MkvReader::try_new(stream, options).map(|reader| Box::new(reader) as Box<dyn FormatReader>)
    } else {
        sound_probe().probe(&Hint::new(), stream, options, MetadataOptions::default())
    };
    opened.map_err(|error| match error {
        SymphoniaError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Refusal::Damaged("it ends within its header".into())
        }
        SymphoniaError::IoError(error) => Refusal::Io(error),
        other => Refusal::Damaged(format!("its header cannot be read ({other})")),
    })
}

fn duration_us(format: &dyn FormatReader) -> Option<u64> {
    let info = format.media_info();
    let ticks = i64::try_from(info.duration?.get()).ok()?;
    u64::try_from(pick::to_us(ticks, info.time_base?)).ok()
}
