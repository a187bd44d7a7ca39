//! Whether the vehicle stands, and where.

use super::bank::{Measurement, Mixture};
use super::numeric::{exp, ln};

/// Mean length of a stop and of a drive, seconds.
const STOP_S: f64 = 60.0;
const DRIVE_S: f64 = 120.0;
/// The held point is a mean over about so many fixes.
pub(crate) const MEMORY: f64 = 120.0;
/// Hold from this probability on, until it falls below the second.
pub(crate) const HOLD: f64 = 0.85;
pub(crate) const RELEASE: f64 = 0.4;
/// Share of the standing density with three times the noise, up to so many metres.
const WIDE_SHARE: f64 = 0.25;
const WIDE_M: f64 = 15.0;
/// A reported speed below this is 0, m/s; reported for so many seconds, the vehicle stands as long
/// as the position stays within this radius, metres.
const STILL_SPEED: f64 = 0.3;
const STILL_S: u16 = 120;
/// Less is enough once the speed was proved right by displacements.
const STILL_PROVEN_S: u16 = 4;
const STILL_M: f64 = 60.0;
/// Then the fix speaks for standing at least as much as this.
const STAYS_RATIO: f64 = 2.5;
/// Degrees of freedom of position and velocity while standing.
const POSITION_FREEDOM: f64 = 8.0;
const VELOCITY_FREEDOM: f64 = 4.0;

/// How far the reported speed is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// There is none, or it contradicts the displacements.
    None,
    /// Nothing contradicts it so far.
    Unproven,
    /// Displacements have confirmed it.
    Proven,
}

/// Two hypotheses in competition: the vehicle stands at a point, or it moves as the bank says.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Standing {
    /// The point, metres in the filter's frame, and its variance per axis.
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) variance: f32,
    /// Probability of standing.
    pub(crate) probability: f32,
    /// Whether the output is held at the point.
    pub(crate) held: bool,
    /// Fixes in a row far from the point, and somewhat away from it.
    pub(crate) far: u8,
    pub(crate) away: u8,
    /// While away: movement was reported, or there was a gap.
    pub(crate) moved: bool,
    /// For how many seconds a speed of 0 has been reported, up to a bound.
    pub(crate) still_s: u16,
}

/// What one fix says about standing, kept so that later fixes can revise it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StandingStep {
    /// ln p(fix | standing) - ln p(fix | moving).
    pub(crate) ratio: f64,
    /// Probabilities of the changes during the step: standing to moving, moving to standing.
    pub(crate) leave: f64,
    pub(crate) arrive: f64,
    /// Probability of standing with all fixes up to this one.
    pub(crate) probability: f64,
    /// The hold was given up: the vehicle was moved.
    pub(crate) let_go: bool,
}

impl StandingStep {
    /// Nothing is known.
    pub(crate) fn unknown() -> Self {
        Self {
            ratio: 0.0,
            leave: 0.5,
            arrive: 0.5,
            probability: 0.4,
            let_go: false,
        }
    }
}

impl Standing {
    pub(crate) fn restart(&mut self, x: f64, y: f64, noise: f64) {
        *self = Self {
            x: x as f32,
            y: y as f32,
            variance: (noise * noise) as f32,
            probability: 0.4,
            ..Self::default()
        };
    }

    /// One fix. `before` and `after` are the moving estimate before and after it, `log_density`
    /// the density of the fix if the vehicle moves.
    pub(crate) fn step(
        &mut self,
        dt: f64,
        z: &Measurement,
        noise: f64,
        log_density: f64,
        after: &Mixture,
        speed: Trust,
    ) -> StandingStep {
        let was_held = self.held;
        let leave = 1.0 - exp(-dt / STOP_S);
        let arrive = 1.0 - exp(-dt / DRIVE_S);
        let stood = f64::from(self.probability);
        let prior = stood * (1.0 - leave) + (1.0 - stood) * arrive;

        // Interacting models: whoever begins to stand, stands where the moving estimate is.
        let (px, py) = (f64::from(self.x), f64::from(self.y));
        let r2 = (noise * z.factor) * (noise * z.factor);
        let (ex, ey) = (z.x - px, z.y - py);
        let variance = f64::from(self.variance).max(r2 / MEMORY);
        let e2 = ex * ex + ey * ey;
        // The learned noise may be too low, above all at long intervals, where little can be
        // learned: a share of the density has more of it, within bounds.
        let wide2 = (9.0 * r2).min(WIDE_M * WIDE_M).max(r2);
        let (d2, narrow) = density(e2, r2 + variance);
        let (_, wide) = density(e2, wide2 + variance);
        let (narrow, wide) = (narrow + ln(1.0 - WIDE_SHARE), wide + ln(WIDE_SHARE));
        let top = narrow.max(wide);
        let (a, b) = (exp(narrow - top), exp(wide - top));
        let mut standing = top + ln(a + b);
        let r2 = (a + b) / (a / r2 + b / wide2);
        if let Some(v) = z.velocity {
            let r2 = v.sigma * v.sigma;
            let d2 = (v.x * v.x + v.y * v.y) / r2;
            standing += -(VELOCITY_FREEDOM / 2.0 + 1.0) * ln(1.0 + d2 / VELOCITY_FREEDOM)
                - ln(r2)
                - 1.837_877;
        }
        let mut ratio = (standing - log_density).clamp(-30.0, 30.0);
        if self.stays(dt, z, ex.hypot(ey), speed) {
            ratio = ratio.max(STAYS_RATIO);
        }
        let odds = prior / (1.0 - prior).max(1e-9) * ratio.exp();
        let probability = (odds / (1.0 + odds)).clamp(1e-6, 1.0 - 1e-6);

        // The point: a robust mean while standing, drawn to the moving estimate while not.
        let weight = (POSITION_FREEDOM + 2.0) / (POSITION_FREEDOM + d2);
        let k = variance / (variance + r2 / weight);
        let (cx, cy, cv) = (px + k * ex, py + k * ey, variance * (1.0 - k));
        let share = if self.held || probability > HOLD {
            1.0
        } else {
            probability
        };
        let (dx, dy) = (cx - after.x, cy - after.y);
        self.x = (share * cx + (1.0 - share) * after.x) as f32;
        self.y = (share * cy + (1.0 - share) * after.y) as f32;
        self.variance = (share * cv
            + (1.0 - share) * after.pp
            + share * (1.0 - share) * (dx * dx + dy * dy) / 2.0)
            .clamp(1e-6, 1e9) as f32;
        self.probability = probability as f32;
        self.held = if self.held {
            probability >= RELEASE
        } else {
            probability > HOLD
        };
        let let_go = was_held && self.let_go(dt, z, noise, ex.hypot(ey), speed != Trust::None);
        if !was_held {
            (self.far, self.away, self.moved) = (0, 0, false);
        }
        StandingStep {
            ratio,
            leave,
            arrive,
            probability: f64::from(self.probability),
            let_go,
        }
    }

    /// A receiver that has reported a speed of 0 for long stands, however its position wanders.
    fn stays(&mut self, dt: f64, z: &Measurement, off: f64, speed: Trust) -> bool {
        let still = z.velocity.is_some_and(|v| v.x.hypot(v.y) < STILL_SPEED);
        let seconds = f64::from(self.still_s) + dt;
        self.still_s = if still {
            seconds.min(60_000.0) as u16
        } else {
            0
        };
        let enough = match speed {
            Trust::Proven => STILL_PROVEN_S,
            _ => STILL_S,
        };
        self.still_s >= enough && off < STILL_M
    }

    /// A hold must end when the vehicle was moved, even if each single fix looks like noise.
    fn let_go(
        &mut self,
        dt: f64,
        z: &Measurement,
        noise: f64,
        off: f64,
        reports_speed: bool,
    ) -> bool {
        let count = |n: u8, yes: bool| if yes { n.saturating_add(1) } else { 0 };
        self.far = count(self.far, off > (6.0 * noise).max(60.0));
        self.away = count(self.away, off > (5.0 * noise).max(5.0));
        if self.away == 0 {
            self.moved = false;
        } else if dt > 15.0 || z.velocity.is_some_and(|v| v.x.hypot(v.y) > 1.0) {
            self.moved = true;
        }
        // At long intervals two fixes elsewhere are minutes elsewhere.
        let enough = if dt < 15.0 { 3 } else { 2 };
        if self.far >= enough || (self.away >= 20 && (self.moved || !reports_speed)) {
            self.restart(z.x, z.y, noise);
            return true;
        }
        false
    }
}

/// Squared distance against its variance, and the logarithm of the density in the plane.
fn density(e2: f64, variance: f64) -> (f64, f64) {
    let d2 = e2 / variance;
    let tail = -(POSITION_FREEDOM / 2.0 + 1.0) * ln(1.0 + d2 / POSITION_FREEDOM);
    (d2, tail - ln(variance) - 1.837_877)
}
