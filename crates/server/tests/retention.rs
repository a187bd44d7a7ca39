//! What is kept, and for how long.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use serde_json::Value;
use support::tracker::{Tracker, alarm, frame};
use support::{Start, milepost};

const ID: &str = "752533678900242";

fn reports(history: &Value) -> usize {
    history["reports"].as_array().unwrap().len()
}

#[test]
fn what_is_older_than_it_is_to_be_kept_is_forgotten_and_stays_counted() {
    let folder = tempfile::tempdir().unwrap();
    let history = format!("/v1/devices/{ID}/history");
    let start = || Start::default().data_dir(folder.path());
    let mut server = start().start();
    let mut tracker = Tracker::login(server.gt06, ID);
    for n in 0..5 {
        tracker.send(&alarm(n, 2));
        assert_eq!(tracker.receive(), frame(0x16, &[], 2));
    }
    let stored = reports(&server.json(&history));
    assert!(stored >= 5);
    drop(tracker);
    assert!(server.terminate().success(), "{}", server.log());

    // All but the two newest had arrived a little more than 30 days ago, whatever the device said about the time.
    let db = rusqlite::Connection::open(folder.path().join("milepost.sqlite")).unwrap();
    let aged = db
        .execute(
            "UPDATE report SET received_at = received_at - (30 * 24 + 2) * 3600000
             WHERE seq <= (SELECT max(seq) FROM report) - 2",
            [],
        )
        .unwrap();
    drop(db);
    assert_eq!(aged, stored - 2);

    // By default all is kept.
    let mut server = start().start();
    assert_eq!(reports(&server.json(&history)), stored);
    assert!(server.terminate().success());

    let mut server = start().env("MILEPOST_STORE_KEEP_DAYS", "30").start();
    server.until(&history, |answer| reports(&answer.json()) == 2);
    server.until("/metrics", |answer| {
        let line = format!("milepost_store_forgotten_total{{what=\"reports\"}} {aged}");
        answer.body.contains(&line)
    });
    let device = server.json(&format!("/v1/devices/{ID}"));
    assert!(device["fix"].is_object(), "{device}");
    assert!(server.terminate().success(), "{}", server.log());

    let audit = milepost()
        .args(["audit", "--json", "--data-dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&audit.stdout);
    assert!(audit.status.success(), "{said}");
    let sums: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(sums["store"]["epochs"][0]["stored"], stored);
}
