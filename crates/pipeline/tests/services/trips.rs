//! Corrections, trips, what is restored, and a connection that breaks.

use std::time::Duration;

use milepost_pipeline::sink::timescale::*;
use milepost_pipeline::sink::{CorrectedFields, Correction};
use milepost_pipeline::stage::{Incidents, Stages, Track};
use milepost_pipeline::{Options, Outcome, Pipeline, ShardId, Snapshot};
use milepost_telemetry::*;

use super::fleet::envelope;
use super::support::{device, location, now};
use super::timescale::{Fresh, TOPIC, batch, client};

fn stages() -> Options {
    let mut options = Options::default();
    options.stages = Stages::standard().then(Incidents).then(Track::default());
    options
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn only_a_higher_revision_corrects_a_row_and_its_events() {
    let fresh = Fresh::new().await;
    let mut database = fresh.open().await;
    let claim = database.claim(TOPIC, 0).await.unwrap().claim;
    let at = now();
    let mut report = location(&device(1), at, at);
    report.late = Some(false);
    report.more.events = vec![Event::by_device(EventKind::Sos, Some(1))];
    report.more.text = Some("stays".into());
    let odd = location(&device(1), at.offset_millis(400 * 86_400_000), at);
    let correct = |id, revision, fields: &dyn Fn(&mut CorrectedFields)| {
        let mut changed = CorrectedFields::default();
        fields(&mut changed);
        Correction::new(id, revision, changed)
    };
    let here = Coordinates::from_degrees(23.5, 114.5).unwrap();
    let mut smoothed = Smoothed::new(here);
    smoothed.moving = Some(true);
    smoothed.speed = Speed::from_kmh(12.5).ok();
    // In the batch of the report itself, two of one report, and one of nothing.
    let both = [(&report, Route::Compared), (&odd, Route::Odd)];
    let mut rows = batch(claim, None, 1, &both);
    rows.correction(correct(report.id, 2, &|f| f.smoothed = Some(smoothed)));
    rows.correction(correct(report.id, 3, &|f| f.late = Some(true)));
    rows.correction(correct(odd.id, 1, &|f| f.late = Some(true)));
    rows.correction(correct(location(&device(9), at, at).id, 1, &|_| {}));
    let stored = database.write(&rows).await.unwrap();
    assert_eq!(stored.corrected, [0, 2, 1]);
    assert_eq!(stored.events, 1);

    let mut rows = batch(claim, Some(1), 2, &[]);
    rows.correction(correct(report.id, 3, &|f| f.late = Some(false)));
    rows.correction(correct(report.id, 4, &|f| {
        f.events = Some(vec![
            Event::by_device(EventKind::PowerCut, Some(7)),
            Event::by_pipeline(EventKind::TripStart),
        ]);
    }));
    let stored = database.write(&rows).await.unwrap();
    assert_eq!(stored.corrected, [1], "the same revision changes nothing");
    assert_eq!(stored.events, 2);

    let mut expected = report.clone();
    expected.smoothed = Some(smoothed);
    expected.late = Some(true);
    expected.more.events = vec![
        Event::by_device(EventKind::PowerCut, Some(7)),
        Event::by_pipeline(EventKind::TripStart),
    ];
    assert_eq!(database.reports(&[report.id]).await.unwrap(), [expected]);
    assert_eq!(
        database.reports(&[odd.id]).await.unwrap()[0].late,
        Some(true)
    );
    let part = database.unpublished(claim, 10).await.unwrap();
    let numbers: Vec<_> = part.events.iter().map(|event| event.number).collect();
    assert_eq!(numbers, [2, 3]);
    assert!(part.events[1].json.contains("\"trip_start\""), "{part:?}");
    // All events are taken away.
    let mut rows = batch(claim, Some(2), 3, &[]);
    rows.correction(correct(report.id, 5, &|f| f.events = Some(Vec::new())));
    database.write(&rows).await.unwrap();
    assert_eq!(fresh.count("event").await, 0);
    let left = database.reports(&[report.id]).await.unwrap();
    assert!(left[0].more.events.is_empty());
    assert_eq!(left[0].more.text.as_deref(), Some("stays"));
}

/// 36 km/h northwards from second 600 to 1200, else standing.
fn drive(number: u32, from: Timestamp) -> Envelope {
    let second = i64::from(number) * 10;
    let mut envelope = envelope(7, 0, from.offset_millis(second * 1_000));
    let driven = (second.clamp(600, 1_200) - 600) as f64 * 10.0;
    if let Content::Reports(reports) = &mut envelope.content {
        let here = Coordinates::from_degrees(52.0 + driven / 111_200.0, 13.0).unwrap();
        let mut fix = Fix::new(here, true, FixSource::Gnss);
        let is_moving = (600..1_200).contains(&second);
        fix.speed = Speed::from_kmh(if is_moving { 36.0 } else { 0.0 }).ok();
        fix.time = Some(reports[0].time);
        reports[0].fix = Some(fix);
    }
    envelope
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services/up"]
async fn trips_are_stored_with_their_batch_and_read_with_the_open_one() {
    let fresh = Fresh::new().await;
    let from = Timestamp::from_millis(now().as_millis() / 1_000 * 1_000 - 10_000_000);
    let transport = Transport::default();
    let (judge, _) = fresh.claim(&transport).await;
    let pipeline = Pipeline::new(&stages());
    let handle = pipeline
        .attach(ShardId(0), judge, Snapshot::default())
        .unwrap();
    for number in 0..200_u32 {
        transport.note(Passed::new(number.into(), "gw".into(), None));
        let outcome = handle.submit_at(drive(number, from), number.into()).await;
        assert_eq!(outcome, Outcome::Delivered);
    }
    assert_eq!(fresh.count("trip").await, 2);
    pipeline.drain(Duration::from_secs(5)).await;
    let mut reader = Reader::connect(&fresh.url, &fresh.schema).await.unwrap();
    let trips = reader
        .trips(&device(0), None, None, None, 100)
        .await
        .unwrap();
    let [(stop, 0), (trip, 0), (open, 0)] = trips[..] else {
        panic!("{trips:?}");
    };
    assert_eq!(stop.to_ms, Some(trip.from_ms));
    assert_eq!(trip.to_ms, Some(open.from_ms));
    assert_eq!(open.to_ms, None);
    assert!((trip.distance_m - 6_000.0).abs() < 150.0, "{trip:?}");
    let under_way = Some(Timestamp::from_millis(trip.from_ms + 1_000));
    let found = reader
        .trips(&device(0), under_way, None, None, 1)
        .await
        .unwrap();
    assert_eq!(found, trips[1..2], "the one that is under way");
    let after = reader
        .trips(&device(0), None, None, Some(trip.from_ms), 100)
        .await
        .unwrap();
    assert_eq!(after, [(open, 0)]);
    let mut other = device(0);
    other.tenant = Tenant::new("other").unwrap();
    let none = reader.trips(&other, None, None, None, 100).await.unwrap();
    assert!(none.is_empty());

    // A row of a higher revision is not replaced by a live one.
    let mut database = fresh.open().await;
    let held = database.claim(TOPIC, 0).await.unwrap();
    let mut rows = BatchRows::new(held.claim, held.offset, 300);
    let mut longer = trip;
    longer.distance_m = 9_000.0;
    rows.trip(device(0), longer, 1);
    database.write(&rows).await.unwrap();
    let mut rows = BatchRows::new(held.claim, Some(300), 301);
    rows.trip(device(0), trip, 0);
    database.write(&rows).await.unwrap();
    let found = reader
        .trips(&device(0), under_way, None, None, 1)
        .await
        .unwrap();
    assert_eq!((found[0].0.distance_m, found[0].1), (9_000.0, 1));
}

/// What is stored of lanes: state and what is surely new.
async fn lanes(fresh: &Fresh) -> Vec<(String, String, Vec<u8>, Vec<u8>)> {
    fresh
        .client
        .query(
            "SELECT device, latest::text, state, newness FROM lane ORDER BY device",
            &[],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
        .collect()
}

/// The window of ids decides whether a repeat passes the stages: without it in the snapshot a shard
/// that was restored would count the repeats of an incident anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services/up"]
async fn a_restored_shard_has_the_states_of_one_that_went_on() {
    let from = Timestamp::from_millis(now().as_millis() - 10_000_000);
    let log: Vec<Envelope> = (0..400_u32)
        .map(|n| {
            // Each fifth is a repeat of one before, half of them with an alarm.
            let number = if n % 5 == 4 { n.saturating_sub(44) } else { n };
            let mut envelope = envelope(7, number, from);
            envelope.origin.frame = u64::from(n) + 1_000;
            if number % 4 == 0
                && let Content::Reports(reports) = &mut envelope.content
            {
                reports[0].more.events = vec![Event::by_device(EventKind::Sos, Some(1))];
            }
            envelope
        })
        .collect();
    let mut all = Vec::new();
    for stops in [vec![400], vec![150, 290, 400]] {
        let fresh = Fresh::new().await;
        let mut done = 0;
        for stop in stops {
            let transport = Transport::default();
            let (judge, claimed) = fresh.claim(&transport).await;
            assert_eq!(claimed.snapshot_offset.unwrap_or(0), done);
            let pipeline = Pipeline::new(&stages());
            let handle = pipeline
                .attach(ShardId(0), judge, Snapshot::default())
                .unwrap();
            for offset in done..stop {
                let envelope = log[usize::try_from(offset).unwrap()].clone();
                transport.note(Passed::new(offset, "gw".into(), None));
                let outcome = handle.submit_at(envelope, offset).await;
                assert_eq!(outcome, Outcome::Delivered);
            }
            pipeline.drain(Duration::from_secs(5)).await;
            done = stop;
        }
        let lanes = lanes(&fresh).await;
        assert_eq!(lanes.len(), 16);
        all.push(lanes);
    }
    assert_eq!(all[0], all[1]);
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn positions_of_logs_are_snapshotted_with_the_lanes() {
    let fresh = Fresh::new().await;
    let mut database = fresh.open().await;
    let claim = database.claim(TOPIC, 0).await.unwrap().claim;
    let mut rows = batch(claim, None, 5, &[]);
    rows.position(9, 100);
    database.write(&rows).await.unwrap();
    database.snapshot(claim, 5, &[]).await.unwrap();
    let mut rows = batch(claim, Some(5), 6, &[]);
    rows.position(9, 140);
    rows.position(10, 1);
    database.write(&rows).await.unwrap();
    let claimed = database.claim(TOPIC, 0).await.unwrap();
    assert_eq!(claimed.positions, [(9, 140), (10, 1)].into());
    assert_eq!(claimed.snapshot_positions, [(9, 100)].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services/up"]
async fn a_batch_whose_connection_is_cut_is_written_once_with_a_new_one() {
    let fresh = Fresh::new().await;
    let from = Timestamp::from_millis(now().as_millis() - 10_000_000);
    let transport = Transport::default();
    let (judge, _) = fresh.claim(&transport).await;
    let pipeline = Pipeline::new(&stages());
    let handle = pipeline
        .attach(ShardId(0), judge, Snapshot::default())
        .unwrap();
    // A transaction sees the activity of one moment only.
    let watcher = client(&fresh.url).await;
    for round in 0..3_i64 {
        // The batch has written its rows and waits for the last table.
        fresh
            .client
            .batch_execute("BEGIN; LOCK TABLE audit IN EXCLUSIVE MODE")
            .await
            .unwrap();
        let verdicts: Vec<_> = (round * 100..round * 100 + 100)
            .map(|offset| {
                transport.note(Passed::new(offset, "gw".into(), Some((1, offset as u64))));
                let number = u32::try_from(offset).unwrap();
                handle.submit_at(envelope(7, number, from), offset)
            })
            .collect();
        let waiting = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'
                 AND query LIKE 'INSERT INTO audit%'";
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        loop {
            let row = watcher.query_one(waiting, &[]).await.unwrap();
            if row.get::<_, i64>(0) > 0 {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "no batch waits");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        fresh.client.batch_execute("ROLLBACK").await.unwrap();
        for verdict in verdicts {
            assert_eq!(verdict.await, Outcome::Delivered);
        }
    }
    assert_eq!(fresh.count("report").await, 300);
    let sums = "(SELECT sum(frames) AS all FROM audit) a WHERE a.all = 300";
    assert_eq!(fresh.count(sums).await, 1);
    assert!(pipeline.drain(Duration::from_secs(5)).await.clean);
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn one_connection_at_a_time_drops_what_is_old_and_folds_its_runs() {
    let fresh = Fresh::new().await;
    let mut database = fresh.open().await;
    let claim = database
        .claim(Name::new("milepost.audit"), 0)
        .await
        .unwrap();
    let run = |epoch, received, ended| RunRow {
        gateway: "gw".into(),
        epoch,
        received,
        abandoned: 0,
        filtered: [("echo".to_owned(), 2)].into(),
        ended,
    };
    let runs = [run(7, 3, true), run(8, 5, false)];
    database
        .store_runs(claim.claim, None, 4, &runs)
        .await
        .unwrap();
    let again = database.store_runs(claim.claim, None, 4, &runs).await;
    assert!(again.unwrap_err().is_superseded());
    let held = database.claim(TOPIC, 0).await.unwrap().claim;
    let at = now();
    let reports = [location(&device(1), at, at), location(&device(2), at, at)];
    let rows: Vec<_> = reports.iter().map(|one| (one, Route::Compared)).collect();
    database.write(&batch(held, None, 1, &rows)).await.unwrap();
    // One of 7 is more than it says.
    let audit = database.audit().await.unwrap();
    assert!(!audit.ok && !audit.runs[0].ok, "{audit:?}");
    database
        .store_runs(claim.claim, Some(4), 5, &[run(7, 6, true)])
        .await
        .unwrap();
    let audit = database.audit().await.unwrap();
    assert!(audit.ok, "{audit:?}");
    assert_eq!((audit.runs[0].stored, audit.runs[0].in_flight), (2, 2));
    assert_eq!((audit.runs[1].received, audit.runs[1].in_flight), (5, 3));
    assert_eq!((audit.all.received, audit.all.filtered["echo"]), (11, 4));

    let keep = Keep::all(Duration::from_secs(10 * 86_400));
    let mut other = fresh.open().await;
    fresh
        .client
        .batch_execute(
            "SELECT pg_advisory_lock(1299215221);
             UPDATE gateway_run SET changed_at = now() - interval '11 days' WHERE epoch = 7",
        )
        .await
        .unwrap();
    assert_eq!(other.retain(keep).await.unwrap(), None, "another is at it");
    fresh
        .client
        .batch_execute("SELECT pg_advisory_unlock(1299215221)")
        .await
        .unwrap();
    let dropped = other.retain(keep).await.unwrap().unwrap();
    assert_eq!(dropped.folded_runs, 1);
    assert_eq!(
        database.retain(keep).await.unwrap(),
        Some(Dropped::default())
    );
    let folded = database.audit().await.unwrap();
    assert_eq!(folded.runs[0].epoch, 0);
    assert_eq!((folded.runs[0].stored, folded.runs[0].abandoned), (2, 2));
    assert_eq!(folded.all.received, audit.all.received);
    assert!(folded.ok);
}
