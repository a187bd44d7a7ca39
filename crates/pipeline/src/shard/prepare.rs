//! The stages' work for a batch, on a copy of its devices' lanes.

use std::collections::HashMap;
use std::sync::Arc;

use milepost_telemetry::{Content, DeviceKey, Envelope};

use super::Shard;
use super::set_aside::in_quarantine;
use crate::SinkError;
use crate::catch::{Panicked, catch};
use crate::intake::Pending;
use crate::lane::Lane;
use crate::sink::{Batch, BatchFrame, ChangedDevice, DirtyMark, FrameResult, Judge};
use crate::stage::{DeviceSettings, Flow, StageContext, Stages};

/// The state of a batch's devices on top of the committed lanes. It becomes the committed state
/// with the batch, or leaves no trace.
#[derive(Default)]
pub(super) struct Overlay {
    places: HashMap<DeviceKey, usize>,
    lanes: Vec<(DeviceKey, Lane)>,
}

impl Overlay {
    fn find(&self, device: &DeviceKey) -> Option<&Lane> {
        let place = self.places.get(device)?;
        self.lanes.get(*place).map(|(_, lane)| lane)
    }

    fn add(&mut self, device: DeviceKey, lane: Lane) {
        self.places.insert(device, self.lanes.len());
        self.lanes.push((device, lane));
    }

    /// The lane of an envelope's device, if it has one.
    fn of<'a>(
        &'a mut self,
        envelope: &Envelope,
        settings: &'a mut [Option<DeviceSettings>],
    ) -> Option<DeviceLane<'a>> {
        let device = *self.places.get(envelope.device.as_ref()?)?;
        let (key, lane) = self.lanes.get_mut(device)?;
        Some(DeviceLane {
            key,
            lane,
            settings: settings.get_mut(device)?,
            device,
        })
    }

    /// The lanes, to be kept.
    pub(super) fn into_lanes(self) -> Vec<(DeviceKey, Lane)> {
        self.lanes
    }
}

/// A device while one of its frames is worked on.
struct DeviceLane<'a> {
    key: &'a DeviceKey,
    lane: &'a mut Lane,
    /// Asked for with the first report of a batch.
    settings: &'a mut Option<DeviceSettings>,
    /// Its index in [`Batch::devices`].
    device: usize,
}

impl<J: Judge> Shard<J> {
    /// Runs the stages, on top of the committed lanes and of those that the batch under way will
    /// leave.
    ///
    /// A stage's panic sets aside the frame on which it panicked, whose envelope is replaced by one
    /// in quarantine; what the frame did to its device's lane is undone. Any other panic (in a
    /// snapshot) refuses the batch, and the frame at fault is found by halving.
    pub(super) fn prepare(
        &mut self,
        frames: &mut [Pending],
        under_way: Option<&Overlay>,
    ) -> Result<(Overlay, Arc<Batch>), SinkError> {
        // The usual case, without a copy of the lane for each frame.
        let overlay = self.lanes_of(frames, under_way)?;
        let empty = self.empty_batch(frames);
        let stages = &self.stages;
        if let Ok(prepared) = catch(|| run_stages(stages, frames, overlay, empty)) {
            return Ok(prepared);
        }
        let overlay = self.lanes_of(frames, under_way)?;
        let empty = self.empty_batch(frames);
        let (done, poison) = run_with_care(&self.stages, frames, overlay, empty);
        for (at, panicked) in poison {
            metrics::counter!("milepost_stage_panics_total").increment(1);
            if let Some(pending) = frames.get_mut(at) {
                self.set_aside.quarantine(pending, &panicked);
            }
        }
        let (overlay, batch) = done.map_err(|panicked| {
            metrics::counter!("milepost_stage_panics_total").increment(1);
            SinkError::permanent(panicked)
        })?;
        Ok((overlay, batch))
    }

    fn empty_batch(&self, frames: &[Pending]) -> Batch {
        let mut batch = Batch::new(self.mark(frames));
        batch.frames.reserve(frames.len());
        batch.reports.reserve(frames.len());
        batch
    }

    /// The lanes of a batch's devices: copied from the batch under way, or from the committed
    /// lanes, or read back from the store, all that are missing at once.
    fn lanes_of(
        &mut self,
        frames: &[Pending],
        under_way: Option<&Overlay>,
    ) -> Result<Overlay, SinkError> {
        let mut overlay = Overlay::default();
        let mut missing = Vec::new();
        let devices = frames.iter().filter_map(|one| one.envelope.device.as_ref());
        for key in devices {
            if overlay.places.contains_key(key) {
                continue;
            }
            let known = under_way.and_then(|before| before.find(key));
            match known.or_else(|| self.lanes.find(key)) {
                Some(lane) => overlay.add(*key, lane.clone()),
                None => {
                    // Its place is taken when it is loaded.
                    overlay.places.insert(*key, usize::MAX);
                    missing.push(*key);
                }
            }
        }
        if !missing.is_empty() {
            let loaded = self.judge.load(&missing)?;
            for (key, loaded) in missing.into_iter().zip(loaded) {
                overlay.add(key, Lane::restore(loaded, &self.stages));
            }
        }
        Ok(overlay)
    }
}

/// Runs the stages over all frames. A panic leaves nothing that may be used.
fn run_stages(
    stages: &Stages,
    frames: &[Pending],
    mut overlay: Overlay,
    mut batch: Batch,
) -> (Overlay, Arc<Batch>) {
    let mut settings = vec![None; overlay.lanes.len()];
    for pending in frames {
        let envelope = &pending.envelope;
        let mut lane = overlay.of(envelope, &mut settings);
        let device = lane.as_ref().map(|lane| lane.device);
        let result = work_on(stages, lane.as_mut(), envelope, &mut batch);
        batch.frames.push(BatchFrame {
            envelope: Arc::clone(envelope),
            device,
            result,
        });
    }
    finish(stages, overlay, batch)
}

/// Frames on which a stage panicked, by their places.
type Poison = Vec<(usize, Panicked)>;

/// The same, with a copy of the lane before each frame, to which it returns after a panic. The
/// frames at fault are in the batch as in quarantine.
fn run_with_care(
    stages: &Stages,
    frames: &[Pending],
    mut overlay: Overlay,
    mut batch: Batch,
) -> (Result<(Overlay, Arc<Batch>), Panicked>, Poison) {
    let mut settings = vec![None; overlay.lanes.len()];
    let mut poison = Vec::new();
    for (at, pending) in frames.iter().enumerate() {
        let mut envelope = Arc::clone(&pending.envelope);
        let mut lane = overlay.of(&envelope, &mut settings);
        let device = lane.as_ref().map(|lane| lane.device);
        let before = lane.as_ref().map(|lane| lane.lane.clone());
        let lengths = Lengths::of(&batch);
        let worked = catch(|| work_on(stages, lane.as_mut(), &envelope, &mut batch));
        let result = worked.unwrap_or_else(|panicked| {
            lengths.restore(&mut batch);
            if let (Some(lane), Some(before)) = (lane, before) {
                *lane.lane = before;
                lane.lane.latest.seen(envelope.received_at);
            }
            envelope = Arc::new(in_quarantine(&envelope, &panicked));
            poison.push((at, panicked));
            FrameResult::Quarantined
        });
        batch.frames.push(BatchFrame {
            envelope,
            device,
            result,
        });
    }
    (catch(|| finish(stages, overlay, batch)), poison)
}

/// How much a batch holds of what a frame can add to.
struct Lengths {
    reports: usize,
    corrections: usize,
    legs: usize,
    dirty: usize,
}

impl Lengths {
    fn of(batch: &Batch) -> Self {
        Self {
            reports: batch.reports.len(),
            corrections: batch.corrections.len(),
            legs: batch.legs.len(),
            dirty: batch.dirty.len(),
        }
    }

    fn restore(&self, batch: &mut Batch) {
        batch.reports.truncate(self.reports);
        batch.corrections.truncate(self.corrections);
        batch.legs.truncate(self.legs);
        batch.dirty.truncate(self.dirty);
    }
}

/// Adds the devices' states to a batch.
fn finish(stages: &Stages, mut overlay: Overlay, mut batch: Batch) -> (Overlay, Arc<Batch>) {
    batch.devices = overlay
        .lanes
        .iter_mut()
        .map(|(key, lane)| ChangedDevice {
            key: *key,
            slot: lane.slot,
            known: lane.known,
            latest: lane.latest.clone(),
            states: lane
                .states
                .take_changed()
                .then(|| stages.snapshot(&lane.states)),
        })
        .collect();
    (overlay, Arc::new(batch))
}

/// Runs the stages over what a frame said, and adds the reports that remain to the batch.
fn work_on(
    stages: &Stages,
    mut of_device: Option<&mut DeviceLane<'_>>,
    envelope: &Envelope,
    batch: &mut Batch,
) -> FrameResult {
    if let Some(of_device) = &mut of_device {
        of_device.lane.latest.seen(envelope.received_at);
    }
    let reports = match &envelope.content {
        Content::Reports(reports) => reports,
        Content::Filtered(reason) => return FrameResult::Filtered(*reason),
        Content::Quarantined(_) => return FrameResult::Quarantined,
    };
    if let Some(of_device) = &mut of_device {
        of_device.lane.known = true;
    }
    let first = batch.reports.len();
    let mut all_derived = Vec::new();
    let mut filtered = None;
    for report in reports {
        let mut report = report.clone();
        let Some(of_device) = &mut of_device else {
            // Nothing is remembered of a device that has not said its name.
            batch.reports.push(report);
            continue;
        };
        let DeviceLane {
            key,
            lane,
            settings,
            device,
        } = &mut **of_device;
        let settings = settings.get_or_insert_with(|| stages.settings_of(key));
        let mut cx = StageContext::new(settings, &report);
        match stages.apply(&mut lane.states, &mut report, &mut cx) {
            Flow::Pass => {
                let found = cx.take_found();
                batch
                    .legs
                    .extend(found.legs.into_iter().map(|leg| (*device, leg)));
                batch.dirty.extend(found.dirty.map(|stretch| DirtyMark {
                    device: *device,
                    report: batch.reports.len(),
                    stretch,
                }));
                let (mut derived, mut corrections) = cx.finish();
                all_derived.append(&mut derived);
                batch.corrections.append(&mut corrections);
                lane.latest.observe(&report);
                batch.reports.push(report);
            }
            Flow::Duplicate => {}
            Flow::Filter(reason) => filtered = Some(reason),
        }
    }
    let own = batch.reports.len() - first;
    let derived = all_derived.len();
    batch.reports.append(&mut all_derived);
    match (own, filtered) {
        (1.., _) => FrameResult::Reports { own, derived },
        (0, Some(reason)) => FrameResult::Filtered(reason),
        (0, None) => FrameResult::Duplicate,
    }
}
