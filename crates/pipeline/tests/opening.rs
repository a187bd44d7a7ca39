//! A store that cannot be used is refused with a clear error, and is left as it was.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![cfg(feature = "sqlite")]

mod support;

use std::io::{Seek, SeekFrom, Write};
use std::time::Duration;

use milepost_pipeline::sink::sqlite::{KeptProfile, Page, Span, Store, StoreError, StoreOptions};
use milepost_pipeline::{Options, Pipeline};
use milepost_telemetry::Profile;
use support::{at, gt06, key, located, open, position};

fn refusal(folder: &tempfile::TempDir) -> StoreError {
    Store::open(folder, StoreOptions::default()).unwrap_err()
}

#[test]
fn a_second_writer_is_kept_out_until_the_first_has_closed() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(&folder);
    let error = refusal(&folder);
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
    assert!(error.to_string().contains("in use by another process"));
    // Reading is no harm.
    let reading = Store::open_read_only(&folder).unwrap();
    assert!(matches!(reading.begin_epoch(), Err(StoreError::ReadOnly)));
    drop((first, reading));
    drop(open(&folder));
}

#[test]
fn a_store_that_was_closed_is_one_file_whoever_has_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.begin_epoch().unwrap();
    // Its connection is kept for the next read.
    assert_eq!(store.reader().unwrap().count().unwrap(), 0);
    drop(store);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    files.sort();
    assert_eq!(files, ["milepost.lock", "milepost.sqlite"]);
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = open(&folder).path().to_owned();
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let before = std::fs::read(&path).unwrap();
    let error = refusal(&folder);
    assert!(
        matches!(error, StoreError::Newer { found: 99, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("newer version"));
    assert!(Store::open_read_only(&folder).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// A store as version 0.1 left it in format 3, with a report, an echo, a frame in quarantine, a
/// profile and commands.
fn older_store() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let db = rusqlite::Connection::open(folder.path().join("milepost.sqlite")).unwrap();
    db.execute_batch(include_str!("formats/3.sql")).unwrap();
    folder
}

#[tokio::test]
async fn an_older_store_is_read_as_it_is_and_its_sums_stay_true() {
    let folder = older_store();
    let error = Store::open_read_only(&folder).unwrap_err();
    assert!(error.to_string().contains("older format"), "{error}");
    let store = open(&folder);
    let reader = store.reader().unwrap();
    let audit = reader.audit().unwrap();
    assert!(audit.ok, "{audit:?}");
    let sums = &audit.epochs[0];
    let of_the_run = [sums.received, sums.stored, sums.duplicate, sums.quarantined];
    assert_eq!(of_the_run, [4, 1, 1, 1]);
    assert_eq!(sums.filtered.get("echo"), Some(&1));

    let device = key(1);
    let page = Page::first(10);
    let history = reader.history(&device, &Span::default(), &page).unwrap();
    let mut expected = position(&device, 0, 0);
    expected.late = Some(false);
    assert_eq!(history.items, [expected.clone()]);
    let frame = reader.kept_frame(&expected.id).unwrap().unwrap();
    assert_eq!(frame.profile, KeptProfile::Unknown);
    assert_eq!(
        (frame.ids.as_slice(), frame.received_at),
        (&[(0, expected.id)][..], at(0))
    );
    let profile = reader.profile(&device, gt06()).unwrap();
    assert_eq!(profile, Some(Profile::new("learned long ago")));
    let command = reader.command(1_700_000_001).unwrap().unwrap();
    assert_eq!(command.flag, command.id);

    // What comes now is beside it, and is one history with it.
    let epoch = store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(epoch).unwrap(), &Options::default()).unwrap();
    for (n, time) in [(1, 0), (2, 10)] {
        let mut envelope = located(&device, n, time);
        envelope.origin.epoch = epoch;
        pipeline.handle().submit(envelope).await;
    }
    assert!(pipeline.drain(Duration::from_secs(20)).await.clean);
    let history = reader.history(&device, &Span::default(), &page).unwrap();
    assert_eq!(history.items.len(), 2);
    let audit = reader.audit().unwrap();
    assert!(audit.ok && audit.epochs[1].duplicate == 1, "{audit:?}");

    // Plain SQL sees both alike.
    let db = rusqlite::Connection::open(store.path()).unwrap();
    let seen: Vec<(String, i64, i64, i64, f64, f64, String)> = db
        .prepare(
            "SELECT kind, time, received_at, fix_time, latitude, speed_kmh, device
             FROM history ORDER BY time",
        )
        .unwrap()
        .query_map([], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
                row.get(6)?,
            ))
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let expected = |time: i64| {
        let millis = at(time).as_millis();
        let id = device.device.to_string();
        (
            "location".to_owned(),
            millis,
            millis,
            millis,
            23.0,
            54.0,
            id,
        )
    };
    assert_eq!(seen, [expected(0), expected(10)]);

    // It can be forgotten like what is new.
    assert_eq!(reader.arrivals().unwrap(), Some((at(0), at(10))));
    let forgotten = store.forget_before(at(5), 10).await.unwrap();
    assert_eq!((forgotten.reports, forgotten.quarantined), (1, 1));
    assert!(reader.audit().unwrap().ok);
}

#[test]
fn somebody_elses_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("milepost.sqlite");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("CREATE TABLE theirs (a)").unwrap();
    drop(db);
    let error = refusal(&folder);
    assert!(matches!(error, StoreError::Foreign(_)), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_named_damaged() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("milepost.sqlite"), [b'x'; 5_000]).unwrap();
    let error = refusal(&folder);
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("restore it from a copy"));
}

#[tokio::test]
async fn a_damaged_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(1).unwrap(), &Options::default()).unwrap();
    let handle = pipeline.handle();
    let mut verdicts = Vec::new();
    for n in 1..500 {
        let time = i64::try_from(n).unwrap();
        verdicts.push(Box::pin(handle.submit(located(&key(1), n, time))));
    }
    for verdict in verdicts {
        verdict.await;
    }
    pipeline.drain(Duration::from_secs(20)).await;
    let path = store.path().to_owned();
    drop((store, handle));
    let mut file = std::fs::File::options().write(true).open(&path).unwrap();
    let len = file.metadata().unwrap().len();
    assert!(len > 100_000, "{len}");
    for page in (20..len / 4_096).step_by(3) {
        file.seek(SeekFrom::Start(page * 4_096)).unwrap();
        file.write_all(&[0xa5; 4_096]).unwrap();
    }
    drop(file);
    let error = refusal(&folder);
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("file");
    std::fs::write(&in_the_way, "").unwrap();
    let error = Store::open(in_the_way.join("data"), StoreOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    assert!(error.to_string().contains("file/data"), "{error}");
}

#[test]
fn there_is_nothing_to_read_where_no_store_is() {
    let folder = tempfile::tempdir().unwrap();
    let error = Store::open_read_only(&folder).unwrap_err();
    assert!(matches!(error, StoreError::Missing(_)), "{error}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}
