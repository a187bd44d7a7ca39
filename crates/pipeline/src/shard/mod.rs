//! One thread that works on its devices' frames, in order.

mod count;
mod pace;
mod prepare;
mod set_aside;

use std::sync::Arc;
use std::time::{Duration, Instant};

use milepost_telemetry::Content;

use crate::SinkError;
use crate::ack::Outcome;
use crate::condition::{Condition, HealthCell};
use crate::follow::Followers;
use crate::intake::{BatchLimits, IntakeQueue, Pending};
use crate::lane::{Lanes, Snapshot};
use crate::permit::Cost;
use crate::retry::{Backoff, RetryDeadline};
use crate::sink::{Batch, Judge, Mark, Source, Written};
use crate::stage::Stages;
use count::{count, count_rejected};
pub(crate) use pace::Pace;
use prepare::Overlay;
pub(crate) use set_aside::SetAside;

/// A shard: the only owner of its lanes and of its judge.
pub(crate) struct Shard<J> {
    pub(crate) judge: J,
    pub(crate) queue: Arc<IntakeQueue>,
    pub(crate) lanes: Lanes,
    pub(crate) stages: Stages,
    pub(crate) limits: BatchLimits,
    pub(crate) pace: Pace,
    pub(crate) backoff: Backoff,
    pub(crate) deadline: Arc<RetryDeadline>,
    pub(crate) health: Arc<HealthCell>,
    pub(crate) condition: Condition,
    pub(crate) check_every: Duration,
    pub(crate) followers: Followers,
    pub(crate) followers_drain: Duration,
    pub(crate) summary: Drained,
    pub(crate) set_aside: SetAside,
    /// The first offset of the source that is in no committed batch.
    pub(crate) offset: Option<i64>,
}

/// What a shard did in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Frames whose outcome is durable.
    pub settled: u64,
    /// Frames that could not be stored; no device got an acknowledgement for them.
    pub failed: u64,
    /// Whether the store has noted a clean end.
    pub clean: bool,
    /// Followers that had not caught up within [`Options::followers_drain`]: they get the rest
    /// when they are started again.
    ///
    /// [`Options::followers_drain`]: crate::Options::followers_drain
    pub followers_behind: u64,
}

impl Drained {
    /// The sum of two shards.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            settled: self.settled.saturating_add(other.settled),
            failed: self.failed.saturating_add(other.failed),
            clean: self.clean && other.clean,
            followers_behind: self.followers_behind.saturating_add(other.followers_behind),
        }
    }
}

/// Why a batch is not tried again.
enum Stop {
    /// A record in it is at fault.
    Refused(SinkError),
    /// The deadline has come, or the store can never take it.
    GivenUp,
}

/// A batch that is being written.
struct UnderWay {
    frames: Vec<Pending>,
    batch: Arc<Batch>,
    overlay: Overlay,
    since: Instant,
}

/// From so many frames on, a batch is prepared while the one before is being written. A smaller
/// one waits for that, so that more can join it.
const WORTH_PREPARING: usize = 64;

impl<J: Judge> Shard<J> {
    /// Works until the queue ends.
    ///
    /// While one batch is being written the next is prepared, on top of the states that the first
    /// will have left. If the first fails, what was prepared is dropped, and both are done again,
    /// one after the other.
    pub(crate) fn run(mut self) -> (Drained, Snapshot) {
        let queue = Arc::clone(&self.queue);
        let mut under_way: Option<UnderWay> = None;
        loop {
            let limits = self.pace.limits(&self.limits, Instant::now());
            let mut selected = if under_way.is_some() {
                queue.ready(&limits)
            } else {
                let idle = || check(&mut self.judge, &self.health);
                queue.next(&limits, self.check_every, idle)
            };
            if selected.frames.len() < WORTH_PREPARING
                && let Some(before) = under_way.take()
            {
                if let Err(frames) = self.finish_batch(before) {
                    self.store(frames);
                }
                queue.top_up(&mut selected, &limits);
            }
            if selected.urgent > 0 {
                self.pace.urgent(Instant::now());
            }
            if !selected.frames.is_empty() {
                under_way = self.begin_batch(selected.frames, under_way);
            }
            if selected.last {
                break;
            }
        }
        if let Some(before) = under_way
            && let Err(frames) = self.finish_batch(before)
        {
            self.store(frames);
        }
        // The end is noted first: a follower that lags says nothing about the run.
        self.note_end();
        self.summary.followers_behind = self.followers.finish(self.followers_drain);
        let lanes = self.lanes.iter();
        let snapshot = Snapshot {
            lanes: lanes
                .map(|(key, lane)| (*key, lane.snapshot(&self.stages)))
                .collect(),
        };
        (self.summary, snapshot)
    }

    /// Prepares a batch, waits for the one before it, and begins to write it.
    fn begin_batch(
        &mut self,
        mut frames: Vec<Pending>,
        before: Option<UnderWay>,
    ) -> Option<UnderWay> {
        let overlay = before.as_ref().map(|before| &before.overlay);
        let prepared = self.prepare(&mut frames, overlay);
        let prepared = prepared.and_then(|(overlay, batch)| {
            let prepared = self.judge.prepare(&batch)?;
            Ok((overlay, batch, prepared))
        });
        let completed = match before {
            None => Ok(None),
            Some(before) => self.complete_batch(before).map(Some),
        };
        let (prepared, completed) = match (prepared, completed) {
            // Only what was prepared on top of states that are committed may be written.
            (Ok(prepared), Ok(completed)) => (prepared, completed),
            (_, completed) => {
                match completed {
                    Ok(Some(completed)) => self.acknowledge(completed),
                    Ok(None) => {}
                    Err(failed) => self.store(failed),
                }
                self.store(frames);
                return None;
            }
        };
        let (overlay, batch, prepared) = prepared;
        let begun = self.begin(prepared);
        // The devices of the batch before are told while this one is being written.
        if let Some(completed) = completed {
            self.acknowledge(completed);
        }
        match begun {
            Ok(()) => Some(UnderWay {
                frames,
                batch,
                overlay,
                since: Instant::now(),
            }),
            Err(_) => {
                self.store(frames);
                None
            }
        }
    }

    /// Waits for a batch, and tells its devices; or gives its frames back.
    fn finish_batch(&mut self, under_way: UnderWay) -> Result<(), Vec<Pending>> {
        let frames = self.complete_batch(under_way)?;
        self.acknowledge(frames);
        Ok(())
    }

    /// Waits for a batch. If it is durable its states are the committed ones. Its frames come
    /// back either way.
    fn complete_batch(&mut self, under_way: UnderWay) -> Result<Vec<Pending>, Vec<Pending>> {
        match self.complete() {
            Ok(written) => {
                count(&written, under_way.since);
                self.pace
                    .committed(under_way.frames.len(), under_way.since.elapsed());
                self.commit(under_way.overlay, under_way.batch, written);
                Ok(under_way.frames)
            }
            Err(error) => {
                tracing::debug!(%error, "a batch was not stored; it is tried again alone");
                Err(under_way.frames)
            }
        }
    }

    fn begin(&mut self, prepared: J::Prepared) -> Result<(), SinkError> {
        // A log is read again from the mark: it must not pass over a frame that failed. (A device
        // repeats what was not acknowledged.)
        if self.summary.failed > 0 && matches!(self.judge.source(), Source::Partition { .. }) {
            return Err(SinkError::fatal(
                "an earlier frame of the log was not stored",
            ));
        }
        self.health.call_begins();
        let begun = self.judge.begin(prepared);
        if begun.is_err() {
            self.health.call_ends();
        }
        begun
    }

    fn complete(&mut self) -> Result<Written, SinkError> {
        let written = self.judge.complete();
        self.health.call_ends();
        written
    }

    fn commit(&mut self, overlay: Overlay, batch: Arc<Batch>, written: Written) {
        for (device, lane) in overlay.into_lanes() {
            self.lanes.keep(device, lane);
        }
        count_rejected(&batch.reports);
        if let Mark::Offset { offset, .. } = batch.mark {
            self.offset = offset;
        }
        self.health.ready();
        if !self.followers.is_empty() {
            self.followers.offer(batch, written);
        }
    }

    fn acknowledge(&mut self, frames: Vec<Pending>) {
        let mut cost = Cost::default();
        for pending in frames {
            let outcome = match pending.envelope.content {
                Content::Filtered(_) => Outcome::Filtered,
                Content::Reports(_) | Content::Quarantined(_) => Outcome::Delivered,
            };
            self.summary.settled += pending.envelope.frames.count();
            cost.add(pending.ack.resolve(outcome));
        }
        self.queue.give_back(cost);
    }

    /// Stores frames, in order, and tells each its outcome. It takes as long as it takes.
    fn store(&mut self, mut frames: Vec<Pending>) {
        match self.attempt(&mut frames) {
            Ok(()) => self.acknowledge(frames),
            Err(Stop::GivenUp) => self.fail(frames),
            Err(Stop::Refused(error)) if frames.len() == 1 => {
                for pending in frames {
                    self.set_aside(pending, &error);
                }
            }
            Err(Stop::Refused(_)) => {
                let second = frames.split_off(frames.len() / 2);
                self.store(frames);
                self.store(second);
            }
        }
    }

    /// A frame that the judge refuses for what it is: it is kept like one that cannot be read.
    fn set_aside(&mut self, mut pending: Pending, error: &SinkError) {
        self.set_aside.quarantine(&mut pending, error);
        let mut frames = vec![pending];
        match self.attempt(&mut frames) {
            Ok(()) => self.acknowledge(frames),
            Err(_) => self.fail(frames),
        }
    }

    fn fail(&mut self, frames: Vec<Pending>) {
        let mut cost = Cost::default();
        for pending in frames {
            let failed = pending.envelope.frames.count();
            metrics::counter!("milepost_frames_failed_total").increment(failed);
            self.summary.failed += failed;
            cost.add(pending.ack.resolve(Outcome::Failed));
        }
        self.queue.give_back(cost);
    }

    /// Runs the stages and writes, again and again while the failure is transient. The stages are
    /// deterministic, so each attempt gives the same.
    fn attempt(&mut self, frames: &mut [Pending]) -> Result<(), Stop> {
        let mut attempts = 0;
        loop {
            match self.try_once(frames) {
                Ok(()) => return Ok(()),
                Err(error @ SinkError::Permanent(_)) => return Err(Stop::Refused(error)),
                Err(error @ SinkError::Fatal(_)) => {
                    self.health.stalled(&error);
                    return Err(Stop::GivenUp);
                }
                Err(error @ SinkError::Transient(_)) => {
                    attempts += 1;
                    self.health.stalled(&error);
                    metrics::counter!("milepost_store_retries_total").increment(1);
                    let wait = self.backoff.wait(attempts);
                    if attempts == 1 || attempts.is_power_of_two() {
                        tracing::warn!(%error, attempts, "the store does not take data; waiting");
                    }
                    // A store that has failed fails at whatever comes first, and in many ways.
                    if self.condition.has_failed().is_some() || !self.deadline.wait(wait) {
                        return Err(Stop::GivenUp);
                    }
                }
            }
        }
    }

    fn try_once(&mut self, frames: &mut [Pending]) -> Result<(), SinkError> {
        let since = Instant::now();
        let (overlay, batch) = self.prepare(frames, None)?;
        let prepared = self.judge.prepare(&batch)?;
        self.begin(prepared)?;
        let written = self.complete()?;
        count(&written, since);
        self.commit(overlay, batch, written);
        Ok(())
    }

    fn mark(&self, frames: &[Pending]) -> Mark {
        match self.judge.source() {
            Source::Epoch(epoch) => Mark::Epoch {
                epoch,
                received: self.queue.received(),
            },
            Source::Partition {
                topic,
                partition,
                generation,
            } => Mark::Offset {
                topic,
                partition,
                offset: frames
                    .iter()
                    .rev()
                    .find_map(|pending| pending.offset)
                    .map(|last| last.saturating_add(1))
                    .or(self.offset),
                generation,
            },
        }
    }

    fn note_end(&mut self) {
        let mark = self.mark(&[]);
        let settled = self.summary.failed == 0;
        let mut attempts = 0;
        loop {
            match self.judge.finish(&mark, settled) {
                Ok(()) => {
                    self.summary.clean = settled;
                    return;
                }
                Err(error) => {
                    attempts += 1;
                    tracing::warn!(%error, "the end of the run could not be noted");
                    let is_final = !matches!(error, SinkError::Transient(_))
                        || self.condition.has_failed().is_some();
                    if is_final || !self.deadline.wait(self.backoff.wait(attempts)) {
                        return;
                    }
                }
            }
        }
    }
}

/// Looks whether the store would take something, while there is nothing to be taken.
fn check(judge: &mut impl Judge, health: &HealthCell) {
    health.call_begins();
    let checked = judge.check();
    health.call_ends();
    match checked {
        Ok(()) => health.ready(),
        Err(error) => {
            tracing::debug!(%error, "the store would not take data");
            health.stalled(&error);
        }
    }
}
