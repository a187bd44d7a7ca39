//! A disk without space: nothing is acknowledged that is not stored, and all goes on when there
//! is space again.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::process::Command;
use std::time::Duration;

use support::Start;
use support::tracker::{Tracker, alarm, frame, heartbeat, location};

const ID: &str = "752533678900242";

/// Sets how large the process's files may become, which is how a full disk looks from inside.
fn largest_file(pid: u32, bytes: &str) {
    let done = Command::new("prlimit")
        .args([
            "--pid",
            &pid.to_string(),
            &format!("--fsize={bytes}:unlimited"),
        ])
        .status()
        .unwrap();
    assert!(done.success());
}

#[test]
fn a_full_disk_stops_acknowledgements_and_space_brings_them_back() {
    let mut server = Start::default().ignoring_file_size_signal().start();
    let mut tracker = Tracker::login(server.gt06, ID);
    tracker.send(&alarm(1, 2));
    assert_eq!(tracker.receive(), frame(0x16, &[], 2));

    largest_file(server.pid(), "4096");
    // Fewer than may be in flight: at that bound the socket would not be read.
    for n in 0..40 {
        tracker.send(&location(n, 3));
    }
    tracker.send(&alarm(2, 4));
    tracker.send(&heartbeat(5));
    assert_eq!(tracker.receive(), frame(0x13, &[], 5));
    let answer = server.until("/readyz", |answer| answer.status == 503);
    assert_eq!(answer.json()["parts"][0]["part"], "store");
    assert!(!tracker.hears_within(Duration::from_millis(300)));

    largest_file(server.pid(), "unlimited");
    assert_eq!(tracker.receive(), frame(0x16, &[], 4));
    server.until("/readyz", |answer| answer.status == 200);
    let history = server.json(&format!("/v1/devices/{ID}/history?limit=1000"));
    let locations = history["reports"].as_array().unwrap();
    assert_eq!(
        locations.iter().filter(|r| r["kind"] == "location").count(),
        40
    );
    assert!(server.terminate().success(), "{}", server.log());
}
