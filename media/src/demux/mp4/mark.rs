//! Places in an MP4 file to read on from, without anything that lies in between.

use std::collections::VecDeque;
use std::io::{Read, Seek};

use super::Mp4;
use super::fragment::{Fragmented, Walk};
use super::table::{Cursor, Sample};
use crate::demux::error::Refusal;

/// A place between two packets.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// Of each player: its cursor, its next sample, and whether the file ends before it.
    players: Vec<(Cursor, Option<Sample>, bool)>,
    fragments: Option<FragmentMark>,
}

/// A place in a walk over fragments.
#[derive(Clone, Debug)]
struct FragmentMark {
    /// The walk is taken up before the first fragment of which a sample is left.
    from: Passed,
    /// Samples taken of each track by then.
    taken: Vec<u64>,
    /// Where the walk had got to.
    walk: Walk,
}

/// How things stood before a fragment.
#[derive(Clone, Debug)]
struct Passed {
    walk: Walk,
    /// Of each track: where its time goes on, and how many samples were queued so far.
    tracks: Vec<(i64, u64)>,
}

impl Passed {
    fn new(walk: &Walk, tracks: &[Fragmented]) -> Self {
        let tracks = tracks.iter().map(|track| (track.next_dts, track.queued)).collect();
        Self { walk: *walk, tracks }
    }

    /// Whether all samples of the fragments before this one have been taken.
    fn is_behind(&self, tracks: &[Fragmented]) -> bool {
        self.tracks.iter().zip(tracks).all(|((_, queued), track)| *queued <= track.taken())
    }
}

/// The fragments whose samples have not all been taken. No longer than what is queued of them.
#[derive(Debug, Default)]
pub(super) struct Trail(VecDeque<Passed>);

impl Trail {
    /// The walk is about to read the next fragment.
    pub(super) fn pass(&mut self, walk: &Walk, tracks: &[Fragmented]) {
        let done = self.0.iter().take_while(|passed| passed.is_behind(tracks)).count();
        // The last of those is where the oldest sample lies that is left.
        self.0.drain(..done.saturating_sub(1));
        let passed = Passed::new(walk, tracks);
        let queued = |passed: &Passed| passed.tracks.iter().map(|(_, n)| *n).collect::<Vec<_>>();
        // Fragments without samples are not worth a line, however many a hostile file has.
        if self.0.back().is_some_and(|last| queued(last) == queued(&passed)) {
            self.0.pop_back();
        }
        self.0.push_back(passed);
    }

    /// How things stood before the oldest fragment of which a sample is left.
    fn oldest(&self, tracks: &[Fragmented]) -> Option<&Passed> {
        self.0.iter().take_while(|passed| passed.is_behind(tracks)).last()
    }
}

impl<R: Read + Seek> Mp4<R> {
    /// The place before the next packet.
    pub(crate) fn mark(&self) -> Mark {
        let players = self.players.iter().map(|p| (p.cursor.clone(), p.next, p.cut)).collect();
        let fragments = self.walk.map(|walk| {
            let now = || Passed::new(&walk, &self.fragmented);
            let from = self.trail.oldest(&self.fragmented).cloned().unwrap_or_else(now);
            FragmentMark {
                from,
                taken: self.fragmented.iter().map(Fragmented::taken).collect(),
                walk,
            }
        });
        Mark { players, fragments }
    }

    /// Goes back, or ahead, to a place.
    pub(crate) fn go_to(&mut self, mark: &Mark) -> Result<(), Refusal> {
        for (player, (cursor, next, cut)) in self.players.iter_mut().zip(&mark.players) {
            player.cursor = cursor.clone();
            player.next = *next;
            player.cut = *cut;
        }
        let Some(mark) = &mark.fragments else { return Ok(()) };
        for (track, (next_dts, queued)) in self.fragmented.iter_mut().zip(&mark.from.tracks) {
            track.queue.clear();
            track.next_dts = *next_dts;
            track.queued = *queued;
        }
        self.trail = Trail::default();
        let mut walk = mark.from.walk;
        while walk.at < mark.walk.at {
            self.trail.pass(&walk, &self.fragmented);
            if !walk.step(&mut self.file, self.length, &mut self.fragmented)? {
                break;
            }
        }
        for (track, taken) in self.fragmented.iter_mut().zip(&mark.taken) {
            let drop = taken.saturating_sub(track.taken());
            let drop = usize::try_from(drop).unwrap_or(usize::MAX).min(track.queue.len());
            track.queue.drain(..drop);
        }
        self.walk = Some(mark.walk);
        Ok(())
    }
}
