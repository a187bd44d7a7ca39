//! A server: what it speaks, where it listens, and how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use milepost_telemetry::DeviceId;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept::{Admitted, BackOff, PerIp};
use crate::carrier::StreamPeer;
use crate::connection::Connection;
use crate::datagrams::BoundDatagrams;
use crate::drain::{Drained, drain};
use crate::log_limit::LogLimits;
use crate::metrics::Metrics;
use crate::shared::{Claims, Shared};
use crate::{
    Accept, Clock, Connections, Datagrams, Deliver, FrameTrace, Limits, MemoryBudget, Protocol,
    Registry, ServeError, SystemClock, Tcp,
};

/// Tells servers apart that share their [`Connections`].
static NEXT: AtomicU64 = AtomicU64::new(1);

/// What a server will speak and with whom; [`bind`](Self::bind) makes it listen for streams,
/// [`bind_datagrams`](Self::bind_datagrams) for datagrams.
pub struct Server<P, R, D> {
    protocol: P,
    registry: R,
    deliver: D,
    limits: Limits,
    epoch: u64,
    clock: Arc<dyn Clock>,
    connections: Connections,
    memory: MemoryBudget,
    claims: Option<Box<Claims>>,
    trace: Vec<FrameTrace>,
}

impl<P: Protocol, R: Registry, D: Deliver> Server<P, R, D> {
    /// A server with default limits, the system's clock, connections and a memory budget of its
    /// own.
    pub fn new(protocol: P, registry: R, deliver: D) -> Self {
        Self {
            protocol,
            registry,
            deliver,
            limits: Limits::default(),
            epoch: 0,
            clock: Arc::new(SystemClock),
            connections: Connections::default(),
            memory: MemoryBudget::default(),
            claims: None,
            trace: Vec::new(),
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

    /// Shares the memory budget with other servers, so that it bounds all of them together.
    #[must_use]
    pub fn memory(mut self, memory: MemoryBudget) -> Self {
        self.memory = memory;
        self
    }

    /// Which device the configuration says a peer is: for peers that do not log in. The registry
    /// resolves it like a login, before the first frame.
    #[must_use]
    pub fn claims(
        mut self,
        claims: impl Fn(Option<SocketAddr>) -> Option<DeviceId> + Send + Sync + 'static,
    ) -> Self {
        self.claims = Some(Box::new(claims));
        self
    }

    /// Logs the frames and replies of a device or an address; can be given several times.
    #[must_use]
    pub fn trace(mut self, whose: FrameTrace) -> Self {
        self.trace.push(whose);
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
        let tcp = Tcp::with_limits(listener, &self.limits);
        self.serve(tcp)
    }

    /// Serves any source of connections.
    pub fn serve<A: Accept>(self, accept: A) -> Bound<P, R, D, A> {
        let local = accept.local_addr();
        Bound {
            accept,
            shared: self.share(local),
        }
    }

    /// Receives datagrams on an address. Called within a tokio runtime.
    ///
    /// # Errors
    /// [`ServeError::Bind`] when the address cannot be bound.
    pub fn bind_datagrams(
        self,
        addr: SocketAddr,
    ) -> Result<BoundDatagrams<P, R, D, UdpSocket>, ServeError> {
        let socket =
            crate::socket::bind(addr).map_err(|source| ServeError::Bind { addr, source })?;
        Ok(self.serve_datagrams(socket))
    }

    /// Serves any source of datagrams.
    pub fn serve_datagrams<S: Datagrams>(self, socket: S) -> BoundDatagrams<P, R, D, S> {
        let local = socket.local_addr();
        BoundDatagrams::new(self.share(local), socket)
    }

    fn share(self, local: Option<SocketAddr>) -> Arc<Shared<P, R, D>> {
        let name = self.protocol.name();
        Arc::new(Shared {
            metrics: Metrics::new(name),
            name,
            has_commands: self.protocol.has_commands(),
            server: NEXT.fetch_add(1, Ordering::Relaxed),
            protocol: self.protocol,
            registry: self.registry,
            deliver: self.deliver,
            limits: self.limits.workable(),
            epoch: self.epoch,
            clock: self.clock,
            connections: self.connections,
            memory: self.memory,
            claims: self.claims,
            trace: self.trace,
            local,
            log: LogLimits::default(),
            abandoned: AtomicU64::new(0),
        })
    }
}

/// A server that listens; [`run`](Self::run) makes it accept.
pub struct Bound<P, R, D, A> {
    accept: A,
    shared: Arc<Shared<P, R, D>>,
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

    /// Serves until `shutdown`, then drains: stops accepting and reading, resolves what was
    /// received, writes the replies that this releases, closes. What is not resolved within
    /// [`Limits::drain`] is abandoned.
    pub async fn run(mut self, shutdown: CancellationToken) -> Drained {
        let tracker = TaskTracker::new();
        let _ = shutdown
            .run_until_cancelled(self.accept_all(&tracker))
            .await;
        // Peers that connect now are refused by the kernel instead of waiting for us.
        let Self { accept, shared } = self;
        drop(accept);
        drain(&shared, &tracker).await
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
                        let now = self.shared.clock.now();
                        if let Some(left_out) = self.shared.log.accept.admit(now) {
                            tracing::warn!(protocol = %self.shared.name, error = %e, ?wait,
                                left_out, "cannot accept connections");
                        }
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
                self.shared.server,
                self.shared.name,
                self.shared.has_commands,
                peer,
                self.shared.clock.now(),
            );
            let carrier = StreamPeer(Admitted::new(io, permit, ip_permit));
            tracker.spawn(Connection::new(Arc::clone(&self.shared), carrier, entry));
        }
    }
}
