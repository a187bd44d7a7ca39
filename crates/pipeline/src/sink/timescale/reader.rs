//! Reads for the API's role: through the views, one tenant per transaction.

use milepost_telemetry::{DeviceId, DeviceKey, Report, Tenant, Timestamp};
use tokio_postgres::{Client, Transaction};
use uuid::Uuid;

use super::migrate::quoted;
use super::read::{report, select};
use super::{DatabaseError, DatabaseUrl, Schema};

/// A connection that sees one tenant's rows at a time, and no table. A role that has no other right
/// than those of [`Schema::api_role`] is enough.
#[derive(Debug)]
pub struct Reader {
    client: Client,
}

/// A place in a history: the time of a report in milliseconds since 1970, and its id.
pub type HistoryPlace = (i64, u128);

/// A place among quarantined frames: arrival in milliseconds since 1970, epoch, connection, frame.
pub type QuarantinePlace = (i64, i64, i64, i64);

/// A frame that was set aside, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredFrame {
    /// Its place in the list.
    pub place: QuarantinePlace,
    /// The peer's address.
    pub peer: Option<String>,
    /// The protocol.
    pub protocol: String,
    /// The device.
    pub device: Option<String>,
    /// The field at fault.
    pub field: Option<String>,
    /// Its byte offset.
    pub offset: Option<u32>,
    /// What is wrong.
    pub error: String,
    /// The bytes.
    pub raw: Vec<u8>,
}

impl Reader {
    /// Connects.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn connect(url: &DatabaseUrl, schema: &Schema) -> Result<Self, DatabaseError> {
        let client = url.connect().await?;
        let views = quoted(&schema.views);
        client
            .batch_execute(&format!(
                "SET search_path = {views}; SET timezone = 'UTC';
                 SET default_transaction_read_only = on"
            ))
            .await?;
        Ok(Self { client })
    }

    pub(super) async fn of(&mut self, tenant: &Tenant) -> Result<Transaction<'_>, DatabaseError> {
        let transaction = self.client.transaction().await?;
        transaction
            .execute(
                "SELECT set_config('milepost.tenant', $1, true)",
                &[&tenant.as_str()],
            )
            .await?;
        Ok(transaction)
    }

    /// Reports of a device by their time, at most `limit`, after a place.
    ///
    /// # Errors
    /// When the database cannot be reached, or a row is not a report.
    pub async fn history(
        &mut self,
        device: &DeviceKey,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        after: Option<HistoryPlace>,
        limit: i64,
    ) -> Result<Vec<Report>, DatabaseError> {
        let transaction = self.of(&device.tenant).await?;
        let (after_time, after_id) = after.unzip();
        let after_id = after_id.map(Uuid::from_u128);
        let rows = transaction
            .query(
                &format!(
                    "WITH stored AS (
                         SELECT * FROM report
                         WHERE device = $1
                             AND ($2::bigint IS NULL OR \"time\" >= to_timestamp($2 / 1000.0))
                             AND ($3::bigint IS NULL OR \"time\" < to_timestamp($3 / 1000.0))
                             AND ($4::bigint IS NULL
                                 OR (\"time\", id) > (to_timestamp($4 / 1000.0), $5::uuid))
                         ORDER BY \"time\", id LIMIT $6)
                     {} ORDER BY r.\"time\", r.id",
                    select()
                ),
                &[
                    &device.device.as_str(),
                    &from.map(Timestamp::as_millis),
                    &to.map(Timestamp::as_millis),
                    &after_time,
                    &after_id,
                    &limit,
                ],
            )
            .await?;
        rows.iter().map(report).collect()
    }

    /// Devices of a tenant by their ids with their last known states in JSON, at most `limit`, after
    /// an id.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn devices(
        &mut self,
        tenant: &Tenant,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<(DeviceKey, String)>, DatabaseError> {
        let transaction = self.of(tenant).await?;
        let rows = transaction
            .query(
                "SELECT device, latest::text FROM device
                 WHERE ($1::text IS NULL OR device COLLATE \"C\" > $1)
                 ORDER BY device COLLATE \"C\" LIMIT $2",
                &[&after, &limit],
            )
            .await?;
        rows.iter()
            .map(|row| {
                let id: &str = row.try_get(0)?;
                let device =
                    DeviceId::new(id).map_err(|error| DatabaseError::Row(error.to_string()))?;
                let tenant = *tenant;
                Ok((DeviceKey { tenant, device }, row.try_get(1)?))
            })
            .collect()
    }

    /// The last known state of a device in JSON, as of the last snapshot of its partition.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn device(&mut self, key: &DeviceKey) -> Result<Option<String>, DatabaseError> {
        let transaction = self.of(&key.tenant).await?;
        let row = transaction
            .query_opt(
                "SELECT latest::text FROM device WHERE device = $1",
                &[&key.device.as_str()],
            )
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Quarantined frames of a tenant's devices, the newest first, at most `limit`, after a place.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn quarantine(
        &mut self,
        tenant: &Tenant,
        after: Option<QuarantinePlace>,
        limit: i64,
    ) -> Result<Vec<StoredFrame>, DatabaseError> {
        let transaction = self.of(tenant).await?;
        let at = after.map(|place| place.0);
        let (epoch, connection, frame) = after
            .map_or((0, 0, 0), |(_, epoch, connection, frame)| {
                (epoch, connection, frame)
            });
        let rows = transaction
            .query(
                "SELECT (extract(epoch FROM received_at) * 1000)::bigint, epoch, connection, frame,
                     peer, protocol, device, field, place, error, raw
                 FROM quarantine
                 WHERE $1::bigint IS NULL
                     OR (received_at, epoch, connection, frame)
                         < (to_timestamp($1 / 1000.0), $2, $3, $4)
                 ORDER BY received_at DESC, epoch DESC, connection DESC, frame DESC LIMIT $5",
                &[&at, &epoch, &connection, &frame, &limit],
            )
            .await?;
        rows.iter()
            .map(|row| {
                let offset: Option<i64> = row.try_get(8)?;
                Ok(StoredFrame {
                    place: (
                        row.try_get(0)?,
                        row.try_get(1)?,
                        row.try_get(2)?,
                        row.try_get(3)?,
                    ),
                    peer: row.try_get(4)?,
                    protocol: row.try_get(5)?,
                    device: row.try_get(6)?,
                    field: row.try_get(7)?,
                    offset: offset.and_then(|offset| u32::try_from(offset).ok()),
                    error: row.try_get(9)?,
                    raw: row.try_get(10)?,
                })
            })
            .collect()
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Whether the server answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn check(&self) -> Result<(), DatabaseError> {
        self.client.batch_execute("").await?;
        Ok(())
    }
}
