//! From delivered envelopes to durable stores.
//!
//! # Guarantees
//!
//! - **Acknowledged means stored.** [`Handle::submit`] resolves to a durable [`Outcome`] only
//!   after the sink has synced the batch. A share of an acknowledgement that is dropped without a
//!   verdict is [`Outcome::Lost`], which is not durable.
//! - **At least once, stored once.** Who gets no durable outcome sends again; the store's unique
//!   id makes the repeat a duplicate, which is acknowledged like the first. A repeat of a report
//!   that is still under way comes behind it in the same lane, and shares its fate.
//! - **Order.** The frames of one device are worked on and stored in the order in which `submit`
//!   was called for them. Between devices there is no order.
//! - **A failed batch leaves no trace.** Stages work on a copy of the lanes' states, which becomes
//!   the committed one with the batch: in the store in the same transaction, in memory after it.
//! - **What a crash loses:** frames without a verdict, at most [`Options::queue_frames`], none of
//!   them acknowledged. They are `abandoned` in the audit.
//! - **Back-pressure.** A store that does not take data (locked, no space) is tried again with
//!   back-off for as long as it takes. The queue fills up meanwhile, and `submit` waits: whoever
//!   calls it reads no more from its sockets. Nothing is dropped to make room.
//! - **Poison costs one frame.** A batch that is refused for what is in it is halved until the
//!   frame at fault is found; that one goes to quarantine, the rest is stored.
//!
//! # What is held in memory, and its bound
//!
//! | what | bound |
//! |---|---|
//! | frames without a verdict: waiting, in the batch, being written | [`Options::queue_frames`] and [`Options::queue_bytes`] |
//! | envelopes of callers that wait in `submit` | theirs: one per call under way |
//! | committed lanes (last known state, window of 16 ids, stage states) | [`Options::lanes`] per shard, about 1 KB each |
//! | a batch's copy of its lanes, its rows encoded | [`BatchLimits`] |
//! | profiles not written yet | one per device that logs in while the store is stalled |
//! | store: page caches, idle readers, listeners for answers | [`StoreOptions::cache_bytes`](sink::sqlite::StoreOptions), 4 connections, 256 each |
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use milepost_pipeline::sink::sqlite::{Store, StoreOptions};
//! use milepost_pipeline::{Options, Outcome, Pipeline};
//! # use milepost_telemetry::{Content, Envelope, Name, Origin, Timestamp};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let store = Store::open(&folder, StoreOptions::default())?;
//! let epoch = store.begin_epoch()?;
//! let pipeline = Pipeline::start(store.sink(epoch)?, &Options::default())?;
//! # let origin = Origin { epoch, connection: 1, frame: 1 };
//! # let filtered = Content::Filtered(Name::new("echo"));
//! # let protocol = Name::new("gt06");
//! # let raw = Default::default();
//! # let envelope = Envelope::new(origin, Timestamp::UNIX_EPOCH, protocol, raw, filtered);
//!
//! let outcome = pipeline.handle().submit(envelope).await;
//! assert_eq!(outcome, Outcome::Filtered);
//! assert!(outcome.is_durable());
//!
//! assert!(pipeline.drain(Duration::from_secs(10)).await.clean);
//! assert!(store.read(|reader| reader.audit()).await?.ok);
//! # Ok(())
//! # }
//! ```
//!
//! # To add to it
//!
//! A stage is one file in `stage/` and one line in its list; a sink implements [`sink::Sink`] and
//! takes whole [`sink::Batch`]es. The feature `sqlite`, on by default, brings the embedded store.

mod ack;
mod batch;
mod entrance;
mod error;
mod health;
mod lane;
mod latest;
mod pipeline;
mod retry;
mod shard;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod sink;
#[cfg(feature = "spool")]
pub mod spool;
pub mod stage;
pub mod track;

pub use ack::Outcome;
pub use batch::BatchLimits;
pub use error::SinkError;
pub use health::Health;
pub use latest::{Latest, PowerSource};
pub use pipeline::{Handle, Options, Pipeline};
pub use retry::Backoff;
pub use shard::Drained;
