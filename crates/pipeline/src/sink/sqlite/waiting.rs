//! What is written along with the next batch: profiles that were learned, networks that devices
//! came from. Nobody waits for it, and what a crash loses of it is learned again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use milepost_telemetry::{DeviceKey, Name, Profile, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

/// Networks that are kept of one device.
const NETWORKS: i64 = 16;
/// How long a network is kept that the device does not come from any more.
pub(super) const NETWORK_KEPT_MS: i64 = 90 * 86_400_000;

/// Networks that wait at most; more are noted at the device's next login.
pub(super) const MOST: usize = 100_000;

/// What waits.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting {
    pub(super) profiles: HashMap<(DeviceKey, Name), Profile>,
    pub(super) networks: HashMap<(DeviceKey, Arc<str>), Timestamp>,
}

pub(super) fn lock(home: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    home.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waiting {
    /// What waits now.
    pub(super) fn of(home: &Mutex<Self>) -> Self {
        lock(home).clone()
    }

    fn is_empty(&self) -> bool {
        self.profiles.is_empty() && self.networks.is_empty()
    }

    pub(super) fn write(&self, tx: &Transaction<'_>) -> Result<(), rusqlite::Error> {
        for ((key, protocol), profile) in &self.profiles {
            tx.prepare_cached(
                "INSERT INTO learned (tenant, device, protocol, profile) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET profile = excluded.profile",
            )?
            .execute([
                key.tenant.as_str(),
                key.device.as_str(),
                protocol.as_str(),
                profile.as_str(),
            ])?;
        }
        for ((key, network), at) in &self.networks {
            write_network(tx, key, network, *at)?;
        }
        Ok(())
    }

    /// It is durable; what has changed meanwhile waits on.
    pub(super) fn written(self, home: &Mutex<Self>) {
        if self.is_empty() {
            return;
        }
        let mut waiting = lock(home);
        for (key, profile) in &self.profiles {
            if waiting.profiles.get(key) == Some(profile) {
                waiting.profiles.remove(key);
            }
        }
        for (key, at) in &self.networks {
            if waiting.networks.get(key) == Some(at) {
                waiting.networks.remove(key);
            }
        }
    }

    /// Writes what no batch took along. If that does not work, the next batch takes it.
    pub(super) fn write_alone(db: &mut Connection, home: &Mutex<Self>) {
        let waiting = Self::of(home);
        if waiting.is_empty() {
            return;
        }
        let tried = db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .and_then(|tx| {
                waiting.write(&tx)?;
                tx.commit()
            });
        match tried {
            Ok(()) => waiting.written(home),
            Err(error) => tracing::warn!(%error, "what was learned waits for the next batch"),
        }
    }
}

/// If there are as many as may be, a new one takes the place of the newest, so that none pushes
/// out the network that a device has come from for long.
fn write_network(
    tx: &Transaction<'_>,
    key: &DeviceKey,
    network: &str,
    at: Timestamp,
) -> Result<(), rusqlite::Error> {
    let (tenant, device, at) = (key.tenant.as_str(), key.device.as_str(), at.as_millis());
    let known = tx
        .prepare_cached(
            "UPDATE device_network SET last_seen = max(last_seen, ?4)
             WHERE tenant = ?1 AND device = ?2 AND network = ?3",
        )?
        .execute(params![tenant, device, network, at])?;
    if known > 0 {
        return Ok(());
    }
    tx.prepare_cached(
        "DELETE FROM device_network WHERE tenant = ?1 AND device = ?2 AND last_seen < ?3",
    )?
    .execute(params![tenant, device, at - NETWORK_KEPT_MS])?;
    tx.prepare_cached(
        "DELETE FROM device_network WHERE (tenant, device, network) IN
            (SELECT tenant, device, network FROM device_network
             WHERE tenant = ?1 AND device = ?2
             ORDER BY first_seen, network LIMIT -1 OFFSET ?3)",
    )?
    .execute(params![tenant, device, NETWORKS - 1])?;
    tx.prepare_cached(
        "INSERT INTO device_network (tenant, device, network, first_seen, last_seen)
         VALUES (?1, ?2, ?3, ?4, ?4)",
    )?
    .execute(params![tenant, device, network, at])?;
    Ok(())
}
