//! Claims of partitions, lane states, gateways' positions.

use std::collections::BTreeMap;

use milepost_telemetry::{DeviceId, DeviceKey, Name, Tenant, Timestamp};
use uuid::Uuid;

use super::batch::Claim;
use super::{Database, DatabaseError};

/// What is stored of a partition when it is claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claimed {
    /// To write with.
    pub claim: Claim,
    /// The first offset that is not stored; `None` if none is.
    pub offset: Option<i64>,
    /// Lane states are those before this offset: from here to `offset` envelopes are read again
    /// to bring the states up to date, without writing.
    pub snapshot_offset: Option<i64>,
    /// The highest position stored of each gateway's log.
    pub positions: BTreeMap<u128, u64>,
    /// The same as of `snapshot_offset`.
    pub snapshot_positions: BTreeMap<u128, u64>,
}

/// A device's state, as of a partition's snapshot offset.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaneRow {
    /// The device.
    pub key: DeviceKey,
    /// Its last known state, in JSON.
    pub latest: String,
    /// The states of the stages; empty in [`Database::snapshot`]: as stored.
    pub state: Vec<u8>,
    /// [`Newness::to_bytes`](super::Newness::to_bytes); empty in [`Database::snapshot`]: as stored.
    pub newness: Vec<u8>,
}

impl LaneRow {
    /// A device's state.
    pub const fn new(key: DeviceKey, latest: String, state: Vec<u8>, newness: Vec<u8>) -> Self {
        Self {
            key,
            latest,
            state,
            newness,
        }
    }
}

impl Database {
    /// Takes a partition over: whoever held it can no longer write.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn claim(&mut self, topic: Name, partition: i32) -> Result<Claimed, DatabaseError> {
        let row = self
            .client
            .query_one(
                "INSERT INTO mark (topic, partition, generation) VALUES ($1, $2, 1)
                 ON CONFLICT (topic, partition) DO UPDATE
                 SET generation = mark.generation + 1, changed_at = now()
                 RETURNING generation, log_offset, snapshot_offset",
                &[&topic.as_str(), &partition],
            )
            .await?;
        let claim = Claim {
            topic,
            partition,
            generation: row.try_get(0)?,
        };
        let mut positions = BTreeMap::new();
        let mut snapshot_positions = BTreeMap::new();
        for row in self
            .client
            .query(
                "SELECT log, position, snapshot_position FROM log_position WHERE topic = $1 AND partition = $2",
                &[&topic.as_str(), &partition],
            )
            .await?
        {
            let log: Uuid = row.try_get(0)?;
            let position: i64 = row.try_get(1)?;
            positions.insert(log.as_u128(), position.unsigned_abs());
            if let Some(position) = row.try_get::<_, Option<i64>>(2)? {
                snapshot_positions.insert(log.as_u128(), position.unsigned_abs());
            }
        }
        Ok(Claimed {
            claim,
            offset: row.try_get(1)?,
            snapshot_offset: row.try_get(2)?,
            positions,
            snapshot_positions,
        })
    }

    /// The states of devices, in the order in which they are asked for; `None` if nothing is stored.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn load_lanes(
        &self,
        devices: &[DeviceKey],
    ) -> Result<Vec<Option<LaneRow>>, DatabaseError> {
        let (tenants, names): (Vec<&str>, Vec<&str>) = devices
            .iter()
            .map(|key| (key.tenant.as_str(), key.device.as_str()))
            .unzip();
        let rows = self
            .client
            .query(
                "SELECT n, latest::text, state, newness
                 FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (tenant, device, n)
                 JOIN lane USING (tenant, device)",
                &[&tenants, &names],
            )
            .await?;
        let mut lanes = vec![None; devices.len()];
        for row in rows {
            let place = usize::try_from(row.try_get::<_, i64>(0)? - 1).unwrap_or(usize::MAX);
            if let (Some(slot), Some(key)) = (lanes.get_mut(place), devices.get(place)) {
                *slot = Some(LaneRow {
                    key: *key,
                    latest: row.try_get(1)?,
                    state: row.try_get(2)?,
                    newness: row.try_get(3)?,
                });
            }
        }
        Ok(lanes)
    }

    /// Stores lane states that changed and moves the partition's snapshot to `offset`: in one
    /// transaction, and only if the claim is the newest.
    ///
    /// # Errors
    /// [`DatabaseError::Superseded`] when another one holds the partition.
    pub async fn snapshot(
        &mut self,
        claim: Claim,
        offset: i64,
        lanes: &[LaneRow],
    ) -> Result<(), DatabaseError> {
        let transaction = self.client.transaction().await?;
        let moved = transaction
            .query_opt(
                "UPDATE mark SET snapshot_offset = $4 WHERE topic = $1 AND partition = $2
                 AND generation = $3 RETURNING log_offset",
                &[
                    &claim.topic.as_str(),
                    &claim.partition,
                    &claim.generation,
                    &offset,
                ],
            )
            .await?;
        if moved.is_none() {
            transaction.rollback().await?;
            return Err(DatabaseError::Superseded {
                topic: claim.topic,
                partition: claim.partition,
                generation: claim.generation,
                found: 0,
                expected_offset: None,
                found_offset: None,
            });
        }
        // No batch is under way, so that these are the positions at `offset`.
        transaction
            .execute(
                "UPDATE log_position SET snapshot_position = position
                 WHERE topic = $1 AND partition = $2
                     AND snapshot_position IS DISTINCT FROM position",
                &[&claim.topic.as_str(), &claim.partition],
            )
            .await?;
        // In parts: one statement's arguments are built in memory.
        for part in lanes.chunks(5_000) {
            let tenants: Vec<&str> = part.iter().map(|lane| lane.key.tenant.as_str()).collect();
            let devices: Vec<&str> = part.iter().map(|lane| lane.key.device.as_str()).collect();
            let latest: Vec<&str> = part.iter().map(|lane| lane.latest.as_str()).collect();
            let states: Vec<&[u8]> = part.iter().map(|lane| lane.state.as_slice()).collect();
            let newness: Vec<&[u8]> = part.iter().map(|lane| lane.newness.as_slice()).collect();
            transaction
                .execute(
                    "INSERT INTO lane (topic, partition, tenant, device, latest, state, newness)
                     SELECT $1, $2, tenant, device, latest::jsonb, state, newness
                     FROM unnest($3::text[], $4::text[], $5::text[], $6::bytea[], $7::bytea[])
                         AS changed (tenant, device, latest, state, newness)
                     ON CONFLICT (tenant, device) DO UPDATE SET topic = excluded.topic,
                         partition = excluded.partition, latest = excluded.latest,
                         state = CASE WHEN excluded.state = '' THEN lane.state
                             ELSE excluded.state END,
                         newness = CASE WHEN excluded.newness = '' THEN lane.newness
                             ELSE excluded.newness END",
                    &[
                        &claim.topic.as_str(),
                        &claim.partition,
                        &tenants,
                        &devices,
                        &latest,
                        &states,
                        &newness,
                    ],
                )
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The last known states of a partition's devices, in JSON, as of its snapshot offset.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn last_known_of(
        &self,
        topic: Name,
        partition: i32,
    ) -> Result<Vec<(DeviceKey, String)>, DatabaseError> {
        let rows = self
            .client
            .query(
                "SELECT tenant, device, latest::text FROM lane WHERE topic = $1 AND partition = $2",
                &[&topic.as_str(), &partition],
            )
            .await?;
        rows.iter()
            .map(|row| {
                let (tenant, device): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
                let bad = |error: &dyn std::fmt::Display| DatabaseError::Row(error.to_string());
                let key = DeviceKey {
                    tenant: Tenant::new(tenant).map_err(|error| bad(&error))?,
                    device: DeviceId::new(device).map_err(|error| bad(&error))?,
                };
                Ok((key, row.try_get(2)?))
            })
            .collect()
    }

    /// Before this time the hypertable has no chunks any more; `None` if nothing was dropped yet.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn kept_since(&self) -> Result<Option<Timestamp>, DatabaseError> {
        let row = self
            .client
            .query_one(
                "SELECT (extract(epoch FROM kept_since) * 1000)::bigint FROM retention",
                &[],
            )
            .await?;
        Ok(row
            .try_get::<_, Option<i64>>(0)?
            .map(Timestamp::from_millis))
    }
}
