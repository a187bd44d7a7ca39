//! Field complaints about position noise, jumps, parked drift and trips, as cases.

use milepost_pipeline::track::{
    Estimate, Kind, Lagged, Leg, MotionEvent, Now, Rejected, Rules, Sample, Settings, Source,
    Tracker, distance_m, replay,
};

/// Metres to degrees, near the equator's scale of the cases.
const NORTH: f64 = 1.0 / 111_320.0;

fn at(second: f64, latitude: f64, longitude: f64) -> Sample {
    Sample {
        time_ms: (second * 1_000.0) as i64 + 1_700_000_000_000,
        position: Some((latitude, longitude)),
        ..Sample::default()
    }
}

fn with_speed(sample: Sample, kmh: f32, course: f32) -> Sample {
    Sample {
        speed: Some(kmh / 3.6),
        course: Some(course),
        ..sample
    }
}

fn live(samples: &[Sample]) -> Vec<Option<Estimate>> {
    replay(samples, &Settings::default()).estimates
}

fn lagged(samples: &[Sample], lag: usize) -> Vec<Option<Estimate>> {
    let mut smoother = Lagged::new(lag, Rules::default());
    let mut out: Vec<_> = samples.iter().filter_map(|s| smoother.push(s)).collect();
    while let Some(estimate) = smoother.finish() {
        out.push(estimate);
    }
    out
}

fn rejected(estimates: &[Option<Estimate>]) -> Vec<Option<Rejected>> {
    estimates
        .iter()
        .map(|e| e.and_then(|e| e.rejected))
        .collect()
}

fn off(estimate: &Option<Estimate>, place: (f64, f64)) -> f64 {
    let e = estimate.expect("an estimate");
    distance_m((e.latitude, e.longitude), place)
}

fn trips(legs: &[Leg]) -> Vec<&Leg> {
    legs.iter().filter(|leg| leg.kind == Kind::Trip).collect()
}

fn path(estimates: &[Option<Estimate>]) -> f64 {
    let places: Vec<_> = estimates.iter().flatten().collect();
    places
        .windows(2)
        .map(|w| {
            distance_m(
                (w[0].latitude, w[0].longitude),
                (w[1].latitude, w[1].longitude),
            )
        })
        .sum()
}

/// A standard normal generator with a fixed sequence.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let (a, b) = (self.uniform(), self.uniform());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }
}

// A. Jumps

#[test]
fn one_wild_fix_flagged_good_is_rejected_and_its_neighbours_stay() {
    let place = (48.066_075, 11.552_966);
    let mut samples: Vec<_> = (0..5)
        .map(|i| with_speed(at(f64::from(i) * 6.0, place.0, place.1), 0.0, 0.0))
        .collect();
    samples.push(with_speed(at(30.0, 10.0, 3.002_836), 30.0, 90.0));
    samples.push(with_speed(at(36.0, place.0, place.1 + 3e-5), 0.0, 0.0));
    for estimates in [live(&samples), lagged(&samples, 5)] {
        let mut expected = vec![None; 7];
        expected[5] = Some(Rejected::Jump);
        assert_eq!(rejected(&estimates), expected);
        assert!(off(&estimates[5], place) < 10.0);
        assert!(path(&estimates) < 20.0);
    }
    let legs = replay(&samples, &Settings::default()).legs;
    assert!(legs.iter().map(|l| l.distance_m).sum::<f64>() < 20.0);
}

#[test]
fn a_stale_record_with_a_new_time_is_rejected_each_time_it_returns() {
    let good = |t, lon, v: f32, c| with_speed(at(t, 29.532_087, lon), v * 1.852, c);
    let stale = |t| with_speed(at(t, 29.531_645, 75.186_903), 27.0 * 1.852, 86.0);
    let samples = [
        good(0.0, 75.195_977, 25.0, 87.0),
        stale(30.0),
        stale(231.0),
        good(236.0, 75.229_158, 11.0, 56.0),
        stale(266.0),
        good(276.0, 75.234_753, 27.0, 106.0),
        stale(316.0),
        good(321.0, 75.241_12, 28.0, 96.0),
    ];
    let reasons = rejected(&live(&samples));
    for good in [0, 3, 5, 7] {
        assert_eq!(reasons[good], None, "{reasons:?}");
    }
    assert_eq!(reasons[1], Some(Rejected::Jump), "against its own course");
    for stale in [2, 4, 6] {
        assert!(reasons[stale].is_some(), "{reasons:?}");
    }
    assert_eq!(reasons[6], Some(Rejected::Replay));
    let legs = replay(&samples, &Settings::default()).legs;
    let way: f64 = legs.iter().map(|leg| leg.distance_m).sum();
    assert!((way - 4_385.0).abs() < 45.0, "{way}");
}

#[test]
fn of_a_cluster_of_five_exactly_the_five_are_rejected() {
    let mut samples = Vec::new();
    for i in 0..16 {
        samples.push(at(f64::from(i) * 43.0, 37.0, -122.0 + f64::from(i) * 1e-3));
    }
    for i in 0..5 {
        samples.push(at(
            657.0 + f64::from(i) * 2.4,
            43.0 + f64::from(i) * 1e-5,
            -115.0,
        ));
    }
    for i in 0..20 {
        samples.push(at(
            700.0 + f64::from(i) * 12.0,
            37.0,
            -121.984 + f64::from(i) * 3e-4,
        ));
    }
    let reasons = rejected(&lagged(&samples, 5));
    let wrong: Vec<_> = (0..samples.len())
        .filter(|i| reasons[*i].is_some())
        .collect();
    assert_eq!(wrong, [16, 17, 18, 19, 20]);
    // Live, the last of the five is believed until the next fix, and taken back then.
    let mut tracker = Tracker::default();
    let mut taken_back = 0;
    for sample in &samples {
        let revised = tracker.apply(sample, &Settings::default()).revised;
        taken_back += usize::from(revised.is_some_and(|r| r.rejected.is_some()));
    }
    assert_eq!(taken_back, 1);
    let way = tracker.motion().open().unwrap().distance_m;
    assert!(way < 4_000.0, "{way}");
}

#[test]
fn a_wild_fix_after_a_long_gap_is_rejected_and_the_parked_neighbours_stay() {
    let home = (52.5, 13.4);
    let mut samples: Vec<_> = (0..30)
        .map(|i| at(f64::from(i) * 60.0, home.0, home.1))
        .collect();
    let night = 6.0 * 3_600.0;
    samples.push(at(1_740.0 + night, -30.0, -60.0));
    samples.push(at(1_743.0 + night, home.0, home.1));
    samples.push(at(1_803.0 + night, home.0, home.1));
    for estimates in [live(&samples), lagged(&samples, 5)] {
        let reasons = rejected(&estimates);
        let wrong: Vec<_> = (0..samples.len())
            .filter(|i| reasons[*i].is_some())
            .collect();
        assert_eq!(wrong, [30]);
        assert!(estimates.iter().all(|e| off(e, home) < 1.0));
    }
}

#[test]
fn a_wild_fix_that_a_gap_makes_possible_is_taken_back_by_the_return_leg() {
    let home = (52.5, 13.4);
    let mut samples: Vec<_> = (0..30)
        .map(|i| at(f64::from(i) * 60.0, home.0, home.1))
        .collect();
    let night = 6.0 * 3_600.0;
    // 600 km in six hours could be driven; 600 km in 3 s could not.
    samples.push(at(1_740.0 + night, home.0 + 5.4, home.1));
    samples.push(at(1_743.0 + night, home.0, home.1));
    samples.push(at(1_803.0 + night, home.0, home.1));
    let reasons = rejected(&lagged(&samples, 5));
    assert_eq!(reasons[30], Some(Rejected::Jump));
    assert_eq!(reasons[31], None);
    let replayed = replay(&samples, &Settings::default());
    assert!(off(&replayed.estimates[31], home) < 50.0);
    assert!(trips(&replayed.legs).is_empty());
}

#[test]
fn after_a_ferry_the_new_place_is_accepted_and_no_speed_is_derived() {
    let mut samples = Vec::new();
    for i in 0..10 {
        samples.push(at(f64::from(i) * 30.0, 54.0, 10.0));
    }
    for i in 0..10 {
        samples.push(at(21_600.0 + f64::from(i) * 30.0, 56.7, 10.0));
    }
    let estimates = live(&samples);
    assert!(off(&estimates[14], (56.7, 10.0)) < 1.0);
    assert!(estimates.iter().flatten().all(|e| e.speed < 50.0 / 3.6));
    let way: f64 = replay(&samples, &Settings::default())
        .legs
        .iter()
        .map(|leg| leg.distance_m)
        .sum();
    assert!(way < 1.0, "a gap counts no distance: {way}");
}

#[test]
fn a_parked_device_that_reappears_elsewhere_is_right_after_five_reports() {
    for (metres, interval) in [
        (3_000.0, 1.0),
        (300_000.0, 1.0),
        (300_000.0, 10.0),
        (3_000.0, 10.0),
    ] {
        let mut noise = Noise(7);
        let mut samples = Vec::new();
        for i in 0..120 {
            let moved = if i < 60 { 0.0 } else { metres };
            let north = moved + 2.0 * noise.normal();
            let east = 2.0 * noise.normal();
            samples.push(with_speed(
                at(
                    f64::from(i) * interval,
                    48.0 + north * NORTH,
                    11.0 + east * NORTH,
                ),
                0.0,
                0.0,
            ));
        }
        let place = (48.0 + metres * NORTH, 11.0);
        for estimates in [live(&samples), lagged(&samples, 5)] {
            for (i, estimate) in estimates.iter().enumerate().skip(64) {
                let d = off(estimate, place);
                assert!(d < 15.0, "{metres} m at {interval} s: row {i} is {d} m off");
            }
        }
    }
}

#[test]
fn a_gap_excuses_no_zero_future_or_invalid_fix() {
    let day = 86_400.0;
    let received = |sample: Sample| Sample {
        received_ms: Some(1_700_000_000_000 + (2.0 * day) as i64 * 1_000),
        ..sample
    };
    let samples = [
        received(at(0.0, 31.0, 121.0)),
        received(at(day, 0.0, 0.0)),
        received(Sample {
            time_ms: 4_070_912_400_000,
            ..at(0.0, 31.0, 121.0)
        }),
        received(Sample {
            invalid: true,
            ..at(day, 20.0, 121.0)
        }),
        received(at(day + 10.0, 31.0, 121.0)),
        received(Sample {
            time_ms: 1_000_000_000_000,
            ..at(0.0, 31.0, 121.0)
        }),
    ];
    let estimates = live(&samples);
    let reasons = rejected(&estimates);
    assert_eq!(reasons[1], Some(Rejected::Zero));
    assert_eq!(reasons[2], Some(Rejected::Future));
    assert_eq!(reasons[3], None, "invalid is not rejected, it is not used");
    assert_eq!(reasons[4], None);
    assert_eq!(reasons[5], Some(Rejected::Ancient));
    for estimate in &estimates[..5] {
        assert!(off(estimate, (31.0, 121.0)) < 1.0);
    }
}

#[test]
fn a_leap_against_both_reported_speeds_is_rejected_unless_the_speed_lies() {
    let still = |t: f64, north: f64| with_speed(at(t, 48.0 + north * NORTH, 11.0), 0.0, 0.0);
    let mut leap: Vec<_> = (0..6).map(|i| still(f64::from(i) * 10.0, 0.0)).collect();
    leap.push(still(60.0, 400.0));
    leap.push(still(70.0, 0.0));
    assert_eq!(rejected(&live(&leap))[6], Some(Rejected::Jump));

    let fast: Vec<_> = (0..10)
        .map(|i| {
            let kmh = 130.0 + f64::from(i % 2) * 5.0;
            with_speed(
                at(
                    f64::from(i) * 10.0,
                    48.0 + f64::from(i) * 375.0 * NORTH,
                    11.0,
                ),
                kmh as f32,
                0.0,
            )
        })
        .collect();
    assert!(rejected(&live(&fast)).iter().all(Option::is_none));

    // A unit without speed sends 0 all day: the rule switches itself off.
    let day: Vec<_> = (0..200)
        .map(|i| still(f64::from(i) * 10.0, f64::from(i) * 300.0))
        .collect();
    let estimates = live(&day);
    assert!(rejected(&estimates)[10..].iter().all(Option::is_none));
    for (i, estimate) in estimates.iter().enumerate().skip(20) {
        assert!(
            off(estimate, (48.0 + i as f64 * 300.0 * NORTH, 11.0)) < 30.0,
            "row {i}"
        );
    }
}

#[test]
fn a_flipped_hemisphere_is_named() {
    let mut samples: Vec<_> = (0..10)
        .map(|i| at(f64::from(i) * 10.0, -33.9, 151.2 + f64::from(i) * 1e-3))
        .collect();
    samples[5].position = Some((33.9, 151.205));
    samples[7].position = Some((-33.9, -151.207));
    let reasons = rejected(&live(&samples));
    assert_eq!(reasons[5], Some(Rejected::Hemisphere));
    assert_eq!(reasons[7], Some(Rejected::Hemisphere));
    assert_eq!(reasons.iter().flatten().count(), 2);
}

#[test]
fn a_position_that_stays_while_the_speed_goes_on_is_frozen() {
    let samples: Vec<_> = (0..20)
        .map(|i| {
            let stuck = if (8..12).contains(&i) { 7 } else { i };
            let north = f64::from(stuck) * 150.0;
            with_speed(
                at(f64::from(i) * 10.0, 48.0 + north * NORTH, 11.0),
                54.0 + i as f32 * 0.1,
                0.0,
            )
        })
        .collect();
    let reasons = rejected(&live(&samples));
    for (i, reason) in reasons.iter().enumerate() {
        let expected = (8..12).contains(&i).then_some(Rejected::Frozen);
        assert_eq!(*reason, expected, "row {i}");
    }
}

#[test]
fn a_good_place_with_a_wild_reported_speed_stays() {
    let samples: Vec<_> = (0..30)
        .map(|i| {
            let kmh = if i == 15 { 900.0 } else { 36.0 };
            with_speed(
                at(f64::from(i), 48.0 + f64::from(i) * 10.0 * NORTH, 11.0),
                kmh,
                0.0,
            )
        })
        .collect();
    let estimates = live(&samples);
    assert_eq!(rejected(&estimates)[15], None);
    assert!(off(&estimates[15], (48.0 + 150.0 * NORTH, 11.0)) < 5.0);
    assert!(estimates.iter().flatten().all(|e| e.speed < 20.0));
}

#[test]
fn fixes_that_are_not_the_receivers_do_not_move_the_filter() {
    let mut samples: Vec<_> = (0..20)
        .map(|i| at(f64::from(i) * 10.0, 48.0, 11.0))
        .collect();
    samples[12] = Sample {
        source: Source::Network,
        ..at(120.0, 48.01, 11.0)
    };
    samples[14] = Sample {
        source: Source::LastKnown,
        ..at(140.0, 47.99, 11.0)
    };
    samples[16] = Sample {
        invalid: true,
        ..at(160.0, 48.002, 11.0)
    };
    for estimate in live(&samples) {
        assert!(off(&estimate, (48.0, 11.0)) < 1.0);
    }
}

// B. Parked

#[test]
fn eight_hours_of_noise_at_a_standstill_are_no_way_and_no_trip() {
    for speed in [None, Some(0.0)] {
        let mut noise = Noise(11);
        let samples: Vec<_> = (0..960)
            .map(|i| Sample {
                speed,
                course: speed.map(|_| 0.0),
                ..at(
                    f64::from(i) * 30.0,
                    48.0 + 12.0 * noise.normal() * NORTH,
                    11.0 + 12.0 * noise.normal() * NORTH,
                )
            })
            .collect();
        let legs = replay(&samples, &Settings::default()).legs;
        let way: f64 = legs.iter().map(|leg| leg.distance_m).sum();
        assert!(trips(&legs).is_empty(), "{speed:?}: {legs:?}");
        assert!(way <= 20.0, "{speed:?}: {way} m");
    }
}

#[test]
fn creeping_in_a_jam_and_towing_count() {
    let mut noise = Noise(5);
    let mut drive = |metres_per_report: f64, kmh: f32, ignition: bool| {
        let samples: Vec<_> = (0..200)
            .map(|i| {
                let north = (f64::from(i) - 50.0).clamp(0.0, 100.0) * metres_per_report;
                let moves = (50..150).contains(&i);
                let place = at(
                    f64::from(i) * 10.0,
                    48.0 + (north + noise.normal()) * NORTH,
                    11.0 + noise.normal() * NORTH,
                );
                Sample {
                    ignition: Some(ignition),
                    ..with_speed(place, if moves { kmh } else { 0.0 }, 0.0)
                }
            })
            .collect();
        let legs = replay(&samples, &Settings::default()).legs;
        trips(&legs).iter().map(|leg| leg.distance_m).sum::<f64>()
    };
    let jam = drive(10.0, 3.6, true);
    assert!((jam - 1_000.0).abs() < 100.0, "jam {jam}");
    let tow = drive(55.0, 20.0, false);
    assert!((tow - 5_500.0).abs() < 200.0, "tow {tow}");
}

#[test]
fn a_gap_ends_the_trip_at_the_last_record_before_it() {
    let mut samples: Vec<_> = (0..60)
        .map(|i| {
            with_speed(
                at(
                    f64::from(i) * 10.0,
                    48.0 + f64::from(i) * 100.0 * NORTH,
                    11.0,
                ),
                36.0,
                0.0,
            )
        })
        .collect();
    let basement = 48.0 + 5_900.0 * NORTH;
    let nine_hours = 590.0 + 9.0 * 3_600.0;
    for i in 0..60 {
        samples.push(with_speed(
            at(
                nine_hours + f64::from(i) * 10.0,
                basement + f64::from(i) * 100.0 * NORTH,
                11.0,
            ),
            36.0,
            0.0,
        ));
    }
    let replayed = replay(&samples, &Settings::default());
    let found = trips(&replayed.legs);
    assert_eq!(found.len(), 2, "{:?}", replayed.legs);
    assert_eq!(found[0].to_ms, Some(samples[59].time_ms));
    assert_eq!(found[1].from_ms, samples[60].time_ms);
    let limits = Settings::default().limits;
    let mut tracker = Tracker::default();
    for sample in &samples[..60] {
        tracker.apply(sample, &Settings::default());
    }
    let last = samples[59].time_ms;
    assert_eq!(tracker.motion().now(last + 1_000, &limits), Now::Moving);
    assert_eq!(
        tracker.motion().now(last + 3_700_000, &limits),
        Now::Unknown
    );
}

#[test]
fn a_record_without_a_usable_position_still_stops_the_vehicle() {
    let mut samples: Vec<_> = (0..60)
        .map(|i| {
            with_speed(
                at(
                    f64::from(i) * 10.0,
                    48.0 + f64::from(i) * 100.0 * NORTH,
                    11.0,
                ),
                36.0,
                0.0,
            )
        })
        .collect();
    for i in 60..110 {
        samples.push(Sample {
            invalid: true,
            ignition: Some(true),
            ..with_speed(
                at(f64::from(i) * 10.0, 48.0 + 5_900.0 * NORTH, 11.0),
                0.0,
                0.0,
            )
        });
    }
    let mut tracker = Tracker::default();
    let mut events = Vec::new();
    for sample in &samples {
        events.extend(tracker.apply(sample, &Settings::default()).events.iter());
    }
    assert!(
        events
            .iter()
            .any(|e| matches!(e, MotionEvent::TripEnd { .. })),
        "{events:?}"
    );
    assert!(
        events.iter().any(|e| matches!(e, MotionEvent::Idle { .. })),
        "{events:?}"
    );
}

// D. Trips and distance

/// A drive at 36 km/h with stops: (seconds, moving).
fn drive(parts: &[(i32, bool)]) -> Vec<Sample> {
    let (mut second, mut north) = (0, 0.0);
    let mut samples = vec![with_speed(at(0.0, 48.0, 11.0), 0.0, 0.0)];
    for (length, moving) in parts {
        for _ in 0..length / 10 {
            second += 10;
            north += if *moving { 100.0 } else { 0.0 };
            let kmh = if *moving { 36.0 } else { 0.0 };
            samples.push(with_speed(
                at(f64::from(second), 48.0 + north * NORTH, 11.0),
                kmh,
                0.0,
            ));
        }
    }
    samples
}

#[test]
fn a_short_stop_does_not_cut_a_trip_and_a_short_move_is_none() {
    let legs = replay(
        &drive(&[
            (600, false),
            (900, true),
            (180, false),
            (900, true),
            (900, false),
        ]),
        &Settings::default(),
    )
    .legs;
    assert_eq!(trips(&legs).len(), 1, "{legs:?}");
    // Two moves of under 500 m with pauses inside parking.
    let legs = replay(
        &drive(&[
            (900, false),
            (40, true),
            (400, false),
            (40, true),
            (900, false),
        ]),
        &Settings::default(),
    )
    .legs;
    assert!(trips(&legs).is_empty(), "{legs:?}");
    assert!(
        (legs[0].distance_m - 800.0).abs() < 60.0,
        "the way is the stop's: {legs:?}"
    );
}

#[test]
fn trips_and_stops_leave_no_hole_in_time_or_distance() {
    let samples = drive(&[
        (600, false),
        (900, true),
        (600, false),
        (700, true),
        (400, false),
    ]);
    let legs = replay(&samples, &Settings::default()).legs;
    let kinds: Vec<_> = legs.iter().map(|leg| leg.kind).collect();
    assert_eq!(
        kinds,
        [Kind::Stop, Kind::Trip, Kind::Stop, Kind::Trip, Kind::Stop]
    );
    for pair in legs.windows(2) {
        assert_eq!(pair[0].to_ms, Some(pair[1].from_ms));
        assert_eq!(pair[0].end, pair[1].start);
    }
    assert_eq!(legs[0].from_ms, samples[0].time_ms);
    assert_eq!(legs.last().unwrap().to_ms, None);
    let way: f64 = legs.iter().map(|leg| leg.distance_m).sum();
    assert!((way - 16_000.0).abs() < 160.0, "{way}");
    // The first moving leg belongs to the trip: it starts at the last record that stood.
    let start = legs[1].from_ms - samples[0].time_ms;
    assert!((start - 600_000).abs() <= 10_000, "{start}");
}

#[test]
fn an_odometer_of_zero_is_no_data_and_no_distance_is_negative() {
    let mut samples = drive(&[(900, true)]);
    for (i, sample) in samples.iter_mut().enumerate() {
        sample.odometer_m = Some(50_000.0 + i as f64 * 101.0);
    }
    samples[40].odometer_m = Some(0.0);
    samples[60].odometer_m = Some(12.0);
    samples.swap(20, 21);
    let mut tracker = Tracker::default();
    for sample in &samples {
        tracker.apply(sample, &Settings::default());
    }
    let row = tracker.motion().open().unwrap();
    let odometer = row.odometer_m.unwrap();
    // The legs into and out of the wrong reading are lost, the one over the 0 is not.
    assert!((8_600.0..=9_090.0).contains(&odometer), "{odometer}");
    assert!(row.distance_m > 8_500.0 && row.distance_m < 9_300.0);
    assert!(row.max_speed < 45.0 / 3.6);
}

#[test]
fn a_late_repeat_that_is_known_changes_nothing() {
    let samples = drive(&[(300, false), (600, true)]);
    let mut tracker = Tracker::default();
    for sample in &samples {
        tracker.apply(sample, &Settings::default());
    }
    let before = tracker.clone();
    let output = tracker.apply(&samples[70], &Settings::default());
    assert_eq!(tracker, before);
    assert_eq!(output.dirty, None);
}

#[test]
fn late_fixes_within_the_window_correct_the_distance_and_older_ones_mark_it_dirty() {
    // A way round a corner of which only both ends came live.
    let mut tracker = Tracker::default();
    let settings = Settings::default();
    for sample in drive(&[(600, true)]) {
        tracker.apply(&sample, &settings);
    }
    let from = 48.0 + 6_000.0 * NORTH;
    let corner = with_speed(at(625.0, from + 150.0 * NORTH, 11.0), 36.0, 0.0);
    let east = 150.0 * NORTH / from.to_radians().cos();
    let end = with_speed(at(640.0, from + 150.0 * NORTH, 11.0 + east), 36.0, 90.0);
    tracker.apply(&end, &settings);
    let straight = tracker.motion().open().unwrap().distance_m;
    let output = tracker.apply(&corner, &settings);
    assert_eq!(output.dirty, None);
    assert!(off(&output.estimate, corner.position.unwrap()) < 40.0);
    let round = tracker.motion().open().unwrap().distance_m;
    assert!(round - straight > 40.0, "{straight} {round}");

    let old = with_speed(at(-86_400.0, 48.0, 11.0), 0.0, 0.0);
    let output = tracker.apply(&old, &settings);
    assert_eq!(output.dirty.map(|d| d.from_ms), Some(old.time_ms));
    assert_eq!(output.estimate, None);
}

#[test]
fn replaying_stored_reports_gives_what_live_gave() {
    let samples = drive(&[
        (600, false),
        (900, true),
        (600, false),
        (700, true),
        (400, false),
    ]);
    let mut tracker = Tracker::default();
    let mut closed = Vec::new();
    for sample in &samples {
        for event in tracker.apply(sample, &Settings::default()).events.iter() {
            match event {
                MotionEvent::TripEnd { trip } => closed.push(trip),
                MotionEvent::StopEnd { stop } => closed.push(stop),
                _ => {}
            }
        }
    }
    closed.extend(tracker.motion().open());
    let replayed = replay(&samples, &Settings::default());
    assert_eq!(replayed.legs, closed);
    assert_eq!(replayed.tracker, tracker);
}
