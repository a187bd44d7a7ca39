//! Smoothing and motion ask the heap for nothing, report by report.

use allocation_counter::measure;
use milepost_pipeline::stage::{CopyOnWrite, DeviceSettings, Flow, Stage, StageContext, Track};
use milepost_pipeline::track::{Lagged, Rules, Sample, Settings, Tracker};
use milepost_telemetry::{
    Coordinates, Decoder, Fix, FixSource, Kind, Report, ReportId, Speed, TimeSource, Timestamp,
    Zone,
};

/// A drive with halts, noise, jumps, late and repeated reports.
fn sample(n: i64) -> Sample {
    let drives = n % 1_000 < 500;
    let driven = (n / 1_000) * 500 + (n % 1_000).min(500);
    let noise = |k: i64| ((n * k) % 101 - 50) as f64 * 1e-6;
    let jump = if n % 97 == 0 { 0.5 } else { 0.0 };
    let late = if n % 41 == 0 { 30 } else { 0 };
    Sample {
        time_ms: 1_790_000_000_000 + (n - late) * 1_000,
        received_ms: Some(1_790_000_000_000 + n * 1_000),
        position: Some((
            48.0 + driven as f64 * 1.2e-4 + noise(37) + jump,
            11.0 + noise(61),
        )),
        speed: Some(if drives { 13.3 } else { 0.0 }),
        course: Some(0.0),
        hdop: Some(1.1),
        ignition: Some(true),
        odometer_m: Some(driven as f64 * 13.3),
        ..Sample::default()
    }
}

#[test]
fn a_report_costs_no_allocation_live() {
    let settings = Settings::default();
    let mut tracker = Tracker::default();
    let mut events = 0;
    let samples: Vec<Sample> = (0..4_000).map(sample).collect();
    // The first reports too: the state is of fixed size.
    let heap = measure(|| {
        for sample in &samples {
            events += tracker.apply(sample, &settings).events.iter().count();
        }
    });
    assert_eq!(heap.count_total, 0);
    assert!(events >= 3, "{events}");
}

#[test]
fn a_report_costs_no_allocation_with_a_lag_once_the_window_is_full() {
    let mut lagged = Lagged::new(5, Rules::default());
    let samples: Vec<Sample> = (0..4_000).map(sample).collect();
    let (first, rest) = samples.split_at(200);
    let mut estimates = first.iter().filter_map(|s| lagged.push(s)).count();
    let heap = measure(|| {
        estimates += rest.iter().filter_map(|s| lagged.push(s)).count();
    });
    assert_eq!(heap.count_total, 0);
    assert_eq!(estimates, 4_000 - 5);
}

#[test]
fn a_report_costs_the_stage_no_allocation_if_nothing_begins_or_ends() {
    let report = |n: i32| {
        let time = Timestamp::from_unix(1_790_000_000 + i64::from(n) * 10);
        let id = ReportId::from_bytes([0; 16]);
        let mut report = Report::new(id, Decoder::new("test", "test/1"), Kind::Location, time);
        report.set_device_time(time, TimeSource::Fix, Zone::Utc);
        let here = Coordinates::from_degrees(48.0 + f64::from(n) * 9e-4, 11.0).unwrap();
        let mut fix = Fix::new(here, true, FixSource::Gnss);
        fix.speed = Speed::from_kmh(36.0).ok();
        report.fix = Some(fix);
        report
    };
    let mut reports: Vec<Report> = (0..600).map(report).collect();
    let (stage, settings) = (Track::default(), DeviceSettings::default());
    let mut state = CopyOnWrite::new(Tracker::default());
    let mut apply = |report: &mut Report| {
        let cause = report.id;
        let mut cx = StageContext::new(&settings, report);
        let flow = stage.apply(&mut state, report, &mut cx);
        assert_eq!((flow, cause), (Flow::Pass, report.id));
    };
    // The trip starts in the first reports.
    let (first, rest) = reports.split_at_mut(100);
    first.iter_mut().for_each(&mut apply);
    let heap = measure(|| rest.iter_mut().for_each(&mut apply));
    assert_eq!(heap.count_total, 0);
    assert!(rest.iter().all(|report| report.smoothed.is_some()));
}
