//! The judge: a batch in one transaction.

use std::sync::{Arc, mpsc};

use milepost_telemetry::{DeviceKey, Envelope, Report};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::commands::{self, CommandState};
use super::encode::{Rows, int};
use super::insert::{self, Insert, RowParts};
use super::known::Known;
use super::provenance::Provenance;
use super::quarantine;
use super::trips;
use super::waiting::Waiting;
use super::writer::Writing;
use super::{Store, StoreError, StoreOptions, now};
use crate::SinkError;
use crate::command::AnswerFrom;
use crate::condition::Condition;
use crate::latest::Latest;
use crate::sink::{
    Batch, FrameResult, Judge, LaneStore, Loaded, Mark, Position, Slot, Source, Written,
};

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
pub struct SqliteJudge {
    store: Store,
    epoch: u64,
    history: u64,
    reader: Connection,
    under_way: Option<mpsc::Receiver<Result<Done, WriteError>>>,
}

/// What a batch has changed.
#[derive(Debug)]
struct Done {
    written: Written,
    /// Commands that were answered. They are announced when the batch is known to be durable.
    answers: Vec<(u32, CommandState)>,
}

/// Why a batch was not written.
#[derive(Debug)]
enum WriteError {
    Database(rusqlite::Error),
    /// A newer run writes this store.
    Superseded(i64),
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl SqliteJudge {
    pub(super) fn new(store: Store, epoch: u64) -> Result<Self, StoreError> {
        let reader = store.connect_reader()?;
        let history: Option<Option<i64>> = reader
            .query_row(
                "SELECT history FROM epoch WHERE id = ?1",
                [int(epoch)],
                |row| row.get(0),
            )
            .optional()?;
        Ok(Self {
            reader,
            epoch,
            history: row_number(history.flatten().unwrap_or(0)),
            under_way: None,
            store,
        })
    }

    /// The writer takes no more work: for good, if the store has failed.
    fn closed(&self) -> SinkError {
        match self.store.condition().has_failed() {
            Some(reason) => SinkError::fatal(&*reason),
            None => SinkError::transient(StoreError::Closed),
        }
    }

    fn find(&self, device: &DeviceKey) -> Result<Loaded, SinkError> {
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
}

impl LaneStore for SqliteJudge {
    fn load(&mut self, devices: &[DeviceKey]) -> Result<Vec<Loaded>, SinkError> {
        // One transaction: the file is locked once, and not for each device.
        let all = self.reader.unchecked_transaction()?;
        let loaded = devices.iter().map(|device| self.find(device)).collect();
        all.finish()?;
        loaded
    }
}

impl Judge for SqliteJudge {
    type Prepared = Rows;

    fn source(&self) -> Source {
        Source::Epoch(self.epoch)
    }

    fn prepare(&mut self, batch: &Arc<Batch>) -> Result<Rows, SinkError> {
        Rows::encode(batch)
    }

    fn begin(&mut self, rows: Rows) -> Result<(), SinkError> {
        let (epoch, history) = (int(self.epoch), self.history);
        let shared = Arc::clone(&self.store.inner.shared);
        let writer = self.store.writer().map_err(SinkError::transient)?;
        let under_way = writer
            .begin(move |writing| {
                let mut written = Written::default();
                written.before.history = history;
                written.after.history = history;
                let mut job = Job {
                    epoch,
                    written,
                    answers: Vec::new(),
                    options: &shared.options,
                };
                let waiting = Waiting::of(&shared.waiting);
                match job.write(writing, &rows, &waiting) {
                    Ok(()) => {
                        waiting.written(&shared.waiting);
                        Ok(Done {
                            written: job.written,
                            answers: job.answers,
                        })
                    }
                    Err(error) => {
                        writing.known.forget();
                        if let WriteError::Superseded(newest) = error {
                            shared.options.condition.fail(&format!(
                                "run {newest} of another process writes this store: run {epoch} \
                                 has ended"
                            ));
                        }
                        Err(error)
                    }
                }
            })
            .map_err(|_| self.closed())?;
        self.under_way = Some(under_way);
        Ok(())
    }

    fn complete(&mut self) -> Result<Written, SinkError> {
        let nothing = || SinkError::transient("nothing is being written");
        let under_way = self.under_way.take().ok_or_else(nothing)?;
        match under_way.recv().map_err(|_| self.closed())? {
            Ok(Done { written, answers }) => {
                // Not in the writer's thread: there the files have not been looked after yet.
                for (id, state) in answers {
                    commands::announce(&self.store.inner.shared.commands, id, state);
                }
                Ok(written)
            }
            Err(WriteError::Database(error)) => Err(error.into()),
            Err(WriteError::Superseded(newest)) => Err(SinkError::fatal(format!(
                "run {newest} of another process writes this store"
            ))),
        }
    }

    fn check(&mut self) -> Result<(), SinkError> {
        let writer = self.store.writer().map_err(SinkError::transient)?;
        // Takes the lock and gives it back: nothing is written.
        let lock = |writing: &mut Writing| {
            let tx = writing
                .db
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            tx.rollback()
        };
        Ok(writer.call(lock).map_err(|_| self.closed())??)
    }

    fn finish(&mut self, mark: &Mark, settled: bool) -> Result<(), SinkError> {
        let Mark::Epoch { received, .. } = *mark else {
            return Err(SinkError::permanent("this store takes connections only"));
        };
        let (epoch, received) = (int(self.epoch), int(received));
        let shared = Arc::clone(&self.store.inner.shared);
        let writer = self.store.writer().map_err(SinkError::transient)?;
        let done = writer.call(move |writing| {
            Waiting::write_alone(&mut writing.db, &shared.waiting);
            writing.db.execute(
                "UPDATE epoch SET received = max(received, ?2),
                        ended_at = CASE WHEN ?3 THEN ?4 ELSE ended_at END WHERE id = ?1",
                params![epoch, received, settled, now().as_millis()],
            )
        });
        if !matches!(done, Ok(Ok(_))) {
            self.store.note_received(epoch, received);
        }
        done.map_err(|_| self.closed())??;
        Ok(())
    }

    fn condition(&self) -> Condition {
        self.store.condition().clone()
    }
}

/// One batch on its way into the file.
struct Job<'a> {
    epoch: i64,
    written: Written,
    answers: Vec<(u32, CommandState)>,
    options: &'a StoreOptions,
}

/// One envelope on its way into the file.
pub(super) struct FrameRow<'a> {
    pub(super) envelope: &'a Envelope,
    /// The device's number and key.
    pub(super) device: Option<(i64, &'a DeviceKey)>,
    /// How many frames it settles, if not one.
    pub(super) frames: Option<i64>,
    pub(super) profile: Option<i64>,
}

impl Job<'_> {
    fn write(
        &mut self,
        writing: &mut Writing,
        rows: &Rows,
        waiting: &Waiting,
    ) -> Result<(), WriteError> {
        let Writing { db, known } = writing;
        // Immediately: that the store is locked shows before any work is done.
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let newest: i64 = tx
            .prepare_cached("SELECT coalesce(max(id), 0) FROM epoch")?
            .query_row([], |row| row.get(0))?;
        if newest > self.epoch {
            return Err(WriteError::Superseded(newest));
        }
        write_devices(&tx, rows)?;
        self.write_frames(&tx, known, rows)?;
        self.write_corrections(&tx, rows)?;
        trips::write(&tx, &rows.batch, &self.written.new)?;
        waiting.write(&tx)?;
        if self.written.quarantined > 0 {
            quarantine::bound(&tx, known, self.options)?;
        }
        if self.written.duplicate + self.written.filtered + self.written.quarantined > 0 {
            fold_outcomes(&tx, self.options.outcomes.into())?;
        }
        let received = match rows.batch.mark {
            Mark::Epoch { received, .. } => received,
            Mark::Offset { .. } => 0,
        };
        tx.prepare_cached(
            "UPDATE epoch SET received = max(received, ?2), stored = stored + ?3,
                    duplicate = duplicate + ?4, filtered = filtered + ?5,
                    quarantined = quarantined + ?6 WHERE id = ?1",
        )?
        .execute(params![
            self.epoch,
            int(received),
            int(self.written.stored),
            int(self.written.duplicate),
            int(self.written.filtered),
            int(self.written.quarantined),
        ])?;
        tx.commit()?;
        Ok(())
    }

    fn write_frames(
        &mut self,
        tx: &Transaction<'_>,
        known: &mut Known,
        rows: &Rows,
    ) -> Result<(), rusqlite::Error> {
        let batch = &rows.batch;
        let provenance = rows
            .provenance
            .iter()
            .map(|shared| known.provenance(tx, shared))
            .collect::<Result<Vec<i64>, _>>()?;
        let mut profiles: Vec<Option<i64>> = vec![None; rows.profiles.len()];
        let first = known.next_seq(tx)?;
        let mut seq = first;
        self.written.before.row = row_number(seq - 1);
        let mut insert = Insert::new(tx);
        let mut next = 0;
        for (frame, profile) in batch.frames.iter().zip(&rows.profile_of) {
            let envelope = &*frame.envelope;
            let count = envelope.frames.count();
            let device = frame
                .device
                .and_then(|at| batch.devices.get(at))
                .map(|device| (device.slot.0, &device.key));
            let mut row = FrameRow {
                envelope,
                device,
                frames: Some(count).filter(|count| *count != 1).map(int),
                profile: None,
            };
            // Only frames that leave a row have their profile kept.
            let keeps = matches!(
                frame.result,
                FrameResult::Reports { .. } | FrameResult::Quarantined
            );
            if keeps && let Some(at) = *profile {
                row.profile = match profiles.get(at).copied().flatten() {
                    Some(id) => Some(id),
                    None => rows
                        .profiles
                        .get(at)
                        .map(|profile| {
                            let device = device.map(|(slot, _)| slot);
                            known.profile(tx, profile, device, envelope.received_at)
                        })
                        .transpose()?,
                };
                // One that stands in was chosen for this device alone.
                if let Some(slot) = profiles.get_mut(at) {
                    *slot = row.profile.filter(|id| *id > 0);
                }
            }
            match frame.result {
                FrameResult::Reports { own, derived } => {
                    let mut part = 0_i64;
                    for index in next..next + own + derived {
                        let (Some(report), Some(encoded)) =
                            (batch.reports.get(index), rows.reports.get(index))
                        else {
                            break;
                        };
                        let is_own = index < next + own;
                        let item = i64::try_from(encoded.item).unwrap_or(i64::MAX);
                        let derived_part = i64::try_from(next + own).unwrap_or(0)
                            - i64::try_from(index).unwrap_or(0)
                            - 1;
                        let parts = RowParts {
                            // The newest rows may have been removed before this batch; during it
                            // none are.
                            seq: (seq == first).then_some(seq),
                            device: device.map(|(slot, _)| slot),
                            epoch: int(envelope.origin.epoch),
                            connection: int(envelope.origin.connection),
                            frame: int(envelope.origin.frame),
                            frames: row.frames.filter(|_| is_own && part == 0),
                            part: if is_own { part } else { derived_part },
                            item: Some(item).filter(|item| is_own && *item != part),
                            raw: (is_own && part == 0).then_some(envelope.raw.as_ref()),
                            rest: &encoded.rest,
                            provenance: provenance
                                .get(encoded.provenance)
                                .copied()
                                .unwrap_or_default(),
                            same: rows
                                .provenance
                                .get(encoded.provenance)
                                .map_or(0, Provenance::same),
                            profile: row.profile,
                        };
                        if insert.row(report, &parts)? {
                            self.written.new.insert(index);
                            seq += 1;
                            part += i64::from(is_own);
                            // A repeat of an answer must not settle a later command.
                            self.answer(tx, &row, report)?;
                        }
                    }
                    next += own + derived;
                    if part > 0 {
                        self.written.stored += count;
                    } else {
                        self.written.duplicate += count;
                        Self::outcome(tx, &row, bucket::DUPLICATE, None)?;
                    }
                }
                FrameResult::Duplicate => {
                    self.written.duplicate += count;
                    Self::outcome(tx, &row, bucket::DUPLICATE, None)?;
                }
                FrameResult::Filtered(reason) => {
                    self.written.filtered += count;
                    Self::outcome(tx, &row, bucket::FILTERED, Some(reason.as_str()))?;
                }
                FrameResult::Quarantined => {
                    self.written.quarantined += count;
                    Self::outcome(tx, &row, bucket::QUARANTINED, None)?;
                    quarantine::add(tx, known, &row)?;
                }
            }
        }
        self.written.after.row = row_number(seq - 1);
        known.set_next_seq(seq);
        Ok(())
    }

    fn answer(
        &mut self,
        tx: &Transaction<'_>,
        row: &FrameRow<'_>,
        report: &Report,
    ) -> Result<(), rusqlite::Error> {
        // Most reports have no rare part, and none is made for this.
        if report.more.is_none() {
            return Ok(());
        }
        let (Some(answer), Some((_, device))) = (&report.more.answer, row.device) else {
            return Ok(());
        };
        let peer = row.envelope.peer;
        let from = AnswerFrom {
            epoch: row.envelope.origin.epoch,
            connection: row.envelope.origin.connection,
            network: peer.map(|peer| self.options.networks.network_of(peer.ip())),
            is_bound: peer.is_some_and(|peer| self.options.bound.contains(device, peer.ip())),
        };
        let at = row.envelope.received_at;
        let protocol = row.envelope.protocol.as_str();
        let settled = commands::answer(tx, device, protocol, answer, &from, peer, at)?;
        self.answers.extend(settled);
        Ok(())
    }

    fn write_corrections(
        &mut self,
        tx: &Transaction<'_>,
        rows: &Rows,
    ) -> Result<(), rusqlite::Error> {
        let last: i64 = tx
            .prepare_cached(
                "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'correction'), 0)",
            )?
            .query_row([], |row| row.get(0))?;
        self.written.before.correction = row_number(last);
        let mut after = last;
        for (index, correction) in rows.batch.corrections.iter().enumerate() {
            if !insert::correct(tx, correction)? {
                continue;
            }
            after = insert::keep_correction(tx, correction, now())?;
            self.written.corrected.insert(index);
        }
        self.written.after.correction = row_number(after);
        Ok(())
    }

    fn outcome(
        tx: &Transaction<'_>,
        row: &FrameRow<'_>,
        bucket: i64,
        reason: Option<&str>,
    ) -> Result<(), rusqlite::Error> {
        let origin = row.envelope.origin;
        tx.prepare_cached(
            "INSERT INTO outcome (epoch, connection, frame, bucket, reason, frames)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            int(origin.epoch),
            int(origin.connection),
            int(origin.frame),
            bucket,
            reason,
            row.frames,
        ])?;
        Ok(())
    }
}

pub(super) fn row_number(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or(0)
}

/// Where the rows end.
pub(super) fn end(db: &Connection) -> Result<Position, rusqlite::Error> {
    db.prepare_cached(
        "SELECT max(coalesce((SELECT max(seq) FROM report), 0),
                    coalesce((SELECT value FROM counter WHERE name = 'report'), 0)),
                coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'correction'), 0),
                coalesce((SELECT history FROM epoch ORDER BY id DESC LIMIT 1), 0)",
    )?
    .query_row([], |row| {
        Ok(Position {
            history: row_number(row.get(2)?),
            row: row_number(row.get(0)?),
            correction: row_number(row.get(1)?),
        })
    })
}

/// Counts the oldest records if there are too many, and removes them: in one transaction, so that
/// at any moment each frame is counted exactly once. An eighth at a time, so that few batches have
/// that work.
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
         SELECT epoch, bucket, coalesce(reason, ''), sum(coalesce(frames, 1)) FROM outcome
         WHERE rowid <= ?1 GROUP BY 1, 2, 3
         ON CONFLICT DO UPDATE SET frames = frames + excluded.frames",
    )?
    .execute([up_to])?;
    tx.prepare_cached("DELETE FROM outcome WHERE rowid <= ?1")?
        .execute([up_to])?;
    Ok(())
}

fn write_devices(tx: &Transaction<'_>, rows: &Rows) -> Result<(), rusqlite::Error> {
    // Two statements: most devices are known, and an upsert looks for their keys all the same.
    let mut update = tx.prepare_cached(
        "UPDATE device SET latest = ?2, state = coalesce(?3, state) WHERE id = ?1",
    )?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO device (id, tenant, device, latest, state)
         VALUES (?1, ?2, ?3, ?4, coalesce(?5, x''))",
    )?;
    let devices = rows.batch.devices.iter().zip(&rows.latest);
    for (device, latest) in devices.filter(|(device, _)| device.known) {
        if update.execute(params![device.slot.0, latest, device.states])? == 0 {
            insert.execute(params![
                device.slot.0,
                device.key.tenant.as_str(),
                device.key.device.as_str(),
                latest,
                device.states,
            ])?;
        }
    }
    Ok(())
}
