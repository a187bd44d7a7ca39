//! What a connection may do before an accepted login, how fast it may go after, and who gives way
//! when memory is short.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::time::Duration;

use common::{Picky, Rig, summaries};
use milepost_listener::test_util::Device;
use milepost_listener::{AcceptAll, MemoryBudget, Rate};
use milepost_telemetry::Tenant;
use tokio::time::Instant;

const A_WHILE: Duration = Duration::from_secs(5);

fn acme() -> AcceptAll {
    AcceptAll(Tenant::new("acme").unwrap())
}

#[tokio::test(start_paused = true)]
async fn before_a_login_the_seventeenth_frame_closes_the_connection_unread() {
    let rig = Rig::new(|_| {});
    let mut device = rig.dial.connect();
    device.send("H\n".repeat(17)).await;
    device.expect("alive\n".repeat(16)).await;
    device.expect_end().await;
    let envelopes = rig.shelf.envelopes();
    assert_eq!(envelopes.len(), 16);
    assert_eq!(envelopes[15].origin.frame, 16);
}

#[tokio::test(start_paused = true)]
async fn a_login_after_sixteen_frames_costs_nothing() {
    let rig = Rig::new(|_| {});
    let mut device = rig.dial.connect();
    device
        .send(format!("{}I 42\n{}", "H\n".repeat(16), "H\n".repeat(30)))
        .await;
    device.expect("alive\n".repeat(16)).await;
    device
        .expect(format!("welcome\n{}", "alive\n".repeat(30)))
        .await;
}

#[tokio::test(start_paused = true)]
async fn before_a_login_64_kib_close_the_connection() {
    let rig = Rig::new(|limits| limits.bad_in_row = 1_000_000);
    let mut device = rig.dial.connect();
    device.send("!x\n".repeat(60_000 / 3)).await;
    device.send("H\n").await;
    device.expect("alive\n").await;
    let start = Instant::now();
    device.send("!x\n".repeat(6_000 / 3)).await;
    device.expect_end().await;
    assert!(start.elapsed() < A_WHILE);

    // Who has logged in may send more.
    let mut device = rig.dial.connect();
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
    device.send("!x\n".repeat(90_000 / 3)).await;
    device.send("H\n").await;
    device.expect("alive\n").await;
}

#[tokio::test(start_paused = true)]
async fn all_strangers_together_have_a_rate_and_a_refused_login_counts() {
    let rig = Rig::with_registry(
        |limits| limits.stranger_rate = Rate::new(10, 10),
        Picky::default(),
    );
    let mut all = Vec::new();
    for _ in 0..8 {
        let mut device = rig.dial.connect();
        device.send("H\n").await;
        device.expect("alive\n").await;
        all.push(device);
    }
    for _ in 0..6 {
        let mut device = rig.dial.connect();
        device.send("I refused\n").await;
        device.expect_end().await;
    }
    // Ten in all: eight heartbeats and two of the refused logins.
    assert_eq!(rig.shelf.envelopes().len(), 10);
    let mut eleventh = rig.dial.connect();
    eleventh.send("H\n").await;
    eleventh.expect_end().await;
    // A login that is accepted needs none.
    let mut device = rig.dial.connect();
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut later = rig.dial.connect();
    later.send("H\n").await;
    later.expect("alive\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_device_in_quarantine_is_slowed_down_and_not_closed() {
    let rig = Rig::with_registry(|_| {}, Picky::default());
    let mut device = rig.dial.connect();
    device.send("I aside\n").await;
    device.expect("welcome\n").await;
    device.send("H\n".repeat(40)).await;
    let start = Instant::now();
    device.expect("alive\n".repeat(40)).await;
    // Sixteen at once, its login among them, then one a second.
    assert_eq!(start.elapsed().as_secs(), 25);
}

#[tokio::test(start_paused = true)]
async fn a_connection_has_a_rate_and_beyond_it_nothing_is_dropped() {
    let rig = Rig::new(|limits| limits.rate = Some(Rate::new(10, 20)));
    let mut device = rig.dial.connect();
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
    device.send("D x\n".repeat(219)).await;
    let start = Instant::now();
    device.expect("stored x\n".repeat(19)).await;
    assert_eq!(start.elapsed().as_secs(), 0);
    device.expect("stored x\n".repeat(200)).await;
    assert_eq!(start.elapsed().as_secs(), 20);
    // Nobody is held up by another's rate.
    let mut other = rig.dial.connect();
    device.send("D x\n".repeat(100)).await;
    other.send("I 43\n").await;
    other.expect("welcome\n").await;
}

#[tokio::test(start_paused = true)]
async fn waiting_for_its_rate_is_not_the_device_s_silence() {
    let rig = Rig::new(|limits| {
        limits.rate = Some(Rate::new(1, 1));
        limits.idle = Duration::from_secs(10);
        limits.frame = Duration::from_secs(5);
    });
    let mut device = rig.dial.connect();
    device
        .send(format!("I 42\n{}D y", "D x\n".repeat(60)))
        .await;
    device
        .expect(format!("welcome\n{}", "stored x\n".repeat(60)))
        .await;
    device.send("\n").await;
    device.expect("stored y\n").await;
}

/// Begins a frame, and an upload of so many bytes.
async fn holder(rig: &Rig, id: Option<usize>, bytes: usize) -> Device {
    let mut device = rig.dial.connect();
    if let Some(id) = id {
        device.send(format!("I {id}\n")).await;
        device.expect("welcome\n").await;
    }
    device.send(format!("Z {bytes}\nH\n")).await;
    device.expect("alive\n").await;
    device
}

#[tokio::test(start_paused = true)]
async fn when_memory_for_uploads_is_used_up_the_largest_one_is_given_up_strangers_first() {
    // 400,000 bytes for partial frames and uploads, 100,000 of them for strangers.
    let rig = Rig::with(|_| {}, acme(), MemoryBudget::new(1_200_000));
    let mut device = holder(&rig, Some(1), 250_000).await;
    let mut small = holder(&rig, None, 40_000).await;
    let mut large = holder(&rig, None, 50_000).await;
    assert_eq!(rig.memory.partial(), 340_000);
    let mut one_more = holder(&rig, None, 30_000).await;
    tokio::time::sleep(A_WHILE).await;
    // The upload of 50,000 is gone; nobody was closed for it.
    assert_eq!(rig.memory.partial(), 320_000);
    for other in [&mut device, &mut small, &mut large, &mut one_more] {
        other.send("H\n").await;
        other.expect("alive\n").await;
    }
    // A device's upload needs room: strangers' go first, then the largest of the devices'.
    let _second = holder(&rig, Some(2), 180_000).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(rig.memory.partial(), 180_000);
}

#[tokio::test(start_paused = true)]
async fn many_begun_frames_of_strangers_are_bounded_and_a_device_s_is_left_alone() {
    let rig = Rig::with(
        |limits| limits.frame = Duration::from_secs(600),
        acme(),
        MemoryBudget::new(1_200_000),
    );
    let mut device = rig.dial.connect();
    device.send("I 1\n").await;
    device.expect("welcome\n").await;
    device.send("D begun").await;
    let mut strangers = Vec::new();
    for n in 0..60 {
        // The toy protocol asks for more after a `%`, whatever came.
        let mut stranger = rig.dial.connect();
        stranger.send(format!("%{}", "x".repeat(5_000 + n))).await;
        strangers.push(stranger);
    }
    tokio::time::sleep(A_WHILE).await;
    assert!(rig.memory.partial() <= 100_007, "{}", rig.memory.partial());
    assert!(rig.connections.len() >= 19);
    device.send("\n").await;
    device.expect("stored begun\n").await;
    assert_eq!(summaries(&rig.shelf).len(), 2);
    drop(strangers);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(rig.memory.partial(), 0);
}
