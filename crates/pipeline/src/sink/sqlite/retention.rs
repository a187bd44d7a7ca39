//! Forgetting what is older than somebody wants to keep.
//!
//! Old is what arrived long ago, whatever a device says about the time: a clock that is wrong
//! neither keeps a report for ever nor loses it early. Rows stand in the order in which they
//! arrived, so the oldest are found at one end, without an index of their own.

use std::time::{Duration, Instant};

use milepost_telemetry::Timestamp;
use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, Transaction};

use super::known::Known;
use super::read::Reader;
use super::waiting::NETWORK_KEPT_MS;
use super::write::bucket;
use super::{Store, StoreError};

/// Up to which time may be forgotten.
///
/// A clock that is wrong at the start of a machine must not cost the history. So the time is
/// counted back from the clock or from an hour after the newest arrival, whichever is earlier; and
/// where more than a day's worth would go at once (the clock has jumped, or the server was off for
/// long), it goes only after 24 hours in which that stays so.
#[derive(Debug)]
pub struct Retention {
    keep_ms: i64,
    /// Since when much would go.
    since: Option<Instant>,
}

/// What [`Retention`] decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CutOff {
    /// What arrived before may be forgotten.
    Before(Timestamp),
    /// Much would be forgotten at once: not yet.
    Waits {
        /// What arrived before would be.
        before: Timestamp,
        /// The oldest that is kept now.
        oldest: Timestamp,
        /// Whether the wait begins with this: worth a warning.
        begins: bool,
    },
}

/// How long is waited before much is forgotten at once.
const WAIT: Duration = Duration::from_hours(24);
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

impl Retention {
    /// Keeps what arrived within a time.
    pub fn new(keep: Duration) -> Self {
        Self {
            keep_ms: i64::try_from(keep.as_millis()).unwrap_or(i64::MAX),
            since: None,
        }
    }

    /// Decides. `arrivals` are those of the oldest and the newest row
    /// ([`Reader::arrivals`]), `clock` is the wall clock, `now` one that is never set.
    pub fn cut_off(
        &mut self,
        arrivals: Option<(Timestamp, Timestamp)>,
        clock: Timestamp,
        now: Instant,
    ) -> CutOff {
        let Some((oldest, newest)) = arrivals else {
            self.since = None;
            return CutOff::Before(clock.offset_millis(self.keep_ms.saturating_neg()));
        };
        let believed = clock.min(newest.offset_millis(HOUR_MS));
        let before = believed.offset_millis(self.keep_ms.saturating_neg());
        if oldest >= before.offset_millis(-DAY_MS) {
            self.since = None;
            return CutOff::Before(before);
        }
        let begins = self.since.is_none();
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= WAIT {
            return CutOff::Before(before);
        }
        CutOff::Waits {
            before,
            oldest,
            begins,
        }
    }
}

impl Reader {
    /// When the oldest and the newest report that are kept have arrived.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn arrivals(&self) -> Result<Option<(Timestamp, Timestamp)>, StoreError> {
        let end = |order: &str| {
            let find = format!(
                "SELECT coalesce(received_at, CAST(round(
                     unixepoch(body ->> 'received_at', 'subsec') * 1000) AS INTEGER))
                 FROM report ORDER BY seq {order} LIMIT 1"
            );
            let mut find = self.db().prepare_cached(&find)?;
            find.query_row([], |row| row.get::<_, i64>(0)).optional()
        };
        Ok(end("ASC")?.zip(end("DESC")?).map(|(oldest, newest)| {
            (
                Timestamp::from_millis(oldest),
                Timestamp::from_millis(newest),
            )
        }))
    }
}

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
    /// Forgets what arrived before a time, at once and at most so many rows of each kind: reports
    /// with their frames, frames in quarantine, and commands that came to their end before it.
    /// What is last known of a device stays, and every frame stays counted, so the audit's sums
    /// stay true. Call it until there is no more. [`Retention`] says which time is safe.
    ///
    /// A device that repeats a fact whose report is forgotten may have it stored anew.
    ///
    /// # Errors
    /// When it could not be done; then nothing is forgotten.
    pub async fn forget_before(
        &self,
        before: Timestamp,
        most: u32,
    ) -> Result<Forgotten, StoreError> {
        let forget = move |tx: &Transaction<'_>| {
            let reports = reports(tx, before, most)?;
            let quarantined = quarantined(tx, before, most)?;
            let commands = commands(tx, before, most)?;
            let most = u64::from(most);
            let more = [reports, quarantined, commands].contains(&most);
            if !more {
                profiles(tx, before)?;
                networks(tx, before)?;
                trips(tx, before)?;
                corrections(tx, before)?;
            }
            Ok(Forgotten {
                reports,
                quarantined,
                commands,
                more,
            })
        };
        self.write_and(forget, Known::forget).await
    }
}

fn reports(tx: &Transaction<'_>, before: Timestamp, most: u32) -> Result<u64, rusqlite::Error> {
    // Rows of older formats have it in their body.
    let oldest_first =
        "SELECT seq, received_at, iif(received_at IS NULL, body ->> 'received_at', NULL)
                        FROM report ORDER BY seq LIMIT ?1";
    let arrived = |row: &Row<'_>| {
        if let Some(millis) = row.get(1)? {
            return Ok(Timestamp::from_millis(millis));
        }
        let text: String = row.get(2)?;
        text.parse::<Timestamp>().map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(2, Type::Text, Box::new(error))
        })
    };
    let Some(last) = last_before(tx, oldest_first, arrived, before, most)? else {
        return Ok(0);
    };
    tx.prepare_cached(
        "INSERT INTO folded (epoch, bucket, reason, frames)
         SELECT epoch, ?2, '', sum(coalesce(frames, 1)) FROM report
         WHERE seq <= ?1 AND part = 0 GROUP BY epoch
         ON CONFLICT DO UPDATE SET frames = frames + excluded.frames",
    )?
    .execute([last, bucket::STORED])?;
    // Numbers of rows do not return, also if all of them are forgotten.
    tx.prepare_cached(
        "INSERT INTO counter (name, value) VALUES ('report', ?1)
         ON CONFLICT DO UPDATE SET value = max(value, excluded.value)",
    )?
    .execute([last])?;
    delete(tx, "DELETE FROM report WHERE seq <= ?1", last)
}

fn quarantined(tx: &Transaction<'_>, before: Timestamp, most: u32) -> Result<u64, rusqlite::Error> {
    let oldest_first = "SELECT seq, received_at FROM quarantine ORDER BY seq LIMIT ?1";
    match last_before(tx, oldest_first, in_column, before, most)? {
        Some(last) => delete(tx, "DELETE FROM quarantine WHERE seq <= ?1", last),
        None => Ok(0),
    }
}

/// Profiles that no row refers to any more: those that were used last long enough ago.
fn profiles(tx: &Transaction<'_>, before: Timestamp) -> Result<(), rusqlite::Error> {
    // The time of the last use may lag behind by an hour.
    let before = before.offset_millis(-2 * 3_600_000);
    tx.prepare_cached("DELETE FROM used_profile WHERE last_used < ?1")?
        .execute([before.as_millis()])?;
    Ok(())
}

fn networks(tx: &Transaction<'_>, before: Timestamp) -> Result<(), rusqlite::Error> {
    // By the time up to which is forgotten, which a wrong clock does not move.
    let before = before.as_millis().saturating_sub(NETWORK_KEPT_MS);
    tx.prepare_cached("DELETE FROM device_network WHERE last_seen < ?1")?
        .execute([before])?;
    Ok(())
}

/// Few beside the reports: all are looked at.
fn trips(tx: &Transaction<'_>, before: Timestamp) -> Result<(), rusqlite::Error> {
    tx.prepare_cached("DELETE FROM trip WHERE to_ms < ?1")?
        .execute([before.as_millis()])?;
    Ok(())
}

/// A follower that lags by so much finds the reports as they were corrected, if they are kept.
fn corrections(tx: &Transaction<'_>, before: Timestamp) -> Result<(), rusqlite::Error> {
    // In the order in which they were made, so the last one says up to where.
    tx.prepare_cached(
        "DELETE FROM correction WHERE seq <= (SELECT max(seq) FROM correction
             WHERE coalesce(made_at, 0) < ?1)",
    )?
    .execute([before.as_millis()])?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: i64 = 90 * DAY_MS;

    fn retention() -> Retention {
        Retention::new(Duration::from_hours(90 * 24))
    }

    fn day(n: i64) -> Timestamp {
        Timestamp::from_millis(n * DAY_MS)
    }

    #[test]
    fn a_clock_that_runs_ahead_forgets_nothing() {
        let mut retention = retention();
        let now = Instant::now();
        let stored = Some((day(1_000), day(1_050)));
        let cut_off = retention.cut_off(stored, day(1_450), now);
        let expected = day(1_050).offset_millis(HOUR_MS - KEEP);
        assert_eq!(cut_off, CutOff::Before(expected));
        assert!(expected < day(1_000));
    }

    #[test]
    fn much_at_once_waits_a_day_and_is_announced_once() {
        let mut retention = retention();
        let start = Instant::now();
        // The first report with the wrong clock has been stored.
        let stored = Some((day(1_000), day(1_450)));
        let at = |hours| start + Duration::from_hours(hours);
        for (hour, first) in [(0, true), (1, false), (23, false)] {
            let cut_off = retention.cut_off(stored, day(1_450), at(hour));
            let CutOff::Waits { begins, oldest, .. } = cut_off else {
                panic!("{cut_off:?}");
            };
            assert_eq!((begins, oldest), (first, day(1_000)));
        }
        let cut_off = retention.cut_off(stored, day(1_450), at(24));
        assert_eq!(cut_off, CutOff::Before(day(1_360)));
    }

    #[test]
    fn what_grows_old_by_the_hour_goes_at_once() {
        let mut retention = retention();
        let stored = Some((day(909), day(1_000)));
        let cut_off = retention.cut_off(stored, day(1_000), Instant::now());
        assert_eq!(cut_off, CutOff::Before(day(910)));
        // A wait that was begun is over when the clock is right again.
        let wrong = Some((day(909), day(1_400)));
        retention.cut_off(wrong, day(1_400), Instant::now());
        retention.cut_off(stored, day(1_000), Instant::now());
        assert!(retention.since.is_none());
    }
}
