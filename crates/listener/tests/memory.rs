//! The memory of all connections together.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::time::Duration;

use common::{Picky, Rig};
use milepost_listener::test_util::Device;
use milepost_listener::{AcceptAll, Limits, MemoryBudget};
use milepost_telemetry::Tenant;

const A_WHILE: Duration = Duration::from_secs(5);
/// MemoryBudget for some frames of the toy protocol.
const BYTES: usize = 20_000;

fn rig() -> Rig {
    let rig = Rig::with(
        |_| {},
        AcceptAll(Tenant::new("acme").unwrap()),
        MemoryBudget::new(BYTES),
    );
    rig.shelf.hold();
    rig
}

async fn login(rig: &Rig, id: usize) -> Device {
    let mut device = rig.dial.connect();
    device.send(format!("I {id}\n")).await;
    device.expect("welcome\n").await;
    device
}

/// One device takes all the memory there is.
async fn fill(rig: &Rig) -> Device {
    let mut device = login(rig, 1).await;
    device.send("D x\n".repeat(40)).await;
    device.expect_silence(A_WHILE).await;
    assert!(rig.memory.is_full());
    device
}

#[tokio::test(start_paused = true)]
async fn when_memory_is_used_up_no_connection_has_more_in_flight_than_its_share() {
    let rig = rig();
    let mut first = fill(&rig).await;
    let filled = rig.shelf.envelopes().len();
    // Far fewer than the connection alone might have.
    assert!((5..30).contains(&filled), "{filled}");

    let mut others = Vec::new();
    for id in 2..20 {
        let mut device = login(&rig, id).await;
        // The answer to the login took one place of its share, this takes the other.
        device.send("H\nH\nD y\n").await;
        device.expect("alive\n").await;
        others.push(device);
    }
    for device in &mut others {
        device.expect_silence(A_WHILE).await;
    }
    let share = MemoryBudget::SHARE * others.len();
    assert_eq!(rig.shelf.envelopes().len(), filled + share);

    // Nothing was dropped: when there is memory again, all go on.
    rig.shelf.release();
    first.expect("stored x\n".repeat(40)).await;
    for device in &mut others {
        device.expect("alive\nstored y\n").await;
    }
    assert_eq!(rig.memory.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_verdict_lets_its_own_connection_go_on() {
    let rig = rig();
    let mut device = fill(&rig).await;
    let filled = rig.shelf.envelopes().len();
    // The login's verdict, then one with an answer: each makes way for about one more.
    rig.shelf.settle(0, Ok(()));
    rig.shelf.settle(1, Ok(()));
    device.expect("stored x\n").await;
    device.expect_silence(A_WHILE).await;
    let more = rig.shelf.envelopes().len() - filled;
    assert!((1..=3).contains(&more), "{more}");
}

#[tokio::test(start_paused = true)]
async fn who_comes_again_and_again_leaves_nothing_behind() {
    let rig = rig();
    let first = fill(&rig).await;
    let taken = rig.memory.in_flight();
    for _ in 0..50 {
        drop(login(&rig, 2).await);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(rig.memory.in_flight(), taken);
        assert_eq!(rig.connections.len(), 1);

        let mut device = login(&rig, 2).await;
        device.send("D lost\n").await;
        drop(device);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(rig.memory.in_flight(), taken);
        assert_eq!(rig.connections.len(), 1);
    }
    // What had found memory is settled though its device goes.
    drop(first);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(rig.connections.len(), 1);
    rig.shelf.release();
    tokio::time::sleep(A_WHILE).await;
    assert_eq!((rig.connections.len(), rig.memory.in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn nor_does_who_is_gone_when_the_registry_answers() {
    let at_once = |limits: &mut Limits| {
        limits.settle = Duration::ZERO;
    };
    let rig = Rig::with(at_once, Picky::default(), MemoryBudget::new(BYTES));
    rig.shelf.hold();
    let _first = fill(&rig).await;
    let taken = rig.memory.in_flight();
    let mut device = login(&rig, 2).await;
    device.send("I slow\n").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Four more connections of the device: this one is closed.
    let mut more = Vec::new();
    for _ in 0..4 {
        more.push(login(&rig, 2).await);
    }
    device.expect_end().await;
    drop(more);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((rig.connections.len(), rig.memory.in_flight()), (1, taken));
}
