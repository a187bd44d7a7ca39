//! Deleting what is older than it is to be kept: whole chunks, in the Apache edition by our own task.

use std::time::Duration;

use super::{Database, DatabaseError};

/// How long to keep what.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Keep {
    /// Reports, by the device's time; those with a wrong clock by their arrival.
    pub reports: Duration,
    /// Events, by their arrival.
    pub events: Duration,
    /// Trips and stops.
    pub trips: Duration,
    /// Quarantined frames.
    pub quarantine: Duration,
}

impl Keep {
    /// The same time for all.
    pub const fn all(time: Duration) -> Self {
        Self {
            reports: time,
            events: time,
            trips: time,
            quarantine: time,
        }
    }
}

/// What was deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Chunks.
    pub chunks: u64,
    /// Rows of the plain table.
    pub odd_rows: u64,
    /// Runs of gateways whose counts were added to those of older ones.
    pub folded_runs: u64,
}

/// Rows of the plain table that are deleted at once.
const PART: i64 = 10_000;

/// Serializes this task in a database: "Mpst" and one.
const LOCK: i64 = 0x4d70_7375;

impl Database {
    /// Deletes what is older and folds the counts of older runs, unless another connection is at it:
    /// then `None`. Call it every hour or so, from every worker.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn retain(&mut self, keep: Keep) -> Result<Option<Dropped>, DatabaseError> {
        let is_ours: bool = self
            .client
            .query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK])
            .await?
            .try_get(0)?;
        if !is_ours {
            return Ok(None);
        }
        let done = self.drop_and_fold(keep).await;
        self.client
            .execute("SELECT pg_advisory_unlock($1)", &[&LOCK])
            .await?;
        done.map(Some)
    }

    async fn drop_and_fold(&mut self, keep: Keep) -> Result<Dropped, DatabaseError> {
        let mut dropped = self.drop_old(keep).await?;
        dropped.folded_runs = self.fold_runs(keep.reports).await?;
        Ok(dropped)
    }

    /// Deletes what is older. Cheap when there is nothing; run it every hour or so, on one worker
    /// or on all.
    ///
    /// # Errors
    /// When the database cannot be reached, or is busy with the same.
    pub async fn drop_old(&mut self, keep: Keep) -> Result<Dropped, DatabaseError> {
        let mut dropped = Dropped::default();
        for (table, time) in [
            ("report", keep.reports),
            ("event", keep.events),
            ("trip", keep.trips),
            ("quarantine", keep.quarantine),
        ] {
            let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
            let transaction = self.client.transaction().await?;
            if table == "report" {
                // First: from now on older reports go to the plain table, so that no chunk is
                // made again. Rounded down to a whole chunk, since only whole ones go.
                transaction
                    .execute(
                        "UPDATE retention SET kept_since = greatest(kept_since,
                             time_bucket(INTERVAL '1 day', now() - make_interval(secs => $1)))",
                        &[&f64_of(seconds)],
                    )
                    .await?;
            }
            let chunks = transaction
                .query_one(
                    &format!(
                        "SELECT count(*) FROM drop_chunks('{table}',
                             older_than => now() - make_interval(secs => $1))"
                    ),
                    &[&f64_of(seconds)],
                )
                .await?;
            transaction.commit().await?;
            dropped.chunks += chunks.try_get::<_, i64>(0)?.unsigned_abs();
        }
        let seconds = i64::try_from(keep.reports.as_secs()).unwrap_or(i64::MAX);
        loop {
            let deleted = self
                .client
                .execute(
                    "DELETE FROM report_odd WHERE ctid = ANY(ARRAY(
                         SELECT ctid FROM report_odd
                         WHERE received_at < now() - make_interval(secs => $1) LIMIT $2))",
                    &[&f64_of(seconds), &PART],
                )
                .await?;
            dropped.odd_rows += deleted;
            if deleted < PART.unsigned_abs() {
                return Ok(dropped);
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a retention time")]
const fn f64_of(seconds: i64) -> f64 {
    seconds as f64
}
