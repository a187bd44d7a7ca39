//! What is counted when a batch is durable.

use std::time::Instant;

use milepost_telemetry::{Rejected, Report};

use crate::sink::Written;
use crate::track::{Counts, REASONS};

/// Counts when a batch is durable, since stages may run several times over one.
pub(super) fn count_rejected(reports: &[Report]) {
    let mut counts = Counts::default();
    let reasons = reports
        .iter()
        .filter_map(|report| report.smoothed?.rejected);
    for reason in reasons {
        counts.add(reason);
    }
    for reason in REASONS {
        let count = counts.of(reason);
        if count > 0 {
            metrics::counter!("milepost_positions_rejected_total", "reason" => name(reason))
                .increment(count);
        }
    }
}

const fn name(reason: Rejected) -> &'static str {
    match reason {
        Rejected::Jump => "jump",
        Rejected::Replay => "replay",
        Rejected::Zero => "zero",
        Rejected::Future => "future",
        Rejected::Ancient => "ancient",
        Rejected::Frozen => "frozen",
        Rejected::Hemisphere => "hemisphere",
        _ => "other",
    }
}

pub(super) fn count(written: &Written, started: Instant) {
    metrics::histogram!("milepost_store_commit_seconds").record(started.elapsed().as_secs_f64());
    let mut all = 0;
    for (bucket, frames) in [
        ("stored", written.stored),
        ("duplicate", written.duplicate),
        ("filtered", written.filtered),
        ("quarantined", written.quarantined),
    ] {
        all += frames;
        if frames > 0 {
            metrics::counter!("milepost_frames_total", "bucket" => bucket).increment(frames);
        }
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "a histogram's values are floats"
    )]
    metrics::histogram!("milepost_store_batch_frames").record(all as f64);
}
