//! Durations and sizes in fixed buckets.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::HistogramFn;

use super::sample;

/// Upper bounds in seconds. A commit takes milliseconds on a good disk, and seconds on a bad day.
const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Upper bounds of counts: a batch is one frame when little comes, and thousands at full load.
const COUNTS: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0,
];

/// How many values fell into each bucket, and their sum.
#[derive(Debug)]
pub(super) struct Histogram {
    bounds: &'static [f64],
    buckets: Vec<AtomicU64>,
    beyond: AtomicU64,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

impl HistogramFn for Histogram {
    fn record(&self, value: f64) {
        let bucket = self
            .bounds
            .iter()
            .position(|bound| value <= *bound)
            .and_then(|at| self.buckets.get(at));
        bucket
            .unwrap_or(&self.beyond)
            .fetch_add(1, Ordering::Relaxed);
        let added = |bits| Some((f64::from_bits(bits) + value).to_bits());
        let _always = self
            .sum
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, added)
            .is_ok();
    }
}

impl Histogram {
    /// A metric's unit is the last word of its name.
    pub(super) fn of(name: &str) -> Self {
        let bounds = if name.ends_with("_seconds") {
            SECONDS
        } else {
            COUNTS
        };
        Self {
            bounds,
            buckets: bounds.iter().map(|_| AtomicU64::new(0)).collect(),
            beyond: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    pub(super) fn render(&self, text: &mut String, name: &str, labels: &str) {
        let comma = if labels.is_empty() { "" } else { "," };
        let bucket = format!("{name}_bucket");
        let mut count = 0;
        for (bound, values) in self.bounds.iter().zip(&self.buckets) {
            count += values.load(Ordering::Relaxed);
            sample(
                text,
                &bucket,
                &format!("{labels}{comma}le=\"{bound}\""),
                count,
            );
        }
        count += self.beyond.load(Ordering::Relaxed);
        sample(text, &bucket, &format!("{labels}{comma}le=\"+Inf\""), count);
        let sum = f64::from_bits(self.sum.load(Ordering::Relaxed));
        sample(text, &format!("{name}_sum"), labels, sum);
        sample(text, &format!("{name}_count"), labels, count);
    }
}
