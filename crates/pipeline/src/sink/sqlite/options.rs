//! How a store is kept.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use milepost_telemetry::DeviceKey;

use crate::command::NetworkPrefixes;
use crate::condition::Condition;

/// How a store is kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreOptions {
    /// Frames in quarantine, at most: beyond it the oldest are forgotten (and stay counted).
    /// While there are frames of accepted devices, others have no more than half of it.
    pub quarantine: u32,
    /// Frames in quarantine of one protocol and reason, at most.
    pub quarantine_per_reason: u32,
    /// Records of where single frames ended that are not in the history (duplicate, filtered,
    /// quarantined), at most: beyond it, and an eighth more, the oldest are only counted.
    pub outcomes: u32,
    /// How long a write waits for another program that has locked the store, before the attempt
    /// counts as failed and the pipeline backs off.
    pub busy: Duration,
    /// The writer's page cache.
    pub cache_bytes: u32,
    /// How much is gathered in the write-ahead log before it is brought into the main file.
    pub checkpoint_bytes: u32,
    /// Up to which size of the main file its structure is checked in full on opening.
    pub check_bytes: u64,
    /// Gives up durability against power loss, for trials: the store then syncs only now and
    /// then, and acknowledges what a power cut can undo.
    pub unsafe_without_sync: bool,
    /// How long the store's files may be missing before the condition fails.
    pub files_grace: Duration,
    /// What counts as one network, for answers to commands.
    pub networks: NetworkPrefixes,
    /// From where a device's answers are always taken.
    pub bound: BoundNetworks,
    /// Where it is reported that the store cannot go on. The pipeline's handle shows the same.
    pub condition: Condition,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            quarantine: 100_000,
            quarantine_per_reason: 10_000,
            outcomes: 100_000,
            busy: Duration::from_millis(250),
            cache_bytes: 64 * 1024 * 1024,
            checkpoint_bytes: 32 * 1024 * 1024,
            check_bytes: 64 * 1024 * 1024,
            unsafe_without_sync: false,
            files_grace: Duration::from_secs(10),
            networks: NetworkPrefixes::default(),
            bound: BoundNetworks::default(),
            condition: Condition::default(),
        }
    }
}

/// Addresses that devices are bound to by configuration.
#[derive(Clone, Default)]
pub struct BoundNetworks(Option<Arc<IsBound>>);

type IsBound = dyn Fn(&DeviceKey, IpAddr) -> bool + Send + Sync;

impl BoundNetworks {
    /// Decides by a function.
    pub fn new(is_bound: impl Fn(&DeviceKey, IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(is_bound)))
    }

    pub(super) fn contains(&self, device: &DeviceKey, address: IpAddr) -> bool {
        self.0
            .as_ref()
            .is_some_and(|is_bound| is_bound(device, address))
    }
}

impl std::fmt::Debug for BoundNetworks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("BoundNetworks")
            .field(&self.0.is_some())
            .finish()
    }
}
