//! The sink: a batch in one transaction.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use milepost_telemetry::{DeviceKey, Profile};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::broadcast;

use super::commands::{self, CommandState};
use super::encode::{DeviceRow, FrameRow, Rows, int};
use super::{Store, StoreError, StoreOptions, now};
use crate::SinkError;
use crate::latest::Latest;
use crate::sink::{Batch, Content, Loaded, Sink, Slot, Written};

/// Where a frame ended.
pub(super) mod bucket {
    /// Only among what is folded: else the row of `report` says so.
    pub(in super::super) const STORED: i64 = 0;
    pub(in super::super) const DUPLICATE: i64 = 1;
    pub(in super::super) const FILTERED: i64 = 2;
    pub(in super::super) const QUARANTINED: i64 = 3;
}

/// A pipeline's way into the store.
#[derive(Debug)]
pub struct SqliteSink {
    store: Store,
    epoch: i64,
    reader: Connection,
    under_way: Option<mpsc::Receiver<Result<Written, rusqlite::Error>>>,
}

impl SqliteSink {
    pub(super) fn new(store: Store, epoch: u64) -> Result<Self, StoreError> {
        Ok(Self {
            reader: store.connect_reader()?,
            epoch: int(epoch),
            under_way: None,
            store,
        })
    }
}

impl Sink for SqliteSink {
    type Prepared = Rows;

    fn load(&mut self, device: &DeviceKey) -> Result<Loaded, SinkError> {
        let mut find = self.reader.prepare_cached(
            "SELECT id, latest, state FROM device WHERE tenant = ?1 AND device = ?2",
        )?;
        let found = find
            .query_row([device.tenant.as_str(), device.device.as_str()], |row| {
                Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?))
            })
            .optional()?;
        let Some((id, latest, states)) = found else {
            return Ok(Loaded::new(Slot(self.store.next_slot())));
        };
        // A state that this version cannot read is no reason to refuse data.
        let latest: Latest = serde_json::from_str(&latest).unwrap_or_else(|error| {
            tracing::warn!(%device, %error, "the last known state cannot be read; starting anew");
            Latest::default()
        });
        Ok(Loaded {
            slot: Slot(id),
            known: true,
            latest,
            states,
        })
    }

    fn prepare(&mut self, batch: Batch) -> Result<Rows, SinkError> {
        Rows::encode(batch)
    }

    fn begin(&mut self, rows: Rows) -> Result<(), SinkError> {
        let epoch = self.epoch;
        let keep = Keep::of(&self.store.inner.options);
        let profiles = Arc::clone(&self.store.inner.profiles);
        let commands = self.store.inner.commands.clone();
        let writer = self.store.writer().map_err(SinkError::transient)?;
        let under_way = writer
            .begin(move |db| {
                let mut job = Job {
                    epoch,
                    written: Written::default(),
                    answers: Vec::new(),
                };
                let profiles = Waiting::of(&profiles);
                job.write(db, &rows, keep, &profiles)?;
                profiles.written();
                job.announce(&commands);
                Ok(job.written)
            })
            .map_err(SinkError::transient)?;
        self.under_way = Some(under_way);
        Ok(())
    }

    fn complete(&mut self) -> Result<Written, SinkError> {
        let nothing = || SinkError::transient("nothing is being written");
        let under_way = self.under_way.take().ok_or_else(nothing)?;
        let written = under_way
            .recv()
            .map_err(|_| SinkError::transient(StoreError::Closed))?;
        Ok(written?)
    }

    fn check(&mut self) -> Result<(), SinkError> {
        let writer = self.store.writer().map_err(SinkError::transient)?;
        // Takes the lock and gives it back: nothing is written.
        let lock = |db: &mut Connection| {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            tx.rollback()
        };
        Ok(writer.call(lock).map_err(SinkError::transient)??)
    }

    fn finish(&mut self, received: u64, settled: bool) -> Result<(), SinkError> {
        let epoch = self.epoch;
        let profiles = Arc::clone(&self.store.inner.profiles);
        let writer = self.store.writer().map_err(SinkError::transient)?;
        let done = writer.call(move |db| {
            profiles_alone(db, &profiles);
            db.execute(
                "UPDATE epoch SET received = max(received, ?2),
                        ended_at = CASE WHEN ?3 THEN ?4 ELSE ended_at END WHERE id = ?1",
                params![epoch, int(received), settled, now().as_millis()],
            )
        });
        if !matches!(done, Ok(Ok(_))) {
            self.store.note_received(epoch, int(received));
        }
        done.map_err(SinkError::transient)??;
        Ok(())
    }
}

/// How many records are kept of what is bounded.
#[derive(Clone, Copy)]
struct Keep {
    quarantine: i64,
    outcomes: i64,
}

impl Keep {
    fn of(options: &StoreOptions) -> Self {
        Self {
            quarantine: options.quarantine.into(),
            outcomes: options.outcomes.into(),
        }
    }
}

/// One batch on its way into the file.
struct Job {
    epoch: i64,
    written: Written,
    answers: Vec<(u32, CommandState)>,
}

impl Job {
    fn write(
        &mut self,
        db: &mut Connection,
        rows: &Rows,
        keep: Keep,
        profiles: &Waiting<'_>,
    ) -> Result<(), rusqlite::Error> {
        // Immediately: that the store is locked shows before any work is done.
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        write_devices(&tx, &rows.devices)?;
        self.write_frames(&tx, rows)?;
        profiles.write(&tx)?;
        if self.written.quarantined > 0 {
            tx.prepare_cached(
                "DELETE FROM quarantine WHERE seq <= (SELECT max(seq) FROM quarantine) - ?1",
            )?
            .execute([keep.quarantine])?;
        }
        if self.written.stored < rows.frames.len() as u64 {
            fold_outcomes(&tx, keep.outcomes)?;
        }
        tx.prepare_cached(
            "UPDATE epoch SET received = max(received, ?2), stored = stored + ?3,
                    duplicate = duplicate + ?4, filtered = filtered + ?5,
                    quarantined = quarantined + ?6 WHERE id = ?1",
        )?
        .execute(params![
            self.epoch,
            rows.received,
            int(self.written.stored),
            int(self.written.duplicate),
            int(self.written.filtered),
            int(self.written.quarantined),
        ])?;
        tx.commit()
    }

    fn write_frames(&mut self, tx: &Transaction<'_>, rows: &Rows) -> Result<(), rusqlite::Error> {
        let mut insert = tx.prepare_cached(
            "INSERT INTO report (id, device, time, epoch, connection, frame, part, late, raw, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO NOTHING",
        )?;
        for row in &rows.frames {
            let origin = row.frame.origin;
            let device = row.frame.device.and_then(|at| rows.devices.get(at));
            let mut part = 0_i64;
            for report in &row.reports {
                let raw = (part == 0).then_some(row.frame.raw.as_ref());
                let new = insert.execute(params![
                    &report.id[..],
                    device.map(|device| device.id),
                    report.time,
                    int(origin.epoch),
                    int(origin.connection),
                    int(origin.frame),
                    part,
                    report.late,
                    raw,
                    report.body,
                ])?;
                if new > 0 {
                    part += 1;
                }
                if let (Some(said), Some(device)) = (&report.answer, device) {
                    let settled = commands::answer(tx, device, said, row.frame.received_at)?;
                    self.answers.extend(settled);
                }
            }
            match &row.frame.content {
                Content::Reports(_) if part > 0 => self.written.stored += 1,
                Content::Reports(_) | Content::Duplicate => {
                    self.written.duplicate += 1;
                    self.outcome(tx, row, bucket::DUPLICATE, None)?;
                }
                Content::Filtered(reason) => {
                    self.written.filtered += 1;
                    self.outcome(tx, row, bucket::FILTERED, Some(reason))?;
                }
                Content::Quarantined(why) => {
                    self.written.quarantined += 1;
                    self.outcome(tx, row, bucket::QUARANTINED, None)?;
                    quarantine(tx, row, device, why)?;
                }
            }
        }
        Ok(())
    }

    fn outcome(
        &self,
        tx: &Transaction<'_>,
        row: &FrameRow,
        bucket: i64,
        reason: Option<&str>,
    ) -> Result<(), rusqlite::Error> {
        let origin = row.frame.origin;
        tx.prepare_cached(
            "INSERT INTO outcome (epoch, connection, frame, bucket, reason)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            int(origin.epoch),
            int(origin.connection),
            int(origin.frame),
            bucket,
            reason
        ])?;
        Ok(())
    }

    fn announce(&self, to: &broadcast::Sender<(u32, CommandState)>) {
        for (id, state) in &self.answers {
            commands::announce(to, *id, *state);
        }
    }
}

/// Counts the oldest records where there are too many, and removes them: in one transaction, so
/// that at any moment each frame is counted exactly once. An eighth at a time, so that few batches
/// have that work.
fn fold_outcomes(tx: &Transaction<'_>, keep: i64) -> Result<(), rusqlite::Error> {
    // Rows are added at one end and removed at the other, so these two say how many there are.
    let (first, last): (i64, i64) = tx
        .prepare_cached(
            "SELECT coalesce((SELECT min(rowid) FROM outcome), 1),
                    coalesce((SELECT max(rowid) FROM outcome), 0)",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if last - first < keep + keep / 8 {
        return Ok(());
    }
    let up_to = last - keep;
    tx.prepare_cached(
        "INSERT INTO folded (epoch, bucket, reason, frames)
         SELECT epoch, bucket, coalesce(reason, ''), count(*) FROM outcome WHERE rowid <= ?1
         GROUP BY 1, 2, 3
         ON CONFLICT DO UPDATE SET frames = frames + excluded.frames",
    )?
    .execute([up_to])?;
    tx.prepare_cached("DELETE FROM outcome WHERE rowid <= ?1")?
        .execute([up_to])?;
    Ok(())
}

fn write_devices(tx: &Transaction<'_>, devices: &[DeviceRow]) -> Result<(), rusqlite::Error> {
    let mut upsert = tx.prepare_cached(
        "INSERT INTO device (id, tenant, device, latest, state) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET latest = excluded.latest, state = excluded.state",
    )?;
    for row in devices.iter().filter(|row| row.known) {
        upsert.execute(params![
            row.id,
            row.tenant.as_str(),
            row.device.as_str(),
            row.latest,
            row.state,
        ])?;
    }
    Ok(())
}

fn quarantine(
    tx: &Transaction<'_>,
    row: &FrameRow,
    device: Option<&DeviceRow>,
    why: &milepost_telemetry::Quarantine,
) -> Result<(), rusqlite::Error> {
    let frame = &row.frame;
    tx.prepare_cached(
        "INSERT INTO quarantine (epoch, connection, frame, received_at, peer, protocol,
                                 tenant, device, raw, field, offset, error)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        int(frame.origin.epoch),
        int(frame.origin.connection),
        int(frame.origin.frame),
        frame.received_at.as_millis(),
        frame.peer.map(|peer| peer.to_string()),
        frame.protocol.as_str(),
        device.map(|device| device.tenant.as_str()),
        device.map(|device| device.device.as_str()),
        frame.raw.as_ref(),
        why.field.map(milepost_telemetry::Name::as_str),
        why.offset,
        why.message,
    ])?;
    Ok(())
}

/// Profiles that wait to be written: they go with whatever is written next.
struct Waiting<'a> {
    home: &'a Mutex<HashMap<DeviceKey, Profile>>,
    copy: Vec<(DeviceKey, Profile)>,
}

impl<'a> Waiting<'a> {
    fn of(home: &'a Mutex<HashMap<DeviceKey, Profile>>) -> Self {
        let waiting = home.lock().unwrap_or_else(PoisonError::into_inner);
        let copy = waiting.iter().map(|(k, v)| (*k, v.clone())).collect();
        Self { home, copy }
    }

    fn write(&self, tx: &Transaction<'_>) -> Result<(), rusqlite::Error> {
        for (key, profile) in &self.copy {
            tx.prepare_cached(
                "INSERT INTO profile (tenant, device, profile) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET profile = excluded.profile",
            )?
            .execute([key.tenant.as_str(), key.device.as_str(), profile.as_str()])?;
        }
        Ok(())
    }

    /// They are durable; those that have changed meanwhile wait on.
    fn written(self) {
        let mut waiting = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, profile) in &self.copy {
            if waiting.get(key) == Some(profile) {
                waiting.remove(key);
            }
        }
    }
}

/// Writes the waiting profiles when no batch took them along. Where that does not work, the next
/// batch takes them.
pub(super) fn profiles_alone(db: &mut Connection, profiles: &Mutex<HashMap<DeviceKey, Profile>>) {
    let waiting = Waiting::of(profiles);
    if waiting.copy.is_empty() {
        return;
    }
    let tried = db
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .and_then(|tx| {
            waiting.write(&tx)?;
            tx.commit()
        });
    match tried {
        Ok(()) => waiting.written(),
        Err(error) => tracing::warn!(%error, "profiles wait for the next batch"),
    }
}
