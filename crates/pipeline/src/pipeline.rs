//! The way in and the way out: attach, submit, detach, drain.

use std::collections::HashMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use milepost_telemetry::Envelope;
use tokio::sync::oneshot;

use crate::ack::Outcome;
use crate::condition::{Condition, Health, HealthCell};
use crate::follow::{FollowerHealth, Followers};
use crate::intake::{BatchLimits, IntakeQueue};
use crate::lane::{Lane, Lanes, Snapshot};
use crate::retry::{Backoff, RetryDeadline};
use crate::shard::{Drained, Pace, SetAside, Shard};
use crate::sink::{Follower, Judge, Replay};
use crate::stage::Stages;

/// How much a pipeline may hold, and how it works.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Envelopes of a shard that are taken over and have no verdict yet, at most: what a crash
    /// can cost (none of it acknowledged).
    pub queue_frames: usize,
    /// Their bytes, at most: an estimate of the memory they take.
    pub queue_bytes: usize,
    /// What is committed together.
    pub batch: BatchLimits,
    /// How a store that does not take data now is tried again.
    pub backoff: Backoff,
    /// Devices whose state is kept in memory, per shard; others are read back from the store.
    pub lanes: usize,
    /// How often an idle store is asked whether it would take data, for [`Handle::health`].
    pub check_every: Duration,
    /// How long a store may be at work on one batch before it counts as stalled.
    pub stalled_after: Duration,
    /// How long followers may still catch up when their shard has ended.
    pub followers_drain: Duration,
    /// What is done with each report, in order.
    pub stages: Stages,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue_frames: 20_000,
            queue_bytes: 64 * 1024 * 1024,
            batch: BatchLimits::default(),
            backoff: Backoff::default(),
            lanes: 65_536,
            check_every: Duration::from_secs(2),
            stalled_after: Duration::from_secs(10),
            followers_drain: Duration::from_secs(5),
            stages: Stages::default(),
        }
    }
}

/// The number of a shard. A pipeline that takes connections has one; one that reads a log has one
/// per partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u32);

/// The way into a shard. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    queue: Arc<IntakeQueue>,
    health: Arc<HealthCell>,
    condition: Condition,
    followers: Followers,
    backoff: Backoff,
    deadline: Arc<RetryDeadline>,
    stalled_after: Duration,
}

/// A running pipeline: its shards, each a thread.
///
/// Dropping it without [`drain`](Self::drain) ends the intake; what is already queued is still
/// tried once.
#[derive(Debug)]
pub struct Pipeline {
    options: Options,
    shards: Mutex<HashMap<ShardId, Running>>,
    first: Option<Handle>,
}

/// How long a call of the judge may still take when the time of a drain has run out.
const END_GRACE: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Running {
    handle: Handle,
    followers_drain: Duration,
    ended: oneshot::Receiver<(Drained, Snapshot)>,
}

impl Running {
    /// Takes nothing more, and waits for the shard's end: for all the time that its parts have,
    /// and [`END_GRACE`].
    async fn end(self, by: Instant) -> (Drained, Snapshot) {
        self.handle.deadline.set(by);
        self.handle.queue.close();
        let most = by
            .saturating_duration_since(Instant::now())
            .saturating_add(self.followers_drain)
            .saturating_add(END_GRACE);
        match tokio::time::timeout(most, self.ended).await {
            // Without a result it has panicked.
            Ok(result) => result.unwrap_or_default(),
            Err(_) => {
                tracing::error!(
                    seconds = most.as_secs(),
                    "a shard has not ended in time: its store does not answer"
                );
                (Drained::default(), Snapshot::default())
            }
        }
    }
}

impl Pipeline {
    /// A pipeline without shards: [`attach`](Self::attach) adds them.
    pub fn new(options: &Options) -> Self {
        Self {
            options: options.clone(),
            shards: Mutex::default(),
            first: None,
        }
    }

    /// Starts a pipeline with one shard.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(judge: impl Judge, options: &Options) -> std::io::Result<Self> {
        let mut pipeline = Self::new(options);
        let handle = pipeline.attach(ShardId(0), judge, Snapshot::default())?;
        pipeline.first = Some(handle);
        Ok(pipeline)
    }

    /// Starts a shard, with the lanes that it begins with (none: all are read from the judge when
    /// they are needed). Its devices must be those of no other shard.
    ///
    /// # Errors
    /// When there is a shard of that number, or no thread can be started.
    pub fn attach(
        &self,
        shard: ShardId,
        judge: impl Judge,
        lanes: Snapshot,
    ) -> std::io::Result<Handle> {
        let mut shards = self.shards();
        if shards.contains_key(&shard) {
            return Err(std::io::Error::new(
                std::io::ErrorKind::AlreadyExists,
                format!("shard {} is attached already", shard.0),
            ));
        }
        let options = &self.options;
        let handle = Handle {
            queue: Arc::new(IntakeQueue::new(options.queue_frames, options.queue_bytes)),
            health: Arc::default(),
            condition: judge.condition(),
            followers: Followers::default(),
            backoff: options.backoff.clone(),
            deadline: Arc::default(),
            stalled_after: options.stalled_after,
        };
        let mut kept = Lanes::new(options.lanes);
        for (key, loaded) in lanes.lanes {
            kept.keep(key, Lane::restore(loaded, &options.stages));
        }
        let running = Shard {
            judge,
            queue: Arc::clone(&handle.queue),
            lanes: kept,
            stages: options.stages.clone(),
            limits: options.batch.clone(),
            pace: Pace::default(),
            backoff: options.backoff.clone(),
            deadline: Arc::clone(&handle.deadline),
            health: Arc::clone(&handle.health),
            condition: handle.condition.clone(),
            check_every: options.check_every,
            followers: handle.followers.clone(),
            followers_drain: options.followers_drain,
            summary: Drained::default(),
            set_aside: SetAside::default(),
            offset: None,
        };
        let (done, ended) = oneshot::channel();
        let (queue, condition) = (Arc::clone(&handle.queue), handle.condition.clone());
        std::thread::Builder::new()
            .name(format!("shard-{}", shard.0))
            .spawn(move || {
                // Whatever a panic leaves behind is not used again: the process is to end.
                let result = catch_unwind(AssertUnwindSafe(|| running.run()));
                if result.is_err() {
                    condition.fail(&format!("shard {} has panicked: see the log", shard.0));
                }
                queue.shard_ended();
                if let Ok(result) = result {
                    // Whoever waits for the end may have given up.
                    let _nobody = done.send(result).is_err();
                }
            })?;
        let running = Running {
            handle: handle.clone(),
            followers_drain: options.followers_drain,
            ended,
        };
        shards.insert(shard, running);
        Ok(handle)
    }

    /// Takes nothing more for a shard, stores what was taken, and notes the end in its store.
    /// What cannot be stored within `within` is `Failed`; then followers have
    /// [`Options::followers_drain`]. Returns the shard's sums and its lanes; nothing if there is no
    /// such shard. Needs a runtime with time enabled.
    pub async fn detach(&self, shard: ShardId, within: Duration) -> Option<(Drained, Snapshot)> {
        let running = self.shards().remove(&shard)?;
        Some(running.end(Instant::now() + within).await)
    }

    /// The way into the shard of a pipeline that was [started](Self::start) with one.
    ///
    /// # Panics
    /// When it was made without: [`attach`](Self::attach) returns the handles then.
    #[expect(clippy::expect_used, reason = "a misuse that shows at the first call")]
    pub fn handle(&self) -> Handle {
        self.first.clone().expect("a pipeline that was started")
    }

    /// Takes nothing more, stores what was taken, and notes the end in the store. What cannot be
    /// stored within `within` is `Failed`: its devices get no acknowledgement. Then followers have
    /// [`Options::followers_drain`]. Needs a runtime with time enabled.
    pub async fn drain(self, within: Duration) -> Drained {
        let shards = std::mem::take(&mut *self.shards());
        let mut all = Drained {
            clean: true,
            ..Drained::default()
        };
        let by = Instant::now() + within;
        for running in shards.values() {
            running.handle.deadline.set(by);
            running.handle.queue.close();
        }
        for running in shards.into_values() {
            all = all.and(running.end(by).await.0);
        }
        all
    }

    fn shards(&self) -> MutexGuard<'_, HashMap<ShardId, Running>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        for running in self.shards().values() {
            running.handle.deadline.set(Instant::now());
            running.handle.queue.close();
        }
    }
}

impl Handle {
    /// Takes an envelope over, and resolves when its outcome is known.
    ///
    /// Envelopes of one connection keep the order of the *calls*, even when their futures are
    /// polled late, or in another order. If the queue is full the envelope waits, which is the
    /// back-pressure; it is counted as received when it enters. Dropping the future afterwards
    /// does not take the envelope back; dropping it while it waits does.
    pub fn submit(&self, envelope: Envelope) -> impl Future<Output = Outcome> + Send + use<> {
        self.put(envelope, None)
    }

    /// Takes an envelope over that comes from a log, with its offset there. All of them are kept
    /// in the order of the calls, which is to be the order of the log.
    pub fn submit_at(
        &self,
        envelope: Envelope,
        offset: i64,
    ) -> impl Future<Output = Outcome> + Send + use<> {
        self.put(envelope, Some(offset))
    }

    fn put(
        &self,
        envelope: Envelope,
        offset: Option<i64>,
    ) -> impl Future<Output = Outcome> + Send + use<> {
        let (verdict, ticket) = self.queue.submit(envelope, offset);
        async move {
            let outcome = verdict.await.unwrap_or(Outcome::Lost);
            drop(ticket);
            outcome
        }
    }

    /// Adds a follower. It begins where it says, and gets from `replay` what it has missed.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn follow(
        &self,
        name: &str,
        follower: impl Follower,
        replay: impl Replay,
    ) -> std::io::Result<()> {
        self.followers
            .add(name, follower, replay, self.backoff.clone())
    }

    /// The state of each follower: one that fails or panics is tried again and delays nothing.
    pub fn followers(&self) -> Vec<FollowerHealth> {
        self.followers.health()
    }

    /// Whether the store takes data, also while there is none: an idle store is asked every
    /// [`Options::check_every`]. That shows a lock that another program holds, or a disk that
    /// hangs (after [`Options::stalled_after`]); a full disk shows when something is written.
    pub fn health(&self) -> Health {
        if let Some(problem) = self.condition.problem() {
            return Health::Stalled(problem);
        }
        if self.queue.is_dead() {
            return Health::Stalled("the pipeline's thread has ended".into());
        }
        self.health.get(self.stalled_after)
    }

    /// The condition of the shard and of its store: whoever runs the process ends it when this
    /// has [failed](Condition::failed).
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// How many frames were taken over in this run.
    pub fn received(&self) -> u64 {
        self.queue.received()
    }
}
