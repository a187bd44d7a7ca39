//! Deadlines, on a paused clock.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::time::Duration;

use common::{Picky, Rig, summaries};
use tokio::time::{Instant, sleep};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// How long it takes, to the second.
async fn takes(f: impl Future<Output = ()>) -> u64 {
    let start = Instant::now();
    f.await;
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn who_does_not_name_himself_is_closed() {
    let rig = Rig::new(|limits| limits.login = secs(20));
    let mut device = rig.dial.connect();
    // Talking is not naming oneself.
    device.send("H\n").await;
    device.expect("alive\n").await;
    assert_eq!(takes(device.expect_end()).await, 20);
}

#[tokio::test(start_paused = true)]
async fn who_has_named_himself_is_not_bound_by_the_login_deadline() {
    let rig = Rig::new(|limits| limits.login = secs(20));
    let mut device = rig.dial.connect();
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
    device.expect_silence(secs(60)).await;
    device.send("H\n").await;
    device.expect("alive\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_device_is_closed_and_one_that_speaks_is_not() {
    let rig = Rig::new(|limits| limits.idle = secs(100));
    let mut device = rig.dial.connect();
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
    for _ in 0..5 {
        device.expect_silence(secs(90)).await;
        device.send("H\n").await;
        device.expect("alive\n").await;
    }
    assert_eq!(takes(device.expect_end()).await, 100);
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_drips_is_cut_off() {
    let rig = Rig::new(|limits| limits.frame = secs(30));
    let mut device = rig.dial.connect();
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
    let start = Instant::now();
    // A byte every four seconds is not silence, but it is no frame either.
    for byte in b"D abcdef" {
        device.send([*byte]).await;
        sleep(secs(4)).await;
    }
    device.expect_end().await;
    assert!((30..=33).contains(&start.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_bounded_and_closed() {
    let rig = Rig::new(|limits| {
        limits.unwritten = 1_000;
        limits.write = secs(30);
    });
    let mut device = rig.dial.connect();
    device.send("I 42\n").await;
    let heartbeats = "H\n".repeat(100_000);
    let start = Instant::now();
    let sent = device.flood(heartbeats.as_bytes()).await;
    // The pipes hold 4 KiB each way, and the server's read holds 16 KiB.
    assert!(sent < 30_000, "{sent} bytes were taken");
    sleep(secs(31)).await;
    assert_eq!(rig.connections.len(), 0);
    assert!(start.elapsed() < secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_does_not_answer_costs_the_connection_and_not_the_frame() {
    let rig = Rig::with_registry(|limits| limits.resolve = secs(10), Picky::default());
    let mut device = rig.dial.connect();
    device.send("I never\n").await;
    assert_eq!(takes(device.expect_end()).await, 10);
    assert_eq!(
        summaries(&rig.shelf),
        ["quarantined the registry did not answer in time"]
    );
}

#[tokio::test(start_paused = true)]
async fn back_pressure_is_not_the_devices_silence() {
    let rig = Rig::new(|limits| {
        limits.in_flight = 2;
        limits.idle = secs(100);
    });
    rig.shelf.hold();
    let mut device = rig.dial.connect();
    device.send("I 42\nD one\nD two\n").await;
    device.expect("welcome\n").await;
    // The device cannot be heard meanwhile; its deadline starts anew afterwards.
    device.expect_silence(secs(500)).await;
    rig.shelf.release();
    device.expect("stored one\nstored two\n").await;
    assert_eq!(takes(device.expect_end()).await, 100);
}
