//! Events that are stored and not published yet.

use super::batch::Claim;
use super::{Database, DatabaseError};

/// An event as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventRecord {
    /// Its number in the partition. Numbers rise in the order of storing, and may have gaps.
    pub number: i64,
    /// The key of its device's records; of a device without a name, the report's id.
    pub key: String,
    /// The event in JSON.
    pub json: String,
}

/// A part of the events after a partition's mark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unpublished {
    /// In the order of their numbers.
    pub events: Vec<EventRecord>,
    /// When these are published, everything up to this number is.
    pub up_to: i64,
    /// Whether nothing is left to do.
    pub is_done: bool,
}

const TIME: &str = "'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'";

impl Database {
    /// What follows the partition's mark, at most `most`.
    ///
    /// # Errors
    /// [`DatabaseError::Superseded`] when another one holds the partition.
    pub async fn unpublished(
        &self,
        claim: Claim,
        most: usize,
    ) -> Result<Unpublished, DatabaseError> {
        let mark = self
            .client
            .query_opt(
                "SELECT generation, events, published FROM mark
                 WHERE topic = $1 AND partition = $2",
                &[&claim.topic.as_str(), &claim.partition],
            )
            .await?;
        let Some(mark) = mark else {
            return Err(superseded(claim, 0));
        };
        let (generation, numbered, published): (i64, i64, i64) =
            (mark.try_get(0)?, mark.try_get(1)?, mark.try_get(2)?);
        if generation != claim.generation {
            return Err(superseded(claim, generation));
        }
        if published >= numbered {
            return Ok(Unpublished {
                events: Vec::new(),
                up_to: published,
                is_done: true,
            });
        }
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        // The id of an event is its report's id and its place there: the same however often it is
        // published.
        let rows = self
            .client
            .query(
                &format!(
                    "SELECT number, coalesce(tenant || ':' || device, '-:' || id),
                         jsonb_strip_nulls(jsonb_build_object(
                             'schema', 1, 'id', id || '/' || place, 'report', id,
                             'place', place, 'tenant', tenant, 'device', device,
                             'time', to_char(\"time\", {TIME}),
                             'received_at', to_char(received_at, {TIME}),
                             'kind', kind, 'by', raised_by, 'code', code,
                             'incident', incident, 'incident_id', incident_id, 'late', late,
                             'latitude', latitude, 'longitude', longitude,
                             'partition', partition, 'number', number))::text
                     FROM event
                     WHERE topic = $1 AND partition = $2 AND number > $3 AND number <= $4
                     ORDER BY number LIMIT $5"
                ),
                &[
                    &claim.topic.as_str(),
                    &claim.partition,
                    &published,
                    &numbered,
                    &limit,
                ],
            )
            .await?;
        let events = rows
            .iter()
            .map(|row| {
                Ok(EventRecord {
                    number: row.try_get(0)?,
                    key: row.try_get(1)?,
                    json: row.try_get(2)?,
                })
            })
            .collect::<Result<Vec<_>, tokio_postgres::Error>>()?;
        // Numbers whose events were replaced or dropped are passed over.
        let up_to = match events.last() {
            Some(last) if events.len() >= most => last.number,
            _ => numbered,
        };
        Ok(Unpublished {
            events,
            up_to,
            is_done: false,
        })
    }

    /// Everything up to a number is published. Never moves back.
    ///
    /// # Errors
    /// [`DatabaseError::Superseded`] when another one holds the partition.
    pub async fn note_published(&self, claim: Claim, up_to: i64) -> Result<(), DatabaseError> {
        let moved = self
            .client
            .execute(
                "UPDATE mark SET published = greatest(published, $4)
                 WHERE topic = $1 AND partition = $2 AND generation = $3",
                &[
                    &claim.topic.as_str(),
                    &claim.partition,
                    &claim.generation,
                    &up_to,
                ],
            )
            .await?;
        if moved == 0 {
            return Err(superseded(claim, 0));
        }
        Ok(())
    }
}

pub(super) const fn superseded(claim: Claim, found: i64) -> DatabaseError {
    DatabaseError::Superseded {
        topic: claim.topic,
        partition: claim.partition,
        generation: claim.generation,
        found,
        expected_offset: None,
        found_offset: None,
    }
}
