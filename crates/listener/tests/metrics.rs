//! What is counted, under the names that the documentation gives.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::Rig;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use milepost_listener::NotDelivered;

/// Everything that is not zero: `name{label,…}` without the prefix and the protocol.
fn counted(snapshotter: &Snapshotter) -> Counts {
    snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .filter_map(|(key, _, _, value)| {
            let (_, key) = key.into_parts();
            let name = key.name().strip_prefix("milepost_listener_").unwrap();
            let labels: Vec<_> = key
                .labels()
                .filter(|label| label.key() != "protocol")
                .map(|label| label.value().to_owned())
                .collect();
            let value = match value {
                DebugValue::Counter(n) => n as f64,
                DebugValue::Gauge(n) => n.into_inner(),
                DebugValue::Histogram(_) => f64::NAN,
            };
            (value != 0.0).then(|| (format!("{name}{{{}}}", labels.join(",")), value))
        })
        .collect()
}

#[test]
fn a_conversation_is_counted_by_outcome_class_and_reason() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let (mut total, rest) = metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(conversation(&snapshotter))
    });
    assert_eq!(total["in_flight{}"], 1.0);
    assert_eq!(total["connections_open{}"], 1.0);
    // A snapshot starts the counting anew.
    for (name, n) in rest {
        *total.entry(name).or_default() += n;
    }
    total.retain(|_, n| *n != 0.0);
    let expected = [
        ("abandoned_total{}", 1.0),
        ("accepted_total{}", 2.0),
        ("closed_total{drain_timeout}", 1.0),
        ("closed_total{peer}", 1.0),
        ("decode_errors_total{none}", 1.0),
        ("frames_total{filtered}", 1.0),
        ("frames_total{lost}", 1.0),
        ("frames_total{quarantined}", 1.0),
        ("frames_total{reports}", 5.0),
        ("not_delivered_total{failed}", 1.0),
        ("received_bytes_total{}", 46.0),
        ("replies_total{delivered}", 3.0),
        ("replies_total{immediate}", 3.0),
        ("replies_total{withheld}", 2.0),
        ("skipped_bytes_total{http}", 6.0),
        ("skipped_bytes_total{truncated}", 4.0),
        ("parallel_logins_total{same}", 1.0),
    ];
    assert_eq!(total, expected.map(|(name, n)| (name.to_owned(), n)).into());
}

type Counts = BTreeMap<String, f64>;

/// The counts before the drain, and what it added.
async fn conversation(snapshotter: &Snapshotter) -> (Counts, Counts) {
    let rig = Rig::new(|_| {});
    let mut first = rig.dial.connect();
    first.send("I 42\n!GET \nD one\nB\nN\nH\n").await;
    first
        .expect("welcome\nstored one\nkept\nnever\nalive\n")
        .await;

    let mut second = rig.dial.connect();
    second.send("I 42\n").await;
    second.expect("welcome\n").await;
    first.send("left").await;
    first.finish().await;
    first.expect_end().await;

    rig.shelf.hold();
    second.send("D two\n").await;
    second.expect_silence(Duration::from_secs(1)).await;
    rig.shelf.settle(6, Err(NotDelivered::Failed));
    second.send("D three\n").await;
    second.expect_silence(Duration::from_secs(1)).await;
    let now = counted(snapshotter);
    assert_eq!(rig.drain().await.abandoned, 1);
    (now, counted(snapshotter))
}
