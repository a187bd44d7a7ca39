//! A small bank of constant-velocity Kalman filters that learns the receiver's noise.
//!
//! Each model believes in one white position noise and one acceleration noise. Their weights
//! follow the likelihood of what the receiver sent, with slow forgetting, so the bank finds out by
//! itself whether a receiver is a good one (then the output is the fix itself) or a poor one (then
//! half of the noise goes). Position and motion have heavy tails: mixtures of three variances
//! each, collapsed to one Gaussian per step.

use super::numeric::{exp, ln};

/// White position noise per axis, metres.
const NOISE_M: [f64; 6] = [0.3, 0.7, 1.6, 3.6, 8.0, 15.0];
/// Acceleration noise, m²/s³.
const ACCELERATION: [f64; 2] = [0.25, 18.0];
/// Number of models.
pub(crate) const MODELS: usize = NOISE_M.len() * ACCELERATION.len();

/// Share, factor of the standard deviation: an outlier is a fix whose noise is 40 times as large.
const POSITION_TAILS: [(f64, f64); 3] = [(0.88, 1.0), (0.10, 3.0), (0.02, 40.0)];
/// Share, factor of the acceleration noise: cruising, ordinary driving, a manoeuvre.
const MOTION_TAILS: [(f64, f64); 3] = [(0.75, 0.3), (0.20, 2.0), (0.05, 12.0)];

/// Forgetting of the likelihood per report.
const FORGETTING: f64 = 0.99;
/// A model loses at most this much per report against the best one, nats: one outlier does not
/// decide what a receiver is.
const WORST_NATS: f64 = 8.0;
/// Degrees of freedom of the velocity's noise.
const VELOCITY_FREEDOM: f64 = 4.0;
/// Variance of an unknown velocity, m²/s².
const UNKNOWN_VELOCITY: f64 = 144.0;

/// One Kalman filter; both axes share a covariance. Positions are metres in the filter's frame.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Model {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) vx: f32,
    pub(crate) vy: f32,
    /// Variances of position and velocity and their covariance, per axis.
    pub(crate) pp: f32,
    pub(crate) pv: f32,
    pub(crate) vv: f32,
    /// Log-likelihood with forgetting.
    pub(crate) likelihood: f32,
}

/// All models.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bank {
    pub(crate) models: [Model; MODELS],
}

/// What is measured in one step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measurement {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// How much noisier this fix is than the receiver's usual one (from HDOP and satellites).
    pub(crate) factor: f64,
    pub(crate) velocity: Option<Velocity>,
}

/// A reported velocity, m/s, with its standard deviation per axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Velocity {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) sigma: f64,
}

/// What is believed of the noise before anything was learned: centre and standard deviation of
/// the logarithm.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prior {
    pub(crate) noise_m: f64,
    pub(crate) spread: f64,
    /// Usual seconds between fixes.
    pub(crate) interval: f64,
}

/// The mixture of all models.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mixture {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) vx: f64,
    pub(crate) vy: f64,
    pub(crate) pp: f64,
    pub(crate) vv: f64,
    /// Learned white noise of a position, metres per axis.
    pub(crate) noise_m: f64,
    /// Learned acceleration noise, m²/s³.
    pub(crate) acceleration: f64,
}

/// What a step has shown, beside the new estimate.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Evidence {
    /// Log of the predictive density of the measurement.
    pub(crate) log_density: f64,
    /// Expected precision of this fix relative to a usual one, 0 to 1: small for outliers.
    pub(crate) position_weight: f64,
    /// Expected factor of the acceleration noise during this step.
    pub(crate) motion_factor: f64,
    /// Squared velocity innovation against its variance (mean 1 per axis), and the share of the
    /// reported velocity's own noise in that variance.
    pub(crate) velocity: Option<(f64, f64)>,
}

impl Bank {
    /// Starts at a place; nothing is learned yet.
    pub(crate) fn new(at: &Measurement) -> Self {
        let mut bank = Self {
            models: [Model::default(); MODELS],
        };
        bank.restart(at);
        bank
    }

    /// Starts again elsewhere; what was learned about the receiver is kept.
    pub(crate) fn restart(&mut self, at: &Measurement) {
        for (i, model) in self.models.iter_mut().enumerate() {
            let (noise, _) = grid(i);
            let r = noise * at.factor;
            let (vx, vy, vv) = at.velocity.map_or((0.0, 0.0, UNKNOWN_VELOCITY), |v| {
                (v.x, v.y, v.sigma * v.sigma)
            });
            *model = Model {
                x: at.x as f32,
                y: at.y as f32,
                vx: vx as f32,
                vy: vy as f32,
                pp: (r * r) as f32,
                pv: 0.0,
                vv: vv as f32,
                likelihood: model.likelihood,
            };
        }
    }

    /// One step of `dt` seconds. `weights` are those before the step.
    pub(crate) fn step(&mut self, dt: f64, z: &Measurement, weights: &[f64; MODELS]) -> Evidence {
        let (t2, t3) = (dt * dt / 2.0, dt * dt * dt / 3.0);
        let mut densities = [0.0; MODELS];
        let mut evidence = Evidence::default();
        let (mut u_sum, mut share_sum) = (0.0, 0.0);
        let mut shown = [(0.0, 0.0); MODELS];
        for (i, model) in self.models.iter_mut().enumerate() {
            let (noise, q) = grid(i);
            let floor = LONG_ACCELERATION * (dt / 10.0).powi(4);
            let r2 = (noise * z.factor) * (noise * z.factor);
            let (x, y) = (
                f64::from(model.x) + dt * f64::from(model.vx),
                f64::from(model.y) + dt * f64::from(model.vy),
            );
            let (pp, pv, vv) = (
                f64::from(model.pp),
                f64::from(model.pv),
                f64::from(model.vv),
            );
            // Prediction without process noise.
            let pp0 = pp + dt * (2.0 * pv + dt * vv);
            let pv0 = pv + dt * vv;
            let (ex, ey) = (z.x - x, z.y - y);
            let e2 = ex * ex + ey * ey;
            // Nine components: gains and posteriors depend on the squared innovation only.
            let mut gains = [[0.0; 7]; 9];
            let mut widest = f64::INFINITY;
            let mut slots = gains.iter_mut();
            for (share_q, factor_q) in MOTION_TAILS {
                let qf = (q * factor_q).max(floor);
                let (cpp, cpv, cvv) = (pp0 + qf * t3, pv0 + qf * t2, vv + qf * dt);
                for (share_r, factor_r) in POSITION_TAILS {
                    let rr = r2 * factor_r * factor_r;
                    let s = 1.0 / (cpp + rr);
                    let (kp, kv) = (cpp * s, cpv * s);
                    widest = widest.min(s);
                    if let Some(slot) = slots.next() {
                        // kp·rr equals (1 - kp)·cpp, and never turns negative.
                        *slot = [
                            share_q * share_r * s,
                            s,
                            kp,
                            kv,
                            kp * rr,
                            kv * rr,
                            cvv - kv * cpv,
                        ];
                    }
                }
            }
            let mut sum = 0.0;
            let (mut kp, mut kv) = (0.0, 0.0);
            let (mut npp, mut npv, mut nvv) = (0.0, 0.0, 0.0);
            let (mut kpp, mut kpv, mut kvv) = (0.0, 0.0, 0.0);
            let (mut precision, mut factor) = (0.0, 0.0);
            // Relative to the widest component, so that no exponent is positive.
            for (at, [share, s, gp, gv, cpp, cpv, cvv]) in gains.into_iter().enumerate() {
                let w = share * exp(-0.5 * e2 * (s - widest));
                sum += w;
                kp += w * gp;
                kv += w * gv;
                npp += w * cpp;
                npv += w * cpv;
                nvv += w * cvv;
                kpp += w * gp * gp;
                kpv += w * gp * gv;
                kvv += w * gv * gv;
                let tail = POSITION_TAILS.get(at % 3).map_or(1.0, |t| t.1);
                precision += w / (tail * tail);
                factor += w * MOTION_TAILS.get(at / 3).map_or(1.0, |t| t.1);
            }
            let n = 1.0 / sum;
            let (kp, kv) = (kp * n, kv * n);
            // The spread of the components' means lies along the innovation; half of it per axis.
            let h = e2 / 2.0;
            let mut pp = npp * n + h * (kpp * n - kp * kp).max(0.0);
            let mut pv = npv * n + h * (kpv * n - kp * kv);
            let mut vv = nvv * n + h * (kvv * n - kv * kv).max(0.0);
            let (mut x, mut y) = (x + kp * ex, y + kp * ey);
            let (mut vx, mut vy) = (f64::from(model.vx) + kv * ex, f64::from(model.vy) + kv * ey);
            let mut density = ln(sum) - 0.5 * e2 * widest - TAU_LN;
            if let Some(v) = z.velocity {
                let (ux, uy) = (v.x - vx, v.y - vy);
                let u2 = ux * ux + uy * uy;
                let r2 = v.sigma * v.sigma;
                let s = vv + r2;
                let d2 = u2 / s;
                density += -(VELOCITY_FREEDOM / 2.0 + 1.0) * ln(1.0 + d2 / VELOCITY_FREEDOM)
                    - ln(s)
                    - TAU_LN;
                if let Some(shown) = shown.get_mut(i) {
                    *shown = (d2 / 2.0, r2 / s);
                }
                let weight = (VELOCITY_FREEDOM + 2.0) / (VELOCITY_FREEDOM + d2);
                let s = 1.0 / (vv + r2 / weight);
                let (kp, kv) = (pv * s, vv * s);
                x += kp * ux;
                y += kp * uy;
                vx += kv * ux;
                vy += kv * uy;
                pp -= kp * pv;
                let rest = 1.0 - kv;
                pv *= rest;
                vv *= rest;
            }
            // Rounding must never make the covariance indefinite.
            let pp = pp.clamp(1e-6, 1e12);
            let vv = vv.clamp(1e-6, 1e6);
            let bound = 0.999 * (pp * vv).sqrt();
            *model = Model {
                x: x as f32,
                y: y as f32,
                vx: vx as f32,
                vy: vy as f32,
                pp: pp as f32,
                pv: pv.clamp(-bound, bound) as f32,
                vv: vv as f32,
                likelihood: model.likelihood,
            };
            if let (Some(out), Some(w)) = (densities.get_mut(i), weights.get(i)) {
                *out = density;
                evidence.position_weight += w * precision * n;
                evidence.motion_factor += w * factor * n;
            }
        }
        let best = densities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let evidence_share = (SEPARABLE_S / dt).min(1.0).powf(2.5);
        let mut total = 0.0;
        for (((model, density), weight), shown) in self
            .models
            .iter_mut()
            .zip(densities)
            .zip(weights)
            .zip(shown)
        {
            let lost = (density - best).max(-WORST_NATS) * evidence_share;
            model.likelihood = (FORGETTING * f64::from(model.likelihood) + lost) as f32;
            total += weight * exp(density - best);
            u_sum += weight * shown.0;
            share_sum += weight * shown.1;
        }
        evidence.log_density = best + ln(total.max(1e-300));
        evidence.velocity = z.velocity.map(|_| (u_sum, share_sum));
        evidence
    }

    /// The models' weights.
    pub(crate) fn weights(&self, prior: &Prior) -> [f64; MODELS] {
        let stretch = (prior.interval / MANOEUVRE_S).max(1.0);
        let centre = PRIOR_ACCELERATION * stretch * stretch;
        let mut weights = [0.0; MODELS];
        let mut best = f64::NEG_INFINITY;
        for (i, (weight, model)) in weights.iter_mut().zip(&self.models).enumerate() {
            let (noise, q) = grid(i);
            let off_r = (noise / prior.noise_m).ln() / prior.spread;
            let off_q = (q / centre).ln() / PRIOR_ACCELERATION_SPREAD;
            *weight = f64::from(model.likelihood) - 0.5 * (off_r * off_r + off_q * off_q);
            best = best.max(*weight);
        }
        let mut sum = 0.0;
        for weight in &mut weights {
            *weight = exp(*weight - best);
            sum += *weight;
        }
        for weight in &mut weights {
            *weight /= sum;
        }
        weights
    }

    /// The mixture of the models.
    pub(crate) fn mixture(&self, weights: &[f64; MODELS]) -> Mixture {
        let mut m = Mixture::default();
        for (i, (w, model)) in weights.iter().zip(&self.models).enumerate() {
            let (noise, q) = grid(i);
            m.x += w * f64::from(model.x);
            m.y += w * f64::from(model.y);
            m.vx += w * f64::from(model.vx);
            m.vy += w * f64::from(model.vy);
            m.noise_m += w * noise.ln();
            m.acceleration += w * q.ln();
        }
        for (w, model) in weights.iter().zip(&self.models) {
            let (dx, dy) = (f64::from(model.x) - m.x, f64::from(model.y) - m.y);
            let (ux, uy) = (f64::from(model.vx) - m.vx, f64::from(model.vy) - m.vy);
            m.pp += w * (f64::from(model.pp) + (dx * dx + dy * dy) / 2.0);
            m.vv += w * (f64::from(model.vv) + (ux * ux + uy * uy) / 2.0);
        }
        m.noise_m = m.noise_m.exp();
        m.acceleration = m.acceleration.exp();
        m
    }
}

/// The prior of the acceleration noise: centre and standard deviation of the logarithm.
const PRIOR_ACCELERATION: f64 = 0.6;
const PRIOR_ACCELERATION_SPREAD: f64 = 1.0;
/// At longer intervals than this a manoeuvre fits between two fixes; the prior's centre grows with
/// the square of the interval.
const MANOEUVRE_S: f64 = 7.0;
/// At longer intervals than this, noise and manoeuvres look the same (a winding road, sampled
/// rarely, zigzags like noise): the likelihood counts less, the prior more.
const SEPARABLE_S: f64 = 12.0;
/// Least acceleration noise at an interval of 10 s, m²/s³; it grows with the fourth power, so that
/// at 30 s no model believes that it can predict a car.
const LONG_ACCELERATION: f64 = 0.1;
/// ln 2π
const TAU_LN: f64 = 1.837_877_066_409_345_3;

/// Noise and acceleration of a model.
fn grid(i: usize) -> (f64, f64) {
    let q = ACCELERATION.len();
    (
        NOISE_M.get(i / q).copied().unwrap_or(1.0),
        ACCELERATION.get(i % q).copied().unwrap_or(1.0),
    )
}
