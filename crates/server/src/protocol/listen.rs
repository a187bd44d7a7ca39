//! Listeners for devices: bound first, so that a port in use is reported before anything begins,
//! and run when the store is there.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::Either;
use milepost_listener::{
    Connections, Deliver, FrameTrace, Limits, MemoryBudget, NetworkPolicy, NotDelivered, Protocol,
    Rate, Server,
};
#[cfg(feature = "fleet")]
use milepost_pipeline::fleet::Gateway;
use milepost_pipeline::{Handle, Outcome};
use milepost_telemetry::Envelope;
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config};
use crate::failure::Failure;
use crate::registry::DeviceRegistry;

/// A listener that is bound and serves when it is run.
pub trait DeviceListener: Send {
    /// Where it listens.
    fn local_addr(&self) -> Option<SocketAddr>;

    /// Serves until `shutdown`, then settles what was received.
    fn run(self: Box<Self>, parts: &Parts, shutdown: CancellationToken) -> Serving;
}

/// A listener at work; gives the number of frames that could not be settled in time.
pub type Serving = Pin<Box<dyn Future<Output = u64> + Send>>;

/// What all device listeners of the process share.
pub struct Parts {
    pub(crate) registry: DeviceRegistry,
    pub(crate) way: Way,
    pub(crate) connections: Connections,
    pub(crate) memory: MemoryBudget,
    pub(crate) limits: Limits,
    pub(crate) traces: Vec<FrameTrace>,
    pub(crate) epoch: u64,
}

/// Changes the limits for the listeners of one protocol.
pub type Adjust = Arc<dyn Fn(&mut Limits) + Send + Sync>;

/// Binds a TCP listener for each address of `NAME.listen`; `protocol` makes what each speaks.
///
/// # Errors
/// If an address cannot be listened on, with what would help.
pub fn tcp<P: Protocol>(
    name: &'static str,
    config: &Config,
    protocol: impl Fn() -> P,
) -> Result<Vec<Box<dyn DeviceListener>>, Failure> {
    tcp_within(name, config, protocol, Arc::new(|_: &mut Limits| {}))
}

/// The same for a protocol that needs other limits than trackers; `adjust` changes them.
///
/// # Errors
/// As for [`tcp`].
pub fn tcp_within<P: Protocol>(
    name: &'static str,
    config: &Config,
    protocol: impl Fn() -> P,
    adjust: Adjust,
) -> Result<Vec<Box<dyn DeviceListener>>, Failure> {
    let key = format!("{name}.listen");
    let flag = format!("--{name}");
    let mut listeners: Vec<Box<dyn DeviceListener>> = Vec::new();
    for address in config.protocols.addresses(&key) {
        let socket = bind(address, &key, &flag)?;
        listeners.push(Box::new(Tcp {
            socket,
            protocol: protocol(),
            adjust: adjust.clone(),
        }));
    }
    Ok(listeners)
}

/// Binds a UDP socket for each address of a key; `protocol` makes what each speaks.
///
/// # Errors
/// If an address cannot be bound, with what would help.
pub fn udp<P: Protocol>(
    key: &str,
    config: &Config,
    protocol: impl Fn() -> P,
) -> Result<Vec<Box<dyn DeviceListener>>, Failure> {
    udp_within(key, config, protocol, Arc::new(|_: &mut Limits| {}))
}

/// The same for a protocol that needs other limits than trackers; `adjust` changes them.
///
/// # Errors
/// As for [`udp`].
pub fn udp_within<P: Protocol>(
    key: &str,
    config: &Config,
    protocol: impl Fn() -> P,
    adjust: Adjust,
) -> Result<Vec<Box<dyn DeviceListener>>, Failure> {
    let mut listeners: Vec<Box<dyn DeviceListener>> = Vec::new();
    for address in config.protocols.addresses(key) {
        let bind = || {
            let socket = std::net::UdpSocket::bind(address)?;
            socket.set_nonblocking(true)?;
            UdpSocket::from_std(socket)
        };
        let socket = bind().map_err(|error| {
            Failure::new(format!("cannot receive datagrams on {address}: {error}"))
                .remedy(format!("choose another address with {key}"))
        })?;
        listeners.push(Box::new(Udp {
            socket,
            protocol: protocol(),
            adjust: adjust.clone(),
        }));
    }
    Ok(listeners)
}

/// Listens on an address, or says what is in the way.
pub(crate) fn bind(address: SocketAddr, key: &str, flag: &str) -> Result<TcpListener, Failure> {
    milepost_listener::listen(address, Limits::default().backlog).map_err(|error| {
        let remedy = match error.kind() {
            std::io::ErrorKind::AddrInUse => format!(
                "another program listens there (`ss -ltnp` names it): end it, or choose another \
                 port with {flag} ({key})"
            ),
            std::io::ErrorKind::AddrNotAvailable => format!(
                "{} is no address of this machine: choose another with {flag} ({key}); 0.0.0.0 \
                 means all",
                address.ip()
            ),
            std::io::ErrorKind::PermissionDenied => {
                format!("ports below 1024 need a privilege: choose another with {flag} ({key})")
            }
            _ => format!("choose another address with {flag} ({key})"),
        };
        Failure::new(format!("cannot listen on {address}: {error}")).remedy(remedy)
    })
}

/// The listener's limits as the configuration sets them.
pub(crate) fn limits(config: &config::Limits) -> Limits {
    let mut limits = Limits::default();
    limits.connections = config.max_connections;
    limits.connections_per_ip =
        (config.max_connections_per_address > 0).then_some(config.max_connections_per_address);
    limits.in_flight = config.max_in_flight;
    limits.bad_in_row = config.max_bad_frames;
    limits.login = config.login_timeout;
    limits.idle = config.idle_timeout;
    limits.frame = config.frame_timeout;
    limits.write = config.write_timeout;
    limits.drain = config.drain_timeout;
    limits.rate = (config.rate > 0).then(|| Rate::new(config.rate, config.rate_burst));
    set_stranger_limits(&mut limits, config, 16, 64);
    limits.stranger_rate = Rate::new(config.stranger_rate, config.stranger_rate);
    limits
}

/// What a connection may send before its login: as configured, else what its protocol needs.
pub(crate) fn set_stranger_limits(
    limits: &mut Limits,
    config: &config::Limits,
    frames: u32,
    kib: usize,
) {
    limits.stranger_frames = config.stranger_frames.unwrap_or(frames);
    limits.stranger_bytes = config.stranger_kib.unwrap_or(kib).saturating_mul(1_024);
}

/// What counts as one network, as the configuration sets it.
pub(crate) fn networks(config: &config::Limits) -> NetworkPolicy {
    let mut policy = NetworkPolicy::default();
    policy.ipv4_prefix = config.network_ipv4_prefix;
    policy.ipv6_prefix = config.network_ipv6_prefix;
    policy
}

/// Whose frames are logged, as the configuration sets it.
pub(crate) fn traces(log: &config::Log) -> Vec<FrameTrace> {
    let device = log.trace_device.map(FrameTrace::Device);
    device
        .into_iter()
        .chain(log.trace_peer.map(FrameTrace::Peer))
        .collect()
}

struct Tcp<P> {
    socket: TcpListener,
    protocol: P,
    adjust: Adjust,
}

impl<P: Protocol> DeviceListener for Tcp<P> {
    fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }

    fn run(self: Box<Self>, parts: &Parts, shutdown: CancellationToken) -> Serving {
        let server = parts
            .server(self.protocol, &self.adjust)
            .from_listener(self.socket);
        Box::pin(async move { server.run(shutdown).await.abandoned })
    }
}

struct Udp<P> {
    socket: UdpSocket,
    protocol: P,
    adjust: Adjust,
}

impl<P: Protocol> DeviceListener for Udp<P> {
    fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }

    fn run(self: Box<Self>, parts: &Parts, shutdown: CancellationToken) -> Serving {
        let server = parts
            .server(self.protocol, &self.adjust)
            .serve_datagrams(self.socket);
        Box::pin(async move { server.run(shutdown).await.abandoned })
    }
}

impl Parts {
    fn server<P: Protocol>(&self, protocol: P, adjust: &Adjust) -> Server<P, DeviceRegistry, Way> {
        let mut limits = self.limits.clone();
        adjust(&mut limits);
        let mut server = Server::new(protocol, self.registry.clone(), self.way.clone())
            .limits(limits)
            .epoch(self.epoch)
            .connections(self.connections.clone())
            .memory(self.memory.clone());
        for whose in &self.traces {
            server = server.trace(whose.clone());
        }
        server
    }
}

/// Where what devices say goes.
#[derive(Clone)]
pub(crate) enum Way {
    /// Into the pipeline of this process.
    Pipeline(Handle),
    /// To Kafka.
    #[cfg(feature = "fleet")]
    Gateway(Gateway),
}

impl Way {
    fn take(&self, envelope: Envelope) -> impl Future<Output = Outcome> + Send + use<> {
        match self {
            #[cfg(not(feature = "fleet"))]
            Self::Pipeline(handle) => {
                Either::<_, std::future::Ready<Outcome>>::Left(handle.submit(envelope))
            }
            #[cfg(feature = "fleet")]
            Self::Pipeline(handle) => Either::Left(handle.submit(envelope)),
            #[cfg(feature = "fleet")]
            Self::Gateway(gateway) => Either::Right(gateway.deliver(envelope)),
        }
    }
}

impl Deliver for Way {
    fn deliver(
        &self,
        envelope: Envelope,
    ) -> impl Future<Output = Result<(), NotDelivered>> + Send + 'static {
        let submitted = self.take(envelope);
        async move {
            match submitted.await {
                Outcome::Delivered | Outcome::Filtered => Ok(()),
                Outcome::Failed => Err(NotDelivered::Failed),
                Outcome::Lost => Err(NotDelivered::Lost),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_configuration_are_the_listeners_own() {
        let config = Config::default();
        assert_eq!(limits(&config.limits), Limits::default());
        assert_eq!(networks(&config.limits), NetworkPolicy::default());
    }
}
