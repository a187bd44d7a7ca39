//! The way in and the way out: submit, drain.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use telemetry::{Content, Envelope, Report};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::ack::{Ack, Outcome};
use crate::batch::{BatchLimits, Gather, Pending, Work};
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
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue_frames: 20_000,
            queue_bytes: 64 * 1024 * 1024,
            batch: BatchLimits::default(),
            backoff: Backoff::default(),
            lanes: 65_536,
        }
    }
}

/// The way into a pipeline. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Room in the queue, in bytes of cost.
    room: Arc<Semaphore>,
    capacity: u32,
    /// What each frame costs at least, so that the number of frames is bounded too.
    least: u32,
    queues: Vec<mpsc::Sender<Work>>,
    spread: RandomState,
    received: Arc<AtomicU64>,
    health: Vec<Arc<HealthCell>>,
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
        let frames = u32::try_from(options.queue_frames.max(1)).unwrap_or(u32::MAX);
        let bytes = u32::try_from(options.queue_bytes).unwrap_or(u32::MAX);
        // One semaphore bounds both: where every frame costs at least its part of the bytes,
        // there are never more frames than that.
        let least = (bytes / frames).max(1);
        let capacity = least.saturating_mul(frames);
        let shared = Shared {
            room: Arc::new(Semaphore::new(
                usize::try_from(capacity).unwrap_or(usize::MAX >> 3),
            )),
            capacity,
            least,
            queues,
            spread: RandomState::new(),
            received,
            health,
        };
        Ok(Self {
            handle: Handle {
                shared: Arc::new(shared),
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
        self.handle.stop();
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
        self.handle.stop();
    }
}

/// Where an envelope stands after [`Handle::submit`] was called.
enum Place {
    Queued(oneshot::Receiver<Outcome>),
    Waiting(
        Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>,
        Box<Envelope>,
    ),
    Closed,
}

impl Handle {
    /// Takes an envelope over, and resolves when its outcome is known.
    ///
    /// Envelopes keep the order of the *calls*, even when their futures are polled in another
    /// order: the call itself takes the place in the queue. Where the queue is full the future
    /// waits, which is the back-pressure; it is counted as received when it enters. Dropping the
    /// future afterwards does not take the envelope back; dropping it while it waits does.
    pub fn submit(&self, envelope: Envelope) -> impl Future<Output = Outcome> + Send + 'static {
        let place = self.place(envelope);
        let shared = Arc::clone(&self.shared);
        async move {
            let heard = match place {
                Place::Queued(heard) => heard,
                Place::Closed => return Outcome::Failed,
                Place::Waiting(room, envelope) => match room.await {
                    Some(room) => shared.enter(*envelope, room),
                    None => return Outcome::Failed,
                },
            };
            heard.await.unwrap_or(Outcome::Lost)
        }
    }

    /// Whether the store takes data.
    pub fn health(&self) -> Health {
        let stalled = self.shared.health.iter().map(|cell| cell.get());
        stalled
            .into_iter()
            .find(|health| *health != Health::Ready)
            .unwrap_or_default()
    }

    /// How many frames were taken over in this run.
    pub fn received(&self) -> u64 {
        self.shared.received.load(Ordering::Acquire)
    }

    fn place(&self, envelope: Envelope) -> Place {
        let shared = &self.shared;
        let cost = shared.cost(&envelope);
        match Arc::clone(&shared.room).try_acquire_many_owned(cost) {
            Ok(room) => Place::Queued(shared.enter(envelope, room)),
            Err(tokio::sync::TryAcquireError::Closed) => Place::Closed,
            Err(tokio::sync::TryAcquireError::NoPermits) => {
                let room = Arc::clone(&shared.room);
                let mut waiting: Pin<Box<dyn Future<Output = _> + Send>> =
                    Box::pin(async move { room.acquire_many_owned(cost).await.ok() });
                // The semaphore is fair, and a future's place in its line is taken when it is
                // first polled: now, not when somebody gets round to it.
                match waiting
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                {
                    Poll::Ready(Some(room)) => Place::Queued(shared.enter(envelope, room)),
                    Poll::Ready(None) => Place::Closed,
                    Poll::Pending => Place::Waiting(waiting, Box::new(envelope)),
                }
            }
        }
    }

    fn stop(&self) {
        self.shared.room.close();
        for queue in &self.shared.queues {
            // A shard that is gone has stopped.
            drop(queue.send(Work::Stop));
        }
    }
}

impl Shared {
    fn cost(&self, envelope: &Envelope) -> u32 {
        let reports = match &envelope.content {
            Content::Reports(reports) => reports.iter().map(report_cost).sum(),
            Content::Filtered(_) | Content::Quarantined(_) => 0,
        };
        let bytes = size_of::<Envelope>()
            .saturating_add(envelope.raw.len())
            .saturating_add(reports);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        bytes.max(self.least).min(self.capacity)
    }

    fn enter(&self, envelope: Envelope, room: OwnedSemaphorePermit) -> oneshot::Receiver<Outcome> {
        let cost = room.num_permits();
        let (ack, heard) = Ack::new(Some(room));
        let shards = u64::try_from(self.queues.len()).unwrap_or(1).max(1);
        let shard = match &envelope.device {
            Some(device) if shards > 1 => self.spread.hash_one(device) % shards,
            _ => 0,
        };
        let pending = Box::new(Pending {
            envelope,
            cost,
            ack,
        });
        self.received.fetch_add(1, Ordering::AcqRel);
        if let Some(queue) = self.queues.get(usize::try_from(shard).unwrap_or(0))
            && let Err(mpsc::SendError(Work::Frame(refused))) = queue.send(Work::Frame(pending))
        {
            refused.ack.settle(Outcome::Failed);
        }
        heard
    }
}

fn report_cost(report: &Report) -> usize {
    let lists = size_of_val(report.events.as_slice())
        .saturating_add(size_of_val(report.signals.as_slice()))
        .saturating_add(report.text.as_ref().map_or(0, |text| text.len()));
    size_of::<Report>().saturating_add(lists)
}
