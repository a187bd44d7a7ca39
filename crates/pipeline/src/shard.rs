//! One thread that works on its devices' frames, in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use milepost_telemetry::{Content as Said, DeviceKey, Envelope, Quarantine};

use crate::SinkError;
use crate::ack::Outcome;
use crate::batch::{Gather, Pending, Work};
use crate::health::HealthCell;
use crate::lane::{Lane, Lanes};
use crate::retry::{Backoff, Patience};
use crate::sink::{Batch, Changed, Content, Frame, Sink, Written};
use crate::stage::{Flow, Stages};

/// A shard: the only owner of its lanes and of its sink.
pub(crate) struct Shard<S> {
    pub(crate) sink: S,
    pub(crate) lanes: Lanes,
    pub(crate) stages: Stages,
    pub(crate) gather: Gather,
    pub(crate) backoff: Backoff,
    pub(crate) patience: Arc<Patience>,
    pub(crate) health: Arc<HealthCell>,
    pub(crate) check_every: Duration,
    pub(crate) received: Arc<AtomicU64>,
    pub(crate) summary: Drained,
}

/// What a pipeline did in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Frames whose outcome is durable.
    pub settled: u64,
    /// Frames that could not be stored; no device was told about them.
    pub failed: u64,
    /// Whether the store has noted a clean end.
    pub clean: bool,
}

impl Drained {
    /// The sum of two shards.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            settled: self.settled.saturating_add(other.settled),
            failed: self.failed.saturating_add(other.failed),
            clean: self.clean && other.clean,
        }
    }
}

/// Why a batch did not get through.
enum Gone {
    /// A record in it is at fault.
    Refused(SinkError),
    /// There is no more time to try.
    OutOfTime,
}

/// The state of a batch's devices on top of the committed lanes. It becomes the committed state
/// with the batch, or leaves no trace.
#[derive(Default)]
struct Overlay {
    places: HashMap<DeviceKey, usize>,
    lanes: Vec<(DeviceKey, Lane)>,
}

impl Overlay {
    fn find(&self, device: &DeviceKey) -> Option<&Lane> {
        let place = self.places.get(device)?;
        self.lanes.get(*place).map(|(_, lane)| lane)
    }
}

/// A batch that is being written.
struct UnderWay {
    frames: Vec<Pending>,
    overlay: Overlay,
    since: Instant,
}

/// From so many frames on, a batch is prepared while the one before is being written. A smaller
/// one waits for that, so that more can join it.
const WORTH_PREPARING: usize = 64;

impl<S: Sink> Shard<S> {
    /// Works until the queue ends.
    ///
    /// While one batch is being written the next is prepared, on top of the states that the first
    /// will have left. If the first fails, what was prepared is forgotten, and both are done
    /// again, one after the other.
    pub(crate) fn run(mut self, queue: &Receiver<Work>) -> Drained {
        let mut under_way: Option<UnderWay> = None;
        loop {
            let mut gathered = if under_way.is_some() {
                self.gather.ready(queue)
            } else {
                let idle = || check(&mut self.sink, &self.health);
                self.gather.next(queue, self.check_every, idle)
            };
            if gathered.frames.len() < WORTH_PREPARING
                && let Some(before) = under_way.take()
            {
                if let Err(frames) = self.land(before) {
                    self.settle(frames);
                }
                self.gather.top_up(&mut gathered, queue);
            }
            if !gathered.frames.is_empty() {
                under_way = self.fly(gathered.frames, under_way);
            }
            if gathered.last {
                break;
            }
        }
        if let Some(before) = under_way
            && let Err(frames) = self.land(before)
        {
            self.settle(frames);
        }
        // Frames that were still waiting to enter are not taken any more.
        while let Ok(work) = queue.try_recv() {
            if let Work::Frame(pending) = work {
                self.fail(vec![*pending]);
            }
        }
        self.finish();
        self.summary
    }

    /// Prepares a batch, waits for the one before it, and begins to write it.
    fn fly(&mut self, frames: Vec<Pending>, before: Option<UnderWay>) -> Option<UnderWay> {
        let overlay = before.as_ref().map(|before| &before.overlay);
        let prepared = self
            .prepare(&envelopes(&frames), overlay)
            .and_then(|(overlay, batch)| Ok((overlay, self.sink.prepare(batch)?)));
        let landed = match before {
            None => Ok(None),
            Some(before) => self.landed(before).map(Some),
        };
        let (prepared, landed) = match (prepared, landed) {
            // Only what was prepared on top of states that are committed may be written.
            (Ok(prepared), Ok(landed)) => (prepared, landed),
            (_, landed) => {
                match landed {
                    Ok(Some(landed)) => self.acknowledge(landed),
                    Ok(None) => {}
                    Err(failed) => self.settle(failed),
                }
                self.settle(frames);
                return None;
            }
        };
        let (overlay, prepared) = prepared;
        let begun = self.begin(prepared);
        // The devices of the batch before are told while this one is being written.
        if let Some(landed) = landed {
            self.acknowledge(landed);
        }
        match begun {
            Ok(()) => Some(UnderWay {
                frames,
                overlay,
                since: Instant::now(),
            }),
            Err(_) => {
                self.settle(frames);
                None
            }
        }
    }

    /// Waits for a batch, and tells its devices; or gives its frames back.
    fn land(&mut self, under_way: UnderWay) -> Result<(), Vec<Pending>> {
        let frames = self.landed(under_way)?;
        self.acknowledge(frames);
        Ok(())
    }

    /// Waits for a batch. If it is durable its states are the committed ones. Its frames come
    /// back either way.
    fn landed(&mut self, under_way: UnderWay) -> Result<Vec<Pending>, Vec<Pending>> {
        match self.complete() {
            Ok(written) => {
                count(&written, under_way.since);
                self.commit(under_way.overlay);
                Ok(under_way.frames)
            }
            Err(error) => {
                tracing::debug!(%error, "a batch was not stored; it is tried again alone");
                Err(under_way.frames)
            }
        }
    }

    fn begin(&mut self, prepared: S::Prepared) -> Result<(), SinkError> {
        self.health.begun();
        let begun = self.sink.begin(prepared);
        if begun.is_err() {
            self.health.came_back();
        }
        begun
    }

    fn complete(&mut self) -> Result<Written, SinkError> {
        let written = self.sink.complete();
        self.health.came_back();
        written
    }

    fn commit(&mut self, overlay: Overlay) {
        for (device, lane) in overlay.lanes {
            self.lanes.keep(device, lane);
        }
        self.health.ready();
    }

    fn acknowledge(&mut self, frames: Vec<Pending>) {
        self.summary.settled += u64::try_from(frames.len()).unwrap_or(u64::MAX);
        for pending in frames {
            let outcome = match pending.envelope.content {
                Said::Filtered(_) => Outcome::Filtered,
                Said::Reports(_) | Said::Quarantined(_) => Outcome::Delivered,
            };
            pending.ack.settle(outcome);
        }
    }

    /// Stores frames, in order, and tells each its outcome. It takes as long as it takes.
    fn settle(&mut self, mut frames: Vec<Pending>) {
        match self.attempt(&envelopes(&frames)) {
            Ok(()) => self.acknowledge(frames),
            Err(Gone::OutOfTime) => self.fail(frames),
            Err(Gone::Refused(error)) if frames.len() == 1 => {
                for pending in frames {
                    self.set_aside(pending, &error);
                }
            }
            Err(Gone::Refused(_)) => {
                let second = frames.split_off(frames.len() / 2);
                self.settle(frames);
                self.settle(second);
            }
        }
    }

    /// A frame that the sink refuses for what it is: it is kept like one that cannot be read.
    fn set_aside(&mut self, pending: Pending, error: &SinkError) {
        tracing::error!(
            origin = ?pending.envelope.origin,
            device = ?pending.envelope.device,
            %error,
            "a frame cannot be stored and is set aside"
        );
        let mut envelope = pending.envelope.clone();
        envelope.content =
            Said::Quarantined(Quarantine::new(format!("could not be stored: {error}")));
        match self.attempt(&[&envelope]) {
            Ok(()) => self.acknowledge(vec![Pending {
                envelope,
                ..pending
            }]),
            Err(_) => self.fail(vec![pending]),
        }
    }

    fn fail(&mut self, frames: Vec<Pending>) {
        let failed = u64::try_from(frames.len()).unwrap_or(u64::MAX);
        metrics::counter!("milepost_frames_failed_total").increment(failed);
        self.summary.failed += failed;
        for pending in frames {
            pending.ack.settle(Outcome::Failed);
        }
    }

    /// Runs the stages and writes, again and again while the failure is transient. The stages are
    /// deterministic, so each attempt gives the same.
    fn attempt(&mut self, envelopes: &[&Envelope]) -> Result<(), Gone> {
        let mut attempts = 0;
        loop {
            match self.try_once(envelopes) {
                Ok(()) => return Ok(()),
                Err(error @ SinkError::Permanent(_)) => return Err(Gone::Refused(error)),
                Err(error @ SinkError::Transient(_)) => {
                    attempts += 1;
                    self.health.stalled(&error);
                    metrics::counter!("milepost_store_retries_total").increment(1);
                    let wait = self.backoff.wait(attempts);
                    if attempts == 1 || attempts.is_power_of_two() {
                        tracing::warn!(%error, attempts, "the store does not take data; waiting");
                    }
                    if !self.patience.wait(wait) {
                        return Err(Gone::OutOfTime);
                    }
                }
            }
        }
    }

    fn try_once(&mut self, envelopes: &[&Envelope]) -> Result<(), SinkError> {
        let since = Instant::now();
        let (overlay, batch) = self.prepare(envelopes, None)?;
        let prepared = self.sink.prepare(batch)?;
        self.begin(prepared)?;
        let written = self.complete()?;
        count(&written, since);
        self.commit(overlay);
        Ok(())
    }

    /// Runs the stages, on top of the committed lanes and of those that the batch under way will
    /// leave.
    fn prepare(
        &mut self,
        envelopes: &[&Envelope],
        under_way: Option<&Overlay>,
    ) -> Result<(Overlay, Batch), SinkError> {
        let mut overlay = Overlay::default();
        let mut batch = Batch {
            frames: Vec::with_capacity(envelopes.len()),
            reports: Vec::with_capacity(envelopes.len()),
            ..Batch::default()
        };
        for envelope in envelopes {
            let device = match &envelope.device {
                Some(key) => Some(self.enter(&mut overlay, under_way, key)?),
                None => None,
            };
            let lane = device.and_then(|at| overlay.lanes.get_mut(at));
            let content = work_on(
                &self.stages,
                lane.map(|(_, lane)| lane),
                envelope,
                &mut batch,
            );
            batch.frames.push(Frame {
                origin: envelope.origin,
                received_at: envelope.received_at,
                peer: envelope.peer,
                protocol: envelope.protocol,
                device,
                raw: envelope.raw.clone(),
                content,
            });
        }
        batch
            .devices
            .extend(overlay.lanes.iter().map(|(key, lane)| Changed {
                key: *key,
                slot: lane.slot,
                known: lane.known,
                latest: lane.latest.clone(),
                states: lane.states.snapshot(),
            }));
        batch.received = self.received.load(Ordering::Acquire);
        Ok((overlay, batch))
    }

    /// The place of a device's lane in the overlay: copied there from the committed lanes, or
    /// read back from the store.
    fn enter(
        &mut self,
        overlay: &mut Overlay,
        under_way: Option<&Overlay>,
        key: &DeviceKey,
    ) -> Result<usize, SinkError> {
        if let Some(place) = overlay.places.get(key) {
            return Ok(*place);
        }
        let known = under_way.and_then(|before| before.find(key));
        let lane = match known.or_else(|| self.lanes.find(key)) {
            Some(lane) => lane.clone(),
            None => Lane::from(self.sink.load(key)?),
        };
        let place = overlay.lanes.len();
        overlay.places.insert(*key, place);
        overlay.lanes.push((*key, lane));
        Ok(place)
    }

    fn finish(&mut self) {
        let received = self.received.load(Ordering::Acquire);
        let settled = self.summary.failed == 0;
        let mut attempts = 0;
        loop {
            match self.sink.finish(received, settled) {
                Ok(()) => {
                    self.summary.clean = settled;
                    return;
                }
                Err(error) => {
                    attempts += 1;
                    tracing::warn!(%error, "the end of the run could not be noted");
                    let permanent = matches!(error, SinkError::Permanent(_));
                    if permanent || !self.patience.wait(self.backoff.wait(attempts)) {
                        return;
                    }
                }
            }
        }
    }
}

/// Looks whether the store would take something, while there is nothing to be taken.
fn check(sink: &mut impl Sink, health: &HealthCell) {
    health.begun();
    let checked = sink.check();
    health.came_back();
    match checked {
        Ok(()) => health.ready(),
        Err(error) => {
            tracing::debug!(%error, "the store would not take data");
            health.stalled(&error);
        }
    }
}

fn envelopes(frames: &[Pending]) -> Vec<&Envelope> {
    frames.iter().map(|pending| &pending.envelope).collect()
}

/// Runs the stages over what a frame said, and adds the reports that remain to the batch.
fn work_on(
    stages: &Stages,
    mut lane: Option<&mut Lane>,
    envelope: &Envelope,
    batch: &mut Batch,
) -> Content {
    if let Some(lane) = &mut lane {
        lane.latest.seen(envelope.received_at);
    }
    let reports = match &envelope.content {
        Said::Reports(reports) => reports,
        Said::Filtered(reason) => return Content::Filtered(*reason),
        Said::Quarantined(why) => return Content::Quarantined(why.clone()),
    };
    if let Some(lane) = &mut lane {
        lane.known = true;
    }
    let first = batch.reports.len();
    let mut filtered = None;
    for report in reports {
        let mut report = report.clone();
        let flow = match &mut lane {
            Some(lane) => {
                let flow = stages.apply(&mut lane.states, &mut report);
                if flow == Flow::Pass {
                    lane.latest.observe(&report);
                }
                flow
            }
            // Nothing is remembered of a device that has not said its name.
            None => Flow::Pass,
        };
        match flow {
            Flow::Pass => batch.reports.push(report),
            Flow::Duplicate => {}
            Flow::Filter(reason) => filtered = Some(reason),
        }
    }
    match (batch.reports.len() > first, filtered) {
        (true, _) => Content::Reports(batch.reports.len() - first),
        (false, Some(reason)) => Content::Filtered(reason),
        (false, None) => Content::Duplicate,
    }
}

fn count(written: &Written, started: Instant) {
    metrics::histogram!("milepost_store_commit_seconds").record(started.elapsed().as_secs_f64());
    for (bucket, frames) in [
        ("stored", written.stored),
        ("duplicate", written.duplicate),
        ("filtered", written.filtered),
        ("quarantined", written.quarantined),
    ] {
        if frames > 0 {
            metrics::counter!("milepost_frames_total", "bucket" => bucket).increment(frames);
        }
    }
}
