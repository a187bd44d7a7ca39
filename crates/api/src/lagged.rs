//! Estimates that use following reports too, computed when they are asked for: rows hold the live
//! ones.

use std::collections::HashSet;

use milepost_pipeline::track::{Lagged, Rules, Sample};
use milepost_telemetry::{DeviceKey, Report};

use crate::Shared;
use crate::store::{Page, Span, StoreError};

/// How far back the filter begins, so that it knows the receiver when the page starts.
const BEFORE_MS: i64 = 30 * 60_000;
/// Reports before the page, at most: half an hour of one per second.
const MOST_BEFORE: u32 = 1_800;
/// Reports that may have the time of the last one, beside it.
const SAME_TIME: u32 = 50;

/// Replaces the estimates of a page, which is in the order of time.
pub(crate) async fn smooth(
    api: &Shared,
    key: &DeviceKey,
    lag: usize,
    reports: Vec<Report>,
) -> Result<Vec<Report>, StoreError> {
    let (Some(first), Some(last)) = (reports.first(), reports.last()) else {
        return Ok(reports);
    };
    let (first, last) = (first.time, last.time);
    let before = Span {
        from: Some(first.offset_millis(-BEFORE_MS)),
        to: Some(first),
        raw: false,
    };
    let page = Page {
        limit: MOST_BEFORE,
        after: None,
    };
    let before = api.history.history(key, &before, &page).await?.items;
    let after = Span {
        from: Some(last),
        to: None,
        raw: false,
    };
    let page = Page {
        limit: u32::try_from(lag).unwrap_or(0).saturating_add(SAME_TIME),
        after: None,
    };
    let mut after = api.history.history(key, &after, &page).await?.items;
    let known: HashSet<_> = reports.iter().map(|report| report.id).collect();
    after.retain(|report| !known.contains(&report.id));
    let rules = api.rules;
    // Some milliseconds of work for a thousand reports: not between other requests.
    tokio::task::spawn_blocking(move || estimate(lag, rules, &before, reports, &after))
        .await
        .map_err(|error| StoreError::Unavailable(error.to_string()))
}

fn estimate(
    lag: usize,
    rules: Rules,
    before: &[Report],
    mut reports: Vec<Report>,
    after: &[Report],
) -> Vec<Report> {
    let mut lagged = Lagged::new(lag, rules);
    let mut estimates = Vec::with_capacity(before.len() + reports.len() + after.len());
    let with_fix = |report: &&Report| report.fix.is_some();
    for report in before.iter().chain(&reports).chain(after).filter(with_fix) {
        estimates.extend(lagged.push(&Sample::of(report)));
    }
    while let Some(estimate) = lagged.finish() {
        estimates.push(estimate);
    }
    let skipped = before.iter().filter(with_fix).count();
    let wanted = reports.iter_mut().filter(|report| report.fix.is_some());
    for (report, estimate) in wanted.zip(estimates.into_iter().skip(skipped)) {
        // Without an estimate, what was rejected before the first believed fix keeps its reason.
        report.smoothed = match estimate {
            Some(estimate) => estimate.smoothed(),
            None => report.smoothed.filter(|known| known.rejected.is_some()),
        };
    }
    reports
}

#[cfg(test)]
mod tests {
    use milepost_telemetry::{
        Coordinates, Decoder, Fix, FixSource, Kind, ReportId, TimeSource, Timestamp, Zone,
    };

    use super::*;

    /// A position every second along a street, a heartbeat after each third.
    fn street(seconds: std::ops::Range<i64>) -> Vec<Report> {
        seconds
            .map(|second| {
                let time = Timestamp::from_unix(1_790_000_000 + second);
                let decoder = Decoder::new("test", "test/1");
                let id = ReportId::from_bytes([0; 16]);
                let mut report = Report::new(id, decoder, Kind::Location, time);
                report.set_device_time(time, TimeSource::Fix, Zone::Utc);
                if second % 4 != 3 {
                    let off = f64::from(i32::try_from(second * 7 % 5).unwrap()) * 2e-5;
                    let along = f64::from(i32::try_from(second).unwrap()) * 1e-4;
                    let here = Coordinates::from_degrees(50.0 + along, 8.0 + off).unwrap();
                    report.fix = Some(Fix::new(here, true, FixSource::Gnss));
                }
                report
            })
            .collect()
    }

    #[test]
    fn a_page_has_the_same_estimates_as_the_whole() {
        let whole = estimate(5, Rules::default(), &[], street(0..300), &[]);
        let page = estimate(
            5,
            Rules::default(),
            &street(0..100),
            street(100..200),
            &street(200..220),
        );
        for (a, b) in page.iter().zip(&whole[100..200]) {
            assert_eq!((a.time, a.smoothed), (b.time, b.smoothed));
            assert_eq!(a.smoothed.is_some(), a.fix.is_some());
        }
    }
}
