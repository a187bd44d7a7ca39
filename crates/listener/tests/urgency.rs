//! Urgent frames pass the bounds, with those of their own connection before them.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::time::Duration;

use common::{Rig, summaries};
use milepost_listener::test_util::Device;
use milepost_listener::{AcceptAll, MemoryBudget};
use milepost_telemetry::Tenant;

const A_WHILE: Duration = Duration::from_secs(5);

async fn login(rig: &Rig, id: usize) -> Device {
    let mut device = rig.dial.connect();
    device.send(format!("I {id}\n")).await;
    device.expect("welcome\n").await;
    device
}

fn urgent(rig: &Rig) -> Vec<String> {
    let envelopes = rig.shelf.envelopes();
    let all = summaries(&rig.shelf);
    all.into_iter()
        .zip(envelopes)
        .filter(|(_, envelope)| envelope.urgent)
        .map(|(summary, _)| summary)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn at_its_bound_a_connection_hands_over_an_urgent_frame_and_those_before_it() {
    let rig = Rig::new(|limits| limits.in_flight = 4);
    let mut device = login(&rig, 42).await;
    rig.shelf.hold();
    device.send("D x\n".repeat(4)).await;
    device.expect_silence(A_WHILE).await;
    // At the bound: these wait.
    device.send("D p\nD q\n").await;
    device.expect_silence(A_WHILE).await;
    assert_eq!(rig.shelf.envelopes().len(), 5);
    // They go with the alarm, in their order; what comes after it waits.
    device.send("A sos\nD r\n").await;
    device.expect_silence(A_WHILE).await;
    assert_eq!(
        summaries(&rig.shelf)[5..],
        ["reports p", "reports q", "reports sos"]
    );
    assert_eq!(urgent(&rig), ["reports sos"]);
    rig.shelf.release();
    device.expect("stored x\n".repeat(4)).await;
    device
        .expect("stored p\nstored q\nstored sos\nstored r\n")
        .await;
}

#[tokio::test(start_paused = true)]
async fn only_sixteen_frames_are_looked_at_and_the_reserve_is_sixteen() {
    let rig = Rig::new(|limits| limits.in_flight = 4);
    let mut device = login(&rig, 42).await;
    rig.shelf.hold();
    device.send("D x\n".repeat(4)).await;
    device.send(format!("{}A late\n", "D y\n".repeat(16))).await;
    device.expect_silence(A_WHILE).await;
    assert_eq!(rig.shelf.envelopes().len(), 5);

    let mut other = login(&rig, 43).await;
    other.send("D x\n".repeat(3)).await;
    other.send("A z\n".repeat(100)).await;
    other.expect_silence(A_WHILE).await;
    let of_other = rig.shelf.envelopes().len() - 6;
    // With its login: the bound and the reserve.
    assert_eq!(1 + of_other, 4 + 16);
}

#[tokio::test(start_paused = true)]
async fn when_memory_is_full_of_others_frames_an_urgent_one_is_handed_over_at_once() {
    let rig = Rig::with(
        |_| {},
        AcceptAll(Tenant::new("acme").unwrap()),
        MemoryBudget::new(1_200_000),
    );
    let mut device = login(&rig, 42).await;
    rig.shelf.hold();
    let mut others = Vec::new();
    for id in 1..12 {
        let mut other = login(&rig, id).await;
        other.send("D x\n".repeat(60)).await;
        others.push(other);
    }
    device.expect_silence(A_WHILE).await;
    assert!(rig.memory.is_full());
    // Two places are everybody's.
    device.send("D p\nD q\nD r\n").await;
    device.expect_silence(A_WHILE).await;
    let before = rig.shelf.envelopes().len();
    device.send("A sos\n").await;
    device.expect_silence(A_WHILE).await;
    assert_eq!(
        summaries(&rig.shelf)[before..],
        ["reports r", "reports sos"]
    );
    // Two deliveries later it is acknowledged.
    rig.shelf.settle(before, Ok(()));
    rig.shelf.settle(before + 1, Ok(()));
    let held_up = before - 2;
    rig.shelf.settle(held_up, Ok(()));
    rig.shelf.settle(held_up + 1, Ok(()));
    device
        .expect("stored p\nstored q\nstored r\nstored sos\n")
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_urgent_frames_uses_up_the_reserve_and_no_more() {
    let rig = Rig::with(
        |_| {},
        AcceptAll(Tenant::new("acme").unwrap()),
        MemoryBudget::new(1_200_000),
    );
    rig.shelf.hold();
    let mut devices = Vec::new();
    for id in 0..10 {
        let mut device = login(&rig, id).await;
        device.send("A x\n".repeat(100)).await;
        devices.push(device);
    }
    tokio::time::sleep(A_WHILE).await;
    // 800,000 bytes are for frames in flight; each connection has its share beyond.
    assert!((790_000..840_000).contains(&rig.memory.in_flight()));
    rig.shelf.release();
    for device in &mut devices {
        device.expect("stored x\n".repeat(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_envelope_that_settles_an_urgent_frame_is_urgent() {
    let rig = Rig::new(|_| {});
    let mut device = login(&rig, 42).await;
    device.send("A sos\nD x\n").await;
    device.expect("stored sos\nstored x\n").await;
    assert_eq!(urgent(&rig), ["reports sos"]);
}
