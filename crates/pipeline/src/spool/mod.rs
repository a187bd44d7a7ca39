//! A log on disk between a gateway's listeners and Kafka.
//!
//! A gateway appends every envelope, acknowledges it when [`Spool::append`] resolves, and forwards
//! the log in order with a [`SpoolReader`]; Kafka's delivery report frees it.
//!
//! # Invariants
//!
//! 1. **Appended means synced.** `append` resolves after `fdatasync` of the bytes, and after the
//!    folder was synced if the file is new. One sync serves all records that wait for it.
//! 2. **All or nothing.** The records of a failed write or sync are not part of the log, whatever
//!    of them is on the disk: the file is not appended to again, and the next one's header records
//!    how many of its bytes count. The append is tried again until it works.
//! 3. **Only synced records are read**, in order.
//! 4. **A position belongs to one record for ever.** Positions rise; they may have gaps (after a
//!    torn tail), and never fall, also not after a start: the newest segment is kept when it is
//!    empty. If every header is unreadable, the log begins anew with another [`LogId`].
//! 5. **A record is read until it is freed**, and may be read again after a start: what is free is
//!    written down with the next append, not with a sync of its own. The consumer removes repeats
//!    by log id and position.
//! 6. **Damage costs what is damaged.** A tail that is not whole in the newest segment was never
//!    acknowledged, and is cut. Unreadable bytes anywhere else are copied to a `….damaged` file,
//!    reported with their range ([`Damage`]), and reading goes on after them. Damage to the last
//!    records of the newest segment cannot be told from a torn tail.
//! 7. **Bounded.** At [`SpoolOptions::max_bytes`] an append waits until enough is freed. Nothing is
//!    dropped to make room. In memory there are the records of the calls under way, one batch being
//!    written, and one chunk per reader.
//!
//! # Example
//!
//! ```
//! use milepost_pipeline::spool::{Folder, Spool, SpoolOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! # let folder = tempfile::tempdir()?;
//! let (spool, recovery) = Spool::open(Folder::open(&folder)?, SpoolOptions::default())?;
//! assert!(recovery.damage.is_empty());
//!
//! let position = spool.append("an envelope".into()).await?;
//! let mut reader = spool.reader();
//! let records = reader.next(1 << 20).await?;
//! assert_eq!(records[0].position, position);
//! // … Kafka has it:
//! spool.free_through(position);
//! spool.close().await;
//! # Ok(())
//! # }
//! ```

mod record;
mod recover;
mod segments;
mod storage;
mod writer;

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

pub use segments::{SegmentReader, Segments};
pub use storage::{Folder, Storage, StorageFile};
pub use writer::{AppendError, Spool, SpoolReader, SpoolStatus};

/// Sizes of a log.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SpoolOptions {
    /// Bytes on disk at which appending waits. At least four times `segment_bytes`, so that space
    /// comes back in steps.
    pub max_bytes: u64,
    /// Bytes after which a new file is begun: space is freed by whole files.
    pub segment_bytes: u64,
    /// Bytes that one write and sync takes at most; a single longer record is written alone.
    pub batch_bytes: usize,
}

impl Default for SpoolOptions {
    fn default() -> Self {
        Self {
            max_bytes: 4 << 30,
            segment_bytes: 64 << 20,
            batch_bytes: 4 << 20,
        }
    }
}

impl SpoolOptions {
    /// Sizes for a log of at most `max_bytes`.
    pub fn with_max_bytes(max_bytes: u64) -> Self {
        let default = Self::default();
        Self {
            max_bytes,
            segment_bytes: default.segment_bytes.min(max_bytes / 4),
            ..default
        }
    }
}

/// Identifies a log for ever: random, made with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId(pub u128);

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// One record of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Its position.
    pub position: u64,
    /// What was appended.
    pub payload: Bytes,
}

/// What an opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Bytes of an append that did not end: never acknowledged, and cut.
    pub cut_bytes: u64,
    /// Ranges that were durable and cannot be read any more. Each is reported by one opening.
    pub damage: Vec<Damage>,
    /// About how many records are not free yet.
    pub waiting: u64,
}

/// Bytes of a log that cannot be read any more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The number of the segment.
    pub segment: u64,
    /// The range in its file.
    pub range: Range<u64>,
    /// The file that keeps a copy of the bytes.
    pub file: String,
}
