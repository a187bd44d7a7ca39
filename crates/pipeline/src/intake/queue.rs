//! Permits and waiting: who may put a frame into the queue, and who takes them out.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use milepost_telemetry::Envelope;
use tokio::sync::oneshot;

use super::turns::Turns;
use super::{BatchLimits, Pending, RESERVE_PART, Selection};
use crate::ack::{Ack, Outcome};
use crate::permit::{Cost, Permit, Permits};

/// The bounded queue of one shard.
#[derive(Debug)]
pub(crate) struct IntakeQueue {
    state: Mutex<State>,
    /// Notified when there is as much as the shard waits for.
    available: Condvar,
    received: AtomicU64,
    /// What each frame takes at least, so that the number of frames is bounded as well.
    least: u64,
    /// What all frames may take, and what only urgent ones and those before them may.
    capacity: Cost,
}

#[derive(Debug)]
struct State {
    left: Cost,
    closed: bool,
    /// Closed because the shard has ended.
    dead: bool,
    next_ticket: u64,
    turns: Turns,
    waiting: Waiting,
    /// Notify when there are so many frames; the shard is not waiting otherwise.
    wake_at: Option<usize>,
    busy: bool,
}

/// Frames without a permit, a line for each connection.
#[derive(Debug, Default)]
struct Waiting {
    lines: HashMap<u64, WaitingLine>,
    turns: VecDeque<u64>,
    urgent: VecDeque<u64>,
    len: usize,
}

#[derive(Debug, Default)]
struct WaitingLine {
    frames: VecDeque<Submitted>,
    urgent: usize,
    /// Whether it is in `turns`.
    listed: bool,
}

#[derive(Debug)]
struct Submitted {
    ticket: u64,
    envelope: Envelope,
    offset: Option<i64>,
    cost: u64,
    verdict: oneshot::Sender<Outcome>,
}

impl Submitted {
    const fn is_urgent(&self) -> bool {
        self.envelope.urgent && self.offset.is_none()
    }
}

/// A batch of more frames than this is a sign of load.
const FEW: usize = 4;

/// The right to take a frame back that has no permit yet: done when this is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    queue: Arc<IntakeQueue>,
    line: u64,
    number: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let taken_back = self.queue.state().waiting.remove(self.line, self.number);
        drop(taken_back);
    }
}

impl Permits for IntakeQueue {
    fn release(self: Arc<Self>, cost: Cost) {
        self.give_back(cost);
    }
}

impl IntakeQueue {
    pub(crate) fn new(frames: usize, bytes: usize) -> Self {
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        // One count bounds both: if every frame takes at least its part of the bytes, there are
        // never more frames than that.
        let frames = number(frames).max(1);
        let least = (number(bytes) / frames).max(1);
        let reserved = frames / RESERVE_PART;
        let capacity = Cost {
            open: least.saturating_mul(frames - reserved),
            reserved: least.saturating_mul(reserved),
        };
        Self {
            state: Mutex::new(State {
                left: capacity,
                closed: false,
                dead: false,
                next_ticket: 0,
                turns: Turns::new(least),
                waiting: Waiting::default(),
                wake_at: None,
                busy: false,
            }),
            available: Condvar::new(),
            received: AtomicU64::new(0),
            least,
            capacity,
        }
    }

    /// Frames that were given a permit, each frame of an envelope counted.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    /// Whether nothing is taken in since the shard has ended.
    pub(crate) fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Takes a frame in, or has it wait for a permit. Its verdict comes through the receiver.
    pub(crate) fn submit(
        self: &Arc<Self>,
        envelope: Envelope,
        offset: Option<i64>,
    ) -> (oneshot::Receiver<Outcome>, Option<Ticket>) {
        let (verdict, heard) = oneshot::channel();
        let cost = u64::try_from(envelope.footprint())
            .unwrap_or(u64::MAX)
            .clamp(self.least, self.capacity.open);
        let line = Turns::line_of(&envelope, offset);
        let mut submitted = Submitted {
            ticket: 0,
            envelope,
            offset,
            cost,
            verdict,
        };
        let mut state = self.state();
        if state.closed {
            drop(state);
            refuse(submitted);
            return (heard, None);
        }
        // The usual case: there are permits, and nobody waits for one.
        if state.waiting.len == 0 && state.left.open >= cost {
            self.admit(&mut state, submitted, false);
            self.wake(&state);
            return (heard, None);
        }
        let number = state.next_ticket;
        state.next_ticket += 1;
        submitted.ticket = number;
        state.waiting.push(line, submitted);
        self.admit_waiting(&mut state);
        self.wake(&state);
        let waits = state.waiting.has(line, number);
        drop(state);
        let ticket = waits.then(|| Ticket {
            queue: Arc::clone(self),
            line,
            number,
        });
        (heard, ticket)
    }

    /// Takes nothing more in: frames without a permit are refused, the others are still given
    /// out.
    pub(crate) fn close(&self) {
        self.end(false);
    }

    /// The shard has ended, and nothing is given out any more.
    pub(crate) fn shard_ended(&self) {
        self.end(true);
    }

    fn end(&self, dead: bool) {
        let mut state = self.state();
        // Whoever closed it wanted the shard to end.
        state.dead |= dead && !state.closed;
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        let mut left = Selection::default();
        if dead {
            let everything = BatchLimits {
                frames: usize::MAX,
                bytes: usize::MAX,
                ..BatchLimits::default()
            };
            while state.turns.len() > 0 {
                let mut selection = state.turns.select();
                state.turns.fill(&mut selection, &everything);
                left.frames.append(&mut selection.frames);
            }
        }
        drop(state);
        self.available.notify_all();
        for line in waiting.lines.into_values() {
            line.frames.into_iter().for_each(refuse);
        }
        for pending in left.frames {
            let _not_used_again = pending.ack.resolve(Outcome::Failed);
        }
    }

    /// Gives permits back.
    pub(crate) fn give_back(self: &Arc<Self>, cost: Cost) {
        let mut state = self.state();
        state.left.add(cost);
        self.admit_waiting(&mut state);
        self.wake(&state);
    }

    /// Waits for the next batch, and calls `idle` whenever nothing has come for `every`. If the
    /// batch before was more than a few frames, so that commits are the bottleneck, more are
    /// waited for.
    pub(crate) fn next(
        &self,
        limits: &BatchLimits,
        every: Duration,
        mut idle: impl FnMut(),
    ) -> Selection {
        let mut state = self.state();
        while state.turns.len() == 0 && !state.closed {
            state.wake_at = Some(1);
            let (guard, waited) = self
                .available
                .wait_timeout(state, every)
                .unwrap_or_else(PoisonError::into_inner);
            state = guard;
            state.wake_at = None;
            if waited.timed_out() && state.turns.len() == 0 && !state.closed {
                drop(state);
                idle();
                state = self.state();
            }
        }
        if state.busy {
            let until = Instant::now() + limits.age;
            while state.turns.len() < limits.frames && !state.turns.has_urgent() && !state.closed {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                state.wake_at = Some(limits.frames);
                let (guard, _) = self
                    .available
                    .wait_timeout(state, left)
                    .unwrap_or_else(PoisonError::into_inner);
                state = guard;
                state.wake_at = None;
            }
        }
        self.select(state, limits)
    }

    /// Takes what is there already, perhaps nothing.
    pub(crate) fn ready(&self, limits: &BatchLimits) -> Selection {
        self.select(self.state(), limits)
    }

    /// Adds what has come meanwhile.
    pub(crate) fn top_up(&self, selection: &mut Selection, limits: &BatchLimits) {
        let mut state = self.state();
        state.turns.fill(selection, limits);
        state.busy = selection.frames.len() > FEW;
        selection.last = state.closed && state.turns.len() == 0;
    }

    fn select(&self, mut state: MutexGuard<'_, State>, limits: &BatchLimits) -> Selection {
        let mut selection = state.turns.select();
        state.turns.fill(&mut selection, limits);
        state.busy = selection.frames.len() > FEW;
        selection.last = state.closed && state.turns.len() == 0;
        selection
    }

    /// Gives permits to those that wait, in turns. Under the lock, so that the order of a line is
    /// the order of the queue.
    fn admit_waiting(self: &Arc<Self>, state: &mut State) {
        while let Some(line) = state.waiting.turns.front().copied() {
            match state.waiting.next(line, state.left.open, false) {
                Next::Frame(submitted) => {
                    self.admit(state, *submitted, false);
                    state.waiting.turns.rotate_left(1);
                }
                Next::None => {
                    state.waiting.turns.pop_front();
                    state.waiting.lines.remove(&line);
                }
                Next::TooLarge => break,
            }
        }
        // A frame that is too large for what is left of the reserve blocks its own line only.
        let mut skipped = 0;
        while skipped < state.waiting.urgent.len()
            && let Some(line) = state.waiting.urgent.front().copied()
        {
            match state.waiting.next(line, state.left.reserved, true) {
                Next::Frame(submitted) => {
                    self.admit(state, *submitted, true);
                    state.waiting.urgent.rotate_left(1);
                    skipped = 0;
                }
                Next::None => {
                    state.waiting.urgent.pop_front();
                }
                Next::TooLarge => {
                    state.waiting.urgent.rotate_left(1);
                    skipped += 1;
                }
            }
        }
        // Lines that only the urgent turns have emptied.
        if state.waiting.len == 0 {
            state.waiting = Waiting::default();
        }
    }

    fn admit(self: &Arc<Self>, state: &mut State, submitted: Submitted, reserved: bool) {
        let mut cost = Cost::default();
        if reserved {
            cost.reserved = submitted.cost;
        } else {
            cost.open = submitted.cost;
        }
        state.left.open -= cost.open;
        state.left.reserved -= cost.reserved;
        let frames = submitted.envelope.frames.count();
        self.received.fetch_add(frames, Ordering::AcqRel);
        let home = Arc::clone(self);
        state.turns.push(Pending {
            envelope: Arc::new(submitted.envelope),
            offset: submitted.offset,
            cost: submitted.cost,
            ack: Ack::new(submitted.verdict, Permit::new(home, cost)),
        });
    }

    fn wake(&self, state: &State) {
        let enough = |at| state.turns.len() >= at || state.turns.has_urgent();
        if state.wake_at.is_some_and(enough) {
            self.available.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line's next frame, if it may have a permit.
enum Next {
    Frame(Box<Submitted>),
    /// There is none, or no urgent one any more.
    None,
    TooLarge,
}

impl Waiting {
    fn push(&mut self, key: u64, submitted: Submitted) {
        let line = self.lines.entry(key).or_default();
        if !line.listed {
            line.listed = true;
            self.turns.push_back(key);
        }
        if submitted.is_urgent() {
            line.urgent += 1;
            if line.urgent == 1 {
                self.urgent.push_back(key);
            }
        }
        line.frames.push_back(submitted);
        self.len += 1;
    }

    fn next(&mut self, key: u64, left: u64, urgent: bool) -> Next {
        let Some(line) = self.lines.get_mut(&key) else {
            return Next::None;
        };
        match line.frames.front() {
            None => Next::None,
            Some(_) if urgent && line.urgent == 0 => Next::None,
            Some(first) if first.cost > left => Next::TooLarge,
            Some(_) => match line.frames.pop_front() {
                None => Next::None,
                Some(first) => {
                    line.urgent -= usize::from(first.is_urgent());
                    self.len -= 1;
                    Next::Frame(Box::new(first))
                }
            },
        }
    }

    fn has(&self, key: u64, ticket: u64) -> bool {
        self.lines
            .get(&key)
            .and_then(|line| line.frames.back())
            .is_some_and(|last| last.ticket == ticket)
    }

    fn remove(&mut self, key: u64, ticket: u64) -> Option<Submitted> {
        let line = self.lines.get_mut(&key)?;
        let at = line.frames.iter().position(|one| one.ticket == ticket)?;
        let removed = line.frames.remove(at)?;
        line.urgent -= usize::from(removed.is_urgent());
        self.len -= 1;
        // A stall can last for hours, and connections come and go meanwhile.
        if line.frames.is_empty() {
            self.lines.remove(&key);
            let most = self.lines.len().saturating_mul(2).saturating_add(64);
            for turns in [&mut self.turns, &mut self.urgent] {
                if turns.len() > most {
                    turns.retain(|key| self.lines.contains_key(key));
                }
            }
        }
        Some(removed)
    }
}

fn refuse(submitted: Submitted) {
    // The caller may have gone.
    let _gone = submitted.verdict.send(Outcome::Failed).is_err();
}
