//! A store that does not take data: who is answered all the same, who is not, and that nothing is
//! lost when it comes back.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::time::Duration;

use support::tracker::{Tracker, alarm, frame, heartbeat, location};
use support::{Server, Start};

const ID: &str = "752533678900242";
const OTHER: &str = "752533678900259";

/// Holds the store's only write lock, as a program that copies it or a stuck disk would.
fn stall(server: &Server) -> rusqlite::Connection {
    let db = rusqlite::Connection::open(server.data_dir.join("milepost.sqlite")).unwrap();
    db.busy_timeout(Duration::from_secs(10)).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    db
}

#[test]
fn while_the_store_is_stalled_logins_and_heartbeats_are_answered_and_data_is_not() {
    let mut server = Start::default()
        .env("MILEPOST_GT06_ACKNOWLEDGE_LOCATIONS", "always")
        .start();
    let mut before = Tracker::login(server.gt06, ID);
    let lock = stall(&server);

    before.send(&alarm(10, 2));
    before.send(&location(11, 3));
    before.send(&heartbeat(4));
    assert_eq!(
        before.receive(),
        frame(0x13, &[], 4),
        "a heartbeat does not wait"
    );
    // A device that the server has never seen, and one that comes again.
    let mut unknown = Tracker::login(server.gt06, OTHER);
    unknown.send(&alarm(12, 2));
    let mut again = Tracker::login(server.gt06, ID);
    again.send(&heartbeat(2));
    assert_eq!(again.receive(), frame(0x13, &[], 2));

    let not_ready = server.until("/readyz", |answer| answer.status == 503);
    assert_eq!(not_ready.json()["parts"][0]["part"], "store");
    assert_eq!(server.get("/healthz").status, 200);
    // Reading works.
    assert_eq!(server.get("/v1/devices").status, 200);
    // By now the store has refused a batch, and still nobody was told.
    assert!(!before.hears_within(Duration::from_millis(300)));
    assert!(!unknown.hears_within(Duration::from_millis(1)));

    drop(lock);
    assert_eq!(before.receive(), frame(0x16, &[], 2));
    assert_eq!(before.receive(), frame(0x22, &[], 3));
    assert_eq!(unknown.receive(), frame(0x16, &[], 2));
    server.until("/readyz", |answer| answer.status == 200);
    let history = server.json(&format!(
        "/v1/devices/{ID}/history?from=2026-11-20T00:00:00Z&to=2026-11-20T01:00:00Z"
    ));
    assert_eq!(history["reports"].as_array().unwrap().len(), 2);
    assert!(server.terminate().success());
}

#[test]
fn what_waits_on_all_connections_is_bounded_and_newcomers_are_answered_all_the_same() {
    const TRACKERS: u32 = 30;
    const EACH: u16 = 60;
    let mut server = Start::default()
        .env("MILEPOST_LIMITS_CONNECTION_MEMORY_MIB", "1")
        .start();
    let lock = stall(&server);
    let mut trackers: Vec<_> = (0..TRACKERS)
        .map(|n| {
            let mut tracker = Tracker::login(server.gt06, &format!("{:015}", 7_000_000 + n));
            for serial in 0..EACH {
                tracker.send(&alarm(u32::from(serial), 100 + serial));
            }
            tracker
        })
        .collect();
    // Each connection alone might have all of its frames under way.
    let waiting = |server: &Server| -> f64 {
        let metrics = server.get("/metrics").body;
        let name = "milepost_listener_in_flight{protocol=\"gt06\"} ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0.0, |value| value.parse().unwrap())
    };
    let mut before = -1.0;
    while waiting(&server) > before {
        before = waiting(&server);
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!((200.0..1_000.0).contains(&before), "{before} frames wait");
    // Whoever comes now is answered, and so is his heartbeat.
    let mut newcomer = Tracker::login(server.gt06, ID);
    newcomer.send(&heartbeat(2));
    assert_eq!(newcomer.receive(), frame(0x13, &[], 2));

    drop(lock);
    for tracker in &mut trackers {
        for serial in 0..EACH {
            assert_eq!(tracker.receive(), frame(0x16, &[], 100 + serial));
        }
    }
    assert!(server.terminate().success());
}

#[test]
fn a_locked_store_is_not_ready_though_no_device_says_anything() {
    let server = Server::start();
    let lock = stall(&server);
    let not_ready = server.until("/readyz", |answer| answer.status == 503);
    assert_eq!(not_ready.json()["parts"][0]["part"], "store");
    drop(lock);
    server.until("/readyz", |answer| answer.status == 200);
}

#[test]
fn an_end_while_the_store_is_stalled_acknowledges_nothing_and_says_so() {
    let mut server = Start::default()
        .env("MILEPOST_LIMITS_DRAIN_TIMEOUT_S", "1")
        .start();
    let mut tracker = Tracker::login(server.gt06, ID);
    let lock = stall(&server);
    tracker.send(&alarm(10, 2));
    server.until("/readyz", |answer| answer.status == 503);
    let status = server.terminate();
    assert_eq!(status.code(), Some(1), "{}", server.log());
    assert!(server.log().contains("not told"), "{}", server.log());
    assert_eq!(tracker.until_closed(), b"");
    drop(lock);

    // The next run takes it.
    let server = Start::default().data_dir(&server.data_dir).start();
    let mut tracker = Tracker::login(server.gt06, ID);
    tracker.send(&alarm(10, 3));
    assert_eq!(tracker.receive(), frame(0x16, &[], 3));
}
