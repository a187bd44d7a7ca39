//! Driving or not, for receivers that report neither speed nor ignition.
//!
//! Such a tracker can be carried: "moves" alone does not tell a car from a person on foot. The
//! displacements over a few seconds to half a minute do, in most cases. The weights are a logistic
//! regression on labelled tracks of delivery drivers; the displacement enters as min(d, 1),
//! min(d, 2), min(d, 3) and min(d, 5) m/s, so that the function is linear between these speeds.

use super::frame::distance_m;

/// Where the displacements' weight changes, m/s.
const KNOTS: [f64; 4] = [1.0, 2.0, 3.0, 5.0];

/// Without following fixes: over the last 5, 10 and 20 s.
const LIVE: Weights = Weights {
    spans: [(5_000, 0), (10_000, 0), (20_000, 0)],
    weights: [
        [-0.62, -0.69, 1.08, 0.41],
        [0.04, -1.35, 0.38, 0.73],
        [-0.27, -0.28, 0.53, 0.34],
    ],
    bias: -1.92,
    enter: -0.55,
    leave: -0.65,
};

/// With following fixes: over ±15 s, the last 10 s and the next 10 s.
const LAGGED: Weights = Weights {
    spans: [(15_000, 15_000), (10_000, 0), (0, 10_000)],
    weights: [
        [1.16, 0.66, 0.30, 0.22],
        [-1.01, -1.06, 0.70, 0.72],
        [-0.34, -1.62, 1.03, 0.73],
    ],
    bias: -3.22,
    enter: -0.35,
    leave: -0.45,
};

struct Weights {
    /// Milliseconds before and after.
    spans: [(i64, i64); 3],
    weights: [[f64; 4]; 3],
    bias: f64,
    /// Log odds at which driving begins and ends.
    enter: f64,
    leave: f64,
}

/// A fix: Unix milliseconds and degrees.
pub(crate) type Point = (i64, f64, f64);

/// Whether the vehicle drives at `here`. `before` are the fixes before it, newest first, `after`
/// those after it, oldest first; `noise_m` is the receiver's white noise.
pub(crate) fn drives(
    here: Point,
    before: impl Iterator<Item = Point> + Clone,
    after: Option<impl Iterator<Item = Point> + Clone>,
    noise_m: f64,
    drove: bool,
) -> bool {
    let model = if after.is_some() { &LAGGED } else { &LIVE };
    let mut odds = model.bias;
    for ((back, ahead), weights) in model.spans.iter().zip(&model.weights) {
        let first = furthest(here, before.clone(), *back);
        let last = match &after {
            Some(after) if *ahead > 0 => furthest(here, after.clone(), *ahead),
            _ => here,
        };
        let metres = distance_m((first.1, first.2), (last.1, last.2));
        // What two fixes of a poor receiver are apart although nothing has moved. (The weights
        // were found with good ones.)
        let noise = 2.0 * (noise_m - GOOD_M).max(0.0);
        let metres = (metres * metres - noise * noise).max(0.0).sqrt();
        let pace = metres / ((last.0 - first.0) as f64 / 1_000.0).max(5.0);
        for (knot, weight) in KNOTS.iter().zip(weights) {
            odds += weight * pace.min(*knot);
        }
    }
    odds > if drove { model.leave } else { model.enter }
}

/// The furthest fix within a span of time; at long intervals the neighbour.
fn furthest(here: Point, fixes: impl Iterator<Item = Point>, span_ms: i64) -> Point {
    if span_ms == 0 {
        return here;
    }
    let mut found = here;
    for fix in fixes {
        let off = (fix.0 - here.0).abs();
        if off > span_ms + 500 {
            if found.0 == here.0 && off <= NEIGHBOUR_MS {
                found = fix;
            }
            break;
        }
        found = fix;
    }
    found
}

/// White noise up to which a receiver is a good one for this purpose, metres.
const GOOD_M: f64 = 2.5;

/// A neighbour further away in time says nothing.
const NEIGHBOUR_MS: i64 = 120_000;
