//! Turns the session's events into work: places packets on the timeline, finds what is missing,
//! and hands everything to decoders, recording and board.

use std::sync::Arc;

use proto::conn::now;
use proto::time::Stamp;
use proto::{Packet, StreamDescription};

use crate::continuity::{Continuity, Step};
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
        }
    }

    fn describe(&mut self, description: StreamDescription) {
        let new_run = self.continuity.describe(description.run);
        if new_run {
            self.timeline.new_run();
        }
        let known = self.description.as_deref();
        let changed = known.is_none_or(|known| known.tracks != description.tracks);
        if new_run || changed {
            self.start(&description, new_run);
        }
        self.shared.stats.described(&description);
        let description = Arc::new(description);
        self.description = Some(description.clone());
        self.shared.board.update(|status| {
            status.description = Some(description);
            status.state = State::Playing;
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

    fn packet(&mut self, packet: Packet, clock: Option<PeerClock>) {
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
        self.shared.stats.received(Received {
            bytes: packet.payload.len(),
            transit_us: arrival.transit_us,
            ahead_us: self.shared.schedule.due(arrival.captured).us_since(arrived),
            late: arrival.late,
        });
        let over = arrival.captured.plus_us(i64::from(packet.header.duration_us));
        self.last = self.last.max(Some(over));
        if let Some(record) = &self.record {
            record.packet(packet.clone());
        }
        let track = Some(packet.header.track);
        let timed = Timed { packet, captured: arrival.captured, backlog: arrival.backlog };
        if track == self.video && self.shared.wants_picture() {
            let dropped = self.shared.video.push(timed);
            self.shared.stats.dropped(dropped as u64);
        } else if track == self.audio && self.shared.wants_sound() {
            self.shared.audio.push(timed);
        }
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
            Event::Describe(description) => self.describe(description),
            Event::Packet(packet, clock) => self.packet(packet, clock),
            Event::Gap(_) => self.shared.stats.gap(),
            Event::Held(reason) => self.state(State::Held, reason),
            Event::Resumed => self.state(State::Playing, String::new()),
            Event::Lost(error) => self.state(State::Reconnecting, error.to_string()),
            Event::Ended => {
                self.shared.video.end();
                self.shared.audio.end();
                self.shared.board.update(|status| status.last = self.last);
                self.state(State::Ended, String::new());
            }
        }
    }

    fn clock_error_us(&mut self, error_us: f64) {
        self.shared.stats.clock_error_us(error_us);
    }
}
