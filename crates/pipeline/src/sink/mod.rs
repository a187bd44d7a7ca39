//! Where batches go: one judge, and any number of followers.
//!
//! The **judge** decides what is new. In one transaction it writes the rows, the devices' states
//! and its mark (how far it has come), so that these never disagree. Devices are acknowledged
//! after that, and after nothing else.
//!
//! **Followers** get what was new after the judge has committed it: in order per device and at
//! least once. A follower keeps its own mark, with its data or written after it. At its start and
//! after an error it first gets, from what the judge has stored, all that lies between its mark
//! and the judge's. A slow follower delays neither the judge nor any acknowledgement.

#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(feature = "timescale")]
pub mod timescale;

use std::sync::Arc;

use milepost_telemetry::{DeviceKey, Envelope, Event, Name, Report, ReportId, Smoothed, Timestamp};

use crate::SinkError;
use crate::condition::Condition;
use crate::latest::Latest;
use crate::track::{Dirty, Leg};

/// Where devices' states are kept.
pub trait LaneStore {
    /// What is kept of devices, in the order in which they are asked for: their numbers and the
    /// states that were committed last. A device that is not known yet gets a number, which costs
    /// nothing until it is written.
    ///
    /// # Errors
    /// When the store cannot be read now.
    fn load(&mut self, devices: &[DeviceKey]) -> Result<Vec<Loaded>, SinkError>;
}

/// The store that decides what is new, as a shard sees it.
///
/// Its calls block; they are made from the shard's own thread. The shard owns retries: a judge
/// tries once and says what went wrong.
pub trait Judge: LaneStore + Send + 'static {
    /// A batch in the form in which it is written.
    type Prepared: Send;

    /// Where the frames come from, which says what the judge's mark is.
    fn source(&self) -> Source;

    /// Brings a batch into the form in which it is written. No I/O: the shard does it while the
    /// batch before is being written.
    ///
    /// # Errors
    /// When a record cannot be written in any form.
    fn prepare(&mut self, batch: &Arc<Batch>) -> Result<Self::Prepared, SinkError>;

    /// Begins to write a batch, and returns while it is being written. There is never more than
    /// one under way.
    ///
    /// # Errors
    /// When nothing of the batch is stored.
    fn begin(&mut self, prepared: Self::Prepared) -> Result<(), SinkError>;

    /// Waits for the batch that is under way: all of it is durable, or nothing.
    ///
    /// # Errors
    /// When nothing of the batch is stored.
    fn complete(&mut self) -> Result<Written, SinkError>;

    /// Whether a batch could be begun now, for readiness: asked while there is nothing to store,
    /// every [`Options::check_every`](crate::Options::check_every). Cheap, and writes nothing.
    ///
    /// # Errors
    /// Why not.
    fn check(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Nothing more will come. `mark` says how far the source was taken in; `settled` that each
    /// frame up to there has its outcome on record.
    ///
    /// # Errors
    /// When that could not be noted.
    fn finish(&mut self, mark: &Mark, settled: bool) -> Result<(), SinkError>;

    /// Whether the store can go on, as its own threads see it.
    fn condition(&self) -> Condition {
        Condition::default()
    }
}

/// Where a shard's frames come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// Connections of this process, in a run with this number.
    Epoch(u64),
    /// A partition of a log, which can be read again from any offset.
    Partition {
        /// The log's topic.
        topic: Name,
        /// Its partition.
        partition: i32,
        /// Raised with each assignment: a judge refuses what a superseded generation writes.
        generation: i64,
    },
}

/// How far a source was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mark {
    /// Connections of this process.
    Epoch {
        /// The run.
        epoch: u64,
        /// Frames that were taken over so far; at least those that are settled.
        received: u64,
    },
    /// A partition of a log.
    Offset {
        /// The log's topic.
        topic: Name,
        /// Its partition.
        partition: i32,
        /// The first offset that is not in this batch or an earlier one; `None` before the first.
        offset: Option<i64>,
        /// The generation of the assignment.
        generation: i64,
    },
}

/// A store's own number for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub i64);

/// What a store keeps of a device.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Loaded {
    /// Its number.
    pub slot: Slot,
    /// Whether anything is kept of it.
    pub known: bool,
    /// Its last known state.
    pub latest: Latest,
    /// The states of the stages, as they were snapshotted.
    pub states: Vec<u8>,
}

impl Loaded {
    /// A device of which nothing is known.
    pub fn new(slot: Slot) -> Self {
        Self {
            slot,
            known: false,
            latest: Latest::default(),
            states: Vec::new(),
        }
    }
}

/// Frames in the order in which they are to be stored, and what they changed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Batch {
    /// How far the source is taken in with this batch.
    pub mark: Mark,
    /// The frames, in order.
    pub frames: Vec<BatchFrame>,
    /// The reports of all frames after the stages, in order.
    pub reports: Vec<Report>,
    /// Changes of reports that are stored, or come before in this batch.
    pub corrections: Vec<Correction>,
    /// Trips and stops that have ended, with their devices as indices into [`Self::devices`].
    pub legs: Vec<(usize, Leg)>,
    /// Stretches of time whose trips must be found anew.
    pub dirty: Vec<DirtyMark>,
    /// Every device that the frames come from, with its state after them.
    pub devices: Vec<ChangedDevice>,
}

impl Batch {
    /// A batch of nothing.
    pub const fn new(mark: Mark) -> Self {
        Self {
            mark,
            frames: Vec::new(),
            reports: Vec::new(),
            corrections: Vec::new(),
            legs: Vec::new(),
            dirty: Vec::new(),
            devices: Vec::new(),
        }
    }
}

/// A stretch of time whose trips must be found anew because of a report, if that is new: a repeat
/// changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirtyMark {
    /// The device, as an index into [`Batch::devices`].
    pub device: usize,
    /// The report, as an index into [`Batch::reports`].
    pub report: usize,
    /// The stretch.
    pub stretch: Dirty,
}

/// One envelope of a batch.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BatchFrame {
    /// The envelope as it was delivered. Its reports are those before the stages.
    pub envelope: Arc<Envelope>,
    /// Its device, as an index into [`Batch::devices`].
    pub device: Option<usize>,
    /// What is to be stored of it.
    pub result: FrameResult,
}

/// What is to be stored of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameResult {
    /// The next of [`Batch::reports`]: first the envelope's own, then those that stages derived.
    /// There is at least one.
    Reports {
        /// Reports that the device sent.
        own: usize,
        /// Reports that stages derived from them.
        derived: usize,
    },
    /// Nothing: all that it says is durable already.
    Duplicate,
    /// Nothing; why.
    Filtered(Name),
    /// Its bytes, and the reason in its content.
    Quarantined,
}

/// A change of an earlier report. It is applied if the stored report has a lower revision, and
/// then passed to followers.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Correction {
    /// Which report.
    pub id: ReportId,
    /// The time that its id was minted with: stores find it by this.
    pub key_time: Timestamp,
    /// A report begins with revision 0.
    pub revision: u32,
    /// What changes.
    pub fields: CorrectedFields,
}

impl Correction {
    /// A correction of a report.
    pub fn new(id: ReportId, revision: u32, fields: CorrectedFields) -> Self {
        Self {
            id,
            key_time: id.key_time(),
            revision,
            fields,
        }
    }
}

/// What a correction changes; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct CorrectedFields {
    /// The position after smoothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smoothed: Option<Smoothed>,
    /// Whether the report is late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<bool>,
    /// All of its events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<Event>>,
}

impl CorrectedFields {
    /// Changes a report.
    pub fn apply(&self, report: &mut Report) {
        if let Some(smoothed) = self.smoothed {
            report.smoothed = Some(smoothed);
        }
        if let Some(late) = self.late {
            report.late = Some(late);
        }
        if let Some(events) = &self.events {
            report.more.events.clone_from(events);
        }
    }
}

/// A device after the frames of a batch.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ChangedDevice {
    /// The device.
    pub key: DeviceKey,
    /// Its number.
    pub slot: Slot,
    /// Whether it is to be kept. A device that has never reported anything, and whose frames are
    /// all set aside, is not: anyone can claim an id.
    pub known: bool,
    /// What is known of it now.
    pub latest: Latest,
    /// The states of the stages; `None` if none has changed since they were committed last.
    pub states: Option<Vec<u8>>,
}

/// A set of reports, or of corrections, by their places in a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexSet {
    words: Vec<u64>,
    len: usize,
}

impl IndexSet {
    /// The places 0 to `count`, without `count`.
    pub fn all(count: usize) -> Self {
        let mut set = Self::default();
        for index in 0..count {
            set.insert(index);
        }
        set
    }

    /// Adds a place.
    pub fn insert(&mut self, index: usize) {
        let (word, bit) = (index / 64, 1_u64 << (index % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        if let Some(word) = self.words.get_mut(word) {
            self.len += usize::from(*word & bit == 0);
            *word |= bit;
        }
    }

    /// Whether a place is in it.
    pub fn contains(&self, index: usize) -> bool {
        let word = self.words.get(index / 64).copied().unwrap_or(0);
        word & (1 << (index % 64)) != 0
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// What became of a batch: which reports were new, and in which bucket each frame ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Which of [`Batch::reports`] are new rows.
    pub new: IndexSet,
    /// Which of [`Batch::corrections`] changed a row.
    pub corrected: IndexSet,
    /// Where the judge's rows ended before this batch, and where they end with it.
    pub before: Position,
    /// See `before`.
    pub after: Position,
    /// Frames with at least one new row.
    pub stored: u64,
    /// Frames that said nothing new.
    pub duplicate: u64,
    /// Frames that hold nothing to store.
    pub filtered: u64,
    /// Frames that are kept with the reason why they could not be read.
    pub quarantined: u64,
}

/// A place in what a judge has stored. Within one history both numbers only rise.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Position {
    /// Which history the numbers belong to: a store that is restored from a backup gives the same
    /// numbers to other rows. 0 if the judge does not say; see [`Replay::common`].
    #[serde(default)]
    pub history: u64,
    /// The number of the last row (or the offset in a log).
    pub row: u64,
    /// The number of the last correction.
    pub correction: u64,
}

impl Position {
    /// Before everything.
    pub const START: Self = Self {
        history: 0,
        row: 0,
        correction: 0,
    };

    /// Whether everything up to `other` lies before this.
    pub const fn covers(&self, other: &Self) -> bool {
        self.row >= other.row && self.correction >= other.correction
    }
}

/// Where a follower begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FollowFrom {
    /// It has everything up to here; [`Position::START`] for one that has nothing.
    Position(Position),
    /// It keeps no mark, since it can be rebuilt: it gets what comes from now on, and the last
    /// known states of all devices ([`Replay::states`]) at its start, after an error and after a
    /// gap.
    Now,
}

/// Something that gets what was new, after the judge has committed it.
///
/// Its calls block, in a thread of its own. A panic in one of them is like an error: the follower
/// is asked where it is, and goes on there.
pub trait Follower: Send + 'static {
    /// Where it begins: asked at its start and after each error.
    ///
    /// # Errors
    /// When it cannot say now.
    fn begin(&mut self) -> Result<FollowFrom, SinkError>;

    /// Writes what is new, and after it or with it the mark: everything up to `up_to` is written.
    /// What it gets twice has the same ids.
    ///
    /// # Errors
    /// When it may not all be written: it will be asked where it is, and get the rest again.
    fn write(&mut self, new: &News<'_>, up_to: Position) -> Result<(), SinkError>;
}

/// What a follower has not had yet.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct News<'a> {
    /// New reports, in order.
    pub reports: Vec<&'a Report>,
    /// Corrections that were applied, in order, after the reports.
    pub corrections: Vec<&'a Correction>,
    /// Last known states of devices, if the judge has written them with these reports, or all are
    /// written again for a follower that keeps no mark. Absent for what is read back from the
    /// judge's rows.
    pub devices: Vec<(&'a DeviceKey, &'a Latest)>,
}

/// Reads what a judge has stored, for followers that have missed something.
pub trait Replay: Send + 'static {
    /// What follows a position, at most `most` of each kind.
    ///
    /// # Errors
    /// When the store cannot be read now.
    fn after(&mut self, position: Position, most: usize) -> Result<Replayed, SinkError>;

    /// The last place, at or before a follower's mark, that what is stored now has in common with
    /// what was stored when the mark was made. It is the mark itself, unless the store was restored
    /// from a backup since.
    ///
    /// # Errors
    /// When the store cannot be read now.
    fn common(&mut self, mark: Position) -> Result<Position, SinkError> {
        Ok(mark)
    }

    /// The last known states of devices, in the order of their keys: of those that follow `after`,
    /// at most `most`. For followers that keep no mark; a judge without such states gives none.
    ///
    /// # Errors
    /// When the store cannot be read now.
    fn states(
        &mut self,
        after: Option<&DeviceKey>,
        most: usize,
    ) -> Result<Vec<(DeviceKey, Latest)>, SinkError> {
        let _ = (after, most);
        Ok(Vec::new())
    }
}

/// A part of what a judge has stored.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Replayed {
    /// Reports, in order.
    pub reports: Vec<Report>,
    /// Corrections, in order.
    pub corrections: Vec<Correction>,
    /// Where this part ends.
    pub up_to: Position,
    /// Where everything ends.
    pub end: Position,
}
