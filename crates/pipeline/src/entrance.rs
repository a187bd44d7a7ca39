//! The bounded way into the queues: first come, first served.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use milepost_telemetry::Envelope;
use tokio::sync::oneshot;

use crate::ack::{Ack, Outcome};
use crate::batch::{Pending, Work};

/// Room for frames without a verdict, and the line of those that wait for it.
///
/// The line moves by itself when room is given back: a frame's turn does not depend on when, or
/// in which order, the futures of those who wait are polled.
#[derive(Debug)]
pub(crate) struct Entrance {
    state: Mutex<State>,
    queues: Vec<mpsc::Sender<Work>>,
    spread: RandomState,
    received: Arc<AtomicU64>,
    /// What each frame takes at least, so that the number of frames is bounded as well.
    least: u64,
    capacity: u64,
}

#[derive(Debug)]
struct State {
    left: u64,
    closed: bool,
    /// Closed because a shard is gone.
    dead: bool,
    next_ticket: u64,
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    envelope: Envelope,
    cost: u64,
    tell: oneshot::Sender<Outcome>,
}

/// Room that a frame takes until its verdict is out.
#[derive(Debug)]
pub(crate) struct Room {
    entrance: Arc<Entrance>,
    cost: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.entrance.give_back(self.cost);
    }
}

/// A place in the line; dropping it takes the frame back, if it is still there.
#[derive(Debug)]
pub(crate) struct Ticket {
    entrance: Arc<Entrance>,
    number: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let left = self.entrance.state().waiting.remove(&self.number);
        drop(left);
    }
}

impl Entrance {
    pub(crate) fn new(
        frames: usize,
        bytes: usize,
        queues: Vec<mpsc::Sender<Work>>,
        received: Arc<AtomicU64>,
    ) -> Self {
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        // One count bounds both: where every frame takes at least its part of the bytes, there
        // are never more frames than that.
        let frames = number(frames).max(1);
        let least = (number(bytes) / frames).max(1);
        let capacity = least.saturating_mul(frames);
        Self {
            state: Mutex::new(State {
                left: capacity,
                closed: false,
                dead: false,
                next_ticket: 0,
                waiting: BTreeMap::new(),
            }),
            queues,
            spread: RandomState::new(),
            received,
            least,
            capacity,
        }
    }

    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    /// Whether nothing is taken in since a shard is gone.
    pub(crate) fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Takes a frame in, or puts it in the line. Its verdict is heard where this returns.
    pub(crate) fn enter(
        self: &Arc<Self>,
        envelope: Envelope,
        bytes: usize,
    ) -> (oneshot::Receiver<Outcome>, Option<Ticket>) {
        let (tell, heard) = oneshot::channel();
        let cost = u64::try_from(bytes)
            .unwrap_or(u64::MAX)
            .clamp(self.least, self.capacity);
        let frame = Waiting {
            envelope,
            cost,
            tell,
        };
        let mut state = self.state();
        if state.closed {
            drop(state);
            refuse([frame]);
            return (heard, None);
        }
        let number = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.insert(number, frame);
        let refused = self.admit(&mut state);
        let ticket = state.waiting.contains_key(&number);
        drop(state);
        drop(refused);
        let ticket = ticket.then(|| Ticket {
            entrance: Arc::clone(self),
            number,
        });
        (heard, ticket)
    }

    /// Takes nothing more in: those in the line are told so, and the shards end.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        for queue in &self.queues {
            // A shard that is gone has stopped.
            let _gone = queue.send(Work::Stop).is_err();
        }
        drop(state);
        refuse(waiting.into_values());
    }

    fn give_back(self: &Arc<Self>, cost: u64) {
        let mut state = self.state();
        state.left = state.left.saturating_add(cost).min(self.capacity);
        let refused = self.admit(&mut state);
        drop(state);
        drop(refused);
    }

    /// Lets in, from the front of the line, what there is room for. Under the lock, so that the
    /// order of the line is the order of the queue. What is refused, because a shard is gone, is
    /// dropped by the caller after the lock is released, since that gives back room.
    #[must_use]
    fn admit(self: &Arc<Self>, state: &mut State) -> Refused {
        let mut refused = Refused::default();
        while let Some(first) = state.waiting.first_entry() {
            if first.get().cost > state.left {
                break;
            }
            let frame = first.remove();
            state.left -= frame.cost;
            self.received.fetch_add(1, Ordering::AcqRel);
            let queue = self.queue_of(&frame.envelope);
            let room = Room {
                entrance: Arc::clone(self),
                cost: frame.cost,
            };
            let pending = Box::new(Pending {
                envelope: frame.envelope,
                cost: usize::try_from(frame.cost).unwrap_or(usize::MAX),
                ack: Ack::new(frame.tell, Some(room)),
            });
            let sent = match queue {
                Some(queue) => queue.send(Work::Frame(pending)),
                None => Err(mpsc::SendError(Work::Frame(pending))),
            };
            if let Err(mpsc::SendError(work)) = sent {
                // Its shard is gone, which only a defect can cause: nothing more is taken.
                state.dead = !state.closed;
                state.closed = true;
                refused.lost = Some(work);
                refused.waiting = std::mem::take(&mut state.waiting);
            }
        }
        refused
    }

    fn queue_of(&self, envelope: &Envelope) -> Option<&mpsc::Sender<Work>> {
        let shards = u64::try_from(self.queues.len()).unwrap_or(1).max(1);
        let shard = match &envelope.device {
            Some(device) if shards > 1 => self.spread.hash_one(device) % shards,
            _ => 0,
        };
        self.queues.get(usize::try_from(shard).unwrap_or(0))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Frames that were not taken in since a shard is gone: their callers hear it when this is dropped.
#[derive(Default)]
struct Refused {
    lost: Option<Work>,
    waiting: BTreeMap<u64, Waiting>,
}

impl Drop for Refused {
    fn drop(&mut self) {
        drop(self.lost.take());
        refuse(std::mem::take(&mut self.waiting).into_values());
    }
}

fn refuse(frames: impl IntoIterator<Item = Waiting>) {
    for frame in frames {
        // Whoever asked may have gone.
        let _gone = frame.tell.send(Outcome::Failed);
    }
}
