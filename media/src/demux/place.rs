//! Places in a movie: looking at the next packet without reading it, and reading on from elsewhere.

use proto::PacketHeader;

use super::{Demuxer, Error, Movie, Refusal, mp4, named, reader};

/// A place between two packets of a file that goes as it is.
#[derive(Clone, Debug)]
pub(crate) enum Mark {
    Start,
    Mp4(mp4::Mark),
    Reader(reader::Mark),
}

impl Movie {
    /// What [`Movie::next_packet`] will give, and how many bytes; it stays the next one. Where a table
    /// of samples says it, nothing is read, and `key` is what the table says.
    pub(crate) fn peek(&mut self) -> Result<Option<(PacketHeader, usize)>, Error> {
        let peeked = match &mut self.demuxer {
            Demuxer::Mp4(mp4) => mp4.peek(),
            Demuxer::Reader(reader) => reader.peek(),
            Demuxer::Ffmpeg(converted, _) => converted.reader.peek(),
        };
        peeked.map_err(|refusal| named(refusal, &self.name))
    }

    /// Whether decoding may start with the next packet, by its payload.
    pub(crate) fn next_is_key(&mut self) -> Result<bool, Error> {
        let is_key = match &mut self.demuxer {
            Demuxer::Mp4(mp4) => mp4.next_is_key(),
            Demuxer::Reader(reader) => reader.peek().map(|next| next.is_some_and(|(h, _)| h.key)),
            Demuxer::Ffmpeg(..) => Err(unsought()),
        };
        is_key.map_err(|refusal| named(refusal, &self.name))
    }

    /// Passes over the next packet.
    pub(crate) fn pass(&mut self) -> Result<(), Error> {
        match &mut self.demuxer {
            Demuxer::Mp4(mp4) => mp4.pass().map_err(|refusal| named(refusal, &self.name)),
            Demuxer::Reader(_) | Demuxer::Ffmpeg(..) => self.next_packet().map(drop),
        }
    }

    /// The place before the next packet; the start for what comes through ffmpeg.
    pub(crate) fn mark(&self) -> Mark {
        match &self.demuxer {
            Demuxer::Mp4(mp4) => Mark::Mp4(mp4.mark()),
            Demuxer::Reader(reader) => Mark::Reader(reader.mark()),
            Demuxer::Ffmpeg(..) => Mark::Start,
        }
    }

    /// Goes back, or ahead, to a place in the same file.
    pub(crate) fn go_to(&mut self, mark: &Mark) -> Result<(), Error> {
        let gone = match (&mut self.demuxer, mark) {
            (_, Mark::Start) => return self.rewind(),
            (Demuxer::Mp4(mp4), Mark::Mp4(mark)) => mp4.go_to(mark),
            (Demuxer::Reader(reader), Mark::Reader(mark)) => reader.go_to(mark),
            _ => Err(unsought()),
        };
        gone.map_err(|refusal| named(refusal, &self.name))
    }
}

/// What is converted as it comes has no places.
fn unsought() -> Refusal {
    Refusal::Damaged("it is not the file that was looked through".into())
}
