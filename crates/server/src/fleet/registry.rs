//! Who is this device: the configuration says, until a fleet has a registry. What was learned of a
//! device's dialect travels through Redis, and gateways go on without it while Redis is away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use milepost_listener::{Binding, Claim, Identified, Registry, Resolution};
use milepost_pipeline::sink::redis::{LastKnown, LastKnownOptions, RedisUrl};
use milepost_telemetry::{DeviceId, DeviceKey, Name, Profile, Tenant};

use crate::config::{Config, Device, UnknownDevice};
use crate::protocol::Protocols;

/// Profiles that are remembered; when there are more, all are forgotten and read again.
const MAX_REMEMBERED: usize = 500_000;
/// A login does not wait longer for Redis.
const PATIENCE: Duration = Duration::from_millis(300);
/// How often an unreachable Redis is tried again.
const CONNECT_AGAIN: Duration = Duration::from_secs(2);

/// The registry of `milepost gateway`.
#[derive(Clone)]
pub(crate) struct FleetRegistry {
    inner: Arc<Inner>,
}

struct Inner {
    tenant: Tenant,
    unknown: UnknownDevice,
    protocols: Protocols,
    configured: HashMap<DeviceId, Device>,
    known: Mutex<HashMap<(DeviceId, Name), Profile>>,
    redis: Arc<Mutex<Option<LastKnown>>>,
}

impl FleetRegistry {
    /// A registry of the configured devices, and Redis if there is one. Connects by itself.
    pub(crate) fn new(config: &Config, protocols: Protocols, redis: Option<RedisUrl>) -> Self {
        let devices = &config.devices;
        let listed = devices.listed.iter();
        let connection = Arc::new(Mutex::new(None));
        if let Some(url) = redis {
            let connection = Arc::clone(&connection);
            tokio::spawn(async move {
                loop {
                    match LastKnown::connect(&url, LastKnownOptions::default()).await {
                        Ok(connected) => {
                            *connection.lock().unwrap_or_else(PoisonError::into_inner) =
                                Some(connected);
                            return;
                        }
                        Err(error) => tracing::debug!(%error, "no profiles from Redis yet"),
                    }
                    tokio::time::sleep(CONNECT_AGAIN).await;
                }
            });
        }
        Self {
            inner: Arc::new(Inner {
                tenant: devices.tenant,
                unknown: devices.unknown,
                protocols,
                configured: listed.map(|device| (device.id, device.clone())).collect(),
                known: Mutex::default(),
                redis: connection,
            }),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<(DeviceId, Name), Profile>> {
        let known = self.inner.known.lock();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known
    }

    fn redis(&self) -> Option<LastKnown> {
        let redis = self.inner.redis.lock();
        redis.unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn learned(&self, key: &DeviceKey, protocol: Name) -> Option<Profile> {
        if let Some(profile) = self.known().get(&(key.device, protocol)) {
            return Some(profile.clone());
        }
        let mut redis = self.redis()?;
        let read = tokio::time::timeout(PATIENCE, redis.profile(key, protocol)).await;
        let text = match read {
            Ok(Ok(text)) => text?,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a profile could not be read");
                return None;
            }
            Err(_) => return None,
        };
        let profile = Profile::new(&text);
        self.known()
            .entry((key.device, protocol))
            .or_insert_with(|| profile.clone());
        Some(profile)
    }
}

impl Registry for FleetRegistry {
    async fn resolve(&self, claim: Claim) -> Resolution {
        let inner = &self.inner;
        let key = DeviceKey {
            tenant: inner.tenant,
            device: claim.id,
        };
        let configured = inner.configured.get(&claim.id);
        if configured.is_none() && inner.unknown == UnknownDevice::Refuse {
            return Resolution::Refuse;
        }
        let learned = self.learned(&key, claim.protocol).await;
        let profile = match inner.protocols.named(claim.protocol.as_str()) {
            Some(protocol) => protocol.profile(configured, learned),
            None => learned,
        };
        let binding = configured.map_or(Binding::Unbound, |device| device.binding(claim.peer));
        let identified = Identified::new(key).with_profile(profile).binding(binding);
        if configured.is_some() || inner.unknown == UnknownDevice::Accept {
            Resolution::Accept(identified)
        } else {
            Resolution::Quarantine(identified)
        }
    }

    fn learn(&self, protocol: Name, device: &DeviceKey, profile: &Profile) {
        self.known()
            .insert((device.device, protocol), profile.clone());
        if let Some(mut redis) = self.redis() {
            let (device, profile) = (*device, profile.clone());
            tokio::spawn(async move {
                let put = redis.put_profile(&device, protocol, profile.as_str()).await;
                if let Err(error) = put {
                    tracing::debug!(%error, device = %device.device, "a profile was not shared");
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_device_bound_to_another_network_than_its_claim_s_is_bound_elsewhere() {
        let mut config = Config::default();
        let mut device = Device::new(DeviceId::new("752533678900242").unwrap());
        device.networks = vec!["10.1.0.0/16".parse().unwrap()];
        config.devices.listed.push(device);
        let registry = FleetRegistry::new(&config, Protocols::default(), None);
        for (id, peer, expected) in [
            ("752533678900242", "10.1.2.3:9", Binding::Here),
            ("752533678900242", "10.2.2.3:9", Binding::Elsewhere),
            ("752533678900259", "10.1.2.3:9", Binding::Unbound),
        ] {
            let mut claim = Claim::new(Name::new("gt06"), DeviceId::new(id).unwrap());
            claim.peer = Some(peer.parse().unwrap());
            match registry.resolve(claim).await {
                Resolution::Accept(identified) => {
                    assert_eq!(identified.binding, expected, "{peer}")
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
