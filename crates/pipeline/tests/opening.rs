//! A store that cannot be used is refused with a clear error, and is left as it was.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![cfg(feature = "sqlite")]

mod support;

use std::io::{Seek, SeekFrom, Write};
use std::time::Duration;

use milepost_pipeline::sink::sqlite::{Store, StoreError, StoreOptions};
use milepost_pipeline::{Options, Pipeline};
use support::{filtered, key, located, open, unreadable};

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

#[tokio::test]
async fn an_older_store_is_brought_up_to_date_and_its_sums_stay_true() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.sink(1).unwrap(), &Options::default()).unwrap();
    let handle = pipeline.handle();
    for n in 0..3 {
        handle.submit(located(&key(1), 3 * n, 0)).await;
        handle.submit(filtered(&key(1), 3 * n + 1)).await;
        handle.submit(unreadable(3 * n + 2)).await;
    }
    assert!(pipeline.drain(Duration::from_secs(20)).await.clean);
    let before = store.reader().unwrap().audit().unwrap();
    let path = store.path().to_owned();
    drop((store, handle));

    // As format 2 left it: every record single.
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("DROP TABLE folded; PRAGMA user_version = 2")
        .unwrap();
    drop(db);
    let error = Store::open_read_only(&folder).unwrap_err();
    assert!(error.to_string().contains("older format"), "{error}");
    let after = open(&folder).reader().unwrap().audit().unwrap();
    assert!(after.ok, "{after:?}");
    assert_eq!(after, before);
    let sums = &after.epochs[0];
    assert_eq!(
        (sums.stored, sums.duplicate, sums.quarantined),
        (1, 2, 3),
        "{after:?}"
    );
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
    let pipeline = Pipeline::start(store.sink(1).unwrap(), &Options::default()).unwrap();
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
