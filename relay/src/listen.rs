//! Sockets that are listened on, and how many connections they may bring.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proto::{CloseCode, Message};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::node::Node;
use crate::session;

/// Connections the kernel may hold for us until they are accepted.
const BACKLOG: i32 = 1_024;
/// Unsent bytes the kernel may hold a viewer: 1,000 that stopped reading cost 0.28 GB instead of
/// 1.6 GB, at no cost in throughput.
pub(crate) const NOT_SENT: u32 = 128 << 10;
/// A peer that vanished without a word is noticed after three of these.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// Sessions may take this long to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Listens on `address`. An IPv6 wildcard takes IPv6 only, so that `0.0.0.0` may stand beside it.
///
/// # Errors
/// The system's: port in use, no permission, no such address.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// The addresses listened on unless told otherwise: all of IPv4 and all of IPv6.
#[must_use]
pub fn default_addresses() -> [SocketAddr; 2] {
    let port = proto::DEFAULT_PORT;
    [(IpAddr::from([0, 0, 0, 0]), port).into(), (IpAddr::from(Ipv6Addr::UNSPECIFIED), port).into()]
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", explain(.address, .error))]
pub struct BindError {
    /// As it was asked for.
    pub address: SocketAddr,
    /// The system's word.
    pub error: io::Error,
}

fn explain(address: &SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let other = match address.ip() {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            };
            format!(
                "port {} is in use, end the other program or choose another with \
                 --listen {other}:PORT",
                address.port()
            )
        }
        io::ErrorKind::PermissionDenied => {
            "permission denied, choose a port above 1023 with --listen".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address, see `ip address` and --listen".to_owned()
        }
        _ => format!("{error}; choose another address with --listen"),
    }
}

/// Listens on all of `addresses`, or on [`default_addresses`] where there are none; a machine
/// without IPv6 then goes without.
///
/// # Errors
/// The first address that cannot be listened on.
pub fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, BindError> {
    if !addresses.is_empty() {
        let bound = |address: &SocketAddr| {
            bind(*address).map_err(|error| BindError { address: *address, error })
        };
        return addresses.iter().map(bound).collect();
    }
    let [v4, v6] = default_addresses();
    let mut listeners = vec![bind(v4).map_err(|error| BindError { address: v4, error })?];
    match bind(v6) {
        Ok(listener) => listeners.push(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            return Err(BindError { address: v6, error });
        }
        Err(error) => tracing::debug!("no IPv6 here: {error}"),
    }
    Ok(listeners)
}

/// Connections at the moment, in all and by address.
#[derive(Debug, Default)]
struct Census {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

struct Admission {
    census: Arc<Mutex<Census>>,
    address: IpAddr,
}

impl Admission {
    fn ask(census: &Arc<Mutex<Census>>, node: &Node, address: IpAddr) -> Result<Self, String> {
        let limits = node.limits();
        let mut counts = census.lock().unwrap_or_else(|e| e.into_inner());
        let here = counts.by_address.get(&address).copied().unwrap_or(0);
        if counts.all >= limits.connections {
            return Err(format!(
                "{} connections are open here, the most this node takes; try again later",
                counts.all
            ));
        }
        if here >= limits.connections_per_address {
            return Err(format!(
                "{here} connections are open from {address}, the most this node takes from one \
                 address (--max-connections-per-address raises it)"
            ));
        }
        counts.all += 1;
        counts.by_address.insert(address, here + 1);
        Ok(Self { census: census.clone(), address })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut counts = self.census.lock().unwrap_or_else(|e| e.into_inner());
        counts.all -= 1;
        if let Some(here) = counts.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

impl Node {
    /// Accepts connections from all of `listeners` until [`Node::shut_down`], then waits a moment
    /// for the sessions to say goodbye.
    pub async fn serve(&self, listeners: Vec<TcpListener>) {
        let census = Arc::new(Mutex::new(Census::default()));
        let mut loops = JoinSet::new();
        for listener in listeners {
            loops.spawn(accept_loop(self.clone(), listener, census.clone()));
        }
        while loops.join_next().await.is_some() {}
    }
}

async fn accept_loop(node: Node, listener: TcpListener, census: Arc<Mutex<Census>>) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    let admission = Admission::ask(&census, &node, peer.ip().to_canonical());
                    sessions.spawn(serve(node.clone(), socket, peer, admission));
                }
                // Out of descriptors, or the peer gave up: the next one may do better.
                Err(error) => {
                    tracing::warn!("a connection could not be accepted: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = sessions.join_next(), if !sessions.is_empty() => {}
            () = node.stopped() => break,
        }
    }
    let all_gone = async { while sessions.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GOODBYE, all_gone).await;
}

async fn serve(
    node: Node,
    socket: TcpStream,
    peer: SocketAddr,
    admission: Result<Admission, String>,
) {
    if let Err(error) = prepare(&socket) {
        tracing::debug!("{peer}: socket options: {error}");
    }
    let (read, write) = socket.into_split();
    match admission {
        Ok(_admission) => {
            session::run(node, peer.to_string(), Box::new(read), Box::new(write)).await;
        }
        Err(reason) => {
            tracing::warn!("{peer}: refused, {reason}");
            let farewell = Message::close(CloseCode::TooManyConnections, &reason);
            session::say_goodbye(Box::new(read), Box::new(write), &farewell.encode()).await;
        }
    }
}

/// What a socket needs on which media flows.
pub(crate) fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let stream = socket;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
    #[cfg(not(windows))]
    let keepalive = keepalive.with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    set_most_unsent(stream, NOT_SENT)
}

/// Bounds the bytes that the kernel holds for a peer and has not sent, where it can be told.
pub(crate) fn set_most_unsent<'a>(socket: impl Into<SockRef<'a>>, bytes: u32) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.into().set_tcp_notsent_lowat(bytes)?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (socket, bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_said_with_the_way_out() {
        let taken = bind_all(&["127.0.0.1:0".parse().expect("address")]).expect("a free port");
        let address = taken[0].local_addr().expect("is bound");
        let error = bind_all(&[address]).expect_err("in use").to_string();
        assert!(error.contains("in use") && error.contains("--listen 127.0.0.1:PORT"), "{error}");
    }
}
