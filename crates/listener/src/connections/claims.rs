//! The connections that claim to be one device by one protocol: which live on, and which of them
//! gets commands.

use std::sync::Arc;

use milepost_telemetry::{DeviceKey, Timestamp};

use super::link::{Link, Signal};
use super::{Connected, NetworkPolicy, NotSent};
use crate::{Binding, Network};

/// The connections of one device and protocol, oldest first.
#[derive(Debug, Default)]
pub(super) struct Claims {
    members: Vec<Member>,
}

/// A connection that claims to be the device.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) link: Arc<Link>,
    /// When the device was first seen in the connection's network.
    pub(super) first_seen: Timestamp,
    /// Whether the configuration binds the device, and to the connection's network.
    pub(super) binding: Binding,
    /// It was asked to close.
    evicted: bool,
}

impl Member {
    pub(super) const fn new(link: Arc<Link>, first_seen: Timestamp, binding: Binding) -> Self {
        Self {
            link,
            first_seen,
            binding,
            evicted: false,
        }
    }

    fn evict(&mut self) {
        self.evicted = true;
        self.link.signal(Signal::Evicted);
    }
}

/// A network from which the device is connected.
#[derive(Debug, Clone, Copy)]
struct Presence {
    network: Option<Network>,
    first_seen: Timestamp,
    bound: bool,
}

impl Claims {
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether the device is connected from this network.
    pub(super) fn has(&self, network: Option<Network>) -> bool {
        self.live().any(|member| member.link.network == network)
    }

    /// Adds the newest connection and closes those that are too many: of its own network the
    /// oldest, and of all networks the one in which the device was first seen last.
    pub(super) fn add(&mut self, member: Member, policy: NetworkPolicy) {
        let network = member.link.network;
        self.members.push(member);
        let of_network = self.live().filter(|m| m.link.network == network).count();
        let excess = of_network.saturating_sub(policy.per_network.max(1));
        let own = |m: &&mut Member| !m.evicted && m.link.network == network;
        self.members
            .iter_mut()
            .filter(own)
            .take(excess)
            .for_each(Member::evict);

        let presences = self.presences();
        if presences.len() <= policy.networks.max(1) {
            return;
        }
        // A network that the configuration binds goes last. Of several that were first seen at the
        // same time: the one that came last.
        let latest = presences.iter().max_by_key(|p| (!p.bound, p.first_seen));
        if let Some(latest) = latest {
            self.members
                .iter_mut()
                .filter(|m| !m.evicted && m.link.network == latest.network)
                .for_each(Member::evict);
        }
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.members.retain(|member| member.link.id != id);
    }

    /// The connection that commands go to: the newest of the network that may speak for the
    /// device.
    pub(super) fn target(&self, policy: NetworkPolicy) -> Result<&Arc<Link>, NotSent> {
        let mut presences = self.presences();
        // Of a device that is bound anyone else may at most report.
        let is_bound = |member: &Member| member.binding != Binding::Unbound;
        if !presences.is_empty() && self.live().any(is_bound) {
            presences.retain(|presence| presence.bound);
            if presences.is_empty() {
                return Err(NotSent::NotBound);
            }
        }
        let network = match &*presences {
            [] => return Err(NotSent::NotConnected),
            [only] => only.network,
            several => senior(several, policy).ok_or(NotSent::Contested)?.network,
        };
        self.live()
            .rfind(|member| member.link.network == network)
            .map(|member| &member.link)
            .ok_or(NotSent::NotConnected)
    }

    pub(super) fn describe<'a>(
        &'a self,
        device: &'a DeviceKey,
        policy: NetworkPolicy,
    ) -> impl Iterator<Item = Connected> + 'a {
        let target = self.target(policy).map(|link| link.id).ok();
        let newest = self.members.last().map(|member| member.link.id);
        self.members.iter().map(move |member| Connected {
            device: *device,
            connection: member.link.id,
            protocol: member.link.protocol,
            peer: member.link.peer,
            network: member.link.network,
            first_seen: member.first_seen,
            bound: member.binding == Binding::Here,
            since: member.link.since,
            newest: newest == Some(member.link.id),
            takes_commands: member.link.commands && target == Some(member.link.id),
        })
    }

    /// Whether the protocol has commands.
    pub(super) fn has_commands(&self) -> bool {
        self.members.iter().any(|member| member.link.commands)
    }

    fn live(&self) -> impl DoubleEndedIterator<Item = &Member> {
        self.members.iter().filter(|member| !member.evicted)
    }

    fn presences(&self) -> Vec<Presence> {
        let mut presences: Vec<Presence> = Vec::with_capacity(1);
        for member in self.live() {
            let network = member.link.network;
            if let Some(known) = presences.iter_mut().find(|p| p.network == network) {
                known.first_seen = known.first_seen.min(member.first_seen);
                known.bound |= member.binding == Binding::Here;
            } else {
                presences.push(Presence {
                    network,
                    first_seen: member.first_seen,
                    bound: member.binding == Binding::Here,
                });
            }
        }
        presences
    }
}

/// The network that may speak for the device when several are connected: the one that the
/// configuration binds, else one first seen long before all others.
fn senior(presences: &[Presence], policy: NetworkPolicy) -> Option<&Presence> {
    let mut bound = presences.iter().filter(|presence| presence.bound);
    if let Some(first) = bound.next() {
        // Several bound ones are all the owner's.
        return bound.next_back().or(Some(first));
    }
    let eldest = presences.iter().min_by_key(|p| p.first_seen)?;
    let lead = i64::try_from(policy.seniority.as_millis()).unwrap_or(i64::MAX);
    let senior_to = |other: &Presence| {
        other.network == eldest.network
            || other
                .first_seen
                .as_millis()
                .saturating_sub(eldest.first_seen.as_millis())
                >= lead
    };
    presences.iter().all(senior_to).then_some(eldest)
}
