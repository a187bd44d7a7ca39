//! What is known of each device while it is being worked on.

use std::collections::HashMap;

use milepost_telemetry::DeviceKey;

use crate::latest::Latest;
use crate::sink::{Loaded, Slot};
use crate::stage::{Stages, States};

/// One device's lane: everything that its reports can change.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    /// The store's own number for the device.
    pub(crate) slot: Slot,
    /// Whether it has reported anything: frames that are set aside do not make a device known.
    pub(crate) known: bool,
    pub(crate) latest: Latest,
    pub(crate) states: States,
}

impl Lane {
    pub(crate) fn restore(loaded: Loaded, stages: &Stages) -> Self {
        Self {
            slot: loaded.slot,
            known: loaded.known,
            latest: loaded.latest,
            states: stages.restore(&loaded.states),
        }
    }

    pub(crate) fn snapshot(&self, stages: &Stages) -> Loaded {
        Loaded {
            slot: self.slot,
            known: self.known,
            latest: self.latest.clone(),
            states: stages.snapshot(&self.states),
        }
    }
}

/// The lanes that a shard has in memory, as they were committed last: what it is attached with,
/// and what is left of it when it is detached.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// Each device with its states.
    pub lanes: Vec<(DeviceKey, Loaded)>,
}

/// The committed lanes that are kept in memory; any other is read back from the store.
///
/// Two generations make a cheap and bounded approximation of "least recently used": what was not
/// touched while the younger generation filled up is forgotten.
#[derive(Debug)]
pub(crate) struct Lanes {
    young: HashMap<DeviceKey, Lane>,
    old: HashMap<DeviceKey, Lane>,
    generation: usize,
}

impl Lanes {
    /// Keeps at most `bound` lanes.
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            generation: (bound / 2).max(1),
        }
    }

    pub(crate) fn find(&self, device: &DeviceKey) -> Option<&Lane> {
        self.young.get(device).or_else(|| self.old.get(device))
    }

    /// Takes over a lane that was committed.
    pub(crate) fn keep(&mut self, device: DeviceKey, lane: Lane) {
        if self.young.len() >= self.generation && !self.young.contains_key(&device) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(device, lane);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&DeviceKey, &Lane)> {
        let old = self
            .old
            .iter()
            .filter(|(key, _)| !self.young.contains_key(key));
        self.young.iter().chain(old)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use milepost_telemetry::{DeviceId, Tenant};

    use super::*;

    #[test]
    fn lanes_in_memory_are_bounded_and_the_busy_ones_stay() {
        let tenant = Tenant::new("acme").unwrap();
        let key = |n: i64| DeviceKey {
            tenant,
            device: DeviceId::new(&n.to_string()).unwrap(),
        };
        let lane = |n| Lane::restore(Loaded::new(Slot(n)), &Stages::none());
        let mut lanes = Lanes::new(10);
        for n in 1..1_000 {
            lanes.keep(key(n), lane(n));
            lanes.keep(key(0), lane(0));
            assert!(lanes.len() <= 10);
        }
        assert!(lanes.find(&key(0)).is_some());
        assert!(lanes.find(&key(999)).is_some());
        assert!(lanes.find(&key(1)).is_none());
    }
}
