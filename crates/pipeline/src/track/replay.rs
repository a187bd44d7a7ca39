//! Trips and stops from stored reports.

use milepost_telemetry::Rejected;

use super::motion::{Leg, MotionEvent};
use super::sample::{Estimate, Sample};
use super::tracker::{Revised, Settings, Tracker};

/// What a run over stored reports gives.
#[derive(Debug, Clone, Default)]
pub struct Replayed {
    /// Closed trips and stops in order, then the open one.
    pub legs: Vec<Leg>,
    /// The estimate of each sample, in the order of the input. It is the live one, but that what a
    /// later report has shown to be a jump, or a new place, is judged as that.
    pub estimates: Vec<Option<Estimate>>,
    /// The state after the last report.
    pub tracker: Tracker,
}

/// Runs a device's reports, which must be in the order of time, through a fresh state. The result
/// is the same as live, where the reports came in that order.
pub fn replay(samples: &[Sample], settings: &Settings) -> Replayed {
    let mut out = Replayed {
        estimates: Vec::with_capacity(samples.len()),
        ..Replayed::default()
    };
    for sample in samples {
        let applied = out.tracker.apply(sample, settings);
        if let Some(revised) = applied.revised {
            revise(samples, &mut out.estimates, revised);
        }
        out.estimates.push(applied.estimate);
        for event in applied.events.iter() {
            match event {
                MotionEvent::TripEnd { trip } => out.legs.push(trip),
                MotionEvent::StopEnd { stop } => out.legs.push(stop),
                _ => {}
            }
        }
    }
    out.legs.extend(out.tracker.motion().open());
    // A stop of no length is where a track begins on the move.
    out.legs.retain(|leg| leg.to_ms != Some(leg.from_ms));
    out
}

/// Judges the last usable positions otherwise: as [`Revised`] says.
fn revise(samples: &[Sample], estimates: &mut [Option<Estimate>], revised: Revised) {
    let mut left = revised.count;
    let mut changed = estimates.len();
    for at in (0..estimates.len()).rev() {
        let (Some(sample), Some(Some(estimate))) = (samples.get(at), estimates.get_mut(at)) else {
            continue;
        };
        let Some(fix) = sample.fix() else { continue };
        let candidate = estimate.rejected == Some(Rejected::Jump);
        let believed = estimate.rejected.is_none();
        if left == 0 {
            // Where the vehicle was before the leap is where it was during it.
            if let (Some(reason), true) = (revised.rejected, believed) {
                let place = *estimate;
                for wrong in estimates.iter_mut().skip(changed).flatten() {
                    if wrong.rejected == Some(reason) {
                        (wrong.latitude, wrong.longitude) = (place.latitude, place.longitude);
                    }
                }
                return;
            }
            if revised.rejected.is_none() {
                return;
            }
            continue;
        }
        match revised.rejected {
            None if candidate => {
                (estimate.latitude, estimate.longitude) = (fix.latitude, fix.longitude);
                (estimate.rejected, estimate.outlier) = (None, false);
            }
            Some(reason) if candidate || believed => {
                (estimate.rejected, estimate.outlier) = (Some(reason), true);
            }
            _ => continue,
        }
        changed = at;
        left -= 1;
    }
}
