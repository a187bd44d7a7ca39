//! Gateways and workers (feature `fleet`): "acknowledged means stored" over several machines.
//!
//! A [`Gateway`] takes envelopes of its listeners, appends them to its spool (acknowledged when they
//! are synced) and forwards them to Kafka; without a spool Kafka's delivery report acknowledges. A
//! [`Worker`] reads the partitions that it is assigned, each by a shard of its own, into TimescaleDB
//! and Redis.
//!
//! # Guarantees
//!
//! - **Nothing acknowledged is lost** with a process, at any moment: the spool's records are forwarded
//!   until Kafka has them, and a partition's mark moves in the transaction that stores its envelopes.
//! - **Nothing is stored twice.** What a gateway forwards again has the same log and position, and is
//!   skipped; what a device sends again has the same id.
//! - **One writer per partition.** A worker that was superseded cannot write; it gives the shard up.
//! - **Events are published at least once**, in order per partition and with the same ids, from the
//!   rows that the batch's transaction wrote ([`EventPublisher`]).
//! - **Order per connection**: one log, one partition per device, one shard.

mod audit;
mod express;
mod forward;
mod gateway;
mod publish;
mod worker;

pub use audit::{RunSums, Sums};
pub use gateway::{Gateway, GatewayOptions};
pub use publish::{EventPublisher, PublishError};
pub use worker::{Worker, WorkerError, WorkerOptions, WorkerStatus};

/// How long after a failure something is tried again.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(500);

/// The names of the topics.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Topics {
    /// Envelopes, for workers.
    pub reports: String,
    /// Copies of urgent envelopes, for those who act at once.
    pub urgent: String,
    /// Events, as JSON.
    pub events: String,
    /// What gateways count, for workers.
    pub audit: String,
}

impl Topics {
    /// `PREFIX.reports` and so on.
    pub fn with_prefix(prefix: &str) -> Self {
        Self {
            reports: format!("{prefix}.reports"),
            urgent: format!("{prefix}.urgent"),
            events: format!("{prefix}.events"),
            audit: format!("{prefix}.audit"),
        }
    }
}

impl Default for Topics {
    fn default() -> Self {
        Self::with_prefix("milepost")
    }
}
