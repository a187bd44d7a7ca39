//! Trips and stops in the embedded store: live, across a restart, and after late data.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![cfg(feature = "sqlite")]

mod support;

use std::time::Duration;

use milepost_pipeline::sink::sqlite::{Page, Paged, Span, Store, Trip};
use milepost_pipeline::sink::{Position, Replay as _};
use milepost_pipeline::stage::{Stages, Track};
use milepost_pipeline::track::{Kind, Settings};
use milepost_pipeline::{Options, Outcome, Pipeline};
use milepost_telemetry::{Content, Coordinates, Report, Speed};
use support::{NOON, at, frame, key, open, position};

/// Metres north and east, and km/h, at a second: stands, drives 10 minutes with a detour, stands,
/// drives, stands; 20 minutes each standstill.
fn place(second: i64) -> (f64, f64, f32) {
    let of = |from: i64, to: i64| (second.clamp(from, to) - from) as f64;
    let north = 10.0 * (of(1_200, 1_800) + of(3_000, 3_600));
    // Out to the east and back, from second 1400 to 1600.
    let east = 10.0 * (of(1_400, 1_500) - of(1_500, 1_600));
    let drives = (1_200..1_800).contains(&second) || (3_000..3_600).contains(&second);
    (north, east, if drives { 36.0 } else { 0.0 })
}

fn report(second: i64, received: i64) -> Report {
    let (north, east, kmh) = place(second);
    let mut report = position(&key(1), second, received);
    let fix = report.fix.as_mut().unwrap();
    let (latitude, longitude) = (10.0 + north / 110_600.0, 20.0 + east / 109_640.0);
    fix.coordinates = Coordinates::from_degrees(latitude, longitude).unwrap();
    fix.speed = Speed::from_kmh(kmh).ok();
    report
}

fn start(store: &Store) -> Pipeline {
    let mut options = Options::default();
    options.stages = Stages::standard().then(Track::default());
    let epoch = store.begin_epoch().unwrap();
    Pipeline::start(store.judge(epoch).unwrap(), &options).unwrap()
}

async fn submit(pipeline: &Pipeline, first: u64, seconds: &[i64], received: Option<i64>) {
    for (number, second) in (first..).zip(seconds) {
        let report = report(*second, received.unwrap_or(*second));
        let envelope = frame(Some(&key(1)), number, Content::Reports(vec![report]));
        assert_eq!(pipeline.handle().submit(envelope).await, Outcome::Delivered);
    }
}

fn trips(store: &Store, span: Span) -> Vec<Trip> {
    let reader = store.reader().unwrap();
    let all: Paged<Trip> = reader.trips(&key(1), &span, &Page::first(100)).unwrap();
    assert_eq!(all.next, None);
    // Page by page it is the same.
    let (mut paged, mut page) = (Vec::new(), Page::first(1));
    loop {
        let part = reader.trips(&key(1), &span, &page).unwrap();
        paged.extend(part.items);
        match part.next {
            Some(next) => page = Page::after(1, Some(next)),
            None => break,
        }
    }
    assert_eq!(paged, all.items);
    all.items
}

async fn redo(store: &Store) -> Option<usize> {
    let redone = store
        .redo_trips(&Settings::default(), |_| std::future::ready(()))
        .await
        .unwrap();
    redone.map(|redone| redone.changed)
}

fn withheld(second: i64) -> bool {
    (1_410..1_600).contains(&second)
}

#[tokio::test]
async fn late_data_changes_the_trip_it_belongs_to_once_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let all: Vec<i64> = (0..480).map(|n| n * 10).collect();
    let (late, live): (Vec<i64>, Vec<i64>) = all.iter().partition(|second| withheld(**second));
    let (first, second) = live.split_at(200);

    // A restart on the way changes nothing.
    let pipeline = start(&store);
    submit(&pipeline, 1, first, None).await;
    assert!(pipeline.drain(Duration::from_secs(10)).await.clean);
    let pipeline = start(&store);
    submit(&pipeline, 1_000, second, None).await;

    let before = trips(&store, Span::default());
    let kinds: Vec<_> = before.iter().map(|trip| trip.leg.kind).collect();
    use Kind::{Stop, Trip};
    assert_eq!(kinds, [Stop, Trip, Stop, Trip, Stop]);
    for pair in before.windows(2) {
        assert_eq!(pair[0].leg.to_ms, Some(pair[1].leg.from_ms));
    }
    assert_eq!(before[4].leg.to_ms, None);
    let direct = before[1].leg.distance_m;
    assert!((direct - 6_000.0).abs() < 200.0, "{direct}");
    assert_eq!(redo(&store).await, None);

    submit(&pipeline, 2_000, &late, Some(4_800)).await;
    // Each of the late ones, since none was within the window.
    let unplaced = |store: &Store| {
        let reader = store.reader().unwrap();
        let page = Page::first(1_000);
        let all = reader.history(&key(1), &Span::default(), &page).unwrap();
        let without = all.items.iter().filter(|r| r.smoothed.is_none());
        without.count()
    };
    assert_eq!(unplaced(&store), late.len());
    assert_eq!(redo(&store).await, Some(1));
    assert_eq!(unplaced(&store), 0);
    let after = trips(&store, Span::default());
    assert_eq!(after[1].revision, 1);
    assert!(
        (after[1].leg.distance_m - 6_828.0).abs() < 200.0,
        "{:?}",
        after[1]
    );
    for n in [0, 2, 3, 4] {
        assert_eq!(after[n], before[n]);
    }

    // What is stored already changes nothing, whatever the short memory of repeats has forgotten.
    submit(&pipeline, 3_000, &late, Some(4_810)).await;
    assert_eq!(redo(&store).await, None);
    assert_eq!(trips(&store, Span::default()), after);

    // The one that is under way at the beginning is in a span.
    let span = Span {
        from: Some(at(1_500)),
        to: Some(at(2_000)),
        raw: false,
    };
    let some = trips(&store, span);
    assert_eq!(some, after[1..3]);
    assert_eq!(some[0].leg.from_ms / 1_000, NOON + 1_190);
    assert!(pipeline.drain(Duration::from_secs(10)).await.clean);
}

#[tokio::test]
async fn late_data_of_a_trip_that_was_not_seen_adds_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let pipeline = start(&store);
    let all: Vec<i64> = (0..480).map(|n| n * 10).collect();
    // The first drive is missing: a jump over 30 minutes.
    let (late, live): (Vec<i64>, Vec<i64>) = all
        .iter()
        .partition(|second| (1_150..1_900).contains(*second));
    submit(&pipeline, 1, &live, None).await;
    let before = trips(&store, Span::default());
    submit(&pipeline, 2_000, &late, Some(4_800)).await;
    assert!(redo(&store).await.is_some());
    assert_eq!(redo(&store).await, None);
    let after = trips(&store, Span::default());
    let long = after
        .iter()
        .filter(|trip| trip.leg.kind == Kind::Trip && trip.leg.distance_m > 5_000.0);
    assert_eq!(long.count(), 2, "{before:#?} {after:#?}");
    for pair in after.windows(2) {
        assert_eq!(pair[0].leg.to_ms, Some(pair[1].leg.from_ms), "{after:#?}");
    }
    assert_eq!(after.last().unwrap().leg, before.last().unwrap().leg);
    assert!(pipeline.drain(Duration::from_secs(10)).await.clean);
}

#[tokio::test]
async fn what_is_judged_otherwise_later_is_corrected_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let pipeline = start(&store);
    // Towed away 40 km within ten seconds of the clock: five reports show that it is a new place.
    let moved = |n: i64| {
        let mut report = report(n * 10, n * 10);
        let fix = report.fix.as_mut().unwrap();
        if n >= 60 {
            let latitude = fix.coordinates.latitude() + 0.36;
            let longitude = fix.coordinates.longitude();
            fix.coordinates = Coordinates::from_degrees(latitude, longitude).unwrap();
        }
        report
    };
    for n in 0..80 {
        let number = u64::try_from(n).unwrap() + 1;
        let envelope = frame(Some(&key(1)), number, Content::Reports(vec![moved(n)]));
        assert_eq!(pipeline.handle().submit(envelope).await, Outcome::Delivered);
    }
    let rejected = |store: &Store| -> Vec<i64> {
        let reader = store.reader().unwrap();
        let all = reader
            .history(&key(1), &Span::default(), &Page::first(100))
            .unwrap();
        let wrong = all
            .items
            .iter()
            .filter(|r| r.smoothed.unwrap().rejected.is_some());
        wrong.map(|r| r.time.as_unix() - NOON).collect()
    };
    assert_eq!(rejected(&store), [600, 610, 620, 630]);
    let redone = store
        .redo_trips(&Settings::default(), |_| std::future::ready(()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(redone.corrected, 4);
    assert_eq!(rejected(&store), [0_i64; 0]);
    // Followers get them, with a revision.
    let corrections = store
        .replay()
        .unwrap()
        .after(Position::START, 1_000)
        .unwrap()
        .corrections;
    assert_eq!(corrections.len(), 4);
    assert!(corrections.iter().all(|c| c.revision == 1));
    assert_eq!(redo(&store).await, None);
    assert!(pipeline.drain(Duration::from_secs(10)).await.clean);
}
