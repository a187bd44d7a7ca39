//! Records of assigned partitions, each read from where the store says.
//!
//! One thread polls the client. What it finds goes to a channel as [`ConsumerEvent`]s; what the
//! application wants comes back as commands. An assigned partition is read only after
//! [`Consumer::attach`]; a partition that is taken away is given up only after the application has
//! dropped its [`Detaching`], or after [`ConsumerOptions::detach_timeout`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Message as _, Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::KafkaFault;
use super::config::KafkaConfig;
use super::link::Link;

/// How partitions are read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConsumerOptions {
    /// The consumer group.
    pub group: String,
    /// The topics.
    pub topics: Vec<String>,
    /// Bytes of one partition that may be in memory; beyond, it is paused.
    pub partition_bytes: usize,
    /// Records that are handed over at once, at most.
    pub records: usize,
    /// After this long without a sign of life the group gives a member's partitions to others.
    pub session_timeout: Duration,
    /// How long a partition that is taken away is waited for.
    pub detach_timeout: Duration,
    /// How often offsets are committed to Kafka, for those who watch lags.
    pub commit_every: Duration,
}

impl ConsumerOptions {
    /// A member of a group that reads these topics.
    pub fn new(group: impl Into<String>, topics: impl IntoIterator<Item = String>) -> Self {
        Self {
            group: group.into(),
            topics: topics.into_iter().collect(),
            partition_bytes: 8 << 20,
            records: 1_000,
            session_timeout: Duration::from_secs(10),
            detach_timeout: Duration::from_secs(10),
            commit_every: Duration::from_secs(5),
        }
    }
}

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartOffset {
    /// Nothing is stored: at the log's first record.
    Beginning,
    /// At this offset; an error if the log does not have it.
    At(i64),
    /// At this offset, or at the log's first record if that is later: what lies between is gone.
    AtOrBeginning(i64),
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Polled {
    /// Its offset.
    pub offset: i64,
    /// Its key.
    pub key: Bytes,
    /// Its payload.
    pub payload: Bytes,
}

impl Polled {
    fn weight(&self) -> usize {
        self.key.len() + self.payload.len() + 64
    }
}

/// What happens to a consumer.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConsumerEvent {
    /// A partition is assigned: attach it.
    Assigned(PartitionId),
    /// A partition is read from here on.
    Attached {
        /// The partition.
        partition: PartitionId,
        /// The first offset that will come.
        offset: i64,
        /// Offsets that the log does not have any more ([`StartOffset::AtOrBeginning`]).
        skipped: i64,
    },
    /// Records of a partition, in order. Call [`Consumer::done`] with their bytes when they are no
    /// longer in memory.
    Records {
        /// The partition.
        partition: PartitionId,
        /// The records.
        records: Vec<Polled>,
        /// What they count against [`ConsumerOptions::partition_bytes`].
        bytes: usize,
    },
    /// A partition is taken away: finish with it, and drop this.
    Revoked(Detaching),
    /// A partition cannot be read; the others go on.
    Failed {
        /// The partition.
        partition: PartitionId,
        /// Why.
        fault: KafkaFault,
    },
    /// The client reports an error; it goes on by itself unless it is fatal.
    Fault(KafkaFault),
}

/// A partition that is taken away. Another member gets it when this is dropped.
#[derive(Debug)]
pub struct Detaching {
    /// The partition.
    pub partition: PartitionId,
    /// Whether another member may have it already: the session has timed out.
    pub is_lost: bool,
    _done: Sender<()>,
}

enum Command {
    Attach(PartitionId, StartOffset),
    Detach(PartitionId),
    Done(PartitionId, usize),
    Stored(PartitionId, i64),
    Stop,
}

/// A member of a consumer group.
#[derive(Debug)]
pub struct Consumer {
    commands: Sender<Command>,
    thread: Option<JoinHandle<()>>,
}

impl Consumer {
    /// Joins the group. Events come until the consumer is closed or dropped.
    ///
    /// # Errors
    /// [`KafkaFault::Setting`].
    pub fn start(
        config: &KafkaConfig,
        options: ConsumerOptions,
    ) -> Result<(Self, mpsc::UnboundedReceiver<ConsumerEvent>), KafkaFault> {
        // Bounded by what is paused: at most `partition_bytes` of each partition.
        let (events, received) = mpsc::unbounded_channel();
        let context = Context {
            events: events.clone(),
            attached: Mutex::default(),
            marks: Mutex::default(),
            link: config.link.clone(),
            detach_timeout: options.detach_timeout,
        };
        let mut client = config.client();
        client
            .set("group.id", &options.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // An offset that is gone is an error, not a jump.
            .set("auto.offset.reset", "error")
            // Partitions that stay are not interrupted by a rebalance.
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set(
                "session.timeout.ms",
                options.session_timeout.as_millis().to_string(),
            )
            .set(
                "heartbeat.interval.ms",
                (options.session_timeout.as_millis() / 5).to_string(),
            )
            .set("queued.max.messages.kbytes", "16384")
            .set("fetch.wait.max.ms", "100");
        let consumer: BaseConsumer<Context> = client
            .create_with_context(context)
            .map_err(|error| config.refused(error))?;
        let topics: Vec<&str> = options.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        let (commands, wanted) = channel();
        let poller = Poller {
            consumer,
            options,
            events,
            wanted,
            held: BTreeMap::new(),
            stored: BTreeMap::new(),
            committed_at: Instant::now(),
        };
        let thread = std::thread::Builder::new()
            .name("kafka-consumer".into())
            .spawn(move || poller.run())
            .map_err(|error| KafkaFault::Client(error.to_string()))?;
        let consumer = Self {
            commands,
            thread: Some(thread),
        };
        Ok((consumer, received))
    }

    /// Reads an assigned partition from an offset: [`ConsumerEvent::Attached`] or
    /// [`ConsumerEvent::Failed`] follows. One that was taken away meanwhile is passed over.
    pub fn attach(&self, partition: PartitionId, start: StartOffset) {
        self.command(Command::Attach(partition, start));
    }

    /// Reads a partition no longer, though it stays assigned; attach it again to go on.
    pub fn detach(&self, partition: PartitionId) {
        self.command(Command::Detach(partition));
    }

    /// These bytes of a partition are not in memory any more.
    pub fn done(&self, partition: PartitionId, bytes: usize) {
        self.command(Command::Done(partition, bytes));
    }

    /// Everything below this offset is stored: Kafka's own offsets follow, for those who watch lags.
    pub fn stored(&self, partition: PartitionId, offset: i64) {
        self.command(Command::Stored(partition, offset));
    }

    fn command(&self, command: Command) {
        // The thread ends only after `Stop`, or if it has panicked: then no event comes any more.
        let _ended = self.commands.send(command).is_err();
    }

    /// Leaves the group, and waits until others can have the partitions. Blocks; each attached
    /// partition is revoked first.
    pub fn close(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.command(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join().is_err();
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Context {
    events: mpsc::UnboundedSender<ConsumerEvent>,
    attached: Mutex<BTreeSet<PartitionId>>,
    /// Up to where partitions are stored, for their lag.
    marks: Mutex<BTreeMap<PartitionId, i64>>,
    link: Link,
    detach_timeout: Duration,
}

/// Records of a partition that are not stored yet.
fn lag(partition: &PartitionId, records: i64) {
    let labels = [
        ("topic", partition.topic.to_string()),
        ("partition", partition.partition.to_string()),
    ];
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    metrics::gauge!("milepost_kafka_lag_records", &labels).set(records.max(0) as f64);
}

impl Context {
    fn marks(&self) -> MutexGuard<'_, BTreeMap<PartitionId, i64>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The partition is not read here any more: the lag is now reported by the consumer that has it.
    fn forget(&self, partition: &PartitionId) {
        if self.marks().remove(partition).is_some() {
            lag(partition, 0);
        }
    }

    fn attached(&self) -> MutexGuard<'_, BTreeSet<PartitionId>> {
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the application, waits for it, and gives those up that were read.
    fn revoke(&self, consumer: &BaseConsumer<Self>, revoked: Vec<PartitionId>) {
        let is_lost = consumer.assignment_lost();
        let mut waits = Vec::new();
        for partition in &revoked {
            let (done, wait) = channel();
            let detaching = Detaching {
                partition: partition.clone(),
                is_lost,
                _done: done,
            };
            if self.events.send(ConsumerEvent::Revoked(detaching)).is_ok() {
                waits.push(wait);
            }
        }
        let deadline = Instant::now() + self.detach_timeout;
        for wait in waits {
            let left = deadline.saturating_duration_since(Instant::now());
            if !is_lost && wait.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
                tracing::warn!("a partition that is taken away is not finished; giving it up");
            }
        }
        for partition in &revoked {
            self.forget(partition);
        }
        let mut attached = self.attached();
        let read: Vec<_> = revoked
            .iter()
            .filter(|partition| attached.remove(*partition))
            .collect();
        if let Err(error) = consumer.incremental_unassign(&list(read)) {
            tracing::warn!(%error, "cannot give partitions up");
        }
    }
}

fn list<'p>(partitions: impl IntoIterator<Item = &'p PartitionId>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for PartitionId { topic, partition } in partitions {
        list.add_partition(topic, *partition);
    }
    list
}

fn ids(list: &TopicPartitionList) -> Vec<PartitionId> {
    list.elements()
        .iter()
        .map(|element| PartitionId {
            topic: element.topic().into(),
            partition: element.partition(),
        })
        .collect()
}

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        self.link.hear(&statistics);
        for (partition, mark) in &*self.marks() {
            let known = statistics.topics.get(&*partition.topic);
            let known = known.and_then(|topic| topic.partitions.get(&partition.partition));
            // Negative: nothing was fetched yet.
            if let Some(end) = known.map(|known| known.hi_offset).filter(|end| *end >= 0) {
                lag(partition, end - mark);
            }
        }
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        let fault = match error.into() {
            KafkaFault::Client(text) => KafkaFault::Client(format!("{text}: {reason}")),
            other => other,
        };
        let _nobody = self.events.send(ConsumerEvent::Fault(fault)).is_err();
    }
}

impl ConsumerContext for Context {
    /// In place of the client's own reaction: partitions are assigned when they are attached.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        error: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let partitions = ids(partitions);
        match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                // The client waits for an answer to each rebalance; nothing is read yet.
                if let Err(error) = consumer.incremental_assign(&TopicPartitionList::new()) {
                    tracing::warn!(%error, "cannot answer a rebalance");
                }
                for partition in partitions {
                    let _nobody = self
                        .events
                        .send(ConsumerEvent::Assigned(partition))
                        .is_err();
                }
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
                self.revoke(consumer, partitions);
            }
            other => tracing::warn!(error = ?other, "rebalance failed"),
        }
    }
}

struct Poller {
    consumer: BaseConsumer<Context>,
    options: ConsumerOptions,
    events: mpsc::UnboundedSender<ConsumerEvent>,
    wanted: Receiver<Command>,
    held: BTreeMap<PartitionId, Held>,
    /// Offsets that are stored and not committed to Kafka.
    stored: BTreeMap<PartitionId, i64>,
    committed_at: Instant,
}

#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    is_paused: bool,
}

/// How long a poll waits: commands wait as long.
const POLL: Duration = Duration::from_millis(10);
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

impl Poller {
    fn run(mut self) {
        loop {
            while let Ok(command) = self.wanted.try_recv() {
                match command {
                    Command::Attach(partition, start) => self.attach(partition, start),
                    Command::Detach(partition) => self.detach(&partition),
                    Command::Done(partition, bytes) => self.done(&partition, bytes),
                    Command::Stored(partition, offset) => {
                        if let Some(mark) = self.consumer.context().marks().get_mut(&partition) {
                            *mark = offset;
                        }
                        self.stored.insert(partition, offset);
                    }
                    Command::Stop => {
                        self.commit(CommitMode::Sync);
                        // Leaving calls `rebalance` with what is assigned.
                        self.consumer.unsubscribe();
                        let deadline = Instant::now() + self.options.detach_timeout;
                        while !self.consumer.context().attached().is_empty()
                            && Instant::now() < deadline
                        {
                            drop(self.consumer.poll(POLL));
                        }
                        return;
                    }
                }
            }
            self.poll();
            if self.committed_at.elapsed() >= self.options.commit_every {
                self.commit(CommitMode::Async);
            }
        }
    }

    fn send(&self, event: ConsumerEvent) {
        // Whoever listened may be gone; then `Stop` follows.
        let _nobody = self.events.send(event).is_err();
    }

    fn attach(&mut self, partition: PartitionId, start: StartOffset) {
        match self.try_attach(&partition, start) {
            Ok((offset, skipped)) => self.send(ConsumerEvent::Attached {
                partition,
                offset,
                skipped,
            }),
            Err(fault) => self.send(ConsumerEvent::Failed { partition, fault }),
        }
    }

    fn try_attach(
        &mut self,
        partition: &PartitionId,
        start: StartOffset,
    ) -> Result<(i64, i64), KafkaFault> {
        let PartitionId {
            topic,
            partition: number,
        } = partition;
        let (low, high) = self
            .consumer
            .fetch_watermarks(topic, *number, METADATA_TIMEOUT)?;
        let (offset, skipped) = match start {
            StartOffset::Beginning => (low, 0),
            StartOffset::At(offset) | StartOffset::AtOrBeginning(offset)
                if (low..=high).contains(&offset) =>
            {
                (offset, 0)
            }
            StartOffset::AtOrBeginning(offset) if offset < low => (low, low - offset),
            StartOffset::At(expected) | StartOffset::AtOrBeginning(expected) => {
                return Err(KafkaFault::Gap {
                    topic: topic.to_string(),
                    partition: *number,
                    expected,
                    low,
                    high,
                });
            }
        };
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, *number, Offset::Offset(offset))?;
        self.consumer.incremental_assign(&list)?;
        self.consumer.context().attached().insert(partition.clone());
        self.consumer
            .context()
            .marks()
            .insert(partition.clone(), offset);
        lag(partition, high - offset);
        self.held.insert(partition.clone(), Held::default());
        Ok((offset, skipped))
    }

    fn detach(&mut self, partition: &PartitionId) {
        if self.consumer.context().attached().remove(partition) {
            self.held.remove(partition);
            self.consumer.context().forget(partition);
            if let Err(error) = self.consumer.incremental_unassign(&list([partition])) {
                tracing::warn!(%error, "cannot stop reading a partition");
            }
        }
    }

    fn done(&mut self, partition: &PartitionId, bytes: usize) {
        let limit = self.options.partition_bytes;
        if let Some(held) = self.held.get_mut(partition) {
            held.bytes = held.bytes.saturating_sub(bytes);
            if held.is_paused && held.bytes <= limit / 2 {
                held.is_paused = false;
                if let Err(error) = self.consumer.resume(&list([partition])) {
                    tracing::warn!(%error, "cannot resume a partition");
                }
            }
        }
    }

    fn poll(&mut self) {
        let mut found: BTreeMap<PartitionId, (Vec<Polled>, usize)> = BTreeMap::new();
        let mut wait = POLL;
        for _ in 0..self.options.records {
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    let partition = PartitionId {
                        topic: message.topic().into(),
                        partition: message.partition(),
                    };
                    let polled = Polled {
                        offset: message.offset(),
                        key: Bytes::copy_from_slice(message.key().unwrap_or_default()),
                        payload: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
                    };
                    let (records, bytes) = found.entry(partition).or_default();
                    *bytes += polled.weight();
                    records.push(polled);
                }
                Some(Err(error)) => {
                    self.send(ConsumerEvent::Fault(error.into()));
                    break;
                }
            }
            // What is here already is taken without waiting.
            wait = Duration::ZERO;
        }
        // What was taken away during the poll is not handed over any more.
        let attached = self.consumer.context().attached().clone();
        self.held
            .retain(|partition, _| attached.contains(partition));
        for (partition, (records, bytes)) in found {
            let Some(held) = self.held.get_mut(&partition) else {
                continue;
            };
            held.bytes += bytes;
            if !held.is_paused && held.bytes > self.options.partition_bytes {
                held.is_paused = true;
                if let Err(error) = self.consumer.pause(&list([&partition])) {
                    tracing::warn!(%error, "cannot pause a partition");
                }
            }
            self.send(ConsumerEvent::Records {
                partition,
                records,
                bytes,
            });
        }
    }

    fn commit(&mut self, mode: CommitMode) {
        self.committed_at = Instant::now();
        let mut list = TopicPartitionList::new();
        for (partition, offset) in std::mem::take(&mut self.stored) {
            if !self.held.contains_key(&partition) {
                continue;
            }
            let offset = Offset::Offset(offset);
            if let Err(error) =
                list.add_partition_offset(&partition.topic, partition.partition, offset)
            {
                tracing::warn!(%error, "cannot commit an offset");
            }
        }
        if list.count() > 0
            && let Err(error) = self.consumer.commit(&list, mode)
        {
            // The store's mark counts; this is for those who watch.
            tracing::debug!(%error, "cannot commit offsets");
        }
    }
}
