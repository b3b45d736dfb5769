//! A stream of ours pushed to a relay, from behind a NAT: we dial, the relay is our viewer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proto::clock::Filter;
use proto::dial::{DialError, dial, keep_clock};
use proto::message::ClockOffset;
use proto::{Message, Role, StreamInfo};

use crate::node::Node;
use crate::retry::Backoff;
use crate::session::view::{self, Publishing};
use crate::session::{End, Peer};

/// How often the relay is told our clock's offset.
const CLOCK: Duration = Duration::from_secs(1);

/// Why a stream cannot be pushed at all.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The relay cannot be dialled.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The relay does not take the stream.
    #[error("{relay} does not take the stream: {reason}")]
    Refused {
        /// The relay's address.
        relay: String,
        /// Its sentence.
        reason: String,
    },
    /// There is no such stream here.
    #[error("there is no stream named '{0}' to push")]
    NoSuchStream(String),
}

impl Node {
    /// Offers the stream `stream` of this node to the relay at `address`, under the name `name`,
    /// for as long as this node runs. Lost connections are dialled again.
    ///
    /// # Errors
    /// The relay refused the very first attempt for good: a wrong token, a name that is taken.
    pub async fn push(
        &self,
        address: &str,
        stream: &str,
        name: &str,
        token: Option<String>,
    ) -> Result<(), PushError> {
        let missing = || PushError::NoSuchStream(stream.to_owned());
        let stream = self.stream(stream).ok_or_else(missing)?;
        let publishing = Publishing { stream, current: Mutex::default() };
        let push = Push { node: self, address, name, token, publishing };
        tokio::select! {
            error = push.keep_going() => Err(error),
            () = self.stopped() => Ok(()),
        }
    }
}

struct Push<'a> {
    node: &'a Node,
    address: &'a str,
    name: &'a str,
    token: Option<String>,
    publishing: Publishing,
}

impl Push<'_> {
    async fn keep_going(&self) -> PushError {
        let mut backoff = Backoff::default();
        let mut taken_before = false;
        loop {
            let relay = self.address;
            match self.once(&mut taken_before).await {
                Err(error) if taken_before || worth_retrying(&error) => {
                    tracing::warn!("push: {error}; dialling again");
                }
                Err(error) => return error,
                Ok(End::Refuse(code, reason)) if !taken_before && !code.worth_retrying() => {
                    return PushError::Refused { relay: relay.to_owned(), reason };
                }
                Ok(_) => tracing::warn!("push: the connection to {relay} was lost; dialling again"),
            }
            backoff.wait().await;
        }
    }

    /// One connection, until it is lost.
    async fn once(&self, taken_before: &mut bool) -> Result<End, PushError> {
        let agent = self.node.agent();
        let mut control = dial(self.address, Role::Control, None, agent).await?;
        let dialled = dial(self.address, Role::Publish, self.token.clone(), agent).await?;
        let mut peer = Peer {
            reader: dialled.reader.map(|read| Box::new(read) as _),
            outlet: Some(Box::new(dialled.writer.into_inner())),
            name: self.address.to_owned(),
        };
        let clock: Arc<Mutex<Filter>> = Arc::default();
        let serve = async {
            wait_until_settled(&clock).await;
            let info = StreamInfo { name: self.name.to_owned(), ..self.publishing.stream.info() };
            if let Err(end) = peer.write(&Message::Publish(info)).await {
                return end;
            }
            if let Err(end) = peer.write(&offset(&clock)).await {
                return end;
            }
            tracing::info!("push: '{}' is offered at {}", self.name, self.address);
            tokio::select! {
                end = view::run(self.node, &mut peer, Some(&self.publishing)) => end,
                () = self.keep_telling_the_clock(&clock, taken_before) => End::Gone,
            }
        };
        tokio::select! {
            end = serve => Ok(end),
            _ = keep_clock(&mut control, &clock, |_| {}) => Ok(End::Gone),
        }
    }

    async fn keep_telling_the_clock(&self, clock: &Mutex<Filter>, taken_before: &mut bool) {
        loop {
            tokio::time::sleep(CLOCK).await;
            // The relay has not closed the connection: the stream is taken.
            *taken_before = true;
            let current = self.publishing.current.lock().unwrap_or_else(|e| e.into_inner()).clone();
            if let Some(current) = current {
                current.post(&offset(clock));
            }
        }
    }
}

fn worth_retrying(error: &PushError) -> bool {
    matches!(error, PushError::Dial(error) if error.worth_retrying())
}

/// What the relay adds to our stamps to get its own: its clock minus ours.
fn offset(clock: &Mutex<Filter>) -> Message {
    let now = proto::conn::now();
    let offset = clock.lock().unwrap_or_else(|e| e.into_inner()).offset(now);
    Message::ClockOffset(ClockOffset { offset_us: offset.unwrap_or_default() })
}

async fn wait_until_settled(clock: &Mutex<Filter>) {
    while !clock.lock().unwrap_or_else(|e| e.into_inner()).is_settled() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
