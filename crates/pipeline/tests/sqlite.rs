//! The pipeline with the embedded store under it.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![cfg(feature = "sqlite")]

mod support;

use std::time::Duration;

use pipeline::sink::sqlite::{Page, Span};
use pipeline::{Options, Outcome, Pipeline};
use support::{at, filtered, frame, key, located, open, position, unreadable};
use telemetry::{Content, IgnitionSource, Io};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn every_frame_ends_in_one_bucket_and_a_clean_epoch_adds_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    assert_eq!(store.begin_epoch().unwrap(), 1);
    let pipeline = Pipeline::start(store.sink(1).unwrap(), &Options::default()).unwrap();
    let handle = pipeline.handle();
    let device = key(1);

    assert_eq!(
        handle.submit(located(&device, 1, 0)).await,
        Outcome::Delivered
    );
    assert_eq!(
        handle.submit(located(&device, 2, 0)).await,
        Outcome::Delivered
    );
    assert_eq!(handle.submit(unreadable(3)).await, Outcome::Delivered);
    assert_eq!(handle.submit(filtered(&device, 4)).await, Outcome::Filtered);
    let batch = vec![position(&device, 10, 10), position(&device, 0, 0)];
    let several = frame(Some(&device), 5, Content::Reports(batch));
    assert_eq!(handle.submit(several).await, Outcome::Delivered);
    let drained = pipeline.drain(SOON).await;
    assert!(drained.clean && drained.settled == 5 && drained.failed == 0);
    assert_eq!(
        handle.submit(located(&device, 6, 99)).await,
        Outcome::Failed
    );

    let audit = store.read(|reader| reader.audit()).await.unwrap();
    assert!(audit.ok, "{audit:?}");
    let epoch = audit.epochs.first().unwrap();
    assert!(epoch.clean);
    let sums = [
        epoch.received,
        epoch.stored,
        epoch.duplicate,
        epoch.quarantined,
    ];
    assert_eq!(sums, [5, 2, 1, 1]);
    assert_eq!(epoch.filtered.get("echo"), Some(&1));
    assert_eq!(epoch.abandoned, 0);

    let reader = store.reader().unwrap();
    let quarantined = reader.quarantine(&Page::first(10)).unwrap().items;
    assert_eq!(quarantined.len(), 1);
    let only = quarantined.first().unwrap();
    assert_eq!(
        (only.raw.as_str(), only.offset),
        ("0000000000000003", Some(11))
    );
}

#[tokio::test]
async fn what_comes_back_is_what_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.sink(1).unwrap(), &Options::default()).unwrap();
    let device = key(1);
    let mut sent = position(&device, 5, 6);
    sent.io.note_ignition(true, IgnitionSource::Field);
    let envelope = frame(Some(&device), 1, Content::Reports(vec![sent.clone()]));
    pipeline.handle().submit(envelope).await;

    let reader = store.reader().unwrap();
    let back = reader.report(&sent.id).unwrap().unwrap();
    sent.late = Some(false);
    sent.raw = Some(1_u64.to_be_bytes().into());
    assert_eq!(back, sent);
    let found = reader.device(&device).unwrap().unwrap();
    assert_eq!(found.latest.fix, sent.fix);
    assert_eq!(found.latest.fix_time, Some(at(5)));
    assert_ne!(found.latest.io, Io::default());
    assert_eq!(found.latest.last_seen, Some(at(0)));
    assert!(reader.device(&key(2)).unwrap().is_none());
    let listed = reader.devices(&device.tenant, &Page::first(10)).unwrap();
    assert_eq!(listed.items, [found]);
    assert_eq!(listed.next, None);
    let history = reader
        .history(&device, &Span::default(), &Page::first(10))
        .unwrap();
    sent.raw = None;
    assert_eq!(history.items, [sent]);
}
