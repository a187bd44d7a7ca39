//! Replies have classes: immediate ones leave at once, acknowledgements when the data is durable.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::time::Duration;

use common::{Rig, summaries};
use milepost_listener::NotDelivered;

const A_WHILE: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_leaves_after_the_delivery_and_not_before() {
    let rig = Rig::new(|_| {});
    let mut device = rig.dial.connect();
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
    rig.shelf.hold();
    device.send("D one\n").await;
    device.expect_silence(A_WHILE).await;
    rig.shelf.settle(1, Ok(()));
    device.expect("stored one\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_stalled_store_does_not_hold_up_logins_and_heartbeats() {
    let rig = Rig::new(|_| {});
    rig.shelf.hold();
    let mut device = rig.dial.connect();
    device.send("I 42\nD one\n").await;
    device.expect("welcome\n").await;
    device.send("H\nD two\nH\n").await;
    device.expect("alive\nalive\n").await;
    device.expect_silence(A_WHILE).await;
    rig.shelf.release();
    device.expect("stored one\nstored two\n").await;
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_keep_the_order_of_their_frames() {
    let rig = Rig::new(|_| {});
    let mut device = rig.dial.connect();
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
    rig.shelf.hold();
    device.send("D one\nD two\nD three\n").await;
    device.expect_silence(A_WHILE).await;
    rig.shelf.settle(3, Ok(()));
    rig.shelf.settle(2, Ok(()));
    device.expect_silence(A_WHILE).await;
    rig.shelf.settle(1, Ok(()));
    device
        .expect("stored one\nstored two\nstored three\n")
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_without_acknowledgement_holds_up_none() {
    let rig = Rig::new(|_| {});
    let mut device = rig.dial.connect();
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
    rig.shelf.hold();
    device.send("L silent\nD one\n").await;
    device.expect_silence(A_WHILE).await;
    rig.shelf.settle(2, Ok(()));
    device.expect("stored one\n").await;
}

#[tokio::test(start_paused = true)]
async fn what_was_not_delivered_is_not_acknowledged_and_blocks_no_other() {
    let rig = Rig::new(|_| {});
    let mut device = rig.dial.connect();
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
    rig.shelf.hold();
    device.send("D one\nD two\nD three\nD four\n").await;
    device.expect_silence(A_WHILE).await;
    rig.shelf.settle(2, Err(NotDelivered::Lost));
    rig.shelf.settle(1, Err(NotDelivered::Failed));
    rig.shelf.settle(4, Ok(()));
    device.expect_silence(A_WHILE).await;
    rig.shelf.settle(3, Ok(()));
    device.expect("stored three\nstored four\n").await;
    device.expect_silence(A_WHILE).await;
}

#[tokio::test(start_paused = true)]
async fn at_the_bound_the_socket_is_not_read() {
    let rig = Rig::new(|limits| limits.in_flight = 3);
    let mut device = rig.dial.connect();
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
    rig.shelf.hold();
    let data = "D x\n".repeat(100_000);
    let sent = device.flood(data.as_bytes()).await;
    assert!(sent < 30_000, "{sent} bytes were taken");
    // The login and three in flight.
    assert_eq!(rig.shelf.envelopes().len(), 4);
    rig.shelf.settle(1, Ok(()));
    device.expect("stored x\n").await;
    device.expect_silence(A_WHILE).await;
    assert_eq!(rig.shelf.envelopes().len(), 5);
    rig.shelf.release();
    device.expect("stored x\n".repeat(sent / 4 - 1)).await;
}

#[tokio::test(start_paused = true)]
async fn the_bound_counts_bytes_too() {
    let rig = Rig::new(|limits| limits.in_flight_bytes = 10);
    let mut device = rig.dial.connect();
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
    rig.shelf.hold();
    device.send("D 345\nD 345\nD 345\nH\n").await;
    device.expect_silence(A_WHILE).await;
    assert_eq!(rig.shelf.envelopes().len(), 3);
    rig.shelf.release();
    device.expect("stored 345\nstored 345\n").await;
    device.expect("stored 345\nalive\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_settles_what_was_received_and_tells_the_device() {
    let rig = Rig::new(|_| {});
    let mut device = rig.dial.connect();
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
    rig.shelf.hold();
    device.send("D one\n").await;
    device.expect_silence(A_WHILE).await;
    rig.shutdown.cancel();
    device.expect_silence(A_WHILE).await;
    rig.shelf.release();
    device.expect("stored one\n").await;
    device.expect_end().await;
    let drained = rig.server.await.unwrap();
    assert_eq!(drained.abandoned, 0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_handle_what_comes_later() {
    let rig = Rig::new(|_| {});
    let mut device = rig.dial.connect();
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
    rig.shelf.hold();
    device.send("D one\n").await;
    device.expect_silence(A_WHILE).await;
    rig.shutdown.cancel();
    device.send("D late\n").await;
    device.expect_silence(A_WHILE).await;
    rig.shelf.release();
    device.expect("stored one\n").await;
    device.expect_end().await;
    assert_eq!(summaries(&rig.shelf), ["reports login", "reports one"]);
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_runs_out_of_time_abandons_and_says_so() {
    let rig = Rig::new(|limits| limits.drain = Duration::from_secs(20));
    let mut device = rig.dial.connect();
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
    rig.shelf.hold();
    device.send("D one\nD two\n").await;
    device.expect_silence(A_WHILE).await;
    let drained = rig.drain().await;
    assert_eq!(drained.abandoned, 2);
    device.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_peer_does_not_take_its_frames_along() {
    let rig = Rig::new(|_| {});
    rig.shelf.hold();
    let mut device = rig.dial.connect();
    device.send("I 42\nD one\n").await;
    device.expect("welcome\n").await;
    drop(device);
    tokio::time::sleep(A_WHILE).await;
    // The connection is gone for the device, and still there for its frames.
    assert!(!rig.connections.is_connected(&common::key("42")));
    assert_eq!(rig.connections.len(), 1);
    rig.shelf.release();
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(rig.connections.len(), 0);
}
