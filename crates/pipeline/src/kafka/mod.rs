//! Kafka (feature `kafka`): what carries envelopes from gateways to workers.
//!
//! # Guarantees
//!
//! - **Delivered means replicated.** [`Producer::send`] resolves when all in-sync replicas have the
//!   record (`acks=all`); the producer is idempotent, so that its own retries store nothing twice and
//!   keep the order per partition. It retries for ever: a limit below an outage would give up records
//!   that are stored all the same. How many replicas must be in sync, and whether they sync to disk, is
//!   the topic's setting; [`ensure_topics`] warns below 3 replicas with 2 in sync.
//! - **One device, one partition.** The key is tenant and device, hashed like Java's clients do.
//!   Changing the number of partitions moves devices: drain the topic first.
//! - **A partition is read from where the store says.** A [`Consumer`] reports each assigned
//!   partition, and reads it only after it was attached at an offset. An offset that the log does not
//!   have is an error that names both, never a silent jump.
//! - **Bounded.** A partition is paused while more than [`ConsumerOptions::partition_bytes`] of it are
//!   in memory; the producer holds at most [`ProducerOptions::queue_bytes`].
//!
//! TLS and SASL settings are passed through as librdkafka names them (`security.protocol`, `sasl.*`,
//! `ssl.*`); the feature `kafka-tls` links the system's OpenSSL for them.

mod admin;
mod config;
mod consumer;
mod error;
mod link;
mod producer;

pub use admin::{TopicSpec, TopicState, ensure_topics};
pub use config::{Compression, KafkaConfig};
pub use consumer::{
    Consumer, ConsumerEvent, ConsumerOptions, Detaching, PartitionId, Polled, StartOffset,
};
pub use error::KafkaFault;
pub use producer::{Delivered, Producer, ProducerOptions, key};
