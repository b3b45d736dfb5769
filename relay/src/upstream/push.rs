//! A stream of ours pushed to a relay, from behind a NAT: we dial, the relay is our viewer.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use proto::clock::Filter;
use proto::dial::{DialError, dial, keep_clock};
use proto::retry::Backoff;
use proto::{CloseCode, Message, Role, StreamInfo};

use super::Complaint;
use crate::node::Node;
use crate::session::view::{self, Publishing};
use crate::session::{End, Peer};

/// How often the relay is told our clock's offset.
const CLOCK: Duration = Duration::from_secs(1);
/// A relay notices within this that a publisher vanished without a word; until then its name is
/// taken.
const NAME_PATIENCE: Duration = Duration::from_secs(25);

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
        let publishing = Publishing::new(stream);
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
        let started = Instant::now();
        let mut backoff = Backoff::default();
        let mut taken_before = false;
        let mut complaint = Complaint::default();
        loop {
            let mut taken = false;
            let served = self.once(&mut taken).await;
            if taken {
                taken_before = true;
                backoff.reset();
                complaint.clear();
            }
            // Ourselves of a moment ago may still be on the relay's books.
            let may_wait = |code| code == CloseCode::NameTaken && started.elapsed() < NAME_PATIENCE;
            match served {
                Err(error) if !taken_before && !worth_retrying(&error) => return error,
                Ok(End::Closed(Some(code), reason))
                    if !taken_before && !code.worth_retrying() && !may_wait(code) =>
                {
                    return PushError::Refused { relay: self.address.to_owned(), reason };
                }
                Err(error) => complaint.say(format!("push: {error}")),
                Ok(End::Gone) => {
                    complaint.say(format!("push: the connection to {} was lost", self.address));
                }
                Ok(End::Closed(_, reason) | End::Refuse(_, reason)) => {
                    complaint.say(format!("push to {}: {reason}", self.address));
                }
            }
            backoff.wait().await;
        }
    }

    /// One connection, until it is lost. `taken` tells whether the relay took the stream.
    async fn once(&self, taken: &mut bool) -> Result<End, PushError> {
        let agent = self.node.agent();
        let clock = &self.publishing.clock;
        *clock.lock().unwrap_or_else(|e| e.into_inner()) = Filter::new();
        let mut control = dial(self.address, Role::Control, None, agent).await?;
        let dialled = dial(self.address, Role::Publish, self.token.clone(), agent).await?;
        let mut peer = Peer {
            reader: dialled.reader.map(|read| Box::new(read) as _),
            outlet: Some(Box::new(dialled.writer.into_inner())),
            name: self.address.to_owned(),
        };
        let serve = async {
            wait_until_settled(clock).await;
            let info = StreamInfo { name: self.name.to_owned(), ..self.publishing.stream.info() };
            for message in [Message::Publish(info), self.publishing.clock_offset()] {
                if let Err(end) = peer.write(&message).await {
                    return end;
                }
            }
            tokio::select! {
                end = view::run(self.node, &mut peer, Some(&self.publishing)) => end,
                () = self.keep_telling_the_clock(taken) => End::Gone,
            }
        };
        tokio::select! {
            end = serve => Ok(end),
            _ = keep_clock(&mut control, clock, |_| {}) => Ok(End::Gone),
        }
    }

    async fn keep_telling_the_clock(&self, taken: &mut bool) {
        loop {
            tokio::time::sleep(CLOCK).await;
            // The relay has not closed the connection: the stream is taken.
            if !std::mem::replace(taken, true) {
                tracing::info!("push: '{}' is offered at {}", self.name, self.address);
            }
            self.publishing.tell_clock();
        }
    }
}

fn worth_retrying(error: &PushError) -> bool {
    matches!(error, PushError::Dial(error) if error.worth_retrying())
}

async fn wait_until_settled(clock: &Mutex<Filter>) {
    while !clock.lock().unwrap_or_else(|e| e.into_inner()).is_settled() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
