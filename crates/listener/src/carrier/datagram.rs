//! One peer of a datagram socket: what the socket's task has sorted out for it.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::task::AtomicWaker;

use super::{Carrier, Received};
use crate::datagrams::{Datagrams, Place};

/// Datagrams that may wait for one peer's task.
const MAX_WAITING: usize = 16;

/// The bytes of all datagrams of a socket that wait for their tasks.
pub(crate) const MAX_WAITING_BYTES: usize = 16 * 1_024 * 1_024;

/// Datagrams that wait for their peer's task.
#[derive(Debug)]
pub(crate) struct Inbox {
    waiting: Mutex<VecDeque<Bytes>>,
    /// The bytes that wait in all inboxes of the socket.
    total: Arc<AtomicUsize>,
    waker: AtomicWaker,
}

impl Inbox {
    pub(crate) fn new(total: Arc<AtomicUsize>) -> Self {
        Self {
            waiting: Mutex::default(),
            total,
            waker: AtomicWaker::new(),
        }
    }

    /// Hands a datagram to the peer's task, if there is room for it.
    pub(crate) fn push(&self, datagram: &[u8]) -> bool {
        {
            let mut waiting = self.waiting();
            let total = self.total.load(Ordering::Relaxed);
            if waiting.len() >= MAX_WAITING
                || total.saturating_add(datagram.len()) > MAX_WAITING_BYTES
            {
                return false;
            }
            self.total.fetch_add(datagram.len(), Ordering::Relaxed);
            waiting.push_back(Bytes::copy_from_slice(datagram));
        }
        self.waker.wake();
        true
    }

    fn pop(&self) -> Option<Bytes> {
        let datagram = self.waiting().pop_front()?;
        self.total.fetch_sub(datagram.len(), Ordering::Relaxed);
        Some(datagram)
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Bytes>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

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
        self.inbox.waker.register(cx.waker());
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
