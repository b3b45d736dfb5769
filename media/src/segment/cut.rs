//! Where one segment ends and the next begins.

use proto::recording::SegmentInfo;
use proto::{PacketHeader, limits};

use super::{MARK_EVERY, OVERHEAD, id};
use crate::demux::{Error, Mark, Movie};

/// Shortest segment, microseconds: groups of pictures that are shorter are joined. A little less than
/// the two seconds that encoders like, whose times are rounded.
const SHORTEST_US: i64 = 1_900_000;
/// A segment is ended if only sound has come for so long, microseconds.
const SILENT_PICTURE_US: i64 = 10_000_000;
/// Largest segment, bytes.
const LARGEST: usize = 16 << 20;
/// Sync samples that are looked at before a file's table is believed to name key frames only.
const TRIALS: u32 = 8;

/// A movie, cut.
#[derive(Debug, Default)]
pub(super) struct Cut {
    pub(super) segments: Vec<SegmentInfo>,
    /// Sequence number of each one's first packet, and the number of packets in all.
    pub(super) first: Vec<u64>,
    /// Of each [`MARK_EVERY`]th.
    pub(super) marks: Vec<Mark>,
    /// Where the last packet ends, microseconds.
    pub(super) end_us: i64,
}

impl Cut {
    /// Whether an index can hold it.
    pub(super) fn is_within_bounds(&self) -> bool {
        let time = -limits::RECORDING_US..=limits::RECORDING_US;
        self.segments.len() <= limits::SEGMENTS
            && self.segments.iter().all(|segment| time.contains(&segment.start_us))
            && time.contains(&self.end_us)
    }
}

/// Cuts a movie that is at its start, and shows each packet to `id`.
pub(super) fn cut(movie: &mut Movie, id: &mut id::Maker) -> Result<Cut, Error> {
    let video = movie.tracks().iter().position(|track| track.is_video());
    let mut cutter = Cutter {
        video: video.and_then(|index| u16::try_from(index).ok()),
        keys: Keys::default(),
        cut: Cut::default(),
        open: None,
        packets: 0,
        seen_picture: false,
        after_picture: 0,
    };
    while let Some((header, size)) = movie.peek()? {
        if cutter.begins(movie, &header, size)? {
            cutter.close();
            cutter.begin(movie, &header);
        }
        id.packet(&header, size);
        cutter.add(&header, size);
        if cutter.cut.segments.len() > limits::SEGMENTS {
            break;
        }
        movie.pass()?;
    }
    Ok(cutter.finish())
}

struct Cutter {
    /// Index of the picture track.
    video: Option<u16>,
    keys: Keys,
    cut: Cut,
    open: Option<Open>,
    packets: u64,
    seen_picture: bool,
    /// Segments up to the last that has a picture.
    after_picture: usize,
}

/// The segment that is being filled.
struct Open {
    /// Decoding time of its first packet and of its last picture, microseconds.
    dts_us: i64,
    last_picture_us: Option<i64>,
    /// Lowest presentation time of its pictures, and of its sound.
    pictures_us: Option<i64>,
    sound_us: Option<i64>,
    bytes: usize,
    /// Its first picture is a key frame; `None` as long as there is no picture.
    key: Option<bool>,
    /// The picture is yet to come, or there is none.
    before_picture: bool,
}

impl Cutter {
    fn is_picture(&self, header: &PacketHeader) -> bool {
        self.video == Some(header.track)
    }

    /// Whether the next packet begins a segment.
    fn begins(
        &mut self,
        movie: &mut Movie,
        header: &PacketHeader,
        size: usize,
    ) -> Result<bool, Error> {
        let Some(open) = &self.open else { return Ok(true) };
        if open.bytes + size + OVERHEAD > LARGEST {
            return Ok(true);
        }
        let lasts_us = header.dts_us.saturating_sub(open.dts_us);
        if self.is_picture(header) {
            return Ok(header.key && lasts_us >= SHORTEST_US && self.keys.is_key(movie)?);
        }
        // Sound among pictures goes with them.
        let alone_us = header.dts_us.saturating_sub(open.last_picture_us.unwrap_or(open.dts_us));
        Ok(match open.last_picture_us {
            Some(_) => alone_us >= SILENT_PICTURE_US,
            None => lasts_us >= SHORTEST_US,
        })
    }

    fn begin(&mut self, movie: &Movie, header: &PacketHeader) {
        let number = self.cut.first.len();
        if number.is_multiple_of(MARK_EVERY) {
            self.cut.marks.push(if number == 0 { Mark::Start } else { movie.mark() });
        }
        self.cut.first.push(self.packets);
        self.open = Some(Open {
            dts_us: header.dts_us,
            last_picture_us: None,
            pictures_us: None,
            sound_us: None,
            bytes: 0,
            key: None,
            before_picture: !self.seen_picture,
        });
    }

    fn add(&mut self, header: &PacketHeader, size: usize) {
        let is_picture = self.is_picture(header);
        self.packets += 1;
        self.seen_picture |= is_picture;
        let ends_us = header.pts_us.saturating_add(i64::from(header.duration_us));
        self.cut.end_us = self.cut.end_us.max(ends_us);
        let Some(open) = &mut self.open else { return };
        open.bytes += size + OVERHEAD;
        let lowest = if is_picture { &mut open.pictures_us } else { &mut open.sound_us };
        *lowest = Some(lowest.unwrap_or(i64::MAX).min(header.pts_us));
        if is_picture {
            open.last_picture_us = Some(header.dts_us);
            open.key.get_or_insert(header.key);
        }
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let start_us = open.pictures_us.or(open.sound_us).unwrap_or(open.dts_us);
        // Pictures that are shown before the one a continuation begins with are in it too.
        let before_us = self.cut.segments.last().map_or(i64::MIN, |segment| segment.start_us);
        let start_us = start_us.max(before_us);
        if let Some(last) = self.cut.segments.last_mut() {
            last.duration_us = length_us(last.start_us, start_us);
        }
        self.cut.segments.push(SegmentInfo {
            start_us,
            duration_us: 0,
            bytes: u32::try_from(open.bytes).unwrap_or(u32::MAX),
            key: open.key.unwrap_or(open.before_picture),
        });
        if open.key.is_some() {
            self.after_picture = self.cut.segments.len();
        }
    }

    fn finish(mut self) -> Cut {
        self.close();
        let mut cut = self.cut;
        cut.first.push(self.packets);
        // Behind the last picture nothing is missed by who starts there.
        cut.segments.iter_mut().skip(self.after_picture).for_each(|segment| segment.key = true);
        if let Some(last) = cut.segments.last_mut() {
            last.duration_us = length_us(last.start_us, cut.end_us);
        }
        cut
    }
}

fn length_us(from_us: i64, to_us: i64) -> u32 {
    u32::try_from(to_us.saturating_sub(from_us).max(0)).unwrap_or(u32::MAX)
}

/// Whether what a table calls sync samples are key frames. They may be the pictures that an open group
/// begins with: decoding cannot start there. Files are one way or the other throughout.
#[derive(Debug, Default)]
struct Keys {
    trials: u32,
    /// One was none: each is looked at.
    doubted: bool,
}

impl Keys {
    /// Whether the next packet, which is said to be one, is a key frame.
    fn is_key(&mut self, movie: &mut Movie) -> Result<bool, Error> {
        if self.trials >= TRIALS && !self.doubted {
            return Ok(true);
        }
        self.trials += 1;
        let is_key = movie.next_is_key()?;
        self.doubted |= !is_key;
        Ok(is_key)
    }
}
