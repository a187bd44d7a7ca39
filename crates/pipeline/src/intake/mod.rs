//! The intake queue: bounded, and fair between connections.
//!
//! Each connection has a line of its own. A frame first waits there for a memory permit, then,
//! with its permit, for its place in a batch. Both are given in turns, so that a connection with
//! many frames delays only itself:
//!
//! | rule | figure |
//! |---|---|
//! | a turn is worth so many bytes (every frame costs at least the average share of the queue) | [`QUANTUM`] average frames |
//! | a connection that had nothing in the queue goes before those that had | its first turn |
//! | frames of one connection in a batch while others wait | [`PER_BATCH`] |
//! | a connection without an accepted login | a quarter of both, and all of them a quarter of a batch |
//! | permits only for urgent frames, and those of their connections before them | 5 % |
//! | urgent frames in a batch, a turn per connection | at most half |
//!
//! The order of one connection is never changed: an urgent frame takes those before it along.

mod queue;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use milepost_telemetry::Envelope;

use crate::ack::Ack;

pub(crate) use queue::IntakeQueue;

/// What a turn is worth, in frames of average size.
const QUANTUM: i64 = 4;
/// Frames of one connection in a batch while others wait.
const PER_BATCH: usize = 64;
/// A connection without an accepted login gets this part of what others get.
const STRANGERS_PART: usize = 4;
/// One part of so many of the permits is only for urgent frames.
const RESERVE_PART: u64 = 20;

/// When a batch is complete: whatever comes first.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BatchLimits {
    /// So many envelopes.
    pub frames: usize,
    /// So many bytes, by the estimate that also bounds the queue.
    pub bytes: usize,
    /// So long after its first envelope, under load. Without load a batch is committed as soon as
    /// the queue is empty.
    pub age: Duration,
    /// So many frames as are committed within this, by how long the batches before took: an urgent
    /// frame waits for two of them.
    pub commit: Duration,
    /// The same while urgent frames come.
    pub urgent_commit: Duration,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            frames: 5_000,
            bytes: 16 * 1024 * 1024,
            age: Duration::from_millis(5),
            commit: Duration::from_millis(40),
            urgent_commit: Duration::from_millis(8),
        }
    }
}

/// An envelope with its permit.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) envelope: Arc<Envelope>,
    /// Its place in the log that it comes from, if it comes from one.
    pub(crate) offset: Option<i64>,
    pub(crate) cost: u64,
    pub(crate) ack: Ack,
}

/// What was taken for a batch, and whether nothing follows it.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    pub(crate) frames: Vec<Pending>,
    pub(crate) last: bool,
    /// Which selection of the queue this is, so that a connection's part of it can be bounded.
    number: u64,
    bytes: u64,
    pub(crate) urgent: usize,
    strangers: usize,
}
