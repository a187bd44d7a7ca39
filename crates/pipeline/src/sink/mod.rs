//! Where batches go.

#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(feature = "timescale")]
pub mod timescale;

use std::net::SocketAddr;

use bytes::Bytes;
use milepost_telemetry::{DeviceKey, Name, Origin, Quarantine, Report, Timestamp};

use crate::SinkError;
use crate::latest::Latest;

/// A store, as a shard sees it.
///
/// Its calls block; they are made from the shard's own thread. The shard owns retries: a sink
/// tries once and says what went wrong.
pub trait Sink: Send + 'static {
    /// A batch in the form in which it is written.
    type Prepared: Send;

    /// What is kept of a device: its number, and the state that was committed last. A device that
    /// is not known yet gets a number, which costs nothing until it is written.
    ///
    /// # Errors
    /// When the store cannot be read now.
    fn load(&mut self, device: &DeviceKey) -> Result<Loaded, SinkError>;

    /// Brings a batch into the form in which it is written. No I/O: the shard does it while the
    /// batch before is being written.
    ///
    /// # Errors
    /// When a record cannot be written in any form.
    fn prepare(&mut self, batch: Batch) -> Result<Self::Prepared, SinkError>;

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

    /// Nothing more will come. `received` frames were taken over in all; `settled` says that each
    /// of them has its outcome on record.
    ///
    /// # Errors
    /// When that could not be noted.
    fn finish(&mut self, received: u64, settled: bool) -> Result<(), SinkError>;
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
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Batch {
    /// How many frames were taken over so far in this epoch; at least those that are settled.
    pub received: u64,
    /// The frames, in order.
    pub frames: Vec<Frame>,
    /// The reports of all frames, in order.
    pub reports: Vec<Report>,
    /// Every device that the frames come from, with its state after them.
    pub devices: Vec<Changed>,
}

/// One frame of a batch.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Frame {
    /// Where it arrived.
    pub origin: Origin,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Who sent it.
    pub peer: Option<SocketAddr>,
    /// Its protocol.
    pub protocol: Name,
    /// Its device, as an index into [`Batch::devices`].
    pub device: Option<usize>,
    /// Its bytes.
    pub raw: Bytes,
    /// What is to be stored.
    pub content: Content,
}

/// What is to be stored of a frame.
#[derive(Debug, Clone)]
pub enum Content {
    /// So many of [`Batch::reports`], at least one: the frames take them in order.
    Reports(usize),
    /// Nothing: all that it says is durable already.
    Duplicate,
    /// Nothing; why.
    Filtered(Name),
    /// Its bytes; why.
    Quarantined(Quarantine),
}

/// A device after the frames of a batch.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Changed {
    /// The device.
    pub key: DeviceKey,
    /// Its number.
    pub slot: Slot,
    /// Whether it is to be kept. A device that has never reported anything, and whose frames are
    /// all set aside, is not: anyone can claim an id.
    pub known: bool,
    /// What is known of it now.
    pub latest: Latest,
    /// The states of the stages.
    pub states: Vec<u8>,
}

/// In which bucket each frame of a batch ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Frames with at least one new row.
    pub stored: u64,
    /// Frames that said nothing new.
    pub duplicate: u64,
    /// Frames that hold nothing to store.
    pub filtered: u64,
    /// Frames that are kept with the reason why they could not be read.
    pub quarantined: u64,
}
