//! From listeners to Kafka.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use milepost_telemetry::proto;
use milepost_telemetry::{Content, Envelope, Name, Quarantine, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::audit::RunSums;
use super::express::Express;
use super::forward::{Forwarding, forward, parts, record};
use super::{Sums, Topics};
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
    /// The log of the copies of urgent envelopes, which is drained before the spool. Without one,
    /// copies that wait for Kafka are in memory only. When it is full, or 1,000 are in memory, no
    /// further copies are made: the envelopes themselves go their way.
    pub express: Option<Spool>,
    /// How often what was counted is sent to the topic of the audit.
    pub audit_every: Duration,
}

impl GatewayOptions {
    /// A gateway with a name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            topics: Topics::default(),
            producer: ProducerOptions::default(),
            express: None,
            audit_every: Duration::from_secs(10),
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
    express: Express,
    /// By run.
    sums: Mutex<BTreeMap<u64, Sums>>,
    unsettled: AtomicU64,
    /// For what is neither acknowledged nor bound to an order: sums.
    side: Producer,
    tasks: Mutex<Vec<JoinHandle<()>>>,
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
            Forwarding {
                producer: Some(producer),
                config: config.clone(),
                options: options.producer.clone(),
                topic: options.topics.reports.clone(),
                before: options.express.clone(),
            },
        ));
        Self::new(config, options, Way::Spool(spool), forwarding)
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
        Self::new(config, options, Way::Direct(sender), forwarding)
    }

    fn new(
        config: &KafkaConfig,
        options: GatewayOptions,
        way: Way,
        forwarding: JoinHandle<()>,
    ) -> Result<Self, KafkaFault> {
        let side = Producer::new(config, &options.producer)?;
        let (express, copying) = Express::start(config, &options)?;
        let inner = Arc::new(Inner {
            options,
            way,
            express,
            sums: Mutex::default(),
            unsettled: AtomicU64::new(0),
            side,
            tasks: Mutex::default(),
        });
        let counting = tokio::spawn(send_sums(Arc::downgrade(&inner)));
        inner.tasks().extend([forwarding, copying, counting]);
        Ok(Self { inner })
    }

    /// Takes an envelope over, in the order of the calls; resolves when it is safe.
    pub fn deliver(&self, mut envelope: Envelope) -> impl Future<Output = Outcome> + Send + use<> {
        let inner = Arc::clone(&self.inner);
        let frames = envelope.frames.count();
        let epoch = envelope.origin.epoch;
        inner.received(epoch, frames);
        let verdict: Verdict = if let Content::Filtered(reason) = envelope.content {
            inner.filtered(epoch, reason, frames);
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
            // First, so that the copy is under way before the envelope can be acknowledged.
            let copied = envelope
                .urgent
                .then(|| inner.express.copy(&key, &encoded))
                .flatten();
            match &inner.way {
                Way::Spool(spool) => {
                    let appended = spool.append(record(&key, &encoded));
                    Box::pin(async move {
                        if let Some(copied) = copied {
                            copied.await;
                        }
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
        let settling = Settling { inner, frames };
        async move {
            let outcome = verdict.await;
            let inner = &settling.inner;
            metrics::counter!("milepost_gateway_frames_total", "outcome" => outcome.as_str())
                .increment(frames);
            if !outcome.is_durable() {
                inner.sums().entry(epoch).or_default().abandoned += frames;
            }
            drop(settling);
            outcome
        }
    }

    /// What was counted so far. Frames whose outcome is open are received, and in no other sum.
    pub fn sums(&self) -> Sums {
        let mut all = Sums::default();
        for sums in self.inner.sums().values() {
            all.add(sums);
        }
        all
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
        let waiting = match &self.inner.way {
            Way::Spool(spool) => spool.status().depth,
            Way::Direct(_) => self.inner.unsettled.load(Ordering::Relaxed),
        };
        waiting + self.inner.express.waiting()
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
        self.inner.express.close().await;
        let tasks = std::mem::take(&mut *self.inner.tasks());
        for task in tasks {
            task.abort();
            // Cancelled, which is what was asked for.
            let _cancelled = task.await.is_err();
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let last = self.inner.send_sums(true);
        if tokio::time::timeout(left.max(LAST_SUMS), last)
            .await
            .is_err()
        {
            tracing::warn!("the sums of this run did not reach Kafka: the audit has it cut off");
        }
    }
}

impl Inner {
    fn sums(&self) -> MutexGuard<'_, BTreeMap<u64, Sums>> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tasks(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn received(&self, epoch: u64, frames: u64) {
        self.unsettled.fetch_add(frames, Ordering::Relaxed);
        self.sums().entry(epoch).or_default().received += frames;
    }

    fn filtered(&self, epoch: u64, reason: Name, frames: u64) {
        let mut sums = self.sums();
        let filtered = &mut sums.entry(epoch).or_default().filtered;
        *filtered.entry(reason.to_string()).or_insert(0) += frames;
    }

    /// Sends what was counted in each run to the topic of the audit.
    async fn send_sums(&self, ended: bool) {
        let runs = self.sums().clone();
        for (epoch, sums) in runs {
            let gateway = self.options.name.clone();
            let run = RunSums::new(gateway, epoch, sums, ended).to_json();
            let topic = &self.options.topics.audit;
            if let Err(error) = self.side.send(topic, &self.options.name, &run).await {
                tracing::warn!(%error, "the sums of this run were not sent");
            }
        }
    }
}

/// Counts a frame as settled when its future ends, or is dropped: its record goes on.
struct Settling {
    inner: Arc<Inner>,
    frames: u64,
}

impl Drop for Settling {
    fn drop(&mut self) {
        self.inner
            .unsettled
            .fetch_sub(self.frames, Ordering::Relaxed);
    }
}

/// How long the last sums may take to reach Kafka.
const LAST_SUMS: Duration = Duration::from_secs(1);

/// Sends the sums again and again, while there is a gateway.
async fn send_sums(inner: Weak<Inner>) {
    loop {
        let Some(inner) = inner.upgrade() else { return };
        let every = inner.options.audit_every;
        inner.send_sums(false).await;
        drop(inner);
        tokio::time::sleep(every).await;
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
