//! Which devices are connected, and which of a device's connections gets commands.
//!
//! Anyone can claim an id, so the connections of one device and protocol live side by side for
//! data: each is acknowledged on its own, and none can end another from a different network
//! ([`NetworkPolicy`]). Commands can stop an engine, so they go to one connection only:
//!
//! | connected | commands go to |
//! |---|---|
//! | a device that the configuration binds, from a network of these | the newest connection from there |
//! | a device that the configuration binds, from others only | none: it is [not bound](NotSent::NotBound) to them |
//! | one network | its newest connection, at once |
//! | several, of which the device was first seen in one [`NetworkPolicy::seniority`] before all others | the newest connection of that one |
//! | several otherwise | none: they are [contested](NotSent::Contested) |
//!
//! Devices that the registry put in quarantine are not listed here: they can neither be given
//! commands nor compete for them.

mod claims;
mod link;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use milepost_telemetry::{DeviceKey, Name, Timestamp};
use tokio::sync::{broadcast, oneshot};
use tokio::time::Instant;

use self::claims::{Claims, Member};
use self::link::PendingCommand;
pub(crate) use self::link::{Link, Signal, Signals};
use crate::rate::SharedBucket;
use crate::{Command, CommandRefused, Identified, Network};

/// Arrivals that a slow receiver may fall behind.
const ARRIVALS: usize = 1_024;

/// Numbers connections: unique in a run of the process, whatever server they belong to, since an
/// [`Origin`](milepost_telemetry::Origin) is.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// What a network is, and how many connections and networks a device may be connected from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkPolicy {
    /// How many leading bits of an IPv4 address make its network: 32 means the same address.
    pub ipv4_prefix: u8,
    /// How many leading bits of an IPv6 address make its network.
    pub ipv6_prefix: u8,
    /// Connections of one device and protocol from one network; beyond it, the oldest of that
    /// network is closed.
    pub per_network: usize,
    /// Networks from which one device and protocol may be connected; beyond it, the connections of
    /// the one in which the device was first seen last are closed.
    pub networks: usize,
    /// How long before all others a network must have been first seen to get commands.
    pub seniority: Duration,
}

impl Default for NetworkPolicy {
    fn default() -> Self {
        Self {
            ipv4_prefix: 24,
            ipv6_prefix: 48,
            per_network: 4,
            networks: 8,
            seniority: Duration::from_secs(24 * 3_600),
        }
    }
}

impl NetworkPolicy {
    /// The network of a peer.
    pub fn network(&self, peer: SocketAddr) -> Network {
        Network::of(peer.ip(), self.ipv4_prefix, self.ipv6_prefix)
    }
}

/// The live connections of one or several servers. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Connections {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    policy: NetworkPolicy,
    state: Mutex<State>,
    arrivals: broadcast::Sender<DeviceKey>,
    /// The frames of all connections without an accepted login.
    stranger_frames: SharedBucket,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            policy: NetworkPolicy::default(),
            state: Mutex::default(),
            arrivals: broadcast::channel(ARRIVALS).0,
            stranger_frames: SharedBucket::full(Instant::now()),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    links: HashMap<u64, Arc<Link>>,
    devices: HashMap<DeviceKey, PerProtocol>,
}

/// A device's connections by protocol; nearly always one.
type PerProtocol = Vec<(Name, Claims)>;

/// A live connection of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connected {
    /// The device.
    pub device: DeviceKey,
    /// The connection's number in this run of the process, as in
    /// [`Origin::connection`](milepost_telemetry::Origin).
    pub connection: u64,
    /// The protocol that it speaks.
    pub protocol: Name,
    /// The peer's address, on a network.
    pub peer: Option<SocketAddr>,
    /// The network of that address.
    pub network: Option<Network>,
    /// When the device was first seen in that network.
    pub first_seen: Timestamp,
    /// Whether the configuration binds the device to that network.
    pub bound: bool,
    /// When it was accepted.
    pub since: Timestamp,
    /// Whether it is the newest of the device and protocol.
    pub newest: bool,
    /// Whether commands go to it.
    pub takes_commands: bool,
}

/// Where a command was sent. An answer that comes from elsewhere answers nothing that was sent:
/// compare [`Origin::connection`](milepost_telemetry::Origin) and the peer of its envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// The connection, as in [`Origin::connection`](milepost_telemetry::Origin).
    pub connection: u64,
    /// Its peer, on a network.
    pub peer: Option<SocketAddr>,
    /// The peer's network.
    pub network: Option<Network>,
}

/// A command was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSent {
    /// The device is not connected, or its connection ended before it took the command.
    #[error("the device is not connected")]
    NotConnected,
    /// Its connection ended while the command was being written: it may have arrived.
    #[error("the connection ended while the command was being written")]
    Interrupted(Sent),
    /// The device is connected from several networks, and none of them has precedence.
    #[error("the device is connected from several networks, of which none has precedence")]
    Contested,
    /// The device is connected, but from none of the networks that the configuration binds it to.
    #[error("the device is not connected from a network that it is bound to")]
    NotBound,
    /// The device's commands go to another connection than the one that was chosen.
    #[error("the device's commands go to another connection now")]
    Superseded,
    /// Too many commands wait for this connection already.
    #[error("too many commands wait for this connection")]
    Busy,
    /// Its session refused it.
    #[error(transparent)]
    Refused(#[from] CommandRefused),
}

impl NotSent {
    /// Whether the same command may be sent later. After [`Interrupted`](Self::Interrupted) the
    /// device may get it twice.
    pub const fn may_retry(&self) -> bool {
        match self {
            Self::Refused(refused) => refused.may_retry(),
            Self::Interrupted(_)
            | Self::NotConnected
            | Self::Contested
            | Self::NotBound
            | Self::Superseded
            | Self::Busy => true,
        }
    }
}

impl Connections {
    /// An empty set with a policy of one's own.
    pub fn new(policy: NetworkPolicy) -> Self {
        Self {
            inner: Arc::new(Inner {
                policy,
                ..Inner::default()
            }),
        }
    }

    /// What a network is, and how many of them a device may be connected from.
    pub fn policy(&self) -> NetworkPolicy {
        self.inner.policy
    }

    /// How many connections are open, with an accepted login or without.
    pub fn len(&self) -> usize {
        self.state().links.len()
    }

    /// Whether no connection is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many devices are connected.
    pub fn devices(&self) -> usize {
        self.state().devices.len()
    }

    /// Whether a device is connected.
    pub fn is_connected(&self, device: &DeviceKey) -> bool {
        self.state().devices.contains_key(device)
    }

    /// A device's live connections; of each protocol, oldest first.
    pub fn of(&self, device: &DeviceKey) -> Vec<Connected> {
        let state = self.state();
        state
            .devices
            .get(device)
            .into_iter()
            .flatten()
            .flat_map(|(_, claims)| claims.describe(device, self.inner.policy))
            .collect()
    }

    /// All connections of all devices, in no order.
    pub fn list(&self) -> Vec<Connected> {
        let state = self.state();
        state
            .devices
            .iter()
            .flat_map(|(device, protocols)| {
                protocols
                    .iter()
                    .flat_map(|(_, claims)| claims.describe(device, self.inner.policy))
            })
            .collect()
    }

    /// Gives a command to a device's session; resolves when its bytes are with the kernel, to
    /// where it was sent. Of several protocols by which the device is connected, one that has
    /// commands.
    ///
    /// # Errors
    /// [`NotSent`]: certainly not sent, except for [`NotSent::Interrupted`].
    pub async fn send_command(
        &self,
        device: &DeviceKey,
        command: Command,
    ) -> Result<Sent, NotSent> {
        self.send(device, None, command).await
    }

    /// The same for a connection that was chosen before ([`Connected::takes_commands`]), such as
    /// the one that is on record: the command goes to it or to none.
    ///
    /// # Errors
    /// As above; [`NotSent::Superseded`] if the device's commands go to another connection now.
    pub async fn send_command_to(
        &self,
        device: &DeviceKey,
        connection: u64,
        command: Command,
    ) -> Result<Sent, NotSent> {
        self.send(device, Some(connection), command).await
    }

    async fn send(
        &self,
        device: &DeviceKey,
        connection: Option<u64>,
        command: Command,
    ) -> Result<Sent, NotSent> {
        let (verdict, sent) = oneshot::channel();
        let target = {
            let state = self.state();
            let link = state.target(device, self.inner.policy)?;
            if connection.is_some_and(|connection| connection != link.id) {
                return Err(NotSent::Superseded);
            }
            link.post(PendingCommand { command, verdict })?;
            link.sent()
        };
        sent.await.unwrap_or(Err(NotSent::Interrupted(target)))
    }

    /// Whether a command for a device would be given to a connection now.
    ///
    /// # Errors
    /// Why not.
    pub fn takes_commands(&self, device: &DeviceKey) -> Result<(), NotSent> {
        self.state().target(device, self.inner.policy).map(drop)
    }

    /// Sends each device that has logged in, or whose commands may go to another connection now.
    /// A command that is sent then follows the answer to the login. A receiver that lags gets
    /// `Lagged` and should query the connected devices again.
    pub fn arrivals(&self) -> broadcast::Receiver<DeviceKey> {
        self.inner.arrivals.subscribe()
    }

    fn arrived(&self, device: &DeviceKey) {
        if self.inner.arrivals.receiver_count() > 0 {
            // The last receiver may have gone meanwhile.
            let _nobody = self.inner.arrivals.send(*device).is_err();
        }
    }

    /// The frames of all connections without an accepted login.
    pub(crate) fn stranger_frames(&self) -> &SharedBucket {
        &self.inner.stranger_frames
    }

    /// Registers a connection that was just accepted.
    pub(crate) fn open(
        &self,
        server: u64,
        protocol: Name,
        commands: bool,
        peer: Option<SocketAddr>,
        since: Timestamp,
    ) -> Registered {
        let link = Arc::new(Link::new(
            NEXT.fetch_add(1, Ordering::Relaxed),
            server,
            protocol,
            commands,
            peer,
            peer.map(|peer| self.inner.policy.network(peer)),
            since,
        ));
        self.state().links.insert(link.id, Arc::clone(&link));
        Registered {
            connections: self.clone(),
            link,
            device: None,
        }
    }

    /// Asks a server's connections to drain.
    pub(crate) fn drain(&self, server: u64) {
        for link in self.state().links.values() {
            if link.server == server {
                link.signal(Signal::Drain);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is changed in single steps: what a panicking thread left is whole.
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn target(&self, device: &DeviceKey, policy: NetworkPolicy) -> Result<&Arc<Link>, NotSent> {
        let protocols = self.devices.get(device).ok_or(NotSent::NotConnected)?;
        let mut with_commands = protocols.iter().filter(|(_, claims)| claims.has_commands());
        let (_, claims) = with_commands
            .next()
            .or_else(|| protocols.first())
            .ok_or(NotSent::NotConnected)?;
        claims.target(policy)
    }
}

/// What a device's login found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    /// No other connection of the device and protocol, or this one had logged in before.
    Only,
    /// Others, from the same network or not.
    Beside { same_network: bool },
}

/// A connection's entry; it goes when this is dropped, even by a panic.
pub(crate) struct Registered {
    connections: Connections,
    link: Arc<Link>,
    device: Option<DeviceKey>,
}

impl Registered {
    pub(crate) const fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// The connection turned out to be a device.
    pub(crate) fn bind(&mut self, identified: &Identified, now: Timestamp) -> Login {
        let device = identified.device;
        if self.device == Some(device) {
            return Login::Only;
        }
        self.unbind();
        self.device = Some(device);
        let member = Member::new(
            Arc::clone(&self.link),
            identified.first_seen.unwrap_or(now),
            identified.binding,
        );
        let mut state = self.connections.state();
        let protocols = state
            .devices
            .entry(device)
            .or_insert_with(|| Vec::with_capacity(1));
        let protocol = self.link.protocol;
        if !protocols.iter().any(|(name, _)| *name == protocol) {
            protocols.push((protocol, Claims::default()));
        }
        let Some((_, claims)) = protocols.iter_mut().find(|(name, _)| *name == protocol) else {
            return Login::Only;
        };
        let login = if claims.is_empty() {
            Login::Only
        } else {
            Login::Beside {
                same_network: claims.has(self.link.network),
            }
        };
        claims.add(member, self.connections.inner.policy);
        drop(state);
        self.connections.arrived(&device);
        login
    }

    /// The connection speaks for no device any more.
    pub(crate) fn unbind(&mut self) {
        let Some(device) = self.device.take() else {
            return;
        };
        let mut state = self.connections.state();
        let Some(protocols) = state.devices.get_mut(&device) else {
            return;
        };
        for (_, claims) in &mut *protocols {
            claims.remove(self.link.id);
        }
        protocols.retain(|(_, claims)| !claims.is_empty());
        if protocols.is_empty() {
            state.devices.remove(&device);
        } else {
            // Commands that were contested, or went to this one, may go to another now.
            drop(state);
            self.connections.arrived(&device);
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.unbind();
        self.connections.state().links.remove(&self.link.id);
        self.link.refuse_commands();
    }
}
