//! The connections to a server: what it says becomes events, and what is lost is dialled again.
//!
//! ```text
//! control   the connection for the clock and the catalogue
//! view      the connection for the stream
//! room      getting into a room, and out of it
//! rewind    the way from a live stream to what is kept of it
//! recorded  the same for a recording: what is fetched, and when it is fed
//! error     why it cannot go on, in a sentence with the way out
//! ```
//!
//! One session owns every retry. Until the stream was seen once, a failure ends it; from then on it
//! comes back for ever.

pub mod control;
mod error;
mod recorded;
mod rewind;
mod room;
mod view;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use proto::message::Gap;
use proto::retry::Backoff;
use proto::{Packet, StreamDescription};
use tokio::sync::{Notify, mpsc};

pub use error::SessionError;

use control::{ControlTask, Peer};

use crate::cue::Cue;
use crate::local::Local;
use crate::progress::Progress;
use crate::room::Seat;
use crate::timeline::{PeerClock, Schedule};

/// Program and version, for the server's log.
const AGENT: &str = concat!("client/", env!("CARGO_PKG_VERSION"));

/// What to watch.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where, HOST:PORT.
    pub address: String,
    /// Which; `None` for the only one there is.
    pub stream: Option<String>,
    /// How much the player buffers, microseconds.
    pub buffer_us: u32,
    /// A recording is wanted, from here on; `None` for what there is, a recording from its start.
    /// Microseconds from its start.
    pub start_us: Option<i64>,
    /// How far ahead of its position a recording is fetched, microseconds.
    pub ahead_us: i64,
    /// The viewer's place in a room, if it watches together with others.
    pub seat: Option<Arc<Seat>>,
    /// A movie of the viewer's own, shown in place of the room's stream.
    pub local: Option<Arc<Local>>,
    /// When what is shown: the player's.
    pub schedule: Arc<Schedule>,
    /// When to take a silent connection for lost, and how fast to come back.
    pub patience: Patience,
}

/// Deadlines of a session.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Nothing heard on either connection for so long: it is lost. The server answers four pings a
    /// second.
    pub silence: Duration,
    /// The same, when the server never took the control connection.
    pub silence_without_control: Duration,
    /// First wait before dialling again; it doubles up to [`Patience::longest_wait`].
    pub first_wait: Duration,
    /// Longest wait before dialling again.
    pub longest_wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(5),
            silence_without_control: Duration::from_secs(15),
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(5),
        }
    }
}

/// What a session tells the player, in order.
#[derive(Debug)]
pub enum Event {
    /// The stream was asked for; what was captured earlier is backlog.
    Subscribed,
    /// What the packets that follow are.
    Describe(StreamDescription),
    /// It is a recording, of this; nothing of it is here yet.
    Open(StreamDescription),
    /// One coded frame, and the server's clock as it is known now.
    Packet(Packet, Option<PeerClock>),
    /// Packets were left out because we were too far behind.
    Gap(Gap),
    /// From now on a recording is played like this; what was fed before is void.
    Cue(Cue),
    /// How far a recording is played.
    Progress(Progress),
    /// A recording stops until more of it has come, with the reason.
    Buffering(String),
    /// Something about a recording, for people.
    Word(String),
    /// Something from the room, for people.
    Said(String),
    /// What others type to come into the room that was made.
    Invitation(String),
    /// The last packet of a recording was handed on; it is still to be played.
    AllFed,
    /// The source is away, with the reason.
    Held(String),
    /// The source is back, or enough of the recording is there.
    Resumed,
    /// The connection is lost; it is dialled again.
    Lost(SessionError),
    /// The stream is over.
    Ended,
}

/// Where a session's events go. Called on the session's task: it must not block.
pub trait Sink: Send {
    /// Takes one in.
    fn event(&mut self, event: Event);
    /// The clock's error bound, microseconds, when it is known better.
    fn clock_error_us(&mut self, error_us: f64);
    /// Whether it can take more of a recording without dropping any.
    fn has_room(&self) -> bool {
        true
    }
    /// Whether it shows the picture of a recording that stands still.
    fn shows_still(&self) -> bool {
        true
    }
    /// What is shown of a live stream now, microseconds on the stream's timeline.
    fn shown_us(&self) -> Option<i64> {
        None
    }
}

/// What the viewer of a recording wants. In a live stream pause, home and going back open what is
/// kept of it; from there its end leads back to the live stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command {
    /// Stand still, or go on where it stands.
    Pause,
    /// So far from where it is, microseconds.
    Skip(i64),
    /// To the start.
    Home,
    /// To just before the end; of a live stream, to the present.
    End,
    /// A step faster.
    Faster,
    /// A step slower.
    Slower,
}

/// Most commands that wait: nobody types faster.
pub const COMMANDS: usize = 64;

/// Why something is not watched any more, when nothing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// It is over.
    Over,
    /// We were asked to stop.
    Quit,
    /// The viewer has come from the past of a live stream to its present.
    ToLive,
}

/// Watches a stream until it is over, `quit` is notified, or it cannot even be started.
pub async fn run(
    config: &Config,
    sink: &mut impl Sink,
    commands: &mut mpsc::Receiver<Command>,
    quit: Arc<Notify>,
) -> Result<(), SessionError> {
    let peer = Arc::new(Peer::new());
    let _control = ControlTask::start(config, peer.clone());
    let quit = quit.notified();
    tokio::pin!(quit);
    match &config.seat {
        Some(seat) => room::run(config, seat, &peer, sink, commands, quit).await,
        None => watch(config, &peer, sink, commands, quit).await,
    }
}

/// Watches a stream, over as many connections as it takes.
async fn watch(
    config: &Config,
    peer: &Arc<Peer>,
    sink: &mut impl Sink,
    commands: &mut mpsc::Receiver<Command>,
    mut quit: Pin<&mut impl Future<Output = ()>>,
) -> Result<(), SessionError> {
    let mut config = config.clone();
    let mut backoff = Backoff::new(config.patience.first_wait, config.patience.longest_wait);
    let mut ever_described = false;
    loop {
        let mut described = false;
        let watched =
            view::watch(&config, peer, sink, commands, &mut described, quit.as_mut()).await;
        ever_described |= described;
        let outcome = match watched {
            Ok(view::Outcome::Recorded(entry)) => {
                // By its name from now on: what is kept of it may become a stream beside it.
                config.stream = config.stream.or_else(|| entry.stream());
                Ok(recorded::run(&config, peer, sink, commands, *entry, quit.as_mut()).await)
            }
            Ok(view::Outcome::Left(left)) => Ok(left),
            Err(error) => Err(error),
        };
        let error = match outcome {
            Ok(Left::Over) => {
                sink.event(Event::Ended);
                return Ok(());
            }
            Ok(Left::Quit) => return Ok(()),
            Ok(Left::ToLive) => {
                config.start_us = None;
                backoff.reset();
                continue;
            }
            Err(error) => error,
        };
        if !ever_described {
            return Err(error);
        }
        if described {
            backoff.reset();
        }
        sink.event(Event::Lost(error));
        tokio::select! {
            () = tokio::time::sleep(backoff.step()) => {}
            () = quit.as_mut() => return Ok(()),
        }
    }
}
