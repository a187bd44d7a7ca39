//! Who waits for whom in front of the store.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![cfg(feature = "sqlite")]

mod support;

use std::pin::Pin;

use milepost_pipeline::{Handle, Options, Outcome, Pipeline};
use milepost_telemetry::{Content, Envelope, Name};
use support::judge::{Control, LONG, options};
use support::{frame, key, located};

/// A location of a connection of its own device. The frame's number is unique in the test.
fn of_connection(connection: u64, number: u64) -> Envelope {
    let time = i64::try_from(number).unwrap();
    let mut envelope = located(&key(connection), number, time);
    envelope.origin.connection = connection;
    envelope
}

fn urgent(mut envelope: Envelope) -> Envelope {
    envelope.urgent = true;
    envelope
}

type Verdict = Pin<Box<dyn Future<Output = Outcome> + Send>>;

fn submit(handle: &Handle, envelope: Envelope) -> Verdict {
    Box::pin(handle.submit(envelope))
}

/// In which batch a frame became durable, counted from 1.
fn batch_of(control: &Control, number: u64) -> Option<usize> {
    control.set(|state| {
        let place = state.durable.iter().position(|(n, _)| *n == number)?;
        let mut passed = 0;
        state.batches.iter().position(|frames| {
            passed += frames;
            place < passed
        })
    })
}

fn small() -> Options {
    let mut options = options();
    options.queue_frames = 400;
    options.batch.frames = 40;
    options
}

#[tokio::test]
async fn an_urgent_frame_is_durable_within_two_batches_though_the_queue_is_full_of_others() {
    let control = Control::default();
    control.set(|state| state.closed = true);
    let pipeline = Pipeline::start(control.judge(), &small()).unwrap();
    let handle = pipeline.handle();
    // Ten connections fill the queue, and as much again waits for it.
    let mut verdicts: Vec<Verdict> = Vec::new();
    for n in 0..800 {
        verdicts.push(submit(&handle, of_connection(1 + n % 10, n)));
    }
    assert!(handle.received() < 400, "nothing is kept in reserve");
    control.wait(|state| state.begun == 1);
    // A device that has three frames before its alarm, and one after it.
    for n in 1_000..1_003 {
        verdicts.push(submit(&handle, of_connection(99, n)));
    }
    verdicts.push(submit(&handle, urgent(of_connection(99, 1_003))));
    verdicts.push(submit(&handle, of_connection(99, 1_004)));
    control.set(|state| state.closed = false);
    for verdict in verdicts {
        assert_eq!(verdict.await, Outcome::Delivered);
    }
    // Before it come at most the two that were under way: one that was being written, and one that
    // was prepared meanwhile.
    let batch = batch_of(&control, 1_003).unwrap();
    assert!(batch <= 3, "in batch {batch}");
    let order: Vec<u64> = control.set(|state| {
        let all = state.durable.iter().map(|(n, _)| *n);
        all.filter(|n| *n >= 1_000).collect()
    });
    assert_eq!(order, [1_000, 1_001, 1_002, 1_003, 1_004]);
}

#[tokio::test]
async fn connections_that_send_only_alarms_do_not_stop_locations() {
    let control = Control::default();
    control.set(|state| state.closed = true);
    let mut options = options();
    options.queue_frames = 4_000;
    options.batch.frames = 200;
    let pipeline = Pipeline::start(control.judge(), &options).unwrap();
    let handle = pipeline.handle();
    let mut verdicts: Vec<Verdict> = Vec::new();
    for n in 0..10_000 {
        verdicts.push(submit(&handle, urgent(of_connection(1 + n % 1_000, n))));
    }
    for n in 0..100 {
        verdicts.push(submit(&handle, of_connection(2_000 + n, 20_000 + n)));
    }
    control.set(|state| state.closed = false);
    for verdict in verdicts {
        assert_eq!(verdict.await, Outcome::Delivered);
    }
    let last = (20_000..20_100).filter_map(|n| batch_of(&control, n)).max();
    let batches = control.set(|state| state.batches.len());
    // In order of arrival they would be the last of all; they have their turns.
    let last = last.unwrap();
    assert!(last * 2 <= batches, "{last} of {batches}");
}

#[tokio::test]
async fn a_heartbeat_does_not_wait_for_a_thousand_connections_with_data() {
    let control = Control::default();
    control.set(|state| state.closed = true);
    let mut options = options();
    options.queue_frames = 10_000;
    options.batch.frames = 1_000;
    let pipeline = Pipeline::start(control.judge(), &options).unwrap();
    let handle = pipeline.handle();
    let mut verdicts: Vec<Verdict> = Vec::new();
    for n in 0..9_000 {
        verdicts.push(submit(&handle, of_connection(1 + n % 1_000, n)));
    }
    control.wait(|state| state.begun == 1);
    let beat = frame(
        Some(&key(5_000)),
        50_000,
        Content::Filtered(Name::new("beat")),
    );
    let mut beat = beat;
    beat.origin.connection = 5_000;
    let beat = submit(&handle, beat);
    control.set(|state| state.closed = false);
    assert_eq!(beat.await, Outcome::Filtered);
    for verdict in verdicts {
        assert_eq!(verdict.await, Outcome::Delivered);
    }
    // After the two that were under way.
    let batch = batch_of(&control, 50_000).unwrap();
    assert!(batch <= 3, "in batch {batch}");
    assert!(pipeline.drain(LONG).await.clean);
}

#[tokio::test]
async fn those_who_wait_for_a_permit_get_them_in_turns() {
    let control = Control::default();
    control.set(|state| state.closed = true);
    let mut options = options();
    options.queue_frames = 10;
    options.batch.frames = 5;
    let pipeline = Pipeline::start(control.judge(), &options).unwrap();
    let handle = pipeline.handle();
    let mut verdicts: Vec<Verdict> = Vec::new();
    for n in 0..500 {
        verdicts.push(submit(&handle, of_connection(1, n)));
    }
    verdicts.push(submit(&handle, of_connection(2, 1_000)));
    control.set(|state| state.closed = false);
    for verdict in verdicts {
        assert_eq!(verdict.await, Outcome::Delivered);
    }
    let place = control.set(|state| state.durable.iter().position(|(n, _)| *n == 1_000));
    assert!(place.unwrap() < 40, "{place:?}");
}
