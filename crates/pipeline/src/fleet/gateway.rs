//! From listeners to Kafka.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use milepost_telemetry::proto::{self, LogPosition};
use milepost_telemetry::{Content, Envelope, Name, Quarantine, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::Topics;
use crate::Outcome;
use crate::kafka::{self, KafkaConfig, KafkaFault, Producer, ProducerOptions};
use crate::spool::{Spool, SpoolStatus};

/// How a gateway forwards.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GatewayOptions {
    /// Its name: part of each row.
    pub name: String,
    /// Where to.
    pub topics: Topics,
    /// How records are sent.
    pub producer: ProducerOptions,
}

impl GatewayOptions {
    /// A gateway with a name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            topics: Topics::default(),
            producer: ProducerOptions::default(),
        }
    }
}

/// The way from listeners to Kafka. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: GatewayOptions,
    way: Way,
    sums: Mutex<Sums>,
    unsettled: AtomicU64,
    forwarding: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
enum Way {
    Spool(Spool),
    /// Without a disk. In the order of the calls; bounded by the callers' envelopes under way.
    Direct(mpsc::UnboundedSender<Direct>),
}

#[derive(Debug)]
struct Direct {
    key: String,
    encoded: Vec<u8>,
    done: oneshot::Sender<Outcome>,
}

/// What a gateway counts in a run, in frames.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Sums {
    /// Taken over.
    pub received: u64,
    /// Of these, not sent on: they hold nothing to store. By reason.
    pub filtered: BTreeMap<String, u64>,
    /// Of these, neither stored nor acknowledged.
    pub abandoned: u64,
}

type Verdict = Pin<Box<dyn Future<Output = Outcome> + Send>>;

impl Gateway {
    /// A gateway with a spool: an envelope is acknowledged when it is synced there. Records that an
    /// earlier run has left are forwarded first.
    ///
    /// # Errors
    /// When no producer can be made from the settings.
    pub fn with_spool(
        config: &KafkaConfig,
        options: GatewayOptions,
        spool: Spool,
    ) -> Result<Self, KafkaFault> {
        // Settings are refused here, not in the task.
        let producer = Producer::new(config, &options.producer)?;
        let forwarding = tokio::spawn(forward(
            spool.clone(),
            producer,
            config.clone(),
            options.clone(),
        ));
        Ok(Self::new(options, Way::Spool(spool), forwarding))
    }

    /// A gateway without a disk: an envelope is acknowledged when Kafka has replicated it.
    ///
    /// # Errors
    /// When no producer can be made from the settings.
    pub fn direct(config: &KafkaConfig, options: GatewayOptions) -> Result<Self, KafkaFault> {
        let producer = Producer::new(config, &options.producer)?;
        let (sender, records) = mpsc::unbounded_channel();
        let topic = options.topics.reports.clone();
        let forwarding = tokio::spawn(send_in_order(producer, topic, records));
        Ok(Self::new(options, Way::Direct(sender), forwarding))
    }

    fn new(options: GatewayOptions, way: Way, forwarding: JoinHandle<()>) -> Self {
        Self {
            inner: Arc::new(Inner {
                options,
                way,
                sums: Mutex::default(),
                unsettled: AtomicU64::new(0),
                forwarding: Mutex::new(Some(forwarding)),
            }),
        }
    }

    /// Takes an envelope over, in the order of the calls; resolves when it is safe.
    pub fn deliver(&self, mut envelope: Envelope) -> impl Future<Output = Outcome> + Send + use<> {
        let inner = Arc::clone(&self.inner);
        let frames = envelope.frames.count();
        inner.received(frames);
        let verdict: Verdict = if let Content::Filtered(reason) = envelope.content {
            inner.filtered(reason, frames);
            Box::pin(std::future::ready(Outcome::Filtered))
        } else {
            let most = inner
                .options
                .producer
                .max_record_bytes
                .saturating_sub(1_024);
            let mut encoded = proto::encode(&inner.options.name, &envelope);
            if encoded.len() > most {
                // The broker would never take it. Its bytes are kept as far as they fit.
                let why = format!("too large for the log: {} bytes", encoded.len());
                envelope.content = Content::Quarantined(Quarantine::new(why));
                envelope.raw = envelope.raw.slice(..envelope.raw.len().min(most / 2));
                encoded = proto::encode(&inner.options.name, &envelope);
            }
            let key = key(&envelope);
            match &inner.way {
                Way::Spool(spool) => {
                    let appended = spool.append(record(&key, &encoded));
                    Box::pin(async move {
                        match appended.await {
                            Ok(_) => Outcome::Delivered,
                            Err(error) => {
                                tracing::warn!(%error, "an envelope was not spooled");
                                Outcome::Failed
                            }
                        }
                    })
                }
                Way::Direct(records) => {
                    let (done, verdict) = oneshot::channel();
                    let direct = Direct { key, encoded, done };
                    // Dropped with the task: `Lost`.
                    let _ended = records.send(direct).is_err();
                    Box::pin(async move { verdict.await.unwrap_or(Outcome::Lost) })
                }
            }
        };
        async move {
            let outcome = verdict.await;
            inner.unsettled.fetch_sub(frames, Ordering::Relaxed);
            metrics::counter!("milepost_gateway_frames_total", "outcome" => outcome.as_str())
                .increment(frames);
            if !outcome.is_durable() {
                inner.sums().abandoned += frames;
            }
            outcome
        }
    }

    /// What was counted so far. Frames whose outcome is open are received, and in no other sum.
    pub fn sums(&self) -> Sums {
        self.inner.sums().clone()
    }

    /// Why nothing can be taken over now, if that is so.
    pub fn problem(&self) -> Option<String> {
        match &self.inner.way {
            Way::Spool(spool) => {
                let status = spool.status();
                if status.full {
                    Some(format!(
                        "the spool is full: {} records wait for Kafka",
                        status.depth
                    ))
                } else {
                    status.failure
                }
            }
            Way::Direct(records) => records
                .is_closed()
                .then(|| "the producer has ended".to_owned()),
        }
    }

    /// Records that Kafka has not got yet.
    pub fn waiting(&self) -> u64 {
        match &self.inner.way {
            Way::Spool(spool) => spool.status().depth,
            Way::Direct(_) => self.inner.unsettled.load(Ordering::Relaxed),
        }
    }

    /// How the spool is doing; `None` without one.
    pub fn spool(&self) -> Option<SpoolStatus> {
        match &self.inner.way {
            Way::Spool(spool) => Some(spool.status()),
            Way::Direct(_) => None,
        }
    }

    /// When the oldest envelope arrived that Kafka has not got yet; `None` if none waits, or there is
    /// no spool. Reads the spool.
    pub async fn oldest_waiting(&self) -> Option<Timestamp> {
        let Way::Spool(spool) = &self.inner.way else {
            return None;
        };
        if spool.status().depth == 0 {
            return None;
        }
        // It may have been freed meanwhile: then the next one would be waited for.
        let mut reader = spool.reader();
        let read = tokio::time::timeout(Duration::from_secs(1), reader.next(1)).await;
        let records = read.ok()?.ok()?;
        let (_, encoded) = parts(&records.first()?.payload)?;
        let wire = proto::decode(Bytes::copy_from_slice(encoded)).ok()?;
        Some(wire.envelope.received_at)
    }

    /// Forwards what waits for at most `within`, and ends. What is left in a spool is forwarded by the
    /// next run. Listeners are to have ended before.
    pub async fn close(&self, within: Duration) {
        let deadline = Instant::now() + within;
        while self.waiting() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if let Way::Spool(spool) = &self.inner.way {
            spool.close().await;
        }
        let forwarding = self
            .inner
            .forwarding
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(forwarding) = forwarding {
            forwarding.abort();
            // Cancelled, which is what was asked for.
            let _cancelled = forwarding.await.is_err();
        }
    }
}

impl Inner {
    fn sums(&self) -> std::sync::MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn received(&self, frames: u64) {
        self.unsettled.fetch_add(frames, Ordering::Relaxed);
        self.sums().received += frames;
    }

    fn filtered(&self, reason: Name, frames: u64) {
        let mut sums = self.sums();
        *sums.filtered.entry(reason.to_string()).or_insert(0) += frames;
    }
}

/// A device's envelopes go to one partition; before it has named itself, a connection's do.
fn key(envelope: &Envelope) -> String {
    match &envelope.device {
        Some(device) => kafka::key(device),
        None => format!(
            "-:{:x}:{}",
            envelope.origin.epoch, envelope.origin.connection
        ),
    }
}

/// A record of the spool: the length of the key (two bytes, big-endian), the key, the envelope.
fn record(key: &str, encoded: &[u8]) -> Bytes {
    let length = u16::try_from(key.len()).unwrap_or(0);
    let key = key.get(..usize::from(length)).unwrap_or_default();
    let mut record = Vec::with_capacity(2 + key.len() + encoded.len());
    record.extend_from_slice(&length.to_be_bytes());
    record.extend_from_slice(key.as_bytes());
    record.extend_from_slice(encoded);
    record.into()
}

fn parts(record: &[u8]) -> Option<(&str, &[u8])> {
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

/// Forwards a spool in order, again and again from the first record that Kafka has not got.
async fn forward(spool: Spool, producer: Producer, config: KafkaConfig, options: GatewayOptions) {
    let mut producer = Some(producer);
    loop {
        let made = match producer.take() {
            Some(producer) => Ok(producer),
            None => Producer::new(&config, &options.producer),
        };
        let ended = match made {
            Ok(producer) => forward_with(&spool, &producer, &options.topics.reports).await,
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

async fn forward_with(spool: &Spool, producer: &Producer, topic: &str) -> Result<(), Broken> {
    let log = spool.id().0;
    let mut reader = spool.reader();
    let (sent, mut deliveries) = mpsc::channel(IN_FLIGHT);
    let send = async move {
        loop {
            let records = reader.next(READ).await?;
            if records.is_empty() {
                return Ok(());
            }
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
                let delivery = producer.enqueue(topic, key, &encoded).await?;
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

/// Hands records to the producer in the order in which they came.
async fn send_in_order(
    producer: Producer,
    topic: String,
    mut records: mpsc::UnboundedReceiver<Direct>,
) {
    while let Some(Direct { key, encoded, done }) = records.recv().await {
        match producer.enqueue(&topic, &key, &encoded).await {
            Ok(delivery) => {
                tokio::spawn(async move {
                    let outcome = match delivery.await {
                        Ok(_) => Outcome::Delivered,
                        Err(error) => {
                            tracing::warn!(%error, "an envelope was not delivered");
                            Outcome::Failed
                        }
                    };
                    // The connection may have ended.
                    let _nobody = done.send(outcome).is_err();
                });
            }
            Err(error) => {
                tracing::warn!(%error, "an envelope was not sent");
                let _nobody = done.send(Outcome::Failed).is_err();
                if producer.fatal_error().is_some() {
                    // All that comes is `Lost` from here on, and `problem` says so.
                    return;
                }
            }
        }
    }
}
