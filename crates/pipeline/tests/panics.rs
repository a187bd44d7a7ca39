//! What panics in a stage or a follower costs: one frame, or a delay of that follower.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![cfg(feature = "sqlite")]

mod support;

use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use milepost_pipeline::sink::sqlite::{Page, Span};
use milepost_pipeline::sink::{FollowFrom, Follower, News, Position};
use milepost_pipeline::stage::{CopyOnWrite, Flow, Stage, StageContext, Stages};
use milepost_pipeline::{Options, Outcome, Pipeline, SinkError, catches};
use milepost_telemetry::{Kind, Report};
use support::judge::{Control, LONG, options};
use support::{at, key, located, open};

/// Panics in this process that a server's hook would end it for.
static FATAL: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// How many of them said this.
fn fatal(what: &str) -> usize {
    let fatal = FATAL.lock().unwrap();
    fatal.iter().filter(|said| said.contains(what)).count()
}

fn watch_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            if !catches(panic) {
                FATAL.lock().unwrap().push(panic.to_string());
            }
        }));
    });
}

/// Counts a device's reports, and derives one from each; panics at certain times, after it has
/// changed its state.
#[derive(Default)]
struct Counting;

const POISON: i64 = 13;

impl Stage for Counting {
    type State = u32;
    const NAME: &'static str = "counting";
    const VERSION: u32 = 1;

    fn apply(
        &self,
        state: &mut CopyOnWrite<u32>,
        report: &mut Report,
        cx: &mut StageContext<'_>,
    ) -> Flow {
        **state += 1;
        cx.derive(Kind::Status, report).sequence = Some(**state);
        assert_ne!(
            report.time.as_unix() % 100,
            at(POISON).as_unix() % 100,
            "poison"
        );
        report.sequence = Some(**state);
        Flow::Pass
    }

    fn snapshot(state: &u32, out: &mut Vec<u8>) {
        assert_ne!(*state, 1_000, "no snapshot of this");
        out.extend_from_slice(&state.to_be_bytes());
    }

    fn restore(_: u32, bytes: &[u8]) -> Option<u32> {
        Some(u32::from_be_bytes(bytes.try_into().unwrap()))
    }
}

fn counting() -> Options {
    let mut options = options();
    options.stages = Stages::standard().then(Counting);
    options
}

#[tokio::test]
async fn a_stage_s_panic_sets_one_frame_aside_and_leaves_no_trace_in_its_lane() {
    watch_panics();
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let epoch = store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(epoch).unwrap(), &counting()).unwrap();
    let handle = pipeline.handle();
    // Alone, and among many.
    let verdicts: Vec<_> = (0..40)
        .map(|n| {
            let number = u64::try_from(n).unwrap();
            Box::pin(handle.submit(located(&key(number % 3), number, n)))
        })
        .collect();
    for verdict in verdicts {
        assert_eq!(verdict.await, Outcome::Delivered);
    }
    let again = located(&key(1), 500, POISON + 100);
    assert_eq!(handle.submit(again).await, Outcome::Delivered);
    assert_eq!(
        handle.submit(located(&key(1), 501, 200)).await,
        Outcome::Delivered
    );
    assert!(pipeline.drain(LONG).await.clean);
    assert_eq!(fatal("poison"), 0);

    let reader = store.reader().unwrap();
    let frames = reader.kept_quarantine(0, 10).unwrap();
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[0].1.raw.as_ref(), 13_u64.to_be_bytes());
    let page = Page::first(100);
    let shown = reader.quarantine(&page).unwrap().items;
    let reason = &shown[0].error;
    assert!(
        reason.contains("poison") && reason.contains("panics.rs"),
        "{reason}"
    );
    // 13 of key 1 is left out, and the count goes on as if it had not come.
    let history = reader
        .history(&key(1), &Span::default(), &page)
        .unwrap()
        .items;
    let counted: Vec<_> = history
        .iter()
        .filter(|report| report.kind == Kind::Location)
        .filter_map(|report| report.sequence)
        .collect();
    assert!(counted.iter().copied().eq(1..=13), "{counted:?}");
    assert_eq!(history.len(), 26);
    let audit = reader.audit().unwrap();
    let sums = &audit.epochs[0];
    assert!(audit.ok, "{audit:?}");
    assert_eq!((sums.received, sums.stored, sums.quarantined), (42, 40, 2));
}

#[tokio::test]
async fn many_frames_that_panic_cost_no_commit_each() {
    watch_panics();
    let control = Control::default();
    control.set(|state| state.begin_closed = true);
    let pipeline = Pipeline::start(control.judge(), &counting()).unwrap();
    let handle = pipeline.handle();
    let verdicts: Vec<_> = (0..500)
        .map(|n| {
            let mut envelope = located(&key(n), n, POISON);
            envelope.origin.connection = n;
            Box::pin(handle.submit(envelope))
        })
        .collect();
    control.set(|state| state.begin_closed = false);
    for verdict in verdicts {
        assert_eq!(verdict.await, Outcome::Delivered);
    }
    let batches = control.set(|state| state.batches.clone());
    assert!(batches.len() <= 10, "{batches:?}");
    let kinds = control.set(|state| state.durable.clone());
    assert!(kinds.iter().all(|(_, kind)| *kind == "quarantined"));
    assert!(pipeline.drain(LONG).await.clean);
}

#[tokio::test]
async fn a_panic_elsewhere_in_the_data_path_is_fatal() {
    watch_panics();
    let control = Control::default();
    let pipeline = Pipeline::start(control.judge(), &options()).unwrap();
    let condition = pipeline.handle().condition().clone();
    control.set(|state| state.panics = true);
    let outcome = pipeline.handle().submit(located(&key(1), 1, 1)).await;
    assert!(!outcome.is_durable(), "{outcome:?}");
    let reason = tokio::time::timeout(LONG, condition.failed())
        .await
        .unwrap();
    assert!(reason.contains("panicked"), "{reason}");
    assert_eq!(fatal("the judge panics"), 1);
}

/// Panics in some of its calls.
#[derive(Clone, Default)]
struct Shaky(Arc<Mutex<(u32, u64, Vec<Report>)>>);

impl Follower for Shaky {
    fn begin(&mut self) -> Result<FollowFrom, SinkError> {
        let state = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(FollowFrom::Position(Position {
            row: state.1,
            ..Position::START
        }))
    }

    fn write(&mut self, new: &News<'_>, up_to: Position) -> Result<(), SinkError> {
        let mut state = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        state.0 += 1;
        assert!(state.0 % 3 != 2, "the follower panics");
        state
            .2
            .extend(new.reports.iter().map(|report| (*report).clone()));
        state.1 = up_to.row;
        Ok(())
    }
}

#[tokio::test]
async fn a_follower_that_panics_goes_on_from_its_mark_and_shows_it() {
    watch_panics();
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let epoch = store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(epoch).unwrap(), &options()).unwrap();
    let handle = pipeline.handle();
    let shaky = Shaky::default();
    handle
        .follow("shaky", shaky.clone(), store.replay().unwrap())
        .unwrap();
    for n in 0..30_u32 {
        let envelope = located(&key(1), n.into(), n.into());
        assert_eq!(handle.submit(envelope).await, Outcome::Delivered);
    }
    let caught_up = async {
        while handle.followers()[0].problem.is_some() || {
            let state = shaky.0.lock();
            state.unwrap_or_else(std::sync::PoisonError::into_inner).1 < 30
        } {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LONG, caught_up).await.unwrap();
    let health = handle.followers();
    assert_eq!(health.len(), 1);
    assert!(
        health[0].panics > 0 && health[0].errors >= health[0].panics,
        "{health:?}"
    );
    assert!(pipeline.drain(LONG).await.clean);
    let state = shaky
        .0
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    assert_eq!(state.2.len(), 30);
}

#[tokio::test]
async fn a_state_that_panics_when_it_is_restored_is_begun_anew() {
    watch_panics();
    struct Restoring;
    impl Stage for Restoring {
        type State = u32;
        const NAME: &'static str = "counting";
        const VERSION: u32 = 2;
        fn apply(
            &self,
            state: &mut CopyOnWrite<u32>,
            report: &mut Report,
            _: &mut StageContext<'_>,
        ) -> Flow {
            **state += 1;
            report.sequence = Some(**state);
            Flow::Pass
        }
        fn snapshot(state: &u32, out: &mut Vec<u8>) {
            out.push(u8::try_from(*state).unwrap());
        }
        fn restore(_: u32, bytes: &[u8]) -> Option<u32> {
            assert_eq!(bytes.len(), 1, "of version 1");
            Some(u32::from(bytes[0]))
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let mut again = options();
    again.stages = Stages::standard().then(Restoring);
    for (options, time) in [(counting(), 1), (again, 2)] {
        let epoch = store.begin_epoch().unwrap();
        let pipeline = Pipeline::start(store.judge(epoch).unwrap(), &options).unwrap();
        let mut envelope = located(&key(1), 1, time);
        envelope.origin.epoch = epoch;
        assert_eq!(pipeline.handle().submit(envelope).await, Outcome::Delivered);
        assert!(pipeline.drain(LONG).await.clean);
    }
    let reader = store.reader().unwrap();
    assert!(reader.kept_quarantine(0, 10).unwrap().is_empty());
    let page = Page::first(10);
    let history = reader
        .history(&key(1), &Span::default(), &page)
        .unwrap()
        .items;
    let last = history.iter().find(|report| report.time == at(2)).unwrap();
    assert_eq!(last.sequence, Some(1));
}
