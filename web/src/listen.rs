//! Sockets, and what a peer may cost: connections are counted, heads of requests have a deadline, and
//! who takes nothing is closed.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use relay::Node;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, timeout};

use crate::{DEFAULT_PORT, limits};

/// An address on which the page cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve HTTP on {address}: {}", explain(.address, .error))]
pub struct BindError {
    /// As it was asked for.
    pub address: SocketAddr,
    /// The system's word.
    pub error: io::Error,
}

fn explain(address: &SocketAddr, error: &io::Error) -> String {
    let ip = SocketAddr::new(address.ip(), 0).to_string();
    let other = format!("choose another port with --http {}PORT", ip.trim_end_matches('0'));
    match error.kind() {
        io::ErrorKind::AddrInUse => format!("the port is in use; {other}, or --no-http"),
        io::ErrorKind::PermissionDenied => format!("permission denied; {other} above 1023"),
        _ => format!("{error}; {other}, or --no-http"),
    }
}

/// Listens on all of `addresses`.
///
/// # Errors
/// The first address that cannot be listened on.
pub fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, BindError> {
    let bound = |address: &SocketAddr| {
        let address = *address;
        relay::listen::bind(address).map_err(|error| BindError { address, error })
    };
    addresses.iter().map(bound).collect()
}

/// Listens on [`DEFAULT_PORT`] of all addresses; a machine without IPv6 goes without.
///
/// # Errors
/// The port cannot be listened on.
pub fn bind_default() -> Result<Vec<TcpListener>, BindError> {
    let everywhere = |ip: IpAddr| SocketAddr::new(ip, DEFAULT_PORT);
    let mut listeners = bind(&[everywhere(Ipv4Addr::UNSPECIFIED.into())])?;
    listeners.extend(bind(&[everywhere(Ipv6Addr::UNSPECIFIED.into())]).unwrap_or_default());
    Ok(listeners)
}

/// Accepts connections until the node stops.
pub(crate) async fn accept(node: Node, listener: TcpListener, census: Census, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => match census.admit(peer.ip().to_canonical()) {
                    Some(admission) => {
                        connections.spawn(serve(socket, peer, router.clone(), admission));
                    }
                    // Dropped at once: to answer would cost what is to be saved.
                    None => tracing::warn!("web: {peer}: refused, too many connections are open"),
                },
                Err(error) => {
                    tracing::warn!("web: a connection could not be accepted: {error}");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = node.stopped() => break,
        }
    }
    let all_gone = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(limits::GOODBYE, all_gone).await;
}

async fn serve(socket: TcpStream, peer: SocketAddr, router: Router, _admission: Admission) {
    let _ = socket.set_nodelay(true);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = SockRef::from(&socket).set_tcp_notsent_lowat(128 << 10);
    let service = router.layer(axum::Extension(ConnectInfo(peer)));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_TIME)
        .max_buf_size(limits::HEAD)
        .serve_connection(TokioIo::new(Patient::new(socket)), TowerToHyperService::new(service))
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!("web: {peer}: {error}");
    }
}

/// Connections at the moment, in all and by address.
#[derive(Clone, Default)]
pub(crate) struct Census(Arc<Mutex<(usize, HashMap<IpAddr, usize>)>>);

impl Census {
    fn admit(&self, address: IpAddr) -> Option<Admission> {
        let mut counts = self.0.lock().unwrap_or_else(|e| e.into_inner());
        let here = counts.1.get(&address).copied().unwrap_or(0);
        if counts.0 >= limits::CONNECTIONS || here >= limits::CONNECTIONS_PER_ADDRESS {
            return None;
        }
        counts.0 += 1;
        counts.1.insert(address, here + 1);
        Some(Admission { census: self.clone(), address })
    }
}

struct Admission {
    census: Census,
    address: IpAddr,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut counts = self.census.0.lock().unwrap_or_else(|e| e.into_inner());
        counts.0 -= 1;
        if let Some(here) = counts.1.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                counts.1.remove(&self.address);
            }
        }
    }
}

/// A socket on which a write that nothing is taken of for [`limits::STALL`] fails.
struct Patient {
    socket: TcpStream,
    /// Set while a write waits.
    stall: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn new(socket: TcpStream) -> Self {
        Self { socket, stall: None }
    }

    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let stall = self.stall.get_or_insert_with(|| {
            Box::pin(tokio::time::sleep_until(Instant::now() + limits::STALL))
        });
        match stall.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_said_with_the_way_out() {
        let taken = bind(&["127.0.0.1:0".parse().expect("address")]).expect("a free port");
        let address = taken[0].local_addr().expect("is bound");
        let error = bind(&[address]).expect_err("in use").to_string();
        assert!(
            error.contains("in use; choose another port with --http 127.0.0.1:PORT"),
            "{error}"
        );
    }

    #[test]
    fn one_address_cannot_take_all_places() {
        let census = Census::default();
        let one = IpAddr::from([10, 0, 0, 1]);
        let mut places: Vec<_> = (0..limits::CONNECTIONS_PER_ADDRESS)
            .map(|_| census.admit(one).expect("room"))
            .collect();
        assert!(census.admit(one).is_none());
        assert!(census.admit([10, 0, 0, 2].into()).is_some());
        places.pop();
        assert!(census.admit(one).is_some());
    }
}
