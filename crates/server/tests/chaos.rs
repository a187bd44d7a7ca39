//! Acknowledged means stored, whatever happens to the server: killed under load, or asked to end.
//!
//! Half of the simulated trackers keep each location until it is acknowledged, all of them each
//! alarm; what they were told is compared with what the store holds. The long form of the test:
//! `MILEPOST_CHAOS_TRACKERS=1000 MILEPOST_CHAOS_SECONDS=60 cargo test --release --test chaos`.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use support::{Server, Start, milepost};

/// What a kill may cost a connection: the frames that the server holds in memory without a verdict
/// (64 by default, limits.max_in_flight), and those that are between the two.
const HELD_PER_CONNECTION: u64 = 64 + 4;

/// For how long the store takes nothing: less than it takes to fill the server's memory, and more
/// than a few reports of each tracker.
const STALL: Duration = Duration::from_secs(1);

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => default,
    }
}

fn trackers() -> u64 {
    setting("MILEPOST_CHAOS_TRACKERS", 100)
}

fn duration() -> Duration {
    Duration::from_secs(setting("MILEPOST_CHAOS_SECONDS", 8))
}

/// A server that acknowledges locations.
fn serve(folder: &Path) -> Start {
    Start::default()
        .data_dir(&folder.join("data"))
        .env("MILEPOST_GT06_ACKNOWLEDGE_LOCATIONS", "always")
}

fn restart(folder: &Path, before: &Server) -> Server {
    serve(folder).at(before.http, before.gt06).start()
}

/// Trackers under way in a process of their own; ended when dropped.
struct Trackers {
    child: Child,
    ledger: PathBuf,
}

impl Trackers {
    fn start(folder: &Path, server: &Server) -> Self {
        let ledger = folder.join("ledger.jsonl");
        let child = milepost()
            .args(["simulate", "--json", "--quiet"])
            .args(["--server", &server.gt06.to_string()])
            .args(["--devices", &trackers().to_string()])
            .args(["--duration", &format!("{}s", duration().as_secs())])
            .args(["--interval", "250ms", "--heartbeat", "2s"])
            .args(["--alarm-every", "4s", "--ack-locations", "0.5"])
            .args(["--outage-every", "20s", "--outage-for", "2s"])
            .args(["--bad", "0.02", "--ramp", "1s", "--grace", "90s"])
            .arg("--ledger")
            .arg(&ledger)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, ledger }
    }

    /// What they say at the end.
    fn summary(mut self) -> Value {
        let mut out = String::new();
        let pipe = self.child.stdout.as_mut().unwrap();
        std::io::Read::read_to_string(pipe, &mut out).unwrap();
        let status = self.child.wait().unwrap();
        let summary: Value = serde_json::from_str(&out).unwrap();
        assert!(status.success(), "{summary:#}");
        summary
    }
}

impl Drop for Trackers {
    fn drop(&mut self) {
        // They may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn audit(folder: &Path, ledger: &Path) -> Value {
    let output = milepost()
        .args(["audit", "--json", "--data-dir"])
        .arg(folder.join("data"))
        .arg("--ledger")
        .arg(ledger)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.stderr.is_empty(), "{error}");
    let audit: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{audit:#}");
    audit
}

/// Another program that has locked the store.
fn stall(server: &Server) -> rusqlite::Connection {
    let db = rusqlite::Connection::open(server.data_dir.join("milepost.sqlite")).unwrap();
    db.busy_timeout(support::PATIENCE).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    db
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

#[test]
fn a_killed_server_has_lost_nothing_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = serve(folder.path()).start();
    let trackers_under_way = Trackers::start(folder.path(), &server);
    let ledger = trackers_under_way.ledger.clone();

    // In the middle of its work.
    std::thread::sleep(duration() / 3);
    server.signal("KILL");
    server.wait();
    let mut server = restart(folder.path(), &server);

    // Again, after a moment in which its store takes nothing: whoever acknowledges what is not
    // stored yet is caught here, since otherwise that is a matter of a millisecond.
    std::thread::sleep(duration() / 3);
    let store = stall(&server);
    std::thread::sleep(STALL);
    server.signal("KILL");
    server.wait();
    drop(store);
    let mut server = restart(folder.path(), &server);

    let summary = trackers_under_way.summary();
    assert!(server.terminate().success(), "{}", server.log());
    let audit = audit(folder.path(), &ledger);
    println!("{summary:#}\n{audit:#}");

    // The test has tested something.
    let found = &audit["ledger"];
    assert!(number(&found["acknowledged"]) > trackers() * duration().as_secs() / 2);
    let kinds = summary["kinds"].as_array().unwrap();
    let again: u64 = kinds.iter().map(|kind| number(&kind["again"])).sum();
    assert!(again > 0, "{summary:#}");

    assert_eq!(found["acknowledged_missing"], 0);
    assert_eq!(found["stored_twice"], 0);
    // Trackers that wait have been told of everything, or their summary would not be ok; only
    // the others can lose something, and only what was under way.
    let bound = 2 * trackers() / 2 * HELD_PER_CONNECTION;
    assert!(number(&found["unacknowledged_missing"]) <= bound);

    let epochs = audit["store"]["epochs"].as_array().unwrap();
    let clean: Vec<_> = epochs.iter().map(|epoch| &epoch["clean"]).collect();
    assert_eq!(clean, [false, false, true]);
    assert_eq!(epochs[2]["abandoned"], 0);
}

#[test]
fn a_server_that_is_asked_to_end_under_load_settles_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = serve(folder.path()).start();
    let trackers_under_way = Trackers::start(folder.path(), &server);
    let ledger = trackers_under_way.ledger.clone();

    std::thread::sleep(duration() / 2);
    assert!(server.terminate().success(), "{}", server.log());
    // The sums are exact, and all that was acknowledged so far is there.
    let found = audit(folder.path(), &ledger);
    assert_eq!(found["store"]["epochs"][0]["clean"], true);
    assert_eq!(found["store"]["epochs"][0]["abandoned"], 0);
    assert!(number(&found["ledger"]["acknowledged"]) > 0);

    let mut server = restart(folder.path(), &server);
    trackers_under_way.summary();
    assert!(server.terminate().success(), "{}", server.log());
    let found = audit(folder.path(), &ledger);
    let clean = found["store"]["epochs"].as_array().unwrap().iter();
    assert!(
        clean
            .map(|epoch| &epoch["clean"])
            .all(|clean| clean == true)
    );
}
