//! What holds of smoothing for any input.

use milepost_pipeline::track::{
    Lagged, Rules, Sample, Settings, Source, Tracker, distance_m, replay,
};
use proptest::prelude::*;

fn coordinate(limit: f64) -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -limit..=limit,
        1 => Just(limit),
        1 => Just(-limit),
        1 => Just(0.0),
        1 => Just(f64::NAN),
        1 => Just(1e300),
        6 => (0.0..1.0_f64).prop_map(|x| 48.0 + x * 1e-3),
    ]
}

fn sample() -> impl Strategy<Value = Sample> {
    let place = proptest::option::weighted(0.9, (coordinate(90.0), coordinate(180.0)));
    let time = prop_oneof![
        6 => 0..100_000_i64,
        2 => (0..100_i64).prop_map(|t| t * 10_000),
        1 => any::<i64>().prop_map(|t| t >> 8),
    ];
    let number = || {
        proptest::option::of(prop_oneof![
            5 => 0.0..40.0_f32,
            1 => any::<f32>(),
        ])
    };
    let flags = (
        any::<bool>(),
        any::<bool>(),
        proptest::option::of(any::<bool>()),
    );
    (
        time,
        place,
        number(),
        number(),
        number(),
        proptest::option::of(any::<u8>()),
        flags,
    )
        .prop_map(
            |(time_ms, position, speed, course, hdop, satellites, (invalid, known, ignition))| {
                Sample {
                    time_ms,
                    received_ms: known.then_some(100_000),
                    position,
                    speed,
                    course,
                    hdop,
                    satellites,
                    source: Source::Gnss,
                    invalid: invalid && known,
                    ignition,
                    odometer_m: speed.map(f64::from),
                }
            },
        )
}

fn check(estimate: Option<milepost_pipeline::track::Estimate>) -> Result<(), TestCaseError> {
    if let Some(e) = estimate {
        prop_assert!((-90.0..=90.0).contains(&e.latitude), "{e:?}");
        prop_assert!((-180.0..=180.0).contains(&e.longitude), "{e:?}");
        prop_assert!(e.speed.is_finite() && e.speed >= 0.0, "{e:?}");
        prop_assert!(e.accuracy_m.is_finite() && e.accuracy_m > 0.0, "{e:?}");
        prop_assert!(e.course.is_none_or(|c| (0.0..=360.0).contains(&c)), "{e:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_sequence_gives_numbers_within_their_ranges(samples in prop::collection::vec(sample(), 1..120)) {
        let settings = Settings::default();
        let mut tracker = Tracker::default();
        let mut bytes = Vec::new();
        for sample in &samples {
            let output = tracker.apply(sample, &settings);
            check(output.estimate)?;
            if let Some(row) = tracker.motion().open() {
                prop_assert!(row.distance_m.is_finite() && row.distance_m >= 0.0);
                prop_assert!(row.odometer_m.is_none_or(|m| m >= 0.0));
                prop_assert!(row.idle_ms >= 0);
            }
            bytes.clear();
            tracker.snapshot(&mut bytes);
            prop_assert!(bytes.len() <= Tracker::MAX_BYTES, "{}", bytes.len());
            let restored = Tracker::restore(Tracker::VERSION, &bytes);
            prop_assert_eq!(restored.as_ref(), Some(&tracker));
        }
    }

    #[test]
    fn any_lag_gives_one_estimate_per_report(samples in prop::collection::vec(sample(), 0..120), lag in 0..20_usize) {
        let mut lagged = Lagged::new(lag, Rules::default());
        let mut count = 0;
        for sample in &samples {
            if let Some(estimate) = lagged.push(sample) {
                check(estimate)?;
                count += 1;
            }
        }
        while let Some(estimate) = lagged.finish() {
            check(estimate)?;
            count += 1;
        }
        prop_assert_eq!(count, samples.len());
    }

    #[test]
    fn rows_of_a_replay_leave_no_hole(mut samples in prop::collection::vec(sample(), 1..120)) {
        samples.sort_by_key(|s| s.time_ms);
        let legs = replay(&samples, &Settings::default()).legs;
        for pair in legs.windows(2) {
            prop_assert_eq!(pair[0].to_ms, Some(pair[1].from_ms));
        }
    }

    #[test]
    fn a_damaged_snapshot_is_refused_or_harmless(
        samples in prop::collection::vec(sample(), 1..40),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut tracker = Tracker::default();
        for sample in &samples {
            tracker.apply(sample, &Settings::default());
        }
        let mut bytes = Vec::new();
        tracker.snapshot(&mut bytes);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Some(mut restored) = Tracker::restore(Tracker::VERSION, &bytes) {
            for sample in &samples {
                restored.apply(sample, &Settings::default());
            }
        }
        bytes.truncate(at);
        prop_assert!(Tracker::restore(Tracker::VERSION, &bytes).is_none());
    }
}

fn drive(latitude: f64, longitude: f64, east: bool) -> Vec<Sample> {
    (0..300)
        .map(|i| {
            let metres = f64::from(i) * 20.0;
            let noise = f64::from((i * 7919) % 13 - 6);
            let (north, east) = if east {
                (noise, metres)
            } else {
                (metres, noise)
            };
            let frame = milepost_pipeline::track::Frame::new(latitude, longitude);
            Sample {
                time_ms: i64::from(i) * 1_000,
                position: Some(frame.unproject(east, north)),
                ..Sample::default()
            }
        })
        .collect()
}

#[test]
fn the_same_drive_gives_the_same_error_everywhere() {
    for (latitude, longitude) in [
        (0.0, 0.1),
        (48.0, 11.0),
        (0.0, 179.99),
        (-17.0, -179.99),
        (89.99, 20.0),
        (-89.995, 0.0),
    ] {
        for east in [false, true] {
            let samples = drive(latitude, longitude, east);
            let mut lagged = Lagged::new(5, Rules::default());
            let mut estimates = Vec::new();
            for sample in &samples {
                estimates.extend(lagged.push(sample));
            }
            while let Some(estimate) = lagged.finish() {
                estimates.push(estimate);
            }
            let mut errors: Vec<f64> = samples
                .iter()
                .zip(&estimates)
                .skip(50)
                .map(|(sample, e)| {
                    let e = e.unwrap();
                    assert_eq!(e.rejected, None);
                    distance_m((e.latitude, e.longitude), sample.position.unwrap())
                })
                .collect();
            errors.sort_by(f64::total_cmp);
            let median = errors[errors.len() / 2];
            assert!(
                (1.0..6.0).contains(&median),
                "{latitude} {longitude} {east}: {median}"
            );
            assert!(errors[errors.len() - 1] < 12.0);
        }
    }
}

#[test]
fn the_state_takes_two_kibibytes_at_most() {
    assert!(
        size_of::<Tracker>() <= Tracker::MAX_BYTES,
        "{}",
        size_of::<Tracker>()
    );
    let mut tracker = Tracker::default();
    for sample in drive(48.0, 11.0, true) {
        tracker.apply(&sample, &Settings::default());
    }
    let mut bytes = Vec::new();
    tracker.snapshot(&mut bytes);
    assert!(bytes.len() <= Tracker::MAX_BYTES, "{}", bytes.len());
}

#[test]
fn a_restored_state_goes_on_within_a_centimetre() {
    let samples = drive(48.0, 11.0, true);
    let settings = Settings::default();
    let mut whole = Tracker::default();
    let mut moved = Tracker::default();
    for (i, sample) in samples.iter().enumerate() {
        if i % 37 == 0 {
            let mut bytes = Vec::new();
            moved.snapshot(&mut bytes);
            moved = Tracker::restore(Tracker::VERSION, &bytes).unwrap();
        }
        let (a, b) = (
            whole.apply(sample, &settings),
            moved.apply(sample, &settings),
        );
        let (a, b) = (a.estimate.unwrap(), b.estimate.unwrap());
        let off = distance_m((a.latitude, a.longitude), (b.latitude, b.longitude));
        assert!(off < 0.01, "row {i}: {off}");
    }
    let mut bytes = Vec::new();
    whole.snapshot(&mut bytes);
    assert_eq!(Tracker::restore(Tracker::VERSION + 1, &bytes), None);
}
