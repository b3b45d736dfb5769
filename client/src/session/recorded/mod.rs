//! Watching a recording: what is fetched, and when it is fed to the player.
//!
//! ```text
//! link     the connection: asks, verifies, comes back
//! own      a movie of one's own in place of a connection
//! reel     the segments that are here
//! meter    whether what comes is fast enough
//! follow   in a room: leads the deck, steers, reports
//! cursor   where feeding begins in the reel
//! deck     position, speed, pause; feeds packets a little before they are due
//! trouble  segments that do not come, or come damaged
//! ```
//!
//! Everything runs on one task that looks around every few milliseconds, so that a command, a
//! segment and the passing of time never meet halfway.

mod cursor;
mod deck;
mod follow;
pub(super) mod link;
mod meter;
mod own;
mod reel;
#[cfg(test)]
mod simulation;
mod trouble;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use proto::conn::now;
use proto::recording::{Fetch, Index};
use proto::time::Stamp;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::control::Peer;
use super::rewind::FromLive;
use super::view::Opened;
use super::{Command, Config, Event, Left, SessionError, Sink, room};
use crate::local::Local;
use deck::{Deck, Step};
use follow::Follow;
use link::{Link, Said};
use meter::Meter;
use reel::Reel;
use trouble::Trouble;

/// How often to look around.
const TICK: Duration = Duration::from_millis(20);

/// An open recording, and how the viewer comes to it.
pub(super) struct Entry {
    source: Source,
    from: Option<FromLive>,
}

/// Where a recording comes from.
enum Source {
    /// A node.
    Node(Box<Opened>),
    /// A file.
    Own(Arc<Local>),
}

impl Entry {
    /// It is watched from where the viewer said at the start.
    pub(super) fn start(opened: Opened) -> Self {
        Self { source: Source::Node(Box::new(opened)), from: None }
    }

    /// The viewer watched it live.
    pub(super) fn from_live(opened: Opened, from: FromLive) -> Self {
        Self { source: Source::Node(Box::new(opened)), from: Some(from) }
    }

    /// The name of the stream it is of.
    pub(super) fn stream(&self) -> Option<String> {
        match &self.source {
            Source::Node(opened) => Some(opened.index.description.name.clone()),
            Source::Own(_) => None,
        }
    }

    /// It is a movie of the viewer's own.
    pub(super) fn own(local: Arc<Local>) -> Self {
        Self { source: Source::Own(local), from: None }
    }
}

/// Plays an open recording until it is over, caught up with, or `quit` comes.
pub(super) async fn run(
    config: &Config,
    peer: &Arc<Peer>,
    sink: &mut impl Sink,
    commands: &mut mpsc::Receiver<Command>,
    entry: Entry,
    mut quit: Pin<&mut impl Future<Output = ()>>,
) -> Left {
    let Entry { source, from } = entry;
    let (index, mut link) = match source {
        Source::Node(opened) => (opened.index.clone(), Link::start(config, peer, *opened)),
        Source::Own(local) => (local.index(), own::start(local)),
    };
    let mut show = Show::new(config, sink, index);
    show.follow = config.seat.clone().map(|seat| Follow::new(seat, peer.clone()));
    let mut left = show.enter(config, from);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while left.is_none() {
        left = tokio::select! {
            Some(said) = link.said.recv() => show.hear(said),
            Some(command) = commands.recv() => show.obey(command),
            _ = tick.tick() => None,
            () = until(show.wakes()) => None,
            () = quit.as_mut() => Some(Left::Quit),
        };
        show.fetch(&link.ask, now());
        left = left.or_else(|| show.step());
        show.tell();
        let position_us = show.deck.position_us().saturating_sub(show.reel.start_us());
        room::tell(config, show.sink, Some(position_us));
    }
    link.close().await;
    left.unwrap_or(Left::Over)
}

/// Waits until a moment; for ever where there is none.
async fn until(moment: Option<Stamp>) {
    match moment {
        Some(moment) => {
            let us = moment.us_since(now()).max(0).unsigned_abs();
            tokio::time::sleep(Duration::from_micros(us)).await;
        }
        None => std::future::pending().await,
    }
}

/// What the player was told last of how it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Playing,
    Buffering,
    Lost,
}

struct Show<'a, S> {
    sink: &'a mut S,
    reel: Reel,
    meter: Meter,
    deck: Deck,
    trouble: Trouble,
    connected: bool,
    told: Told,
    /// It was what is kept of a live stream when it was opened.
    was_live: bool,
    /// In a room.
    follow: Option<Follow>,
}

impl<'a, S: Sink> Show<'a, S> {
    fn new(config: &Config, sink: &'a mut S, index: Index) -> Self {
        let (reel, meter, deck) = (Reel::new(index), Meter::default(), Deck::new(config));
        let (trouble, connected, told) = (Trouble::default(), true, Told::Buffering);
        let was_live = reel.is_live();
        Self { sink, reel, meter, deck, trouble, connected, told, was_live, follow: None }
    }

    /// Begins to play where the viewer wants it.
    fn enter(&mut self, config: &Config, from: Option<FromLive>) -> Option<Left> {
        match from {
            Some(from) => self.enter_from_live(config, from),
            None => {
                self.enter_at(config.start_us.unwrap_or(0));
                None
            }
        }
    }

    fn enter_at(&mut self, start_us: i64) {
        let Self { reel, meter, deck, sink, .. } = self;
        sink.event(Event::Open(reel.description().clone()));
        if start_us > reel.end_us().saturating_sub(reel.start_us()) && reel.is_finished() {
            let length = (reel.end_us() - reel.start_us()) as f64 / 1e6;
            let length = crate::progress::clock(length);
            sink.event(Event::Word(format!("the recording is only {length} long")));
        }
        if let Some(follow) = &self.follow {
            return deck.follow(follow.begins(reel), reel, meter, *sink);
        }
        deck.present(reel.end_us(), now());
        deck.play_from(reel.start_us().saturating_add(start_us), reel, meter, *sink);
    }

    /// From what was shown of the live stream on; what that is a part of goes on unasked.
    fn enter_from_live(&mut self, config: &Config, from: FromLive) -> Option<Left> {
        let description = self.reel.description();
        let shown_us = from.shown_us.filter(|_| from.described.run == description.run);
        if from.described == *description {
            self.told = Told::Playing;
        } else {
            self.sink.event(Event::Open(description.clone()));
        }
        self.say(Some("watching what is kept of it: end comes back to the present".into()));
        let shown_us = shown_us.unwrap_or(self.reel.end_us());
        self.deck.present(shown_us.saturating_add(config.schedule.delay_us()), from.at);
        self.deck.stand_at(shown_us);
        from.commands.into_iter().find_map(|command| self.obey(command))
    }

    fn obey(&mut self, command: Command) -> Option<Left> {
        if let Some(follow) = &mut self.follow {
            follow.ask(command, &self.reel);
            return None;
        }
        if self.deck.leads_to_live(command, &self.reel) {
            self.say(Some("live again".into()));
            return Some(Left::ToLive);
        }
        self.deck.obey(command, &self.reel, &self.meter, self.sink);
        None
    }

    /// Plays what is due. What is kept of a live stream and has been seen leads to the present.
    fn step(&mut self) -> Option<Left> {
        if let Some(follow) = &mut self.follow {
            follow.step(&mut self.deck, &self.reel, &self.meter, self.sink);
            // At its end a room may still go back.
            let _ = self.deck.step(&self.reel, &self.meter, false, self.sink);
            return None;
        }
        let follows_live = self.connected && self.reel.is_live();
        match self.deck.step(&self.reel, &self.meter, follows_live, self.sink) {
            Step::Goes => None,
            // What was kept is over, for its run is; the stream itself may go on.
            Step::Over if !self.was_live => Some(Left::Over),
            Step::Over | Step::CaughtUp => {
                self.say(Some("live again".into()));
                Some(Left::ToLive)
            }
        }
    }

    /// When to look around before the next tick.
    fn wakes(&self) -> Option<Stamp> {
        self.follow.as_ref().and_then(Follow::wakes)
    }

    fn hear(&mut self, said: Said) -> Option<Left> {
        match said {
            Said::Index(index) => return self.index(index),
            Said::Segment(id, number, packets, bytes) if id == self.reel.id() => {
                self.reel.put(number, packets, bytes, self.deck.wanted_us());
                self.meter.came(bytes, self.reel.is_coming(), now());
                self.trouble.over(number);
            }
            Said::Damaged(id, number) if id == self.reel.id() => {
                let word = self.trouble.damaged(number, &mut self.reel, now());
                self.say(word);
            }
            Said::Missing(id, none) if id == self.reel.id() => {
                let word = self.trouble.missing(&none, &mut self.reel, now());
                self.say(word);
            }
            // Of what was replaced meanwhile.
            Said::Segment(..) | Said::Damaged(..) | Said::Missing(..) => {}
            Said::Lost(SessionError::NotRecorded { .. }) if self.reel.is_live() => {
                return self.nothing_kept();
            }
            Said::Lost(error) => {
                self.reel.void();
                self.meter.stopped();
                if std::mem::replace(&mut self.connected, false) {
                    self.told = Told::Lost;
                    self.sink.event(Event::Lost(error));
                }
            }
        }
        if !self.reel.is_coming() {
            self.meter.stopped();
        }
        None
    }

    /// What was kept of a live stream is not there any more; the stream may be.
    fn nothing_kept(&mut self) -> Option<Left> {
        self.say(Some("what was kept of it is gone: live again".into()));
        Some(Left::ToLive)
    }

    fn say(&mut self, word: Option<String>) {
        word.into_iter().for_each(|word| self.sink.event(Event::Word(word)));
    }

    fn index(&mut self, index: Index) -> Option<Left> {
        self.connected = true;
        let (end_us, live) = (self.reel.end_us(), self.reel.is_live());
        if self.reel.grow(&index) {
            if self.reel.end_us() > end_us {
                self.deck.present(self.reel.end_us(), now());
            }
            return None;
        }
        if live {
            return self.nothing_kept();
        }
        let position_us = self.deck.position_us().saturating_sub(self.reel.start_us());
        self.reel = Reel::new(index);
        self.trouble = Trouble::default();
        self.say(Some(
            "the recording has changed: going on at the same time in the new one".into(),
        ));
        self.sink.event(Event::Open(self.reel.description().clone()));
        self.told = Told::Buffering;
        let position_us = self.reel.start_us().saturating_add(position_us);
        self.deck.anew();
        self.deck.play_from(position_us, &self.reel, &self.meter, self.sink);
        None
    }

    /// Asks for what is wanted next.
    fn fetch(&mut self, ask: &mpsc::Sender<Fetch>, now: Stamp) {
        if !self.connected {
            return;
        }
        let (position_us, ahead_us) = (self.deck.wanted_us(), self.deck.ahead_us());
        while ask.capacity() > 0
            && let Some(segment) =
                self.reel.next_wanted(position_us, ahead_us, self.meter.at_once(), now)
        {
            self.meter.asked(now);
            if ask.try_send(Fetch { id: self.reel.id(), segment }).is_err() {
                return;
            }
        }
    }

    /// Says how it goes, when that has changed.
    fn tell(&mut self) {
        let tell = match (self.deck.is_stalled(), self.told) {
            (true, _) => Told::Buffering,
            // At the start the player takes it for buffering until it plays.
            (false, Told::Buffering) if !self.deck.plays() => Told::Buffering,
            (false, Told::Lost) if !self.connected => Told::Lost,
            (false, _) => Told::Playing,
        };
        if std::mem::replace(&mut self.told, tell) == tell {
            return;
        }
        self.sink.event(match tell {
            Told::Playing | Told::Lost => Event::Resumed,
            Told::Buffering if !self.connected => {
                Event::Buffering("the connection is lost".to_owned())
            }
            Told::Buffering if !self.reel.is_finished() && !self.reel.is_coming() => {
                Event::Buffering("it is still being recorded".to_owned())
            }
            Told::Buffering => Event::Buffering(String::new()),
        });
    }
}
