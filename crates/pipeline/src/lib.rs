//! From delivered envelopes to durable stores.
//!
//! # Guarantees
//!
//! - **Acknowledged means stored.** [`Handle::submit`] resolves to a durable [`Outcome`] only
//!   after the judge has synced the batch. An acknowledgement that is dropped without a verdict is
//!   [`Outcome::Lost`], which is not durable.
//! - **At least once, stored once.** A device that gets no durable outcome sends again; the
//!   store's unique id makes the repeat a duplicate, which is acknowledged like the first. A repeat
//!   of a report that is still in flight comes after it in the same lane, and shares its outcome.
//! - **Order.** The frames of one connection are worked on and stored in the order in which
//!   `submit` was called for them. Between connections there is no order.
//! - **Fairness.** Each connection has its own line in the intake queue, served in turn by cost. At
//!   most 64 frames of one connection are in a batch while others wait, a quarter of that without
//!   an accepted login. Urgent frames have a reserve of 5 % of the queue and at most half of a
//!   batch, in turns; those of their connection before them go with them.
//! - **Followers** get what was new after the judge has committed it, at least once and in order
//!   per device, and delay nothing. See [`sink`].
//! - **No half-dead process.** A thread that panics, or a store that is gone, makes the
//!   [`Condition`] fail: nothing is acknowledged from then on, and the process has to end.
//! - **A failed batch leaves no trace.** Stages work on a copy of the lanes' states, which becomes
//!   the committed one with the batch: in the store in the same transaction, in memory after it.
//! - **What a crash loses:** frames without a verdict, at most [`Options::queue_frames`], none of
//!   them acknowledged. They are `abandoned` in the audit.
//! - **Back-pressure.** A store that does not take data (locked, no space) is tried again with
//!   back-off for as long as it takes. The queue fills up meanwhile, and `submit` waits: its caller
//!   reads no more from its sockets. Nothing is dropped to make space.
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
//! | batches that wait for a follower | 4 each |
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
//! let pipeline = Pipeline::start(store.judge(epoch)?, &Options::default())?;
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
//! A stage implements [`stage::Stage`] and goes into the list of [`Options::stages`]. A store that
//! decides what is new implements [`sink::Judge`]; anything that wants to know what was new
//! implements [`sink::Follower`] and is added by [`Handle::follow`]. Shards attach and detach while
//! the pipeline runs ([`Pipeline::attach`]). The feature `sqlite`, on by default, brings the
//! embedded store.

mod ack;
mod catch;
pub mod command;
mod condition;
mod error;
#[cfg(feature = "fleet")]
pub mod fleet;
mod follow;
mod intake;
#[cfg(feature = "kafka")]
pub mod kafka;
mod lane;
mod latest;
mod permit;
mod pipeline;
mod retry;
mod shard;
pub mod sink;
#[cfg(feature = "spool")]
pub mod spool;
pub mod stage;
pub mod track;

pub use ack::Outcome;
pub use catch::catches;
pub use condition::{Condition, Health};
pub use error::SinkError;
pub use follow::FollowerHealth;
pub use intake::BatchLimits;
pub use lane::Snapshot;
pub use latest::{Latest, PowerSource};
pub use pipeline::{Handle, Options, Pipeline, ShardId};
pub use retry::Backoff;
pub use shard::Drained;
