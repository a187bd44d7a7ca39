//! What plugs into a pipeline: stages, followers, shards that come and go.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![cfg(feature = "sqlite")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use milepost_pipeline::sink::sqlite::{Page, Span, Store};
use milepost_pipeline::sink::{
    CorrectedFields, FollowFrom, Follower, Mark, News, Position, Replay as _, Source,
};
use milepost_pipeline::stage::{CopyOnWrite, Flow, Stage, StageContext, Stages};
use milepost_pipeline::{Options, Outcome, Pipeline, ShardId, SinkError, Snapshot};
use milepost_telemetry::{
    Content, Coordinates, Event, EventKind, Kind, Name, Report, ReportId, Smoothed, Timestamp,
};
use support::judge::{Control, LONG, options};
use support::{frame, key, located, open, position};

/// Derives a stop from every third report of a device, and corrects the one before it.
struct Stops;

impl Stage for Stops {
    type State = (u32, Option<ReportId>);
    const NAME: &'static str = "stops";
    const VERSION: u32 = 1;

    fn apply(
        &self,
        state: &mut CopyOnWrite<Self::State>,
        report: &mut Report,
        cx: &mut StageContext<'_>,
    ) -> Flow {
        let (count, before) = **state;
        if count % 3 == 2 {
            cx.event(Event::by_pipeline(EventKind::Sleep));
            cx.derive(Kind::Status, report).sequence = Some(count);
            if let Some(before) = before {
                let mut fields = CorrectedFields::default();
                let here = Coordinates::from_degrees(1.0, 2.0).unwrap();
                fields.smoothed = Some(Smoothed::new(here));
                fields.events = Some(vec![Event::by_pipeline(EventKind::Tow)]);
                cx.correct(before, 1, fields);
            }
        }
        **state = (count + 1, Some(report.id));
        Flow::Pass
    }

    fn snapshot(state: &Self::State, out: &mut Vec<u8>) {
        out.extend_from_slice(&state.0.to_be_bytes());
        if let Some(id) = &state.1 {
            out.extend_from_slice(id.as_bytes());
        }
    }

    fn restore(_: u32, bytes: &[u8]) -> Option<Self::State> {
        let (count, id) = bytes.split_first_chunk()?;
        let id = id.try_into().ok().map(ReportId::from_bytes);
        Some((u32::from_be_bytes(*count), id))
    }
}

fn with_stops() -> Options {
    let mut options = options();
    options.stages = Stages::standard().then(Stops);
    options
}

/// A follower in memory, of which a test can see everything.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<SeenState>>);

#[derive(Default)]
struct SeenState {
    reports: Vec<ReportId>,
    corrected: Vec<ReportId>,
    at: Position,
    /// Writes that fail, after half of what is new has been taken.
    fail: u32,
    writes: u32,
}

impl Seen {
    async fn until(&self, wanted: impl Fn(&SeenState) -> bool) {
        let reached = async {
            while !wanted(&self.0.lock().unwrap()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(LONG, reached).await.unwrap();
    }
}

impl Follower for Seen {
    fn begin(&mut self) -> Result<FollowFrom, SinkError> {
        Ok(FollowFrom::Position(self.0.lock().unwrap().at))
    }

    fn write(&mut self, new: &News<'_>, up_to: Position) -> Result<(), SinkError> {
        let mut state = self.0.lock().unwrap();
        state.writes += 1;
        let take = if state.fail > 0 {
            new.reports.len() / 2
        } else {
            new.reports.len()
        };
        for report in new.reports.iter().take(take) {
            state.reports.push(report.id);
        }
        if state.fail > 0 {
            state.fail -= 1;
            return Err(SinkError::transient("says the test"));
        }
        state.corrected.extend(new.corrections.iter().map(|c| c.id));
        state.at = up_to;
        Ok(())
    }
}

async fn store_located(pipeline: &Pipeline, from: i64, to: i64) {
    for n in from..to {
        let envelope = located(&key(1), u64::try_from(n).unwrap(), n);
        assert_eq!(pipeline.handle().submit(envelope).await, Outcome::Delivered);
    }
}

fn stored(store: &Store) -> Vec<Report> {
    let reader = store.reader().unwrap();
    let (span, page) = (Span::default(), Page::first(1_000));
    reader.history(&key(1), &span, &page).unwrap().items
}

#[tokio::test]
async fn what_stages_derive_and_correct_is_stored_and_reaches_followers() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(1).unwrap(), &with_stops()).unwrap();
    let seen = Seen::default();
    let handle = pipeline.handle();
    handle
        .follow("seen", seen.clone(), store.replay().unwrap())
        .unwrap();
    store_located(&pipeline, 0, 9).await;
    // A repeat derives nothing.
    store_located(&pipeline, 8, 9).await;
    seen.until(|state| state.reports.len() == 12 && state.corrected.len() == 3)
        .await;
    assert!(pipeline.drain(LONG).await.clean);

    let history = stored(&store);
    assert_eq!(history.len(), 12);
    let derived: Vec<_> = history.iter().filter(|r| r.kind == Kind::Status).collect();
    let counts: Vec<_> = derived.iter().filter_map(|r| r.sequence).collect();
    assert_eq!(counts, [2, 5, 8]);
    let corrected: Vec<_> = history.iter().filter(|r| r.smoothed.is_some()).collect();
    assert_eq!(corrected.len(), 3);
    for report in corrected {
        assert_eq!(report.more.events, [Event::by_pipeline(EventKind::Tow)]);
        assert!(seen.0.lock().unwrap().corrected.contains(&report.id));
    }
    // They are no frames of the audit.
    let audit = store.reader().unwrap().audit().unwrap();
    let sums = &audit.epochs[0];
    assert!(audit.ok, "{audit:?}");
    assert_eq!((sums.received, sums.stored, sums.duplicate), (10, 9, 1));
    // A frame decoded again is given the ids of what it said, and of nothing else.
    let causes = history.iter().filter(|r| r.kind == Kind::Location);
    for report in causes {
        let kept = store.reader().unwrap().kept_frame(&report.id).unwrap();
        assert_eq!(kept.unwrap().ids, [(0, report.id)]);
    }

    // Corrections are forgotten with what they corrected; their numbers do not return.
    let corrections = || {
        let db = rusqlite::Connection::open(store.path()).unwrap();
        let count = "SELECT count(*) FROM correction";
        db.query_row(count, [], |row| row.get::<_, u32>(0)).unwrap()
    };
    assert_eq!(corrections(), 3);
    let end = store
        .replay()
        .unwrap()
        .after(Position::START, 0)
        .unwrap()
        .end;
    let long_ago = Timestamp::from_unix(1_000_000_000);
    store.forget_before(long_ago, 100).await.unwrap();
    assert_eq!(corrections(), 3);
    store
        .forget_before(Timestamp::from_unix(9_000_000_000), 100)
        .await
        .unwrap();
    assert_eq!(corrections(), 0);
    let replayed = store.replay().unwrap().after(Position::START, 10).unwrap();
    assert_eq!(
        (replayed.end.row, replayed.end.correction),
        (end.row, end.correction)
    );
    assert_eq!(replayed.up_to.correction, end.correction);
}

#[tokio::test]
async fn the_states_of_stages_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    for epoch in 1..=6 {
        let store = open(&folder);
        assert_eq!(store.begin_epoch().unwrap(), epoch);
        let pipeline = Pipeline::start(store.judge(epoch).unwrap(), &with_stops()).unwrap();
        let mut envelope = located(&key(1), 1, i64::try_from(epoch).unwrap());
        envelope.origin.epoch = epoch;
        pipeline.handle().submit(envelope).await;
        assert!(pipeline.drain(LONG).await.clean);
    }
    let store = open(&folder);
    let history = stored(&store);
    let derived = history.iter().filter_map(|r| r.sequence);
    assert!(derived.eq([2, 5]), "{history:?}");
}

#[tokio::test]
async fn a_correction_of_an_older_revision_changes_nothing() {
    struct Corrects(Mutex<Vec<(ReportId, u32, bool)>>);
    impl Stage for Corrects {
        type State = ();
        const NAME: &'static str = "corrects";
        const VERSION: u32 = 1;
        fn apply(
            &self,
            _: &mut CopyOnWrite<()>,
            _: &mut Report,
            cx: &mut StageContext<'_>,
        ) -> Flow {
            for (id, revision, late) in self.0.lock().unwrap().iter() {
                let mut fields = CorrectedFields::default();
                fields.late = Some(*late);
                cx.correct(*id, *revision, fields);
            }
            Flow::Pass
        }
        fn snapshot((): &(), _: &mut Vec<u8>) {}
        fn restore(_: u32, _: &[u8]) -> Option<()> {
            None
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.begin_epoch().unwrap();
    let first = position(&key(1), 0, 0).id;
    let unknown = ReportId::from_bytes([9; 16]);
    let corrections = vec![
        (first, 2, true),
        (first, 1, false),
        (first, 2, false),
        (unknown, 9, true),
    ];
    let mut options = options();
    options.stages = Stages::none().then(Corrects(Mutex::new(corrections)));
    let pipeline = Pipeline::start(store.judge(1).unwrap(), &options).unwrap();
    let seen = Seen::default();
    pipeline
        .handle()
        .follow("seen", seen.clone(), store.replay().unwrap())
        .unwrap();
    store_located(&pipeline, 0, 1).await;
    seen.until(|state| state.corrected.len() == 1).await;
    assert!(pipeline.drain(LONG).await.clean);
    assert_eq!(stored(&store)[0].late, Some(true));
    assert_eq!(seen.0.lock().unwrap().corrected, [first]);
}

#[tokio::test]
async fn a_follower_gets_at_its_start_and_after_errors_what_it_has_missed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(1).unwrap(), &options()).unwrap();
    store_located(&pipeline, 0, 20).await;
    let seen = Seen::default();
    seen.0.lock().unwrap().fail = 2;
    let handle = pipeline.handle();
    handle
        .follow("seen", seen.clone(), store.replay().unwrap())
        .unwrap();
    seen.until(|state| state.at.row == 20).await;
    seen.0.lock().unwrap().fail = 3;
    store_located(&pipeline, 20, 40).await;
    // A repeat of what is stored is not new.
    store_located(&pipeline, 30, 40).await;
    seen.until(|state| state.at.row == 40).await;
    assert!(pipeline.drain(LONG).await.clean);

    let expected: Vec<ReportId> = stored(&store).iter().map(|report| report.id).collect();
    let state = seen.0.lock().unwrap();
    // At least once, and the first time in order.
    let mut first: Vec<ReportId> = Vec::new();
    for id in &state.reports {
        if !first.contains(id) {
            first.push(*id);
        }
    }
    assert_eq!(first, expected);
}

#[tokio::test]
async fn a_follower_that_hangs_delays_nobody() {
    struct Hangs(std::sync::mpsc::Receiver<()>);
    impl Follower for Hangs {
        fn begin(&mut self) -> Result<FollowFrom, SinkError> {
            Ok(FollowFrom::Now)
        }
        fn write(&mut self, _: &News<'_>, _: Position) -> Result<(), SinkError> {
            // Until the test ends.
            let _ended = self.0.recv();
            Ok(())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(1).unwrap(), &options()).unwrap();
    let (end, ended) = std::sync::mpsc::channel();
    let handle = pipeline.handle();
    handle
        .follow("hangs", Hangs(ended), store.replay().unwrap())
        .unwrap();
    tokio::time::timeout(LONG, store_located(&pipeline, 0, 50))
        .await
        .unwrap();
    drop(end);
    assert!(pipeline.drain(LONG).await.clean);
}

#[tokio::test]
async fn shards_come_and_go_with_their_lanes_and_a_log_keeps_its_order() {
    let topic = Name::new("reports");
    let pipeline = Pipeline::new(&with_stops());
    let control = Control::default();
    let source = |generation| Source::Partition {
        topic,
        partition: 3,
        generation,
    };
    control.set(|state| state.source = Some(source(1)));
    let shard = ShardId(3);
    let attached = pipeline
        .attach(shard, control.judge(), Snapshot::default())
        .unwrap();
    assert!(
        pipeline
            .attach(shard, control.judge(), Snapshot::default())
            .is_err()
    );
    // Two devices on many connections: the log's order counts, and no frame passes another.
    let mut verdicts = Vec::new();
    for n in 0..100 {
        let device = key(u64::try_from(n % 2).unwrap());
        let mut envelope = located(&device, u64::try_from(n).unwrap(), n);
        envelope.origin.connection = u64::try_from(n % 7).unwrap();
        envelope.urgent = n % 5 == 0;
        verdicts.push(Box::pin(attached.submit_at(envelope, 1_000 + n)));
    }
    for verdict in verdicts {
        assert_eq!(verdict.await, Outcome::Delivered);
    }
    let durable = control.set(|state| state.durable.clone());
    assert!(durable.iter().map(|(n, _)| *n).eq(0..100), "{durable:?}");
    let (drained, lanes) = pipeline.detach(shard, LONG).await.unwrap();
    assert!(drained.clean && drained.settled == 100, "{drained:?}");
    assert_eq!(lanes.lanes.len(), 2);
    let expected = Mark::Offset {
        topic,
        partition: 3,
        offset: Some(1_100),
        generation: 1,
    };
    assert_eq!(control.set(|state| state.mark), Some(expected));
    assert!(pipeline.detach(shard, LONG).await.is_none());
    assert_eq!(
        attached.submit_at(located(&key(1), 1, 1), 1_100).await,
        Outcome::Failed
    );

    // Elsewhere, with the lanes that it had: nothing is loaded, and the states go on.
    let next = Control::default();
    next.set(|state| state.source = Some(source(2)));
    let attached = pipeline.attach(shard, next.judge(), lanes).unwrap();
    for n in 100..102 {
        let device = key(u64::try_from(n % 2).unwrap());
        let envelope = located(&device, u64::try_from(n).unwrap(), n);
        attached.submit_at(envelope, 1_000 + n).await;
    }
    assert_eq!(next.set(|state| state.loads), 0);
    assert!(pipeline.drain(LONG).await.clean);
}

#[tokio::test]
async fn the_states_of_a_batch_are_loaded_at_once_and_written_only_when_they_change() {
    let control = Control::default();
    control.set(|state| state.closed = true);
    let pipeline = Pipeline::start(control.judge(), &options()).unwrap();
    let handle = pipeline.handle();
    let verdicts: Vec<_> = (1..=500)
        .map(|n| {
            let mut envelope = located(&key(n), n, 10);
            envelope.origin.connection = n;
            Box::pin(handle.submit(envelope))
        })
        .collect();
    control.set(|state| state.closed = false);
    for verdict in verdicts {
        assert_eq!(verdict.await, Outcome::Delivered);
    }
    let (loads, snapshots, batches) =
        control.set(|state| (state.loads, state.snapshots, state.batches.len()));
    assert!(loads <= u32::try_from(batches).unwrap(), "{loads} loads");
    assert_eq!(snapshots, 500);
    // A frame without a report: nothing is kept anew. A late report: its id is.
    let echo = Content::Filtered(Name::new("echo"));
    handle.submit(frame(Some(&key(2)), 900, echo)).await;
    assert_eq!(control.set(|state| state.snapshots), 500);
    handle.submit(located(&key(1), 901, 5)).await;
    assert_eq!(control.set(|state| state.snapshots), 501);
    handle.submit(located(&key(1), 902, 20)).await;
    assert_eq!(control.set(|state| state.snapshots), 502);
}
