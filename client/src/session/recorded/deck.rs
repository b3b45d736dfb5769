//! Where a recording is played: position, speed, pause; and the feeding of what is due next.
//!
//! All that a viewer can want is one operation, [`Deck::play_from`]: from now on it is played from
//! this position, or stands there. What was fed is void then, and feeding begins anew at the key
//! frame before the position.

use std::sync::Arc;

use proto::conn::now;
use proto::message::Gap;
use proto::time::Stamp;
use proto::{Packet, PacketHeader};

use super::cursor::{Cursor, beyond_gone, locate, video_track};
use super::follow::Course;
use super::meter::Meter;
use super::reel::{Place, Reel};
use crate::cue::Cue;
use crate::progress::Progress;
use crate::session::{Command, Config, Event, Sink};
use crate::timeline::Schedule;

/// How far ahead of their time packets are fed, microseconds: what waits in the sound card's way
/// (650 ms), and a hiccup.
const LEAD_US: i64 = 1_500_000;
/// From a cue to its first moment there must be time for the sound to get through the card's buffer,
/// microseconds. What has to be decoded before the first picture is added, up to [`MOST_IN_US`].
const IN_US: i64 = 250_000;
/// In a room pictures begin as soon as they can, and the sound joins them: microseconds.
const IN_ROOM_US: i64 = 60_000;
/// See [`IN_US`].
const MOST_IN_US: i64 = 5_000_000;
/// Sound is decoded from so long before the position on: decoders and the stretch need a run-up.
const SOUND_IN_US: i64 = 300_000;
/// A recording that waits for more says so, and shows where it stands, when that lasts so long,
/// microseconds.
const STILL_US: i64 = 300_000;
/// Speeds there are.
pub(super) const RATES: [f64; 6] = [0.5, 0.75, 1.0, 1.25, 1.5, 2.0];
/// Where in [`RATES`] it begins.
const NORMAL: usize = 2;
/// `end` goes so far before the end, microseconds: at the end itself it would be over.
pub(super) const END_US: i64 = 5_000_000;

/// What a look around came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It goes on.
    Goes,
    /// The recording is over.
    Over,
    /// All that is kept of a live stream was played.
    CaughtUp,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Deck {
    schedule: Arc<Schedule>,
    ahead_us: i64,
    cue: Cue,
    cued: Stamp,
    speed: usize,
    paused: bool,
    /// What a room wants; it takes the place of speed and pause.
    course: Option<Course>,
    /// It would play if there were enough.
    stalled: bool,
    cursor: Option<Cursor>,
    /// The end of what was fed, microseconds.
    fed_us: i64,
    all_fed: bool,
    /// Where the recording began when it was opened: what positions are said from.
    origin_us: Option<i64>,
    /// When the time 0 was captured, as far as is known: of the past of a live stream.
    zero: Option<Stamp>,
    told: Option<Progress>,
    /// By how much what is shown was moved after the room since the cue, microseconds.
    shift_us: f64,
}

impl Deck {
    pub(super) fn new(config: &Config) -> Self {
        Self::with_schedule(config.schedule.clone(), config.ahead_us)
    }

    pub(super) fn with_schedule(schedule: Arc<Schedule>, ahead_us: i64) -> Self {
        Self {
            schedule,
            ahead_us,
            // Numbers that were not there before, also where the past of a stream is visited again.
            cue: Cue { number: now().0.unsigned_abs(), position_us: 0, captured: now(), rate: 0.0 },
            cued: now(),
            speed: NORMAL,
            paused: false,
            course: None,
            stalled: false,
            cursor: None,
            fed_us: 0,
            all_fed: false,
            origin_us: None,
            zero: None,
            told: None,
            shift_us: 0.0,
        }
    }

    /// The moment `us` of the recording was captured at `at`, where it is that of a live stream.
    pub(super) fn present(&mut self, us: i64, at: Stamp) {
        self.zero = Some(at.plus_us(us.saturating_neg()));
    }

    /// It is there, and nothing is played yet.
    pub(super) fn stand_at(&mut self, position_us: i64) {
        self.cue.position_us = position_us;
    }

    /// Another recording: positions are said from its own start.
    pub(super) fn anew(&mut self) {
        self.origin_us = None;
    }

    /// What is shown now, microseconds on the recording's timeline.
    pub(super) fn position_us(&self) -> i64 {
        self.cue.position_us(now(), self.schedule.delay_us())
    }

    /// What is to be shown as soon as it can be, microseconds on the recording's timeline: a room does
    /// not wait.
    pub(super) fn wanted_us(&self) -> i64 {
        match self.course.filter(|course| self.stalled && course.goes()) {
            Some(course) => course.position_us(now()),
            None => self.position_us(),
        }
    }

    /// From now on it follows a room.
    pub(super) fn follow(
        &mut self,
        course: Course,
        reel: &Reel,
        meter: &Meter,
        sink: &mut impl Sink,
    ) {
        self.course = Some(course);
        self.set_anew(reel, meter, sink);
    }

    /// Is set to where the room is.
    pub(super) fn set_anew(&mut self, reel: &Reel, meter: &Meter, sink: &mut impl Sink) {
        let position_us =
            self.course.map_or(self.position_us(), |course| course.position_us(now()));
        self.play_from(position_us, reel, meter, sink);
    }

    /// The room is where it was, by a clock that is known better.
    pub(super) fn correct(&mut self, course: Course) {
        self.course = Some(course);
    }

    /// How late the cue is against the room, microseconds; `None` while it stands.
    pub(super) fn late_us(&self) -> Option<i64> {
        let course = self.course.filter(|course| course.goes() && !self.cue.stands())?;
        let shown = self.cue.captured.plus_us(self.schedule.delay_us());
        Some(shown.us_since(course.shows(self.cue.position_us)))
    }

    /// Moves what is shown by so many microseconds.
    pub(super) fn shift(&mut self, by_us: f64) {
        self.shift_us += by_us;
        self.schedule.set_shift_us(self.shift_us.round() as i64);
    }

    /// How late what is seen and heard is against the room, microseconds.
    pub(super) fn off_us(&self) -> i64 {
        if let Some(late_us) = self.late_us() {
            return late_us.saturating_add(self.schedule.sound_lag_us());
        }
        match self.course.filter(|course| course.goes() && self.stalled) {
            Some(course) => now().us_since(course.shows(self.cue.position_us)).max(0),
            None => 0,
        }
    }

    /// Whether it plays, or could play from where a room stands.
    pub(super) fn is_ready(&self, reel: &Reel, meter: &Meter) -> bool {
        let stands = self.course.is_some_and(|course| !course.goes());
        let enough = || meter.is_enough(reel, self.position_us(), self.ahead_us, 1.0);
        if stands { enough() } else { !self.stalled }
    }

    /// Seconds of the recording a second, when it goes.
    fn rate(&self) -> f64 {
        match self.course {
            Some(course) if course.goes() => course.rate,
            Some(_) => 1.0,
            None => RATES[self.speed],
        }
    }

    /// Whether it is wanted to stand.
    fn is_held(&self) -> bool {
        self.course.map_or(self.paused, |course| !course.goes())
    }

    /// How far ahead segments are wanted, microseconds.
    pub(super) fn ahead_us(&self) -> i64 {
        self.ahead_us
    }

    /// From that moment on something else is shown: what is played now is not to be heard then.
    pub(super) fn ends(&self, at: Option<Stamp>) {
        self.schedule.set_sound_until(at);
    }

    /// Whether it stands because there is not enough to go on, for longer than is not worth a word.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled && now().us_since(self.cued) > STILL_US
    }

    /// Whether it goes, or stands because the viewer wants it to.
    pub(super) fn plays(&self) -> bool {
        !self.stalled
    }

    /// Whether a command leads from the past of a live stream to its present: to where it could not
    /// be played without stopping.
    pub(super) fn leads_to_live(&self, command: Command, reel: &Reel) -> bool {
        let near_us = reel.end_us().saturating_sub(reel.least_us());
        reel.is_live()
            && match command {
                Command::End => true,
                Command::Skip(by_us) => {
                    by_us > 0 && self.position_us().saturating_add(by_us) > near_us
                }
                _ => false,
            }
    }

    pub(super) fn obey(
        &mut self,
        command: Command,
        reel: &Reel,
        meter: &Meter,
        sink: &mut impl Sink,
    ) {
        let mut position_us = self.position_us();
        match command {
            Command::Pause => self.paused = !self.paused,
            Command::Skip(by_us) => {
                position_us = position_us.saturating_add(by_us);
                if reel.is_live() {
                    // As far back as it takes to play on without stopping.
                    position_us = position_us.min(reel.end_us().saturating_sub(reel.least_us()));
                }
            }
            Command::Home => position_us = reel.start_us(),
            Command::End => position_us = reel.end_us().saturating_sub(END_US),
            Command::Faster => self.speed = (self.speed + 1).min(RATES.len() - 1),
            Command::Slower => self.speed = self.speed.saturating_sub(1),
        }
        self.play_from(position_us, reel, meter, sink);
    }

    /// From now on it is played from there; or it stands there, paused or until enough has come.
    pub(super) fn play_from(
        &mut self,
        position_us: i64,
        reel: &Reel,
        meter: &Meter,
        sink: &mut impl Sink,
    ) {
        let now = now();
        // Who pauses a live stream stands where it is not recorded yet.
        let present_us = self.zero.filter(|_| reel.is_live()).map(|zero| now.us_since(zero));
        let end_us = reel.end_us().max(present_us.unwrap_or(i64::MIN));
        let mut position_us = position_us.min(end_us).max(reel.start_us());
        let rate = self.rate();
        let held = self.is_held();
        self.stalled = !held && !meter.is_enough(reel, position_us, self.ahead_us, rate);
        self.cursor = locate(reel, position_us);
        let stands = held || self.stalled;
        let mut in_us = if stands { 0 } else { self.in_us(reel, position_us) };
        if let Some(course) = self.course {
            (self.shift_us, in_us) = (0.0, (in_us - IN_US + IN_ROOM_US).max(0));
            self.schedule.set_shift_us(0);
            if !stands {
                let from = course.from(now.plus_us(in_us));
                in_us = from.us_since(now);
                position_us = course.position_us(from).min(end_us);
            }
        }
        self.cue = Cue {
            number: self.cue.number + 1,
            position_us,
            captured: now.plus_us(in_us - self.schedule.delay_us()),
            rate: if stands { 0.0 } else { rate },
        };
        self.cued = now;
        self.fed_us = position_us;
        self.all_fed = false;
        sink.event(Event::Cue(self.cue));
    }

    /// How long it takes until sound and picture of a position can be there, microseconds.
    fn in_us(&self, reel: &Reel, position_us: i64) -> i64 {
        let Some(Cursor { pictures, .. }) = self.cursor else { return IN_US };
        let video = video_track(reel);
        let mut before = 0;
        for number in pictures.0..=reel.at(position_us) {
            let Place::Held(packets) = reel.place(number) else { break };
            let skip = if number == pictures.0 { pictures.1 } else { 0 };
            let decoded = |h: &PacketHeader| Some(h.track) == video && h.pts_us < position_us;
            before += packets.iter().skip(skip).filter(|p| decoded(&p.header)).count() as i64;
        }
        IN_US.saturating_add(before.saturating_mul(self.schedule.picture_us())).min(MOST_IN_US)
    }

    /// Feeds what is due next, stops when there is nothing, goes on when there is enough.
    /// `follows_live`: what comes after the end of what is kept is the present.
    pub(super) fn step(
        &mut self,
        reel: &Reel,
        meter: &Meter,
        follows_live: bool,
        sink: &mut impl Sink,
    ) -> Step {
        let position_us = self.wanted_us();
        if self.stalled && meter.is_enough(reel, position_us, self.ahead_us, self.rate()) {
            self.play_from(position_us, reel, meter, sink);
        }
        self.feed(reel, sink);
        let mut step = Step::Goes;
        if !self.cue.stands() {
            let position_us = self.position_us();
            if self.all_fed && position_us >= self.fed_us {
                step = Step::Over;
            }
            let beyond_us = beyond_gone(reel, position_us).filter(|_| self.course.is_none());
            if let Some(there_us) = beyond_us {
                self.play_from(there_us, reel, meter, sink);
            } else if let Some(there_us) =
                self.starves(reel).filter(|there_us| position_us >= *there_us)
            {
                if follows_live && there_us >= reel.end_us() {
                    step = Step::CaughtUp;
                } else {
                    self.play_from(there_us, reel, meter, sink);
                }
            }
        }
        self.tell(reel, sink);
        step
    }

    /// Up to where there is something, when what comes then is not here, microseconds.
    fn starves(&self, reel: &Reel) -> Option<i64> {
        let number = match self.cursor {
            Some(cursor) => cursor.next.0,
            None => reel.at(self.cue.position_us),
        };
        let missing = match reel.place(number) {
            Place::Awaited => true,
            Place::Beyond => !reel.is_finished(),
            Place::Held(_) | Place::Gone => false,
        };
        let start_us = reel.from(number).next().map_or(reel.end_us(), |(_, s)| s.start_us);
        missing.then_some(start_us.max(self.cue.position_us))
    }

    fn feed(&mut self, reel: &Reel, sink: &mut impl Sink) {
        let stood_us = now().us_since(self.cued);
        let shows =
            !self.cue.stands() || (sink.shows_still() && (self.is_held() || stood_us > STILL_US));
        if !shows || self.all_fed {
            return;
        }
        let Some(mut cursor) = self.cursor.or_else(|| locate(reel, self.cue.position_us)) else {
            return;
        };
        let until_us =
            self.position_us().saturating_add((LEAD_US as f64 * self.cue.rate.max(1.0)) as i64);
        loop {
            match reel.place(cursor.next.0) {
                Place::Held(packets) => {
                    if !self.feed_from(&packets, &mut cursor, until_us, video_track(reel), sink) {
                        break;
                    }
                }
                Place::Gone => {
                    let length_us =
                        reel.from(cursor.next.0).next().map_or(0, |(_, s)| s.duration_us);
                    sink.event(Event::Gap(Gap { packets: 0, length_us: i64::from(length_us) }));
                }
                Place::Beyond if reel.is_finished() => {
                    self.all_fed = true;
                    sink.event(Event::AllFed);
                    break;
                }
                Place::Awaited | Place::Beyond => break,
            }
            cursor.next = (cursor.next.0 + 1, 0);
        }
        self.cursor = Some(cursor);
    }

    /// Feeds a segment's packets; false when one is not due yet or there is no room for it.
    fn feed_from(
        &mut self,
        packets: &Arc<[Packet]>,
        cursor: &mut Cursor,
        until_us: i64,
        video: Option<u16>,
        sink: &mut impl Sink,
    ) -> bool {
        while let Some(packet) = packets.get(cursor.next.1) {
            let header = &packet.header;
            let over_us = header.pts_us.saturating_add(i64::from(header.duration_us));
            let wanted = if Some(header.track) == video {
                cursor.next >= cursor.pictures
            } else {
                over_us >= self.cue.position_us.saturating_sub(SOUND_IN_US)
            };
            if wanted {
                if header.dts_us.min(header.pts_us) > until_us || !sink.has_room() {
                    return false;
                }
                self.fed_us = self.fed_us.max(over_us);
                sink.event(Event::Packet(packet.clone(), None));
            }
            cursor.next.1 += 1;
        }
        true
    }

    fn tell(&mut self, reel: &Reel, sink: &mut impl Sink) {
        let start_us = *self.origin_us.get_or_insert(reel.start_us());
        let progress = Progress {
            cue: self.cue,
            start_us,
            duration_us: reel.end_us().saturating_sub(start_us),
            buffered_us: reel.buffered_us(self.position_us()).saturating_sub(start_us),
            rate: self.rate(),
            paused: self.is_held(),
            live: self.zero.filter(|_| reel.is_live()),
        };
        // Beside the position, which the cue says, only what is buffered moves.
        let same = |told: &Progress| {
            let shown = |p: &Progress| Progress { buffered_us: 0, live: None, ..*p };
            let tenth = |p: &Progress| (p.buffered_us / 100_000, p.live.map(|at| at.0 / 100_000));
            shown(told) == shown(&progress) && tenth(told) == tenth(&progress)
        };
        if !self.told.as_ref().is_some_and(same) {
            self.told = Some(progress);
            sink.event(Event::Progress(progress));
        }
    }
}
