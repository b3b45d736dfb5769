//! The view connection: subscribes, and hands on what comes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use proto::conn::{ConnError, Reader, now};
use proto::dial::{Dialled, dial};
use proto::message::Subscribe;
use proto::retry::Backoff;
use proto::time::{Stamp, micros};
use proto::{CloseCode, Message, Role};
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::timeout;

use super::control::{self, Peer};
use super::error::SessionError;
use super::{AGENT, Config, Event, Sink};

/// How long the first packet waits for the clock: without it, what it says of time is a guess.
const CLOCK_PATIENCE: Duration = Duration::from_millis(500);
/// How long a refusal waits for the catalogue that explains it.
const CATALOG_PATIENCE: Duration = Duration::from_secs(2);
/// How often the silence is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// A polite goodbye is not worth more than this.
const GOODBYE: Duration = Duration::from_millis(200);

/// How a watch ended well.
pub(super) enum Outcome {
    /// The stream is over.
    Ended,
    /// We were asked to stop.
    Quit,
}

/// Dials, subscribes, and feeds `sink` until the stream is over or the connection fails.
/// `described` becomes true once the stream was seen.
pub(super) async fn watch(
    config: &Config,
    sink: &mut impl Sink,
    described: &mut bool,
    quit: Pin<&mut impl Future<Output = ()>>,
) -> Result<Outcome, SessionError> {
    let peer = Arc::new(Peer::new());
    let _control = ControlTask::start(config, peer.clone());
    let mut quit = quit;
    let dialled = tokio::select! {
        dialled = dial(&config.address, Role::View, None, AGENT) => dialled,
        () = quit.as_mut() => return Ok(Outcome::Quit),
    };
    let Dialled { mut reader, mut writer, .. } = dialled?;
    let subscribe = Subscribe { stream: config.stream.clone(), buffer_us: config.buffer_us };
    writer.write(&Message::Subscribe(subscribe)).await.map_err(|e| lost(config, e))?;
    sink.event(Event::Subscribed);
    let mut view = View { config, sink, peer: &peer, described, silent_ok: false };
    let result = tokio::select! {
        result = view.listen(&mut reader) => result,
        () = quit => Ok(Outcome::Quit),
    };
    match result {
        Err(error) => Err(explain(config, &peer, error).await),
        Ok(outcome) => {
            let goodbye = Message::close(CloseCode::Done, "");
            let _ = timeout(GOODBYE, writer.write(&goodbye)).await;
            Ok(outcome)
        }
    }
}

fn lost(config: &Config, error: ConnError) -> SessionError {
    SessionError::Connection { address: config.address.clone(), error }
}

/// Turns a refusal that a list of streams explains into one that carries it.
async fn explain(config: &Config, peer: &Peer, error: ConnError) -> SessionError {
    let ConnError::Closed { code: Some(code), .. } = &error else { return lost(config, error) };
    let code = *code;
    if !matches!(code, CloseCode::NoSuchStream | CloseCode::AmbiguousStream) {
        return lost(config, error);
    }
    let offered = timeout(CATALOG_PATIENCE, peer.catalog()).await.unwrap_or_default();
    let address = config.address.clone();
    if code == CloseCode::AmbiguousStream {
        SessionError::Ambiguous { address, offered }
    } else {
        SessionError::NoSuchStream { address, stream: config.stream.clone(), offered }
    }
}

struct View<'a, S> {
    config: &'a Config,
    sink: &'a mut S,
    peer: &'a Peer,
    described: &'a mut bool,
    /// The source is away: packets are not to be expected.
    silent_ok: bool,
}

impl<S: Sink> View<'_, S> {
    async fn listen(&mut self, reader: &mut Reader<OwnedReadHalf>) -> Result<Outcome, ConnError> {
        let mut heard = now();
        let mut asked_for_clock = false;
        loop {
            let message = match timeout(LOOK, reader.read()).await {
                Ok(message) => message?,
                Err(_) => {
                    self.check_silence(heard)?;
                    continue;
                }
            };
            if matches!(message, Message::Packet(_)) && !asked_for_clock {
                asked_for_clock = true;
                let _ = timeout(CLOCK_PATIENCE, self.peer.clock_tried()).await;
            }
            heard = now();
            if self.take(message)? {
                return Ok(Outcome::Ended);
            }
        }
    }

    /// Lost is a peer that was heard on neither connection for too long.
    fn check_silence(&self, heard: Stamp) -> Result<(), ConnError> {
        let patience = &self.config.patience;
        let (heard, allowed) = match self.peer.heard() {
            Some(at) => (at.max(heard), patience.silence),
            None if self.silent_ok => return Ok(()),
            None => (heard, patience.silence_without_control),
        };
        if now().us_since(heard) > micros(allowed) {
            return Err(ConnError::Timeout(allowed));
        }
        Ok(())
    }

    /// Hands a message on; gives whether the stream is over.
    fn take(&mut self, message: Message) -> Result<bool, ConnError> {
        let got = message.kind();
        let out_of_order = |expected| Err(ConnError::OutOfOrder { got, expected });
        match message {
            Message::Describe(description) => {
                *self.described = true;
                self.silent_ok = false;
                self.sink.event(Event::Describe(description));
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
            Message::End => return Ok(true),
            _ => return out_of_order("a packet"),
        }
        Ok(false)
    }
}

/// The control connection's task; ends with the view it serves.
struct ControlTask(tokio::task::JoinHandle<()>);

impl ControlTask {
    fn start(config: &Config, peer: Arc<Peer>) -> Self {
        let address = config.address.clone();
        let backoff = Backoff::new(config.patience.first_wait, config.patience.longest_wait);
        Self(tokio::spawn(async move { control::keep(&address, &peer, backoff).await }))
    }
}

impl Drop for ControlTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}
