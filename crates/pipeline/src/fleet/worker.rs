//! From Kafka to TimescaleDB and Redis: one shard per assigned partition.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use milepost_telemetry::proto::{self, Wire};
use milepost_telemetry::{Content, Envelope, Name, Origin, Quarantine, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::audit::Collector;
use super::{EventPublisher, Topics};
use crate::kafka::{
    Consumer, ConsumerEvent, ConsumerOptions, Detaching, KafkaConfig, KafkaFault, PartitionId,
    Polled, ProducerOptions, StartOffset,
};
use crate::sink::redis::{LaneSource, LastKnownOptions, RedisFollower, RedisUrl};
use crate::sink::timescale::{
    Claimed, Database, DatabaseError, DatabaseUrl, JudgeOptions, Keep, Passed, Schema,
    TimescaleJudge, Transport,
};
use crate::{Handle, Health, Options, Pipeline, ShardId, Snapshot};

/// What a worker works with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkerOptions {
    /// The consumer group: workers of one group share the partitions.
    pub group: String,
    /// Where from.
    pub topics: Topics,
    /// Where to.
    pub database: DatabaseUrl,
    /// Names in the database.
    pub schema: Schema,
    /// How partitions are written.
    pub judge: JudgeOptions,
    /// Where last known states go; `None` for nowhere.
    pub redis: Option<RedisUrl>,
    /// How they are kept there.
    pub last_known: LastKnownOptions,
    /// Stages, and what each shard may hold.
    pub pipeline: Options,
    /// Whether a partition goes on at the log's first record when what it needs is gone.
    pub accept_gap: bool,
    /// How events are sent.
    pub producer: ProducerOptions,
    /// How long what is stored is kept; `None`: for ever. One worker at a time sees to it.
    pub keep: Option<Keep>,
    /// How soon a worker that vanishes loses its partitions.
    pub session_timeout: Duration,
}

impl WorkerOptions {
    /// A worker of the group `milepost` on the usual topics.
    pub fn new(database: DatabaseUrl) -> Self {
        Self {
            group: "milepost".into(),
            topics: Topics::default(),
            database,
            schema: Schema::default(),
            judge: JudgeOptions::default(),
            redis: None,
            last_known: LastKnownOptions::default(),
            pipeline: Options {
                // A partition is revoked within the session's timeout; Redis can lag by more.
                followers_drain: Duration::from_secs(1),
                ..Options::default()
            },
            accept_gap: false,
            keep: None,
            producer: ProducerOptions::default(),
            session_timeout: Duration::from_secs(10),
        }
    }
}

/// Why a worker cannot work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// Kafka's client refuses the settings.
    #[error(transparent)]
    Kafka(#[from] KafkaFault),
    /// The database is not there, or not migrated.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The topic's name has a form that no mark can have.
    #[error("{0} cannot be a topic")]
    Topic(String),
    /// The consumer's thread has ended by itself.
    #[error("the Kafka consumer has ended")]
    Ended,
}

/// How long a shard may settle what it has when its partition is taken away.
const DETACH: Duration = Duration::from_secs(8);
/// How long events that are stored may still be published when a partition is given up.
const LAST_EVENTS: Duration = Duration::from_secs(1);
/// How long after a failure a partition that is still assigned is claimed again.
const CLAIM_AGAIN: Duration = Duration::from_secs(2);

/// Reads assigned partitions until it is told to stop.
pub struct Worker {
    consumer: Consumer,
    events: mpsc::UnboundedReceiver<ConsumerEvent>,
    shared: Arc<Shared>,
    topic: Name,
    collector: Collector,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Shared {
    options: WorkerOptions,
    pipeline: Pipeline,
    publisher: Arc<EventPublisher>,
    partitions: Mutex<BTreeMap<i32, Condition>>,
}

/// How an assigned partition is doing.
#[derive(Debug)]
enum Condition {
    /// It cannot be claimed, or cannot be read; why.
    Waiting(String),
    /// It has a shard.
    Working(Handle),
}

impl Shared {
    fn partitions(&self) -> MutexGuard<'_, BTreeMap<i32, Condition>> {
        self.partitions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the partitions of a [`Worker`] are doing, also while it runs.
#[derive(Debug, Clone)]
pub struct WorkerStatus(Arc<Shared>);

impl WorkerStatus {
    /// How many partitions are assigned.
    pub fn partitions(&self) -> usize {
        self.0.partitions().len()
    }

    /// Partitions that cannot be worked on now, each with the reason.
    pub fn problems(&self) -> Vec<(i32, String)> {
        let partitions = self.0.partitions();
        let problems = partitions.iter().filter_map(|(number, condition)| {
            let reason = match condition {
                Condition::Waiting(reason) => reason.clone(),
                Condition::Working(handle) => match handle.health() {
                    Health::Ready => return None,
                    Health::Stalled(reason) => reason.into(),
                },
            };
            Some((*number, reason))
        });
        problems.collect()
    }
}

/// What a partition's task asks of the consumer.
enum Wish {
    Attach(PartitionId, StartOffset),
    Detach(PartitionId),
    Done(PartitionId, usize),
    Stored(PartitionId, i64),
}

/// What happens to a partition.
enum Happening {
    Attached { offset: i64, skipped: i64 },
    Records(Vec<Polled>, usize),
    Failed(KafkaFault),
    Revoked(Detaching),
}

impl Worker {
    /// Joins the group.
    ///
    /// # Errors
    /// When the settings are refused, or the database is away or not migrated.
    pub async fn start(config: &KafkaConfig, options: WorkerOptions) -> Result<Self, WorkerError> {
        // What is wrong for good is said now, and not by each partition.
        let database = Database::connect(&options.database, &options.schema).await?;
        drop(database);
        let topic = Name::intern(&options.topics.reports)
            .map_err(|_| WorkerError::Topic(options.topics.reports.clone()))?;
        let mut consume = ConsumerOptions::new(&options.group, [options.topics.reports.clone()]);
        consume.session_timeout = options.session_timeout;
        let (consumer, events) = Consumer::start(config, consume)?;
        let collector = Collector::start(config, &options)?;
        let pipeline = Pipeline::new(&options.pipeline);
        let publisher = Arc::new(EventPublisher::new(
            config,
            options.producer.clone(),
            options.topics.events.clone(),
            options.database.clone(),
            options.schema.clone(),
        ));
        Ok(Self {
            consumer,
            events,
            shared: Arc::new(Shared {
                options,
                pipeline,
                publisher,
                partitions: Mutex::default(),
            }),
            topic,
            collector,
        })
    }

    /// How it is doing, for readiness; stays valid while it runs.
    pub fn status(&self) -> WorkerStatus {
        WorkerStatus(Arc::clone(&self.shared))
    }

    /// Works until `stop`, then stores what it has and leaves the group.
    ///
    /// # Errors
    /// When the consumer's thread ends by itself.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), WorkerError> {
        let Self {
            consumer,
            mut events,
            shared,
            topic,
            collector,
        } = self;
        let mut keeping = JoinSet::new();
        if let Some(keep) = shared.options.keep {
            keeping.spawn(retain(Arc::clone(&shared), keep));
        }
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        // Also when this future is dropped.
        let collecting = tokio::spawn(collector.run(async move { drop(ended.await) }));
        let (wishes, mut wished) = mpsc::unbounded_channel();
        let mut parts = Parts {
            shared,
            topic,
            wishes,
            tasks: JoinSet::new(),
            senders: HashMap::new(),
        };
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                event = events.recv() => match event {
                    Some(event) => parts.route(event),
                    None => return Err(WorkerError::Ended),
                },
                Some(wish) = wished.recv() => match wish {
                    Wish::Attach(partition, start) => consumer.attach(partition, start),
                    Wish::Detach(partition) => consumer.detach(partition),
                    Wish::Done(partition, bytes) => consumer.done(partition, bytes),
                    Wish::Stored(partition, offset) => consumer.stored(partition, offset),
                },
                Some(ended) = parts.tasks.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "the task of a partition broke");
                    }
                }
            }
        }
        // Each partition is revoked on the way.
        let closing = tokio::task::spawn_blocking(move || consumer.close());
        while let Some(event) = events.recv().await {
            parts.route(event);
        }
        let _panicked = closing.await.is_err();
        // Partitions that were never attached are not revoked: their tasks see the end.
        parts.senders.clear();
        while parts.tasks.join_next().await.is_some() {}
        drop(end);
        keeping.shutdown().await;
        let _panicked = collecting.await.is_err();
        Ok(())
    }
}

/// How often is looked for what has become too old.
const RETAIN_EVERY: Duration = Duration::from_hours(1);

/// Deletes what has become too old, at once and then every hour.
async fn retain(shared: Arc<Shared>, keep: Keep) {
    let options = &shared.options;
    loop {
        let done = async {
            let mut database = Database::connect(&options.database, &options.schema).await?;
            database.retain(keep).await
        };
        match done.await {
            Ok(Some(dropped)) => {
                metrics::counter!("milepost_worker_dropped_chunks_total").increment(dropped.chunks);
                tracing::info!(?dropped, "what is too old was deleted");
            }
            Ok(None) => tracing::debug!("another worker deletes what is too old"),
            Err(error) => tracing::warn!(%error, "what is too old was not deleted; later again"),
        }
        tokio::time::sleep(RETAIN_EVERY).await;
    }
}

struct Parts {
    shared: Arc<Shared>,
    topic: Name,
    wishes: mpsc::UnboundedSender<Wish>,
    tasks: JoinSet<()>,
    senders: HashMap<PartitionId, mpsc::UnboundedSender<Happening>>,
}

impl Parts {
    fn route(&mut self, event: ConsumerEvent) {
        let (partition, happening) = match event {
            ConsumerEvent::Assigned(partition) => {
                let (sender, happenings) = mpsc::unbounded_channel();
                let task = Partition {
                    shared: Arc::clone(&self.shared),
                    topic: self.topic,
                    id: partition.clone(),
                    wishes: self.wishes.clone(),
                    happenings,
                };
                self.senders.insert(partition, sender);
                self.tasks.spawn(task.run());
                return;
            }
            ConsumerEvent::Attached {
                partition,
                offset,
                skipped,
            } => (partition, Happening::Attached { offset, skipped }),
            ConsumerEvent::Records {
                partition,
                records,
                bytes,
            } => (partition, Happening::Records(records, bytes)),
            ConsumerEvent::Failed { partition, fault } => (partition, Happening::Failed(fault)),
            ConsumerEvent::Revoked(detaching) => {
                let partition = detaching.partition.clone();
                if let Some(sender) = self.senders.remove(&partition) {
                    // A task that has ended holds nothing.
                    let _ended = sender.send(Happening::Revoked(detaching)).is_err();
                }
                return;
            }
            ConsumerEvent::Fault(fault) => {
                tracing::warn!(%fault, "Kafka");
                return;
            }
        };
        if let Some(sender) = self.senders.get(&partition) {
            let _ended = sender.send(happening).is_err();
        }
    }
}

/// One assigned partition.
struct Partition {
    shared: Arc<Shared>,
    topic: Name,
    id: PartitionId,
    wishes: mpsc::UnboundedSender<Wish>,
    happenings: mpsc::UnboundedReceiver<Happening>,
}

/// Why a partition's shard has ended.
enum End {
    /// The partition was taken away; dropped when the shard is finished.
    Revoked(Option<Detaching>),
    /// It is ours still, and is to be claimed again.
    Failed,
}

impl Partition {
    async fn run(mut self) {
        self.work_until_revoked().await;
        let mut partitions = self.shared.partitions();
        partitions.remove(&self.id.partition);
        count_partitions(&partitions);
    }

    fn note(&self, condition: Condition) {
        let mut partitions = self.shared.partitions();
        partitions.insert(self.id.partition, condition);
        count_partitions(&partitions);
    }

    async fn work_until_revoked(&mut self) {
        loop {
            match self.hold().await {
                End::Revoked(detaching) => {
                    drop(detaching);
                    return;
                }
                End::Failed => {
                    self.wish(Wish::Detach(self.id.clone()));
                    tokio::time::sleep(CLAIM_AGAIN).await;
                    // What came meanwhile belongs to the claim that has failed.
                    while let Ok(happening) = self.happenings.try_recv() {
                        match happening {
                            Happening::Revoked(detaching) => {
                                drop(detaching);
                                return;
                            }
                            Happening::Records(_, bytes) => {
                                self.wish(Wish::Done(self.id.clone(), bytes));
                            }
                            Happening::Attached { .. } | Happening::Failed(_) => {}
                        }
                    }
                    if self.happenings.is_closed() {
                        return;
                    }
                }
            }
        }
    }

    fn wish(&self, wish: Wish) {
        // Nobody listens at the end of the worker.
        let _ended = self.wishes.send(wish).is_err();
    }

    /// Claims the partition and works on it.
    async fn hold(&mut self) -> End {
        let options = self.shared.options.clone();
        let transport = Transport::default();
        let number = self.id.partition;
        let (judge, claimed) = loop {
            let claiming = TimescaleJudge::claim(
                &options.database,
                &options.schema,
                self.topic,
                number,
                transport.clone(),
                options.judge.clone(),
            );
            tokio::select! {
                claimed = claiming => match claimed {
                    Ok(claimed) => break claimed,
                    Err(error) => {
                        tracing::warn!(%error, partition = number, "cannot claim the partition");
                        self.note(Condition::Waiting(error.to_string()));
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                },
                happening = self.happenings.recv() => match happening {
                    Some(Happening::Revoked(detaching)) => return End::Revoked(Some(detaching)),
                    None => return End::Revoked(None),
                    Some(_) => {}
                },
            }
        };
        let (lanes, written) = (judge.lanes(), judge.events());
        let shard = ShardId(u32::try_from(number).unwrap_or(0));
        let handle = match self
            .shared
            .pipeline
            .attach(shard, judge, Snapshot::default())
        {
            Ok(handle) => handle,
            Err(error) => {
                tracing::error!(%error, partition = number, "cannot start a shard");
                return End::Failed;
            }
        };
        self.note(Condition::Working(handle.clone()));
        if let Some(url) = &options.redis {
            let source = LaneSource::new(
                options.database.clone(),
                options.schema.clone(),
                self.topic,
                number,
                lanes,
            );
            let follower = RedisFollower::new(url.clone(), options.last_known, source.clone());
            if let Err(error) = handle.follow(&format!("redis/{number}"), follower, source) {
                tracing::error!(%error, "no thread for Redis");
            }
        }
        let start = match claimed.snapshot_offset.or(claimed.offset) {
            None => StartOffset::Beginning,
            Some(offset) if options.accept_gap => StartOffset::AtOrBeginning(offset),
            Some(offset) => StartOffset::At(offset),
        };
        // Without a snapshot states are made of all that the log still has.
        let start = match (claimed.snapshot_offset, claimed.offset) {
            (None, Some(_)) => StartOffset::Beginning,
            _ => start,
        };
        self.wish(Wish::Attach(self.id.clone(), start));
        let claim = claimed.claim;
        let publisher = Arc::clone(&self.shared.publisher);
        let publishing = tokio::spawn(async move { publisher.run(claim, written).await });
        let end = self.work(&handle, claimed, &transport).await;
        let detached = self.shared.pipeline.detach(shard, DETACH).await;
        if let Some((drained, _)) = detached {
            tracing::info!(
                partition = number,
                settled = drained.settled,
                failed = drained.failed,
                "the partition's shard has ended"
            );
        }
        publishing.abort();
        let rest = async { while let Ok(false) = self.shared.publisher.publish(claim).await {} };
        // The next worker of the partition publishes what is left.
        let _in_time = tokio::time::timeout(LAST_EVENTS, rest).await.is_ok();
        end
    }

    /// Submits records until the partition is taken away or something fails.
    async fn work(&mut self, handle: &Handle, claimed: Claimed, transport: &Transport) -> End {
        let mut feed = Feed {
            stored: claimed.offset,
            positions: claimed.positions,
            restored: claimed.snapshot_positions,
        };
        let mut verdicts: JoinSet<bool> = JoinSet::new();
        loop {
            let happening = tokio::select! {
                happening = self.happenings.recv() => happening,
                Some(settled) = verdicts.join_next() => {
                    if settled.unwrap_or(false) {
                        continue;
                    }
                    tracing::warn!(
                        partition = self.id.partition,
                        "the partition's shard has given up; claiming again if it is still ours"
                    );
                    return End::Failed;
                }
            };
            match happening {
                None => return End::Revoked(None),
                Some(Happening::Revoked(detaching)) => return End::Revoked(Some(detaching)),
                Some(Happening::Attached { offset, skipped }) => {
                    tracing::info!(
                        partition = self.id.partition, offset, skipped,
                        stored = ?claimed.offset, "a partition is read"
                    );
                    if skipped > 0 {
                        metrics::counter!("milepost_worker_gap_records_total")
                            .increment(skipped.unsigned_abs());
                    }
                }
                Some(Happening::Failed(fault)) => {
                    self.note(Condition::Waiting(fault.to_string()));
                    tracing::error!(
                        %fault, partition = self.id.partition,
                        "the partition cannot be read; --accept-gap goes on at what the log has"
                    );
                    return End::Failed;
                }
                Some(Happening::Records(records, bytes)) => {
                    let last = records.last().map(|record| record.offset);
                    let (restore, new): (Vec<_>, Vec<_>) = records
                        .into_iter()
                        .partition(|record| feed.restores(record));
                    let restoring = !restore.is_empty();
                    let mut waiting = feed.submit(handle, transport, restore);
                    if restoring {
                        // Batches of what is stored and of what is new are not mixed.
                        join_all(std::mem::take(&mut waiting)).await;
                    }
                    waiting = feed.submit(handle, transport, new);
                    let (wishes, id) = (self.wishes.clone(), self.id.clone());
                    verdicts.spawn(async move {
                        let outcomes = join_all(waiting).await;
                        let is_good = outcomes.into_iter().all(crate::Outcome::is_durable);
                        let _ended = wishes.send(Wish::Done(id.clone(), bytes)).is_err();
                        if let Some(last) = last.filter(|_| is_good) {
                            let _ended = wishes.send(Wish::Stored(id, last + 1)).is_err();
                        }
                        is_good
                    });
                }
            }
        }
    }
}

fn count_partitions(partitions: &BTreeMap<i32, Condition>) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    metrics::gauge!("milepost_worker_partitions").set(partitions.len() as f64);
}

type Verdict = std::pin::Pin<Box<dyn Future<Output = crate::Outcome> + Send>>;

/// Records become envelopes; repeats of the transport are left out.
struct Feed {
    /// What comes before is stored.
    stored: Option<i64>,
    /// The highest position of each gateway's log.
    positions: BTreeMap<u128, u64>,
    /// The same, of what is read again to restore states.
    restored: BTreeMap<u128, u64>,
}

impl Feed {
    fn restores(&self, record: &Polled) -> bool {
        self.stored.is_some_and(|stored| record.offset < stored)
    }

    fn submit(
        &mut self,
        handle: &Handle,
        transport: &Transport,
        records: Vec<Polled>,
    ) -> Vec<Verdict> {
        let mut verdicts: Vec<Verdict> = Vec::with_capacity(records.len());
        for record in records {
            let offset = record.offset;
            let positions = if self.restores(&record) {
                &mut self.restored
            } else {
                &mut self.positions
            };
            let (gateway, position, envelope): (Arc<str>, _, _) =
                match proto::decode(record.payload.clone()) {
                    Ok(Wire {
                        gateway,
                        position,
                        envelope,
                        ..
                    }) => (gateway.into(), position, envelope),
                    Err(error) => {
                        metrics::counter!("milepost_worker_unreadable_total").increment(1);
                        (Arc::from("unknown"), None, unreadable(&record, &error))
                    }
                };
            if let Some(at) = position {
                let known = positions.get(&at.log);
                if known.is_some_and(|highest| at.position <= *highest) {
                    metrics::counter!("milepost_transport_repeats_total").increment(1);
                    continue;
                }
                positions.insert(at.log, at.position);
            }
            let position = position.map(|at| (at.log, at.position));
            transport.note(Passed::new(offset, gateway, position));
            verdicts.push(Box::pin(handle.submit_at(envelope, offset)));
        }
        verdicts
    }
}

/// A record that is no envelope, kept with its reason.
fn unreadable(record: &Polled, error: &proto::ProtoError) -> Envelope {
    let origin = Origin {
        epoch: 0,
        connection: 0,
        frame: record.offset.unsigned_abs(),
    };
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0));
    let why = Quarantine::new(format!("a record of the log is no envelope: {error}"));
    Envelope::new(
        origin,
        Timestamp::from_millis(now),
        Name::new("kafka"),
        record.payload.clone(),
        Content::Quarantined(why),
    )
}
