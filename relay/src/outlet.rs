//! The one door to a socket. The kernel sends straight from a segment's file where it can
//! (`sendfile(2)` on Linux); elsewhere, and for streams that are no sockets, slices are written.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedWriteHalf;

use crate::store::Store;

/// Takes a viewer's bytes.
pub(crate) trait Outlet: Send {
    /// Sends from a segment; the number of bytes taken, at least one.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        store: &Store,
        offset: u64,
        length: usize,
    ) -> Poll<io::Result<usize>>;

    /// Sends a few bytes of this viewer's own; the number of bytes taken.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Says that nothing follows.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// How many unsent bytes the kernel may hold, where that can be said.
    fn set_most_unsent(&mut self, _bytes: u32) {}
}

/// Any byte stream: viewers in this process are served through a pipe.
pub(crate) struct Stream<W>(pub(crate) W);

impl<W: AsyncWrite + Send + Unpin> Outlet for Stream<W> {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        store: &Store,
        offset: u64,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        poll_write_slices(&mut self.0, cx, &store.read(offset, length)?)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        some(ready!(Pin::new(&mut self.0).poll_write(cx, bytes)))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Outlet for OwnedWriteHalf {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        store: &Store,
        offset: u64,
        length: usize,
    ) -> Poll<io::Result<usize>> {
        match store {
            #[cfg(target_os = "linux")]
            Store::File(file) => poll_sendfile(self.as_ref(), cx, file, offset, length),
            Store::Memory(_) => poll_write_slices(self, cx, &store.read(offset, length)?),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        some(ready!(AsyncWrite::poll_write(Pin::new(self), cx, bytes)))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(Pin::new(self), cx)
    }

    fn set_most_unsent(&mut self, bytes: u32) {
        let socket: &tokio::net::TcpStream = (*self).as_ref();
        if let Err(error) = crate::listen::set_most_unsent(socket, bytes) {
            tracing::debug!("socket options: {error}");
        }
    }
}

#[cfg(target_os = "linux")]
fn poll_sendfile(
    socket: &tokio::net::TcpStream,
    cx: &mut Context<'_>,
    file: &std::fs::File,
    offset: u64,
    length: usize,
) -> Poll<io::Result<usize>> {
    let send = || -> io::Result<usize> {
        let mut at = offset;
        Ok(rustix::fs::sendfile(socket, file, Some(&mut at), length)?)
    };
    // Tried before asking for readiness: a viewer that keeps up costs one system call and nothing
    // of the runtime's books. Only where that fails are they kept.
    let mut sent = send();
    loop {
        match sent {
            Ok(taken) => return Poll::Ready(Ok(taken)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
        ready!(socket.poll_write_ready(cx))?;
        sent = socket.try_io(tokio::io::Interest::WRITABLE, send);
    }
}

fn poll_write_slices<W: AsyncWrite + Unpin>(
    to: &mut W,
    cx: &mut Context<'_>,
    slices: &[Bytes],
) -> Poll<io::Result<usize>> {
    let slices: Vec<IoSlice<'_>> = slices.iter().map(|bytes| IoSlice::new(bytes)).collect();
    some(ready!(Pin::new(to).poll_write_vectored(cx, &slices)))
}

/// A socket that takes nothing without saying why will not take the rest either.
fn some(sent: io::Result<usize>) -> Poll<io::Result<usize>> {
    Poll::Ready(match sent {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        other => other,
    })
}

/// Sends all of `bytes`.
pub(crate) async fn write_all(outlet: &mut dyn Outlet, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = std::future::poll_fn(|cx| outlet.poll_write(cx, bytes)).await?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    /// Sends all of a store through a pipe that takes a few bytes at a time.
    async fn through_a_pipe(store: &Store, length: usize) -> Vec<u8> {
        let (near, mut far) = tokio::io::duplex(61);
        let mut outlet = Stream(near);
        let sending = async {
            let mut sent = 0;
            while sent < length {
                let send =
                    |cx: &mut Context<'_>| outlet.poll_send(cx, store, sent as u64, length - sent);
                sent += std::future::poll_fn(send).await.expect("send");
            }
            std::future::poll_fn(|cx| outlet.poll_shutdown(cx)).await.expect("shutdown");
        };
        let mut got = Vec::new();
        let (_, read) = tokio::join!(sending, far.read_to_end(&mut got));
        read.expect("read");
        got
    }

    #[tokio::test]
    async fn what_is_no_socket_gets_the_same_bytes() {
        for store in [Store::create().expect("store"), Store::in_memory()] {
            let mut whole = Vec::new();
            for i in 0..40u8 {
                let frame = Bytes::from(vec![i; usize::from(i) * 7 + 1]);
                store.append(whole.len() as u64, frame.clone()).expect("append");
                whole.extend_from_slice(&frame);
            }
            assert_eq!(through_a_pipe(&store, whole.len()).await, whole);
        }
    }
}
