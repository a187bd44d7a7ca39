//! Records to topics, each awaited until it is replicated.

use std::fmt;
use std::time::{Duration, Instant};

use milepost_telemetry::DeviceKey;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use rdkafka::statistics::Statistics;

use super::KafkaFault;
use super::config::{Compression, KafkaConfig};
use super::link::Link;

/// How records are sent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProducerOptions {
    /// How they are compressed.
    pub compression: Compression,
    /// How long a record waits for others, so that they travel together.
    pub linger: Duration,
    /// Bytes that may wait in memory; beyond, [`Producer::enqueue`] waits.
    pub queue_bytes: usize,
    /// The largest record.
    pub max_record_bytes: usize,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            compression: Compression::default(),
            linger: Duration::from_millis(5),
            queue_bytes: 64 << 20,
            max_record_bytes: 4 << 20,
        }
    }
}

/// Sends records. Cloning shares it.
#[derive(Clone)]
pub struct Producer {
    inner: FutureProducer<Context>,
    delivery: metrics::Histogram,
}

struct Context(Link);

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        self.0.hear(&statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // During an outage several a second; that there is one is said once (`Link`).
        tracing::debug!(%error, reason, "Kafka");
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// The key of a device's records.
pub fn key(device: &DeviceKey) -> String {
    format!("{}:{}", device.tenant, device.device)
}

impl Producer {
    /// Makes a producer. No connection is awaited: records wait until there is one.
    ///
    /// # Errors
    /// [`KafkaFault::Setting`].
    pub fn new(config: &KafkaConfig, options: &ProducerOptions) -> Result<Self, KafkaFault> {
        let mut client = config.client();
        client
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", options.compression.name())
            .set("linger.ms", options.linger.as_millis().to_string())
            // 0: for ever. A record that is given up during an outage may be stored all the same,
            // and would be stored again.
            .set("message.timeout.ms", "0")
            .set("message.max.bytes", options.max_record_bytes.to_string())
            .set(
                "queue.buffering.max.kbytes",
                (options.queue_bytes / 1_024).max(1).to_string(),
            )
            .set("queue.buffering.max.messages", "1000000")
            // As Java's clients do: others may write to these topics.
            .set("partitioner", "murmur2_random");
        let inner = client
            .create_with_context(Context(config.link.clone()))
            .map_err(|error| config.refused(error))?;
        Ok(Self {
            inner,
            // Kept: it is looked up by its name otherwise, for each record.
            delivery: metrics::histogram!("milepost_kafka_delivery_seconds"),
        })
    }

    /// Hands a record over in the order of the calls; waits while the queue is full. The future
    /// that it returns resolves when the record is replicated.
    ///
    /// # Errors
    /// [`KafkaFault::TooLarge`] or [`KafkaFault::Fatal`].
    pub async fn enqueue(
        &self,
        topic: &str,
        key: &str,
        payload: &[u8],
    ) -> Result<impl Future<Output = Result<Delivered, KafkaFault>> + Send + use<>, KafkaFault>
    {
        let bytes = payload.len();
        let mut record = FutureRecord::to(topic).key(key).payload(payload);
        let delivery = loop {
            record = match self.inner.send_result(record) {
                Ok(delivery) => break delivery,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), record)) => {
                    // The client has no notice for that; half the linger time is soon enough.
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    record
                }
                Err((error, _)) => return Err(fault(error, topic, bytes)),
            };
        };
        let topic = topic.to_owned();
        let (since, seconds) = (Instant::now(), self.delivery.clone());
        Ok(async move {
            match delivery.await {
                Ok(Ok(delivery)) => {
                    seconds.record(since.elapsed());
                    Ok(Delivered {
                        partition: delivery.partition,
                        offset: delivery.offset,
                    })
                }
                Ok(Err((error, _))) => Err(fault(error, &topic, bytes)),
                Err(_) => Err(KafkaFault::Closed),
            }
        })
    }

    /// Sends a record, and waits until it is replicated.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub async fn send(
        &self,
        topic: &str,
        key: &str,
        payload: &[u8],
    ) -> Result<Delivered, KafkaFault> {
        self.enqueue(topic, key, payload).await?.await
    }

    /// Records that are not replicated yet.
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.inner.in_flight_count()).unwrap_or(0)
    }

    /// Why this producer can send nothing any more, if that is so: make another one.
    pub fn fatal_error(&self) -> Option<KafkaFault> {
        let (code, reason) = self.inner.client().fatal_error()?;
        Some(KafkaFault::Fatal(format!("{code}: {reason}")))
    }
}

fn fault(error: KafkaError, topic: &str, bytes: usize) -> KafkaFault {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize) => {
            KafkaFault::TooLarge {
                topic: topic.to_owned(),
                bytes,
            }
        }
        _ => error.into(),
    }
}
