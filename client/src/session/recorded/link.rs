//! The connection of a recording: asks for segments, verifies what comes, and is made anew when it
//! is lost.

use std::collections::VecDeque;
use std::sync::Arc;

use proto::conn::{ConnError, now};
use proto::dial::dial;
use proto::frame::{Decoder, Next};
use proto::message::Message;
use proto::recording::{Digest, Fetch, Index, NoSegment, Open, RecordingId, Segment};
use proto::retry::Backoff;
use proto::{CloseCode, Packet, Role, limits};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::control::Peer;
use super::super::view::{GOODBYE, LOOK, Opened, check_silence, explain, lost};
use super::super::{AGENT, Config, SessionError};

/// What the connection says, in order.
#[derive(Debug)]
pub(super) enum Said {
    /// What there is; the first after [`Said::Lost`] means that it is back.
    Index(Index),
    /// A segment, whole.
    Segment(RecordingId, u64, Vec<Packet>, usize),
    /// A segment whose bytes are not those the server said they are.
    Damaged(RecordingId, u64),
    /// A segment that cannot be had.
    Missing(RecordingId, NoSegment),
    /// The connection is lost, and with it what was asked for; it is dialled again.
    Lost(SessionError),
}

/// The connection's task, and the ways to and from it. Dropping it says goodbye to the server.
#[derive(Debug)]
pub(super) struct Link {
    /// Segments to ask for.
    pub(super) ask: Sender<Fetch>,
    /// What comes of it.
    pub(super) said: Receiver<Said>,
    task: JoinHandle<()>,
}

impl Link {
    /// Goes on with an open recording. Segments lie in memory one at a time until they are taken.
    pub(super) fn start(config: &Config, peer: &Arc<Peer>, opened: Opened) -> Self {
        let (ask, asked) = channel(limits::FETCHES);
        let (say, said) = channel(1);
        let keeper = Keeper { config: config.clone(), peer: peer.clone(), say, asked };
        Self { ask, said, task: tokio::spawn(keeper.keep(opened)) }
    }

    /// What is asked for comes from a task of another kind.
    pub(super) fn of(ask: Sender<Fetch>, said: Receiver<Said>, task: JoinHandle<()>) -> Self {
        Self { ask, said, task }
    }

    /// Says goodbye, where that is quickly done.
    pub(super) async fn close(self) {
        let Self { ask, said, mut task } = self;
        drop((ask, said));
        if timeout(GOODBYE, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// Nobody wants more.
struct Left;

struct Keeper {
    config: Config,
    /// Whether the server lives.
    peer: Arc<Peer>,
    say: Sender<Said>,
    asked: Receiver<Fetch>,
}

impl Keeper {
    async fn keep(mut self, mut opened: Opened) {
        let patience = self.config.patience;
        let mut backoff = Backoff::new(patience.first_wait, patience.longest_wait);
        loop {
            let mut error = match self.serve(&mut opened).await {
                Ok(Left) => {
                    let goodbye = Message::close(CloseCode::Done, "");
                    let _ = timeout(GOODBYE, opened.writer.write(&goodbye)).await;
                    return;
                }
                Err(error) => lost(&self.config, error),
            };
            backoff.reset();
            opened = loop {
                if self.say.send(Said::Lost(error)).await.is_err() {
                    return;
                }
                tokio::select! {
                    () = backoff.wait() => {}
                    () = self.say.closed() => return,
                }
                let again = tokio::select! {
                    again = open(&self.config, &self.peer) => again,
                    () = self.say.closed() => return,
                };
                match again {
                    Ok(opened) => break opened,
                    Err(failed) => error = failed,
                }
            };
            // What was asked for on the lost connection is void.
            while self.asked.try_recv().is_ok() {}
            if self.say.send(Said::Index(opened.index.clone())).await.is_err() {
                return;
            }
        }
    }

    /// Asks and listens until the connection fails.
    async fn serve(&mut self, opened: &mut Opened) -> Result<Left, ConnError> {
        let mut pending = VecDeque::new();
        let mut heard = now();
        loop {
            tokio::select! {
                fetch = self.asked.recv() => {
                    let Some(fetch) = fetch else { return Ok(Left) };
                    opened.writer.write(&Message::Fetch(fetch)).await?;
                    pending.push_back(fetch);
                }
                message = timeout(LOOK, opened.reader.read()) => match message {
                    Ok(message) => {
                        heard = now();
                        let said = self.understand(message?, &mut pending, opened).await?;
                        if self.say.send(said).await.is_err() {
                            return Ok(Left);
                        }
                    }
                    Err(_) => check_silence(&self.config, &self.peer, heard, pending.is_empty())?,
                },
                () = self.say.closed() => return Ok(Left),
            }
        }
    }

    async fn understand(
        &self,
        message: Message,
        pending: &mut VecDeque<Fetch>,
        opened: &mut Opened,
    ) -> Result<Said, ConnError> {
        let out_of_order =
            |got| ConnError::OutOfOrder { got, expected: "the segment that was asked for" };
        let mut answered = |number: u64, got: &'static str| {
            let fetch = pending.pop_front().filter(|fetch| fetch.segment == number);
            fetch.ok_or_else(|| out_of_order(got))
        };
        match message {
            Message::Index(index) => Ok(Said::Index(index)),
            Message::Segment(segment) => {
                let fetch = answered(segment.number, "Segment")?;
                self.segment(fetch, segment, opened).await
            }
            Message::NoSegment(none) => {
                let fetch = answered(none.number, "NoSegment")?;
                Ok(Said::Missing(fetch.id, none))
            }
            other => Err(out_of_order(other.kind())),
        }
    }

    /// Takes a segment's bytes, and believes them when their digest is right.
    async fn segment(
        &self,
        fetch: Fetch,
        segment: Segment,
        opened: &mut Opened,
    ) -> Result<Said, ConnError> {
        let bytes = segment.bytes as usize;
        let (mut heard, mut had) = (now(), opened.reader.buffered());
        let raw = loop {
            match timeout(LOOK, opened.reader.read_raw(bytes)).await {
                Ok(raw) => break raw?,
                Err(_) if opened.reader.buffered() > had => {
                    (heard, had) = (now(), opened.reader.buffered());
                }
                Err(_) => check_silence(&self.config, &self.peer, heard, false)?,
            }
        };
        if Digest::of(&raw) != segment.digest {
            return Ok(Said::Damaged(fetch.id, fetch.segment));
        }
        match packets(raw) {
            Ok(packets) => Ok(Said::Segment(fetch.id, fetch.segment, packets, bytes)),
            Err(_) => Ok(Said::Damaged(fetch.id, fetch.segment)),
        }
    }
}

/// Opens the recording on a new connection.
pub(in super::super) async fn open(config: &Config, peer: &Peer) -> Result<Opened, SessionError> {
    let mut dialled = dial(&config.address, Role::View, None, AGENT).await?;
    let open = Message::Open(Open { stream: config.stream.clone() });
    let failed = |error| lost(config, error);
    dialled.writer.write(&open).await.map_err(failed)?;
    let heard = now();
    loop {
        match timeout(LOOK, dialled.reader.read()).await {
            Err(_) => check_silence(config, peer, heard, false).map_err(failed)?,
            Ok(Ok(Message::Index(index))) => {
                let proto::dial::Dialled { reader, writer, .. } = dialled;
                return Ok(Opened { reader, writer, index });
            }
            Ok(Ok(other)) => {
                let got = other.kind();
                return Err(failed(ConnError::OutOfOrder { got, expected: "Index" }));
            }
            Ok(Err(error)) => return Err(explain(config, error, true).await),
        }
    }
}

/// The packets of a segment.
fn packets(raw: bytes::Bytes) -> Result<Vec<Packet>, ConnError> {
    let mut buffer = bytes::BytesMut::from(raw);
    let mut decoder = Decoder::new();
    decoder.set_limit(limits::MESSAGE);
    let mut packets = Vec::new();
    while !buffer.is_empty() {
        let Next::Body(body) = decoder.next(&mut buffer)? else { return Err(ConnError::Cut) };
        match Message::decode(body)? {
            Message::Packet(packet) => packets.push(packet),
            other => {
                return Err(ConnError::OutOfOrder { got: other.kind(), expected: "Packet" });
            }
        }
    }
    Ok(packets)
}

#[cfg(test)]
mod tests {
    use proto::PacketHeader;

    use super::*;

    #[test]
    fn a_segment_is_whole_packets_and_nothing_else() {
        let packet = |sequence| {
            let header = PacketHeader { sequence, ..PacketHeader::default() };
            Packet { header, payload: vec![7; 3].into() }
        };
        let bytes: Vec<u8> =
            (0..3).flat_map(|n| Message::Packet(packet(n)).encode().to_vec()).collect();
        let read = packets(bytes.clone().into()).expect("reads");
        assert_eq!(read, [packet(0), packet(1), packet(2)]);
        assert!(packets(bytes[..bytes.len() - 1].to_vec().into()).is_err());
        assert!(packets(Message::End.encode()).is_err());
        assert!(packets(Vec::new().into()).is_ok_and(|none| none.is_empty()));
    }
}
