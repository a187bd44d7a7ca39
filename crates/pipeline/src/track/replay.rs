//! Trips and stops from stored reports.

use super::motion::{Leg, MotionEvent};
use super::sample::{Estimate, Sample};
use super::tracker::{Settings, Tracker};

/// What a run over stored reports gives.
#[derive(Debug, Clone, Default)]
pub struct Replayed {
    /// Closed trips and stops in order, then the open one.
    pub legs: Vec<Leg>,
    /// The estimate of each sample, in the order of the input.
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
