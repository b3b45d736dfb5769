//! The wire on a tokio socket: reads and writes whole messages, keeps limits and deadlines.

use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::frame::{Decoder, FrameError, Next};
use crate::message::{Close, DecodeError, Welcome};
use crate::recording::Segment;
use crate::time::{Stamp, micros};
use crate::{CloseCode, Message, Role, limits};

/// Smallest step the receive buffer grows by, bytes.
const STEP: usize = 4 << 10;
/// Largest step: a claimed length alone makes us allocate no more than this.
const LARGEST_STEP: usize = 256 << 10;

/// This process's clock: the wall read once, then counted on monotonically.
#[must_use]
pub fn now() -> Stamp {
    static START: OnceLock<(Instant, i64)> = OnceLock::new();
    let (started, base) = START.get_or_init(|| {
        let wall = std::time::SystemTime::now();
        let since = wall.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        (Instant::now(), micros(since))
    });
    Stamp(base.saturating_add(micros(started.elapsed())))
}

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ConnError {
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The peer sent a length that cannot be.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The peer sent a body that is not a message.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The peer said goodbye, with its reason.
    #[error("{reason}")]
    Closed {
        /// `None` for a number this version does not know.
        code: Option<CloseCode>,
        /// The peer's sentence, or the code's own.
        reason: String,
    },
    /// The peer was gone without a word.
    #[error("the connection was cut")]
    Cut,
    /// Nothing came (or nothing could be sent) in time.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// A message that may not stand here.
    #[error("a {got} message where {expected} was expected")]
    OutOfOrder {
        /// What came.
        got: &'static str,
        /// What may come.
        expected: &'static str,
    },
}

impl ConnError {
    /// What to tell the peer, where telling makes sense.
    #[must_use]
    pub fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::Frame(error) => Some(error.close_code()),
            Self::Decode(error) => Some(error.close_code()),
            Self::OutOfOrder { .. } => Some(CloseCode::OutOfOrder),
            Self::Timeout(_) => Some(CloseCode::IdleTimeout),
            Self::Io(_) | Self::Closed { .. } | Self::Cut => None,
        }
    }
}

/// Reads messages.
#[derive(Debug)]
pub struct Reader<R> {
    io: R,
    buffer: BytesMut,
    decoder: Decoder,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Starts with the limit for strangers; see [`Reader::trust`].
    pub fn new(io: R) -> Self {
        Self { io, buffer: BytesMut::new(), decoder: Decoder::new() }
    }

    /// The peer has said hello: messages up to `limit` bytes from now on.
    pub fn trust(&mut self, limit: usize) {
        self.decoder.set_limit(limit);
    }

    /// The next message; [`ConnError::Cut`] when there is none. Safe to cancel.
    ///
    /// A [`Message::Close`] comes back as [`ConnError::Closed`].
    pub async fn read(&mut self) -> Result<Message, ConnError> {
        loop {
            match self.decoder.next(&mut self.buffer)? {
                Next::Body(body) => {
                    return match Message::decode(body)? {
                        Message::Close(close) => Err(closed(close)),
                        message => Ok(message),
                    };
                }
                Next::Missing(bytes) => {
                    if !self.receive(bytes).await? {
                        let foreign = self.decoder.foreign(&self.buffer);
                        return Err(foreign.map_or(ConnError::Cut, |foreign| {
                            ConnError::Frame(FrameError::Foreign(foreign))
                        }));
                    }
                }
            }
        }
    }

    /// The next `bytes` bytes as they came: whole messages whose length was announced, wanted as
    /// they are on the wire. `bytes` is the caller's to bound. Safe to cancel.
    pub async fn read_raw(&mut self, bytes: usize) -> Result<Bytes, ConnError> {
        while self.buffer.len() < bytes {
            if !self.receive(bytes - self.buffer.len()).await? {
                return Err(ConnError::Cut);
            }
        }
        Ok(self.buffer.split_to(bytes).freeze())
    }

    /// How many bytes have come of what is read next: grows while a long message arrives.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Waits for more, of which `missing` bytes at least are needed; false when nothing will come.
    async fn receive(&mut self, missing: usize) -> Result<bool, ConnError> {
        // Doubling: a peer that claims much but sends little costs little.
        let step = missing.min(self.buffer.len().max(STEP)).min(LARGEST_STEP);
        self.buffer.reserve(step.max(STEP));
        Ok(self.io.read_buf(&mut self.buffer).await? != 0)
    }

    /// As [`Reader::read`], but the whole message must be here within `deadline`.
    pub async fn read_within(&mut self, deadline: Duration) -> Result<Message, ConnError> {
        timeout(deadline, self.read()).await.map_err(|_| ConnError::Timeout(deadline))?
    }

    /// The packets that follow a [`Segment`], as the bytes they came as: at least as many as it says,
    /// more only from a peer that is wrong, which their digest tells. Each must come within
    /// `deadline`. Not safe to cancel.
    pub async fn segment(&mut self, head: Segment, deadline: Duration) -> Result<Bytes, ConnError> {
        let length = (head.bytes as usize).min(limits::SEGMENT);
        // What a peer claims costs nothing before it comes.
        let mut bytes = BytesMut::with_capacity(length.min(LARGEST_STEP));
        while bytes.len() < length {
            match self.read_within(deadline).await? {
                packet @ Message::Packet(_) => packet.encode_into(&mut bytes),
                other => {
                    return Err(ConnError::OutOfOrder { got: other.kind(), expected: "Packet" });
                }
            }
        }
        Ok(bytes.freeze())
    }

    /// The same reader with its socket made into something else, say a box.
    pub fn map<S>(self, make: impl FnOnce(R) -> S) -> Reader<S> {
        Reader { io: make(self.io), buffer: self.buffer, decoder: self.decoder }
    }

    /// The socket and what was already read of the next message.
    pub fn into_parts(self) -> (R, BytesMut) {
        (self.io, self.buffer)
    }
}

/// Writes messages.
#[derive(Debug)]
pub struct Writer<W> {
    io: W,
    deadline: Duration,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// Every write must be taken by the peer within `deadline`.
    pub fn new(io: W, deadline: Duration) -> Self {
        Self { io, deadline }
    }

    /// Sends one message.
    pub async fn write(&mut self, message: &Message) -> Result<(), ConnError> {
        let bytes = message.encode();
        timeout(self.deadline, self.io.write_all(&bytes))
            .await
            .map_err(|_| ConnError::Timeout(self.deadline))??;
        Ok(())
    }

    /// The socket, for bytes that are whole messages already.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.io
    }

    /// The socket.
    pub fn into_inner(self) -> W {
        self.io
    }
}

/// Says hello and waits for the welcome: the first exchange of whoever dialled.
pub async fn greet<R, W>(
    reader: &mut Reader<R>,
    writer: &mut Writer<W>,
    role: Role,
    token: Option<String>,
    agent: &str,
) -> Result<Welcome, ConnError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    writer.write(&Message::hello(role, token, agent)).await?;
    match reader.read_within(limits::HANDSHAKE).await? {
        Message::Welcome(welcome) if crate::VERSIONS.contains(&welcome.version) => {
            reader.trust(limits::MESSAGE);
            Ok(welcome)
        }
        other => Err(ConnError::OutOfOrder { got: other.kind(), expected: "Welcome" }),
    }
}

fn closed(close: Close) -> ConnError {
    let code = CloseCode::from_number(close.code);
    let reason = match code {
        Some(code) if close.reason.is_empty() => code.to_string(),
        _ => close.reason,
    };
    ConnError::Closed { code, reason }
}
