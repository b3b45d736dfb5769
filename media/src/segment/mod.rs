//! Movies read from any point.
//!
//! ```text
//! cut      where one segment ends and the next begins
//! id       what tells a movie's content from any other's
//! convert  what cannot be read from any point into a file that can
//! poster   the picture that stands for a movie
//! ```
//!
//! A [`Plan`] is made by one pass over a file (over its tables, where it has them) and kept; with it
//! the file can be opened again and again, as a [`Segmented`].

mod convert;
mod cut;
mod id;
mod poster;

use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use proto::frame::LENGTH_PREFIX;
use proto::recording::{RecordingId, SegmentInfo};
use proto::{Message, Packet, Track};

use crate::demux::{Error, Mark, Movie, Way};

pub use convert::{Conversion, convert};

/// What a packet's message has besides the payload, bytes: length prefix, number and header.
const OVERHEAD: usize = LENGTH_PREFIX + 43;
/// A place in the file is kept for each so many segments; those between are read up to and dropped.
const MARK_EVERY: usize = 8;

/// Where a movie's segments begin and what is in them. For a movie of two hours some 300 KB.
#[derive(Debug)]
pub struct Plan {
    id: RecordingId,
    tracks: Vec<Track>,
    duration_us: u64,
    segments: Vec<SegmentInfo>,
    /// Sequence number of each segment's first packet, and the number of packets behind the last.
    first: Vec<u64>,
    /// Of each [`MARK_EVERY`]th segment.
    marks: Vec<Mark>,
}

impl Plan {
    /// Looks through a movie that goes as it is. `source` is the file it was converted from, if it
    /// was: what it is known by is that file.
    ///
    /// # Errors
    /// An [`Error`] if it cannot be read, or has no packets, or too many.
    pub fn new(movie: &mut Movie, path: &Path, source: Option<&Path>) -> Result<Self, Error> {
        movie.rewind()?;
        let name = path.display().to_string();
        let damaged = |what: &str| Error::Damaged { name: name.clone(), what: what.into() };
        let mut id = id::Maker::new(movie.tracks());
        let cut = cut::cut(movie, &mut id)?;
        if cut.segments.is_empty() {
            return Err(damaged("there is nothing to play in it"));
        }
        if !cut.is_within_bounds() {
            return Err(damaged("its times are those of no movie"));
        }
        let source = source.unwrap_or(path);
        let id = id.finish(source).map_err(|error| Error::of_io(&name, error))?;
        let start_us = cut.segments.first().map_or(0, |segment| segment.start_us);
        let watched_us = u64::try_from(cut.end_us.saturating_sub(start_us.min(0))).unwrap_or(0);
        Ok(Self {
            id,
            tracks: movie.tracks().to_vec(),
            duration_us: movie.duration_us().unwrap_or(watched_us).max(1),
            segments: cut.segments,
            first: cut.first,
            marks: cut.marks,
        })
    }

    /// Its content, whatever the file is called.
    #[must_use]
    pub fn id(&self) -> RecordingId {
        self.id
    }

    /// The picture, then the sound.
    #[must_use]
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// How much can be watched, microseconds.
    #[must_use]
    pub fn duration_us(&self) -> u64 {
        self.duration_us
    }

    /// The index.
    #[must_use]
    pub fn segments(&self) -> &[SegmentInfo] {
        &self.segments
    }

    /// All segments together, bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.bytes)).sum()
    }

    /// Index of the picture track, if it has one.
    #[must_use]
    pub fn video(&self) -> Option<u16> {
        let index = self.tracks.iter().position(Track::is_video)?;
        u16::try_from(index).ok()
    }
}

/// An open movie and its plan.
#[derive(Debug)]
pub struct Segmented {
    movie: Movie,
    plan: Arc<Plan>,
    /// The segment that begins where the movie is; `None` if that is unknown.
    next: Option<usize>,
}

impl Segmented {
    /// Opens the file that the plan was made of.
    ///
    /// # Errors
    /// An [`Error`] if it cannot be opened, or is another file by now.
    pub fn open(path: &Path, plan: Arc<Plan>) -> Result<Self, Error> {
        let movie = Movie::open(path)?;
        if movie.way() != &Way::PassThrough || movie.tracks() != plan.tracks() {
            return Err(changed(path.display().to_string()));
        }
        Ok(Self { movie, plan, next: Some(0) })
    }

    /// The segment that can be read without looking for it.
    #[must_use]
    pub fn next(&self) -> Option<usize> {
        self.next
    }

    /// Its plan.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The packets of a segment, `sequence` counted over the whole movie and `captured_at_us` 0: all
    /// segments one after the other are what [`Movie::next_packet`] gives. Empty for a segment that
    /// is not there.
    ///
    /// # Errors
    /// An [`Error`] if the file cannot be read, or has changed.
    pub fn packets(&mut self, segment: usize) -> Result<Vec<Packet>, Error> {
        let plan = Arc::clone(&self.plan);
        let (Some(first), Some(end)) = (plan.first.get(segment), plan.first.get(segment + 1))
        else {
            return Ok(Vec::new());
        };
        if self.next.take() != Some(segment) {
            self.seek(segment)?;
        }
        let mut packets = Vec::new();
        for sequence in *first..*end {
            let Some(mut packet) = self.movie.next_packet()? else { return Err(self.changed()) };
            packet.header.sequence = sequence;
            packets.push(packet);
        }
        let bytes: usize = packets.iter().map(|packet| packet.payload.len() + OVERHEAD).sum();
        if plan.segments[segment].bytes as usize != bytes {
            return Err(self.changed());
        }
        self.next = Some(segment + 1);
        Ok(packets)
    }

    /// The packets of a segment as messages, exactly as many bytes as the plan says.
    ///
    /// # Errors
    /// As [`Segmented::packets`].
    pub fn messages(&mut self, segment: usize) -> Result<Bytes, Error> {
        let bytes = self.plan.segments.get(segment).map_or(0, |segment| segment.bytes as usize);
        let mut messages = BytesMut::with_capacity(bytes);
        for packet in self.packets(segment)? {
            Message::Packet(packet).encode_into(&mut messages);
        }
        Ok(messages.freeze())
    }

    /// A JPEG of the picture at about a tenth of the movie, at most 320 by 180 pixels and no larger
    /// than [`proto::limits::POSTER`]; `None` for sound alone, or where nothing can be decoded.
    ///
    /// # Errors
    /// As [`Segmented::packets`].
    pub fn poster(&mut self) -> Result<Option<Bytes>, Error> {
        poster::make(self)
    }

    fn seek(&mut self, segment: usize) -> Result<(), Error> {
        let mark = segment / MARK_EVERY;
        let place = self.plan.marks.get(mark).ok_or_else(|| self.changed())?;
        self.movie.go_to(place)?;
        let passed = self.plan.first[segment] - self.plan.first[mark * MARK_EVERY];
        for _ in 0..passed {
            self.movie.pass()?;
        }
        Ok(())
    }

    fn changed(&self) -> Error {
        changed(self.movie.title().to_owned())
    }
}

fn changed(name: String) -> Error {
    Error::Damaged { name, what: "it has changed while it was served".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_takes_what_is_reckoned_with() {
        for payload in [0, 1, 100_000] {
            let packet = Packet { payload: vec![7; payload].into(), ..Packet::default() };
            assert_eq!(Message::Packet(packet).encode().len(), OVERHEAD + payload);
        }
    }
}
