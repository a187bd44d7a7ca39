//! Which devices are connected, and which of a device's connections may be given commands.
//!
//! Anyone can claim an id, so a newer connection of a device is believed by degrees:
//!
//! - **Data** is taken from every connection that the registry accepted; the newest is the
//!   device's connection from then on.
//! - **From the old one's network** ([`TakeoverPolicy`]) it replaces the old one, which is what a
//!   rebinding NAT looks like: commands go to it at once, and the old one is closed after
//!   [`Limits::superseded`](crate::Limits::superseded).
//! - **From elsewhere** the old one keeps the commands while it lives. It is not closed, so that
//!   nobody can take a device's commands by logging in; its own end or its idle deadline decides.
//!   Until the old one has spoken again nobody knows which of them is the device, and commands
//!   are refused ([`NotSent::Contested`]): they would be lost or misdirected.
//! - No more than [`TakeoverPolicy::max_connections`] of one device live; beyond it the oldest
//!   that does not hold the commands is closed.
//!
//! A device that the registry set aside is not listed here: it can neither be given commands nor
//! take over anything.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use milepost_telemetry::{DeviceKey, Name, Timestamp};
use tokio::sync::{broadcast, oneshot};

use crate::{Command, CommandRefused};

/// Commands that may wait for one connection to take them.
const MAX_WAITING: usize = 16;

/// Arrivals that a slow listener may fall behind.
const ARRIVALS: usize = 1_024;

/// Numbers connections: unique in a run of the process, whatever server they belong to, since an
/// [`Origin`](milepost_telemetry::Origin) is.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// When a newer connection of a device is believed to be the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TakeoverPolicy {
    /// How many leading bits of an IPv4 address make its network: 32 means the same address.
    pub ipv4_prefix: u8,
    /// How many leading bits of an IPv6 address make its network.
    pub ipv6_prefix: u8,
    /// How many connections of one device may live at once.
    pub max_connections: usize,
}

impl Default for TakeoverPolicy {
    fn default() -> Self {
        Self {
            ipv4_prefix: 32,
            ipv6_prefix: 64,
            max_connections: 4,
        }
    }
}

impl TakeoverPolicy {
    fn same_network(self, a: Option<SocketAddr>, b: Option<SocketAddr>) -> bool {
        let of = |peer: SocketAddr| peer.ip().to_canonical();
        match (a.map(of), b.map(of)) {
            (Some(IpAddr::V4(a)), Some(IpAddr::V4(b))) => {
                let host_bits = 32_u32.saturating_sub(u32::from(self.ipv4_prefix));
                (a.to_bits() ^ b.to_bits())
                    .checked_shr(host_bits)
                    .unwrap_or(0)
                    == 0
            }
            (Some(IpAddr::V6(a)), Some(IpAddr::V6(b))) => {
                let host_bits = 128_u32.saturating_sub(u32::from(self.ipv6_prefix));
                (a.to_bits() ^ b.to_bits())
                    .checked_shr(host_bits)
                    .unwrap_or(0)
                    == 0
            }
            // In memory there is one network.
            (None, None) => true,
            _ => false,
        }
    }
}

/// The live connections of one or several servers. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Connections {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    policy: TakeoverPolicy,
    state: Mutex<State>,
    arrivals: broadcast::Sender<DeviceKey>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            policy: TakeoverPolicy::default(),
            state: Mutex::default(),
            arrivals: broadcast::channel(ARRIVALS).0,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    links: HashMap<u64, Arc<Link>>,
    devices: HashMap<DeviceKey, Claims>,
}

/// The connections that claim to be one device.
#[derive(Debug)]
struct Claims {
    /// Oldest first; never empty.
    links: Vec<Arc<Link>>,
    /// The one that is given commands.
    speaker: u64,
}

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
    /// The other end, on a network.
    pub peer: Option<SocketAddr>,
    /// When it was accepted.
    pub since: Timestamp,
    /// Whether it is the device's newest, to which its data belongs.
    pub newest: bool,
    /// Whether commands go to it.
    pub takes_commands: bool,
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
    Interrupted,
    /// Two connections from different networks claim to be the device, and the older has not
    /// spoken since.
    #[error("two connections claim to be the device; the older has not spoken since")]
    Contested,
    /// Too many commands wait for this connection already.
    #[error("too many commands wait for this connection")]
    Busy,
    /// Its session refused it.
    #[error(transparent)]
    Refused(#[from] CommandRefused),
}

impl NotSent {
    /// Whether the same command may be sent later. After [`Interrupted`](Self::Interrupted) the
    /// device may be told twice.
    pub const fn may_retry(&self) -> bool {
        match self {
            Self::Refused(refused) => refused.may_retry(),
            Self::Interrupted | Self::NotConnected | Self::Contested | Self::Busy => true,
        }
    }
}

impl Connections {
    /// An empty set with a policy of one's own.
    pub fn new(policy: TakeoverPolicy) -> Self {
        Self {
            inner: Arc::new(Inner {
                policy,
                ..Inner::default()
            }),
        }
    }

    /// How many connections are open, named or not.
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

    /// A device's live connections, oldest first.
    pub fn of(&self, device: &DeviceKey) -> Vec<Connected> {
        let state = self.state();
        state
            .devices
            .get_key_value(device)
            .map(|(device, claims)| claims.describe(device).collect())
            .unwrap_or_default()
    }

    /// All connections of all devices, in no order.
    pub fn list(&self) -> Vec<Connected> {
        let state = self.state();
        state
            .devices
            .iter()
            .flat_map(|(device, claims)| claims.describe(device))
            .collect()
    }

    /// Gives a command to a device's session; resolves when its bytes are with the kernel.
    ///
    /// # Errors
    /// [`NotSent`]: certainly not sent, except for [`NotSent::Interrupted`].
    pub async fn send_command(&self, device: &DeviceKey, command: Command) -> Result<(), NotSent> {
        let (verdict, sent) = oneshot::channel();
        {
            let state = self.state();
            let claims = state.devices.get(device).ok_or(NotSent::NotConnected)?;
            let link = claims.speaker().ok_or(NotSent::Contested)?;
            link.post(Order { command, verdict })?;
        }
        sent.await.unwrap_or(Err(NotSent::Interrupted))
    }

    /// Whether a command for a device would be handed to a connection now.
    ///
    /// # Errors
    /// Why not.
    pub fn takes_commands(&self, device: &DeviceKey) -> Result<(), NotSent> {
        let state = self.state();
        let claims = state.devices.get(device).ok_or(NotSent::NotConnected)?;
        claims.speaker().map(drop).ok_or(NotSent::Contested)
    }

    /// Tells each device that has named itself, or whose commands go to another connection now.
    /// A command that is sent then follows the answer to the login. Who falls behind is told so,
    /// and looks which devices it cares for are connected.
    pub fn arrivals(&self) -> broadcast::Receiver<DeviceKey> {
        self.inner.arrivals.subscribe()
    }

    fn arrived(&self, device: &DeviceKey) {
        if self.inner.arrivals.receiver_count() > 0 {
            // Who has gone meanwhile need not know.
            let _nobody = self.inner.arrivals.send(*device).is_err();
        }
    }

    /// Registers a connection that was just accepted.
    pub(crate) fn open(
        &self,
        server: u64,
        protocol: Name,
        peer: Option<SocketAddr>,
        since: Timestamp,
    ) -> Registered {
        let link = Arc::new(Link {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            server,
            protocol,
            peer,
            since,
            signals: AtomicU8::new(0),
            heard: AtomicBool::new(true),
            waker: AtomicWaker::new(),
            orders: Mutex::default(),
        });
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

impl Claims {
    /// The connection that commands go to, unless that is contested.
    fn speaker(&self) -> Option<&Arc<Link>> {
        let newest = self.links.last()?;
        let speaker = self.links.iter().find(|link| link.id == self.speaker)?;
        let contested = newest.id != speaker.id && !speaker.heard.load(Ordering::Relaxed);
        (!contested).then_some(speaker)
    }

    fn describe<'a>(&'a self, device: &'a DeviceKey) -> impl Iterator<Item = Connected> + 'a {
        let newest = self.links.last().map(|link| link.id);
        let speaker = self.speaker().map(|link| link.id);
        self.links.iter().map(move |link| Connected {
            device: *device,
            connection: link.id,
            protocol: link.protocol,
            peer: link.peer,
            since: link.since,
            newest: newest == Some(link.id),
            takes_commands: speaker == Some(link.id),
        })
    }
}

/// What became of a device's other connections when it named itself on this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// There was none, or this one had named itself before.
    First,
    /// There was one.
    TookOver { same_network: bool },
}

/// A connection's entry; it goes when this is dropped, even by a panic.
pub(crate) struct Registered {
    connections: Connections,
    link: Arc<Link>,
    device: Option<DeviceKey>,
}

impl Registered {
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// The connection turned out to be a device.
    pub(crate) fn bind(&mut self, device: &DeviceKey) -> Bound {
        if self.device.as_ref() == Some(device) {
            return Bound::First;
        }
        self.unbind();
        self.device = Some(*device);
        let policy = self.connections.inner.policy;
        let mut state = self.connections.state();
        let Some(claims) = state.devices.get_mut(device) else {
            let claims = Claims {
                links: vec![Arc::clone(&self.link)],
                speaker: self.link.id,
            };
            state.devices.insert(*device, claims);
            drop(state);
            self.connections.arrived(device);
            return Bound::First;
        };

        let mut same_network = false;
        if let Some(speaker) = claims.links.iter().find(|l| l.id == claims.speaker) {
            same_network = policy.same_network(speaker.peer, self.link.peer);
            speaker.heard.store(false, Ordering::Relaxed);
        }
        if same_network {
            claims.speaker = self.link.id;
            for older in &claims.links {
                if policy.same_network(older.peer, self.link.peer) {
                    older.signal(Signal::Superseded);
                }
            }
        }
        claims.links.push(Arc::clone(&self.link));
        let excess = claims
            .links
            .len()
            .saturating_sub(policy.max_connections.max(2));
        let speaker = claims.speaker;
        for oldest in claims
            .links
            .iter()
            .filter(|link| link.id != speaker)
            .take(excess)
        {
            oldest.signal(Signal::Evicted);
        }
        drop(state);
        if same_network {
            self.connections.arrived(device);
        }
        Bound::TookOver { same_network }
    }

    /// The connection speaks for no device any more.
    pub(crate) fn unbind(&mut self) {
        let Some(device) = self.device.take() else {
            return;
        };
        let mut state = self.connections.state();
        let Some(claims) = state.devices.get_mut(&device) else {
            return;
        };
        claims.links.retain(|link| link.id != self.link.id);
        match claims.links.last() {
            None => {
                state.devices.remove(&device);
            }
            Some(newest) if claims.speaker == self.link.id => {
                claims.speaker = newest.id;
                drop(state);
                self.connections.arrived(&device);
            }
            Some(_) => {}
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.unbind();
        self.connections.state().links.remove(&self.link.id);
        self.link.hang_up();
    }
}

/// What others say to a connection.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(crate) enum Signal {
    /// Stop reading, settle, close.
    Drain = 1,
    /// A newer connection has replaced this one.
    Superseded = 2,
    /// The device has too many connections.
    Evicted = 4,
    /// A command waits.
    Order = 8,
}

/// The signals that were set when they were taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signals(u8);

impl Signals {
    pub(crate) const fn has(self, signal: Signal) -> bool {
        self.0 & signal as u8 != 0
    }
}

/// A command and who waits for it to be sent.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) command: Command,
    pub(crate) verdict: oneshot::Sender<Result<(), NotSent>>,
}

/// What is shared between a connection's task and the rest.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: u64,
    server: u64,
    protocol: Name,
    pub(crate) peer: Option<SocketAddr>,
    since: Timestamp,
    signals: AtomicU8,
    /// Whether the peer has spoken since another connection claimed its device.
    heard: AtomicBool,
    waker: AtomicWaker,
    orders: Mutex<VecDeque<Order>>,
}

impl Link {
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    pub(crate) fn heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Polls the connection's task once more.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// Takes all signals; none costs one load.
    pub(crate) fn take_signals(&self) -> Option<Signals> {
        if self.signals.load(Ordering::Acquire) == 0 {
            return None;
        }
        Some(Signals(self.signals.swap(0, Ordering::AcqRel)))
    }

    pub(crate) fn take_orders(&self) -> VecDeque<Order> {
        std::mem::take(&mut *self.orders())
    }

    fn signal(&self, signal: Signal) {
        self.signals.fetch_or(signal as u8, Ordering::AcqRel);
        self.waker.wake();
    }

    fn post(&self, order: Order) -> Result<(), NotSent> {
        {
            let mut orders = self.orders();
            if orders.len() >= MAX_WAITING {
                return Err(NotSent::Busy);
            }
            orders.push_back(order);
        }
        self.signal(Signal::Order);
        Ok(())
    }

    /// Nobody will take what waits: certainly not sent.
    pub(crate) fn hang_up(&self) {
        for order in self.take_orders() {
            // Whoever asked may have stopped waiting.
            order.verdict.send(Err(NotSent::NotConnected)).ok();
        }
    }

    fn orders(&self) -> MutexGuard<'_, VecDeque<Order>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_as_wide_as_its_prefix() {
        let at = |s: &str| Some(format!("{s}:1").parse().expect("an address"));
        let same = |policy: TakeoverPolicy, a: &str, b: &str| policy.same_network(at(a), at(b));
        let exact = TakeoverPolicy::default();
        assert!(same(exact, "10.0.0.1", "10.0.0.1"));
        assert!(!same(exact, "10.0.0.1", "10.0.0.2"));
        assert!(same(exact, "[2001:db8::1]", "[2001:db8::2]"));
        assert!(!same(exact, "[2001:db8::1]", "[2001:db8:0:1::1]"));
        assert!(same(exact, "10.0.0.1", "[::ffff:10.0.0.1]"));
        let wide = TakeoverPolicy {
            ipv4_prefix: 24,
            ..exact
        };
        assert!(same(wide, "10.0.0.1", "10.0.0.200"));
        assert!(!same(wide, "10.0.0.1", "10.0.1.1"));
        let any = TakeoverPolicy {
            ipv4_prefix: 0,
            ipv6_prefix: 0,
            ..exact
        };
        assert!(same(any, "10.0.0.1", "192.0.2.1") && same(any, "[::1]", "[2001:db8::1]"));
        assert!(!same(any, "10.0.0.1", "[2001:db8::1]"));
    }
}
