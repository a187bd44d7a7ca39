//! The live filter of one device.

use super::bank::{Bank, Evidence, MODELS, Measurement, Mixture, Prior, Velocity};
use super::frame::Frame;
use super::gate::SpeedGate;
use super::sample::Estimate;
use super::standing::{Standing, StandingStep, Trust};

/// After a gap of so many milliseconds the motion is unknown and the filter starts again.
pub(crate) const GAP_MS: i64 = 600_000;

/// A fix as the filter takes it: accepted, in order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fix {
    /// Unix time in milliseconds.
    pub time_ms: i64,
    /// Degrees.
    pub latitude: f64,
    /// Degrees.
    pub longitude: f64,
    /// Reported speed over ground, m/s.
    pub speed: Option<f32>,
    /// Reported course, degrees clockwise from north.
    pub course: Option<f32>,
    /// Horizontal dilution of precision.
    pub hdop: Option<f32>,
    /// Satellites used.
    pub satellites: Option<u8>,
}

/// The state of one device's filter: fixed size, no heap.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    pub(crate) frame: Frame,
    pub(crate) bank: Bank,
    pub(crate) standing: Standing,
    pub(crate) gate: SpeedGate,
    pub(crate) time_ms: i64,
    /// The last accepted fix in metres, and the velocity that it reported.
    pub(crate) last: (f32, f32),
    pub(crate) last_velocity: Option<(f32, f32)>,
    /// Learned noise of the reported velocity, ln m/s.
    pub(crate) velocity_noise: f32,
    /// Running mean of the logarithm of the quality factor.
    pub(crate) quality: f32,
    /// Usual seconds between fixes.
    pub(crate) interval: f32,
}

/// What a step gives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) z: Measurement,
    pub(crate) mixture: Mixture,
    pub(crate) evidence: Evidence,
    pub(crate) standing: StandingStep,
}

impl Filter {
    /// Starts at a fix.
    pub fn new(fix: &Fix) -> Self {
        let frame = Frame::new(fix.latitude, fix.longitude);
        let z = Measurement {
            x: 0.0,
            y: 0.0,
            factor: 1.0,
            velocity: None,
        };
        let mut filter = Self {
            frame,
            bank: Bank::new(&z),
            standing: Standing::default(),
            gate: SpeedGate::default(),
            time_ms: fix.time_ms,
            last: (0.0, 0.0),
            last_velocity: None,
            velocity_noise: VELOCITY_NOISE.ln(),
            quality: quality(fix).ln() as f32,
            interval: 0.0,
        };
        filter.restart(fix);
        filter
    }

    /// Starts again at a fix: after a gap, or at a new place. What was learned about the receiver
    /// is kept.
    pub(crate) fn restart(&mut self, fix: &Fix) -> Step {
        self.frame = Frame::new(fix.latitude, fix.longitude);
        let z = self.measurement(fix);
        self.bank.restart(&z);
        let noise = self.prior(fix).noise_m;
        self.standing.restart(0.0, 0.0, noise);
        self.remember(fix, &z);
        let weights = self.bank.weights(&self.prior(fix));
        Step {
            z,
            mixture: self.bank.mixture(&weights),
            evidence: Evidence {
                position_weight: 1.0,
                motion_factor: 1.0,
                ..Evidence::default()
            },
            standing: StandingStep {
                probability: f64::from(self.standing.probability),
                ..StandingStep::unknown()
            },
        }
    }

    /// Takes an accepted fix that is later than the one before.
    pub(crate) fn step(&mut self, fix: &Fix) -> Step {
        let elapsed = fix.time_ms.saturating_sub(self.time_ms);
        if elapsed > GAP_MS {
            return self.restart_after_gap(fix);
        }
        self.follow();
        let dt = elapsed.max(0) as f64 / 1_000.0;
        let share = if self.interval > 0.0 { 0.2 } else { 1.0 };
        self.interval += (dt as f32 - self.interval) * share;
        let prior = self.prior(fix);
        let weights = self.bank.weights(&prior);
        let before = self.bank.mixture(&weights);
        self.test_speed(fix, dt, &before);
        let z = self.measurement(fix);
        let evidence = self.bank.step(dt, &z, &weights);
        self.learn_velocity_noise(&evidence);
        let weights: [f64; MODELS] = self.bank.weights(&prior);
        let mixture = self.bank.mixture(&weights);
        let standing = self.standing.step(
            dt,
            &z,
            mixture.noise_m,
            evidence.log_density,
            &mixture,
            self.trust(fix),
        );
        self.remember(fix, &z);
        self.quality += (quality(fix).ln() as f32 - self.quality) * 0.05;
        Step {
            z,
            mixture,
            evidence,
            standing,
        }
    }

    /// The estimate after a step.
    pub(crate) fn estimate(&self, step: &Step) -> Estimate {
        self.describe(
            &step.mixture,
            step.evidence.position_weight < OUTLIER_WEIGHT,
        )
    }

    /// The learned white noise of a position, metres per axis.
    pub(crate) fn noise_m(&self) -> f64 {
        let prior = self.present_prior();
        self.bank.mixture(&self.bank.weights(&prior)).noise_m
    }

    /// The estimate at a time after the last step, for a sample that does not move the filter.
    pub(crate) fn ahead(&self, time_ms: i64) -> Estimate {
        let prior = self.present_prior();
        let mut mixture = self.bank.mixture(&self.bank.weights(&prior));
        let dt = time_ms.saturating_sub(self.time_ms).clamp(0, COAST_MS) as f64 / 1_000.0;
        mixture.x += dt * mixture.vx;
        mixture.y += dt * mixture.vy;
        mixture.pp += dt * dt * mixture.vv + mixture.acceleration * dt * dt * dt / 3.0;
        self.describe(&mixture, false)
    }

    fn describe(&self, mixture: &Mixture, outlier: bool) -> Estimate {
        let held = self.standing.held;
        let (x, y) = if held {
            (f64::from(self.standing.x), f64::from(self.standing.y))
        } else {
            (mixture.x, mixture.y)
        };
        let (latitude, longitude) = self.frame.unproject(x, y);
        let speed = if held {
            0.0
        } else {
            mixture.vx.hypot(mixture.vy)
        };
        let course = (speed > 0.3)
            .then(|| mixture.vx.atan2(mixture.vy).to_degrees().rem_euclid(360.0) as f32);
        let variance = if held {
            f64::from(self.standing.variance)
        } else {
            mixture.pp
        };
        Estimate {
            latitude,
            longitude,
            speed: speed as f32,
            course,
            accuracy_m: accuracy(variance, mixture.noise_m, self.last_velocity.is_some()) as f32,
            moving: !held,
            outlier,
            rejected: None,
        }
    }

    /// A vehicle that was parked before the gap and is found at the same place is still parked.
    fn restart_after_gap(&mut self, fix: &Fix) -> Step {
        let parked = self.standing;
        let (x, y) = self.frame.project(fix.latitude, fix.longitude);
        let off = (x - f64::from(parked.x)).hypot(y - f64::from(parked.y));
        let frame = self.frame;
        let mut step = self.restart(fix);
        if parked.held && off < (6.0 * step.mixture.noise_m).max(60.0) {
            self.standing = parked;
            let (lat, lon) = frame.unproject(f64::from(parked.x), f64::from(parked.y));
            let (x, y) = self.frame.project(lat, lon);
            (self.standing.x, self.standing.y) = (x as f32, y as f32);
            step.standing.probability = f64::from(parked.probability);
            step.standing.leave = 0.0;
            step.standing.arrive = 0.0;
        }
        step
    }

    /// Moves the frame's anchor when the vehicle has left its reach.
    fn follow(&mut self) {
        let (x, y) = (f64::from(self.last.0), f64::from(self.last.1));
        if x.abs().max(y.abs()) < Frame::REACH_M {
            return;
        }
        let (latitude, longitude) = self.frame.unproject(x, y);
        let to = Frame::new(latitude, longitude);
        let from = self.frame;
        let (sin, cos) = from.convergence(&to);
        let place = |x: &mut f32, y: &mut f32| {
            let (lat, lon) = from.unproject(f64::from(*x), f64::from(*y));
            let (a, b) = to.project(lat, lon);
            (*x, *y) = (a as f32, b as f32);
        };
        let turn = |x: &mut f32, y: &mut f32| {
            let (a, b) = (f64::from(*x), f64::from(*y));
            (*x, *y) = ((a * cos + b * sin) as f32, (b * cos - a * sin) as f32);
        };
        for model in &mut self.bank.models {
            place(&mut model.x, &mut model.y);
            turn(&mut model.vx, &mut model.vy);
        }
        place(&mut self.standing.x, &mut self.standing.y);
        place(&mut self.last.0, &mut self.last.1);
        if let Some(v) = &mut self.last_velocity {
            turn(&mut v.0, &mut v.1);
        }
        self.frame = to;
    }

    fn remember(&mut self, fix: &Fix, z: &Measurement) {
        self.time_ms = fix.time_ms;
        self.last = (z.x as f32, z.y as f32);
        self.last_velocity = fix.velocity();
    }

    fn measurement(&self, fix: &Fix) -> Measurement {
        let (x, y) = self.frame.project(fix.latitude, fix.longitude);
        let factor = quality(fix) / f64::from(self.quality).exp();
        Measurement {
            x,
            y,
            factor: factor.clamp(0.5, 4.0),
            velocity: fix
                .velocity()
                .filter(|_| !self.gate.closed)
                .map(|(x, y)| Velocity {
                    x: f64::from(x),
                    y: f64::from(y),
                    sigma: f64::from(self.velocity_noise).exp(),
                }),
        }
    }

    fn trust(&self, fix: &Fix) -> Trust {
        if fix.speed.is_none() || self.gate.closed {
            Trust::None
        } else if self.gate.proven() {
            Trust::Proven
        } else {
            Trust::Unproven
        }
    }

    fn test_speed(&mut self, fix: &Fix, dt: f64, before: &Mixture) {
        if dt <= 0.0 {
            return;
        }
        let (Some(was), Some(now)) = (self.last_velocity, fix.velocity()) else {
            return;
        };
        let (x, y) = self.frame.project(fix.latitude, fix.longitude);
        let moved = (x - f64::from(self.last.0), y - f64::from(self.last.1));
        let promised = (
            dt * f64::from(was.0 + now.0) / 2.0,
            dt * f64::from(was.1 + now.1) / 2.0,
        );
        // Between two courses that differ, the way is longer than the displacement by an unknown
        // amount: no test.
        let (a, b) = (was.0.hypot(was.1), now.0.hypot(now.1));
        if a > 1.0 && b > 1.0 && was.0 * now.0 + was.1 * now.1 < 0.9 * a * b {
            return;
        }
        let noise = before.noise_m;
        let sigma = (4.0 * noise * noise + 0.6 * dt * dt * dt / 12.0).sqrt();
        self.gate.test(moved, promised, sigma, dt > 3.0);
    }

    fn learn_velocity_noise(&mut self, evidence: &Evidence) {
        if let Some((u, share)) = evidence.velocity {
            let change = ((u.min(4.0) - 1.0) * share).clamp(-1.0, 1.0) * 0.05;
            self.velocity_noise = (self.velocity_noise + change as f32)
                .clamp(VELOCITY_NOISE_MIN.ln(), VELOCITY_NOISE_MAX.ln());
        }
    }

    fn prior(&self, fix: &Fix) -> Prior {
        self.prior_for(fix.speed.is_some())
    }

    fn present_prior(&self) -> Prior {
        self.prior_for(self.last_velocity.is_some())
    }

    /// A receiver that reports no speed is more often a poor one.
    fn prior_for(&self, reports_speed: bool) -> Prior {
        let interval = f64::from(self.interval);
        let factor = f64::from(self.quality).exp();
        if reports_speed {
            Prior {
                noise_m: 1.5 * factor,
                spread: 1.2,
                interval,
            }
        } else {
            Prior {
                noise_m: 4.0 * factor,
                spread: 0.4,
                interval,
            }
        }
    }
}

/// A fix whose expected weight is below this has not moved the estimate.
pub(crate) const OUTLIER_WEIGHT: f64 = 0.1;

/// A sample without a usable position is estimated by going on for at most so long.
const COAST_MS: i64 = 10_000;

/// The 68 % radius. A good receiver's error wanders over minutes, which no statistic of the track
/// shows; `SLOW_BIAS_M` stands for it and is the floor.
pub(crate) fn accuracy(variance: f64, noise_m: f64, reports_speed: bool) -> f64 {
    let bias = if reports_speed {
        SLOW_BIAS_M
    } else {
        2.0 * SLOW_BIAS_M
    };
    (3.2 * variance + bias * bias + 0.5 * noise_m * noise_m)
        .sqrt()
        .min(1e6)
}

const SLOW_BIAS_M: f64 = 2.3;

const VELOCITY_NOISE: f32 = 0.3;
const VELOCITY_NOISE_MIN: f32 = 0.1;
const VELOCITY_NOISE_MAX: f32 = 20.0;

impl Fix {
    /// The reported velocity, m/s east and north.
    pub(crate) fn velocity(&self) -> Option<(f32, f32)> {
        let speed = self.speed?;
        if speed < 0.1 {
            return Some((0.0, 0.0));
        }
        let (sin, cos) = self.course?.to_radians().sin_cos();
        Some((speed * sin, speed * cos))
    }
}

/// How much noisier a fix is than one of HDOP 1.
fn quality(fix: &Fix) -> f64 {
    match (fix.hdop, fix.satellites) {
        (Some(hdop), _) if hdop > 0.0 => f64::from(hdop).clamp(0.4, 8.0),
        (_, Some(satellites)) if satellites > 0 => (14.0 / f64::from(satellites)).clamp(0.4, 5.0),
        _ => 1.0,
    }
}
