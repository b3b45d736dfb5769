//! Watching a recording: what is fetched, and when it is fed to the player.
//!
//! ```text
//! link     the connection: asks, verifies, comes back
//! reel     the segments that are here
//! meter    whether what comes is fast enough
//! deck     position, speed, pause; feeds packets a little before they are due
//! trouble  segments that do not come, or come damaged
//! ```
//!
//! Everything runs on one task that looks around every few milliseconds, so that a command, a
//! segment and the passing of time never meet halfway.

mod deck;
mod link;
mod meter;
mod reel;
mod trouble;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use proto::conn::now;
use proto::recording::{Fetch, Index};
use proto::time::Stamp;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::view::Opened;
use super::{Command, Config, Event, SessionError, Sink};
use deck::Deck;
use link::{Link, Said};
use meter::Meter;
use reel::Reel;
use trouble::Trouble;

/// How often to look around.
const TICK: Duration = Duration::from_millis(20);

/// Plays an open recording until it is over or `quit` comes.
pub(super) async fn run(
    config: &Config,
    sink: &mut impl Sink,
    commands: &mut mpsc::Receiver<Command>,
    opened: Box<Opened>,
    mut quit: Pin<&mut impl Future<Output = ()>>,
) -> Result<(), SessionError> {
    let index = opened.index.clone();
    let mut link = Link::start(config, *opened);
    let mut show = Show::start(config, sink, index);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(said) = link.said.recv() => show.hear(said),
            Some(command) = commands.recv() => show.deck.obey(command, &show.reel, &show.meter, show.sink),
            _ = tick.tick() => {}
            () = quit.as_mut() => break,
        }
        show.fetch(&link.ask, now());
        if show.deck.step(&show.reel, &show.meter, show.sink) {
            show.sink.event(Event::Ended);
            break;
        }
        show.tell();
    }
    link.close().await;
    Ok(())
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
}

impl<'a, S: Sink> Show<'a, S> {
    fn start(config: &Config, sink: &'a mut S, index: Index) -> Self {
        let (reel, meter) = (Reel::new(index), Meter::default());
        sink.event(Event::Open(reel.description().clone()));
        let mut deck = Deck::new(config);
        let start_us = config.start_us.unwrap_or(0);
        if start_us > reel.end_us().saturating_sub(reel.start_us()) && reel.is_finished() {
            let length = (reel.end_us() - reel.start_us()) as f64 / 1e6;
            let length = crate::progress::clock(length);
            sink.event(Event::Word(format!("the recording is only {length} long")));
        }
        deck.play_from(reel.start_us().saturating_add(start_us), &reel, &meter, sink);
        let (trouble, connected, told) = (Trouble::default(), true, Told::Buffering);
        Self { sink, reel, meter, deck, trouble, connected, told }
    }

    fn hear(&mut self, said: Said) {
        match said {
            Said::Index(index) => self.index(index),
            Said::Segment(id, number, packets, bytes) if id == self.reel.id() => {
                self.reel.put(number, packets, bytes, self.deck.position_us());
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
    }

    fn say(&mut self, word: Option<String>) {
        word.into_iter().for_each(|word| self.sink.event(Event::Word(word)));
    }

    fn index(&mut self, index: Index) {
        self.connected = true;
        if self.reel.grow(&index) {
            return;
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
    }

    /// Asks for what is wanted next.
    fn fetch(&mut self, ask: &mpsc::Sender<Fetch>, now: Stamp) {
        if !self.connected {
            return;
        }
        let (position_us, ahead_us) = (self.deck.position_us(), self.deck.ahead_us());
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
