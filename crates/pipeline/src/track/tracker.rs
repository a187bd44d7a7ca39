//! Everything that is kept of one device: smoothing and motion, report by report.

use milepost_telemetry::Rejected;

use super::filter::{Fix, GAP_MS};
use super::frame::distance_m;
use super::live::{Applied, Live};
use super::motion::{Events, Limits, Motion, Record};
use super::plausible::{Rules, Verdict};
use super::sample::{Estimate, Sample};

/// Settings; one for all receivers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Settings {
    /// Which positions are believed.
    pub rules: Rules,
    /// What a trip is.
    pub limits: Limits,
}

/// The state of one device: fixed size, no heap. See [`snapshot`](Self::snapshot).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tracker {
    pub(crate) live: Live,
    pub(crate) motion: Motion,
    /// Length of the path since the last leap, metres, to be taken back if the leap was wrong.
    pub(crate) leap_m: f32,
}

/// Reports of this stretch must be gone through again, because something late has changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dirty {
    /// Unix milliseconds, inclusive.
    pub from_ms: i64,
    /// Unix milliseconds, inclusive.
    pub to_ms: i64,
}

/// Earlier reports are judged otherwise now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revised {
    /// `None`: the positions are believed after all. `Some`: they are rejected after all.
    pub rejected: Option<Rejected>,
    /// How many usable positions before this one.
    pub count: u8,
}

/// What one report has led to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Output {
    /// The estimate for this report; `None` before the first usable fix, and for a late one that
    /// the state no longer reaches.
    pub estimate: Option<Estimate>,
    /// Why the reported position is not used; also where there is no estimate yet.
    pub rejected: Option<Rejected>,
    /// What motion found.
    pub events: Events,
    /// What is to be gone through again.
    pub dirty: Option<Dirty>,
    /// Which reports before this one are judged otherwise.
    pub revised: Option<Revised>,
}

impl Tracker {
    /// Takes the next report of the device, in the order of arrival.
    ///
    /// A late one (its time is not after the last believed fix) does not move the filter. If the
    /// window of recent fixes reaches it, its estimate lies between its neighbours and the open
    /// distance is corrected; a report of the same time and place changes nothing. If it is older,
    /// `dirty` names the stretch that must be gone through again.
    pub fn apply(&mut self, sample: &Sample, settings: &Settings) -> Output {
        let late = self
            .live
            .plausible
            .last
            .is_some_and(|last| sample.time_ms <= last.time_ms);
        if late && let Some(fix) = sample.fix() {
            return self.late(sample, &fix, settings);
        }
        let applied = self.live.apply(sample, &settings.rules);
        let (revised, relocated) = self.revise(&applied, settings);
        let record = self.record(sample, &applied);
        let before = self.motion.distance();
        let events = match record {
            Some(record) => self.motion.apply(&record, relocated, &settings.limits),
            None => Events::default(),
        };
        if self.live.plausible.before.is_some() && self.live.plausible.since_leap <= 1 {
            self.leap_m = 0.0;
        }
        self.leap_m += (self.motion.distance() - before).max(0.0) as f32;
        let dirty = revised.map(|revised| Dirty {
            from_ms: match revised.rejected {
                Some(_) => self.live.plausible.leap_ms,
                // The first of the candidates that are believed now.
                None => self
                    .live
                    .recent
                    .believed_ms(revised.count)
                    .unwrap_or(sample.time_ms),
            },
            to_ms: sample.time_ms,
        });
        let rejected = match applied.verdict {
            Some(Verdict::Reject(reason)) => Some(reason),
            _ => None,
        };
        Output {
            estimate: applied.estimate,
            rejected,
            events,
            dirty,
            revised,
        }
    }

    /// The state of trips and stops.
    pub fn motion(&self) -> &Motion {
        &self.motion
    }

    /// The time of the last believed fix.
    pub fn last_ms(&self) -> Option<i64> {
        self.live.plausible.last.map(|last| last.time_ms)
    }

    fn revise(&mut self, applied: &Applied, _settings: &Settings) -> (Option<Revised>, bool) {
        match applied.verdict {
            Some(Verdict::NewPlace(count)) => (
                Some(Revised {
                    rejected: None,
                    count: count.saturating_sub(1),
                }),
                true,
            ),
            Some(Verdict::Return(count)) => {
                self.motion.take_back(f64::from(self.leap_m));
                self.leap_m = 0.0;
                (
                    Some(Revised {
                        rejected: Some(Rejected::Jump),
                        count,
                    }),
                    true,
                )
            }
            _ => (None, false),
        }
    }

    fn record(&self, sample: &Sample, applied: &Applied) -> Option<Record> {
        let judged = applied.estimate?;
        if matches!(judged.rejected, Some(Rejected::Future | Rejected::Ancient)) {
            return None;
        }
        let filter = self.live.filter.as_ref()?;
        let moved = applied.step.is_some();
        // A record whose position is not used still says whether the vehicle moves.
        let reports_zero = sample
            .believable_speed()
            .is_some_and(|speed| speed < ZERO_BELOW);
        let stands = if moved {
            Some(filter.standing.held || (reports_zero && !filter.gate.closed))
        } else {
            sample
                .believable_speed()
                .filter(|_| !filter.gate.closed && judged.rejected != Some(Rejected::Replay))
                .map(|speed| speed < STANDS_BELOW)
        };
        Some(Record {
            time_ms: sample.time_ms,
            place: moved.then_some((judged.latitude, judged.longitude)),
            stands,
            speed: judged.speed,
            ignition: sample.ignition,
            odometer_m: sample.odometer_m,
        })
    }

    fn late(&mut self, sample: &Sample, fix: &Fix, settings: &Settings) -> Output {
        let mut output = Output {
            estimate: None,
            rejected: None,
            events: Events::default(),
            dirty: None,
            revised: None,
        };
        if let Some(reason) = super::plausible::Plausible::alone(sample, &settings.rules) {
            output.rejected = Some(reason);
            output.estimate = self.between(fix, Some(reason));
            return output;
        }
        let dirty = Dirty {
            from_ms: fix.time_ms,
            to_ms: fix.time_ms,
        };
        if self
            .live
            .recent
            .oldest_ms()
            .is_none_or(|oldest| fix.time_ms < oldest)
        {
            output.dirty = Some(dirty);
            return output;
        }
        if self.live.recent.holds(sample) {
            output.estimate = self.between(fix, None);
            return output;
        }
        let (before, after) = self.live.recent.neighbours(fix.time_ms);
        let far = |a: Option<(i64, (f64, f64))>| {
            a.is_some_and(|(time, place)| {
                let dt = (time - fix.time_ms).abs() as f64 / 1_000.0;
                distance_m(place, (fix.latitude, fix.longitude))
                    > settings.rules.slack_m + settings.rules.max_speed * dt
            })
        };
        // Both legs: with one neighbour the other may be the wrong one.
        let jump = settings.rules.on(Rejected::Jump) && far(before) && far(after);
        let reason = jump.then_some(Rejected::Jump);
        output.rejected = reason;
        output.estimate = self.between(fix, reason);
        self.live.recent.insert(sample, reason);
        if reason.is_none()
            && let (Some(estimate), Some(before), Some(after)) = (output.estimate, before, after)
        {
            let here = (estimate.latitude, estimate.longitude);
            let detour = distance_m(before.1, here) + distance_m(here, after.1)
                - distance_m(before.1, after.1);
            // Less than the noise is no detour.
            let detour = if detour < 10.0 { 0.0 } else { detour };
            if !self.motion.detour(fix.time_ms, detour, &settings.limits) {
                output.dirty = Some(dirty);
            }
        }
        output
    }

    /// The estimate of a late fix: the line between its neighbours, drawn to the fix as far as the
    /// motion between them is uncertain.
    fn between(&self, fix: &Fix, rejected: Option<Rejected>) -> Option<Estimate> {
        let filter = self.live.filter.as_ref()?;
        let now = filter.ahead(fix.time_ms);
        let (before, after) = self.live.recent.neighbours(fix.time_ms);
        let here = (fix.latitude, fix.longitude);
        let noise = filter.noise_m();
        let (Some(a), Some(b)) = (before, after) else {
            return Some(Estimate {
                latitude: fix.latitude,
                longitude: fix.longitude,
                rejected,
                outlier: rejected.is_some(),
                accuracy_m: now.accuracy_m,
                ..now
            });
        };
        let frame = super::frame::Frame::new(a.1.0, a.1.1);
        let (x, y) = frame.project(b.1.0, b.1.1);
        let (t1, t2) = (
            (fix.time_ms - a.0) as f64 / 1_000.0,
            (b.0 - fix.time_ms) as f64 / 1_000.0,
        );
        let whole = (t1 + t2).max(1e-3);
        let share = t1 / whole;
        // Variance of a path with white acceleration between two known points.
        let spread = (t1 * t2).powi(2) / (3.0 * whole) + noise * noise / 2.0;
        let pull = if rejected.is_some() {
            0.0
        } else {
            spread / (spread + noise * noise)
        };
        let (hx, hy) = frame.project(here.0, here.1);
        let (lx, ly) = (x * share, y * share);
        let (latitude, longitude) = frame.unproject(lx + pull * (hx - lx), ly + pull * (hy - ly));
        let speed = if whole * 1_000.0 > GAP_MS as f64 {
            0.0
        } else {
            x.hypot(y) / whole
        };
        Some(Estimate {
            latitude,
            longitude,
            speed: speed as f32,
            course: (speed > 0.3).then(|| x.atan2(y).to_degrees().rem_euclid(360.0) as f32),
            accuracy_m: super::filter::accuracy((1.0 - pull) * spread, noise, fix.speed.is_some())
                as f32,
            moving: speed > 2.0,
            outlier: rejected.is_some(),
            rejected,
        })
    }
}

/// A reported speed below this is 0, m/s: the vehicle stands although the filter is not sure yet.
const ZERO_BELOW: f32 = 0.15;

/// A reported speed below this is a standstill, if nothing else is known, m/s.
const STANDS_BELOW: f32 = 0.6;
