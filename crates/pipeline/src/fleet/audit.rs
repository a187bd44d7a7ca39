//! What gateways count, on its way to the database.

use std::collections::BTreeMap;

use milepost_telemetry::Name;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::WorkerError;
use crate::kafka::{
    Consumer, ConsumerEvent, ConsumerOptions, KafkaConfig, PartitionId, Polled, StartOffset,
};
use crate::sink::timescale::{Claim, Database, DatabaseError, RunRow};

use super::WorkerOptions;

/// What a gateway counts in a run, in frames.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sums {
    /// Taken over.
    pub received: u64,
    /// Of these, not sent on: they hold nothing to store. By reason.
    pub filtered: BTreeMap<String, u64>,
    /// Of these, not acknowledged: they could not be kept.
    pub abandoned: u64,
}

impl Sums {
    pub(super) fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.abandoned += other.abandoned;
        for (reason, frames) in &other.filtered {
            *self.filtered.entry(reason.clone()).or_insert(0) += frames;
        }
    }
}

/// The sums of one run of a gateway: a record of the topic of the audit, in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunSums {
    /// The gateway's name.
    pub gateway: String,
    /// Its run.
    pub epoch: u64,
    /// What it has counted so far.
    #[serde(flatten)]
    pub sums: Sums,
    /// Whether the run has come to its end: nothing more is counted.
    pub ended: bool,
}

impl RunSums {
    pub(super) const fn new(gateway: String, epoch: u64, sums: Sums, ended: bool) -> Self {
        Self {
            gateway,
            epoch,
            sums,
            ended,
        }
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        // Maps of texts and numbers always have a form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    fn into_row(self) -> RunRow {
        RunRow {
            gateway: self.gateway,
            epoch: self.epoch,
            received: self.sums.received,
            abandoned: self.sums.abandoned,
            filtered: self.sums.filtered,
            ended: self.ended,
        }
    }
}

/// Stores the gateways' sums, as a member of a group of its own. What a run counts only rises, so
/// that the last record of a part says all.
pub(super) struct Collector {
    consumer: Consumer,
    events: mpsc::UnboundedReceiver<ConsumerEvent>,
    options: WorkerOptions,
    topic: Name,
    database: Option<Database>,
    held: BTreeMap<PartitionId, Held>,
}

struct Held {
    claim: Claim,
    offset: Option<i64>,
}

impl Collector {
    pub(super) fn start(
        config: &KafkaConfig,
        options: &WorkerOptions,
    ) -> Result<Self, WorkerError> {
        let topic = &options.topics.audit;
        let name = Name::intern(topic).map_err(|_| WorkerError::Topic(topic.clone()))?;
        let group = format!("{}.audit", options.group);
        let mut consume = ConsumerOptions::new(group, [topic.clone()]);
        consume.session_timeout = options.session_timeout;
        let (consumer, events) = Consumer::start(config, consume)?;
        Ok(Self {
            consumer,
            events,
            options: options.clone(),
            topic: name,
            database: None,
            held: BTreeMap::new(),
        })
    }

    /// Works until `stop`.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let event = tokio::select! {
                () = &mut stop => break,
                event = self.events.recv() => event,
            };
            let Some(event) = event else { break };
            match event {
                ConsumerEvent::Assigned(partition) => self.claim(partition).await,
                ConsumerEvent::Records {
                    partition,
                    records,
                    bytes,
                } => {
                    self.consumer.done(partition.clone(), bytes);
                    if let Err(error) = self.store(&partition, &records).await {
                        tracing::warn!(%error, "the sums of gateways wait");
                        self.database = None;
                        self.consumer.detach(partition.clone());
                        if error.is_superseded() {
                            self.held.remove(&partition);
                        } else {
                            tokio::time::sleep(super::AGAIN).await;
                            self.claim(partition).await;
                        }
                    }
                }
                ConsumerEvent::Revoked(detaching) => {
                    self.held.remove(&detaching.partition);
                }
                ConsumerEvent::Failed { partition, fault } => {
                    tracing::warn!(%fault, "the sums of gateways cannot be read");
                    tokio::time::sleep(super::AGAIN).await;
                    self.claim(partition).await;
                }
                ConsumerEvent::Fault(fault) => tracing::debug!(%fault, "Kafka, topic of the audit"),
                ConsumerEvent::Attached { .. } => {}
            }
        }
        let consumer = self.consumer;
        // Revocations are answered by dropping them.
        drop(self.events);
        let _panicked = tokio::task::spawn_blocking(move || consumer.close())
            .await
            .is_err();
    }

    async fn claim(&mut self, partition: PartitionId) {
        loop {
            match self.try_claim(&partition).await {
                Ok(held) => {
                    let start = held
                        .offset
                        // What is gone is in later sums.
                        .map_or(StartOffset::Beginning, StartOffset::AtOrBeginning);
                    self.held.insert(partition.clone(), held);
                    self.consumer.attach(partition, start);
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "the sums of gateways wait");
                    self.database = None;
                    tokio::time::sleep(super::AGAIN).await;
                }
            }
        }
    }

    async fn try_claim(&mut self, partition: &PartitionId) -> Result<Held, DatabaseError> {
        let topic = self.topic;
        let claimed = self.database().await?.claim(topic, partition.partition);
        let claimed = claimed.await?;
        Ok(Held {
            claim: claimed.claim,
            offset: claimed.offset,
        })
    }

    async fn store(
        &mut self,
        partition: &PartitionId,
        records: &[Polled],
    ) -> Result<(), DatabaseError> {
        let (Some(held), Some(last)) = (self.held.get(partition), records.last()) else {
            return Ok(());
        };
        let (claim, from, to) = (held.claim, held.offset, last.offset + 1);
        let mut runs: BTreeMap<(String, u64), RunRow> = BTreeMap::new();
        for record in records {
            match serde_json::from_slice::<RunSums>(&record.payload) {
                Ok(run) => {
                    let row = run.into_row();
                    runs.insert((row.gateway.clone(), row.epoch), row);
                }
                Err(error) => tracing::warn!(
                    %error, offset = record.offset, "a record of the audit cannot be read"
                ),
            }
        }
        let runs: Vec<RunRow> = runs.into_values().collect();
        let database = self.database().await?;
        database.store_runs(claim, from, to, &runs).await?;
        if let Some(held) = self.held.get_mut(partition) {
            held.offset = Some(to);
        }
        self.consumer.stored(partition.clone(), to);
        Ok(())
    }

    async fn database(&mut self) -> Result<&mut Database, DatabaseError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => Database::connect(&self.options.database, &self.options.schema).await?,
        };
        Ok(self.database.insert(database))
    }
}
