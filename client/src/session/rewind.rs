//! The way from a live stream to what is kept of it.
//!
//! What is kept is opened on a connection of its own while the stream goes on: where nothing is kept,
//! nobody misses a picture.

use std::sync::Arc;

use proto::StreamDescription;
use proto::conn::now;
use proto::time::Stamp;
use tokio::task::JoinHandle;

use super::control::Peer;
use super::recorded::{Entry, link};
use super::view::Opened;
use super::{COMMANDS, Command, Config, SessionError};

/// What is kept of a stream is being opened. Dropping it gives up.
pub(super) struct Rewind {
    opening: Opening,
    from: FromLive,
}

/// The task; ends with whoever waits for it.
struct Opening(JoinHandle<Result<Opened, SessionError>>);

/// How somebody came from a live stream into its past.
#[derive(Debug)]
pub(super) struct FromLive {
    /// When.
    pub(super) at: Stamp,
    /// What the stream was.
    pub(super) described: StreamDescription,
    /// What was shown then, microseconds on the stream's timeline.
    pub(super) shown_us: Option<i64>,
    /// What is to be done there: at least one.
    pub(super) commands: Vec<Command>,
}

impl Rewind {
    /// Begins it where `command` leads back from the present; what does not is no command for a
    /// live stream.
    pub(super) fn start(
        config: &Config,
        peer: &Arc<Peer>,
        described: &StreamDescription,
        shown_us: Option<i64>,
        command: Command,
    ) -> Option<Self> {
        let back = match command {
            Command::Pause | Command::Home => true,
            Command::Skip(by_us) => by_us < 0,
            Command::End | Command::Faster | Command::Slower => false,
        };
        let described = described.clone();
        let stream = config.stream.clone().or_else(|| Some(described.name.clone()));
        let config = Config { stream, ..config.clone() };
        let peer = peer.clone();
        back.then(|| Self {
            opening: Opening(tokio::spawn(async move { link::open(&config, &peer).await })),
            from: FromLive { at: now(), described, shown_us, commands: vec![command] },
        })
    }

    /// Something else is wanted, too; gives whether there is any reason left to go back.
    pub(super) fn then(&mut self, command: Command) -> bool {
        if self.from.commands.len() < COMMANDS {
            self.from.commands.push(command);
        }
        self.from.commands != [Command::Pause, Command::Pause]
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits until what is kept is open; `Err` where it cannot be, with what to say of it. Waits for ever
/// where nobody wants to go back.
pub(super) async fn opened(rewind: &mut Option<Rewind>) -> Result<Entry, Option<String>> {
    let opened = match rewind {
        Some(rewind) => (&mut rewind.opening.0).await,
        None => std::future::pending().await,
    };
    let Some(Rewind { from, .. }) = rewind.take() else { return Err(None) };
    let paused = from.commands.iter().all(|command| *command == Command::Pause);
    match opened {
        Ok(Ok(opened)) => Ok(Entry::from_live(opened, from)),
        // A live stream is paused without any of it being kept: then it goes on with the present.
        Ok(Err(SessionError::NotRecorded { .. })) if paused => Err(None),
        Ok(Err(SessionError::NotRecorded { stream, .. })) => {
            Err(Some(format!("nothing of '{stream}' is kept (a relay with --dvr would)")))
        }
        Ok(Err(error)) => Err(Some(format!("cannot go back: {error}"))),
        Err(_) => Err(Some("cannot go back".to_owned())),
    }
}
