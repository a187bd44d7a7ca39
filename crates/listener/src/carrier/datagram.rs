//! One peer of a datagram socket: what the socket's task has sorted out for it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;

use super::{Carrier, Received};
use crate::Datagrams;
use crate::peers::{Inbox, Place};

/// The peer at an address.
pub(crate) struct DatagramPeer<S> {
    pub(crate) socket: Arc<S>,
    pub(crate) peer: SocketAddr,
    pub(crate) inbox: Arc<Inbox>,
    /// Gives the peer's place back when it is dropped.
    pub(crate) _place: Place,
}

impl<S: Datagrams> Carrier for DatagramPeer<S> {
    const DATAGRAMS: bool = true;

    fn poll_receive(
        &mut self,
        buf: &mut BytesMut,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Received>> {
        self.inbox.register(cx.waker());
        match self.inbox.pop() {
            Some(datagram) => {
                buf.extend_from_slice(&datagram);
                Poll::Ready(Ok(Received::Bytes(datagram.len())))
            }
            None => Poll::Pending,
        }
    }

    fn poll_write(&mut self, bytes: &[u8], _: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Err(error) = self.socket.try_send(bytes, self.peer) {
            // A datagram that is lost on the way is lost as silently: the device asks again.
            tracing::debug!(peer = %self.peer, %error, "a reply could not be sent");
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_discard(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}
