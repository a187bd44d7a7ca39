//! What fences, overspeed and distances may rely on: the cases of smoothed positions against
//! borders. Judging a fence is not the smoothing's work; that no false crossing reaches it is.

use milepost_pipeline::track::{Estimate, Rejected, Sample, Settings, Tracker, distance_m, replay};

const NORTH: f64 = 1.0 / 111_320.0;
const CENTRE: (f64, f64) = (48.0, 11.0);

/// A report some metres north of the centre.
fn at(second: i64, north: f64, kmh: f32) -> Sample {
    Sample {
        time_ms: 1_700_000_000_000 + second * 1_000,
        position: Some((CENTRE.0 + north * NORTH, CENTRE.1)),
        speed: Some(kmh / 3.6),
        course: Some(0.0),
        ..Sample::default()
    }
}

fn live(samples: &[Sample]) -> Vec<Estimate> {
    let estimates = replay(samples, &Settings::default()).estimates;
    estimates.into_iter().flatten().collect()
}

fn off_centre(estimate: &Estimate) -> f64 {
    distance_m((estimate.latitude, estimate.longitude), CENTRE)
}

/// Transitions of a fence that is entered at `enter` metres and left at `leave`.
fn transitions(distances: impl IntoIterator<Item = f64>, enter: f64, leave: f64) -> usize {
    let mut inside = true;
    let mut count = 0;
    for distance in distances {
        let now = if inside {
            distance <= leave
        } else {
            distance <= enter
        };
        count += usize::from(now != inside);
        inside = now;
    }
    count
}

#[test]
fn one_stray_fix_of_a_parked_vehicle_is_over_with_the_next_report() {
    // Live, the stray itself may be shown: a fence that waits for a second report outside sees none.
    for stray in [52.0, 60.0, 90.0] {
        let mut samples: Vec<_> = (0..60).map(|n| at(n * 10, 0.0, 0.0)).collect();
        samples[40] = at(400, stray, 0.0);
        let smoothed = live(&samples);
        for (n, estimate) in smoothed
            .iter()
            .enumerate()
            .skip(10)
            .filter(|(n, _)| *n != 40)
        {
            let off = off_centre(estimate);
            assert!(
                off < 5.0 && !estimate.moving,
                "{stray} m, report {n}: {off}"
            );
        }
    }
}

#[test]
fn a_vehicle_that_leaves_crosses_once_and_at_most_a_report_later_than_its_fixes() {
    let north = |n: i64| (n - 40).clamp(0, 20) as f64 * 80.0;
    let samples: Vec<_> = (0..80)
        .map(|n| {
            at(
                n * 10,
                north(n),
                if (41..=60).contains(&n) { 28.8 } else { 0.0 },
            )
        })
        .collect();
    let smoothed = live(&samples);
    let distances: Vec<_> = smoothed.iter().map(off_centre).collect();
    assert_eq!(transitions(distances.iter().copied(), 50.0, 50.0), 1);
    let first = distances.iter().position(|d| *d > 50.0).unwrap();
    assert!((41..=42).contains(&first), "{first}");
}

#[test]
fn stored_fixes_after_live_ones_do_not_move_the_newest_state() {
    let settings = Settings::default();
    let mut tracker = Tracker::default();
    for n in 0..30 {
        tracker.apply(&at(n * 10, n as f64 * 100.0, 36.0), &settings);
    }
    // The vehicle is outside now; the buffered points inside come afterwards.
    let newest = at(400, 4_000.0, 36.0);
    tracker.apply(&newest, &settings);
    let before = tracker.last_ms();
    for n in 30..40 {
        let output = tracker.apply(&at(n * 10, n as f64 * 100.0, 36.0), &settings);
        let estimate = output.estimate.unwrap();
        assert!(
            (off_centre(&estimate) - n as f64 * 100.0).abs() < 20.0,
            "its own place"
        );
        assert_eq!(tracker.last_ms(), before);
        assert_eq!(output.events.iter().count(), 0, "no event of the present");
    }
    let next = tracker.apply(&at(410, 4_100.0, 36.0), &settings);
    let estimate = next.estimate.unwrap();
    assert!((off_centre(&estimate) - 4_100.0).abs() < 20.0);
}

#[test]
fn a_line_between_two_fixes_is_crossed_by_the_smoothed_segment_at_its_place() {
    // 100 m between the reports, the line 30 m after one of them.
    let samples: Vec<_> = (0..40)
        .map(|n| at(n * 10, n as f64 * 100.0, 36.0))
        .collect();
    let line = 2_030.0;
    let smoothed = live(&samples);
    let crossed: Vec<_> = smoothed
        .windows(2)
        .enumerate()
        .filter(|(_, w)| (off_centre(&w[0]) < line) != (off_centre(&w[1]) < line))
        .map(|(n, w)| {
            let (a, b) = (off_centre(&w[0]), off_centre(&w[1]));
            n as f64 * 10.0 + (line - a) / (b - a) * 10.0
        })
        .collect();
    assert_eq!(crossed.len(), 1);
    assert!((crossed[0] - 203.0).abs() < 1.0, "{crossed:?}");
}

#[test]
fn a_rejected_jump_crosses_no_line() {
    let mut samples: Vec<_> = (0..40).map(|n| at(n * 10, 0.0, 0.0)).collect();
    samples[30] = at(300, 5_000.0, 0.0);
    let smoothed = live(&samples);
    assert_eq!(smoothed[30].rejected, Some(Rejected::Jump));
    assert_eq!(transitions(smoothed.iter().map(off_centre), 50.0, 50.0), 0);
}

#[test]
fn a_jump_raises_no_speed_and_both_distances_stand_side_by_side() {
    let settings = Settings::default();
    let mut tracker = Tracker::default();
    for n in 0..120_i64 {
        let jump = if n % 40 == 20 { 900.0 } else { 0.0 };
        let sample = Sample {
            odometer_m: Some(70_000.0 + n as f64 * 102.0),
            ..at(n * 10, n as f64 * 100.0 + jump, 36.0)
        };
        let estimate = tracker.apply(&sample, &settings).estimate.unwrap();
        assert!(
            estimate.speed < 60.0 / 3.6,
            "report {n}: {} m/s",
            estimate.speed
        );
    }
    let leg = tracker.motion().open().unwrap();
    assert!(leg.max_speed < 60.0 / 3.6, "{}", leg.max_speed);
    assert!(
        (leg.distance_m - 11_900.0).abs() < 120.0,
        "{}",
        leg.distance_m
    );
    let odometer = leg.odometer_m.unwrap();
    assert!((odometer - 12_138.0).abs() < 1.0, "{odometer}");
}
