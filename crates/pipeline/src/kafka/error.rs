//! Why Kafka did not do something.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::SinkError;

/// An error of Kafka or its client. No password appears in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaFault {
    /// A setting that the client does not take. Its value is not shown.
    #[error("kafka: the setting {key} cannot be used: {reason}")]
    Setting {
        /// The setting.
        key: String,
        /// Why not.
        reason: String,
    },
    /// A record that the broker will never take.
    #[error("kafka: a record of {bytes} bytes is too large for {topic}")]
    TooLarge {
        /// The topic.
        topic: String,
        /// The size of the record.
        bytes: usize,
    },
    /// The log does not have the offset at which it should be read.
    #[error(
        "kafka: {topic}/{partition} should be read from offset {expected}, but has {low} to {high}"
    )]
    Gap {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset that the store has not got yet.
        expected: i64,
        /// The first offset of the log.
        low: i64,
        /// One more than its last offset.
        high: i64,
    },
    /// This client is of no use any more: make another one.
    #[error("kafka: the client has failed for good: {0}")]
    Fatal(String),
    /// The client was closed.
    #[error("kafka: the client is closed")]
    Closed,
    /// Anything else: it may work later.
    #[error("kafka: {0}")]
    Client(String),
}

impl From<KafkaError> for KafkaFault {
    fn from(error: KafkaError) -> Self {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Fatal) => Self::Fatal(error.to_string()),
            _ => Self::Client(error.to_string()),
        }
    }
}

impl From<KafkaFault> for SinkError {
    fn from(fault: KafkaFault) -> Self {
        match fault {
            KafkaFault::TooLarge { .. } => Self::permanent(fault),
            _ => Self::transient(fault),
        }
    }
}
