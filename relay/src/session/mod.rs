//! One connection that was accepted: hello, then what its role asks for, then a word of farewell.

mod beside;
mod control;
mod publish;
mod recorded;
pub(crate) mod view;

use std::time::Duration;

use proto::conn::{ConnError, Reader};
use proto::frame::{Foreign, FrameError};
use proto::message::Welcome;
use proto::{CloseCode, Message, Role, VERSIONS, limits};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use crate::node::Node;
use crate::outlet::{self, Outlet};
pub(crate) use publish::Parked;

/// Where a peer's messages come from.
pub(crate) type Inlet = Box<dyn AsyncRead + Send + Unpin>;

/// A message to a peer must be taken within this.
const WRITE: Duration = Duration::from_secs(10);
/// A farewell must be taken within this.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection past its hello.
pub(crate) struct Peer {
    pub(crate) reader: Reader<Inlet>,
    /// Elsewhere while the fan-out serves this viewer.
    pub(crate) outlet: Option<Box<dyn Outlet>>,
    /// Address, for logs.
    pub(crate) name: String,
}

/// How a session ends.
#[derive(Debug)]
pub(crate) enum End {
    /// The peer is gone without a word.
    Gone,
    /// The peer said goodbye, with its reason.
    Closed(Option<CloseCode>, String),
    /// The peer is told this.
    Refuse(CloseCode, String),
}

impl From<ConnError> for End {
    fn from(error: ConnError) -> Self {
        if let ConnError::Closed { code, reason } = error {
            return Self::Closed(code, reason);
        }
        match error.close_code() {
            Some(code) => Self::Refuse(code, error.to_string()),
            None => Self::Gone,
        }
    }
}

impl From<crate::AppendError> for End {
    fn from(error: crate::AppendError) -> Self {
        Self::Refuse(error.close_code(), error.to_string())
    }
}

impl From<std::io::Error> for End {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

impl Peer {
    /// Sends one message.
    pub(crate) async fn write(&mut self, message: &Message) -> Result<(), End> {
        self.write_raw(&message.encode()).await
    }

    /// Sends whole messages as they are on the wire.
    pub(crate) async fn write_raw(&mut self, messages: &[u8]) -> Result<(), End> {
        let Some(outlet) = self.outlet.as_deref_mut() else { return Err(End::Gone) };
        timeout(WRITE, outlet::write_all(outlet, messages)).await.map_err(|_| End::Gone)??;
        Ok(())
    }
}

/// Serves a connection to its end.
pub(crate) async fn run(node: Node, name: String, inlet: Inlet, outlet: Box<dyn Outlet>) {
    let mut peer = Peer { reader: Reader::new(inlet), outlet: Some(outlet), name };
    let ended = match Box::pin(welcome(&node, &mut peer)).await {
        Ok(role) => serve(&node, role, &mut peer).await,
        Err(end) => end,
    };
    let Peer { reader, outlet, name } = peer;
    let (inlet, first) = reader.into_parts();
    if let (End::Refuse(code, reason), Some(outlet)) = (ended, outlet) {
        if code == CloseCode::ShuttingDown {
            tracing::debug!("{name}: closed, {reason}");
        } else {
            tracing::info!("{name}: closed, {reason}");
        }
        if Foreign::recognise(&first) == Some(Foreign::Http) {
            say_goodbye(inlet, outlet, NOT_HTTP).await;
        } else {
            say_goodbye(inlet, outlet, &Message::close(code, &reason).encode()).await;
        }
    }
}

/// What a browser on the wrong port is told.
const NOT_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Connection: close\r\n\r\nThis port speaks the streaming protocol of `client --connect`, not HTTP.\n";

async fn serve(node: &Node, role: Role, peer: &mut Peer) -> End {
    let served = async {
        match role {
            Role::Control => control::run(node, peer).await,
            Role::View | Role::Relay => return view::run(node, peer, None).await,
            Role::Publish => Box::pin(publish::run(node, peer)).await,
        }
    };
    // A viewer's bytes are in the fan-out's hands: its session ends itself at a message boundary.
    let patient = matches!(role, Role::View | Role::Relay);
    tokio::select! {
        end = served => end,
        () = node.stopped(), if !patient => shutting_down(),
    }
}

/// The end of every session when the node is shut down.
pub(crate) fn shutting_down() -> End {
    End::Refuse(CloseCode::ShuttingDown, "this node is shutting down".to_owned())
}

async fn welcome(node: &Node, peer: &mut Peer) -> Result<Role, End> {
    let hello = match peer.reader.read_within(limits::HANDSHAKE).await {
        Ok(Message::Hello(hello)) if hello.magic == proto::MAGIC => hello,
        Ok(other) => {
            return Err(ConnError::OutOfOrder { got: other.kind(), expected: "Hello" }.into());
        }
        Err(ConnError::Timeout(within)) => {
            let reason = format!("no hello within {} s", within.as_secs());
            return Err(End::Refuse(CloseCode::HandshakeTimeout, reason));
        }
        // What is too long for a stranger, or makes no sense, is another protocol.
        Err(error @ (ConnError::Frame(FrameError::TooLarge { .. }) | ConnError::Decode(_))) => {
            let reason = format!("not a hello of this protocol ({error})");
            return Err(End::Refuse(CloseCode::WrongProtocol, reason));
        }
        Err(error) => return Err(error.into()),
    };
    let version = hello.max_version.min(*VERSIONS.end());
    if !VERSIONS.contains(&version) || version < hello.min_version {
        let reason = format!(
            "this node speaks versions {} to {} of the protocol, the peer {} to {}; update the older one",
            VERSIONS.start(),
            VERSIONS.end(),
            hello.min_version,
            hello.max_version
        );
        return Err(End::Refuse(CloseCode::UnsupportedVersion, reason));
    }
    if hello.role == Role::Publish {
        publish::authorise(node, hello.token.as_deref())?;
    }
    tracing::debug!("{}: {:?}, {}", peer.name, hello.role, hello.agent);
    let agent = node.agent().to_owned();
    peer.write(&Message::Welcome(Welcome { version, node: node.id(), agent })).await?;
    let publishes = hello.role == Role::Publish;
    peer.reader.trust(if publishes { limits::MESSAGE } else { limits::CONTROL });
    Ok(hello.role)
}

/// Sends last bytes so that it arrives: what the peer still sends is read and thrown away for a
/// moment, for closing a socket with unread bytes resets it and takes our words with it.
pub(crate) async fn say_goodbye(mut inlet: Inlet, mut outlet: Box<dyn Outlet>, last: &[u8]) {
    let talk = async {
        outlet::write_all(outlet.as_mut(), last).await?;
        std::future::poll_fn(|cx| outlet.poll_shutdown(cx)).await?;
        let mut rest = [0; 1024];
        while inlet.read(&mut rest).await? > 0 {}
        Ok::<(), std::io::Error>(())
    };
    let _ = timeout(FAREWELL, talk).await;
}
