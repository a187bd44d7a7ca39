//! Trips and stops: written with the batch that ended them.

use milepost_telemetry::{DeviceKey, Timestamp};
use tokio_postgres::{Row, Transaction};
use uuid::Uuid;

use super::batch::BatchRows;
use super::{DatabaseError, Reader};
use crate::stage::{Stage as _, Track, piece};
use crate::track::{Kind, Leg};

/// Writes the trips of a batch, in its transaction.
pub(super) async fn write(
    transaction: &Transaction<'_>,
    batch: &BatchRows,
) -> Result<(), DatabaseError> {
    if batch.trips.is_empty() {
        return Ok(());
    }
    let of = |leg: &Leg| match leg.kind {
        Kind::Trip => "trip",
        Kind::Stop => "stop",
    };
    let rows = || batch.trips.values();
    let ids: Vec<Uuid> = batch.trips.keys().copied().collect();
    let tenants: Vec<&str> = rows().map(|(key, ..)| key.tenant.as_str()).collect();
    let devices: Vec<&str> = rows().map(|(key, ..)| key.device.as_str()).collect();
    let kinds: Vec<&str> = rows().map(|(_, leg, _)| of(leg)).collect();
    let from: Vec<i64> = rows().map(|(_, leg, _)| leg.from_ms).collect();
    let to: Vec<Option<i64>> = rows().map(|(_, leg, _)| leg.to_ms).collect();
    let number = |of: fn(&Leg) -> f64| rows().map(|(_, leg, _)| of(leg)).collect::<Vec<f64>>();
    let odometer: Vec<Option<f64>> = rows().map(|(_, leg, _)| leg.odometer_m).collect();
    let revision: Vec<i32> = rows()
        .map(|(.., revision)| i32::try_from(*revision).unwrap_or(i32::MAX))
        .collect();
    transaction
        .execute(
            "INSERT INTO trip (id, key_time, revision, tenant, device, kind, since, until,
                 start_latitude, start_longitude, end_latitude, end_longitude, distance_m,
                 odometer_m, max_speed_kmh, idle_s)
             SELECT id, to_timestamp(from_ms / 1000.0), revision, tenant, device, kind,
                 to_timestamp(from_ms / 1000.0), to_timestamp(to_ms / 1000.0), start_latitude,
                 start_longitude, end_latitude, end_longitude, distance_m, odometer_m,
                 max_speed_kmh, idle_s
             FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[],
                 $6::bigint[], $7::float8[], $8::float8[], $9::float8[], $10::float8[],
                 $11::float8[], $12::float8[], $13::float8[], $14::float8[], $15::int[])
                 AS t (id, tenant, device, kind, from_ms, to_ms, start_latitude, start_longitude,
                     end_latitude, end_longitude, distance_m, odometer_m, max_speed_kmh, idle_s,
                     revision)
             ON CONFLICT (id, key_time) DO UPDATE SET revision = excluded.revision,
                 kind = excluded.kind, until = excluded.until,
                 start_latitude = excluded.start_latitude,
                 start_longitude = excluded.start_longitude,
                 end_latitude = excluded.end_latitude, end_longitude = excluded.end_longitude,
                 distance_m = excluded.distance_m, odometer_m = excluded.odometer_m,
                 max_speed_kmh = excluded.max_speed_kmh, idle_s = excluded.idle_s
             WHERE excluded.revision >= trip.revision",
            &[
                &ids,
                &tenants,
                &devices,
                &kinds,
                &from,
                &to,
                &number(|leg| leg.start.0),
                &number(|leg| leg.start.1),
                &number(|leg| leg.end.0),
                &number(|leg| leg.end.1),
                &number(|leg| leg.distance_m),
                &odometer,
                &number(|leg| f64::from(leg.max_speed) * 3.6),
                &number(|leg| leg.idle_ms as f64 / 1_000.0),
                &revision,
            ],
        )
        .await?;
    Ok(())
}

impl Reader {
    /// A device's trips and stops that overlap a stretch of time, the earliest first, with their
    /// revisions; at most `limit`, after one that began at a time in milliseconds since 1970. The
    /// open one is the last, as of the last snapshot of its partition.
    ///
    /// # Errors
    /// When the database cannot be reached, or a row cannot be read.
    pub async fn trips(
        &mut self,
        device: &DeviceKey,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        after: Option<i64>,
        limit: i64,
    ) -> Result<Vec<(Leg, u32)>, DatabaseError> {
        let transaction = self.of(&device.tenant).await?;
        let (from, to) = (from.map(Timestamp::as_millis), to.map(Timestamp::as_millis));
        let id = device.device.as_str();
        let rows = transaction
            .query(
                "SELECT kind, (extract(epoch FROM since) * 1000)::bigint,
                     (extract(epoch FROM until) * 1000)::bigint, start_latitude, start_longitude,
                     end_latitude, end_longitude, distance_m, odometer_m, max_speed_kmh, idle_s,
                     revision
                 FROM trip
                 WHERE device = $1 AND ($3::bigint IS NULL OR since < to_timestamp($3 / 1000.0))
                     AND ($4::bigint IS NULL OR since > to_timestamp($4 / 1000.0))
                     AND ($2::bigint IS NULL OR since >= coalesce(
                         -- The one that is under way at `from`.
                         (SELECT since FROM trip WHERE device = $1
                              AND since <= to_timestamp($2 / 1000.0)
                              AND until > to_timestamp($2 / 1000.0)
                          ORDER BY since DESC LIMIT 1), to_timestamp($2 / 1000.0)))
                 ORDER BY since LIMIT $5",
                &[&id, &from, &to, &after, &limit],
            )
            .await?;
        let mut trips = rows.iter().map(trip).collect::<Result<Vec<_>, _>>()?;
        if i64::try_from(trips.len()).unwrap_or(i64::MAX) >= limit {
            return Ok(trips);
        }
        let states = transaction
            .query_opt("SELECT state FROM device WHERE device = $1", &[&id])
            .await?;
        let states: Vec<u8> = match states {
            Some(row) => row.try_get(0)?,
            None => return Ok(trips),
        };
        let tracker =
            piece(&states, Track::NAME).and_then(|(version, bytes)| Track::restore(version, bytes));
        let open = tracker.and_then(|tracker| tracker.motion().open());
        let last = trips.last().map(|(last, _)| last.from_ms).max(after);
        if let Some(open) = open.filter(|open| {
            to.is_none_or(|to| open.from_ms < to) && last.is_none_or(|last| last < open.from_ms)
        }) {
            trips.push((open, 0));
        }
        Ok(trips)
    }
}

fn trip(row: &Row) -> Result<(Leg, u32), DatabaseError> {
    let kind: &str = row.try_get(0)?;
    let max_speed_kmh: f32 = row.try_get(9)?;
    let idle_s: f64 = row.try_get(10)?;
    let leg = Leg {
        kind: if kind == "trip" {
            Kind::Trip
        } else {
            Kind::Stop
        },
        from_ms: row.try_get(1)?,
        to_ms: row.try_get(2)?,
        start: (row.try_get(3)?, row.try_get(4)?),
        end: (row.try_get(5)?, row.try_get(6)?),
        distance_m: row.try_get(7)?,
        odometer_m: row.try_get(8)?,
        max_speed: max_speed_kmh / 3.6,
        idle_ms: whole(idle_s * 1_000.0),
    };
    Ok((leg, row.try_get::<_, i32>(11)?.unsigned_abs()))
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
fn whole(value: f64) -> i64 {
    value.round() as i64
}
