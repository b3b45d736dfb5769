//! Dialling a peer: name, socket, hello. Every failure is a sentence for a person.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::conn::{ConnError, Reader, Writer, greet};
use crate::frame::FrameError;
use crate::message::Welcome;
use crate::{CloseCode, DEFAULT_PORT, Role, conn};

/// A host that has not answered by then is not there.
const CONNECT: Duration = Duration::from_secs(5);
/// Every write must be taken within this.
const WRITE: Duration = Duration::from_secs(10);

/// A connection that has said and heard hello.
#[derive(Debug)]
pub struct Dialled {
    /// What the peer says.
    pub reader: Reader<OwnedReadHalf>,
    /// What we say.
    pub writer: Writer<OwnedWriteHalf>,
    /// The peer's answer.
    pub welcome: Welcome,
}

/// Why a peer cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The text is not `HOST` or `HOST:PORT`.
    #[error(
        "'{0}' is not a host or HOST:PORT (an IPv6 address with a port goes in brackets: [::1]:9999)"
    )]
    Address(String),
    /// The name does not resolve.
    #[error("no host named '{0}' was found; check the name or use its IP address")]
    NotFound(String),
    /// The host is there, the port is closed.
    #[error("{0} refused the connection; is a server or relay running there, on that port?")]
    Refused(String),
    /// No answer, or no way there.
    #[error("{peer} cannot be reached ({error}); check the address, the network and the firewall")]
    Unreachable {
        /// The address dialled.
        peer: String,
        /// The system's word.
        error: io::Error,
    },
    /// Something else listens there.
    #[error(
        "{peer} speaks {protocol}, not this protocol; is {peer} the right port? (servers and relays listen on {DEFAULT_PORT})"
    )]
    Foreign {
        /// The address dialled.
        peer: String,
        /// What it speaks, as far as can be told.
        protocol: String,
    },
    /// The peer refused, with its reason.
    #[error("{peer}: {reason}")]
    Closed {
        /// The address dialled.
        peer: String,
        /// Its number, if this version knows it.
        code: Option<CloseCode>,
        /// Its sentence.
        reason: String,
    },
    /// The conversation broke off.
    #[error("{peer} does not answer as a server or relay ({error}); is it the right port?")]
    Conn {
        /// The address dialled.
        peer: String,
        /// What happened.
        error: ConnError,
    },
}

impl DialError {
    /// Whether dialling again later can help.
    #[must_use]
    pub fn worth_retrying(&self) -> bool {
        match self {
            Self::Address(_) | Self::Foreign { .. } => false,
            Self::Closed { code, .. } => code.is_some_and(CloseCode::worth_retrying),
            _ => true,
        }
    }
}

/// `HOST`, `HOST:PORT`, `ADDRESS`, `[V6]:PORT` or bare `V6` as host and port.
pub fn parse_address(text: &str) -> Result<(String, u16), DialError> {
    let wrong = || DialError::Address(text.to_owned());
    let port = |digits: &str| digits.parse().ok().filter(|p| *p != 0).ok_or_else(wrong);
    if let Ok(v6) = text.parse::<std::net::Ipv6Addr>() {
        return Ok((v6.to_string(), DEFAULT_PORT));
    }
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or_else(wrong)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
        match after.strip_prefix(':') {
            Some(digits) => (host, port(digits)?),
            None if after.is_empty() => (host, DEFAULT_PORT),
            None => return Err(wrong()),
        }
    } else {
        match text.rsplit_once(':') {
            Some((host, digits)) => (host, port(digits)?),
            None => (text, DEFAULT_PORT),
        }
    };
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"/@[]".contains(c);
    let is_v6 = host.parse::<std::net::Ipv6Addr>().is_ok();
    if host.is_empty() || !host.chars().all(plain) || (host.contains(':') && !is_v6) {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

/// Dials `address` (see [`parse_address`]) and says hello.
///
/// # Errors
/// See [`DialError`].
pub async fn dial(
    address: &str,
    role: Role,
    token: Option<String>,
    agent: &str,
) -> Result<Dialled, DialError> {
    let (host, port) = parse_address(address)?;
    let peer =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let socket = connect(&host, port, &peer).await?;
    // Small messages must not wait for an acknowledgement (Nagle's algorithm, RFC 896).
    let _ = socket.set_nodelay(true);
    let (read, write) = socket.into_split();
    let mut reader = Reader::new(read);
    let mut writer = Writer::new(write, WRITE);
    match greet(&mut reader, &mut writer, role, token, agent).await {
        Ok(welcome) => Ok(Dialled { reader, writer, welcome }),
        Err(error) => Err(explain(peer, error)),
    }
}

async fn connect(host: &str, port: u16, peer: &str) -> Result<TcpStream, DialError> {
    let found = timeout(CONNECT, tokio::net::lookup_host((host, port))).await;
    let addresses: Vec<_> = match found {
        Ok(Ok(addresses)) => addresses.collect(),
        _ => Vec::new(),
    };
    let mut last = None;
    for address in &addresses {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => last = Some(error),
            Err(_) => last = Some(io::Error::new(io::ErrorKind::TimedOut, "no answer")),
        }
    }
    Err(match last {
        None => DialError::NotFound(host.to_owned()),
        Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            DialError::Refused(peer.to_owned())
        }
        Some(error) => DialError::Unreachable { peer: peer.to_owned(), error },
    })
}

fn explain(peer: String, error: ConnError) -> DialError {
    match error {
        ConnError::Closed { code, reason } => DialError::Closed { peer, code, reason },
        ConnError::Frame(FrameError::Foreign(foreign)) => {
            DialError::Foreign { peer, protocol: foreign.to_string() }
        }
        ConnError::Frame(_) | ConnError::Decode(_) | ConnError::OutOfOrder { .. } => {
            DialError::Foreign { peer, protocol: "something else".to_owned() }
        }
        error => DialError::Conn { peer, error },
    }
}

/// Pings a peer on a control connection of its own and keeps `filter` fed: a burst at first, then
/// four times a second. Every message (pongs, once they are counted) goes to `hear`. Returns what
/// ended the connection.
pub async fn keep_clock(
    dialled: &mut Dialled,
    filter: &std::sync::Mutex<crate::clock::Filter>,
    hear: impl FnMut(crate::Message),
) -> ConnError {
    converse(dialled, filter, std::future::pending, hear).await
}

/// As [`keep_clock`], and says what `next` gives. A future of `next` may be dropped before it is
/// ready: a message must not be lost by that.
pub async fn converse<F: Future<Output = crate::Message>>(
    dialled: &mut Dialled,
    filter: &std::sync::Mutex<crate::clock::Filter>,
    mut next: impl FnMut() -> F,
    mut hear: impl FnMut(crate::Message),
) -> ConnError {
    use crate::clock::{BURST, INTERVAL};
    use crate::message::{Message, Ping};
    /// Pings without an answer for this long: the peer is gone.
    const SILENCE: Duration = Duration::from_secs(3);
    let mut sent = 0;
    let mut heard = tokio::time::Instant::now();
    let mut due = tokio::time::Instant::now();
    loop {
        tokio::select! {
            message = dialled.reader.read() => {
                let now = conn::now();
                let message = match message {
                    Ok(message) => message,
                    Err(error) => return error,
                };
                if let Message::Pong(pong) = &message {
                    heard = tokio::time::Instant::now();
                    filter.lock().unwrap_or_else(|e| e.into_inner()).add(pong, now);
                    if sent < BURST {
                        // The burst goes as fast as answers come.
                        due = heard;
                    }
                }
                hear(message);
            }
            message = next() => {
                if let Err(error) = dialled.writer.write(&message).await {
                    return error;
                }
            }
            () = tokio::time::sleep_until(due) => {
                if heard.elapsed() > SILENCE {
                    return ConnError::Timeout(SILENCE);
                }
                let ping = Message::Ping(Ping { sent_us: conn::now() });
                if let Err(error) = dialled.writer.write(&ping).await {
                    return error;
                }
                sent += 1;
                due = tokio::time::Instant::now() + INTERVAL;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let host = |text: &str| parse_address(text).expect(text);
        assert_eq!(host("tv"), ("tv".to_owned(), 9999));
        assert_eq!(host("tv.lan:1234"), ("tv.lan".to_owned(), 1234));
        assert_eq!(host("192.168.1.7"), ("192.168.1.7".to_owned(), 9999));
        assert_eq!(host("::1"), ("::1".to_owned(), 9999));
        assert_eq!(host("[fe80::1]:80"), ("fe80::1".to_owned(), 80));
        assert_eq!(host("[::1]"), ("::1".to_owned(), 9999));
        for wrong in ["", ":9999", "tv:", "tv:0", "tv:99999", "tv:port", "http://tv", "[::1", "a b"]
        {
            assert!(parse_address(wrong).is_err(), "{wrong}");
        }
    }
}
