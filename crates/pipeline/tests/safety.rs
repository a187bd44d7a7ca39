//! What can happen to a store while it is in use: its files go, another process comes.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![cfg(all(feature = "sqlite", unix))]

mod support;

use std::path::Path;
use std::time::Duration;

use milepost_pipeline::sink::sqlite::{Store, StoreError, StoreOptions};
use milepost_pipeline::{Condition, Health, Outcome, Pipeline};
use support::judge::{LONG, options};
use support::{key, located, open};

/// Files may be missing for so long.
const GRACE: Duration = Duration::from_millis(1_500);

fn start(folder: &Path) -> (Store, Pipeline) {
    let mut options_of_store = StoreOptions::default();
    options_of_store.files_grace = GRACE;
    let store = Store::open(folder, options_of_store).unwrap();
    let epoch = store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(epoch).unwrap(), &options()).unwrap();
    (store, pipeline)
}

async fn failed(condition: &Condition) -> String {
    let reason = tokio::time::timeout(LONG, condition.failed()).await;
    reason.unwrap().to_string()
}

type Change = fn(&Path);

/// Each way to take the files away that a careless person or script has.
const CHANGES: [(&str, Change); 6] = [
    ("the folder is moved", |folder| {
        std::fs::rename(folder, folder.with_extension("away")).unwrap();
    }),
    ("the folder is removed", |folder| {
        std::fs::remove_dir_all(folder).unwrap();
    }),
    ("the database is removed", |folder| {
        std::fs::remove_file(folder.join("milepost.sqlite")).unwrap();
    }),
    ("the log is removed", |folder| {
        std::fs::remove_file(folder.join("milepost.sqlite-wal")).unwrap();
    }),
    ("the log is cut short", |folder| {
        let log = folder.join("milepost.sqlite-wal");
        std::fs::File::options()
            .write(true)
            .open(log)
            .unwrap()
            .set_len(0)
            .unwrap();
    }),
    ("the database is replaced", |folder| {
        let database = folder.join("milepost.sqlite");
        std::fs::copy(&database, folder.join("copy")).unwrap();
        std::fs::rename(folder.join("copy"), database).unwrap();
    }),
];

#[tokio::test]
async fn nothing_is_acknowledged_once_the_stores_files_are_gone() {
    for (what, change) in CHANGES {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        let (store, pipeline) = start(&folder);
        let handle = pipeline.handle();
        let first = handle.submit(located(&key(1), 1, 1)).await;
        assert_eq!(first, Outcome::Delivered, "{what}");
        change(&folder);
        let verdicts: Vec<_> = (2..20)
            .map(|n| Box::pin(handle.submit(located(&key(1), n, 2))))
            .collect();
        // Readiness is red before the store has given up.
        let stalled = async {
            while handle.health() == Health::Ready {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(LONG, stalled).await.unwrap();
        let Health::Stalled(why) = handle.health() else {
            panic!("stalled a moment ago");
        };
        assert!(why.contains("files have changed"), "{what}: {why}");
        let reason = failed(handle.condition()).await;
        assert!(reason.contains("milepost.sqlite"), "{what}: {reason}");
        for verdict in verdicts {
            assert_eq!(verdict.await, Outcome::Failed, "{what}");
        }
        assert!(!pipeline.drain(Duration::ZERO).await.clean);
        // A reader does not open, or make, another store.
        assert!(
            store.replay().is_err() || what.contains("cut short"),
            "{what}"
        );
        drop((store, handle));
        assert!(!folder.join("milepost.sqlite").exists() || !what.contains("folder"));
    }
}

#[tokio::test]
async fn an_idle_store_notices_too() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let (store, pipeline) = start(&folder);
    std::fs::rename(&folder, parent.path().join("away")).unwrap();
    let reason = failed(store.condition()).await;
    assert!(reason.contains("cannot be found"), "{reason}");
    assert_eq!(
        pipeline.handle().submit(located(&key(1), 1, 1)).await,
        Outcome::Failed
    );
}

#[tokio::test]
async fn files_that_come_back_in_time_are_the_store_again() {
    let parent = tempfile::tempdir().unwrap();
    let (folder, away) = (parent.path().join("data"), parent.path().join("away"));
    let (store, pipeline) = start(&folder);
    let handle = pipeline.handle();
    handle.submit(located(&key(1), 1, 1)).await;
    std::fs::rename(&folder, &away).unwrap();
    let mut waiting = Box::pin(handle.submit(located(&key(1), 2, 2)));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut waiting).await;
    assert!(early.is_err(), "acknowledged while the files were gone");
    std::fs::rename(&away, &folder).unwrap();
    assert_eq!(waiting.await, Outcome::Delivered);
    assert_eq!(handle.health(), Health::Ready);
    assert!(pipeline.drain(LONG).await.clean);
    let audit = store.reader().unwrap().audit().unwrap();
    assert!(audit.ok && audit.epochs[0].stored == 2, "{audit:?}");
}

#[test]
fn a_lock_file_that_is_deleted_lets_no_second_process_in() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(&folder);
    std::fs::remove_file(folder.path().join("milepost.lock")).unwrap();
    let error = Store::open(&folder, StoreOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
    drop(first);
    drop(open(&folder));
}

#[tokio::test]
async fn a_run_that_is_not_the_newest_stores_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let epoch = store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(epoch).unwrap(), &options()).unwrap();
    let handle = pipeline.handle();
    handle.submit(located(&key(1), 1, 1)).await;
    // As a process on another machine would, which shares the disk and not the locks.
    let db = rusqlite::Connection::open(store.path()).unwrap();
    db.execute("INSERT INTO epoch (started_at) VALUES (0)", [])
        .unwrap();
    let outcome = handle.submit(located(&key(1), 2, 2)).await;
    assert_eq!(outcome, Outcome::Failed);
    let reason = failed(handle.condition()).await;
    assert!(reason.contains("another process"), "{reason}");
    assert_eq!(store.reader().unwrap().count().unwrap(), 1);
}

#[tokio::test]
async fn a_backup_is_one_moment_of_the_store_and_ends_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(1).unwrap(), &options()).unwrap();
    let handle = pipeline.handle();
    for n in 0..500 {
        handle
            .submit(located(&key(n % 5), n, i64::try_from(n).unwrap()))
            .await;
    }
    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("milepost.sqlite");
    let (from, to) = (store.clone(), copy.clone());
    let backing_up = tokio::task::spawn_blocking(move || from.backup(to));
    let mut n = 500_u64;
    while !backing_up.is_finished() {
        handle
            .submit(located(&key(n % 5), n, i64::try_from(n).unwrap()))
            .await;
        n += 1;
    }
    backing_up.await.unwrap().unwrap();
    let copied = Store::open(copies.path(), StoreOptions::default()).unwrap();
    let reader = copied.reader().unwrap();
    let count = reader.count().unwrap();
    assert!((500..=n).contains(&count), "{count}");
    let audit = reader.audit().unwrap();
    assert!(audit.ok, "{audit:?}");
    assert!(reader.check_all(|_| ()).unwrap().ok);
    // It overwrites nothing.
    assert!(store.backup(&copy).is_err());
    assert!(pipeline.drain(LONG).await.clean);
}

#[tokio::test]
async fn a_deep_check_finds_damage_that_no_opening_finds() {
    let folder = tempfile::tempdir().unwrap();
    let mut options_of_store = StoreOptions::default();
    options_of_store.check_bytes = 0;
    let store = Store::open(&folder, options_of_store.clone()).unwrap();
    store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(1).unwrap(), &options()).unwrap();
    let handle = pipeline.handle();
    let verdicts: Vec<_> = (0..3_000)
        .map(|n| Box::pin(handle.submit(located(&key(1), n, i64::try_from(n).unwrap()))))
        .collect();
    for verdict in verdicts {
        verdict.await;
    }
    assert!(pipeline.drain(LONG).await.clean);
    let mut parts = Vec::new();
    let found = store
        .reader()
        .unwrap()
        .check_all(|progress| parts.push(progress.part));
    let found = found.unwrap();
    assert!(found.ok && found.rows >= 3_000, "{found:?}");
    assert!(parts.contains(&"structure") && parts.contains(&"quarantine"));
    let path = store.path().to_owned();
    drop((store, handle));

    // A row says what no report can say; and pages of the table are overwritten.
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute("UPDATE report SET latitude = 200 WHERE seq = 7", [])
        .unwrap();
    drop(db);
    let store = Store::open(&folder, options_of_store.clone()).unwrap();
    let found = store.reader().unwrap().check_all(|_| ()).unwrap();
    assert!(!found.ok && found.damage.len() == 1, "{found:?}");
    assert!(found.damage[0].what.contains("row 7"), "{found:?}");
    drop(store);
    let length = std::fs::metadata(&path).unwrap().len();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    for page in (60..length / 4_096).step_by(9) {
        std::os::unix::fs::FileExt::write_all_at(&file, &[0xa5; 4_096], page * 4_096).unwrap();
    }
    drop(file);
    let store = Store::open(&folder, options_of_store).unwrap();
    let found = store.reader().unwrap().check_all(|_| ()).unwrap();
    assert!(!found.ok && found.damage.len() > 1, "{found:?}");
}
