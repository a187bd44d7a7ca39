//! One batch, one transaction: rows, events, audit, and the mark.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join3;
use milepost_telemetry::{Name, ReportId};
use tokio_postgres::Transaction;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::batch::{BatchRows, Encoded, Fate, Route};
use super::copy::copy_in;
use super::row::{EVENT, FIRST, QUARANTINE, REPORT};
use super::{Database, DatabaseError, correct, trips};

/// Statements, made once.
#[derive(Debug)]
pub(super) struct Statements {
    copy_report: String,
    copy_staging: String,
    copy_event: String,
    copy_quarantine: String,
    merge: String,
    merge_odd: String,
}

impl Statements {
    pub(super) fn new() -> Self {
        let columns = |columns: &[&str]| {
            columns
                .iter()
                .map(|column| format!("\"{column}\""))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let report = columns(REPORT);
        let copy = |table: &str, columns: &str| {
            format!("COPY {table} ({columns}) FROM STDIN WITH (FORMAT binary)")
        };
        let merge = |table: &str, other: &str, condition: &str| {
            let set = REPORT
                .iter()
                .filter(|column| !FIRST.contains(column))
                .map(|column| format!("\"{column}\" = excluded.\"{column}\""))
                .collect::<Vec<_>>()
                .join(", ");
            // xmax is 0 in a row that was inserted, and not in one that was updated.
            format!(
                "INSERT INTO {table} ({report})
                 SELECT {report} FROM staging s
                 WHERE {condition} AND NOT EXISTS (
                     SELECT 1 FROM {other} o WHERE o.id = s.id AND o.key_time = s.key_time)
                 ORDER BY ordinal
                 ON CONFLICT (id, key_time) DO UPDATE SET {set}
                 WHERE (excluded.decoder_version, excluded.revision)
                     > ({table}.decoder_version, {table}.revision)
                 RETURNING id, xmax = 0"
            )
        };
        Self {
            copy_report: copy("report", &report),
            copy_staging: copy("staging", &format!("{report}, ordinal")),
            copy_event: copy("event", &columns(EVENT)),
            copy_quarantine: copy("quarantine", &columns(QUARANTINE)),
            merge: merge("report", "report_odd", "ordinal >= 0"),
            merge_odd: merge("report_odd", "report", "ordinal < 0"),
        }
    }
}

/// Made once per connection.
pub(super) const STAGING: &str = "
    CREATE TEMP TABLE staging (LIKE report INCLUDING DEFAULTS) ON COMMIT DELETE ROWS;
    ALTER TABLE staging ADD COLUMN ordinal bigint NOT NULL;";

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// For each report, in order: what became of it.
    pub reports: Vec<Verdict>,
    /// Frames with at least one report that is new or changed.
    pub stored: u64,
    /// Frames that said nothing new.
    pub duplicate: u64,
    /// Frames that hold nothing to store.
    pub filtered: u64,
    /// Frames that are set aside.
    pub quarantined: u64,
    /// Corrections that changed a row, by their places in the batch.
    pub corrected: Vec<usize>,
    /// Events that were written.
    pub events: u64,
    /// Whether reports that were surely new were not, so that the batch was written twice.
    pub restaged: bool,
    /// Whether an earlier attempt, whose answer was lost, had stored it. All reports then count as
    /// new: whoever follows gets them at least once.
    pub was_stored: bool,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verdict {
    /// It is a new row.
    New,
    /// It replaces a row of an earlier decoder version or revision.
    Changed,
    /// It was stored already.
    #[default]
    Known,
}

impl Database {
    /// Writes a batch in one transaction: all of it, durably, or nothing.
    ///
    /// # Errors
    /// [`DatabaseError::Superseded`] when another one holds the partition; nothing will ever be
    /// written with this claim again.
    pub async fn write(&mut self, batch: &BatchRows) -> Result<Stored, DatabaseError> {
        match self.attempt(batch, false).await {
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                tracing::warn!(
                    topic = %batch.claim.topic,
                    partition = batch.claim.partition,
                    "reports that were taken for new are stored already; comparing all"
                );
                let mut stored = self.attempt(batch, true).await?;
                stored.restaged = true;
                Ok(stored)
            }
            outcome => outcome,
        }
    }

    async fn attempt(&mut self, batch: &BatchRows, compare: bool) -> Result<Stored, DatabaseError> {
        let is_straight = |row: &&Encoded| row.route == Route::Straight && !compare;
        let transaction = self.client.transaction().await?;
        let (mark, (), ()) = try_join3(
            move_mark(&transaction, batch),
            add_profiles(&transaction, batch),
            add_positions(&transaction, batch),
        )
        .await?;
        let Some(numbered) = mark else {
            transaction.rollback().await?;
            return self.why_not(batch).await;
        };
        let mut verdicts = vec![Verdict::Known; batch.reports.len()];
        let mut straight = batch.reports.iter().filter(is_straight).peekable();
        if straight.peek().is_some() {
            let rows = straight.map(|row| (slice(&batch.fields, &row.fields), None));
            copy_in(
                &transaction,
                &self.statements.copy_report,
                count(REPORT),
                rows,
            )
            .await?;
        }
        let mut staged: Vec<(usize, &Encoded)> = Vec::new();
        for (place, row) in batch.reports.iter().enumerate() {
            if is_straight(&row) {
                if let Some(verdict) = verdicts.get_mut(place) {
                    *verdict = Verdict::New;
                }
            } else {
                staged.push((place, row));
            }
        }
        if !staged.is_empty() {
            if !self.has_staging {
                transaction.batch_execute(STAGING).await?;
            }
            merge(&transaction, &self.statements, batch, staged, &mut verdicts).await?;
        }
        let mut events = write_events(
            &transaction,
            &self.statements.copy_event,
            batch,
            &verdicts,
            numbered,
        )
        .await?;
        let corrected = if batch.corrections.is_empty() {
            Vec::new()
        } else {
            let numbered = numbered + int(events);
            let (corrected, more) = correct::write(&transaction, batch, numbered).await?;
            events += more;
            corrected
        };
        trips::write(&transaction, batch).await?;
        if !batch.quarantined.is_empty() {
            let rows = batch
                .quarantined
                .iter()
                .map(|range| (slice(&batch.quarantine_fields, range), None));
            let statement = &self.statements.copy_quarantine;
            copy_in(&transaction, statement, count(QUARANTINE), rows).await?;
        }
        let mut stored = tally(batch, verdicts);
        stored.events = events;
        stored.corrected = corrected;
        add_audit(&transaction, batch, &stored).await?;
        let makes_staging = !self.has_staging && stored_staged(batch, compare);
        transaction.commit().await?;
        self.has_staging |= makes_staging;
        Ok(stored)
    }

    /// Why the mark did not move.
    async fn why_not(&mut self, batch: &BatchRows) -> Result<Stored, DatabaseError> {
        let claim = batch.claim;
        let row = self
            .client
            .query_opt(
                "SELECT generation, log_offset FROM mark WHERE topic = $1 AND partition = $2",
                &[&claim.topic.as_str(), &claim.partition],
            )
            .await?;
        let (generation, offset) = match row {
            Some(row) => (row.try_get::<_, i64>(0)?, row.try_get::<_, Option<i64>>(1)?),
            None => (0, None),
        };
        if generation == claim.generation && offset == Some(batch.to) {
            let verdicts = vec![Verdict::New; batch.reports.len()];
            let mut stored = tally(batch, verdicts);
            // Whoever follows gets them at least once.
            stored.corrected = (0..batch.corrections.len()).collect();
            stored.was_stored = true;
            return Ok(stored);
        }
        Err(DatabaseError::Superseded {
            topic: claim.topic,
            partition: claim.partition,
            generation: claim.generation,
            found: generation,
            expected_offset: batch.from,
            found_offset: offset,
        })
    }
}

fn stored_staged(batch: &BatchRows, compare: bool) -> bool {
    compare && !batch.is_empty() || batch.reports.iter().any(|r| r.route != Route::Straight)
}

fn slice<'b>(bytes: &'b [u8], range: &std::ops::Range<usize>) -> &'b [u8] {
    bytes.get(range.clone()).unwrap_or_default()
}

fn count(columns: &[&str]) -> i16 {
    i16::try_from(columns.len()).unwrap_or(i16::MAX)
}

/// Moves the mark if it is where the batch begins and the claim is the newest; returns how many
/// events were numbered before. The row stays locked until the end of the transaction.
async fn move_mark(
    transaction: &Transaction<'_>,
    batch: &BatchRows,
) -> Result<Option<i64>, DatabaseError> {
    let claim = batch.claim;
    let row = transaction
        .query_opt(
            "UPDATE mark SET log_offset = $4, changed_at = now()
             WHERE topic = $1 AND partition = $2 AND generation = $3
                 AND log_offset IS NOT DISTINCT FROM $5
             RETURNING events",
            &[
                &claim.topic.as_str(),
                &claim.partition,
                &claim.generation,
                &batch.to,
                &batch.from,
            ],
        )
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

async fn add_profiles(
    transaction: &Transaction<'_>,
    batch: &BatchRows,
) -> Result<(), DatabaseError> {
    if batch.profiles.is_empty() {
        return Ok(());
    }
    let (ids, texts): (Vec<Uuid>, Vec<&str>) = batch
        .profiles
        .iter()
        .map(|(id, profile)| (*id, profile.as_str()))
        .unzip();
    transaction
        .execute(
            "INSERT INTO profile (id, text) SELECT * FROM unnest($1::uuid[], $2::text[])
             ON CONFLICT (id) DO NOTHING",
            &[&ids, &texts],
        )
        .await?;
    Ok(())
}

async fn add_positions(
    transaction: &Transaction<'_>,
    batch: &BatchRows,
) -> Result<(), DatabaseError> {
    if batch.positions.is_empty() {
        return Ok(());
    }
    let (logs, positions): (Vec<Uuid>, Vec<i64>) = batch
        .positions
        .iter()
        .map(|(log, position)| (*log, int(*position)))
        .unzip();
    transaction
        .execute(
            "INSERT INTO log_position (topic, partition, log, position)
             SELECT $1, $2, * FROM unnest($3::uuid[], $4::bigint[])
             ON CONFLICT (topic, partition, log) DO UPDATE
             SET position = greatest(log_position.position, excluded.position), seen_at = now()",
            &[
                &batch.claim.topic.as_str(),
                &batch.claim.partition,
                &logs,
                &positions,
            ],
        )
        .await?;
    Ok(())
}

/// Compares reports with what is stored, and stores those that are new or of a higher version.
async fn merge(
    transaction: &Transaction<'_>,
    statements: &Statements,
    batch: &BatchRows,
    staged: Vec<(usize, &Encoded)>,
    verdicts: &mut [Verdict],
) -> Result<(), DatabaseError> {
    // One statement changes no row twice: of equal ids the highest version stays, else the first.
    let mut by_id: BTreeMap<ReportId, (usize, &Encoded)> = BTreeMap::new();
    for (place, row) in staged {
        match by_id.entry(row.id) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert((place, row));
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                if row.order > entry.get().1.order {
                    entry.insert((place, row));
                }
            }
        }
    }
    let rows = by_id.values().map(|(place, row)| {
        let place = i64::try_from(*place).unwrap_or(i64::MAX);
        let is_odd = row.route == Route::Odd;
        let ordinal = if is_odd { -1 - place } else { place };
        (slice(&batch.fields, &row.fields), Some(ordinal))
    });
    copy_in(transaction, &statements.copy_staging, count(REPORT), rows).await?;
    let has = |odd: bool| {
        by_id
            .values()
            .any(|(_, row)| (row.route == Route::Odd) == odd)
    };
    for (statement, is_needed) in [
        (&statements.merge, has(false)),
        (&statements.merge_odd, has(true)),
    ] {
        if !is_needed {
            continue;
        }
        for row in transaction.query(statement, &[]).await? {
            let id: Uuid = row.try_get(0)?;
            let is_new: bool = row.try_get(1)?;
            let id = ReportId::from_bytes(id.into_bytes());
            if let Some((place, _)) = by_id.get(&id)
                && let Some(verdict) = verdicts.get_mut(*place)
            {
                *verdict = if is_new {
                    Verdict::New
                } else {
                    Verdict::Changed
                };
            }
        }
    }
    Ok(())
}

/// Writes the events of reports that are new or changed, numbered on.
async fn write_events(
    transaction: &Transaction<'_>,
    statement: &str,
    batch: &BatchRows,
    verdicts: &[Verdict],
    numbered: i64,
) -> Result<u64, DatabaseError> {
    let changed: Vec<Uuid> = batch
        .reports
        .iter()
        .zip(verdicts)
        .filter(|(_, verdict)| **verdict == Verdict::Changed)
        .map(|(row, _)| Uuid::from_bytes(*row.id.as_bytes()))
        .collect();
    if !changed.is_empty() {
        transaction
            .execute("DELETE FROM event WHERE id = ANY($1)", &[&changed])
            .await?;
    }
    let events: Vec<&[u8]> = batch
        .reports
        .iter()
        .zip(verdicts)
        .filter(|(_, verdict)| **verdict != Verdict::Known)
        .flat_map(|(row, _)| batch.events.get(row.events.clone()).unwrap_or_default())
        .map(|range| slice(&batch.event_fields, range))
        .collect();
    if events.is_empty() {
        return Ok(0);
    }
    let count_of_events = i64::try_from(events.len()).unwrap_or(i64::MAX);
    let rows = events
        .into_iter()
        .zip(numbered + 1..)
        .map(|(row, n)| (row, Some(n)));
    copy_in(transaction, statement, count(EVENT) - 1, rows).await?;
    number_on(transaction, batch, count_of_events).await?;
    Ok(count_of_events.unsigned_abs())
}

/// So many events were numbered.
pub(super) async fn number_on(
    transaction: &Transaction<'_>,
    batch: &BatchRows,
    events: i64,
) -> Result<(), DatabaseError> {
    let claim = batch.claim;
    transaction
        .execute(
            "UPDATE mark SET events = events + $3 WHERE topic = $1 AND partition = $2",
            &[&claim.topic.as_str(), &claim.partition, &events],
        )
        .await?;
    Ok(())
}

/// In which bucket each frame ends.
fn tally(batch: &BatchRows, reports: Vec<Verdict>) -> Stored {
    let mut stored = Stored::default();
    let with_news: BTreeSet<usize> = batch
        .reports
        .iter()
        .zip(&reports)
        .filter(|(_, verdict)| **verdict != Verdict::Known)
        .map(|(row, _)| row.frame)
        .collect();
    for (place, frame) in batch.frames.iter().enumerate() {
        let bucket = match frame.fate {
            Fate::Reports if with_news.contains(&place) => &mut stored.stored,
            Fate::Reports | Fate::Duplicate => &mut stored.duplicate,
            Fate::Filtered(_) => &mut stored.filtered,
            Fate::Quarantined => &mut stored.quarantined,
        };
        *bucket += frame.frames;
    }
    stored.reports = reports;
    stored
}

async fn add_audit(
    transaction: &Transaction<'_>,
    batch: &BatchRows,
    stored: &Stored,
) -> Result<(), DatabaseError> {
    let with_news: BTreeSet<usize> = batch
        .reports
        .iter()
        .zip(&stored.reports)
        .filter(|(_, verdict)| **verdict != Verdict::Known)
        .map(|(row, _)| row.frame)
        .collect();
    let mut counts: BTreeMap<(&str, u64, &str, Option<Name>), u64> = BTreeMap::new();
    for (place, frame) in batch.frames.iter().enumerate() {
        let (bucket, reason) = match frame.fate {
            Fate::Reports if with_news.contains(&place) => ("stored", None),
            Fate::Reports | Fate::Duplicate => ("duplicate", None),
            Fate::Filtered(reason) => ("filtered", Some(reason)),
            Fate::Quarantined => ("quarantined", None),
        };
        *counts
            .entry((&frame.gateway, frame.epoch, bucket, reason))
            .or_insert(0) += frame.frames;
    }
    if counts.is_empty() {
        return Ok(());
    }
    let mut gateways = Vec::with_capacity(counts.len());
    let mut epochs = Vec::with_capacity(counts.len());
    let mut buckets = Vec::with_capacity(counts.len());
    let mut reasons = Vec::with_capacity(counts.len());
    let mut frames = Vec::with_capacity(counts.len());
    for ((gateway, epoch, bucket, reason), count) in counts {
        gateways.push(gateway);
        epochs.push(int(epoch));
        buckets.push(bucket);
        reasons.push(reason.map_or("", Name::as_str));
        frames.push(int(count));
    }
    transaction
        .execute(
            "INSERT INTO audit (topic, partition, gateway, epoch, bucket, reason, frames)
             SELECT $1, $2, * FROM unnest($3::text[], $4::bigint[], $5::text[], $6::text[],
                 $7::bigint[])
             ON CONFLICT (gateway, epoch, topic, partition, bucket, reason)
             DO UPDATE SET frames = audit.frames + excluded.frames",
            &[
                &batch.claim.topic.as_str(),
                &batch.claim.partition,
                &gateways,
                &epochs,
                &buckets,
                &reasons,
                &frames,
            ],
        )
        .await?;
    Ok(())
}

/// PostgreSQL's integers are signed; no counter gets near the end.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
