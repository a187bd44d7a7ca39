//! A judge that does as a test tells it.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use milepost_pipeline::sink::{
    Batch, FrameResult, Judge, LaneStore, Loaded, Mark, Slot, Source, Written,
};
use milepost_pipeline::{Backoff, Options, SinkError};
use milepost_telemetry::DeviceKey;

/// What the test and the judge share.
#[derive(Default)]
pub(crate) struct State {
    /// Batches that are refused before one is taken.
    pub(crate) transient: u32,
    /// Frames that no batch may hold, unless as quarantined.
    pub(crate) poison: Vec<u64>,
    /// Whether the next batch panics.
    pub(crate) panics: bool,
    /// Whether batches wait to become durable.
    pub(crate) closed: bool,
    /// Whether batches wait to begin, and how many have come so far.
    pub(crate) begin_closed: bool,
    pub(crate) begun: u32,
    /// Frames in the order in which they became durable, with what was stored.
    pub(crate) durable: Vec<(u64, &'static str)>,
    /// The `late` marks of the reports, in the same order.
    pub(crate) late: Vec<Option<bool>>,
    pub(crate) devices: HashMap<DeviceKey, (Option<Slot>, Vec<u8>)>,
    /// How many envelopes each batch had.
    pub(crate) batches: Vec<usize>,
    /// How often devices' states were asked for, and how many snapshots of them were given.
    pub(crate) loads: u32,
    pub(crate) snapshots: u32,
    pub(crate) source: Option<Source>,
    pub(crate) mark: Option<Mark>,
    pub(crate) finished: Option<(u64, bool)>,
}

#[derive(Clone, Default)]
pub(crate) struct Control(Arc<(Mutex<State>, Condvar)>);

impl Control {
    pub(crate) fn set<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let done = change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
        done
    }

    /// Blocks until the state is as wanted.
    pub(crate) fn wait(&self, wanted: impl Fn(&State) -> bool) {
        let state = self.0.0.lock().unwrap();
        let (_state, waited) = self
            .0
            .1
            .wait_timeout_while(state, LONG, |state| !wanted(state))
            .unwrap();
        assert!(!waited.timed_out());
    }

    pub(crate) fn judge(&self) -> Fake {
        Fake {
            control: self.clone(),
            under_way: None,
        }
    }
}

pub(crate) struct Fake {
    control: Control,
    under_way: Option<Arc<Batch>>,
}

impl LaneStore for Fake {
    fn load(&mut self, devices: &[DeviceKey]) -> Result<Vec<Loaded>, SinkError> {
        let load = |state: &State, device: &DeviceKey| {
            let mut loaded = Loaded::new(Slot(0));
            if let Some((slot, states)) = state.devices.get(device) {
                loaded.slot = slot.unwrap_or(loaded.slot);
                loaded.states.clone_from(states);
            }
            loaded
        };
        self.control.set(|state| {
            state.loads += 1;
            Ok(devices.iter().map(|device| load(state, device)).collect())
        })
    }
}

impl Judge for Fake {
    type Prepared = Arc<Batch>;

    fn source(&self) -> Source {
        self.control
            .set(|state| state.source.unwrap_or(Source::Epoch(1)))
    }

    fn prepare(&mut self, batch: &Arc<Batch>) -> Result<Arc<Batch>, SinkError> {
        Ok(Arc::clone(batch))
    }

    fn begin(&mut self, batch: Arc<Batch>) -> Result<(), SinkError> {
        assert!(self.under_way.is_none(), "one batch at a time");
        let panics = self.control.set(|state| {
            state.begun += 1;
            state.panics
        });
        assert!(!panics, "the judge panics");
        self.control.wait(|state| !state.begin_closed);
        self.under_way = Some(batch);
        Ok(())
    }

    fn complete(&mut self) -> Result<Written, SinkError> {
        let batch = self.under_way.take().unwrap();
        let (lock, changed) = &*self.control.0;
        let mut state = lock.lock().unwrap();
        while state.closed {
            state = changed.wait(state).unwrap();
        }
        if state.transient > 0 {
            state.transient -= 1;
            return Err(SinkError::transient("locked, says the test"));
        }
        let kind = |result: &FrameResult| match result {
            FrameResult::Reports { .. } => "reports",
            FrameResult::Duplicate => "duplicate",
            FrameResult::Filtered(_) => "filtered",
            FrameResult::Quarantined => "quarantined",
        };
        let frames: Vec<_> = batch
            .frames
            .iter()
            .map(|frame| (frame.envelope.origin.frame, kind(&frame.result)))
            .collect();
        if frames
            .iter()
            .any(|(n, kind)| *kind == "reports" && state.poison.contains(n))
        {
            return Err(SinkError::permanent("poison, says the test"));
        }
        state.durable.extend(frames);
        state.batches.push(batch.frames.len());
        state.mark = Some(batch.mark);
        changed.notify_all();
        state
            .late
            .extend(batch.reports.iter().map(|report| report.late));
        let State {
            devices, snapshots, ..
        } = &mut *state;
        for device in &batch.devices {
            let kept = devices.entry(device.key).or_default();
            kept.0 = Some(device.slot);
            if let Some(states) = &device.states {
                kept.1.clone_from(states);
                *snapshots += 1;
            }
        }
        Ok(Written::default())
    }

    fn finish(&mut self, mark: &Mark, settled: bool) -> Result<(), SinkError> {
        self.control.set(|state| {
            if let Mark::Epoch { received, .. } = mark {
                state.finished = Some((*received, settled));
            }
        });
        Ok(())
    }
}

pub(crate) fn options() -> Options {
    let mut options = Options::default();
    options.backoff = Backoff {
        first: Duration::from_millis(1),
        most: Duration::from_millis(2),
    };
    options
}

pub(crate) const LONG: Duration = Duration::from_secs(60);
