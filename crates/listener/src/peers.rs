//! The peers of a datagram socket: who is known, what waits for each, who makes way.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use crate::connections::{Link, Signal};

/// Silence after which a peer with an accepted login may make way for a new one.
const QUIET: Duration = Duration::from_secs(60);

/// Datagrams that may wait for one peer's task.
const MAX_WAITING: usize = 16;

/// The bytes of all datagrams of a socket that wait for their tasks.
const MAX_WAITING_BYTES: usize = 16 * 1_024 * 1_024;

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

    /// Whom to wake when a datagram comes.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    pub(crate) fn pop(&self) -> Option<Bytes> {
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

/// The peers of a socket. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Peers {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    by_address: HashMap<SocketAddr, Peer>,
    /// In the order in which they came, those that had no accepted login then.
    strangers: VecDeque<(SocketAddr, u64)>,
    /// Nobody could make way, and nobody is looked for until then.
    full_until: Option<Instant>,
}

struct Peer {
    link: Arc<Link>,
    inbox: Arc<Inbox>,
    heard: Instant,
}

impl Peers {
    /// The inbox of a peer that is known already.
    pub(crate) fn known(&self, peer: SocketAddr, now: Instant) -> Option<Arc<Inbox>> {
        let mut inner = self.inner();
        let known = inner.by_address.get_mut(&peer)?;
        known.heard = now;
        Some(Arc::clone(&known.inbox))
    }

    /// Notes a new peer.
    pub(crate) fn add(
        &self,
        peer: SocketAddr,
        link: Arc<Link>,
        inbox: Arc<Inbox>,
        heard: Instant,
    ) -> Place {
        let mut inner = self.inner();
        let id = link.id;
        inner.strangers.push_back((peer, id));
        let known = Peer { link, inbox, heard };
        inner.by_address.insert(peer, known);
        Place {
            peers: self.clone(),
            peer,
            id,
        }
    }

    /// Whether there is a place for one more peer, if need be after ending another.
    pub(crate) fn make_way(&self, limit: usize, now: Instant) -> bool {
        let mut inner = self.inner();
        if inner.strangers.len() > limit.saturating_mul(2) {
            inner.forget_former_strangers();
        }
        if inner.by_address.len() < limit {
            return true;
        }
        if let Some(stranger) = inner.oldest_stranger() {
            inner.end(stranger);
            return true;
        }
        if inner.full_until.is_some_and(|until| now < until) {
            return false;
        }
        let quietest = inner
            .by_address
            .iter()
            .min_by_key(|(_, peer)| peer.heard)
            .filter(|(_, peer)| now.saturating_duration_since(peer.heard) >= QUIET)
            .map(|(address, _)| *address);
        match quietest {
            Some(address) => inner.end(address),
            // Looking at all of them for each new address would cost too much.
            None => inner.full_until = Some(now + Duration::from_secs(1)),
        }
        quietest.is_some()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn oldest_stranger(&mut self) -> Option<SocketAddr> {
        while let Some((address, id)) = self.strangers.pop_front() {
            if self.is_stranger(address, id) {
                return Some(address);
            }
        }
        None
    }

    fn forget_former_strangers(&mut self) {
        let mut strangers = std::mem::take(&mut self.strangers);
        strangers.retain(|(address, id)| self.is_stranger(*address, *id));
        self.strangers = strangers;
    }

    fn is_stranger(&self, address: SocketAddr, id: u64) -> bool {
        self.by_address
            .get(&address)
            .is_some_and(|peer| peer.link.id == id && !peer.link.is_accepted())
    }

    fn end(&mut self, address: SocketAddr) {
        if let Some(peer) = self.by_address.remove(&address) {
            peer.link.signal(Signal::Evicted);
        }
    }
}

/// A peer's place among those of its socket, given back when it is dropped.
pub(crate) struct Place {
    peers: Peers,
    peer: SocketAddr,
    id: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.peers.inner();
        if inner
            .by_address
            .get(&self.peer)
            .is_some_and(|known| known.link.id == self.id)
        {
            inner.by_address.remove(&self.peer);
        }
    }
}
