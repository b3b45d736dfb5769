//! Receiving a stream from another node into a log of ours: on demand, across lost connections,
//! with the times put on this node's clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proto::clock::Filter;
use proto::conn::{ConnError, now};
use proto::message::Subscribe;
use proto::time::{Offset, Stamp};
use proto::{Message, Packet, StreamDescription};

use crate::node::Node;
use crate::session::{End, Peer};
use crate::source::{Source, Writer};

/// How stamps of the sender become ours.
#[derive(Clone)]
pub(crate) enum Restamp {
    /// We ping the sender: its clock as estimated at this moment.
    Estimated(Arc<Mutex<Filter>>),
    /// The sender pings us and tells what to add.
    Told(Offset),
}

impl Restamp {
    /// A sender that has said nothing yet.
    pub(crate) fn fixed() -> Self {
        Self::Told(Offset(0))
    }

    fn to_local(&self, remote: Stamp) -> Stamp {
        match self {
            Self::Estimated(filter) => {
                let offset = filter.lock().unwrap_or_else(|e| e.into_inner()).offset(now());
                remote - offset.unwrap_or_default()
            }
            Self::Told(offset) => remote + *offset,
        }
    }
}

/// The receiving end of one stream. Outlives connections: viewers keep their log.
pub(crate) struct Receiver {
    restamp: Restamp,
    writer: Option<Writer>,
    held: bool,
    /// Whether a description came since somebody asked.
    described: bool,
}

impl Receiver {
    pub(crate) fn new(restamp: Restamp) -> Self {
        Self { restamp, writer: None, held: false, described: false }
    }

    /// Tells the viewers that the sender is away.
    pub(crate) fn hold(&mut self, reason: &str) {
        if let Some(writer) = self.writer.as_mut().filter(|_| !self.held) {
            writer.hold(reason);
            self.held = true;
        }
    }

    /// No more of it: the log ends.
    fn end(&mut self) {
        self.writer = None;
        self.held = false;
    }

    /// Whether the stream came through since this was asked last.
    pub(crate) fn take_described(&mut self) -> bool {
        std::mem::take(&mut self.described)
    }

    /// Ends the log unless somebody watches it; whether it is ended.
    pub(crate) fn end_if_unwatched(&mut self) -> bool {
        let ended = self.writer.as_ref().is_none_or(Writer::end_if_unwatched);
        if ended {
            self.end();
        }
        ended
    }

    /// Waits for a viewer, subscribes, and receives until the stream ends or nobody watches it any
    /// more. The connection can then be used again.
    pub(crate) async fn follow(
        &mut self,
        node: &Node,
        peer: &mut Peer,
        source: &Source,
        name: &str,
    ) -> Result<(), End> {
        self.end_if_unwatched();
        let mut viewers = source.viewers();
        loop {
            tokio::select! {
                () = wanted(&mut viewers) => break,
                // Nothing but goodbyes and the clock come while nobody watches.
                message = peer.reader.read() => self.take_aside(message?)?,
            }
        }
        let subscribe = Subscribe { stream: Some(name.to_owned()), buffer_us: 0 };
        peer.write(&Message::Subscribe(subscribe)).await?;
        self.receive(node, peer, source).await
    }

    /// Messages that may come at any time.
    fn take_aside(&mut self, message: Message) -> Result<(), End> {
        match message {
            // Only a publisher tells; of an origin we know better.
            Message::ClockOffset(told) if matches!(self.restamp, Restamp::Told(_)) => {
                self.restamp = Restamp::Told(told.offset_us);
                Ok(())
            }
            other => {
                Err(ConnError::OutOfOrder { got: other.kind(), expected: "ClockOffset" }.into())
            }
        }
    }

    async fn receive(&mut self, node: &Node, peer: &mut Peer, source: &Source) -> Result<(), End> {
        /// How often a wish for a key frame is looked for.
        const WISHES: Duration = Duration::from_millis(100);
        let linger = node.limits().linger;
        let mut lonely = Box::pin(unwatched(source, linger));
        let mut wishes = tokio::time::interval(WISHES);
        let mut leaving = false;
        loop {
            tokio::select! {
                message = peer.reader.read() => match message? {
                    Message::End => {
                        self.end();
                        return Ok(());
                    }
                    // What was under way when we left.
                    _ if leaving => {}
                    message => self.take(message, source)?,
                },
                () = &mut lonely, if !leaving => {
                    leaving = self.end_if_unwatched();
                    if leaving {
                        peer.write(&Message::Unsubscribe).await?;
                    } else {
                        lonely = Box::pin(unwatched(source, linger));
                    }
                }
                _ = wishes.tick() => {
                    if self.writer.as_ref().is_some_and(Writer::take_key_frame_request) {
                        peer.write(&Message::KeyFrameWanted).await?;
                    }
                }
            }
        }
    }

    /// Takes one message of a subscription.
    fn take(&mut self, message: Message, source: &Source) -> Result<(), End> {
        match message {
            Message::Describe(description) => self.describe(description, source)?,
            Message::Packet(packet) => self.append(packet)?,
            // The hole in the sequence numbers tells our own viewers.
            Message::Gap(gap) => tracing::warn!(
                "'{}': {} packets were missed, the way here is too slow",
                source.name(),
                gap.packets
            ),
            Message::Held(held) => self.hold(&held.reason),
            Message::Resumed => self.resume(),
            other => self.take_aside(other)?,
        }
        Ok(())
    }

    fn resume(&mut self) {
        if let Some(writer) = self.writer.as_mut().filter(|_| self.held) {
            writer.resume();
            self.held = false;
        }
    }

    fn describe(&mut self, description: StreamDescription, source: &Source) -> Result<(), End> {
        let description = StreamDescription { name: source.name().to_owned(), ..description };
        self.described = true;
        match &self.writer {
            None => self.writer = Some(source.start_run(description, true)?),
            Some(writer) if writer.log().description() == description => {}
            Some(writer) => writer.describe_as(description)?,
        }
        self.resume();
        Ok(())
    }

    fn append(&mut self, mut packet: Packet) -> Result<(), End> {
        let Some(writer) = &mut self.writer else {
            let order = ConnError::OutOfOrder { got: "Packet", expected: "Describe" };
            return Err(order.into());
        };
        // After a lost connection the newest GOP comes again: what is in the log stays out.
        if packet.header.sequence < writer.log().next_sequence() {
            return Ok(());
        }
        packet.header.captured_at_us = self.restamp.to_local(packet.header.captured_at_us);
        Ok(writer.append(packet)?)
    }
}

async fn wanted(viewers: &mut tokio::sync::watch::Receiver<usize>) {
    // The sender lives as long as the source.
    let _ = viewers.wait_for(|n| *n > 0).await;
}

/// Returns when nobody has watched for `linger`.
pub(crate) async fn unwatched(source: &Source, linger: Duration) {
    let mut viewers = source.viewers();
    loop {
        if viewers.wait_for(|n| *n == 0).await.is_err() {
            return;
        }
        let again = viewers.wait_for(|n| *n > 0);
        if tokio::time::timeout(linger, again).await.is_err() {
            return;
        }
    }
}
