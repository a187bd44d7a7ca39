//! Who is this device, and what is known about it: the store's answer, remembered in memory.
//!
//! Logins are answered even while nothing can be written, and while others read long histories:
//! looking up uses readers of its own, and a device that has been seen in this run is answered
//! from memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use milepost_listener::{
    Binding, Claim, Clock, Identified, LogLimit, Registry, Resolution, SystemClock,
};
use milepost_pipeline::sink::sqlite::{Store, StoreError};
use milepost_telemetry::{DeviceId, DeviceKey, Name, Profile, Tenant, Timestamp};

use crate::config::{Config, Device, UnknownDevice};
use crate::protocol::Protocols;

/// Who knows the devices, for the listeners of any role.
#[derive(Clone)]
pub(crate) enum DeviceRegistry {
    /// The embedded store.
    Store(StoreRegistry),
    /// The configuration, and Redis.
    #[cfg(feature = "fleet")]
    Fleet(crate::fleet::registry::FleetRegistry),
}

impl Registry for DeviceRegistry {
    async fn resolve(&self, claim: Claim) -> Resolution {
        match self {
            Self::Store(registry) => registry.resolve(claim).await,
            #[cfg(feature = "fleet")]
            Self::Fleet(registry) => registry.resolve(claim).await,
        }
    }

    fn learn(&self, protocol: Name, device: &DeviceKey, profile: &Profile) {
        match self {
            Self::Store(registry) => registry.learn(protocol, device, profile),
            #[cfg(feature = "fleet")]
            Self::Fleet(registry) => registry.learn(protocol, device, profile),
        }
    }
}

/// Devices that are remembered; when there are more, all are forgotten and read again.
const MAX_REMEMBERED: usize = 500_000;

/// The registry of `milepost serve`.
#[derive(Clone)]
pub(crate) struct StoreRegistry {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    tenant: Tenant,
    unknown: UnknownDevice,
    protocols: Protocols,
    configured: HashMap<DeviceId, Device>,
    known: Mutex<HashMap<ReportSource, Option<Profile>>>,
    strangers: LogLimit,
    clock: Box<dyn Clock>,
}

/// A device by one of its protocols.
type ReportSource = (DeviceId, Name);

/// What the store says about a claim.
enum Found {
    Known(Option<Profile>),
    Unknown,
    /// It cannot be asked.
    Unavailable,
}

impl StoreRegistry {
    /// A registry on a store.
    pub(crate) fn new(store: Store, config: &Config, protocols: Protocols) -> Self {
        Self::with_clock(store, config, protocols, SystemClock)
    }

    fn with_clock(store: Store, config: &Config, protocols: Protocols, clock: impl Clock) -> Self {
        let devices = &config.devices;
        let listed = devices.listed.iter();
        Self {
            inner: Arc::new(Inner {
                store,
                tenant: devices.tenant,
                unknown: devices.unknown,
                protocols,
                configured: listed.map(|device| (device.id, device.clone())).collect(),
                known: Mutex::default(),
                strangers: LogLimit::default(),
                clock: Box::new(clock),
            }),
        }
    }

    fn key(&self, device: DeviceId) -> DeviceKey {
        DeviceKey {
            tenant: self.inner.tenant,
            device,
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ReportSource, Option<Profile>>> {
        self.inner
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The devices that are remembered, with a place for one more.
    fn known_and_one_more(&self) -> MutexGuard<'_, HashMap<ReportSource, Option<Profile>>> {
        let mut known = self.known();
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known
    }

    /// Remembers what the store said of a device, unless more is known by now: what another
    /// connection of it has learned since the store was asked must not be undone.
    fn remember(&self, claim: &Claim, profile: Option<Profile>) -> Option<Profile> {
        let mut known = self.known_and_one_more();
        known
            .entry((claim.id, claim.protocol))
            .or_insert(profile)
            .clone()
    }

    async fn find(&self, claim: &Claim) -> Found {
        let (device, protocol) = (claim.id, claim.protocol);
        if let Some(profile) = self.known().get(&(device, protocol)) {
            return Found::Known(profile.clone());
        }
        let key = self.key(device);
        let reading = self.inner.store.look_up(move |reader| {
            let profile = reader.profile(&key, protocol)?;
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

impl StoreRegistry {
    /// When the device was first seen in the claim's network; `None` if that is not known.
    async fn first_seen(&self, claim: &Claim) -> Option<Timestamp> {
        let network = claim.network?.to_string();
        let key = self.key(claim.id);
        let reading = self
            .inner
            .store
            .look_up(move |reader| reader.networks(&key));
        let known = reading.await.ok()?;
        let seen = known.into_iter().find(|one| one.network == network)?;
        Some(seen.first_seen)
    }

    /// Notes from where an accepted device has come.
    fn note_network(&self, claim: &Claim) {
        let Some(network) = claim.network else { return };
        let noted = self.inner.store.put_network(
            &self.key(claim.id),
            &network.to_string(),
            self.inner.clock.now(),
        );
        if let Err(error) = noted {
            tracing::debug!(%error, device = %claim.id, "a device's network could not be noted");
        }
    }
}

impl Registry for StoreRegistry {
    async fn resolve(&self, claim: Claim) -> Resolution {
        let configured = self.inner.configured.get(&claim.id);
        let protocol = self.inner.protocols.named(claim.protocol.as_str());
        let found = self.find(&claim).await;
        let first_seen = self.first_seen(&claim).await;
        let binding = configured.map_or(Binding::Unbound, |device| device.binding(claim.peer));
        let identified = |profile: Option<Profile>| {
            Identified::new(self.key(claim.id))
                .with_profile(match protocol {
                    Some(protocol) => protocol.profile(configured, profile),
                    None => profile,
                })
                .first_seen(first_seen)
                .binding(binding)
        };
        let welcome = configured.is_some() || self.inner.unknown == UnknownDevice::Accept;
        match found {
            Found::Known(profile) => {
                self.note_network(&claim);
                Resolution::Accept(identified(self.remember(&claim, profile)))
            }
            Found::Unknown if welcome => {
                self.note_network(&claim);
                Resolution::Accept(identified(self.remember(&claim, None)))
            }
            // A login is answered even when the store cannot be read; but not remembered.
            Found::Unavailable if welcome => Resolution::Accept(identified(None)),
            // Nobody can say whether it is known. It will come again; if it were set aside, what
            // it says until then would be missing from its history.
            Found::Unavailable => Resolution::Refuse,
            Found::Unknown => {
                if let Some(left_out) = self.inner.strangers.admit(self.inner.clock.now()) {
                    let what = match self.inner.unknown {
                        UnknownDevice::Quarantine => "an unknown device: its reports are set aside",
                        _ => "an unknown device: its connection was closed",
                    };
                    tracing::info!(
                        device = %claim.id, peer = claim.peer.map(tracing::field::display), left_out,
                        "{what}; list it as a [[device]], or set devices.unknown = \"accept\""
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

    fn learn(&self, protocol: Name, device: &DeviceKey, profile: &Profile) {
        self.known_and_one_more()
            .insert((device.device, protocol), Some(profile.clone()));
        if let Err(error) = self.inner.store.put_profile(device, protocol, profile) {
            tracing::warn!(%error, device = %device.device, "what was learned could not be kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicI64, Ordering};

    use milepost_pipeline::sink::sqlite::StoreOptions;
    use milepost_telemetry::Timestamp;

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
        let registry = StoreRegistry::new(store, &config, Protocols::default());
        registry.resolve(claim("752533678900242")).await
    }

    fn claim(id: &str) -> Claim {
        Claim::new(Name::new("gt06"), DeviceId::new(id).unwrap())
    }

    /// What is logged, to be read by the test.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        fn take(&self) -> Vec<String> {
            let text = std::mem::take(&mut *self.0.lock().unwrap());
            let text = String::from_utf8(text).unwrap();
            text.lines().map(ToOwned::to_owned).collect()
        }
    }

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn accepting(folder: &tempfile::TempDir) -> (Store, StoreRegistry) {
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        let config = Config::default();
        let registry = StoreRegistry::new(store.clone(), &config, Protocols::default());
        (store, registry)
    }

    #[tokio::test]
    async fn a_login_does_not_stand_in_line_behind_long_reads() {
        let folder = tempfile::tempdir().unwrap();
        let (store, registry) = accepting(&folder);
        let (begun, mut all_begun) = tokio::sync::mpsc::unbounded_channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        let reads: Vec<_> = (0..100)
            .map(|_| {
                let (store, begun, ended) = (store.clone(), begun.clone(), Arc::clone(&ended));
                tokio::spawn(async move {
                    let long = store.read(move |_| {
                        begun.send(()).unwrap();
                        // Until the sender is gone.
                        assert!(ended.lock().unwrap().recv().is_err());
                        Ok(())
                    });
                    long.await
                })
            })
            .collect();
        // As many as there is place for.
        for _ in 0..8 {
            all_begun.recv().await.unwrap();
        }
        let login = registry.resolve(claim("752533678900242"));
        let login = tokio::time::timeout(std::time::Duration::from_secs(20), login).await;
        assert!(matches!(login, Ok(Resolution::Accept(_))), "{login:?}");
        assert!(all_begun.try_recv().is_err());
        drop(end);
        for read in reads {
            read.await.unwrap().unwrap();
        }
    }

    #[test]
    fn two_logins_of_a_new_device_at_once_do_not_undo_what_one_of_them_learned() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        runtime.block_on(async {
            let (_store, registry) = accepting(&folder);
            let claim = claim("752533678900242");
            // There is one thread: while it is held up, the store does not answer.
            let (release, held_up) = std::sync::mpsc::channel::<()>();
            let holding = tokio::task::spawn_blocking(move || held_up.recv());
            let mut slow = std::pin::pin!(registry.resolve(claim));
            let asked = std::future::poll_fn(|cx| std::task::Poll::Ready(slow.as_mut().poll(cx)));
            assert!(asked.await.is_pending());
            drop(release);
            holding.await.unwrap().unwrap_err();
            // When the thread has come to this, the store has answered.
            tokio::task::spawn_blocking(|| ()).await.unwrap();

            let Resolution::Accept(quick) = registry.resolve(claim).await else {
                panic!("not accepted");
            };
            let learned = Profile::new("learned");
            registry.learn(Name::new("gt06"), &quick.device, &learned);
            let Resolution::Accept(slow) = slow.await else {
                panic!("not accepted");
            };
            let known = registry.known().get(&(claim.id, claim.protocol)).cloned();
            assert_eq!(known, Some(Some(learned.clone())));
            assert_eq!((slow.device, slow.profile), (quick.device, Some(learned)));
        });
    }

    #[tokio::test]
    async fn strangers_get_some_lines_a_minute_of_the_log_and_are_all_counted() {
        let log = Log::default();
        let written = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || written.clone())
            .with_ansi(false)
            .finish();
        // Of a single subscriber tracing asks only the thread that comes to a line first, and
        // remembers for all threads that nobody listens: another test's, here.
        let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
        let _guard = tracing::subscriber::set_default(subscriber);
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        let mut config = Config::default();
        config.devices.unknown = UnknownDevice::Refuse;
        // A clock that goes only when it is told to.
        let seconds = Arc::new(AtomicI64::new(1_800_000_000));
        let clock = Arc::clone(&seconds);
        let registry = StoreRegistry::with_clock(store, &config, Protocols::default(), move || {
            Timestamp::from_unix(clock.load(Ordering::Relaxed))
        });
        let most = usize::try_from(LogLimit::PER_MINUTE).unwrap();
        for n in 0..most + 20 {
            registry.resolve(claim(&format!("{n:015}"))).await;
        }
        let lines = log.take();
        assert_eq!(lines.len(), most, "{lines:?}");
        let named =
            |line: &String| line.contains("an unknown device") && line.contains("left_out=0");
        assert!(lines.iter().all(named), "{lines:?}");
        assert!(lines[1].contains("device=000000000000001"), "{lines:?}");

        seconds.fetch_add(60, Ordering::Relaxed);
        registry.resolve(claim("752533678900242")).await;
        let lines = log.take();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("left_out=20"), "{lines:?}");
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
