//! The way in and the way out: submit, drain.

use std::future::Future;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use milepost_telemetry::Envelope;
use tokio::sync::oneshot;

use crate::ack::Outcome;
use crate::batch::{BatchLimits, Gather};
use crate::entrance::Entrance;
use crate::health::{Health, HealthCell};
use crate::lane::Lanes;
use crate::retry::{Backoff, Patience};
use crate::shard::{Drained, Shard};
use crate::sink::Sink;
use crate::stage::Stages;

/// How much a pipeline may hold, and how it works.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Frames that are taken over and have no verdict yet, at most: what a crash can cost (none of
    /// it acknowledged).
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
        }
    }
}

/// The way into a pipeline. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    entrance: Arc<Entrance>,
    health: Arc<[Arc<HealthCell>]>,
    stalled_after: Duration,
}

/// A running pipeline: its shards, each a thread.
///
/// Dropping it without [`drain`](Self::drain) ends the intake; what is already queued is still
/// tried once.
#[derive(Debug)]
pub struct Pipeline {
    handle: Handle,
    patience: Arc<Patience>,
    shards: Vec<oneshot::Receiver<Drained>>,
}

impl Pipeline {
    /// Starts a pipeline with one shard.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(sink: impl Sink, options: &Options) -> std::io::Result<Self> {
        Self::start_sharded([sink], options)
    }

    /// Starts a pipeline with a shard for each sink; each device belongs to one of them.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start_sharded<S: Sink>(
        sinks: impl IntoIterator<Item = S>,
        options: &Options,
    ) -> std::io::Result<Self> {
        let patience = Arc::new(Patience::default());
        let received = Arc::new(AtomicU64::new(0));
        let (mut queues, mut shards, mut health) = (Vec::new(), Vec::new(), Vec::new());
        for sink in sinks {
            let (queue, work) = mpsc::channel();
            let (done, finished) = oneshot::channel();
            let cell = Arc::new(HealthCell::default());
            let shard = Shard {
                sink,
                lanes: Lanes::new(options.lanes),
                stages: Stages::default(),
                gather: Gather::new(options.batch.clone()),
                backoff: options.backoff.clone(),
                patience: Arc::clone(&patience),
                health: Arc::clone(&cell),
                check_every: options.check_every,
                received: Arc::clone(&received),
                summary: Drained::default(),
            };
            std::thread::Builder::new()
                .name(format!("shard-{}", queues.len()))
                .spawn(move || {
                    // Whoever waits for the end may have given up.
                    let _nobody = done.send(shard.run(&work));
                })?;
            queues.push(queue);
            shards.push(finished);
            health.push(cell);
        }
        let entrance = Entrance::new(options.queue_frames, options.queue_bytes, queues, received);
        Ok(Self {
            handle: Handle {
                entrance: Arc::new(entrance),
                health: health.into(),
                stalled_after: options.stalled_after,
            },
            patience,
            shards,
        })
    }

    /// The way in.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Takes nothing more, settles what was taken, and notes the end in the store. What cannot be
    /// stored within `patience` is `Failed`: its devices were not told.
    pub async fn drain(mut self, patience: Duration) -> Drained {
        self.patience.ends(Instant::now() + patience);
        self.handle.entrance.close();
        let mut all = Drained {
            clean: true,
            ..Drained::default()
        };
        for shard in std::mem::take(&mut self.shards) {
            all = all.and(shard.await.unwrap_or_default());
        }
        all
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.patience.ends(Instant::now());
        self.handle.entrance.close();
    }
}

impl Handle {
    /// Takes an envelope over, and resolves when its outcome is known.
    ///
    /// Envelopes keep the order of the *calls*, even when their futures are polled late, or in
    /// another order: the call itself takes the place in the line. Where the queue is full the
    /// envelope waits, which is the back-pressure; it is counted as received when it enters.
    /// Dropping the future afterwards does not take the envelope back; dropping it while it waits
    /// does.
    pub fn submit(&self, envelope: Envelope) -> impl Future<Output = Outcome> + Send + use<> {
        let cost = envelope.footprint();
        let (heard, ticket) = self.entrance.enter(envelope, cost);
        async move {
            let outcome = heard.await.unwrap_or(Outcome::Lost);
            drop(ticket);
            outcome
        }
    }

    /// Whether the store takes data, also when there is none: an idle store is asked every
    /// [`Options::check_every`]. That shows a lock that somebody else holds, or a disk that hangs
    /// (after [`Options::stalled_after`]); that a disk is full shows when something is written.
    pub fn health(&self) -> Health {
        if self.entrance.is_dead() {
            return Health::Stalled("a thread of the pipeline is gone".into());
        }
        let mut each = self.health.iter().map(|cell| cell.get(self.stalled_after));
        each.find(|health| *health != Health::Ready)
            .unwrap_or_default()
    }

    /// How many frames were taken over in this run.
    pub fn received(&self) -> u64 {
        self.entrance.received()
    }
}
