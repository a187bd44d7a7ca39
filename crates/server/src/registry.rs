//! Who is this device, and what is known about it: the store's answer, remembered in memory.
//!
//! Logins are answered even while nothing can be written: reading uses the store's readers, and a
//! device that has been seen in this run is answered from memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use listener::{Claim, Clock as _, Identified, RateLimit, Registry, Resolution, SystemClock};
use pipeline::sink::sqlite::{Store, StoreError};
use telemetry::{DeviceId, DeviceKey, Profile, Tenant};

use crate::config::{Devices, UnknownDevice};
use crate::gt06::Configured;

/// Devices that are remembered; when there are more, all are forgotten and read again.
const MAX_REMEMBERED: usize = 500_000;

/// The registry of `milepost serve`.
#[derive(Debug, Clone)]
pub(crate) struct StoreRegistry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    tenant: Tenant,
    unknown: UnknownDevice,
    configured: Configured,
    known: Mutex<HashMap<DeviceId, Option<Profile>>>,
    strangers: RateLimit,
}

/// What the store says about a claim.
enum Found {
    Known(Option<Profile>),
    Unknown,
    /// It cannot be asked.
    Unavailable,
}

impl StoreRegistry {
    /// A registry on a store.
    pub(crate) fn new(store: Store, devices: &Devices, configured: Configured) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                tenant: devices.tenant.clone(),
                unknown: devices.unknown,
                configured,
                known: Mutex::default(),
                strangers: RateLimit::default(),
            }),
        }
    }

    fn key(&self, device: DeviceId) -> DeviceKey {
        DeviceKey {
            tenant: self.inner.tenant.clone(),
            device,
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<DeviceId, Option<Profile>>> {
        self.inner
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, device: DeviceId, profile: Option<Profile>) {
        let mut known = self.known();
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(device, profile);
    }

    async fn find(&self, device: DeviceId) -> Found {
        if let Some(profile) = self.known().get(&device) {
            return Found::Known(profile.clone());
        }
        let key = self.key(device);
        let reading = self.inner.store.read(move |reader| {
            let profile = reader.profile(&key)?;
            // What was set aside does not make a device known.
            let known = profile.is_some() || reader.device(&key)?.is_some();
            Ok::<_, StoreError>((known, profile))
        });
        match reading.await {
            Ok((true, profile)) => Found::Known(profile),
            Ok((false, _)) => Found::Unknown,
            Err(error) => {
                tracing::warn!(%error, %device, "the store could not be asked about a device");
                Found::Unavailable
            }
        }
    }
}

impl Registry for StoreRegistry {
    async fn resolve(&self, claim: Claim) -> Resolution {
        let configured = &self.inner.configured;
        let found = self.find(claim.id).await;
        let identified = |profile: Option<Profile>| Identified {
            device: self.key(claim.id),
            profile: configured.over(claim.id, profile),
        };
        let welcome = configured.lists(claim.id) || self.inner.unknown == UnknownDevice::Accept;
        match found {
            Found::Known(profile) => {
                self.remember(claim.id, profile.clone());
                Resolution::Accept(identified(profile))
            }
            Found::Unknown if welcome => {
                self.remember(claim.id, None);
                Resolution::Accept(identified(None))
            }
            // A login is answered even when the store cannot be read; but not remembered.
            Found::Unavailable if welcome => Resolution::Accept(identified(None)),
            // Nobody can say whether it is known. It will come again; if it were set aside, what
            // it says until then would be missing from its history.
            Found::Unavailable => Resolution::Refuse,
            Found::Unknown => {
                if let Some(silenced) = self.inner.strangers.admit(SystemClock.now()) {
                    tracing::info!(
                        device = %claim.id, peer = ?claim.peer, silenced, "an unknown device"
                    );
                }
                if self.inner.unknown == UnknownDevice::Quarantine {
                    Resolution::Quarantine(identified(None))
                } else {
                    Resolution::Refuse
                }
            }
        }
    }

    fn learn(&self, device: &DeviceKey, profile: &Profile) {
        self.remember(device.device, Some(profile.clone()));
        if let Err(error) = self.inner.store.put_profile(device, profile) {
            tracing::warn!(%error, device = %device.device, "what was learned could not be kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use pipeline::sink::sqlite::StoreOptions;

    use super::*;
    use crate::config::Config;

    async fn login(unknown: UnknownDevice, readable: bool) -> Resolution {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        if !readable {
            std::fs::rename(store.path(), folder.path().join("elsewhere")).unwrap();
        }
        let mut config = Config::default();
        config.devices.unknown = unknown;
        let registry = StoreRegistry::new(store, &config.devices, Configured::new(&config));
        let claim = Claim {
            protocol: telemetry::Name::new("gt06"),
            id: DeviceId::new("752533678900242").unwrap(),
            peer: None,
        };
        registry.resolve(claim).await
    }

    #[tokio::test]
    async fn a_device_is_not_taken_for_a_stranger_because_the_store_cannot_be_asked() {
        use UnknownDevice::{Accept, Quarantine, Refuse};
        let is_accepted = |resolution| matches!(resolution, Resolution::Accept(_));
        let is_set_aside = |resolution| matches!(resolution, Resolution::Quarantine(_));
        let is_refused = |resolution| matches!(resolution, Resolution::Refuse);
        assert!(is_accepted(login(Accept, true).await));
        assert!(is_set_aside(login(Quarantine, true).await));
        assert!(is_refused(login(Refuse, true).await));
        assert!(is_accepted(login(Accept, false).await));
        assert!(is_refused(login(Quarantine, false).await));
        assert!(is_refused(login(Refuse, false).await));
    }
}
