//! Where frames ended: what gateways say, against what was stored.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio_postgres::{IsolationLevel, Transaction};

use super::batch::Claim;
use super::publish::superseded;
use super::{Database, DatabaseError};

/// What a gateway has counted in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// The gateway's name.
    pub gateway: String,
    /// Its run.
    pub epoch: u64,
    /// Frames that it took over.
    pub received: u64,
    /// Of these, not acknowledged: they could not be kept.
    pub abandoned: u64,
    /// Of these, not sent on, by reason.
    pub filtered: BTreeMap<String, u64>,
    /// Whether the run has ended in an orderly way: these are all.
    pub ended: bool,
}

/// Where the frames of a run, of a gateway or of all ended:
/// received = stored + duplicate + filtered + quarantined + abandoned + in flight.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunAudit {
    /// The gateway's name; empty for all.
    pub gateway: String,
    /// The run; 0 for those that were folded, and for sums of several.
    pub epoch: u64,
    /// Whether it has ended in an orderly way; if not, it was killed or it runs.
    pub ended: bool,
    /// Frames that were taken over. While a run has not ended this is known up to ten seconds ago,
    /// and at least as many as have an outcome.
    pub received: u64,
    /// Frames with at least one row.
    pub stored: u64,
    /// Frames that said nothing new.
    pub duplicate: u64,
    /// Frames that hold nothing to store, by reason.
    pub filtered: BTreeMap<String, u64>,
    /// Frames that are kept with the reason why they could not be read.
    pub quarantined: u64,
    /// Frames that could not be kept; their devices were not told.
    pub abandoned: u64,
    /// Frames without an outcome: in the spool, in Kafka, in a worker; or, of a run that was killed,
    /// in memory then and not acknowledged.
    pub in_flight: u64,
    /// Whether there are no more outcomes than frames.
    pub ok: bool,
}

impl RunAudit {
    fn settled(&self) -> u64 {
        let filtered: u64 = self.filtered.values().sum();
        self.stored + self.duplicate + filtered + self.quarantined
    }

    fn close(&mut self) {
        let settled = self.settled();
        if !self.ended {
            self.received = self.received.max(settled);
        }
        self.ok = settled <= self.received;
        let rest = self.received.saturating_sub(settled);
        // What was given up after it had left may have been stored all the same.
        self.abandoned = self.abandoned.min(rest);
        self.in_flight = rest - self.abandoned;
    }

    fn add(&mut self, run: &Self) {
        self.received += run.received;
        self.stored += run.stored;
        self.duplicate += run.duplicate;
        self.quarantined += run.quarantined;
        self.abandoned += run.abandoned;
        self.in_flight += run.in_flight;
        self.ended &= run.ended;
        self.ok &= run.ok;
        for (reason, frames) in &run.filtered {
            *self.filtered.entry(reason.clone()).or_insert(0) += frames;
        }
    }

    fn none(gateway: &str) -> Self {
        Self {
            gateway: gateway.to_owned(),
            ended: true,
            ok: true,
            ..Self::default()
        }
    }
}

/// Where all frames of a fleet ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FleetAudit {
    /// Each run of each gateway.
    pub runs: Vec<RunAudit>,
    /// Each gateway.
    pub gateways: Vec<RunAudit>,
    /// All of them.
    pub all: RunAudit,
    /// Whether every run adds up.
    pub ok: bool,
}

impl Database {
    /// Stores what gateways have counted, and moves the mark of the topic's partition, in one
    /// transaction. Sums never fall.
    ///
    /// # Errors
    /// [`DatabaseError::Superseded`] when another one holds the partition, or the mark is not at
    /// `from`.
    pub async fn store_runs(
        &mut self,
        claim: Claim,
        from: Option<i64>,
        to: i64,
        runs: &[RunRow],
    ) -> Result<(), DatabaseError> {
        let transaction = self.client.transaction().await?;
        let moved = transaction
            .execute(
                "UPDATE mark SET log_offset = $4, changed_at = now()
                 WHERE topic = $1 AND partition = $2 AND generation = $3
                     AND log_offset IS NOT DISTINCT FROM $5",
                &[
                    &claim.topic.as_str(),
                    &claim.partition,
                    &claim.generation,
                    &to,
                    &from,
                ],
            )
            .await?;
        if moved == 0 {
            transaction.rollback().await?;
            return Err(superseded(claim, 0));
        }
        for run in runs {
            let filtered = serde_json::to_string(&run.filtered)
                .map_err(|error| DatabaseError::Row(error.to_string()))?;
            transaction
                .execute(
                    "INSERT INTO gateway_run
                         (gateway, epoch, received, abandoned, filtered, ended, changed_at)
                     VALUES ($1, $2, $3, $4, $5::text::jsonb, $6, now())
                     ON CONFLICT (gateway, epoch) DO UPDATE SET received = excluded.received,
                         abandoned = excluded.abandoned, filtered = excluded.filtered,
                         ended = excluded.ended, changed_at = excluded.changed_at
                     WHERE excluded.received >= gateway_run.received
                         AND (excluded.ended OR NOT gateway_run.ended)",
                    &[
                        &run.gateway.replace('\0', ""),
                        &int(run.epoch),
                        &int(run.received),
                        &int(run.abandoned),
                        &filtered,
                        &run.ended,
                    ],
                )
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Where all frames ended, as of one moment.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn audit(&mut self) -> Result<FleetAudit, DatabaseError> {
        let transaction = self
            .client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await?;
        let runs = runs(&transaction).await?;
        transaction.commit().await?;
        let mut audit = FleetAudit {
            all: RunAudit::none(""),
            ..FleetAudit::default()
        };
        for run in runs.into_values() {
            audit.all.add(&run);
            match audit.gateways.last_mut() {
                Some(gateway) if gateway.gateway == run.gateway => gateway.add(&run),
                _ => {
                    let mut gateway = RunAudit::none(&run.gateway);
                    gateway.add(&run);
                    audit.gateways.push(gateway);
                }
            }
            audit.runs.push(run);
        }
        audit.ok = audit.all.ok;
        Ok(audit)
    }

    /// Adds the counts of runs that have said nothing for so long to those of run 0 of their
    /// gateways. Their frames without an outcome will have none any more: they count as abandoned.
    pub(super) async fn fold_runs(&mut self, age: Duration) -> Result<u64, DatabaseError> {
        let transaction = self
            .client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .start()
            .await?;
        let old = transaction
            .query(
                "SELECT gateway, epoch FROM gateway_run
                 WHERE epoch <> 0 AND changed_at < now() - make_interval(secs => $1)",
                &[&age.as_secs_f64()],
            )
            .await?;
        if old.is_empty() {
            transaction.rollback().await?;
            return Ok(0);
        }
        let mut all = runs(&transaction).await?;
        let mut folded: BTreeMap<String, RunAudit> = BTreeMap::new();
        for row in &old {
            let (gateway, epoch): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
            if let Some(run) = all.remove(&(gateway.clone(), epoch.unsigned_abs())) {
                let none = RunAudit::none(&gateway);
                folded.entry(gateway.clone()).or_insert(none).add(&run);
            }
            for table in ["gateway_run", "audit"] {
                transaction
                    .execute(
                        &format!("DELETE FROM {table} WHERE gateway = $1 AND epoch = $2"),
                        &[&gateway, &epoch],
                    )
                    .await?;
            }
        }
        for (gateway, run) in folded {
            transaction
                .execute(
                    "INSERT INTO gateway_run
                         (gateway, epoch, received, abandoned, filtered, ended, changed_at)
                     VALUES ($1, 0, $2, $3, '{}', true, now())
                     ON CONFLICT (gateway, epoch) DO UPDATE SET
                         received = gateway_run.received + excluded.received,
                         abandoned = gateway_run.abandoned + excluded.abandoned,
                         changed_at = now()",
                    &[
                        &gateway,
                        &int(run.received),
                        &int(run.abandoned + run.in_flight),
                    ],
                )
                .await?;
            let buckets = [
                ("stored", "", run.stored),
                ("duplicate", "", run.duplicate),
                ("quarantined", "", run.quarantined),
            ];
            let filtered = run.filtered.iter();
            let filtered = filtered.map(|(reason, frames)| ("filtered", reason.as_str(), *frames));
            for (bucket, reason, frames) in buckets.into_iter().chain(filtered) {
                if frames == 0 {
                    continue;
                }
                transaction
                    .execute(
                        "INSERT INTO audit
                             (gateway, epoch, topic, partition, bucket, reason, frames)
                         VALUES ($1, 0, '', 0, $2, $3, $4)
                         ON CONFLICT (gateway, epoch, topic, partition, bucket, reason)
                         DO UPDATE SET frames = audit.frames + excluded.frames",
                        &[&gateway, &bucket, &reason, &int(frames)],
                    )
                    .await?;
            }
        }
        transaction.commit().await?;
        Ok(u64::try_from(old.len()).unwrap_or(u64::MAX))
    }
}

/// Every run with its outcomes.
async fn runs(
    transaction: &Transaction<'_>,
) -> Result<BTreeMap<(String, u64), RunAudit>, DatabaseError> {
    let mut runs: BTreeMap<(String, u64), RunAudit> = BTreeMap::new();
    for row in transaction
        .query(
            "SELECT gateway, epoch, received, abandoned, filtered::text, ended FROM gateway_run",
            &[],
        )
        .await?
    {
        let (gateway, epoch): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        let filtered: String = row.try_get(4)?;
        let run = RunAudit {
            epoch: epoch.unsigned_abs(),
            received: row.try_get::<_, i64>(2)?.unsigned_abs(),
            abandoned: row.try_get::<_, i64>(3)?.unsigned_abs(),
            filtered: serde_json::from_str(&filtered)
                .map_err(|error| DatabaseError::Row(error.to_string()))?,
            ended: row.try_get(5)?,
            ..RunAudit::none(&gateway)
        };
        runs.insert((gateway, epoch.unsigned_abs()), run);
    }
    for row in transaction
        .query(
            "SELECT gateway, epoch, bucket, reason, sum(frames)::bigint FROM audit
             GROUP BY 1, 2, 3, 4",
            &[],
        )
        .await?
    {
        let (gateway, epoch): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        let (bucket, reason): (&str, String) = (row.try_get(2)?, row.try_get(3)?);
        let frames = row.try_get::<_, i64>(4)?.unsigned_abs();
        let epoch = epoch.unsigned_abs();
        let run = runs
            .entry((gateway.clone(), epoch))
            // Killed before it has said anything, or it has just begun.
            .or_insert_with(|| RunAudit {
                epoch,
                ended: false,
                ..RunAudit::none(&gateway)
            });
        match bucket {
            "stored" => run.stored += frames,
            "duplicate" => run.duplicate += frames,
            "filtered" => *run.filtered.entry(reason).or_insert(0) += frames,
            _ => run.quarantined += frames,
        }
    }
    for run in runs.values_mut() {
        run.close();
    }
    Ok(runs)
}

/// PostgreSQL's integers are signed; no counter gets near the end.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(ended: bool, received: u64, stored: u64, abandoned: u64) -> RunAudit {
        let mut run = RunAudit {
            ended,
            received,
            stored,
            abandoned,
            ..RunAudit::none("gw")
        };
        run.filtered.insert("echo".into(), 2);
        run.close();
        run
    }

    #[test]
    fn what_has_no_outcome_is_in_flight() {
        let clean = run(true, 10, 8, 0);
        assert!(clean.ok && clean.in_flight == 0);
        let waits = run(true, 15, 8, 1);
        assert_eq!((waits.abandoned, waits.in_flight), (1, 4));
        // It was given up and stored all the same.
        let late = run(true, 10, 8, 3);
        assert_eq!((late.abandoned, late.in_flight, late.ok), (0, 0, true));
    }

    #[test]
    fn only_a_run_that_has_ended_can_have_too_many_outcomes() {
        assert!(!run(true, 9, 8, 0).ok);
        let running = run(false, 9, 8, 0);
        assert_eq!((running.received, running.ok), (10, true));
    }
}
