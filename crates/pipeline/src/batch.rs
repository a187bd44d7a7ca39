//! Which frames are committed together.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use milepost_telemetry::Envelope;

use crate::ack::Ack;

/// When a batch is complete. Whatever comes first.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BatchLimits {
    /// So many frames.
    pub frames: usize,
    /// So many bytes, by the estimate that also bounds the queue.
    pub bytes: usize,
    /// So long after its first frame, under load. When there is no load, a batch is committed as
    /// soon as the queue is empty.
    pub age: Duration,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            frames: 5_000,
            bytes: 16 * 1024 * 1024,
            age: Duration::from_millis(5),
        }
    }
}

/// An envelope in the queue.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) envelope: Envelope,
    pub(crate) cost: usize,
    pub(crate) ack: Ack,
}

/// What comes through the queue.
#[derive(Debug)]
pub(crate) enum Work {
    Frame(Box<Pending>),
    /// Nothing comes after this.
    Stop,
}

/// A batch, and whether it is the last.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) frames: Vec<Pending>,
    pub(crate) last: bool,
    bytes: usize,
}

impl Gathered {
    fn push(&mut self, pending: Pending) {
        self.bytes = self.bytes.saturating_add(pending.cost);
        self.frames.push(pending);
    }
}

/// Gathers batches: what waits is taken together. If the batch before this one was more than a
/// few frames, so that commits are the bottleneck, more are waited for.
#[derive(Debug)]
pub(crate) struct Gather {
    limits: BatchLimits,
    busy: bool,
}

/// A batch of more frames than this is a sign of load.
const FEW: usize = 4;

impl Gather {
    pub(crate) const fn new(limits: BatchLimits) -> Self {
        Self {
            limits,
            busy: false,
        }
    }

    /// Waits for the next batch, and calls `idle` whenever nothing has come for `every`.
    pub(crate) fn next(
        &mut self,
        queue: &Receiver<Work>,
        every: Duration,
        mut idle: impl FnMut(),
    ) -> Gathered {
        let mut batch = Gathered::default();
        loop {
            match queue.recv_timeout(every) {
                Err(RecvTimeoutError::Timeout) => {
                    idle();
                    continue;
                }
                Ok(Work::Frame(first)) => batch.push(*first),
                Ok(Work::Stop) | Err(RecvTimeoutError::Disconnected) => batch.last = true,
            }
            break;
        }
        let wait = self.busy.then(|| Instant::now() + self.limits.age);
        self.fill(&mut batch, queue, wait);
        self.busy = batch.frames.len() > FEW;
        batch
    }

    /// Takes what waits already, perhaps nothing.
    pub(crate) fn ready(&mut self, queue: &Receiver<Work>) -> Gathered {
        let mut batch = Gathered::default();
        self.top_up(&mut batch, queue);
        batch
    }

    /// Adds what has come meanwhile.
    pub(crate) fn top_up(&mut self, batch: &mut Gathered, queue: &Receiver<Work>) {
        self.fill(batch, queue, None);
        self.busy = batch.frames.len() > FEW;
    }

    fn fill(&self, batch: &mut Gathered, queue: &Receiver<Work>, until: Option<Instant>) {
        while !batch.last
            && batch.frames.len() < self.limits.frames
            && batch.bytes < self.limits.bytes
        {
            let next = match (queue.try_recv(), until) {
                (Ok(work), _) => work,
                (Err(TryRecvError::Disconnected), _) => Work::Stop,
                (Err(TryRecvError::Empty), None) => return,
                (Err(TryRecvError::Empty), Some(until)) => {
                    let left = until.saturating_duration_since(Instant::now());
                    match queue.recv_timeout(left) {
                        Ok(work) => work,
                        Err(RecvTimeoutError::Timeout) => return,
                        Err(RecvTimeoutError::Disconnected) => Work::Stop,
                    }
                }
            };
            match next {
                Work::Frame(pending) => batch.push(*pending),
                Work::Stop => batch.last = true,
            }
        }
    }
}
