//! Forgetting what is older than somebody wants to keep.
//!
//! Old is what arrived long ago, whatever a device says about the time: a clock that is wrong
//! neither keeps a report for ever nor loses it early. Rows stand in the order in which they
//! arrived, so the oldest are found at one end, without an index of their own.

use milepost_telemetry::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Row, Transaction};

use super::write::bucket;
use super::{Store, StoreError};

/// What was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forgotten {
    /// Rows of the history.
    pub reports: u64,
    /// Frames in quarantine.
    pub quarantined: u64,
    /// Commands that had come to their end before that time, with their answers.
    pub commands: u64,
    /// Whether more is as old as that.
    pub more: bool,
}

impl Store {
    /// Forgets what arrived before a time, at most so many rows of each kind: reports with their
    /// frames, frames in quarantine, and commands that came to their end before it. What is last known
    /// of a device stays, and every frame stays counted, so the audit's sums stay true.
    ///
    /// A device that repeats a fact whose report is forgotten may have it stored anew.
    ///
    /// # Errors
    /// When it could not be done; then nothing is forgotten.
    pub async fn forget(&self, before: Timestamp, most: u32) -> Result<Forgotten, StoreError> {
        self.write(move |tx| {
            let reports = reports(tx, before, most)?;
            let quarantined = quarantined(tx, before, most)?;
            let commands = commands(tx, before, most)?;
            let most = u64::from(most);
            Ok(Forgotten {
                reports,
                quarantined,
                commands,
                more: [reports, quarantined, commands].contains(&most),
            })
        })
        .await
    }
}

fn reports(tx: &Transaction<'_>, before: Timestamp, most: u32) -> Result<u64, rusqlite::Error> {
    let oldest_first = "SELECT seq, body ->> 'received_at' FROM report ORDER BY seq LIMIT ?1";
    let arrived = |row: &Row<'_>| {
        let text: String = row.get(1)?;
        text.parse::<Timestamp>().map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(1, Type::Text, Box::new(error))
        })
    };
    let Some(last) = last_before(tx, oldest_first, arrived, before, most)? else {
        return Ok(0);
    };
    tx.prepare_cached(
        "INSERT INTO folded (epoch, bucket, reason, frames)
         SELECT epoch, ?2, '', count(*) FROM report WHERE seq <= ?1 AND part = 0 GROUP BY epoch
         ON CONFLICT DO UPDATE SET frames = frames + excluded.frames",
    )?
    .execute([last, bucket::STORED])?;
    delete(tx, "DELETE FROM report WHERE seq <= ?1", last)
}

fn quarantined(tx: &Transaction<'_>, before: Timestamp, most: u32) -> Result<u64, rusqlite::Error> {
    let oldest_first = "SELECT seq, received_at FROM quarantine ORDER BY seq LIMIT ?1";
    match last_before(tx, oldest_first, in_column, before, most)? {
        Some(last) => delete(tx, "DELETE FROM quarantine WHERE seq <= ?1", last),
        None => Ok(0),
    }
}

/// They do not end in the order in which they began, and are few: all are looked at.
fn commands(tx: &Transaction<'_>, before: Timestamp, most: u32) -> Result<u64, rusqlite::Error> {
    let removed = tx
        .prepare_cached(
            "DELETE FROM command WHERE id IN
                 (SELECT id FROM command WHERE settled_at < ?1 ORDER BY id LIMIT ?2)",
        )?
        .execute([before.as_millis(), most.into()])?;
    Ok(count(removed))
}

/// The last of the oldest rows that are all from before a time.
fn last_before(
    tx: &Transaction<'_>,
    oldest_first: &str,
    arrived: impl Fn(&Row<'_>) -> Result<Timestamp, rusqlite::Error>,
    before: Timestamp,
    most: u32,
) -> Result<Option<i64>, rusqlite::Error> {
    let mut find = tx.prepare_cached(oldest_first)?;
    let mut rows = find.query([most])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        if arrived(row)? >= before {
            break;
        }
        last = row.get(0)?;
    }
    Ok(last)
}

fn in_column(row: &Row<'_>) -> Result<Timestamp, rusqlite::Error> {
    Ok(Timestamp::from_millis(row.get(1)?))
}

fn delete(tx: &Transaction<'_>, up_to: &str, last: i64) -> Result<u64, rusqlite::Error> {
    Ok(count(tx.prepare_cached(up_to)?.execute([last])?))
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
