//! Who is this device, whose is it, and what is known about it?

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use milepost_telemetry::{DeviceId, DeviceKey, Name, Profile, Tenant};

use crate::Identified;

/// What a connection claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The protocol that it speaks.
    pub protocol: Name,
    /// The id that it gave itself. Anyone can claim any id.
    pub id: DeviceId,
    /// Where it comes from, on a network.
    pub peer: Option<SocketAddr>,
}

/// A registry's answer to a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// A device of ours.
    Accept(Identified),
    /// Talk to it (so that it does not reconnect in a tight loop), but keep all it reports in
    /// quarantine. It can neither be given commands nor take over a device's connection.
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
    fn resolve(&self, claim: Claim) -> impl Future<Output = Resolution> + Send;

    /// Keeps what a session has learned. Called in order for one connection; must not block.
    fn learn(&self, device: &DeviceKey, profile: &Profile);
}

impl<R: Registry> Registry for Arc<R> {
    fn resolve(&self, claim: Claim) -> impl Future<Output = Resolution> + Send {
        R::resolve(self, claim)
    }

    fn learn(&self, device: &DeviceKey, profile: &Profile) {
        R::learn(self, device, profile);
    }
}

/// Accepts every device as one tenant's, and remembers nothing: for tests and first steps.
#[derive(Debug, Clone)]
pub struct AcceptAll(pub Tenant);

impl Registry for AcceptAll {
    async fn resolve(&self, claim: Claim) -> Resolution {
        let device = DeviceKey {
            tenant: self.0,
            device: claim.id,
        };
        Resolution::Accept(Identified {
            device,
            profile: None,
        })
    }

    fn learn(&self, _: &DeviceKey, _: &Profile) {}
}
