//! The pipeline over a judge that does as it is told.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![cfg(feature = "sqlite")]

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use milepost_pipeline::sink::{Batch, Judge, LaneStore, Loaded, Mark, Source, Written};
use milepost_pipeline::{Health, Outcome, Pipeline, SinkError};
use milepost_telemetry::{Content, DeviceKey};
use support::judge::{Control, LONG, options};
use support::{frame, key, located, position};

#[tokio::test]
async fn nobody_is_told_before_the_batch_is_durable() {
    let control = Control::default();
    control.set(|state| state.closed = true);
    let pipeline = Pipeline::start(control.judge(), &options()).unwrap();
    let mut verdict = pin!(pipeline.handle().submit(located(&key(1), 1, 0)));
    let early = tokio::time::timeout(Duration::from_millis(50), &mut verdict).await;
    assert!(early.is_err());
    control.set(|state| {
        assert!(state.durable.is_empty());
        state.closed = false;
    });
    assert_eq!(verdict.await, Outcome::Delivered);
    assert_eq!(control.set(|state| state.durable.clone()), [(1, "reports")]);
}

#[tokio::test]
async fn frames_are_stored_in_the_order_of_the_calls_even_through_a_full_queue() {
    let control = Control::default();
    let mut options = options();
    options.queue_frames = 3;
    options.batch.frames = 2;
    let pipeline = Pipeline::start(control.judge(), &options).unwrap();
    let handle = pipeline.handle();
    let device = key(1);
    let verdicts: Vec<_> = (1..=50)
        .map(|n| Box::pin(handle.submit(located(&device, n, 0))))
        .collect();
    // They are waited for in the wrong order.
    let mut tasks: Vec<_> = verdicts.into_iter().rev().map(tokio::spawn).collect();
    while let Some(task) = tasks.pop() {
        assert_eq!(task.await.unwrap(), Outcome::Delivered);
    }
    let durable = control.set(|state| state.durable.clone());
    assert!(durable.iter().map(|(n, _)| *n).eq(1..=50), "{durable:?}");
}

#[tokio::test]
async fn frames_that_wait_enter_in_order_though_nobody_polls() {
    let control = Control::default();
    control.set(|state| state.closed = true);
    let mut options = options();
    options.queue_frames = 3;
    let pipeline = Pipeline::start(control.judge(), &options).unwrap();
    let handle = pipeline.handle();
    let verdicts: Vec<_> = (1..=9)
        .map(|n| handle.submit(located(&key(1), n, 0)))
        .collect();
    control.set(|state| state.closed = false);
    control.wait(|state| state.durable.len() == 9);
    let durable = control.set(|state| state.durable.clone());
    assert!(durable.iter().map(|(n, _)| *n).eq(1..=9), "{durable:?}");
    drop(verdicts);
}

#[tokio::test]
async fn a_full_queue_makes_callers_wait_and_their_frames_are_not_received_yet() {
    let control = Control::default();
    control.set(|state| state.closed = true);
    let mut options = options();
    options.queue_frames = 3;
    let pipeline = Pipeline::start(control.judge(), &options).unwrap();
    let handle = pipeline.handle();
    let mut verdicts: Vec<_> = (1..=5)
        .map(|n| Box::pin(handle.submit(located(&key(n), n, 0))))
        .collect();
    assert_eq!(handle.received(), 3);
    // A caller that gives up while it waits takes its frame back.
    drop(verdicts.pop());
    control.set(|state| state.closed = false);
    for verdict in verdicts {
        assert_eq!(verdict.await, Outcome::Delivered);
    }
    assert_eq!(handle.received(), 4);
    let drained = pipeline.drain(LONG).await;
    assert!(drained.clean && drained.settled == 4, "{drained:?}");
    assert_eq!(control.set(|state| state.finished), Some((4, true)));
}

#[tokio::test]
async fn a_failed_batch_leaves_no_trace_in_any_stage() {
    let control = Control::default();
    let pipeline = Pipeline::start(control.judge(), &options()).unwrap();
    let handle = pipeline.handle();
    let device = key(1);
    control.set(|state| state.transient = 3);
    // If the first attempt had left its id in the window, the next would call it a duplicate; if
    // it had moved the guard, both would be late.
    let reports = vec![position(&device, 10, 10), position(&device, 20, 20)];
    let both = frame(Some(&device), 1, Content::Reports(reports));
    assert_eq!(handle.submit(both).await, Outcome::Delivered);
    assert_eq!(
        handle.submit(located(&device, 2, 15)).await,
        Outcome::Delivered
    );
    control.set(|state| {
        assert_eq!(state.transient, 0);
        assert_eq!(state.durable, [(1, "reports"), (2, "reports")]);
        assert_eq!(state.late, [Some(false), Some(false), Some(true)]);
    });
    assert_eq!(handle.health(), Health::Ready);
}

#[tokio::test]
async fn a_repeat_of_a_frame_under_way_shares_its_fate() {
    let control = Control::default();
    control.set(|state| state.closed = true);
    let pipeline = Pipeline::start(control.judge(), &options()).unwrap();
    let handle = pipeline.handle();
    let device = key(1);
    let mut first = Box::pin(handle.submit(located(&device, 1, 0)));
    let mut again = Box::pin(handle.submit(located(&device, 2, 0)));
    let mut nobody = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut nobody).is_pending());
    assert!(again.as_mut().poll(&mut nobody).is_pending());
    control.set(|state| state.closed = false);
    assert_eq!(first.await, Outcome::Delivered);
    assert_eq!(again.await, Outcome::Delivered);
    let durable = control.set(|state| state.durable.clone());
    assert_eq!(durable, [(1, "reports"), (2, "duplicate")]);
}

#[tokio::test]
async fn a_batch_prepared_on_one_that_fails_is_prepared_again() {
    let control = Control::default();
    control.set(|state| {
        state.poison = vec![1];
        state.begin_closed = true;
    });
    let mut options = options();
    options.batch.frames = 100;
    let pipeline = Pipeline::start(control.judge(), &options).unwrap();
    let handle = pipeline.handle();
    let device = key(1);
    // The first batch is frame 1 alone. While it is about to be written the rest comes, enough to
    // be prepared meanwhile, with a repeat of frame 1 in its middle.
    let first = Box::pin(handle.submit(located(&device, 1, 1_000)));
    control.wait(|state| state.begun == 1);
    let rest: Vec<_> = (2..=100)
        .map(|n| {
            let time = if n == 50 {
                1_000
            } else {
                i64::try_from(n).unwrap()
            };
            Box::pin(handle.submit(located(&device, n, time)))
        })
        .collect();
    control.set(|state| state.begin_closed = false);
    assert_eq!(first.await, Outcome::Delivered);
    for verdict in rest {
        assert_eq!(verdict.await, Outcome::Delivered);
    }
    control.set(|state| {
        assert_eq!(state.durable.first(), Some(&(1, "quarantined")));
        // What frame 1 said was not stored with it, so its repeat is no duplicate, and what came
        // before the repeat is not late.
        let repeat = state.durable.iter().find(|(n, _)| *n == 50);
        assert_eq!(repeat, Some(&(50, "reports")));
        assert_eq!(
            state
                .late
                .iter()
                .filter(|late| **late == Some(true))
                .count(),
            50
        );
        assert_eq!(state.late.first(), Some(&Some(false)));
    });
}

#[tokio::test]
async fn poison_costs_one_frame_and_the_rest_goes_on_in_order() {
    let control = Control::default();
    control.set(|state| {
        state.closed = true;
        state.poison = vec![13];
    });
    let pipeline = Pipeline::start(control.judge(), &options()).unwrap();
    let handle = pipeline.handle();
    let device = key(1);
    let verdicts: Vec<_> = (1..=40)
        .map(|n| {
            let time = i64::try_from(n).unwrap();
            Box::pin(handle.submit(located(&device, n, time)))
        })
        .collect();
    control.set(|state| state.closed = false);
    for verdict in verdicts {
        assert_eq!(verdict.await, Outcome::Delivered);
    }
    control.set(|state| {
        assert!(state.durable.iter().map(|(n, _)| *n).eq(1..=40));
        let set_aside: Vec<_> = state
            .durable
            .iter()
            .filter(|(_, kind)| *kind != "reports")
            .collect();
        assert_eq!(set_aside, [&(13, "quarantined")]);
    });
}

#[tokio::test]
async fn a_drain_that_runs_out_of_time_says_failed_and_the_end_is_not_clean() {
    let control = Control::default();
    control.set(|state| state.transient = u32::MAX);
    let pipeline = Pipeline::start(control.judge(), &options()).unwrap();
    let handle = pipeline.handle();
    let verdict = Box::pin(handle.submit(located(&key(1), 1, 0)));
    while handle.health() == Health::Ready {
        tokio::task::yield_now().await;
    }
    let drained = pipeline.drain(Duration::ZERO).await;
    assert_eq!(verdict.await, Outcome::Failed);
    assert!(!drained.clean && drained.failed == 1, "{drained:?}");
    assert_eq!(control.set(|state| state.finished), Some((1, false)));
}

#[tokio::test]
async fn a_store_that_does_not_come_back_is_not_ready() {
    let control = Control::default();
    control.set(|state| state.closed = true);
    let mut options = options();
    options.stalled_after = Duration::from_millis(20);
    let pipeline = Pipeline::start(control.judge(), &options).unwrap();
    let handle = pipeline.handle();
    assert_eq!(handle.health(), Health::Ready);
    let verdict = Box::pin(handle.submit(located(&key(1), 1, 0)));
    let stalled = async {
        while handle.health() == Health::Ready {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, stalled).await.unwrap();
    control.set(|state| state.closed = false);
    assert_eq!(verdict.await, Outcome::Delivered);
    assert_eq!(handle.health(), Health::Ready);
}

#[tokio::test]
async fn a_drain_settles_what_was_queued() {
    let control = Control::default();
    control.set(|state| state.closed = true);
    let pipeline = Pipeline::start(control.judge(), &options()).unwrap();
    let handle = pipeline.handle();
    let verdicts: Vec<_> = (1..=200)
        .map(|n| Box::pin(handle.submit(located(&key(n), n, 0))))
        .collect();
    control.set(|state| state.closed = false);
    let drained = pipeline.drain(LONG).await;
    assert!(drained.clean && drained.settled == 200, "{drained:?}");
    for verdict in verdicts {
        assert_eq!(verdict.await, Outcome::Delivered);
    }
}

#[tokio::test]
async fn a_judge_that_panics_loses_its_frames_and_the_process_hears_that_it_must_end() {
    struct Panics;
    impl LaneStore for Panics {
        fn load(&mut self, _: &[DeviceKey]) -> Result<Vec<Loaded>, SinkError> {
            panic!("on purpose")
        }
    }
    impl Judge for Panics {
        type Prepared = ();
        fn source(&self) -> Source {
            Source::Epoch(1)
        }
        fn prepare(&mut self, _: &Arc<Batch>) -> Result<(), SinkError> {
            Ok(())
        }
        fn begin(&mut self, (): ()) -> Result<(), SinkError> {
            Ok(())
        }
        fn complete(&mut self) -> Result<Written, SinkError> {
            Ok(Written::default())
        }
        fn finish(&mut self, _: &Mark, _: bool) -> Result<(), SinkError> {
            Ok(())
        }
    }
    let mut options = options();
    options.queue_frames = 3;
    let pipeline = Pipeline::start(Panics, &options).unwrap();
    let handle = pipeline.handle();
    // Many wait in the line; each hears that its frame is not stored.
    let verdicts: Vec<_> = (1..=20_000)
        .map(|n| handle.submit(located(&key(1), n, 0)))
        .collect();
    let mut worst = Vec::new();
    for verdict in verdicts {
        worst.push(verdict.await);
    }
    assert!(worst.iter().all(|outcome| !outcome.is_durable()));
    assert_eq!(worst.first(), Some(&Outcome::Lost));
    assert_eq!(handle.submit(located(&key(1), 0, 0)).await, Outcome::Failed);
    // Whoever runs the process hears that it must end.
    let reason = handle.condition().failed().await;
    assert!(reason.contains("panicked"), "{reason}");
    assert!(matches!(handle.health(), Health::Stalled(why) if *why == *reason));
    assert!(!pipeline.drain(LONG).await.clean);
}
