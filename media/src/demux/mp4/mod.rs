//! MP4 and QuickTime: whole files and fragmented ones, the index in front or at the end.
//!
//! ```text
//! boxes     walking boxes, reading one from a file within bounds
//! track     a trak box: what a track is and which part of it is shown
//! entry     its coding
//! edit      its edit list
//! table     its sample table, walked lazily
//! fragment  movie fragments
//! play      one track that is played: its samples as packets
//! mark      places to read on from
//! ```
//!
//! Only the index is kept in memory; sample data is read from the file when it is due.

mod boxes;
mod edit;
mod entry;
mod fragment;
mod mark;
mod play;
mod table;
mod track;

use std::collections::VecDeque;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use bytes::Bytes;
use mp4_atom::{Mehd, Mvhd, Trex};
use proto::{Packet, PacketHeader, Track, limits};

use super::error::Refusal;
use super::{HEADER_ROOM, stream};
use boxes::{Boxes, TopBox};
use fragment::{Fragmented, Walk};
pub(crate) use mark::Mark;
use mark::Trail;
use play::{Player, set_frame_rate, to_us};
use table::Sample;
use track::Trak;

/// Largest `moov` that is read, bytes: some ten hours of pictures and sound.
const MOST_MOOV: u64 = 128 << 20;
/// Most boxes at the top of a file before the `moov`.
const MOST_BOXES: usize = 1 << 16;
/// Most fragments looked through for the length of a movie that does not say it.
const MOST_SURVEYED: usize = 1 << 16;
/// Samples of one track queued while those of another are looked for.
const MOST_QUEUED: usize = 1 << 14;

/// An open MP4 file.
#[derive(Debug)]
pub struct Mp4<R> {
    file: BufReader<R>,
    length: u64,
    tracks: Vec<Track>,
    players: Vec<Player>,
    /// All tracks of the file, for their fragments.
    fragmented: Vec<Fragmented>,
    /// Where the walk over the fragments begins, if there are any.
    first_fragment: Option<u64>,
    walk: Option<Walk>,
    /// The fragments whose samples have not all been taken.
    trail: Trail,
    duration_us: Option<u64>,
    note: Option<String>,
}

impl<R: Read + Seek> Mp4<R> {
    /// Reads the index of a file; nothing of the pictures and sound yet.
    ///
    /// # Errors
    /// A [`Refusal`] if the file cannot be read, has no index, or holds what cannot go as it is.
    pub fn open(file: R) -> Result<Self, Refusal> {
        let mut file = BufReader::with_capacity(256 << 10, file);
        let length = file.seek(SeekFrom::End(0))?;
        let (moov, first_fragment) = find_moov(&mut file, length)?;
        let moov = Boxes(&moov);
        let timescale = moov.leaf::<Mvhd>(b"mvhd").map_or(1000, |mvhd| mvhd.timescale.max(1));
        let traks = traks(moov, timescale);
        let streams: Vec<stream::Stream> = traks.iter().map(|t| t.stream.clone()).collect();
        let playable = stream::playable(&streams)?;
        let mvex = moov.find(b"mvex").map(Boxes);
        let fragmented = fragmented_tracks(moov, mvex, &traks, &playable);
        let mut traks: Vec<Option<Trak>> = traks.into_iter().map(Some).collect();
        let mut players = Vec::new();
        let mut tracks = Vec::new();
        for (index, track) in playable {
            let Some(trak) = traks.get_mut(index).and_then(Option::take) else { continue };
            let queue = fragmented.iter().position(|f| f.track_id == trak.id).unwrap_or(0);
            players.push(Player::new(trak, &track, queue));
            tracks.push(track);
        }
        let first_fragment = first_fragment.filter(|_| mvex.is_some());
        let mut movie = Self {
            file,
            length,
            tracks,
            players,
            fragmented,
            first_fragment,
            walk: first_fragment.map(Walk::from),
            trail: Trail::default(),
            duration_us: None,
            note: None,
        };
        movie.survey(mvex.and_then(|mvex| mvex.leaf::<Mehd>(b"mehd")), timescale)?;
        movie.drop_empty_tracks()?;
        Ok(movie)
    }

    /// A track that never brings a packet would only make viewers wait.
    fn drop_empty_tracks(&mut self) -> Result<(), Refusal> {
        let mut has_samples = self.players.iter().map(|player| player.survey.first.is_some());
        self.tracks.retain(|_| has_samples.next().unwrap_or(true));
        self.players.retain(|player| player.survey.first.is_some());
        if self.tracks.is_empty() {
            return Err(Refusal::Damaged("its index names no picture and no sound".into()));
        }
        Ok(())
    }

    /// The picture, then the sound.
    #[must_use]
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Length of the movie, if it is known.
    #[must_use]
    pub fn duration_us(&self) -> Option<u64> {
        self.duration_us
    }

    /// What a person should know of the file: that it is cut off, and where.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Back to the first packet.
    pub fn rewind(&mut self) {
        self.players.iter_mut().for_each(Player::rewind);
        self.fragmented.iter_mut().for_each(Fragmented::rewind);
        self.trail = Trail::default();
        self.walk = self.first_fragment.map(Walk::from);
    }

    /// The next packet in order of decoding over all tracks; `None` at the end, or where the file
    /// is no longer whole.
    ///
    /// # Errors
    /// A [`Refusal`] if the system cannot read on, or a sample is larger than a message may be.
    pub fn next_packet(&mut self) -> Result<Option<Packet>, Refusal> {
        while let Some((index, sample)) = self.due()? {
            match self.read(&sample)? {
                Some(payload) => {
                    self.skip(index);
                    return Ok(Some(self.players[index].packet(index, &sample, payload)));
                }
                None => self.cut(index, &sample),
            }
        }
        if self.walk.is_some_and(|walk| walk.cut) {
            let whole = "the file is cut off; it is played as far as it is whole";
            self.note.get_or_insert_with(|| whole.into());
        }
        Ok(None)
    }

    /// What [`Mp4::next_packet`] would give, as the table has it, and how many bytes: nothing of it is
    /// read, and it stays the next one.
    pub(crate) fn peek(&mut self) -> Result<Option<(PacketHeader, usize)>, Refusal> {
        let due = self.due()?;
        Ok(due.map(|(index, sample)| {
            let size = usize::try_from(sample.size).unwrap_or(usize::MAX);
            (self.players[index].told(index, &sample), size)
        }))
    }

    /// Whether decoding may start with the next packet, by its payload.
    pub(crate) fn next_is_key(&mut self) -> Result<bool, Refusal> {
        let Some((index, sample)) = self.due()? else { return Ok(false) };
        let payload = self.read(&sample)?;
        Ok(payload.is_some_and(|payload| self.players[index].is_key(&payload)))
    }

    /// Passes over the next packet.
    pub(crate) fn pass(&mut self) -> Result<(), Refusal> {
        if let Some((index, _)) = self.due()? {
            self.skip(index);
        }
        Ok(())
    }

    fn skip(&mut self, index: usize) {
        self.players[index].next = None;
    }

    /// The track and the sample that are decoded next, which stays the next one. It lies within the
    /// file, and a message can hold it.
    fn due(&mut self) -> Result<Option<(usize, Sample)>, Refusal> {
        while let Some(index) = self.next_player()? {
            let Some(sample) = self.players[index].next else { continue };
            let size = u64::from(sample.size);
            if size == 0 {
                self.skip(index);
            } else if sample.offset.checked_add(size).is_none_or(|end| end > self.length) {
                self.cut(index, &sample);
            } else if sample.size as usize > limits::MESSAGE - HEADER_ROOM {
                return Err(Refusal::Damaged(format!("it claims a picture of {size} bytes")));
            } else {
                return Ok(Some((index, sample)));
            }
        }
        Ok(None)
    }

    /// The file does not hold this sample: its track ends here.
    fn cut(&mut self, index: usize, sample: &Sample) {
        self.skip(index);
        self.players[index].cut = true;
        self.say_cut(index, sample);
    }

    /// The track whose next sample is decoded first; its `next` is filled.
    fn next_player(&mut self) -> io::Result<Option<usize>> {
        for index in 0..self.players.len() {
            self.fill(index)?;
        }
        let due = |player: &Player| Some(player.dts_us(&player.next?));
        let players = self.players.iter().enumerate();
        Ok(players.filter_map(|(i, r)| Some((due(r)?, i))).min().map(|(_, index)| index))
    }

    fn fill(&mut self, index: usize) -> io::Result<()> {
        let player = &mut self.players[index];
        if player.next.is_some() || player.cut {
            return Ok(());
        }
        player.next = player.next_of_table();
        let queue = player.fragments;
        while self.players[index].next.is_none() {
            if let Some(sample) = self.fragmented[queue].queue.pop_front() {
                self.players[index].next = Some(sample);
            } else if !self.next_fragment()? {
                break;
            }
        }
        Ok(())
    }

    /// Queues the samples of one more fragment. `false` if there is none, or enough is queued.
    fn next_fragment(&mut self) -> io::Result<bool> {
        let Some(walk) = &mut self.walk else { return Ok(false) };
        if self.fragmented.iter().any(|track| track.queue.len() > MOST_QUEUED) {
            return Ok(false);
        }
        self.trail.pass(walk, &self.fragmented);
        walk.step(&mut self.file, self.length, &mut self.fragmented)
    }

    /// A sample's bytes; `None` if the file does not hold them all.
    fn read(&mut self, sample: &Sample) -> Result<Option<Bytes>, Refusal> {
        let here = self.file.stream_position()?;
        let ahead = i64::try_from(sample.offset).ok().zip(i64::try_from(here).ok());
        let Some((to, from)) = ahead else { return Ok(None) };
        self.file.seek_relative(to - from)?;
        let mut payload = vec![0; sample.size as usize];
        match self.file.read_exact(&mut payload) {
            Ok(()) => Ok(Some(payload.into())),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn say_cut(&mut self, index: usize, sample: &Sample) {
        let player = &self.players[index];
        let seconds = player.us(player.edit.place(sample.cts)).max(0) as f64 / 1e6;
        let what = if self.tracks[index].is_video() { "picture" } else { "sound" };
        self.note.get_or_insert_with(|| {
            format!("the file is cut off; its {what} ends after {seconds:.1} s")
        });
    }

    /// Length and first moment of the movie, from the tables and one walk over the fragments.
    fn survey(&mut self, mehd: Option<Mehd>, movie_timescale: u32) -> io::Result<()> {
        let whole = self.survey_fragments(mehd.is_none())?;
        let first = self.players.iter().filter_map(Player::first_us).min();
        let base_us = first.unwrap_or(0).max(0);
        for player in &mut self.players {
            player.base_us = base_us;
        }
        let tables = self.players.iter().map(|r| r.us(r.edit.place(r.survey.end))).max();
        let stated = mehd.map(|mehd| to_us(mehd.fragment_duration, movie_timescale));
        let end = if whole { tables } else { stated.map(|us| us - base_us) };
        self.duration_us = end.and_then(|us| u64::try_from(us).ok()).filter(|&us| us > 0);
        self.rewind();
        Ok(())
    }

    /// Walks the fragments, at least the first ones. Whether it saw all of them.
    fn survey_fragments(&mut self, to_the_end: bool) -> io::Result<bool> {
        let mut rates = vec![Vec::new(); self.players.len()];
        let mut whole = false;
        for _ in 0..MOST_SURVEYED {
            let seen = self.players.iter().all(|r| r.survey.first.is_some());
            if seen && !to_the_end && self.walk.is_some() {
                break;
            }
            whole = !self.next_fragment()?;
            if whole {
                break;
            }
            for (player, rates) in self.players.iter_mut().zip(&mut rates) {
                let queue = &mut self.fragmented[player.fragments].queue;
                if rates.is_empty() {
                    *rates = queue.iter().map(|sample| sample.duration).collect();
                }
                player.survey.take_in(queue);
            }
        }
        for ((player, track), rates) in self.players.iter().zip(&mut self.tracks).zip(rates) {
            set_frame_rate(track, player.timescale, rates);
        }
        Ok(whole)
    }
}

/// The `moov`'s body, and where fragments may begin.
fn find_moov<R: Read + Seek>(file: &mut R, length: u64) -> Result<(Vec<u8>, Option<u64>), Refusal> {
    let mut at = 0;
    let mut first_fragment = None;
    for _ in 0..MOST_BOXES {
        let Some(top) = TopBox::read(file, at, length)? else { break };
        if top.kind == *b"moof" {
            first_fragment.get_or_insert(top.start);
        }
        if top.kind == *b"moov" {
            let too_short = || Refusal::Damaged("it ends within its index (the moov box)".into());
            let body = top.body(file, length, MOST_MOOV)?.ok_or_else(too_short)?;
            return Ok((body, Some(first_fragment.unwrap_or(top.end))));
        }
        at = top.end;
    }
    let why = "it ends before its index (the moov box), as a broken-off recording does";
    Err(Refusal::Damaged(why.into()))
}

/// The picture and sound tracks.
fn traks(moov: Boxes<'_>, timescale: u32) -> Vec<Trak> {
    let traks = moov.filter(|(kind, _)| kind == b"trak");
    let parsed = traks.filter_map(|(_, body)| Trak::parse(Boxes(body), timescale));
    parsed.take(limits::TRACKS).collect()
}

/// Every track of the file, as its fragments see it.
fn fragmented_tracks(
    moov: Boxes<'_>,
    mvex: Option<Boxes<'_>>,
    traks: &[Trak],
    playable: &[(usize, Track)],
) -> Vec<Fragmented> {
    let defaults: Vec<Trex> = mvex
        .into_iter()
        .flat_map(|mvex| mvex.filter(|(kind, _)| kind == b"trex"))
        .filter_map(|(_, body)| boxes::leaf(body))
        .collect();
    let ids = moov
        .filter(|(kind, _)| kind == b"trak")
        .filter_map(|(_, body)| Some(Boxes(body).leaf::<mp4_atom::Tkhd>(b"tkhd")?.track_id));
    let wanted = |id| playable.iter().any(|(index, _)| traks[*index].id == id);
    ids.map(|track_id| Fragmented {
        track_id,
        wanted: wanted(track_id),
        defaults: defaults.iter().find(|t| t.track_id == track_id).cloned().unwrap_or_default(),
        next_dts: 0,
        queue: VecDeque::new(),
        queued: 0,
    })
    .collect()
}
