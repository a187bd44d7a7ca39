//! Who is this device, whose is it, and what is known about it?

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use milepost_telemetry::{DeviceId, DeviceKey, Name, Profile, Tenant, Timestamp};

use crate::Network;

/// What a connection claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim {
    /// The protocol that it speaks.
    pub protocol: Name,
    /// The id that it gave itself, or that the configuration gives it. Anyone can claim any id.
    pub id: DeviceId,
    /// The peer's address, on a network.
    pub peer: Option<SocketAddr>,
    /// The network of that address, as wide as [`NetworkPolicy`](crate::NetworkPolicy) says.
    pub network: Option<Network>,
}

impl Claim {
    /// A claim from nowhere.
    pub const fn new(protocol: Name, id: DeviceId) -> Self {
        Self {
            protocol,
            id,
            peer: None,
            network: None,
        }
    }
}

/// Who a connection turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identified {
    /// Tenant and device.
    pub device: DeviceKey,
    /// What is known about the device, if anything.
    pub profile: Option<Profile>,
    /// When the device was first seen in the claim's network; `None`: now.
    pub first_seen: Option<Timestamp>,
    /// Whether the configuration binds the device to networks, and to the claim's.
    pub binding: Binding,
}

/// Whether the configuration binds a device to networks. Commands for one that is bound go only
/// there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Binding {
    /// It is not bound.
    #[default]
    Unbound,
    /// It is bound, and the claim's network is one of these.
    Here,
    /// It is bound to other networks than the claim's.
    Elsewhere,
}

impl Binding {
    /// The binding of a device with the networks that it is bound to, if any, of which `is_here`
    /// says whether the claim's address is in one.
    pub const fn of(is_bound: bool, is_here: bool) -> Self {
        match (is_bound, is_here) {
            (false, _) => Self::Unbound,
            (true, true) => Self::Here,
            (true, false) => Self::Elsewhere,
        }
    }
}

impl Identified {
    /// A device of which nothing more is known.
    pub const fn new(device: DeviceKey) -> Self {
        Self {
            device,
            profile: None,
            first_seen: None,
            binding: Binding::Unbound,
        }
    }

    /// With what is known about the device.
    #[must_use]
    pub fn with_profile(mut self, profile: Option<Profile>) -> Self {
        self.profile = profile;
        self
    }

    /// With the time at which the device was first seen in the claim's network.
    #[must_use]
    pub const fn first_seen(mut self, at: Option<Timestamp>) -> Self {
        self.first_seen = at;
        self
    }

    /// With whether the configuration binds the device to networks, and to the claim's.
    #[must_use]
    pub const fn binding(mut self, binding: Binding) -> Self {
        self.binding = binding;
        self
    }
}

/// A registry's answer to a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolution {
    /// A device of ours.
    Accept(Identified),
    /// Talk to it (so that it does not reconnect in a tight loop), but keep all it reports in
    /// quarantine. It can neither be given commands nor compete with a device's connections, and
    /// is heard no faster than [`Limits::quarantine_rate`](crate::Limits::quarantine_rate).
    Quarantine(Identified),
    /// Close the connection without an answer. Many devices reconnect at once and for ever.
    Refuse,
}

/// Knows devices.
///
/// `resolve` is on the way of every login: it should answer from memory or from a store that can
/// be read while the data path is down, since logins are answered even then.
pub trait Registry: Send + Sync + 'static {
    /// Resolves a claim.
    ///
    /// The answer also says since when the device has been seen in the claim's network and
    /// whether it is bound to it: that decides which connection gets commands when several
    /// networks are connected.
    fn resolve(&self, claim: Claim) -> impl Future<Output = Resolution> + Send;

    /// Keeps what a session has learned. What is learned by one protocol is nothing to another:
    /// profiles are kept per (tenant, device, protocol). Called in order for one connection; must
    /// not block.
    fn learn(&self, protocol: Name, device: &DeviceKey, profile: &Profile);
}

impl<R: Registry> Registry for Arc<R> {
    fn resolve(&self, claim: Claim) -> impl Future<Output = Resolution> + Send {
        R::resolve(self, claim)
    }

    fn learn(&self, protocol: Name, device: &DeviceKey, profile: &Profile) {
        R::learn(self, protocol, device, profile);
    }
}

/// Accepts every device as one tenant's, and remembers nothing: for tests and first steps.
#[derive(Debug, Clone)]
pub struct AcceptAll(pub Tenant);

impl Registry for AcceptAll {
    async fn resolve(&self, claim: Claim) -> Resolution {
        Resolution::Accept(Identified::new(DeviceKey {
            tenant: self.0,
            device: claim.id,
        }))
    }

    fn learn(&self, _: Name, _: &DeviceKey, _: &Profile) {}
}
