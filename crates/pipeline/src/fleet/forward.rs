//! From a spool to a topic, in order.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use milepost_telemetry::proto::{self, LogPosition};
use tokio::sync::mpsc;

use crate::kafka::{KafkaConfig, KafkaFault, Producer, ProducerOptions};
use crate::spool::Spool;

/// A record of the spool: the length of the key (two bytes, big-endian), the key, the envelope.
pub(super) fn record(key: &str, encoded: &[u8]) -> Bytes {
    let length = u16::try_from(key.len()).unwrap_or(0);
    let key = key.get(..usize::from(length)).unwrap_or_default();
    let mut record = Vec::with_capacity(2 + key.len() + encoded.len());
    record.extend_from_slice(&length.to_be_bytes());
    record.extend_from_slice(key.as_bytes());
    record.extend_from_slice(encoded);
    record.into()
}

pub(super) fn parts(record: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = record.split_first_chunk::<2>()?;
    let (key, encoded) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((std::str::from_utf8(key).ok()?, encoded))
}

/// Bytes that are read from the spool at once.
const READ: usize = 1 << 20;
/// Records that wait for their delivery report.
const IN_FLIGHT: usize = 20_000;

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the spool cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("{0}")]
    Kafka(#[from] KafkaFault),
}

/// How a spool is forwarded.
#[derive(Debug)]
pub(super) struct Forwarding {
    /// The first producer, made where its settings can still be refused.
    pub(super) producer: Option<Producer>,
    pub(super) config: KafkaConfig,
    pub(super) options: ProducerOptions,
    pub(super) topic: String,
    /// The log that is drained before.
    pub(super) before: Option<Spool>,
}

/// Forwards a spool in order, again and again from the first record that Kafka has not got.
pub(super) async fn forward(spool: Spool, mut forwarding: Forwarding) {
    let mut producer = forwarding.producer.take();
    loop {
        let made = match producer.take() {
            Some(producer) => Ok(producer),
            None => Producer::new(&forwarding.config, &forwarding.options),
        };
        let ended = match made {
            Ok(producer) => forward_with(&spool, &producer, &forwarding).await,
            Err(fault) => Err(fault.into()),
        };
        match ended {
            Ok(()) => return,
            Err(broken) => {
                // A producer sends a partition's records in order or not at all, so that what comes
                // again is what was not stored, and then perhaps what was.
                tracing::warn!(%broken, "forwarding begins again at the first record that waits");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

async fn forward_with(
    spool: &Spool,
    producer: &Producer,
    forwarding: &Forwarding,
) -> Result<(), Broken> {
    let log = spool.id().0;
    let mut reader = spool.reader();
    let mut way = GiveWay(forwarding.before.as_ref());
    let (sent, mut deliveries) = mpsc::channel(IN_FLIGHT);
    let send = async move {
        loop {
            let records = reader.next(READ).await?;
            if records.is_empty() {
                return Ok(());
            }
            way.wait().await;
            for record in records {
                let position = record.position;
                let Some((key, encoded)) = parts(&record.payload) else {
                    tracing::error!(
                        position,
                        "a record of the spool is no envelope; passed over"
                    );
                    continue;
                };
                let mut encoded = encoded.to_vec();
                proto::append_position(&mut encoded, LogPosition { log, position });
                let delivery = producer.enqueue(&forwarding.topic, key, &encoded).await?;
                if sent.send((position, delivery)).await.is_err() {
                    return Ok(());
                }
            }
        }
    };
    let confirm = async {
        while let Some((position, delivery)) = deliveries.recv().await {
            delivery.await?;
            spool.free_through(position);
        }
        Ok::<_, Broken>(())
    };
    tokio::try_join!(send, confirm)?;
    Ok(())
}

/// Lets another log go first.
struct GiveWay<'s>(Option<&'s Spool>);

/// How long that may take. A topic of copies that takes nothing must not hold up the reports, so that
/// is waited for once in a run of the forwarding.
const PATIENCE: Duration = Duration::from_secs(1);

impl GiveWay<'_> {
    async fn wait(&mut self) {
        let Some(before) = self.0 else { return };
        let deadline = Instant::now() + PATIENCE;
        while before.status().depth > 0 {
            if Instant::now() >= deadline {
                tracing::warn!("copies of urgent envelopes are not taken; going on without them");
                self.0 = None;
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}
