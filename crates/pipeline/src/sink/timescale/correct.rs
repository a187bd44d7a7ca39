//! Changes of reports that are stored: applied where the stored revision is lower.

use std::collections::BTreeMap;

use milepost_telemetry::ReportId;
use tokio_postgres::Transaction;
use uuid::Uuid;

use super::DatabaseError;
use super::batch::BatchRows;
use super::write::number_on;
use crate::sink::Correction;

/// Columns of the position after smoothing: column, key in the JSON form, type.
const SMOOTHED: &[(&str, &str, &str)] = &[
    ("smoothed_latitude", "latitude", "float8"),
    ("smoothed_longitude", "longitude", "float8"),
    ("smoothed_speed_kmh", "speed_kmh", "float4"),
    ("smoothed_course_deg", "course_deg", "float4"),
    ("smoothed_accuracy_m", "accuracy_m", "float4"),
    ("moving", "moving", "bool"),
    ("outlier", "outlier", "bool"),
    ("rejected", "rejected", "text"),
];

/// Applies the corrections of a batch, after its own reports. Returns the places of those that changed
/// a row, and how many events were numbered.
pub(super) async fn write(
    transaction: &Transaction<'_>,
    batch: &BatchRows,
    mut numbered: i64,
) -> Result<(Vec<usize>, u64), DatabaseError> {
    let mut corrected = Vec::new();
    let mut events = 0;
    // One statement changes no row twice: the corrections of one report go one after the other.
    let mut rounds: Vec<Vec<(usize, &Correction)>> = Vec::new();
    let mut seen: BTreeMap<ReportId, usize> = BTreeMap::new();
    for (place, correction) in batch.corrections.iter().enumerate() {
        let round = seen.entry(correction.id).or_insert(0);
        if rounds.len() <= *round {
            rounds.push(Vec::new());
        }
        if let Some(round) = rounds.get_mut(*round) {
            round.push((place, correction));
        }
        *round += 1;
    }
    for round in rounds {
        let applied = apply(transaction, &round).await?;
        let with_events: Vec<&Correction> = applied
            .iter()
            .map(|(_, correction)| *correction)
            .filter(|correction| correction.fields.events.is_some())
            .collect();
        let more = replace_events(transaction, batch, &with_events, numbered).await?;
        numbered += more;
        events += more.unsigned_abs();
        corrected.extend(applied.iter().map(|(place, _)| *place));
    }
    Ok((corrected, events))
}

fn text(corrections: &[&Correction]) -> Result<String, DatabaseError> {
    serde_json::to_string(corrections).map_err(|error| DatabaseError::Row(error.to_string()))
}

/// Those that changed a row.
async fn apply<'c>(
    transaction: &Transaction<'_>,
    round: &[(usize, &'c Correction)],
) -> Result<Vec<(usize, &'c Correction)>, DatabaseError> {
    let corrections: Vec<&Correction> = round.iter().map(|(_, correction)| *correction).collect();
    let corrections = text(&corrections)?;
    let smoothed: String = SMOOTHED
        .iter()
        .map(|(column, key, kind)| {
            format!(
                "{column} = CASE WHEN c.fields ? 'smoothed'
                     THEN (c.fields #>> '{{smoothed,{key}}}')::{kind} ELSE r.{column} END, "
            )
        })
        .collect();
    let mut changed = Vec::new();
    for table in ["report", "report_odd"] {
        let statement = format!(
            "UPDATE {table} r SET {smoothed} revision = c.revision,
                 late = coalesce((c.fields ->> 'late')::bool, r.late),
                 rest = CASE WHEN NOT c.fields ? 'events' THEN r.rest
                     WHEN c.fields -> 'events' = '[]' THEN nullif(r.rest - 'events', '{{}}')
                     ELSE coalesce(r.rest, '{{}}')
                         || jsonb_build_object('events', c.fields -> 'events') END
             FROM jsonb_to_recordset($1::text::jsonb)
                 AS c (id uuid, key_time timestamptz, revision int, fields jsonb)
             WHERE r.id = c.id AND r.key_time = c.key_time AND r.revision < c.revision
             RETURNING r.id"
        );
        for row in transaction.query(&statement, &[&corrections]).await? {
            changed.push(ReportId::from_bytes(
                row.try_get::<_, Uuid>(0)?.into_bytes(),
            ));
        }
    }
    let is_changed = |(_, correction): &&(usize, &Correction)| changed.contains(&correction.id);
    Ok(round.iter().filter(is_changed).copied().collect())
}

/// Puts the events of corrections in the place of those that are stored, numbered on.
async fn replace_events(
    transaction: &Transaction<'_>,
    batch: &BatchRows,
    corrections: &[&Correction],
    numbered: i64,
) -> Result<i64, DatabaseError> {
    if corrections.is_empty() {
        return Ok(0);
    }
    let ids: Vec<Uuid> = corrections
        .iter()
        .map(|correction| Uuid::from_bytes(*correction.id.as_bytes()))
        .collect();
    transaction
        .execute("DELETE FROM event WHERE id = ANY($1)", &[&ids])
        .await?;
    let written = transaction
        .execute(
            "INSERT INTO event (id, place, tenant, device, \"time\", received_at, kind, raised_by,
                 code, incident, incident_id, late, latitude, longitude, topic, partition, number)
             SELECT r.id, e.n - 1, r.tenant, r.device, r.\"time\", r.received_at, e.v ->> 'kind',
                 e.v ->> 'by', (e.v ->> 'code')::bigint, e.v ->> 'incident',
                 (e.v ->> 'incident_id')::uuid, (e.v ->> 'late')::bool, r.latitude, r.longitude,
                 $2, $3, $4 + row_number() OVER (ORDER BY c.n, e.n)
             FROM jsonb_array_elements($1::text::jsonb) WITH ORDINALITY AS c (v, n)
             CROSS JOIN LATERAL (
                 SELECT * FROM report WHERE id = (c.v ->> 'id')::uuid
                     AND key_time = (c.v ->> 'key_time')::timestamptz
                 UNION ALL
                 SELECT * FROM report_odd WHERE id = (c.v ->> 'id')::uuid
                     AND key_time = (c.v ->> 'key_time')::timestamptz) r
             CROSS JOIN LATERAL jsonb_array_elements(c.v #> '{fields,events}')
                 WITH ORDINALITY AS e (v, n)",
            &[
                &text(corrections)?,
                &batch.claim.topic.as_str(),
                &batch.claim.partition,
                &numbered,
            ],
        )
        .await?;
    let written = i64::try_from(written).unwrap_or(i64::MAX);
    number_on(transaction, batch, written).await?;
    Ok(written)
}
