//! What an operator does to a store: copy it while it is written, look for damage, forget.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::tracker::{Tracker, alarm, frame};
use support::{PATIENCE, Start, milepost};

const ID: &str = "752533678900242";

fn tool(arguments: &[&str], data_dir: &Path) -> Output {
    let mut command = milepost();
    command.args(arguments).arg("--data-dir").arg(data_dir);
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}\n{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// Sends alarms as fast as they are acknowledged.
fn fill(address: std::net::SocketAddr, alarms: u32) {
    let mut tracker = Tracker::login(address, ID);
    for n in 0..alarms {
        tracker.send(&alarm(n, 2));
        assert_eq!(tracker.receive(), frame(0x16, &[], 2));
    }
}

#[test]
fn a_backup_ends_under_load_and_holds_what_was_acknowledged_before_it() {
    let mut server = Start::default().start();
    let acknowledged = Arc::new(AtomicU32::new(0));
    let on = Arc::new(AtomicBool::new(true));
    let load = {
        let (address, acknowledged, on) = (server.gt06, acknowledged.clone(), on.clone());
        std::thread::spawn(move || {
            let mut tracker = Tracker::login(address, ID);
            // Many in flight at once, so that there is hardly a moment without a commit.
            for first in (0..80_000).step_by(20) {
                if !on.load(Ordering::Relaxed) {
                    break;
                }
                for n in first..first + 20 {
                    tracker.send(&alarm(n, 2));
                }
                for _ in 0..20 {
                    assert_eq!(tracker.receive(), frame(0x16, &[], 2));
                }
                acknowledged.store(first + 20, Ordering::SeqCst);
            }
        })
    };
    let begun = Instant::now();
    while acknowledged.load(Ordering::SeqCst) < 200 {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("milepost.sqlite");
    let before = acknowledged.load(Ordering::SeqCst);
    let mut command = milepost();
    command.arg("backup").arg(&copy);
    let done = command
        .arg("--data-dir")
        .arg(&server.data_dir)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", said(&done));
    // It was under load until its end.
    let after = acknowledged.load(Ordering::SeqCst);
    assert!(after > before, "{before} before, {after} after");

    // It overwrites nothing.
    let mut command = milepost();
    command.arg("backup").arg(&copy);
    let again = command.arg("--data-dir").arg(&server.data_dir);
    let again = again.output().unwrap();
    assert!(!again.status.success());
    assert!(
        said(&again).contains("does not exist yet"),
        "{}",
        said(&again)
    );
    on.store(false, Ordering::Relaxed);
    load.join().unwrap();
    assert!(server.terminate().success(), "{}", server.log());

    // As the instructions say: the copy as milepost.sqlite of a new folder.
    let restored = Start::default().data_dir(folder.path()).start();
    let mut stored = 0;
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/devices/{ID}/history?limit=1000{cursor}");
        let page = restored.json(&path);
        let reports = page["reports"].as_array().unwrap();
        stored += reports.iter().filter(|one| one["kind"] == "alarm").count();
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert!(stored >= usize::try_from(before).unwrap(), "{stored}");
    let audit = tool(&["audit", "--deep"], folder.path());
    assert!(audit.status.success(), "{}", said(&audit));
}

#[test]
fn a_deep_audit_names_a_damaged_page_that_the_sums_do_not_see() {
    let mut server = Start::default().start();
    fill(server.gt06, 500);
    assert!(server.terminate().success(), "{}", server.log());
    let whole = tool(&["audit", "--deep", "--json"], &server.data_dir);
    assert!(whole.status.success(), "{}", said(&whole));
    let found: Value = serde_json::from_slice(&whole.stdout).unwrap();
    assert_eq!(found["deep"]["ok"], true);
    assert!(found["deep"]["rows"].as_u64().unwrap() > 500);

    // Nonsense in the middle of the pages of the table of reports.
    let path = server.data_dir.join("milepost.sqlite");
    let db = rusqlite::Connection::open(&path).unwrap();
    let (page, size): (u64, u64) = db
        .query_row(
            "SELECT pageno, pgsize FROM dbstat WHERE name = 'report' AND pagetype = 'leaf'
             ORDER BY pageno LIMIT 1 OFFSET 3",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
        )
        .map(|(page, size)| (page.try_into().unwrap(), size.try_into().unwrap()))
        .unwrap();
    drop(db);
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start((page - 1) * size)).unwrap();
    file.write_all(&[0xa5; 64]).unwrap();
    drop(file);
    let damaged = tool(&["audit", "--deep"], &server.data_dir);
    assert!(!damaged.status.success());
    assert!(said(&damaged).contains("DAMAGED"), "{}", said(&damaged));
}

#[test]
fn forget_removes_at_once_what_arrived_before_a_time_and_only_without_a_server() {
    let mut server = Start::default().start();
    fill(server.gt06, 5);
    let forget = ["forget", "--before", "2999-01-01T00:00:00Z"];
    let refused = tool(&forget, &server.data_dir);
    assert!(!refused.status.success());
    assert!(said(&refused).contains("in use"), "{}", said(&refused));
    assert!(server.terminate().success(), "{}", server.log());

    let nothing = tool(
        &["forget", "--before", "2001-01-01T00:00:00Z"],
        &server.data_dir,
    );
    assert!(
        said(&nothing).contains("forgotten: 0 reports"),
        "{}",
        said(&nothing)
    );
    let done = tool(&forget, &server.data_dir);
    assert!(done.status.success(), "{}", said(&done));
    assert!(
        !said(&done).contains("forgotten: 0 reports"),
        "{}",
        said(&done)
    );
    let audit = tool(&["audit"], &server.data_dir);
    assert!(audit.status.success(), "{}", said(&audit));
    let again = Start::default().data_dir(&server.data_dir).start();
    let history = again.json(&format!("/v1/devices/{ID}/history"));
    assert_eq!(history["reports"].as_array().unwrap().len(), 0);

    let wrong = tool(&["forget", "--before", "yesterday"], &server.data_dir);
    assert!(said(&wrong).contains("with its zone"), "{}", said(&wrong));
    let empty = tempfile::tempdir().unwrap();
    let missing = tool(&forget, empty.path());
    assert!(
        said(&missing).contains("does not exist"),
        "{}",
        said(&missing)
    );
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}
