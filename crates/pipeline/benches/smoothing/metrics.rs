//! How good a smoothed track is.

use milepost_pipeline::track::distance_m;

use super::methods::Place;
use super::simulate::Row;

/// The figures of one track.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    pub(crate) median: f64,
    pub(crate) p95: f64,
    pub(crate) rmse: f64,
    pub(crate) max: f64,
    /// Share of estimates more than 50 m off.
    pub(crate) outliers: f64,
    /// Length of the track while driving against the true one, as a share too much or too little.
    pub(crate) distance: f64,
    /// Metres travelled per standing hour.
    pub(crate) parked: f64,
    /// Share of standing rows that are called moving, and of driving rows that are called standing.
    pub(crate) false_moves: f64,
    pub(crate) false_stops: f64,
    /// Transitions per standing hour of fences whose border is 10 m from the vehicle.
    pub(crate) parked_crossings: f64,
    /// False transitions per driven kilometre of a fence whose border runs 10 m beside the road.
    pub(crate) road_crossings: f64,
    /// By how many seconds the estimate follows the truth while turning.
    pub(crate) turn_lag: f64,
    /// Share of errors within the stated accuracy.
    pub(crate) within: f64,
    pub(crate) ns: f64,
}

impl Figures {
    pub(crate) fn of(rows: &[Row], places: &[Place], ns: f64) -> Self {
        let errors: Vec<f64> = rows.iter().zip(places).map(|(r, p)| error(r, p)).collect();
        let n = errors.len().max(1) as f64;
        let within: Vec<bool> = errors
            .iter()
            .zip(places)
            .filter_map(|(e, p)| p.accuracy_m.map(|a| *e <= a))
            .collect();
        let mut sorted = errors.clone();
        sorted.sort_by(f64::total_cmp);
        let mut out = Self {
            median: quantile(&sorted, 0.5),
            p95: quantile(&sorted, 0.95),
            rmse: (errors.iter().map(|e| e * e).sum::<f64>() / n).sqrt(),
            max: sorted.last().copied().unwrap_or(0.0),
            outliers: errors.iter().filter(|e| **e > 50.0).count() as f64 / n,
            within: share(&within),
            ns,
            ..Self::default()
        };
        out.motion(rows, places);
        out.turn_lag = turn_lag(rows, places);
        out
    }

    fn motion(&mut self, rows: &[Row], places: &[Place]) {
        let (mut hours, mut parked, mut crossings) = (0.0, 0.0, 0.0);
        let (mut true_way, mut way, mut road) = (0.0, 0.0, 0.0);
        let (mut moves, mut stops) = (Vec::new(), Vec::new());
        for i in 1..rows.len() {
            let (a, b) = (&rows[i - 1], &rows[i]);
            let truth = distance_m(true_place(a), true_place(b));
            let step = distance_m(place(&places[i - 1]), place(&places[i]));
            let seconds = b.time - a.time;
            if seconds > 120.0 {
                continue;
            }
            let stands = truth < 0.2 * seconds;
            if let Some(moving) = places[i].moving {
                if stands {
                    moves.push(moving);
                } else if truth > seconds {
                    stops.push(!moving);
                }
            }
            if stands {
                hours += seconds / 3_600.0;
                parked += step;
                // Fences 10 m to each side of the vehicle: inside is nearer than 10 m.
                crossings += f64::from(u8::from(
                    (error(a, &places[i - 1]) > 10.0) != (error(b, &places[i]) > 10.0),
                ));
            } else {
                true_way += truth;
                way += step;
                road += f64::from(u8::from(
                    (aside(a, b, &places[i - 1]) > 10.0) != (aside(a, b, &places[i]) > 10.0),
                ));
            }
        }
        self.parked = if hours > 0.0 { parked / hours } else { 0.0 };
        self.parked_crossings = if hours > 0.0 { crossings / hours } else { 0.0 };
        if true_way > 0.0 {
            self.distance = way / true_way - 1.0;
            self.road_crossings = road / true_way * 1_000.0;
        }
        self.false_moves = share(&moves);
        self.false_stops = share(&stops);
    }
}

fn share(flags: &[bool]) -> f64 {
    if flags.is_empty() {
        return f64::NAN;
    }
    flags.iter().filter(|flag| **flag).count() as f64 / flags.len() as f64
}

pub(crate) fn quantile(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let at = p * last as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (at - at.floor())
}

fn place(p: &Place) -> (f64, f64) {
    (p.latitude, p.longitude)
}

fn true_place(row: &Row) -> (f64, f64) {
    (row.truth_latitude, row.truth_longitude)
}

/// Metres between an estimate and the truth.
pub(crate) fn error(row: &Row, p: &Place) -> f64 {
    distance_m(true_place(row), place(p))
}

/// Metres to the right of the true road at a row.
fn aside(a: &Row, b: &Row, p: &Place) -> f64 {
    let scale = b.truth_latitude.to_radians().cos();
    let (dn, de) = (
        b.truth_latitude - a.truth_latitude,
        (b.truth_longitude - a.truth_longitude) * scale,
    );
    let (pn, pe) = (
        p.latitude - b.truth_latitude,
        (p.longitude - b.truth_longitude) * scale,
    );
    let length = dn.hypot(de).max(1e-12);
    (pe * dn - pn * de) / length * 111_320.0
}

/// The shift in time, 0 to 10 s, at which the estimates fit the truth best where it turns.
fn turn_lag(rows: &[Row], places: &[Place]) -> f64 {
    let mut best = (f64::INFINITY, 0.0);
    for tenth in 0..=50 {
        let shift = f64::from(tenth) * 0.2;
        let (mut sum, mut n) = (0.0, 0);
        for i in 12..rows.len().saturating_sub(1) {
            if !turns(rows, i) {
                continue;
            }
            let time = rows[i].time - shift;
            let Some(j) = (1..=i).rev().find(|j| rows[j - 1].time <= time) else {
                continue;
            };
            let (a, b) = (&rows[j - 1], &rows[j]);
            let s = ((time - a.time) / (b.time - a.time).max(1e-3)).clamp(0.0, 1.0);
            let truth = (
                a.truth_latitude + s * (b.truth_latitude - a.truth_latitude),
                a.truth_longitude + s * (b.truth_longitude - a.truth_longitude),
            );
            sum += distance_m(truth, place(&places[i])).min(100.0);
            n += 1;
        }
        if n > 0 && sum / f64::from(n) < best.0 {
            best = (sum / f64::from(n), shift);
        }
    }
    best.1
}

fn turns(rows: &[Row], i: usize) -> bool {
    let course = |a: &Row, b: &Row| {
        let scale = b.truth_latitude.to_radians().cos();
        let east = (b.truth_longitude - a.truth_longitude) * scale;
        let north = b.truth_latitude - a.truth_latitude;
        (east.hypot(north) * 111_320.0 > 2.0).then(|| east.atan2(north))
    };
    match (
        course(&rows[i - 1], &rows[i]),
        course(&rows[i], &rows[i + 1]),
    ) {
        (Some(a), Some(b)) => (a - b).cos() < 0.94,
        _ => false,
    }
}
