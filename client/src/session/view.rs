//! The view connection: subscribes, and hands on what comes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use proto::conn::{ConnError, Reader, Writer, now};
use proto::dial::{Dialled, dial};
use proto::message::Subscribe;
use proto::recording::{Index, Open};
use proto::time::{Stamp, micros};
use proto::{CloseCode, Message, Role, StreamDescription};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::control::{self, Peer};
use super::error::SessionError;
use super::recorded::Entry;
use super::rewind::{self, Rewind};
use super::room::LiveRoom;
use super::{AGENT, Command, Config, Event, Left, Sink, room};

/// How long the first packet waits for the clock: without it, what it says of time is a guess.
const CLOCK_PATIENCE: Duration = Duration::from_millis(500);
/// How long a refusal waits for the catalogue that explains it.
const CATALOG_PATIENCE: Duration = Duration::from_secs(2);
/// How often the silence is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// A polite goodbye is not worth more than this.
pub(super) const GOODBYE: Duration = Duration::from_millis(200);

/// How a watch ended well.
pub(super) enum Outcome {
    /// Nothing is to be watched here any more.
    Left(Left),
    /// It is a recording, or the viewer goes back in it.
    Recorded(Box<Entry>),
}

/// An open recording.
pub(super) struct Opened {
    /// What the server says.
    pub(super) reader: Reader<OwnedReadHalf>,
    /// What we say.
    pub(super) writer: Writer<OwnedWriteHalf>,
    /// What there is of it.
    pub(super) index: Index,
}

/// Dials, subscribes, and feeds `sink` until the stream is over or the connection fails.
/// `described` becomes true once the stream was seen.
pub(super) async fn watch(
    config: &Config,
    peer: &Arc<Peer>,
    sink: &mut impl Sink,
    commands: &mut mpsc::Receiver<Command>,
    described: &mut bool,
    quit: Pin<&mut impl Future<Output = ()>>,
) -> Result<Outcome, SessionError> {
    let mut quit = quit;
    let dialled = tokio::select! {
        dialled = dial(&config.address, Role::View, None, AGENT) => dialled,
        () = quit.as_mut() => return Ok(Outcome::Left(Left::Quit)),
    };
    let Dialled { mut reader, mut writer, .. } = dialled?;
    let stream = config.stream.clone();
    let ask = match config.start_us {
        Some(_) => Message::Open(Open { stream }),
        None => Message::Subscribe(Subscribe { stream, buffer_us: config.buffer_us }),
    };
    writer.write(&ask).await.map_err(|e| lost(config, e))?;
    sink.event(Event::Subscribed);
    // What was typed while nothing was there is not meant for what is there now.
    while commands.try_recv().is_ok() {}
    let (stream, rewind) = (None, None);
    let mut view = View {
        config,
        sink,
        peer,
        described,
        silent_ok: false,
        stream,
        rewind,
        room: LiveRoom::new(),
    };
    let result = tokio::select! {
        result = view.listen(&mut reader, commands) => result,
        () = quit => Ok(Heard::Quit),
    };
    let outcome = match result {
        Ok(Heard::Index(index)) => {
            let opened = Opened { reader, writer, index };
            return Ok(Outcome::Recorded(Box::new(Entry::start(opened))));
        }
        Ok(Heard::End) => Outcome::Left(Left::Over),
        Ok(Heard::Quit) => Outcome::Left(Left::Quit),
        Ok(Heard::Back(entry)) => Outcome::Recorded(entry),
        Err(error) => return Err(explain(config, error, config.start_us.is_some()).await),
    };
    let goodbye = Message::close(CloseCode::Done, "");
    let _ = timeout(GOODBYE, writer.write(&goodbye)).await;
    Ok(outcome)
}

/// What ends the listening.
enum Heard {
    /// The stream is over.
    End,
    /// It is a recording, and this is in it.
    Index(Index),
    /// What is kept of the stream is open, and the viewer goes there.
    Back(Box<Entry>),
    /// Nobody wants to listen any more.
    Quit,
}

pub(super) fn lost(config: &Config, error: ConnError) -> SessionError {
    SessionError::Connection { address: config.address.clone(), error }
}

/// Turns a refusal that a list of streams explains into one that carries it. `recorded`: a recording
/// was asked for.
pub(super) async fn explain(config: &Config, error: ConnError, recorded: bool) -> SessionError {
    let ConnError::Closed { code: Some(code), .. } = &error else { return lost(config, error) };
    let code = *code;
    if !matches!(code, CloseCode::NoSuchStream | CloseCode::AmbiguousStream) {
        return lost(config, error);
    }
    let offered = timeout(CATALOG_PATIENCE, control::catalog(&config.address)).await;
    let offered = offered.ok().and_then(Result::ok).unwrap_or_default();
    let address = config.address.clone();
    let is_there = |name: &String| offered.iter().any(|stream| stream.name == *name);
    let meant = match (&config.stream, offered.as_slice()) {
        (None, [only]) => Some(only.name.clone()),
        (named, _) => named.clone(),
    };
    if code == CloseCode::AmbiguousStream {
        SessionError::Ambiguous { address, offered }
    } else if recorded && let Some(stream) = meant.filter(is_there) {
        SessionError::NotRecorded { address, stream }
    } else {
        SessionError::NoSuchStream { address, stream: config.stream.clone(), offered }
    }
}

/// Lost is a peer that was heard on neither connection for too long. A connection may be dead though
/// the peer lives (the network was changed, a router forgot it): then the control connection was dead,
/// too, and the one that took its place excuses nothing.
pub(super) fn check_silence(
    config: &Config,
    peer: &Peer,
    heard: Stamp,
    silent_ok: bool,
) -> Result<(), ConnError> {
    let patience = &config.patience;
    let (heard, allowed) = match (peer.heard(), peer.heard_since(heard)) {
        (None, _) if silent_ok => return Ok(()),
        (None, _) => (heard, patience.silence_without_control),
        (Some(_), Some(at)) => (at.max(heard), patience.silence),
        (Some(_), None) => (heard, patience.silence),
    };
    if now().us_since(heard) > micros(allowed) {
        return Err(ConnError::Timeout(allowed));
    }
    Ok(())
}

struct View<'a, S> {
    config: &'a Config,
    sink: &'a mut S,
    peer: &'a Arc<Peer>,
    described: &'a mut bool,
    /// The source is away: packets are not to be expected.
    silent_ok: bool,
    /// What it is, once that was said.
    stream: Option<StreamDescription>,
    /// The viewer wants to go back.
    rewind: Option<Rewind>,
    room: LiveRoom,
}

impl<S: Sink> View<'_, S> {
    async fn listen(
        &mut self,
        reader: &mut Reader<OwnedReadHalf>,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Result<Heard, ConnError> {
        let mut heard = now();
        let mut asked_for_clock = false;
        loop {
            let message = tokio::select! {
                message = timeout(LOOK, reader.read()) => match message {
                    Ok(message) => message?,
                    Err(_) => {
                        self.check_silence(heard)?;
                        self.in_room();
                        continue;
                    }
                },
                Some(command) = commands.recv() => {
                    self.obey(command);
                    continue;
                }
                opened = rewind::opened(&mut self.rewind) => match opened {
                    Ok(entry) => return Ok(Heard::Back(Box::new(entry))),
                    Err(word) => {
                        word.into_iter().for_each(|word| self.sink.event(Event::Word(word)));
                        continue;
                    }
                },
            };
            if matches!(message, Message::Packet(_)) && !asked_for_clock {
                asked_for_clock = true;
                let _ = timeout(CLOCK_PATIENCE, self.peer.clock_tried()).await;
            }
            heard = now();
            self.in_room();
            if let Some(end) = self.take(message)? {
                return Ok(end);
            }
        }
    }

    /// What is to be done for a room.
    fn in_room(&mut self) {
        self.room.step(self.config, self.peer, self.stream.is_some() && !self.silent_ok);
        room::tell(self.config, self.sink, None);
    }

    /// Going back begins with opening what is kept; what is typed meanwhile is obeyed there.
    fn obey(&mut self, command: Command) {
        if self.config.seat.is_some() {
            // Each may hold the picture; what is shown is the present for all.
            if command != Command::Pause {
                let word = "a live stream in a room is shown by all as it comes".to_owned();
                self.sink.event(Event::Word(word));
            }
        } else if let Some(mut rewind) = self.rewind.take() {
            self.rewind = rewind.then(command).then_some(rewind);
        } else if let Some(stream) = &self.stream {
            let shown_us = self.sink.shown_us();
            self.rewind = Rewind::start(self.config, self.peer, stream, shown_us, command);
        }
    }

    fn check_silence(&self, heard: Stamp) -> Result<(), ConnError> {
        check_silence(self.config, self.peer, heard, self.silent_ok)
    }

    /// Hands a message on; gives what ends the listening.
    fn take(&mut self, message: Message) -> Result<Option<Heard>, ConnError> {
        let got = message.kind();
        let out_of_order = |expected| Err(ConnError::OutOfOrder { got, expected });
        match message {
            Message::Describe(description) => {
                *self.described = true;
                self.silent_ok = false;
                self.stream = Some(description.clone());
                self.sink.event(Event::Describe(description));
            }
            Message::Index(index) if !*self.described => {
                *self.described = true;
                return Ok(Some(Heard::Index(index)));
            }
            Message::Packet(_) if !*self.described => return out_of_order("Describe"),
            Message::Packet(packet) => {
                if let Some(error_us) = self.peer.clock_error_us() {
                    self.sink.clock_error_us(error_us);
                }
                self.sink.event(Event::Packet(packet, self.peer.clock()));
            }
            Message::Gap(gap) => self.sink.event(Event::Gap(gap)),
            Message::Held(held) => {
                self.silent_ok = true;
                self.sink.event(Event::Held(held.reason));
            }
            Message::Resumed => {
                self.silent_ok = false;
                self.sink.event(Event::Resumed);
            }
            Message::End => return Ok(Some(Heard::End)),
            _ => return out_of_order("a packet"),
        }
        Ok(None)
    }
}
