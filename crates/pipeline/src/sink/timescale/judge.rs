//! The judge of one partition: a batch, its audit and the partition's mark in one transaction.
//!
//! States of devices are not written with each batch: upserting them costs several times as much as
//! the rows. They are kept here while they are newer than the stored ones, and are written every
//! [`JudgeOptions::snapshot_every`] together with the offset up to which they hold. After a restart
//! the log is read again from that offset, and what is stored already only changes states.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use milepost_telemetry::{Content, DeviceKey, Name, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::{
    BatchRows, Claim, Claimed, Database, DatabaseError, DatabaseUrl, Fate, FrameRow, LaneRow,
    Newness, QuarantineRow, ReportRow, Route, Schema, Stored, Verdict, is_odd,
};
use crate::sink::{
    Batch, FrameResult, Judge, LaneStore, Loaded, Mark, Position, Slot, Source, Written,
};
use crate::{Latest, SinkError};

/// How a partition is written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JudgeOptions {
    /// How often states of devices are stored.
    pub snapshot_every: Duration,
    /// Devices whose state may be newer than the stored one; at so many it is stored at once.
    pub changed_lanes: usize,
    /// How long a transaction may take; then the same batch is written with a new connection.
    pub timeout: Duration,
}

impl Default for JudgeOptions {
    fn default() -> Self {
        Self {
            snapshot_every: Duration::from_secs(30),
            changed_lanes: 50_000,
            timeout: Duration::from_secs(20),
        }
    }
}

/// Devices of which is remembered which reports are surely new.
const NEWNESS: usize = 500_000;

/// What is known of the envelopes that are on their way to the judge and is not in them: the
/// gateway, and the place in its log. Whoever submits an envelope notes this first.
#[derive(Debug, Clone, Default)]
pub struct Transport(Arc<Mutex<VecDeque<Passed>>>);

/// One envelope's transport.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Passed {
    /// Its offset in the partition.
    pub offset: i64,
    /// The gateway's name.
    pub gateway: Arc<str>,
    /// The gateway's log, and the place in it; `None` from a gateway without one.
    pub position: Option<(u128, u64)>,
}

impl Passed {
    /// The transport of the envelope at an offset.
    pub const fn new(offset: i64, gateway: Arc<str>, position: Option<(u128, u64)>) -> Self {
        Self {
            offset,
            gateway,
            position,
        }
    }
}

impl Transport {
    /// Notes an envelope, in the order of the offsets.
    pub fn note(&self, passed: Passed) {
        self.lock().push_back(passed);
    }

    /// Those from an offset up to, and not including, another one.
    fn between(&self, from: Option<i64>, to: i64) -> Vec<Passed> {
        let passed = self.lock();
        let first = passed.partition_point(|one| from.is_some_and(|from| one.offset < from));
        let rest = passed.iter().skip(first);
        rest.take_while(|one| one.offset < to).cloned().collect()
    }

    fn forget(&self, to: i64) {
        let mut passed = self.lock();
        let gone = passed.partition_point(|one| one.offset < to);
        passed.drain(..gone);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Passed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The states of a partition's devices that are newer than the stored ones. Shared with followers.
#[derive(Debug, Clone, Default)]
pub struct ChangedLanes(Arc<Mutex<Changed>>);

#[derive(Debug, Default)]
struct Changed {
    lanes: HashMap<DeviceKey, Lane>,
    /// Up to this offset batches are stored.
    committed: i64,
    /// The stored states are those before this offset.
    snapshot: i64,
}

#[derive(Debug, Clone)]
struct Lane {
    latest: Latest,
    /// `None`: as it is stored.
    states: Option<Vec<u8>>,
    /// The offset after the batch that changed it last.
    changed: i64,
}

impl ChangedLanes {
    fn lock(&self) -> MutexGuard<'_, Changed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Up to which offset batches are stored.
    pub fn committed(&self) -> i64 {
        self.lock().committed
    }

    /// What changed after an offset, and whether that is all: if not, the rest is in the database.
    pub fn since(&self, offset: i64) -> (Vec<(DeviceKey, Latest)>, bool) {
        let changed = self.lock();
        let lanes = changed.lanes.iter();
        let new = lanes.filter(|(_, lane)| lane.changed > offset);
        let new = new.map(|(key, lane)| (*key, lane.latest.clone())).collect();
        (new, offset >= changed.snapshot)
    }
}

/// Writes one partition's batches. Its calls block and are made outside of the runtime.
pub struct TimescaleJudge {
    runtime: Handle,
    url: DatabaseUrl,
    schema: Schema,
    options: JudgeOptions,
    claim: Claim,
    transport: Transport,
    lanes: ChangedLanes,
    events: Arc<Notify>,
    newness: HashMap<DeviceKey, Newness>,
    /// Batches that end at or before this offset were stored by an earlier run.
    stored: Option<i64>,
    /// States are those before this offset.
    restored: Option<i64>,
    committed: Option<i64>,
    database: Option<Database>,
    under_way: Option<UnderWay>,
    kept_since: Option<Timestamp>,
    snapshot_at: Instant,
}

/// The connection, unless it broke, and what became of a batch.
type WrittenBatch = (Option<Database>, Result<Stored, DatabaseError>);

/// A batch in the form in which it is written.
#[derive(Debug)]
pub struct PreparedRows {
    batch: Arc<Batch>,
    from: Option<i64>,
    to: i64,
    /// `None` while states are restored.
    rows: Option<Box<BatchRows>>,
}

struct UnderWay {
    batch: Arc<Batch>,
    from: Option<i64>,
    to: i64,
    writing: Option<JoinHandle<WrittenBatch>>,
}

impl fmt::Debug for TimescaleJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimescaleJudge")
            .field("claim", &self.claim)
            .field("committed", &self.committed)
            .finish_non_exhaustive()
    }
}

impl TimescaleJudge {
    /// Takes a partition over: whoever held it can no longer write. Call it on the runtime that the
    /// connections are to live on.
    ///
    /// Submit the log's envelopes from [`Claimed::snapshot_offset`] on. Wait for the verdict of all
    /// before [`Claimed::offset`] (they restore states and are not written), then submit the rest.
    ///
    /// # Errors
    /// When the database cannot be reached or has tables of another version.
    pub async fn claim(
        url: &DatabaseUrl,
        schema: &Schema,
        topic: Name,
        partition: i32,
        transport: Transport,
        options: JudgeOptions,
    ) -> Result<(Self, Claimed), DatabaseError> {
        let mut database = Database::connect(url, schema).await?;
        let claimed = database.claim(topic, partition).await?;
        let kept_since = database.kept_since().await?;
        let lanes = ChangedLanes::default();
        {
            let mut lanes = lanes.lock();
            lanes.committed = claimed.offset.unwrap_or(0);
            lanes.snapshot = claimed.snapshot_offset.unwrap_or(0);
        }
        let judge = Self {
            runtime: Handle::current(),
            url: url.clone(),
            schema: schema.clone(),
            options,
            claim: claimed.claim,
            transport,
            lanes,
            events: Arc::default(),
            newness: HashMap::new(),
            stored: claimed.offset,
            restored: claimed.snapshot_offset,
            committed: claimed.offset,
            database: Some(database),
            under_way: None,
            kept_since,
            snapshot_at: Instant::now(),
        };
        Ok((judge, claimed))
    }

    /// The states that followers read.
    pub fn lanes(&self) -> ChangedLanes {
        self.lanes.clone()
    }

    /// Notified after each batch that has events.
    pub fn events(&self) -> Arc<Notify> {
        Arc::clone(&self.events)
    }

    /// Runs calls on the connection, which is made if there is none. A connection that fails, or
    /// does not answer in time, is given up.
    fn with_database<T>(
        &mut self,
        call: impl AsyncFnOnce(&mut Database) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let (url, schema, limit) = (&self.url, &self.schema, self.options.timeout);
        let kept = self.database.take();
        let (database, result) = self.runtime.block_on(async {
            let called = tokio::time::timeout(limit, async {
                let mut database = match kept {
                    Some(database) => database,
                    None => match Database::connect(url, schema).await {
                        Ok(database) => database,
                        Err(error) => return (None, Err(error)),
                    },
                };
                let result = call(&mut database).await;
                (Some(database), result)
            });
            called
                .await
                .unwrap_or((None, Err(DatabaseError::Timeout(limit))))
        });
        self.database = match &result {
            Err(error) if error.needs_reconnect() => None,
            _ => database,
        };
        result
    }

    /// Stores the states that changed, if it is time.
    fn snapshot(&mut self, now: bool) -> Result<(), DatabaseError> {
        let Some(offset) = self.committed else {
            return Ok(());
        };
        let rows = {
            let lanes = self.lanes.lock();
            let is_due = now
                || lanes.lanes.len() >= self.options.changed_lanes
                || self.snapshot_at.elapsed() >= self.options.snapshot_every;
            // While states are restored they are older than the mark.
            let is_restored = self.restored >= self.stored || Some(offset) > self.stored;
            if !is_due || offset == lanes.snapshot || !is_restored {
                return Ok(());
            }
            let rows: Result<Vec<LaneRow>, serde_json::Error> = lanes
                .lanes
                .iter()
                .map(|(key, lane)| {
                    let latest = serde_json::to_string(&lane.latest)?;
                    let states = lane.states.clone().unwrap_or_default();
                    let newness = self.newness.get(key).map(|newness| newness.to_bytes());
                    Ok(LaneRow::new(
                        *key,
                        latest,
                        states,
                        newness.unwrap_or_default(),
                    ))
                })
                .collect();
            rows.map_err(|error| DatabaseError::Row(error.to_string()))?
        };
        let claim = self.claim;
        self.kept_since = self.with_database(async |database| {
            database.snapshot(claim, offset, &rows).await?;
            // What is too old by now is not to make a chunk again.
            database.kept_since().await
        })?;
        let mut lanes = self.lanes.lock();
        lanes.snapshot = offset;
        lanes.lanes.clear();
        drop(lanes);
        if self.newness.len() > NEWNESS {
            // At the price of comparing more: a report that is taken for new is found out.
            self.newness.clear();
        }
        self.snapshot_at = Instant::now();
        Ok(())
    }

    /// A snapshot that fails is taken later: the batch is stored all the same.
    fn snapshot_if_due(&mut self) {
        if let Err(error) = self.snapshot(false) {
            tracing::warn!(%error, "states of devices could not be stored; trying again later");
            self.snapshot_at = Instant::now();
        }
    }

    fn rows(&mut self, batch: &Batch, from: Option<i64>, to: i64) -> Result<BatchRows, SinkError> {
        let passed = self.transport.between(from, to);
        if passed.len() != batch.frames.len() {
            // What comes before was given up. Moving the mark over it would lose it.
            return Err(SinkError::fatal(format!(
                "{}/{}: {} envelopes before offset {to}, and {} of them in the batch",
                self.claim.topic,
                self.claim.partition,
                passed.len(),
                batch.frames.len()
            )));
        }
        let mut rows = BatchRows::new(self.claim, from, to);
        for correction in &batch.corrections {
            rows.correction(correction.clone());
        }
        for (device, leg) in &batch.legs {
            if let Some(device) = batch.devices.get(*device) {
                rows.trip(device.key, *leg, 0);
            }
        }
        let mut reports = batch.reports.iter();
        for (frame, passed) in batch.frames.iter().zip(&passed) {
            let envelope = &frame.envelope;
            if let Some((log, position)) = passed.position {
                rows.position(log, position);
            }
            let fate = match frame.result {
                FrameResult::Reports { .. } => Fate::Reports,
                FrameResult::Duplicate => Fate::Duplicate,
                FrameResult::Filtered(reason) => Fate::Filtered(reason),
                FrameResult::Quarantined => Fate::Quarantined,
            };
            let count = envelope.frames.count();
            let number = rows.frame(FrameRow::new(
                Arc::clone(&passed.gateway),
                envelope.origin,
                count,
                fate,
            ));
            let profile = match (&envelope.profile, frame.result) {
                (Some(profile), FrameResult::Reports { .. } | FrameResult::Quarantined) => {
                    Some(rows.profile(profile))
                }
                _ => None,
            };
            match (frame.result, &envelope.content) {
                (FrameResult::Reports { own, derived }, _) => {
                    for (part, report) in reports.by_ref().take(own + derived).enumerate() {
                        let key_time = report.id.key_time();
                        let odd = is_odd(key_time, report.received_at, self.kept_since);
                        let is_new = match &envelope.device {
                            Some(key) => {
                                let newness = self.newness.entry(*key).or_default();
                                newness.note(key_time, odd)
                            }
                            None => false,
                        };
                        let route = match (odd, is_new) {
                            (true, _) => Route::Odd,
                            (false, true) => Route::Straight,
                            (false, false) => Route::Compared,
                        };
                        let row = ReportRow {
                            report,
                            gateway: &passed.gateway,
                            origin: envelope.origin,
                            part: u16::try_from(part).unwrap_or(u16::MAX),
                            revision: 0,
                            profile,
                            raw: (part == 0).then_some(&envelope.raw[..]),
                        };
                        rows.report(number, &row, route)?;
                    }
                }
                (FrameResult::Quarantined, Content::Quarantined(why)) => {
                    rows.quarantine(&QuarantineRow {
                        received_at: envelope.received_at,
                        gateway: &passed.gateway,
                        origin: envelope.origin,
                        frames: count,
                        peer: envelope.peer,
                        protocol: envelope.protocol,
                        device: envelope.device,
                        profile,
                        why,
                        raw: &envelope.raw,
                    });
                }
                _ => {}
            }
        }
        Ok(rows)
    }

    /// The batch is stored: its states are the ones that count.
    fn keep(&mut self, batch: &Batch, to: i64) {
        let mut lanes = self.lanes.lock();
        for device in batch.devices.iter().filter(|device| device.known) {
            let lane = lanes.lanes.entry(device.key).or_insert_with(|| Lane {
                latest: Latest::default(),
                states: None,
                changed: to,
            });
            lane.latest.clone_from(&device.latest);
            if device.states.is_some() {
                lane.states.clone_from(&device.states);
            }
            lane.changed = to;
        }
        lanes.committed = lanes.committed.max(to);
    }
}

/// Writes a batch; if the connection breaks, once more with a new one. That it was stored the first
/// time shows in the mark.
async fn write(
    mut database: Option<Database>,
    rows: Box<BatchRows>,
    url: DatabaseUrl,
    schema: Schema,
    limit: Duration,
) -> (Option<Database>, Result<Stored, DatabaseError>) {
    let mut again = true;
    loop {
        let attempt = async {
            let mut connected = match database.take() {
                Some(connected) => connected,
                None => match Database::connect(&url, &schema).await {
                    Ok(connected) => connected,
                    Err(error) => return (None, Err(error)),
                },
            };
            let written = connected.write(&rows).await;
            (Some(connected), written)
        };
        let (connected, written) = tokio::time::timeout(limit, attempt)
            .await
            .unwrap_or((None, Err(DatabaseError::Timeout(limit))));
        match written {
            Err(error) if error.needs_reconnect() => {
                if !again {
                    return (None, Err(error));
                }
                tracing::warn!(%error, "writing the batch again with a new connection");
                again = false;
            }
            written => return (connected, written),
        }
    }
}

fn refused(error: DatabaseError) -> SinkError {
    if error.is_superseded() {
        SinkError::fatal(error)
    } else {
        error.into()
    }
}

impl LaneStore for TimescaleJudge {
    fn load(&mut self, devices: &[DeviceKey]) -> Result<Vec<Loaded>, SinkError> {
        let stored = self.with_database(async |database| database.load_lanes(devices).await);
        let stored = stored.map_err(refused)?;
        let lanes = self.lanes.clone();
        let lanes = lanes.lock();
        Ok(devices
            .iter()
            .zip(stored)
            .map(|(key, row)| {
                let mut loaded = Loaded::new(Slot(0));
                if let Some(row) = row {
                    loaded.known = true;
                    loaded.latest = serde_json::from_str(&row.latest).unwrap_or_else(|error| {
                        tracing::warn!(%error, device = %key.device, "a last known state cannot be read");
                        Latest::default()
                    });
                    loaded.states = row.state;
                    // What was noted in this run covers more than what is stored.
                    self.newness.entry(*key).or_insert_with(|| {
                        Newness::from_bytes(&row.newness).unwrap_or(Newness::NOTHING)
                    });
                }
                if let Some(lane) = lanes.lanes.get(key) {
                    loaded.known = true;
                    loaded.latest = lane.latest.clone();
                    if let Some(states) = &lane.states {
                        loaded.states.clone_from(states);
                    }
                }
                loaded
            })
            .collect())
    }
}

impl Judge for TimescaleJudge {
    type Prepared = PreparedRows;

    fn source(&self) -> Source {
        Source::Partition {
            topic: self.claim.topic,
            partition: self.claim.partition,
            generation: self.claim.generation,
        }
    }

    fn prepare(&mut self, batch: &Arc<Batch>) -> Result<PreparedRows, SinkError> {
        let Mark::Offset {
            offset: Some(to), ..
        } = batch.mark
        else {
            return Err(SinkError::fatal("a batch without an offset"));
        };
        let under_way = self.under_way.as_ref().map(|before| before.to);
        let from = under_way.or(self.committed);
        let is_stored = self.stored.is_some_and(|stored| to <= stored);
        let rows = if is_stored {
            for frame in &batch.frames {
                let (Some(key), Content::Reports(reports)) =
                    (frame.envelope.device, &frame.envelope.content)
                else {
                    continue;
                };
                let newness = self.newness.entry(key).or_default();
                for report in reports {
                    let key_time = report.id.key_time();
                    let odd = is_odd(key_time, report.received_at, self.kept_since);
                    newness.note(key_time, odd);
                }
            }
            None
        } else {
            Some(Box::new(self.rows(batch, from, to)?))
        };
        Ok(PreparedRows {
            batch: Arc::clone(batch),
            from,
            to,
            rows,
        })
    }

    fn begin(&mut self, prepared: PreparedRows) -> Result<(), SinkError> {
        let writing = prepared.rows.map(|rows| {
            self.runtime.spawn(write(
                self.database.take(),
                rows,
                self.url.clone(),
                self.schema.clone(),
                self.options.timeout,
            ))
        });
        self.under_way = Some(UnderWay {
            batch: prepared.batch,
            from: prepared.from,
            to: prepared.to,
            writing,
        });
        Ok(())
    }

    fn complete(&mut self) -> Result<Written, SinkError> {
        let Some(under_way) = self.under_way.take() else {
            return Err(SinkError::fatal("no batch is under way"));
        };
        let UnderWay {
            batch,
            from,
            to,
            writing,
        } = under_way;
        let row = |offset: Option<i64>| Position {
            row: offset.map_or(0, i64::unsigned_abs),
            ..Position::START
        };
        let mut written = Written::default();
        let Some(writing) = writing else {
            // Restored: stored and followed by an earlier run.
            written.before = row(self.stored);
            written.after = row(self.stored);
            self.restored = Some(to);
            self.keep(&batch, to);
            self.transport.forget(to);
            return Ok(written);
        };
        let (database, stored) = self
            .runtime
            .block_on(writing)
            .map_err(|error| SinkError::transient(error.to_string()))?;
        self.database = database;
        let stored = stored.map_err(refused)?;
        for (place, verdict) in stored.reports.iter().enumerate() {
            if *verdict == Verdict::New {
                written.new.insert(place);
            }
        }
        for place in &stored.corrected {
            written.corrected.insert(*place);
        }
        written.before = row(from);
        written.after = row(Some(to));
        written.stored = stored.stored;
        written.duplicate = stored.duplicate;
        written.filtered = stored.filtered;
        written.quarantined = stored.quarantined;
        if stored.events > 0 || stored.was_stored {
            self.events.notify_one();
        }
        if stored.was_stored {
            metrics::counter!("milepost_batches_found_stored_total").increment(1);
        }
        if stored.restaged {
            metrics::counter!("milepost_batches_restaged_total").increment(1);
        }
        self.committed = Some(to);
        self.keep(&batch, to);
        self.transport.forget(to);
        self.snapshot_if_due();
        Ok(written)
    }

    fn check(&mut self) -> Result<(), SinkError> {
        self.with_database(async |database| database.check().await)
            .map_err(refused)?;
        self.snapshot_if_due();
        Ok(())
    }

    fn finish(&mut self, _: &Mark, _: bool) -> Result<(), SinkError> {
        self.snapshot(true).map_err(refused)
    }
}
