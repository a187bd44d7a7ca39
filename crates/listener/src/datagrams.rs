//! Datagrams: each peer's are one conversation.
//!
//! One task reads the socket and hands each datagram to its peer's task, of which there are at most
//! [`Limits::datagram_peers`](crate::Limits::datagram_peers). Senders can forge their address, so
//! peers without an accepted login make way for new ones first, and are answered with no more
//! bytes than they sent.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept::BackOff;
use crate::carrier::{DatagramPeer, Inbox};
use crate::connection::Connection;
use crate::connections::{Link, Signal};
use crate::server::drain;
use crate::shared::Shared;
use crate::{Deliver, Drained, Protocol, Registry};

/// The largest datagram of UDP.
const MAX_DATAGRAM: usize = 65_535;

/// Silence after which a peer with an accepted login may make way for a new one.
const QUIET: Duration = Duration::from_secs(60);

/// A socket for datagrams: UDP, or anything like it.
pub trait Datagrams: Send + Sync + 'static {
    /// Receives one datagram into `buf`; how long it is, and who sent it. Must be safe to cancel.
    /// Called by one task.
    ///
    /// # Errors
    /// What went wrong; the framework backs off and tries again.
    fn receive(
        &self,
        buf: &mut [u8],
    ) -> impl Future<Output = io::Result<(usize, SocketAddr)>> + Send;

    /// Sends one datagram, or says why it cannot be sent now.
    ///
    /// # Errors
    /// What went wrong. The datagram is lost, as any may be.
    fn try_send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()>;

    /// The address that it is bound to, if there is one.
    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }
}

impl Datagrams for UdpSocket {
    async fn receive(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.recv_from(buf).await
    }

    fn try_send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        self.try_send_to(bytes, to).map(drop)
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        Self::local_addr(self).ok()
    }
}

pub(crate) fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(addr)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// A server of datagrams that is bound; [`run`](Self::run) makes it receive.
pub struct BoundDatagrams<P, R, D, S> {
    shared: Arc<Shared<P, R, D>>,
    socket: Arc<S>,
}

impl<P: Protocol, R: Registry, D: Deliver, S: Datagrams> BoundDatagrams<P, R, D, S> {
    pub(crate) fn new(shared: Arc<Shared<P, R, D>>, socket: S) -> Self {
        Self {
            shared,
            socket: Arc::new(socket),
        }
    }

    /// The address that it is bound to; with port 0, the port that the system chose.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr()
    }

    /// The live connections.
    pub fn connections(&self) -> &crate::Connections {
        &self.shared.connections
    }

    /// Serves until `shutdown`, then drains, as [`Bound::run`](crate::Bound::run) does.
    pub async fn run(self, shutdown: CancellationToken) -> Drained {
        let tracker = TaskTracker::new();
        let _ = shutdown
            .run_until_cancelled(self.receive_all(&tracker))
            .await;
        drain(&self.shared, &tracker).await
    }

    async fn receive_all(&self, tracker: &TaskTracker) {
        let peers = Peers::default();
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut back_off = BackOff::default();
        let mut buf = vec![0; MAX_DATAGRAM];
        let shared = &self.shared;
        loop {
            let (len, peer) = match self.socket.receive(&mut buf).await {
                Ok(received) => received,
                Err(e) => {
                    shared.metrics.accept_errors.increment(1);
                    if let Some(wait) = back_off.failed(&e) {
                        if let Some(left_out) = shared.log.accept.admit(shared.clock.now()) {
                            tracing::warn!(protocol = %shared.name, error = %e, ?wait, left_out,
                                "cannot receive datagrams");
                        }
                        tokio::time::sleep(wait).await;
                    }
                    continue;
                }
            };
            back_off.succeeded();
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            let datagram = buf.get(..len).unwrap_or_default();
            if datagram.is_empty() {
                continue;
            }
            let now = Instant::now();
            let inbox = match peers.known(peer, now) {
                Some(inbox) => inbox,
                None => {
                    if !peers.make_way(shared.limits.datagram_peers, now) {
                        shared.metrics.rejected("datagram_peers");
                        continue;
                    }
                    self.open(&peers, peer, now, &waiting, tracker)
                }
            };
            if !inbox.push(datagram) {
                shared.metrics.rejected("datagram_queue");
            }
        }
    }

    fn open(
        &self,
        peers: &Peers,
        peer: SocketAddr,
        now: Instant,
        waiting: &Arc<AtomicUsize>,
        tracker: &TaskTracker,
    ) -> Arc<Inbox> {
        let shared = &self.shared;
        shared.metrics.accepted.increment(1);
        let entry = shared.connections.open(
            shared.server,
            shared.name,
            shared.has_commands,
            Some(peer),
            shared.clock.now(),
        );
        let inbox = Arc::new(Inbox::new(Arc::clone(waiting)));
        let carrier = DatagramPeer {
            socket: Arc::clone(&self.socket),
            peer,
            inbox: Arc::clone(&inbox),
            _place: peers.add(peer, Arc::clone(entry.link()), Arc::clone(&inbox), now),
        };
        tracker.spawn(Connection::new(Arc::clone(shared), carrier, entry));
        inbox
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
    fn known(&self, peer: SocketAddr, now: Instant) -> Option<Arc<Inbox>> {
        let mut inner = self.inner();
        let known = inner.by_address.get_mut(&peer)?;
        known.heard = now;
        Some(Arc::clone(&known.inbox))
    }

    fn add(&self, peer: SocketAddr, link: Arc<Link>, inbox: Arc<Inbox>, heard: Instant) -> Place {
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
    fn make_way(&self, limit: usize, now: Instant) -> bool {
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
