//! A fixed-lag smoother: the estimate of each report from those before it and `lag` after it.

use std::collections::VecDeque;

use milepost_telemetry::Rejected;

use super::filter::{Fix, GAP_MS, OUTLIER_WEIGHT, accuracy};
use super::frame::Frame;
use super::live::Live;
use super::pace::drives;
use super::plausible::{Rules, Verdict};
use super::rts::{Noise, Row, Window};
use super::sample::{Estimate, Sample};
use super::standing::{HOLD, MEMORY, RELEASE, StandingStep};

/// Believed rows before the one that is estimated.
const BEFORE: usize = 25;
/// Rows kept before it, rejected ones included.
const KEPT_BEFORE: usize = 2 * BEFORE;

/// One report and what the live filter made of it.
#[derive(Debug, Clone, Copy)]
struct Pending {
    fix: Option<Fix>,
    live: Option<Estimate>,
    /// The position takes part.
    believed: bool,
    /// The track starts again here.
    restart: bool,
    rejected: Option<Rejected>,
    standing: StandingStep,
    factor: f64,
    weight: f64,
    motion: f64,
    speed_ignored: bool,
    /// The live hold was given up here.
    let_go: bool,
}

/// Smooths a sequence of reports with a fixed lag.
///
/// Memory is bounded by the lag; nothing is allocated per report once the window is full.
#[derive(Debug)]
pub struct Lagged {
    lag: usize,
    rules: Rules,
    live: Live,
    rows: VecDeque<Pending>,
    /// Index in `rows` of the next row to be estimated.
    next: usize,
    noise: Noise,
    noise_known: bool,
    window: Window,
    scratch: Vec<Row>,
    hold: Option<Hold>,
    drives: bool,
}

/// The point at which the output is held.
#[derive(Debug, Clone, Copy)]
struct Hold {
    latitude: f64,
    longitude: f64,
    fixes: f64,
}

impl Lagged {
    /// A smoother that looks at `lag` following reports.
    pub fn new(lag: usize, rules: Rules) -> Self {
        Self {
            lag,
            rules,
            live: Live::default(),
            rows: VecDeque::with_capacity(KEPT_BEFORE + lag + 2),
            next: 0,
            noise: Noise {
                position: 1.0,
                velocity: 0.3,
                acceleration: 0.6,
            },
            noise_known: false,
            window: Window::default(),
            scratch: Vec::with_capacity(BEFORE + lag + 2),
            hold: None,
            drives: false,
        }
    }

    /// Takes the next report; returns the estimate of the one `lag` before it. `Some(None)` is a
    /// report before the first usable fix.
    pub fn push(&mut self, sample: &Sample) -> Option<Option<Estimate>> {
        let applied = self.live.apply(sample, &self.rules);
        let mut row = Pending {
            fix: sample.fix().filter(|_| applied.verdict.is_some()),
            live: applied.estimate,
            believed: applied.step.is_some(),
            restart: false,
            rejected: applied.estimate.and_then(|e| e.rejected),
            standing: StandingStep::default(),
            factor: 1.0,
            weight: 1.0,
            motion: 1.0,
            speed_ignored: false,
            let_go: false,
        };
        if let Some(Verdict::Reject(reason)) = applied.verdict {
            row.rejected = Some(reason);
        }
        match applied.verdict {
            Some(Verdict::NewPlace(count)) => self.believe_candidates(count),
            Some(Verdict::Return(count)) => self.disbelieve(count),
            _ => {}
        }
        if let (Some((_, step)), Some(filter)) = (applied.step, &self.live.filter) {
            row.standing = step.standing;
            row.factor = step.z.factor;
            row.weight = step.evidence.position_weight;
            row.motion = step.evidence.motion_factor;
            row.speed_ignored = filter.gate.closed;
            row.let_go = step.standing.let_go;
            self.noise = Noise {
                position: step.mixture.noise_m,
                velocity: f64::from(filter.velocity_noise).exp(),
                acceleration: step.mixture.acceleration,
            };
            self.noise_known = true;
        }
        self.rows.push_back(row);
        if self.rows.len() - self.next > self.lag {
            return Some(self.estimate());
        }
        None
    }

    /// After the last report: the estimates that are still due, one per call.
    pub fn finish(&mut self) -> Option<Option<Estimate>> {
        (self.next < self.rows.len()).then(|| self.estimate())
    }

    /// The last candidates are believed: the track starts again at the first of them.
    fn believe_candidates(&mut self, count: u8) {
        let mut left = count.saturating_sub(1);
        let mut first = None;
        for (at, row) in self.rows.iter_mut().enumerate().rev() {
            if left == 0 {
                break;
            }
            if row.rejected == Some(Rejected::Jump) {
                row.rejected = None;
                row.believed = true;
                row.standing = StandingStep::unknown();
                first = Some(at);
                left -= 1;
            } else if row.believed {
                break;
            }
        }
        if let Some(row) = first.and_then(|at| self.rows.get_mut(at)) {
            row.restart = true;
            row.let_go = true;
        }
    }

    /// The last believed rows were wrong.
    fn disbelieve(&mut self, count: u8) {
        let mut left = count;
        for row in self.rows.iter_mut().rev() {
            if left == 0 {
                break;
            }
            if row.believed {
                row.believed = false;
                row.restart = false;
                row.let_go = false;
                row.rejected = Some(Rejected::Jump);
                left -= 1;
            }
        }
    }

    fn estimate(&mut self) -> Option<Estimate> {
        let at = self.next;
        let estimate = self.estimate_row(at);
        self.next += 1;
        while self.next > KEPT_BEFORE {
            self.rows.pop_front();
            self.next -= 1;
        }
        estimate
    }

    fn estimate_row(&mut self, at: usize) -> Option<Estimate> {
        let row = *self.rows.get(at)?;
        let Some(fix) = row.fix else {
            return row.live;
        };
        let end = (at + self.lag + 1).min(self.rows.len());
        // Rows before the target, back to a restart or a gap.
        let mut start = at;
        let mut believed = 0;
        let mut later = fix.time_ms;
        if !row.restart {
            for i in (0..at).rev() {
                let Some(before) = self.rows.get(i) else {
                    break;
                };
                let (true, Some(f)) = (before.believed, before.fix) else {
                    continue;
                };
                if later - f.time_ms > GAP_MS {
                    break;
                }
                later = f.time_ms;
                start = i;
                believed += 1;
                if before.restart || believed == BEFORE {
                    break;
                }
            }
        }
        let frame = Frame::new(fix.latitude, fix.longitude);
        self.scratch.clear();
        let mut target = 0;
        let mut last_ms = None;
        for i in start..end {
            let Some(r) = self.rows.get(i) else { break };
            let Some(f) = r.fix.filter(|_| r.believed || i == at) else {
                continue;
            };
            let since = last_ms.map_or(0, |t: i64| f.time_ms - t);
            if i > at && (r.restart || since > GAP_MS) {
                break;
            }
            if last_ms.is_some() && since <= 0 {
                continue;
            }
            last_ms = Some(f.time_ms);
            let (x, y) = frame.project(f.latitude, f.longitude);
            if i == at {
                target = self.scratch.len();
            }
            self.scratch.push(Row {
                x,
                y,
                factor: r.factor,
                velocity: f
                    .velocity()
                    .filter(|_| !r.speed_ignored && r.believed)
                    .map(|(x, y)| (f64::from(x), f64::from(y))),
                dt: since as f64 / 1_000.0,
                measured: r.believed,
                weight: r.weight,
                motion: r.motion,
            });
        }
        if !row.believed && self.scratch.len() < 2 {
            return row.live;
        }
        let smooth = self.window.smooth(&self.scratch, target, &self.noise);
        let reports_speed = fix.speed.is_some();
        let held = self.hold(at, end, &fix);
        if !self.live.instrumented && row.believed {
            self.drives = self.judge_pace(at, end, &fix);
        }
        let (latitude, longitude, speed, variance) = match held {
            Some(hold) => (
                hold.latitude,
                hold.longitude,
                0.0,
                self.noise.position * self.noise.position / hold.fixes.min(MEMORY),
            ),
            None => {
                let (latitude, longitude) = frame.unproject(smooth.x, smooth.y);
                (latitude, longitude, smooth.vx.hypot(smooth.vy), smooth.pp)
            }
        };
        Some(Estimate {
            latitude,
            longitude,
            speed: speed as f32,
            course: (speed > 0.3)
                .then(|| smooth.vx.atan2(smooth.vy).to_degrees().rem_euclid(360.0) as f32),
            accuracy_m: accuracy(variance, self.noise.position, reports_speed) as f32,
            moving: if self.live.instrumented {
                held.is_none()
            } else {
                self.drives
            },
            outlier: !row.believed || row.weight < OUTLIER_WEIGHT,
            rejected: row.rejected,
        })
    }

    fn judge_pace(&self, at: usize, end: usize, fix: &Fix) -> bool {
        let point = |row: &Pending| {
            let fix = row.fix.filter(|_| row.believed)?;
            Some((fix.time_ms, fix.latitude, fix.longitude))
        };
        let before = self.rows.range(..at).rev().filter_map(point);
        let after = self.rows.range(at + 1..end).filter_map(point);
        let here = (fix.time_ms, fix.latitude, fix.longitude);
        drives(here, before, Some(after), self.noise.position, self.drives)
    }

    /// Probability of standing at a row, with all rows up to `end`.
    fn standing(&self, at: usize, end: usize) -> f64 {
        let (mut stand, mut drive) = (1.0_f64, 1.0_f64);
        for i in (at + 1..end).rev() {
            let Some(row) = self.rows.get(i) else {
                continue;
            };
            if !row.believed {
                continue;
            }
            let s = row.standing;
            let likelihood = s.ratio.exp();
            let (a, b) = (
                (1.0 - s.leave) * likelihood * stand + s.leave * drive,
                s.arrive * likelihood * stand + (1.0 - s.arrive) * drive,
            );
            let sum = a + b;
            (stand, drive) = (a / sum, b / sum);
        }
        let p = self.rows.get(at).map_or(0.0, |r| r.standing.probability);
        let (a, b) = (p * stand, (1.0 - p) * drive);
        a / (a + b).max(1e-300)
    }

    fn hold(&mut self, at: usize, end: usize, fix: &Fix) -> Option<Hold> {
        let row = self.rows.get(at)?;
        if !row.believed {
            return self.hold;
        }
        // The fixes that gave the hold up are up to three rows long; those before them were held.
        let gone = (at..end.min(at + 3)).any(|i| self.rows.get(i).is_some_and(|r| r.let_go));
        let probability = self.standing(at, end);
        let bound = if self.hold.is_some() { RELEASE } else { HOLD };
        if gone || probability < bound {
            self.hold = None;
            return None;
        }
        let noise = self.noise.position;
        let hold = match self.hold {
            Some(mut hold) => {
                // The newest row that is still standing joins the mean.
                let joins = end > at
                    && self.rows.get(end - 1).is_some_and(|r| r.believed)
                    && self.standing(end - 1, end) > RELEASE;
                if let Some(f) = self.rows.get(end - 1).and_then(|r| r.fix).filter(|_| joins) {
                    hold.add(&f, noise);
                }
                hold
            }
            None => {
                let mut hold = Hold {
                    latitude: fix.latitude,
                    longitude: fix.longitude,
                    fixes: 1.0,
                };
                for i in at + 1..end {
                    let Some(r) = self.rows.get(i) else { break };
                    let Some(f) = r.fix.filter(|_| r.believed) else {
                        continue;
                    };
                    if self.standing(i, end) < HOLD {
                        break;
                    }
                    hold.add(&f, noise);
                }
                hold
            }
        };
        self.hold = Some(hold);
        Some(hold)
    }
}

impl Hold {
    fn add(&mut self, fix: &Fix, noise: f64) {
        let frame = Frame::new(self.latitude, self.longitude);
        let (x, y) = frame.project(fix.latitude, fix.longitude);
        let spread = noise.max(1.0);
        let d2 = (x * x + y * y) / (spread * spread * (1.0 + 1.0 / self.fixes));
        let weight = (6.0 / (4.0 + d2)).min(1.0);
        self.fixes = (self.fixes + weight).min(MEMORY);
        let k = weight / self.fixes;
        (self.latitude, self.longitude) = frame.unproject(k * x, k * y);
    }
}
