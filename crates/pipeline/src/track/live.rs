//! One device, report by report: plausibility, then the filter.

use milepost_telemetry::Rejected;

use super::filter::{Filter, Fix, Step};
use super::pace::{Point, drives};
use super::plausible::{Plausible, Rules, Verdict};
use super::sample::{Estimate, Sample};
use super::window::{Recent, Repeat};

/// The live smoother of one device: fixed size, no heap.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Live {
    pub(crate) plausible: Plausible,
    pub(crate) filter: Option<Filter>,
    pub(crate) recent: Recent,
    /// The device reports speed or ignition: standing and moving need no guess by displacement.
    pub(crate) instrumented: bool,
    pub(crate) drives: bool,
}

/// What became of one sample.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Applied {
    /// `None` before the first usable fix.
    pub(crate) estimate: Option<Estimate>,
    pub(crate) verdict: Option<Verdict>,
    /// The fix and the filter's step, if it moved the filter.
    pub(crate) step: Option<(Fix, Step)>,
}

impl Live {
    /// Takes the next sample. One that is late, invalid, repeated or not from satellites has the
    /// present estimate and does not move the filter.
    pub(crate) fn apply(&mut self, sample: &Sample, rules: &Rules) -> Applied {
        if let Some(reason) = Plausible::alone(sample, rules) {
            return self.unmoved(sample, Some(Verdict::Reject(reason)));
        }
        let Some(fix) = sample.fix() else {
            return self.unmoved(sample, None);
        };
        let late = self
            .plausible
            .last
            .is_some_and(|l| fix.time_ms <= l.time_ms);
        if late {
            return self.unmoved(sample, None);
        }
        if let Some(reason) = self.repeated(sample, &fix, rules) {
            return self.unmoved(sample, Some(Verdict::Reject(reason)));
        }
        let ignored = self.filter.as_ref().is_some_and(|f| f.gate.closed);
        let verdict = self.plausible.judge(&fix, ignored, rules);
        if let Verdict::Reject(_) = verdict {
            return self.unmoved(sample, Some(verdict));
        }
        let step = match (&mut self.filter, verdict) {
            (Some(filter), Verdict::Accept) => filter.step(&fix),
            (Some(filter), Verdict::NewPlace(count)) => {
                self.recent.revise(count.saturating_sub(1), None);
                filter.restart(&fix)
            }
            (Some(filter), _) => {
                if let Verdict::Return(count) = verdict {
                    self.recent.revise(count, Some(Rejected::Jump));
                }
                filter.restart(&fix)
            }
            (None, _) => {
                let mut filter = Filter::new(&fix);
                let step = filter.restart(&fix);
                self.filter = Some(filter);
                step
            }
        };
        self.instrumented |= fix.speed.is_some() || sample.ignition.is_some();
        if !self.instrumented {
            self.drives = self.judge_pace(&fix, step.mixture.noise_m);
        }
        self.recent.insert(sample, None);
        let estimate = self.filter.as_ref().map(|filter| {
            let estimate = filter.estimate(&step);
            Estimate {
                moving: if self.instrumented {
                    estimate.moving
                } else {
                    self.drives
                },
                ..estimate
            }
        });
        Applied {
            estimate,
            verdict: Some(verdict),
            step: Some((fix, step)),
        }
    }

    /// Takes the next sample and returns the present estimate; `None` before the first usable fix.
    pub fn smooth(&mut self, sample: &Sample, rules: &Rules) -> Option<Estimate> {
        self.apply(sample, rules).estimate
    }

    fn judge_pace(&self, fix: &Fix, noise_m: f64) -> bool {
        let before = self
            .recent
            .iter()
            .rev()
            .filter(|kept| kept.rejected.is_none() && !kept.sample.invalid)
            .filter_map(|kept| {
                let (latitude, longitude) = kept.sample.position?;
                Some((kept.sample.time_ms, latitude, longitude))
            });
        let here = (fix.time_ms, fix.latitude, fix.longitude);
        let none: Option<std::iter::Empty<Point>> = None;
        drives(here, before, none, noise_m, self.drives)
    }

    fn repeated(&self, sample: &Sample, fix: &Fix, rules: &Rules) -> Option<Rejected> {
        let speed = fix.speed.filter(|s| *s >= MOVING)?;
        match self.recent.repeats(sample) {
            Repeat::Record if rules.on(Rejected::Replay) => Some(Rejected::Replay),
            Repeat::Position if rules.on(Rejected::Frozen) => {
                let since = self.plausible.last.map_or(0, |l| fix.time_ms - l.time_ms);
                (f64::from(speed) * since as f64 > 5_000.0).then_some(Rejected::Frozen)
            }
            _ => None,
        }
    }

    fn unmoved(&mut self, sample: &Sample, verdict: Option<Verdict>) -> Applied {
        let rejected = match verdict {
            Some(Verdict::Reject(reason)) => Some(reason),
            _ => None,
        };
        let future = rejected == Some(Rejected::Future) || rejected == Some(Rejected::Ancient);
        if !future && sample.position.is_some() {
            self.recent.insert(sample, rejected);
        }
        let estimate = self.filter.as_ref().map(|filter| Estimate {
            rejected,
            outlier: rejected.is_some(),
            moving: if self.instrumented {
                !filter.standing.held
            } else {
                self.drives
            },
            ..filter.ahead(sample.time_ms)
        });
        Applied {
            estimate,
            verdict,
            step: None,
        }
    }
}

/// A repeated position is suspicious from this reported speed on, m/s.
const MOVING: f32 = 1.4;
