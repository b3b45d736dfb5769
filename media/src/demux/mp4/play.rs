//! One track that is played: where it is, and its samples as packets.

use bytes::Bytes;
use proto::stream::{Media, VideoCodec};
use proto::{Packet, PacketHeader, Track};

use super::edit::Edit;
use super::table::{Cursor, Sample, Table};
use super::track::{Survey, Trak};
use crate::demux::rules;
use crate::h264;

/// One of the tracks that are played.
#[derive(Debug)]
pub(super) struct Player {
    pub(super) timescale: u32,
    pub(super) edit: Edit,
    table: Table,
    pub(super) survey: Survey,
    /// Bytes of a NAL unit's length, for H.264.
    length_size: Option<usize>,
    /// Index of its fragments' queue.
    pub(super) fragments: usize,
    /// What is subtracted so that the movie begins at 0, microseconds.
    pub(super) base_us: i64,
    pub(super) cursor: Cursor,
    pub(super) next: Option<Sample>,
    /// The file ends before this track does.
    pub(super) cut: bool,
}

impl Player {
    pub(super) fn new(trak: Trak, track: &Track, fragments: usize) -> Self {
        let h264 = match &track.media {
            Media::Video(v) if v.codec == VideoCodec::H264 => rules::h264(&track.codec_config).ok(),
            _ => None,
        };
        let survey = trak.survey();
        Self {
            timescale: trak.timescale,
            edit: trak.edit,
            table: trak.table,
            cursor: survey.begin.clone(),
            survey,
            length_size: h264.map(|h264| h264.length_size),
            fragments,
            base_us: 0,
            next: None,
            cut: false,
        }
    }

    /// Back to the first sample.
    pub(super) fn rewind(&mut self) {
        self.cursor = self.survey.begin.clone();
        self.next = None;
        self.cut = false;
    }

    /// The next sample of the table, up to where the edit ends.
    pub(super) fn next_of_table(&mut self) -> Option<Sample> {
        let shown = self.cursor.index() < self.survey.end_index;
        if shown { self.table.next(&mut self.cursor) } else { None }
    }

    /// A moment of the movie's timeline, from the track's time scale.
    pub(super) fn us(&self, time: i64) -> i64 {
        ticks_to_us(time, self.timescale) - self.base_us
    }

    /// When the track is first seen or heard.
    pub(super) fn first_us(&self) -> Option<i64> {
        let first = self.survey.first?.max(self.edit.start);
        Some(ticks_to_us(self.edit.place(first), self.timescale))
    }

    /// When the sample is to be decoded.
    pub(super) fn dts_us(&self, sample: &Sample) -> i64 {
        self.us(self.edit.place(sample.dts.saturating_sub(self.survey.lead)))
    }

    /// The sample as a packet of track `index`.
    pub(super) fn packet(&self, index: usize, sample: &Sample, payload: Bytes) -> Packet {
        let key = self.is_key(&payload);
        Packet { header: self.header(index, sample, key), payload }
    }

    /// Whether decoding may start with this payload.
    pub(super) fn is_key(&self, payload: &[u8]) -> bool {
        self.length_size.is_none_or(|size| h264::is_idr(payload, size))
    }

    /// What the table says of a sample of track `index` without its payload: for H.264 a sync sample
    /// need not be a picture that decoding can start with.
    pub(super) fn told(&self, index: usize, sample: &Sample) -> PacketHeader {
        self.header(index, sample, self.length_size.is_none() || sample.sync)
    }

    fn header(&self, index: usize, sample: &Sample, key: bool) -> PacketHeader {
        let duration_us = ticks_to_us(i64::from(sample.duration), self.timescale);
        PacketHeader {
            track: u16::try_from(index).unwrap_or(u16::MAX),
            key,
            pts_us: self.us(self.edit.place(sample.cts)),
            dts_us: self.dts_us(sample),
            duration_us: u32::try_from(duration_us).unwrap_or(0),
            ..PacketHeader::default()
        }
    }
}

/// The frame rate of a track whose samples nearly all have one duration.
pub(super) fn set_frame_rate(track: &mut Track, timescale: u32, mut durations: Vec<u32>) {
    let Media::Video(video) = &mut track.media else { return };
    durations.sort_unstable();
    let Some(&usual) = durations.get(durations.len() / 2) else { return };
    let same = durations.iter().filter(|&&duration| duration == usual).count();
    if usual > 0 && same * 10 >= durations.len() * 9 {
        video.frame_rate = rules::ratio((timescale, usual), u32::MAX).unwrap_or((0, 1));
    }
}

pub(super) fn to_us(ticks: u64, timescale: u32) -> i64 {
    ticks_to_us(i64::try_from(ticks).unwrap_or(i64::MAX), timescale)
}

/// Ticks as microseconds, rounded to the nearest. Saturates far from anything real.
fn ticks_to_us(ticks: i64, timescale: u32) -> i64 {
    let timescale = i128::from(timescale.max(1));
    let us = (i128::from(ticks) * 1_000_000 + timescale / 2).div_euclid(timescale);
    let far = i64::MAX / 8;
    i64::try_from(us).unwrap_or(i64::MAX).clamp(-far, far)
}
