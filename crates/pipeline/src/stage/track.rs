//! Smoothing, motion and trips, report by report.

use milepost_telemetry::{Coordinates, Event, EventKind, Rejected, Report, Smoothed};

use super::{CopyOnWrite, Flow, Stage, StageContext};
use crate::latest::has_device_time;
use crate::track::{MotionEvent, Sample, Settings, Tracker};

/// Sets `smoothed` beside each position, raises the events of motion, and gives the store the
/// trips and stops that have ended.
///
/// Plausibility, filter and motion are one stage, since they share one state of at most
/// [`Tracker::MAX_BYTES`] as bytes. A report takes part if its time is the device's own: the
/// arrival of a heartbeat says nothing about when the positions held that come after it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Track {
    /// Settings; one for all receivers.
    pub settings: Settings,
}

impl Track {
    /// A stage with settings.
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Stage for Track {
    type State = Tracker;
    const NAME: &'static str = "track";
    const VERSION: u32 = Tracker::VERSION;

    fn apply(
        &self,
        tracker: &mut CopyOnWrite<Tracker>,
        report: &mut Report,
        cx: &mut StageContext<'_>,
    ) -> Flow {
        if report.fix.is_none() && !has_device_time(report) {
            return Flow::Pass;
        }
        let sample = Sample::of(report);
        let late = tracker.last_ms().is_some_and(|last| sample.time_ms <= last);
        // What is late and moves nothing would only take an older ignition for the present one.
        if late && sample.fix().is_none() {
            return Flow::Pass;
        }
        let output = tracker.apply(&sample, &self.settings);
        if let Some(fix) = &report.fix {
            report.smoothed = match output.estimate {
                Some(estimate) => estimate.smoothed(),
                None => output
                    .rejected
                    .map(|reason| unplaced(fix.coordinates, reason)),
            };
        }
        for event in output.events.iter() {
            let kind = match event {
                MotionEvent::TripStart { .. } => EventKind::TripStart,
                MotionEvent::TripEnd { trip } => {
                    cx.leg(trip);
                    EventKind::TripEnd
                }
                MotionEvent::StopStart { .. } => EventKind::StopStart,
                MotionEvent::StopEnd { stop } => {
                    // A stop of no length is where a track begins on the move.
                    if stop.to_ms == Some(stop.from_ms) {
                        continue;
                    }
                    cx.leg(stop);
                    EventKind::StopEnd
                }
                MotionEvent::Idle { .. } => EventKind::Idle,
            };
            cx.event(Event::by_pipeline(kind));
        }
        if let Some(dirty) = output.dirty {
            cx.dirty(dirty);
        }
        Flow::Pass
    }

    fn snapshot(tracker: &Tracker, out: &mut Vec<u8>) {
        tracker.snapshot(out);
    }

    fn restore(version: u32, bytes: &[u8]) -> Option<Tracker> {
        Tracker::restore(version, bytes)
    }
}

/// A rejected position before the first believed one. There is no estimate yet; the reason is given
/// all the same, so that no device has it as its last position.
fn unplaced(at: Coordinates, reason: Rejected) -> Smoothed {
    let mut smoothed = Smoothed::new(at);
    smoothed.outlier = true;
    smoothed.rejected = Some(reason);
    smoothed
}

#[cfg(test)]
mod tests {
    use milepost_telemetry::{
        Decoder, Fix, FixSource, Kind, ReportId, Speed, TimeSource, Timestamp, Zone,
    };

    use super::*;
    use crate::stage::DeviceSettings;

    fn report(second: i64, latitude: f64, kmh: f32) -> Report {
        let time = Timestamp::from_unix(1_790_000_000 + second);
        let id = ReportId::from_bytes([0; 16]);
        let mut report = Report::new(id, Decoder::new("test", "test/1"), Kind::Location, time);
        report.set_device_time(time, TimeSource::Fix, Zone::Utc);
        let here = Coordinates::from_degrees(latitude, 13.0).unwrap();
        let mut fix = Fix::new(here, true, FixSource::Gnss);
        fix.speed = Speed::from_kmh(kmh).ok();
        report.fix = Some(fix);
        report
    }

    /// 36 km/h northwards from second 600 to 1200, else standing.
    fn latitude(second: i64) -> f64 {
        let driven = (second.clamp(600, 1_200) - 600) as f64 * 10.0;
        52.0 + driven / 111_200.0
    }

    struct Seen {
        reports: Vec<Report>,
        legs: Vec<crate::track::Leg>,
        dirty: usize,
        state: CopyOnWrite<Tracker>,
    }

    fn run(reports: impl IntoIterator<Item = Report>) -> Seen {
        let stage = Track::default();
        let settings = DeviceSettings::default();
        let mut seen = Seen {
            reports: Vec::new(),
            legs: Vec::new(),
            dirty: 0,
            state: CopyOnWrite::new(Tracker::default()),
        };
        for mut report in reports {
            let mut cx = StageContext::new(&settings, &report);
            assert_eq!(
                stage.apply(&mut seen.state, &mut report, &mut cx),
                Flow::Pass
            );
            cx.leave(&mut report);
            let found = cx.take_found();
            seen.legs.extend(found.legs);
            seen.dirty += usize::from(found.dirty.is_some());
            seen.reports.push(report);
        }
        seen
    }

    fn drive() -> Vec<Report> {
        (0..200)
            .map(|n| n * 10)
            .map(|s| {
                report(
                    s,
                    latitude(s),
                    if (600..1_200).contains(&s) { 36.0 } else { 0.0 },
                )
            })
            .collect()
    }

    #[test]
    fn a_drive_gives_a_stop_and_a_trip_without_a_hole_and_their_events() {
        let seen = run(drive());
        let [stop, trip] = seen.legs[..] else {
            panic!("{:?}", seen.legs);
        };
        assert_eq!(stop.to_ms, Some(trip.from_ms));
        assert!((trip.distance_m - 6_000.0).abs() < 150.0, "{trip:?}");
        let kinds: Vec<_> = seen
            .reports
            .iter()
            .flat_map(|report| report.more.events.iter().map(|event| event.kind))
            .collect();
        use EventKind::{StopEnd, StopStart, TripEnd, TripStart};
        assert_eq!(kinds, [StopStart, StopEnd, TripStart, TripEnd, StopStart]);
        assert!(seen.reports.iter().all(|report| report.smoothed.is_some()));
    }

    #[test]
    fn what_is_invalid_known_before_or_from_cells_does_not_move_the_estimate() {
        let mut reports = drive();
        reports.truncate(30);
        let before = run(reports.clone()).state.last_ms();
        for (valid, source) in [
            (false, FixSource::Gnss),
            (true, FixSource::LastKnown),
            (true, FixSource::Cell),
        ] {
            let mut odd = report(310, 53.0, 0.0);
            if let Some(fix) = &mut odd.fix {
                (fix.valid, fix.source) = (valid, source);
            }
            let seen = run(reports.iter().cloned().chain([odd]));
            let smoothed = seen.reports.last().unwrap().smoothed.unwrap();
            assert!((smoothed.latitude - 52.0).abs() < 1e-4, "{source:?}");
            assert_eq!(seen.state.last_ms(), before, "{source:?}");
        }
    }

    #[test]
    fn a_wild_fix_is_kept_with_its_reason() {
        let mut reports = drive();
        reports.truncate(30);
        let seen = run(reports.into_iter().chain([report(300, 53.0, 0.0)]));
        let wild = seen.reports.last().unwrap();
        assert_eq!(wild.smoothed.unwrap().rejected, Some(Rejected::Jump));
        assert!((wild.fix.as_ref().unwrap().coordinates.latitude() - 53.0).abs() < 1e-6);
    }

    #[test]
    fn a_first_fix_that_is_rejected_has_its_reason_and_is_no_last_position() {
        let mut zero = report(0, 0.0, 0.0);
        if let Some(fix) = &mut zero.fix {
            fix.coordinates = Coordinates::from_degrees(0.0, 0.0).unwrap();
        }
        let mut future = report(100_000, 52.0, 0.0);
        future.received_at = Timestamp::from_unix(1_790_000_000);
        let mut ancient = report(0, 52.0, 0.0);
        ancient.received_at = Timestamp::from_unix(1_790_000_000 + 500 * 86_400);
        for (first, reason) in [
            (zero, Rejected::Zero),
            (future, Rejected::Future),
            (ancient, Rejected::Ancient),
        ] {
            let seen = run([first, report(10, 52.0, 0.0)]);
            let [first, second] = &seen.reports[..] else {
                panic!("{:?}", seen.reports);
            };
            let smoothed = first.smoothed.unwrap();
            assert_eq!((smoothed.rejected, smoothed.outlier), (Some(reason), true));
            assert_eq!(smoothed.accuracy_m, None);
            let mut latest = crate::latest::Latest::default();
            latest.observe(first);
            assert_eq!(latest.fix, None, "{reason:?}");
            latest.observe(second);
            assert_eq!(latest.fix, second.fix);
        }
    }

    #[test]
    fn a_heartbeat_that_has_only_its_arrival_makes_no_buffered_position_late() {
        let mut reports = drive();
        let (buffered, live) = (reports.split_off(90), reports);
        let mut heartbeat = report(5_000, 0.0, 0.0);
        heartbeat.fix = None;
        heartbeat.time_source = TimeSource::Received;
        let seen = run(live.into_iter().chain([heartbeat]).chain(buffered));
        assert_eq!(seen.legs.len(), 2, "{:?}", seen.legs);
    }

    #[test]
    fn what_is_older_than_the_window_makes_its_time_dirty() {
        let mut reports = drive();
        let old = reports.remove(5);
        let seen = run(reports.into_iter().chain([old]));
        assert_eq!(seen.dirty, 1);
        assert_eq!(seen.reports.last().unwrap().smoothed, None);
    }

    #[test]
    fn the_state_goes_on_after_a_restart_and_is_small() {
        let whole = run(drive());
        let first = run(drive().into_iter().take(100));
        let mut bytes = Vec::new();
        Track::snapshot(&first.state, &mut bytes);
        assert!(bytes.len() <= Tracker::MAX_BYTES, "{}", bytes.len());
        let mut state = CopyOnWrite::new(Track::restore(Track::VERSION, &bytes).unwrap());
        let settings = DeviceSettings::default();
        for (mut report, uninterrupted) in drive().into_iter().zip(&whole.reports).skip(100) {
            let mut cx = StageContext::new(&settings, &report);
            Track::default().apply(&mut state, &mut report, &mut cx);
            assert_eq!(report.smoothed, uninterrupted.smoothed);
        }
    }
}
