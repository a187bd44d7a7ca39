//! Nothing vanishes: what was received against what is on record.

use std::collections::BTreeMap;

use serde::Serialize;

use super::StoreError;
use super::read::{Reader, uint};
use super::write::bucket;

/// The conservation sums of all epochs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Audit {
    /// Each run of the process.
    pub epochs: Vec<EpochAudit>,
    /// Whether every epoch is.
    pub ok: bool,
}

/// One run of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EpochAudit {
    /// Its number.
    pub epoch: u64,
    /// Whether it came to a clean end; if not, it was killed or it runs.
    pub clean: bool,
    /// Frames that were taken over, as far as a commit has noted it.
    pub received: u64,
    /// Frames with at least one row, counted from the rows (or from those that were forgotten,
    /// as they went).
    pub stored: u64,
    /// Frames that said nothing new, counted from their records in the same way.
    pub duplicate: u64,
    /// Frames that hold nothing to store, by reason, likewise.
    pub filtered: BTreeMap<String, u64>,
    /// Frames in quarantine, likewise; it may have forgotten them.
    pub quarantined: u64,
    /// Frames without an outcome, and not acknowledged: in memory when the process was killed (or
    /// in memory now), or given up at an end in which the store took nothing.
    pub abandoned: u64,
    /// Whether a clean epoch adds up exactly, no epoch has more outcomes than frames, and the
    /// records are as many as the counters say.
    pub ok: bool,
}

impl Reader {
    /// Counts every epoch's records, and compares them with its counters. Reads all rows, and
    /// holds one at a time. While the server runs, its log of writes grows until this is done.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn audit(&self) -> Result<Audit, StoreError> {
        // One transaction, so that all sums are of one moment.
        let tx = self.db().unchecked_transaction()?;
        let mut epochs = BTreeMap::new();
        let mut counters = BTreeMap::new();
        let mut find = tx.prepare(
            "SELECT id, ended_at IS NOT NULL, received, stored, duplicate, filtered, quarantined
             FROM epoch",
        )?;
        let mut rows = find.query([])?;
        while let Some(row) = rows.next()? {
            let epoch = uint(row.get(0)?);
            let counted: [i64; 4] = [row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?];
            counters.insert(epoch, counted.map(uint));
            let audit = EpochAudit {
                epoch,
                clean: row.get(1)?,
                received: uint(row.get(2)?),
                ..EpochAudit::default()
            };
            epochs.insert(epoch, audit);
        }
        drop(rows);
        // Row by row: grouping would first sort them all, in a temporary file.
        let mut find =
            tx.prepare("SELECT epoch, coalesce(frames, 1) FROM report WHERE part = 0")?;
        let mut rows = find.query([])?;
        while let Some(row) = rows.next()? {
            entry(&mut epochs, uint(row.get(0)?)).stored += uint(row.get(1)?);
        }
        drop(rows);
        for records in [
            "SELECT epoch, bucket, reason, frames FROM folded",
            // Not many: the newest.
            "SELECT epoch, bucket, coalesce(reason, ''), sum(coalesce(frames, 1)) FROM outcome
             GROUP BY 1, 2, 3",
        ] {
            let mut find = tx.prepare(records)?;
            let mut rows = find.query([])?;
            while let Some(row) = rows.next()? {
                let audit = entry(&mut epochs, uint(row.get(0)?));
                audit.add(row.get(1)?, row.get(2)?, uint(row.get(3)?))?;
            }
        }
        let mut audit = Audit {
            epochs: Vec::new(),
            ok: true,
        };
        if let Some(note) = self.store().note()
            && let Some(sums) = epochs.get_mut(&uint(note.epoch)).filter(|sums| !sums.clean)
        {
            sums.received = sums.received.max(uint(note.received));
        }
        for (epoch, mut sums) in epochs {
            sums.judge(counters.get(&epoch));
            audit.ok &= sums.ok;
            audit.epochs.push(sums);
        }
        Ok(audit)
    }
}

fn entry(epochs: &mut BTreeMap<u64, EpochAudit>, epoch: u64) -> &mut EpochAudit {
    epochs.entry(epoch).or_insert_with(|| EpochAudit {
        epoch,
        ..EpochAudit::default()
    })
}

impl EpochAudit {
    fn add(&mut self, bucket: i64, reason: String, frames: u64) -> Result<(), StoreError> {
        match bucket {
            bucket::STORED => self.stored += frames,
            bucket::DUPLICATE => self.duplicate += frames,
            bucket::FILTERED => *self.filtered.entry(reason).or_default() += frames,
            bucket::QUARANTINED => self.quarantined += frames,
            other => {
                return Err(StoreError::Row {
                    row: format!("outcome of epoch {}", self.epoch),
                    source: format!("unknown bucket {other}").into(),
                });
            }
        }
        Ok(())
    }

    fn judge(&mut self, counters: Option<&[u64; 4]>) {
        let filtered: u64 = self.filtered.values().sum();
        let records = [self.stored, self.duplicate, filtered, self.quarantined];
        let settled: u64 = records.iter().sum();
        let adds_up = if self.clean {
            settled == self.received
        } else {
            settled <= self.received
        };
        self.abandoned = self.received.saturating_sub(settled);
        self.ok = adds_up && counters == Some(&records);
    }
}
