//! Matroska, WebM and files of sound only, read by symphonia.
//!
//! symphonia gives no key flags and, of Matroska, only presentation times: both are derived here.
//! Packets of several tracks come in the order they lie in the file; a short queue a track puts them
//! in order of decoding.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use bytes::Bytes;
use proto::stream::{AudioCodec, Media, VideoCodec};
use proto::{Packet, PacketHeader, Track, limits};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::{Hint, Probe};
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::units::TimeBase;
use symphonia::default::formats::{FlacReader, MkvReader, MpaReader, OggReader, WavReader};
use symphonia::default::meta::{ApeReader, Id3v1Reader, Id3v2Reader};

use super::error::Refusal;
use super::reorder::{self, Reorder};
use super::tracks::{self, Told};
use super::{matroska, rules, stream};
use crate::h264;

/// Pictures looked at before the first is given, to see in which order they come.
const HEAD_PICTURES: usize = 20;
/// Most packets queued to put tracks in order, and to find the first of each.
const MOST_PACKETS: usize = 1024;
/// Most bytes queued for that.
const MOST_BYTES: usize = 32 << 20;
/// One track waits for the others no longer than this, microseconds: a sound may pause.
const MOST_LAG_US: i64 = 500_000;
/// Room for the header beside the largest payload a message can hold, bytes.
const HEADER_ROOM: usize = 1 << 10;

/// Where the bytes come from; opened again to start over.
pub trait Source: Send {
    /// The bytes from their start.
    ///
    /// # Errors
    /// Whatever the system says.
    fn open(&mut self) -> io::Result<Box<dyn MediaSource>>;
}

impl<F> Source for F
where
    F: FnMut() -> io::Result<Box<dyn MediaSource>> + Send,
{
    fn open(&mut self) -> io::Result<Box<dyn MediaSource>> {
        self()
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
    base_us: i64,
    duration_us: Option<u64>,
    at_end: bool,
    note: Option<String>,
}

/// One of the tracks that are played.
struct Pick {
    /// symphonia's number of it.
    id: u32,
    time_base: TimeBase,
    /// Bytes of a NAL unit's length, for H.264.
    length_size: Option<usize>,
    /// For pictures; known once the first ones are seen.
    reorder: Option<Reorder>,
    is_video: bool,
    /// Encoder delay in front of what is heard, where times do not account for it: not in Matroska.
    delay: Option<i64>,
    /// What is added to times for it, microseconds; known with the first packet.
    shift_us: i64,
    /// A key frame has come: what precedes the first cannot be decoded.
    begun: bool,
    /// What a packet lasts where the container does not say, microseconds.
    usual_us: i64,
    queue: VecDeque<Packet>,
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
        let mut bytes = source.open()?;
        let is_pipe = !bytes.is_seekable();
        let mut entries = Vec::new();
        if is_matroska && !is_pipe {
            entries = matroska::tracks(&mut *bytes)?;
            bytes.rewind()?;
        }
        let format = open_format(bytes, is_matroska)?;
        let (indices, streams) = tracks::streams(format.tracks(), &entries, told);
        let mut tracks = Vec::new();
        let mut picks = Vec::new();
        for (index, track) in stream::playable(&streams)? {
            picks.push(Pick::new(&format.tracks()[indices[index]], &track, is_matroska));
            tracks.push(track);
        }
        let duration_us = told.duration_us.or_else(|| duration_us(&*format));
        let mut reader = Self {
            source,
            is_matroska,
            format,
            is_pipe,
            tracks,
            picks,
            base_us: 0,
            duration_us,
            at_end: false,
            note: None,
        };
        reader.begin()?;
        let first = reader.picks.iter().flat_map(|p| &p.queue).map(|p| p.header.pts_us).min();
        reader.base_us = first.unwrap_or(0).max(0);
        reader.fill_in_frame_rate();
        reader.drop_silent_tracks()?;
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
        self.format = open_format(self.source.open()?, self.is_matroska)?;
        self.at_end = false;
        for pick in &mut self.picks {
            pick.queue.clear();
            pick.reorder = None;
            pick.begun = false;
        }
        self.begin()
    }

    /// The next packet in order of decoding over all tracks; `None` at the end, or where the file
    /// is no longer whole.
    ///
    /// # Errors
    /// A [`Refusal`] if the system cannot read on.
    pub fn next_packet(&mut self) -> Result<Option<Packet>, Refusal> {
        while !self.at_end && self.must_wait() {
            self.pull()?;
        }
        let first = |pick: &Pick| Some(pick.queue.front()?.header.dts_us);
        let due =
            self.picks.iter_mut().filter(|pick| !pick.queue.is_empty()).min_by_key(|p| first(p));
        let Some(mut packet) = due.and_then(|pick| pick.queue.pop_front()) else {
            return Ok(None);
        };
        packet.header.pts_us -= self.base_us;
        packet.header.dts_us -= self.base_us;
        Ok(Some(packet))
    }

    /// Whether a track without a packet might still bring an earlier one.
    fn must_wait(&self) -> bool {
        let queues = || self.picks.iter().map(|pick| &pick.queue);
        let lag = |queue: &VecDeque<Packet>| {
            let dts = |packet: Option<&Packet>| packet.map_or(0, |p| p.header.dts_us);
            dts(queue.back()).saturating_sub(dts(queue.front()))
        };
        queues().any(VecDeque::is_empty)
            && queues().all(|queue| lag(queue) <= MOST_LAG_US)
            && self.has_room()
    }

    fn has_room(&self) -> bool {
        let queued = || self.picks.iter().flat_map(|pick| &pick.queue);
        queued().count() < MOST_PACKETS
            && queued().map(|packet| packet.payload.len()).sum::<usize>() < MOST_BYTES
    }

    /// Reads until each track has its first packet and the order of the pictures is known.
    fn begin(&mut self) -> Result<(), Refusal> {
        while !self.at_end && self.has_room() && !self.picks.iter().all(|p| self.has_begun(p)) {
            self.pull()?;
        }
        for (pick, track) in self.picks.iter_mut().zip(&self.tracks) {
            pick.settle_order(&track.codec_config);
        }
        Ok(())
    }

    fn has_begun(&self, pick: &Pick) -> bool {
        let depth = self.tracks.iter().find(|t| t.is_video()).and_then(stated_depth);
        let needed = if pick.is_video { depth.map_or(HEAD_PICTURES, |depth| depth + 2) } else { 1 };
        pick.queue.len() >= needed
    }

    /// Queues one more packet, or notes the end.
    fn pull(&mut self) -> Result<(), Refusal> {
        let packet = match self.format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => {
                self.at_end = true;
                return Ok(());
            }
            Err(error) => return self.end(error),
        };
        let Some(index) = self.picks.iter().position(|pick| pick.id == packet.track_id) else {
            return Ok(());
        };
        if packet.data.is_empty() {
            return Ok(());
        }
        if packet.data.len() > limits::MESSAGE - HEADER_ROOM {
            let size = packet.data.len();
            return Err(Refusal::Damaged(format!("it holds a packet of {size} bytes")));
        }
        let pick = &mut self.picks[index];
        let pts_us = to_us(packet.pts.get(), pick.time_base);
        let lasts = i64::try_from(packet.dur.get()).unwrap_or(0);
        pick.take_in(index, pts_us, to_us(lasts, pick.time_base), packet.data.into());
        Ok(())
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
            let last = self.picks.iter().filter_map(|p| p.queue.back()).map(|p| p.header.pts_us);
            let at = last.max().unwrap_or(0).saturating_sub(self.base_us) as f64 / 1e6;
            let note = format!("the file {why}; it is played up to there (about {at:.1} s)");
            self.note.get_or_insert(note);
        }
        Ok(())
    }

    /// A track that never brings a packet would only make viewers wait.
    fn drop_silent_tracks(&mut self) -> Result<(), Refusal> {
        if !self.at_end {
            return Ok(());
        }
        let silent: Vec<bool> = self.picks.iter().map(|pick| pick.queue.is_empty()).collect();
        let mut keep = silent.iter().map(|silent| !silent);
        self.tracks.retain(|_| keep.next().unwrap_or(true));
        self.picks.retain(|pick| !pick.queue.is_empty());
        for (index, pick) in self.picks.iter_mut().enumerate() {
            for packet in &mut pick.queue {
                packet.header.track = u16::try_from(index).unwrap_or(u16::MAX);
            }
        }
        if self.tracks.is_empty() {
            return Err(Refusal::Damaged("it ends before its first picture or sound".into()));
        }
        Ok(())
    }

    /// Where neither container nor coding says a frame rate, the first pictures show it.
    fn fill_in_frame_rate(&mut self) {
        for (track, pick) in self.tracks.iter_mut().zip(&self.picks) {
            let Media::Video(video) = &mut track.media else { continue };
            let pts: Vec<i64> = pick.queue.iter().map(|p| p.header.pts_us).collect();
            let frame_us = reorder::spacing(&pts);
            if video.frame_rate.0 == 0 && pts.len() > 2 && frame_us > 0 {
                video.frame_rate =
                    tracks::frame_rate(1000 * frame_us.unsigned_abs()).unwrap_or((0, 1));
            }
        }
    }
}

impl Pick {
    fn new(from: &symphonia::core::formats::Track, track: &Track, is_matroska: bool) -> Self {
        let (is_video, usual_us) = match &track.media {
            Media::Video(video) => (true, video.fps().map_or(0, |fps| (1e6 / fps) as i64)),
            // An AAC frame is 1024 samples; of other codecs the containers say it.
            Media::Audio(audio) if audio.codec == AudioCodec::Aac => {
                (false, 1_024_000_000 / i64::from(audio.sample_rate.max(1)))
            }
            Media::Audio(_) => (false, 0),
        };
        let is_h264 = matches!(&track.media, Media::Video(v) if v.codec == VideoCodec::H264);
        let h264 = rules::h264(&track.codec_config).ok().filter(|_| is_h264);
        Self {
            id: from.id,
            time_base: from.time_base.unwrap_or_default(),
            length_size: h264.map(|h264| h264.length_size),
            reorder: None,
            is_video,
            delay: (!is_matroska).then(|| from.delay.unwrap_or(0).into()),
            shift_us: 0,
            begun: false,
            usual_us,
            queue: VecDeque::new(),
        }
    }

    fn take_in(&mut self, index: usize, pts_us: i64, lasts_us: i64, payload: Bytes) {
        let key = self.length_size.is_none_or(|size| h264::is_idr(&payload, size));
        if !self.begun && !key {
            return;
        }
        if let Some(delay) = self.delay.filter(|_| !self.begun) {
            self.shift_us = -pts_us - to_us(delay, self.time_base);
        }
        self.begun = true;
        let pts_us = pts_us.saturating_add(self.shift_us);
        let lasts_us = if lasts_us == 0 { self.usual_us } else { lasts_us };
        let header = PacketHeader {
            track: u16::try_from(index).unwrap_or(u16::MAX),
            key,
            pts_us,
            dts_us: self.reorder.as_mut().map_or(pts_us, |reorder| reorder.dts(pts_us)),
            duration_us: u32::try_from(lasts_us).unwrap_or(0),
            ..PacketHeader::default()
        };
        self.queue.push_back(Packet { header, payload });
    }

    /// Once the first pictures are queued: their decoding times, and those of all that follow.
    fn settle_order(&mut self, avcc: &[u8]) {
        if self.length_size.is_none() {
            return;
        }
        let head: Vec<i64> = self.queue.iter().map(|packet| packet.header.pts_us).collect();
        let stated = rules::h264(avcc).ok().and_then(|h264| h264.sps.reorder_frames);
        let stated = stated.and_then(|frames| usize::try_from(frames).ok());
        let mut reorder = Reorder::new(stated.unwrap_or_else(|| reorder::depth(&head)), &head);
        for packet in &mut self.queue {
            packet.header.dts_us = reorder.dts(packet.header.pts_us);
        }
        self.reorder = Some(reorder);
    }
}

/// How many pictures are held back, where it need not be found out.
fn stated_depth(track: &Track) -> Option<usize> {
    match &track.media {
        Media::Video(video) if video.codec == VideoCodec::H264 => {
            let frames = rules::h264(&track.codec_config).ok()?.sps.reorder_frames?;
            usize::try_from(frames).ok()
        }
        _ => Some(0),
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
    u64::try_from(to_us(ticks, info.time_base?)).ok()
}

/// Ticks as microseconds, rounded to the nearest. Saturates far from anything real.
fn to_us(ticks: i64, base: TimeBase) -> i64 {
    let (numer, denom) = (i128::from(base.numer.get()), i128::from(base.denom.get()));
    let us = (i128::from(ticks) * numer * 1_000_000 + denom / 2).div_euclid(denom);
    let far = i64::MAX / 8;
    i64::try_from(us).unwrap_or(i64::MAX).clamp(-far, far)
}
