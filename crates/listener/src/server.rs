//! A server: what it speaks, where it listens, and how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use milepost_telemetry::{Name, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept::{Admitted, BackOff, PerIp};
use crate::connection::Connection;
use crate::metrics::Metrics;
use crate::{
    Accept, Clock, Connections, Deliver, Limits, Protocol, Registry, Room, ServeError, SystemClock,
    Tcp,
};

/// Tells servers apart that share their [`Connections`].
static NEXT: AtomicU64 = AtomicU64::new(1);

/// What a server will speak and with whom; [`bind`](Self::bind) makes it listen.
pub struct Server<P, R, D> {
    protocol: P,
    registry: R,
    deliver: D,
    limits: Limits,
    epoch: u64,
    clock: Arc<dyn Clock>,
    connections: Connections,
    room: Room,
}

impl<P: Protocol, R: Registry, D: Deliver> Server<P, R, D> {
    /// A server with default limits, the system's clock, connections and room of its own.
    pub fn new(protocol: P, registry: R, deliver: D) -> Self {
        Self {
            protocol,
            registry,
            deliver,
            limits: Limits::default(),
            epoch: 0,
            clock: Arc::new(SystemClock),
            connections: Connections::default(),
            room: Room::default(),
        }
    }

    /// Sizes, counts and deadlines.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The number of this run of the process, as the store counts them: it goes into the
    /// [`Origin`](milepost_telemetry::Origin) of each frame.
    #[must_use]
    pub const fn epoch(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }

    /// The clock that frames are stamped with.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Shares the set of connections with other servers, so that a device is found on whichever
    /// port it connects to.
    #[must_use]
    pub fn connections(mut self, connections: Connections) -> Self {
        self.connections = connections;
        self
    }

    /// Shares the room for frames in flight with other servers, so that it bounds all of them
    /// together.
    #[must_use]
    pub fn room(mut self, room: Room) -> Self {
        self.room = room;
        self
    }

    /// Listens on an address. Called within a tokio runtime.
    ///
    /// # Errors
    /// [`ServeError::Bind`] when the address cannot be listened on.
    pub fn bind(self, addr: SocketAddr) -> Result<Bound<P, R, D, Tcp>, ServeError> {
        let tcp = Tcp::bind(addr, &self.limits)?;
        Ok(self.serve(tcp))
    }

    /// Serves a listener that is there already.
    pub fn from_listener(self, listener: TcpListener) -> Bound<P, R, D, Tcp> {
        let tcp = Tcp::new(listener, self.limits.keepalive);
        self.serve(tcp)
    }

    /// Serves any source of connections.
    pub fn serve<A: Accept>(self, accept: A) -> Bound<P, R, D, A> {
        let name = self.protocol.name();
        Bound {
            accept,
            shared: Arc::new(Shared {
                metrics: Metrics::new(name),
                name,
                id: NEXT.fetch_add(1, Ordering::Relaxed),
                protocol: self.protocol,
                registry: self.registry,
                deliver: self.deliver,
                limits: self.limits.workable(),
                epoch: self.epoch,
                clock: self.clock,
                connections: self.connections,
                room: self.room,
                strangers: RateLimit::default(),
                abandoned: AtomicU64::new(0),
            }),
        }
    }
}

/// A server that listens; [`run`](Self::run) makes it accept.
pub struct Bound<P, R, D, A> {
    accept: A,
    shared: Arc<Shared<P, R, D>>,
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Frames that were received and not settled when the drain ran out of time. Their devices
    /// were told nothing.
    pub abandoned: u64,
}

impl<P: Protocol, R: Registry, D: Deliver, A: Accept> Bound<P, R, D, A> {
    /// Where it listens; with port 0, the port that the system chose.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.accept.local_addr()
    }

    /// The live connections.
    pub fn connections(&self) -> &Connections {
        &self.shared.connections
    }

    /// Serves until `shutdown`, then drains: stops accepting and reading, settles what was
    /// received, writes the replies that this releases, closes. What is not settled within
    /// [`Limits::drain`] is abandoned.
    pub async fn run(mut self, shutdown: CancellationToken) -> Drained {
        let tracker = TaskTracker::new();
        let _ = shutdown
            .run_until_cancelled(self.accept_all(&tracker))
            .await;
        // Whoever comes now is refused by the kernel instead of waiting for us.
        let Self { accept, shared } = self;
        drop(accept);
        shared.connections.drain(shared.id);
        tracker.close();
        // Connections end by their own deadline; a session that does not return has none.
        let margin = Duration::from_secs(1);
        let patience = shared.limits.drain + shared.limits.linger + margin;
        if tokio::time::timeout(patience, tracker.wait())
            .await
            .is_err()
        {
            tracing::error!(
                protocol = %shared.name,
                connections = tracker.len(),
                "connections did not end in time"
            );
        }
        Drained {
            abandoned: shared.abandoned.load(Ordering::Relaxed),
        }
    }

    async fn accept_all(&mut self, tracker: &TaskTracker) {
        let limits = &self.shared.limits;
        let permits = Arc::new(Semaphore::new(
            limits.connections.min(Semaphore::MAX_PERMITS),
        ));
        let per_ip = limits.connections_per_ip.map(PerIp::new);
        let mut back_off = BackOff::default();
        loop {
            // The permit comes first: at the limit the kernel's queue holds the peers, not we.
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            let (io, peer) = match self.accept.accept().await {
                // An IPv4 peer of a socket for both is named as one.
                Ok((io, peer)) => {
                    let canonical =
                        |p: SocketAddr| SocketAddr::new(p.ip().to_canonical(), p.port());
                    (io, peer.map(canonical))
                }
                Err(e) => {
                    self.shared.metrics.accept_errors.increment(1);
                    if let Some(wait) = back_off.failed(&e) {
                        tracing::warn!(protocol = %self.shared.name, error = %e, ?wait,
                            "cannot accept connections");
                        tokio::time::sleep(wait).await;
                    }
                    continue;
                }
            };
            back_off.succeeded();
            self.shared.metrics.accepted.increment(1);
            let ip_permit = match (&per_ip, peer) {
                (Some(per_ip), Some(peer)) => match per_ip.admit(peer.ip()) {
                    Some(permit) => Some(Box::new(permit)),
                    None => {
                        self.shared.metrics.rejected("connections_per_ip");
                        continue;
                    }
                },
                _ => None,
            };
            let entry = self.shared.connections.open(
                self.shared.id,
                self.shared.name,
                peer,
                self.shared.clock.now(),
            );
            let io = Admitted::new(io, permit, ip_permit);
            tracker.spawn(Connection::new(Arc::clone(&self.shared), io, entry));
        }
    }
}

/// What all connections of a server share.
pub(crate) struct Shared<P, R, D> {
    pub(crate) protocol: P,
    pub(crate) registry: R,
    pub(crate) deliver: D,
    pub(crate) limits: Limits,
    pub(crate) epoch: u64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) connections: Connections,
    pub(crate) room: Room,
    pub(crate) metrics: Metrics,
    pub(crate) name: Name,
    pub(crate) strangers: RateLimit,
    id: u64,
    abandoned: AtomicU64,
}

impl<P, R, D> Shared<P, R, D> {
    pub(crate) fn abandoned(&self, frames: usize) {
        self.abandoned.fetch_add(frames as u64, Ordering::Relaxed);
    }
}

/// Keeps strangers from filling the log: some lines per minute, and how many were left out.
#[derive(Debug, Default)]
pub struct RateLimit {
    minute: AtomicU64,
    admitted: AtomicU32,
    silenced: AtomicU64,
}

impl RateLimit {
    /// Lines in a minute.
    pub const PER_MINUTE: u32 = 30;

    /// Whether one more line may be written, and how many were not since the last.
    pub fn admit(&self, now: Timestamp) -> Option<u64> {
        let minute = now.as_unix().unsigned_abs() / 60;
        if self.minute.swap(minute, Ordering::Relaxed) != minute {
            self.admitted.store(0, Ordering::Relaxed);
        }
        if self.admitted.fetch_add(1, Ordering::Relaxed) >= Self::PER_MINUTE {
            self.silenced.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.silenced.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_get_some_lines_a_minute_and_the_rest_is_counted() {
        let limit = RateLimit::default();
        let noon = Timestamp::from_unix(1_800_000_000);
        let admitted = (0..100).filter_map(|_| limit.admit(noon)).count();
        assert_eq!(admitted, 30);
        assert_eq!(limit.admit(noon.offset_millis(60_000)), Some(70));
    }
}
