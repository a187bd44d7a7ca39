//! What is compared: the raw fixes, usual ways of smoothing, and ours.

use std::time::Instant;

use milepost_pipeline::track::{Lagged, Rules, Sample, Settings, Tracker};

use super::simulate::{Row, metres_per_degree};

/// The estimate of one row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    /// 68 % radius, if the method says.
    pub(crate) accuracy_m: Option<f64>,
    /// Moving or not, if the method says.
    pub(crate) moving: Option<bool>,
}

/// A way of smoothing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Method {
    Raw,
    /// Exponential blend: the share of the new fix.
    Blend(f64),
    /// Mean of the last fixes.
    Average(usize),
    /// Constant-velocity Kalman filter on positions: noise 5 m, acceleration noise 1 m²/s³.
    ConstantVelocity,
    /// Ours, live.
    Live,
    /// Ours, with following fixes.
    Lag(usize),
}

impl Method {
    pub(crate) const ALL: [Self; 9] = [
        Self::Raw,
        Self::Blend(0.2),
        Self::Blend(0.5),
        Self::Blend(0.8),
        Self::Average(5),
        Self::ConstantVelocity,
        Self::Live,
        Self::Lag(2),
        Self::Lag(5),
    ];

    pub(crate) fn name(self) -> String {
        match self {
            Self::Raw => "raw".into(),
            Self::Blend(share) => format!("blend {share}"),
            Self::Average(n) => format!("average of {n}"),
            Self::ConstantVelocity => "constant velocity".into(),
            Self::Live => "Milepost live".into(),
            Self::Lag(n) => format!("Milepost lag {n}"),
        }
    }

    /// The estimates of all rows, and nanoseconds per row.
    pub(crate) fn run(self, rows: &[Row]) -> (Vec<Place>, f64) {
        let samples: Vec<Sample> = rows.iter().map(sample).collect();
        let start = Instant::now();
        let places = match self {
            Self::Raw => rows
                .iter()
                .map(|r| plain(r.latitude, r.longitude))
                .collect(),
            Self::Blend(share) => blend(rows, share),
            Self::Average(n) => average(rows, n),
            Self::ConstantVelocity => constant_velocity(rows),
            Self::Live => {
                let settings = Settings::default();
                let mut tracker = Tracker::default();
                let estimates = samples.iter().map(|s| tracker.apply(s, &settings).estimate);
                rows.iter().zip(estimates).map(ours).collect()
            }
            Self::Lag(n) => {
                let mut lagged = Lagged::new(n, Rules::default());
                let mut estimates: Vec<_> = Vec::with_capacity(rows.len());
                estimates.extend(samples.iter().filter_map(|s| lagged.push(s)));
                while let Some(estimate) = lagged.finish() {
                    estimates.push(estimate);
                }
                rows.iter().zip(estimates).map(ours).collect()
            }
        };
        let ns = start.elapsed().as_nanos() as f64 / rows.len().max(1) as f64;
        (places, ns)
    }
}

/// The row as a sample.
pub(crate) fn sample(row: &Row) -> Sample {
    Sample {
        time_ms: (row.time * 1_000.0).round() as i64,
        position: Some((row.latitude, row.longitude)),
        speed: row.speed_kmh.map(|v| (v / 3.6) as f32),
        course: row.course_deg.map(|v| v as f32),
        hdop: row.hdop.map(|v| v as f32),
        satellites: row.satellites,
        ..Sample::default()
    }
}

fn plain(latitude: f64, longitude: f64) -> Place {
    Place {
        latitude,
        longitude,
        accuracy_m: None,
        moving: None,
    }
}

fn ours((row, estimate): (&Row, Option<milepost_pipeline::track::Estimate>)) -> Place {
    estimate.map_or_else(
        || plain(row.latitude, row.longitude),
        |e| Place {
            latitude: e.latitude,
            longitude: e.longitude,
            accuracy_m: Some(f64::from(e.accuracy_m)),
            moving: Some(e.moving),
        },
    )
}

fn blend(rows: &[Row], share: f64) -> Vec<Place> {
    let mut state: Option<(f64, f64)> = None;
    rows.iter()
        .map(|row| {
            let (a, b) = state.unwrap_or((row.latitude, row.longitude));
            let next = (
                a + share * (row.latitude - a),
                b + share * (row.longitude - b),
            );
            state = Some(next);
            plain(next.0, next.1)
        })
        .collect()
}

fn average(rows: &[Row], n: usize) -> Vec<Place> {
    (0..rows.len())
        .map(|i| {
            let last = &rows[(i + 1).saturating_sub(n)..=i];
            let count = last.len() as f64;
            plain(
                last.iter().map(|r| r.latitude).sum::<f64>() / count,
                last.iter().map(|r| r.longitude).sum::<f64>() / count,
            )
        })
        .collect()
}

fn constant_velocity(rows: &[Row]) -> Vec<Place> {
    let (north, east) = metres_per_degree();
    let (r2, q) = (25.0, 1.0);
    // Time, position and velocity per axis, and the covariance that both axes share.
    type State = (f64, [f64; 2], [f64; 2], f64, f64, f64);
    let mut state: Option<State> = None;
    rows.iter()
        .map(|row| {
            let z = [row.latitude * north, row.longitude * east];
            let Some((time, mut x, mut v, pp, pv, vv)) = state else {
                state = Some((row.time, z, [0.0; 2], r2, 0.0, 400.0));
                return plain(row.latitude, row.longitude);
            };
            let t = row.time - time;
            let pp = pp + t * (2.0 * pv + t * vv) + q * t * t * t / 3.0;
            let pv = pv + t * vv + q * t * t / 2.0;
            let vv = vv + q * t;
            let (kp, kv) = (pp / (pp + r2), pv / (pp + r2));
            for axis in 0..2 {
                x[axis] += t * v[axis];
                let e = z[axis] - x[axis];
                x[axis] += kp * e;
                v[axis] += kv * e;
            }
            state = Some((row.time, x, v, kp * r2, kv * r2, vv - kv * pv));
            plain(x[0] / north, x[1] / east)
        })
        .collect()
}
