//! Followers over gaps: without a mark, at the end, and of a store that was restored.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![cfg(feature = "sqlite")]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use milepost_pipeline::sink::sqlite::{Page, Span, Store, StoreError, StoreOptions};
use milepost_pipeline::sink::{FollowFrom, Follower, News, Position, Replay, Replayed};
use milepost_pipeline::{Outcome, Pipeline, ShardId, SinkError, Snapshot};
use milepost_telemetry::{DeviceKey, ReportId, Timestamp};
use support::judge::{Control, LONG, options};
use support::{filtered, key, located, open};

/// Last known states, without a mark; and whatever else a test wants to see.
#[derive(Clone, Default)]
struct States(Arc<Mutex<StatesState>>);

#[derive(Default)]
struct StatesState {
    seen: BTreeMap<DeviceKey, Option<Timestamp>>,
    reports: Vec<ReportId>,
    /// Writes that fail.
    fail: u32,
    /// A write waits while this is set.
    blocked: bool,
    blocking: bool,
}

impl States {
    async fn until(&self, wanted: impl Fn(&StatesState) -> bool) {
        let reached = async {
            while !wanted(&self.0.lock().unwrap()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(LONG, reached).await.unwrap();
    }
}

impl Follower for States {
    fn begin(&mut self) -> Result<FollowFrom, SinkError> {
        Ok(FollowFrom::Now)
    }

    fn write(&mut self, new: &News<'_>, _: Position) -> Result<(), SinkError> {
        loop {
            let mut state = self.0.lock().unwrap();
            state.blocking = state.blocked;
            if !state.blocked {
                break;
            }
            drop(state);
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut state = self.0.lock().unwrap();
        if state.fail > 0 {
            state.fail -= 1;
            return Err(SinkError::transient("says the test"));
        }
        state
            .reports
            .extend(new.reports.iter().map(|report| report.id));
        for (key, latest) in &new.devices {
            state.seen.insert(**key, latest.last_seen);
        }
        Ok(())
    }
}

fn begin(store: &Store) -> (u64, Pipeline) {
    let epoch = store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(epoch).unwrap(), &options()).unwrap();
    (epoch, pipeline)
}

async fn store_one(pipeline: &Pipeline, epoch: u64, device: u64, time: u32) {
    let mut envelope = located(&key(device), time.into(), time.into());
    envelope.origin.epoch = epoch;
    envelope.received_at = support::at(time.into());
    let outcome = pipeline.handle().submit(envelope).await;
    assert_eq!(outcome, Outcome::Delivered);
}

#[tokio::test]
async fn a_follower_without_a_mark_is_given_all_states_at_its_start_and_after_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let (epoch, pipeline) = begin(&store);
    for device in 0..5 {
        store_one(&pipeline, epoch, device, 1).await;
    }
    let states = States::default();
    let handle = pipeline.handle();
    handle
        .follow("states", states.clone(), store.replay().unwrap())
        .unwrap();
    states.until(|state| state.seen.len() == 5).await;
    // Reports of before are none of its.
    assert!(states.0.lock().unwrap().reports.is_empty());

    // What it had is lost with the error: a server that begins anew, for example.
    {
        let mut state = states.0.lock().unwrap();
        state.seen.clear();
        state.fail = 1;
    }
    store_one(&pipeline, epoch, 7, 2).await;
    states.until(|state| state.seen.len() == 6).await;
    states.until(|state| state.reports.len() == 1).await;
    assert!(pipeline.drain(LONG).await.clean);
}

#[tokio::test]
async fn states_that_changed_without_a_report_reach_a_follower_after_a_gap_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let (epoch, pipeline) = begin(&store);
    store_one(&pipeline, epoch, 1, 1).await;
    let states = States::default();
    let handle = pipeline.handle();
    handle
        .follow("states", states.clone(), store.replay().unwrap())
        .unwrap();
    states.until(|state| state.seen.len() == 1).await;

    let heard = async |number: u64, at: i64| {
        let mut envelope = filtered(&key(1), number);
        envelope.origin.epoch = epoch;
        envelope.received_at = support::at(at);
        assert_eq!(handle.submit(envelope).await, Outcome::Filtered);
    };
    // Without a gap.
    heard(2, 50).await;
    let seen_at = |state: &StatesState, at| state.seen.get(&key(1)) == Some(&Some(support::at(at)));
    states.until(|state| seen_at(state, 50)).await;
    // With one: more batches than wait for a follower.
    states.0.lock().unwrap().blocked = true;
    for n in 0..20 {
        heard(100 + n, 100 + i64::try_from(n).unwrap()).await;
        states.until(|state| state.blocking).await;
    }
    states.0.lock().unwrap().blocked = false;
    states.until(|state| seen_at(state, 119)).await;
    assert!(pipeline.drain(LONG).await.clean);
}

#[tokio::test]
async fn the_end_is_noted_before_followers_have_caught_up_and_their_time_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let epoch = store.begin_epoch().unwrap();
    let mut options = options();
    options.followers_drain = Duration::from_millis(50);
    let pipeline = Pipeline::start(store.judge(epoch).unwrap(), &options).unwrap();
    let states = States::default();
    states.0.lock().unwrap().blocked = true;
    let handle = pipeline.handle();
    handle
        .follow("hangs", states.clone(), store.replay().unwrap())
        .unwrap();
    store_one(&pipeline, epoch, 1, 1).await;
    states.until(|state| state.blocking).await;
    // It hangs until the test lets it go, which it does only after the drain.
    let drained = tokio::time::timeout(LONG, pipeline.drain(LONG))
        .await
        .unwrap();
    assert!(drained.clean, "{drained:?}");
    assert_eq!(drained.followers_behind, 1);
    assert!(store.reader().unwrap().audit().unwrap().ok);
    states.0.lock().unwrap().blocked = false;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_does_not_keep_a_drain_for_ever() {
    let control = Control::default();
    control.set(|state| state.closed = true);
    let pipeline = Pipeline::start(control.judge(), &options()).unwrap();
    let _verdict = pipeline.handle().submit(located(&key(1), 1, 1));
    let drained = pipeline.drain(Duration::from_secs(1)).await;
    assert!(!drained.clean);
    // So that its thread ends.
    control.set(|state| state.closed = false);
}

/// Gives row after row, each after a moment, without end.
struct Endless;

impl Replay for Endless {
    fn after(&mut self, position: Position, most: usize) -> Result<Replayed, SinkError> {
        let mut replayed = Replayed::default();
        replayed.up_to = position;
        replayed.up_to.row += u64::from(most > 0);
        replayed.end.row = u64::MAX;
        std::thread::sleep(Duration::from_millis(1));
        Ok(replayed)
    }
}

#[tokio::test]
async fn a_follower_that_is_far_behind_stops_between_two_parts_at_the_end() {
    struct Counts(Arc<Mutex<u64>>);
    impl Follower for Counts {
        fn begin(&mut self) -> Result<FollowFrom, SinkError> {
            Ok(FollowFrom::Position(Position::START))
        }
        fn write(&mut self, _: &News<'_>, up_to: Position) -> Result<(), SinkError> {
            *self.0.lock().unwrap() = up_to.row;
            Ok(())
        }
    }
    let control = Control::default();
    let mut options = options();
    options.followers_drain = Duration::from_millis(20);
    let pipeline = Pipeline::start(control.judge(), &options).unwrap();
    let count = Arc::new(Mutex::new(0));
    let follower = Counts(Arc::clone(&count));
    pipeline.handle().follow("far", follower, Endless).unwrap();
    let drained = pipeline.drain(LONG).await;
    assert_eq!((drained.clean, drained.followers_behind), (true, 1));
    // Its thread has ended: the count's other owner is gone.
    let deadline = Instant::now() + LONG;
    while Arc::strong_count(&count) > 1 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A follower whose mark and ids are the test's.
#[derive(Clone, Default)]
struct Marked(Arc<Mutex<(Position, Vec<ReportId>)>>);

impl Follower for Marked {
    fn begin(&mut self) -> Result<FollowFrom, SinkError> {
        Ok(FollowFrom::Position(self.0.lock().unwrap().0))
    }

    fn write(&mut self, new: &News<'_>, up_to: Position) -> Result<(), SinkError> {
        let mut state = self.0.lock().unwrap();
        state.1.extend(new.reports.iter().map(|report| report.id));
        state.0 = up_to;
        Ok(())
    }
}

/// Stores positions in a run of its own, followed from where the follower is; which ids it was
/// given.
async fn run(store: &Store, marked: &Marked, times: std::ops::Range<u32>) -> Vec<ReportId> {
    marked.0.lock().unwrap().1.clear();
    let (epoch, pipeline) = begin(store);
    let handle = pipeline.handle();
    handle
        .follow("marked", marked.clone(), store.replay().unwrap())
        .unwrap();
    for time in times {
        store_one(&pipeline, epoch, 1, time).await;
    }
    let drained = pipeline.drain(LONG).await;
    assert_eq!((drained.clean, drained.followers_behind), (true, 0));
    marked.0.lock().unwrap().1.clone()
}

#[tokio::test]
async fn a_follower_of_a_store_that_was_restored_goes_on_where_both_were_the_same() {
    let (folder, saved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let marked = Marked::default();
    let store = open(&folder);
    assert_eq!(run(&store, &marked, 0..3).await.len(), 3);
    // Nothing is repeated in a run after it.
    assert_eq!(run(&store, &marked, 3..5).await.len(), 2);
    let copy = saved.path().join("milepost.sqlite");
    store.backup(&copy).unwrap();
    assert_eq!(marked.0.lock().unwrap().0.row, 5);
    assert_eq!(run(&store, &marked, 5..9).await.len(), 4);
    drop(store);

    let restored = Store::open(saved.path(), StoreOptions::default());
    let restored = restored.unwrap();
    // Its rows 6 to 10 are others than those that the follower has had, up to row 9.
    let given = run(&restored, &marked, 20..25).await;
    let history = given.len();
    assert!(history >= 5, "{history} of 5 new ones");
    let expected = restored.reader().unwrap();
    let page = Page::first(100);
    let all = expected
        .history(&key(1), &Span::default(), &page)
        .unwrap()
        .items;
    assert_eq!(all.len(), 10);
    for report in all.iter().filter(|report| report.time >= support::at(20)) {
        assert!(given.contains(&report.id));
    }
}

#[tokio::test]
async fn a_mark_of_the_middle_of_a_run_goes_on_where_the_copy_of_that_run_ends() {
    let (folder, saved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let marked = Marked::default();
    let store = open(&folder);
    let (epoch, pipeline) = begin(&store);
    let handle = pipeline.handle();
    handle
        .follow("marked", marked.clone(), store.replay().unwrap())
        .unwrap();
    for time in 0..4 {
        store_one(&pipeline, epoch, 1, time).await;
    }
    let copy = saved.path().join("milepost.sqlite");
    store.backup(&copy).unwrap();
    for time in 4..8 {
        store_one(&pipeline, epoch, 1, time).await;
    }
    assert!(pipeline.drain(LONG).await.clean);
    drop(store);
    assert_eq!(marked.0.lock().unwrap().0.row, 8);

    let options = StoreOptions::default();
    let restored = Store::open(saved.path(), options).unwrap();
    // Exactly the new ones: the first four are common to both.
    assert_eq!(run(&restored, &marked, 20..30).await.len(), 10);
}

#[tokio::test]
async fn an_epoch_has_one_judge_and_another_shard_another_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let pipeline = Pipeline::new(&options());
    for number in 0..3_u32 {
        let epoch = store.begin_epoch().unwrap();
        let judge = store.judge(epoch).unwrap();
        let again = store.judge(epoch).unwrap_err();
        assert!(
            matches!(again, StoreError::EpochTaken(taken) if taken == epoch),
            "{again}"
        );
        let shard = ShardId(0);
        let handle = pipeline.attach(shard, judge, Snapshot::default()).unwrap();
        for n in 0..10 {
            let mut envelope = located(&key(1), n, (number * 10).into());
            envelope.origin.epoch = epoch;
            assert_eq!(handle.submit(envelope).await, Outcome::Delivered);
        }
        let (drained, _) = pipeline.detach(shard, LONG).await.unwrap();
        assert!(drained.clean);
        assert!(matches!(store.judge(epoch), Err(StoreError::EpochTaken(_))));
    }
    let audit = store.reader().unwrap().audit().unwrap();
    assert!(audit.ok && audit.epochs.len() == 3, "{audit:?}");
}
