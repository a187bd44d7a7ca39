//! What all connections together may have in flight.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::time::Duration;

use common::{Picky, Rig};
use milepost_listener::test_util::Device;
use milepost_listener::{AcceptAll, Limits, Room};
use milepost_telemetry::Tenant;

const A_WHILE: Duration = Duration::from_secs(5);
/// Room for some frames of the toy protocol.
const BYTES: usize = 20_000;

fn rig() -> Rig {
    let rig = Rig::with(
        |_| {},
        AcceptAll(Tenant::new("acme").unwrap()),
        Room::new(BYTES),
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

/// One device takes all the room there is.
async fn fill(rig: &Rig) -> Device {
    let mut device = login(rig, 1).await;
    device.send("D x\n".repeat(40)).await;
    device.expect_silence(A_WHILE).await;
    assert!(rig.room.is_full());
    device
}

#[tokio::test(start_paused = true)]
async fn when_the_room_is_used_up_nobody_is_read_further_than_his_share() {
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
    let share = Room::SHARE * others.len();
    assert_eq!(rig.shelf.envelopes().len(), filled + share);

    // Nothing was dropped: when there is room again, all go on.
    rig.shelf.release();
    first.expect("stored x\n".repeat(40)).await;
    for device in &mut others {
        device.expect("alive\nstored y\n").await;
    }
    assert_eq!(rig.room.taken(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_verdict_lets_its_own_connection_go_on() {
    let rig = rig();
    let mut device = fill(&rig).await;
    let filled = rig.shelf.envelopes().len();
    // The login's verdict, then one with an answer: each makes room for about one more.
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
    let taken = rig.room.taken();
    for _ in 0..50 {
        drop(login(&rig, 2).await);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(rig.room.taken(), taken);
        assert_eq!(rig.connections.len(), 1);

        // One that has used its share is not read, so that its end is not seen: the next
        // connection of its device ends it.
        let mut device = login(&rig, 2).await;
        device.send("D lost\n").await;
        drop(device);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(rig.connections.len(), 2);
    }
    drop(login(&rig, 2).await);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(rig.room.taken(), taken);
    // What had found room is settled though its device goes.
    drop(first);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(rig.connections.len(), 1);
    rig.shelf.release();
    tokio::time::sleep(A_WHILE).await;
    assert_eq!((rig.connections.len(), rig.room.taken()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn nor_does_who_is_gone_when_the_registry_answers() {
    let at_once = |limits: &mut Limits| {
        limits.superseded = Duration::ZERO;
        limits.settle = Duration::ZERO;
    };
    let rig = Rig::with(at_once, Picky::default(), Room::new(BYTES));
    rig.shelf.hold();
    let _first = fill(&rig).await;
    let taken = rig.room.taken();
    let mut device = login(&rig, 2).await;
    device.send("I slow\n").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let again = login(&rig, 2).await;
    device.expect_end().await;
    drop(again);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((rig.connections.len(), rig.room.taken()), (1, taken));
}
