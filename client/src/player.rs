//! Turns the session's events into work: places packets on the timeline, finds what is missing,
//! and hands everything to decoders, recording and board.

use std::sync::{Arc, PoisonError};

use proto::conn::now;
use proto::time::Stamp;
use proto::{Packet, StreamDescription};

use crate::continuity::{Continuity, Step};
use crate::cue::Cue;
use crate::jitter::Timed;
use crate::record::Tap;
use crate::session::{Event, Sink};
use crate::shared::Shared;
use crate::stats::{Received, State};
use crate::timeline::{PeerClock, Timeline};

/// The session's sink. Never blocks: its queues are bounded and drop what is oldest.
#[derive(Debug)]
pub struct Player {
    shared: Arc<Shared>,
    timeline: Timeline,
    continuity: Continuity,
    description: Option<Arc<StreamDescription>>,
    video: Option<u16>,
    audio: Option<u16>,
    record: Option<Tap>,
    last: Option<Stamp>,
    /// How a recording is played; `None` for live streams.
    cue: Option<Cue>,
    /// Packets from this number on were not here before: they are counted, and recorded. What is
    /// seen again is not.
    fresh: u64,
}

impl Player {
    /// A player that presents `latency_us` after capture, and records where it is told to.
    #[must_use]
    pub fn new(shared: Arc<Shared>, latency_us: i64, record: Option<Tap>) -> Self {
        let timeline = Timeline::new(latency_us, shared.schedule.clone());
        Self {
            shared,
            timeline,
            continuity: Continuity::default(),
            description: None,
            video: None,
            audio: None,
            record,
            last: None,
            cue: None,
            fresh: 0,
        }
    }

    /// A live stream was described. It may be the past of it that was played up to now.
    fn live(&mut self, description: StreamDescription) {
        let was_past = self.cue.take().is_some();
        if was_past {
            // What comes begins at a key frame that may have been here before.
            self.continuity.forget();
            self.last = None;
            *self.shared.progress.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.describe(description, State::Playing);
        if was_past {
            self.cut(0);
        }
    }

    fn describe(&mut self, description: StreamDescription, state: State) {
        let new_run = self.continuity.describe(description.run);
        if new_run {
            self.timeline.new_run();
            self.fresh = 0;
        }
        let known = self.description.as_deref();
        let changed = known.is_none_or(|known| known.tracks != description.tracks);
        if new_run || changed {
            self.start(&description, new_run);
        }
        self.shared.stats.described(&description);
        self.shared.stats.set_state(state);
        let description = Arc::new(description);
        self.description = Some(description.clone());
        self.shared.board.update(|status| {
            status.description = Some(description);
            status.state = state;
        });
    }

    /// The decoders and the recording begin anew.
    fn start(&mut self, description: &StreamDescription, new_run: bool) {
        self.video = description.video().map(|(index, track, _)| {
            self.shared.video.start(Arc::new(track.clone()));
            index
        });
        self.audio = description.audio().map(|(index, track, _)| {
            self.shared.audio.start(Arc::new(track.clone()));
            index
        });
        if let Some(record) = &self.record {
            record.describe(description.clone(), new_run);
        }
    }

    /// A recording is played anew from somewhere.
    fn cue(&mut self, cue: Cue) {
        self.cue = Some(cue);
        self.last = None;
        // A live stream that was paused stands by the cue from here on.
        self.shared.stage.set_paused(false);
        self.shared.desk.set_paused(false);
        self.cut(cue.number);
    }

    /// What was fed is void; what is wanted has this number.
    fn cut(&self, number: u64) {
        self.shared.desk.cut(number);
        self.shared.stage.cut(number);
        let description = self.description.clone();
        if let Some((_, track, _)) = description.as_deref().and_then(|d| d.video()) {
            self.shared.video.restart(Arc::new(track.clone()));
        }
        if let Some((_, track, _)) = description.as_deref().and_then(|d| d.audio()) {
            self.shared.audio.restart(Arc::new(track.clone()));
        }
        self.shared.board.update(|status| status.decoded = (false, false));
    }

    /// A packet of a recording: fed a little before it is due.
    fn recorded(&mut self, packet: Packet, cue: Cue) {
        let header = packet.header;
        let captured = cue.captured(header.pts_us);
        let over_us = header.pts_us.saturating_add(i64::from(header.duration_us));
        let backlog = header.pts_us < cue.position_us;
        let ahead_us = self.shared.schedule.due(captured).us_since(now());
        self.last = self.last.max(Some(cue.captured(over_us)));
        if self.is_fresh(header.sequence) {
            self.shared.stats.received(Received {
                bytes: packet.payload.len(),
                transit_us: None,
                ahead_us: if cue.stands() { 0 } else { ahead_us },
                late: !backlog && !cue.stands() && ahead_us < 0,
            });
            if let Some(record) = &self.record {
                record.packet(packet.clone());
            }
        }
        let timed = Timed { packet, captured, backlog, cue: Some(cue) };
        // While it stands still there is nothing to be heard.
        let silent = cue.stands() && !self.shared.headless;
        self.hand_on(timed, silent);
    }

    /// Whether a packet is here for the first time.
    fn is_fresh(&mut self, sequence: u64) -> bool {
        let fresh = sequence >= self.fresh;
        self.fresh = self.fresh.max(sequence.saturating_add(1));
        fresh
    }

    fn hand_on(&self, timed: Timed, silent: bool) {
        let track = Some(timed.packet.header.track);
        if track == self.video && self.shared.wants_picture() {
            let dropped = self.shared.video.push(timed);
            self.shared.stats.dropped(dropped as u64);
        } else if track == self.audio && self.shared.wants_sound() && !silent {
            self.shared.audio.push(timed);
        }
    }

    fn packet(&mut self, packet: Packet, clock: Option<PeerClock>) {
        if let Some(cue) = self.cue {
            return self.recorded(packet, cue);
        }
        match self.continuity.packet(packet.header.sequence) {
            Step::Seen => return,
            Step::Next => {}
            Step::Hole(packets) => {
                self.shared.stats.missing(packets);
                self.shared.video.lost();
            }
        }
        let arrived = now();
        let arrival = self.timeline.packet(&packet.header, clock, arrived);
        let over = arrival.captured.plus_us(i64::from(packet.header.duration_us));
        self.last = self.last.max(Some(over));
        if self.is_fresh(packet.header.sequence) {
            self.shared.stats.received(Received {
                bytes: packet.payload.len(),
                transit_us: arrival.transit_us,
                ahead_us: self.shared.schedule.due(arrival.captured).us_since(arrived),
                late: arrival.late,
            });
            if let Some(record) = &self.record {
                record.packet(packet.clone());
            }
        }
        // What lies before the beginning (of a movie that was trimmed) is only decoded.
        let backlog = arrival.backlog || packet.header.pts_us < 0;
        let captured = arrival.captured;
        self.hand_on(Timed { packet, captured, backlog, cue: None }, false);
    }

    fn finish(&self) {
        self.shared.video.end();
        self.shared.audio.end();
    }

    fn state(&self, state: State, reason: String) {
        self.shared.stats.set_state(state);
        self.shared.board.update(|status| {
            status.state = state;
            status.reason = reason;
        });
    }
}

impl Sink for Player {
    fn event(&mut self, event: Event) {
        match event {
            Event::Subscribed => self.timeline.joined(now()),
            Event::Describe(description) => self.live(description),
            Event::Open(description) => self.describe(description, State::Buffering),
            Event::Packet(packet, clock) => self.packet(packet, clock),
            Event::Gap(_) => {
                self.shared.stats.gap();
                if self.cue.is_some() {
                    self.shared.video.lost();
                }
            }
            Event::Cue(cue) => self.cue(cue),
            Event::Progress(progress) => {
                let mut place = self.shared.progress.lock().unwrap_or_else(PoisonError::into_inner);
                *place = Some(progress);
            }
            Event::Buffering(reason) => self.state(State::Buffering, reason),
            Event::Word(word) => self.shared.board.update(|status| {
                status.word = word;
                status.words += 1;
            }),
            Event::Invitation(line) => {
                self.shared.board.update(|status| status.invitation = Some(line));
            }
            Event::Said(words) => self.shared.board.say(words),
            Event::AllFed => self.finish(),
            Event::Held(reason) => self.state(State::Held, reason),
            Event::Resumed => self.state(State::Playing, String::new()),
            Event::Lost(error) => self.state(State::Reconnecting, error.to_string()),
            Event::Ended => {
                if self.cue.is_none() {
                    self.finish();
                }
                self.shared.board.update(|status| status.last = self.last);
                self.state(State::Ended, String::new());
            }
        }
    }

    fn clock_error_us(&mut self, error_us: f64) {
        self.shared.stats.clock_error_us(error_us);
    }

    fn has_room(&self) -> bool {
        self.shared.video.has_room() && self.shared.audio.has_room()
    }

    fn shows_still(&self) -> bool {
        !self.shared.headless
    }

    fn shown_us(&self) -> Option<i64> {
        self.timeline.shown_us(now())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proto::PacketHeader;
    use proto::stream::{Audio, AudioCodec, Media, Track, Video, VideoCodec};

    use super::*;
    use crate::jitter::{Item, Taken};
    use crate::sound::Desk;
    use crate::stats::Snapshot;

    fn description(run: u64) -> StreamDescription {
        let video = Video {
            codec: VideoCodec::Mjpeg,
            width: 64,
            height: 48,
            pixel_aspect: (1, 1),
            rotation: 0,
            frame_rate: (25, 1),
        };
        let audio = Audio { codec: AudioCodec::Opus, sample_rate: 48_000, channels: 2 };
        let track =
            |media| Track { media, codec_config: Vec::new().into(), language: String::new() };
        StreamDescription {
            name: "a".into(),
            title: String::new(),
            live: true,
            run,
            duration_us: None,
            tracks: vec![track(Media::Video(video)), track(Media::Audio(audio))],
        }
    }

    fn packet(sequence: u64, track: u16, key: bool) -> Event {
        let header = PacketHeader {
            sequence,
            track,
            key,
            pts_us: sequence as i64 * 20_000,
            dts_us: sequence as i64 * 20_000,
            captured_at_us: now(),
            ..PacketHeader::default()
        };
        Event::Packet(Packet { header, payload: vec![0; 10].into() }, None)
    }

    fn player() -> (Player, Arc<Shared>) {
        let shared = Arc::new(Shared::new(true, true, Desk::new(100, 250_000)));
        (Player::new(shared.clone(), 250_000, None), shared)
    }

    /// What waits for a decoder, in a word each.
    fn waiting(buffer: &crate::jitter::Buffer) -> Vec<String> {
        std::iter::from_fn(|| match buffer.take(Duration::ZERO) {
            Taken::Item(Item::Start(_)) => Some("start".to_owned()),
            Taken::Item(Item::Packet(p)) => Some(p.packet.header.sequence.to_string()),
            Taken::Item(Item::End) => Some("end".to_owned()),
            Taken::Nothing | Taken::Closed => None,
        })
        .collect()
    }

    fn tell(player: &mut Player, events: impl IntoIterator<Item = Event>) {
        events.into_iter().for_each(|event| player.event(event));
    }

    #[test]
    fn packets_go_to_their_decoders() {
        let (mut player, shared) = player();
        tell(&mut player, [Event::Subscribed, Event::Describe(description(1))]);
        tell(&mut player, [packet(7, 0, true), packet(8, 1, true), packet(9, 0, false)]);
        tell(&mut player, [packet(10, 5, true), Event::Ended]);
        assert_eq!(waiting(&shared.video), ["start", "7", "9", "end"]);
        assert_eq!(waiting(&shared.audio), ["start", "8", "end"]);
        let Snapshot { packets, packets_missing, .. } = shared.summary();
        assert_eq!((packets, packets_missing), (4, 0));
    }

    #[test]
    fn a_hole_stops_the_picture_until_a_key_frame_but_not_the_sound() {
        let (mut player, shared) = player();
        tell(&mut player, [Event::Describe(description(1)), packet(0, 0, true)]);
        tell(&mut player, [packet(5, 1, true), packet(6, 0, false), packet(7, 0, true)]);
        assert_eq!(waiting(&shared.video), ["start", "0", "7"]);
        assert_eq!(waiting(&shared.audio), ["start", "5"]);
        let Snapshot { packets_missing, dropped, .. } = shared.summary();
        assert_eq!((packets_missing, dropped), (4, 1));
    }

    #[test]
    fn a_connection_that_comes_back_goes_on_where_it_was() {
        let (mut player, shared) = player();
        tell(&mut player, [Event::Describe(description(1))]);
        tell(&mut player, [packet(0, 0, true), packet(1, 0, false)]);
        // The same run: the key frame comes again, then what follows.
        tell(&mut player, [Event::Subscribed, Event::Describe(description(1))]);
        tell(&mut player, [packet(0, 0, true), packet(1, 0, false), packet(2, 0, false)]);
        assert_eq!(waiting(&shared.video), ["start", "0", "1", "2"]);
        // Another run: everything anew.
        tell(&mut player, [Event::Describe(description(2)), packet(0, 0, true)]);
        assert_eq!(waiting(&shared.video), ["start", "0"]);
    }

    #[test]
    fn back_and_to_live_again_everything_is_decoded_anew_and_counted_once() {
        let (mut player, shared) = player();
        tell(&mut player, [Event::Describe(description(1)), packet(0, 0, true)]);
        tell(&mut player, (1..10).map(|number| packet(number, 0, false)));
        let cue = Cue { number: 5, position_us: 0, captured: now(), rate: 1.0 };
        tell(&mut player, [Event::Cue(cue), packet(0, 0, true), packet(1, 0, false)]);
        assert_eq!(waiting(&shared.video), ["start", "0", "1"]);
        assert!(shared.stage.wants(5) && !shared.stage.wants(0));
        // The key frame has been here, and what follows needs it.
        tell(&mut player, [Event::Subscribed, Event::Describe(description(1))]);
        tell(&mut player, [packet(5, 0, true), packet(6, 0, false), packet(12, 0, true)]);
        assert_eq!(waiting(&shared.video), ["start", "5", "6", "12"]);
        assert!(shared.stage.wants(0) && shared.progress().is_none());
        let Snapshot { packets, packets_missing, .. } = shared.summary();
        assert_eq!((packets, packets_missing), (11, 5));
    }

    #[test]
    fn the_board_says_how_things_are() {
        let (mut player, shared) = player();
        let state = || shared.board.news(0).map(|status| (status.state, status.reason));
        tell(&mut player, [Event::Describe(description(1))]);
        assert_eq!(state(), Some((State::Playing, String::new())));
        tell(&mut player, [Event::Held("unplugged".into())]);
        assert_eq!(state(), Some((State::Held, "unplugged".into())));
        tell(&mut player, [Event::Resumed]);
        assert_eq!(state(), Some((State::Playing, String::new())));
        tell(&mut player, [packet(0, 0, true), Event::Ended]);
        assert!(shared.board.news(0).is_some_and(|status| status.last.is_some()));
    }
}
