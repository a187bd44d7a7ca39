//! A smoother over a short window: forward filter, backward pass, and weights for heavy tails.
//!
//! The weights of position, velocity and motion are found by repeating the passes (the expected
//! squared residuals include the estimate's own variance). The motion's weights matter most at
//! long intervals: without them a turn is taken for an outlier.

const ROUNDS: usize = 3;
const POSITION_FREEDOM: f64 = 6.0;
const VELOCITY_FREEDOM: f64 = 3.0;
const MOTION_FREEDOM: f64 = 1.5;

/// One row of the window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) factor: f64,
    pub(crate) velocity: Option<(f64, f64)>,
    /// Seconds since the row before.
    pub(crate) dt: f64,
    /// Whether the position counts.
    pub(crate) measured: bool,
    pub(crate) weight: f64,
    pub(crate) motion: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Gauss {
    x: f64,
    y: f64,
    vx: f64,
    vy: f64,
    pp: f64,
    pv: f64,
    vv: f64,
}

/// The noise that the smoother works with, as the bank has learned it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noise {
    pub(crate) position: f64,
    pub(crate) velocity: f64,
    pub(crate) acceleration: f64,
}

/// Position and velocity of one row with all rows of the window.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Smooth {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) vx: f64,
    pub(crate) vy: f64,
    pub(crate) pp: f64,
}

/// Scratch of the window smoother; allocated once.
#[derive(Debug, Default)]
pub(crate) struct Window {
    predicted: Vec<Gauss>,
    filtered: Vec<Gauss>,
    weights: Vec<(f64, f64, f64)>,
}

impl Window {
    /// Smooths `rows` and returns the estimate of row `at`.
    pub(crate) fn smooth(&mut self, rows: &[Row], at: usize, noise: &Noise) -> Smooth {
        self.weights.clear();
        self.weights
            .extend(rows.iter().map(|row| (row.weight, 1.0, row.motion)));
        let mut out = Smooth::default();
        for round in 0..ROUNDS {
            self.forward(rows, noise);
            out = self.backward(rows, noise, at, round + 1 == ROUNDS);
        }
        out
    }

    fn forward(&mut self, rows: &[Row], noise: &Noise) {
        self.predicted.clear();
        self.filtered.clear();
        let rv2 = noise.velocity * noise.velocity;
        let mut state = Gauss::default();
        for (i, (row, w)) in rows.iter().zip(&self.weights).enumerate() {
            let r = noise.position * row.factor;
            let r2 = r * r / w.0.max(1e-4);
            if i == 0 {
                let (vx, vy) = row.velocity.unwrap_or((0.0, 0.0));
                state = Gauss {
                    x: row.x,
                    y: row.y,
                    vx,
                    vy,
                    pp: r2.max(1e-4),
                    pv: 0.0,
                    vv: if row.velocity.is_some() {
                        rv2 / w.1.max(1e-4)
                    } else {
                        144.0
                    },
                };
                self.predicted.push(state);
                self.filtered.push(state);
                continue;
            }
            let dt = row.dt;
            let q = noise.acceleration * w.2;
            state.x += dt * state.vx;
            state.y += dt * state.vy;
            state.pp += dt * (2.0 * state.pv + dt * state.vv) + q * dt * dt * dt / 3.0;
            state.pv += dt * state.vv + q * dt * dt / 2.0;
            state.vv += q * dt;
            self.predicted.push(state);
            if !row.measured {
                self.filtered.push(state);
                continue;
            }
            let s = 1.0 / (state.pp + r2);
            let (kp, kv) = (state.pp * s, state.pv * s);
            let (ex, ey) = (row.x - state.x, row.y - state.y);
            state.x += kp * ex;
            state.y += kp * ey;
            state.vx += kv * ex;
            state.vy += kv * ey;
            state.vv -= kv * state.pv;
            state.pp = kp * r2;
            state.pv = kv * r2;
            if let Some(v) = row.velocity {
                let s = 1.0 / (state.vv + rv2 / w.1.max(1e-4));
                let (kp, kv) = (state.pv * s, state.vv * s);
                let (ux, uy) = (v.0 - state.vx, v.1 - state.vy);
                state.x += kp * ux;
                state.y += kp * uy;
                state.vx += kv * ux;
                state.vy += kv * uy;
                state.pp -= kp * state.pv;
                state.pv *= 1.0 - kv;
                state.vv *= 1.0 - kv;
            }
            state.pp = state.pp.max(1e-6);
            state.vv = state.vv.max(1e-6);
            self.filtered.push(state);
        }
    }

    fn backward(&mut self, rows: &[Row], noise: &Noise, at: usize, last: bool) -> Smooth {
        let mut next = self.filtered.last().copied().unwrap_or_default();
        let mut out = Smooth::default();
        for i in (0..rows.len()).rev() {
            let (Some(row), Some(filtered)) = (rows.get(i), self.filtered.get(i)) else {
                break;
            };
            let mut state = *filtered;
            if let (Some(after), Some(predicted)) = (rows.get(i + 1), self.predicted.get(i + 1)) {
                let dt = after.dt;
                // C = P F'
                let (c00, c01) = (state.pp + dt * state.pv, state.pv);
                let (c10, c11) = (state.pv + dt * state.vv, state.vv);
                let det = (predicted.pp * predicted.vv - predicted.pv * predicted.pv).max(1e-12);
                let (i00, i01, i11) = (predicted.vv / det, -predicted.pv / det, predicted.pp / det);
                let (g00, g01) = (c00 * i00 + c01 * i01, c00 * i01 + c01 * i11);
                let (g10, g11) = (c10 * i00 + c11 * i01, c10 * i01 + c11 * i11);
                let (dx, dy) = (next.x - predicted.x, next.y - predicted.y);
                let (ux, uy) = (next.vx - predicted.vx, next.vy - predicted.vy);
                state.x += g00 * dx + g01 * ux;
                state.y += g00 * dy + g01 * uy;
                state.vx += g10 * dx + g11 * ux;
                state.vy += g10 * dy + g11 * uy;
                let (a, b, c) = (
                    next.pp - predicted.pp,
                    next.pv - predicted.pv,
                    next.vv - predicted.vv,
                );
                state.pp += g00 * (g00 * a + g01 * b) + g01 * (g00 * b + g01 * c);
                state.vv += g10 * (g10 * a + g11 * b) + g11 * (g10 * b + g11 * c);
                state.pv += g10 * (g00 * a + g01 * b) + g11 * (g00 * b + g01 * c);
                state.pp = state.pp.max(1e-6);
                state.vv = state.vv.max(1e-6);
                if !last && dt > 0.0 {
                    // Expected squared process noise of the step to the next row.
                    let (mx, my) = (
                        next.x - state.x - dt * state.vx,
                        next.y - state.y - dt * state.vy,
                    );
                    let (nx, ny) = (next.vx - state.vx, next.vy - state.vy);
                    // Lag-one covariance: rows of this state, columns of the next.
                    let (l00, l01) = (g00 * next.pp + g01 * next.pv, g00 * next.pv + g01 * next.vv);
                    let (l10, l11) = (g10 * next.pp + g11 * next.pv, g10 * next.pv + g11 * next.vv);
                    let vpp = next.pp + state.pp + dt * (2.0 * state.pv + dt * state.vv)
                        - 2.0 * (l00 + dt * l10);
                    let vpv = next.pv + state.pv + dt * state.vv - l01 - dt * l11 - l10;
                    let vvv = next.vv + state.vv - 2.0 * l11;
                    let epp = mx * mx + my * my + 2.0 * vpp.max(0.0);
                    let epv = mx * nx + my * ny + 2.0 * vpv;
                    let evv = nx * nx + ny * ny + 2.0 * vvv.max(0.0);
                    let d2 = (12.0 * epp / (dt * dt * dt) - 12.0 * epv / (dt * dt)
                        + 4.0 * evv / dt)
                        / noise.acceleration;
                    let factor = (MOTION_FREEDOM + d2.max(0.0)) / (MOTION_FREEDOM + 4.0);
                    if let Some(w) = self.weights.get_mut(i + 1) {
                        w.2 = factor.clamp(0.4, 20.0);
                    }
                }
            }
            if !last && let Some(w) = self.weights.get_mut(i) {
                let scale = (noise.position * row.factor).max(1.0);
                let (ex, ey) = (row.x - state.x, row.y - state.y);
                let d2 = (ex * ex + ey * ey + 2.0 * state.pp.min(scale * scale)) / (scale * scale);
                w.0 = (POSITION_FREEDOM + 2.0) / (POSITION_FREEDOM + d2);
                if let Some(v) = row.velocity {
                    let (ux, uy) = (v.0 - state.vx, v.1 - state.vy);
                    let rv2 = noise.velocity * noise.velocity;
                    let d2 = (ux * ux + uy * uy + 2.0 * state.vv.min(rv2)) / rv2;
                    w.1 = (VELOCITY_FREEDOM + 2.0) / (VELOCITY_FREEDOM + d2);
                }
            }
            if i == at {
                out = Smooth {
                    x: state.x,
                    y: state.y,
                    vx: state.vx,
                    vy: state.vy,
                    pp: state.pp,
                };
                if last {
                    break;
                }
            }
            next = state;
        }
        out
    }
}
