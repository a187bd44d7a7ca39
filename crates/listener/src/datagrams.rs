//! Datagrams: each peer's are one conversation.
//!
//! One task reads the socket and hands each datagram to its peer's task, of which there are at most
//! [`Limits::datagram_peers`](crate::Limits::datagram_peers). Senders can forge their address, so
//! peers without an accepted login make way for new ones first, and are answered with no more
//! bytes than they sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept::BackOff;
use crate::carrier::DatagramPeer;
use crate::connection::Connection;
use crate::drain::{Drained, drain};
use crate::peers::{Inbox, Peers};
use crate::shared::Shared;
use crate::{Datagrams, Deliver, Protocol, Registry};

/// The largest datagram of UDP.
const MAX_DATAGRAM: usize = 65_535;

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
