//! A `trak` box (ISO/IEC 14496-12 §8.3): what a track is, how it is shown, where its samples lie.

use std::collections::VecDeque;

use mp4_atom::{Elst, Mdhd, Tkhd};

use super::boxes::Boxes;
use super::edit::Edit;
use super::entry;
use super::table::{Cursor, Sample, Table};
use crate::demux::rules::Shown;
use crate::demux::stream::{Kind, Stream};

/// How far before its start a sound is read, microseconds, so that the decoder has what it needs
/// for the first sample that is heard (RFC 7845 §4.6; one frame would do for AAC).
const SOUND_PREROLL_US: i64 = 80_000;
/// Pictures at the head of a track among which the first shown one is looked for: no H.264 stream
/// holds back more than 16.
const HEAD: usize = 32;

/// A picture or sound track.
#[derive(Debug)]
pub(super) struct Trak {
    pub(super) id: u32,
    pub(super) timescale: u32,
    pub(super) edit: Edit,
    pub(super) table: Table,
    pub(super) stream: Stream,
}

impl Trak {
    /// Reads a `trak`; `None` for one that holds neither pictures nor sound.
    pub(super) fn parse(trak: Boxes<'_>, movie_timescale: u32) -> Option<Self> {
        let tkhd: Tkhd = trak.leaf(b"tkhd")?;
        let mdia = Boxes(trak.find(b"mdia")?);
        let mdhd: Mdhd = mdia.leaf(b"mdhd")?;
        let kind = match mdia.find(b"hdlr")?.get(8..12)? {
            b"vide" => Kind::Video,
            b"soun" => Kind::Audio,
            _ => return None,
        };
        let stbl = Boxes(Boxes(mdia.find(b"minf")?).find(b"stbl")?);
        let table = Table::parse(stbl);
        let timescale = mdhd.timescale.max(1);
        let mut shown = Shown { language: mdhd.language, ..Shown::default() };
        shown.frame_rate = table.usual_duration().map(|ticks| (timescale, ticks));
        let turned = rotation(&tkhd);
        shown.rotation = *turned.as_ref().unwrap_or(&0);
        let edits: Option<Elst> = trak.find(b"edts").and_then(|edts| Boxes(edts).leaf(b"elst"));
        let edit = Edit::parse(&edits.unwrap_or_default().entries, movie_timescale, timescale);
        let (codec, coding) = entry::coding(kind, stbl.find(b"stsd")?, &shown)?;
        let obstacle = [
            edit.as_ref().err().cloned(),
            turned.err().filter(|_| kind == Kind::Video),
            table.changes_description().then(|| "changes its coding on the way".to_owned()),
        ];
        let obstacle = obstacle.into_iter().flatten().next();
        let is_edited = obstacle.is_some();
        let verdict = obstacle.map_or(coding, Err);
        let stream = Stream { kind, codec, default: tkhd.enabled, verdict, is_edited };
        Some(Self { id: tkhd.track_id, timescale, edit: edit.unwrap_or_default(), table, stream })
    }

    /// Looks through the sample table once for what the edit leaves of it.
    pub(super) fn survey(&self) -> Survey {
        let preroll = SOUND_PREROLL_US * i64::from(self.timescale) / 1_000_000;
        let mut survey = Survey::default();
        let mut cursor = Cursor::default();
        loop {
            let before = cursor.clone();
            let Some(sample) = self.table.next(&mut cursor) else { break };
            // Where reading must begin: a sync sample, or a moment before for sound.
            let begins = match self.stream.kind {
                Kind::Video => sample.sync && sample.cts <= self.edit.start,
                Kind::Audio => sample.cts < self.edit.start - preroll,
            };
            if begins {
                survey.begin = before;
            }
            if self.edit.end.is_none_or(|end| sample.cts < end) {
                survey.end_index = cursor.index();
            }
            if usize::try_from(cursor.index()).is_ok_and(|index| index <= HEAD) {
                survey.first = Some(survey.first.unwrap_or(i64::MAX).min(sample.cts));
            }
            survey.lead = survey.lead.max(sample.dts - sample.cts);
            let ends = sample.cts.saturating_add(i64::from(sample.duration));
            survey.end = survey.end.max(ends);
        }
        if let Some(end) = self.edit.end {
            survey.end = survey.end.min(end);
        }
        survey
    }
}

/// What [`Trak::survey`] found. Times are composition times in the track's own time scale.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Where reading begins.
    pub(super) begin: Cursor,
    /// Samples from this one on are not shown.
    pub(super) end_index: u32,
    /// Earliest of the first samples.
    pub(super) first: Option<i64>,
    /// End of the last sample.
    pub(super) end: i64,
    /// How much later than its composition a sample is decoded, at most: QuickTime's negative
    /// offsets. Decoding times are moved forward by it, so that none comes after its composition.
    pub(super) lead: i64,
}

impl Survey {
    /// Takes in, and drops, the samples of a fragment.
    pub(super) fn take_in(&mut self, queue: &mut VecDeque<Sample>) {
        if self.first.is_none() {
            self.first = queue.iter().take(HEAD).map(|sample| sample.cts).min();
        }
        for sample in queue.drain(..) {
            self.lead = self.lead.max(sample.dts.saturating_sub(sample.cts));
            self.end = self.end.max(sample.cts.saturating_add(i64::from(sample.duration)));
        }
    }
}

/// Clockwise degrees from a track's matrix (§6.2.2); the error says why it takes a converter.
fn rotation(tkhd: &Tkhd) -> Result<u16, String> {
    let m = &tkhd.matrix;
    let signs = [m.a, m.b, m.c, m.d].map(i32::signum);
    match signs {
        [1, 0, 0, 1] => Ok(0),
        [0, 1, -1, 0] => Ok(90),
        [-1, 0, 0, -1] => Ok(180),
        [0, -1, 1, 0] => Ok(270),
        [1, 0, 0, -1] | [-1, 0, 0, 1] | [0, 1, 1, 0] | [0, -1, -1, 0] => Err("is mirrored".into()),
        // Skewed, or all zeros: nobody shows it so.
        _ => Ok(0),
    }
}
