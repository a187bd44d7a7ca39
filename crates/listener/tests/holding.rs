//! Frames that a session holds, reports when it is woken, or at the end.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::time::Duration;

use common::{Rig, summaries};
use milepost_listener::test_util::Device;
use milepost_listener::{AcceptAll, MemoryBudget, NotDelivered};
use milepost_telemetry::{Envelope, Profile, Tenant};

const A_WHILE: Duration = Duration::from_secs(5);

async fn login(rig: &Rig) -> Device {
    let mut device = rig.dial.connect();
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
    device
}

/// The frames that an envelope settles.
fn frames(envelope: &Envelope) -> Vec<(u64, u64)> {
    envelope.frames.iter().collect()
}

fn last(rig: &Rig) -> Envelope {
    rig.shelf.envelopes().pop().unwrap()
}

#[tokio::test(start_paused = true)]
async fn held_frames_are_settled_by_a_later_envelope_with_their_bytes_and_answers() {
    let rig = Rig::new(|limits| limits.in_flight = 2);
    let mut device = login(&rig).await;
    rig.shelf.hold();
    // They are received and not in flight: more than the bound.
    device.send("K a\nK b\nK c\n").await;
    device.expect_silence(A_WHILE).await;
    assert_eq!(rig.shelf.envelopes().len(), 1);
    assert!(rig.memory.in_flight() > 0);
    device.send("S\n").await;
    device.expect_silence(A_WHILE).await;
    let envelope = last(&rig);
    assert_eq!(frames(&envelope), [(2, 5)]);
    assert_eq!(envelope.origin.frame, 5);
    assert_eq!(&envelope.raw[..], b"K a\nK b\nK c\nS\n");
    // Nothing is told before it is durable.
    rig.shelf.settle(1, Ok(()));
    device
        .expect("settled a\nsettled b\nsettled c\nstored S\n")
        .await;
    assert_eq!(rig.memory.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_waits_for_a_later_envelope_delays_no_other() {
    let rig = Rig::new(|_| {});
    let mut device = login(&rig).await;
    device.send("K a\nD one\nH\n").await;
    device.expect("stored one\nalive\n").await;
    device.send("S\n").await;
    device.expect("settled a\nstored S\n").await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_durable_answers_no_frame_that_it_settles() {
    let rig = Rig::new(|_| {});
    let mut device = login(&rig).await;
    rig.shelf.hold();
    device.send("K a\nS\n").await;
    device.expect_silence(A_WHILE).await;
    rig.shelf.settle(1, Err(NotDelivered::Failed));
    device.expect_silence(A_WHILE).await;
}

#[tokio::test(start_paused = true)]
async fn an_envelope_settles_the_frames_that_it_names() {
    let rig = Rig::new(|_| {});
    let mut device = login(&rig).await;
    device.send("K a\nK b\nK c\nK d\nS 3 4\n").await;
    device.expect("settled b\nsettled c\nstored S\n").await;
    assert_eq!(frames(&last(&rig)), [(3, 4), (6, 6)]);
    assert_eq!(&last(&rig).raw[..], b"K b\nK c\nS 3 4\n");
    device.send("S\n").await;
    device.expect("settled a\nsettled d\nstored S\n").await;
    assert_eq!(frames(&last(&rig)), [(2, 2), (5, 5), (7, 7)]);
}

#[tokio::test(start_paused = true)]
async fn a_frame_may_be_held_while_it_settles_those_before_it() {
    let rig = Rig::new(|_| {});
    let mut device = login(&rig).await;
    // With none to settle it is settled itself: no report is lost.
    device.send("M a\n").await;
    device.expect("settled a\n").await;
    assert_eq!(frames(&last(&rig)), [(2, 2)]);
    device.send("K b\nM c\n").await;
    device.expect("settled b\n").await;
    assert_eq!(frames(&last(&rig)), [(3, 3)]);
    device.send("S\n").await;
    device.expect("settled c\nstored S\n").await;
    assert_eq!(frames(&last(&rig)), [(4, 5)]);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_woken_at_its_time_and_settles_what_it_holds() {
    let rig = Rig::new(|_| {});
    let mut device = login(&rig).await;
    device.send("K a\nK b\nV 700\n").await;
    device.expect_silence(Duration::from_millis(650)).await;
    assert_eq!(rig.shelf.envelopes().len(), 2);
    device.expect("settled a\nsettled b\n").await;
    assert_eq!(frames(&last(&rig)), [(2, 3)]);
    assert_eq!(last(&rig).origin.frame, 3);
    assert_eq!(summaries(&rig.shelf).last().unwrap(), "reports woken");
}

#[tokio::test(start_paused = true)]
async fn at_the_bound_the_wake_waits_and_what_is_held_grows() {
    let rig = Rig::new(|limits| limits.in_flight = 2);
    let mut device = login(&rig).await;
    rig.shelf.hold();
    device.send("V 100\nK a\nD one\n").await;
    device.expect_silence(A_WHILE).await;
    // The wake's own envelope would be a third.
    assert_eq!(rig.shelf.envelopes().len(), 3);
    rig.shelf.settle(1, Ok(()));
    device.expect_silence(A_WHILE).await;
    assert_eq!(summaries(&rig.shelf)[3..], ["reports woken"]);
    rig.shelf.release();
    device.expect("stored one\nsettled a\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_suspended_session_is_not_woken() {
    let rig = Rig::with_registry(|_| {}, common::Picky::default());
    let mut device = rig.dial.connect();
    device.send("I slow\n").await;
    device.expect("welcome\n").await;
    device.send("K a\nV 100\nI slow\n").await;
    device.expect_silence(Duration::from_millis(1_900)).await;
    device.expect("welcome\nsettled a\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_close_comes_before_a_wake() {
    let rig = Rig::new(|_| {});
    let mut device = login(&rig).await;
    device.send("E\nK a\nV 1000\n").await;
    device.finish().await;
    device.expect("settled a\n").await;
    device.expect_end().await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(summaries(&rig.shelf)[3..], ["reports final"]);
}

#[tokio::test(start_paused = true)]
async fn a_drain_asks_for_what_is_held_first_and_settles_it() {
    let rig = Rig::new(|_| {});
    let mut device = login(&rig).await;
    device.send("E\nK a\nK b\n").await;
    device.expect_silence(A_WHILE).await;
    let shelf = rig.shelf.clone();
    assert_eq!(rig.drain().await.abandoned, 0);
    device.expect("settled a\nsettled b\n").await;
    device.expect_end().await;
    assert_eq!(frames(&shelf.envelopes()[2]), [(3, 4)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_still_held_at_the_end_becomes_one_quarantined_envelope() {
    for (said, extra) in [("", 0), ("Q\n", 1)] {
        let rig = Rig::new(|_| {});
        let mut device = login(&rig).await;
        device.send(format!("{said}K a\nK b\nK c\n")).await;
        drop(device);
        tokio::time::sleep(A_WHILE).await;
        let expected = "quarantined 3 held frames were not reported: the connection ended";
        assert_eq!(summaries(&rig.shelf)[1 + extra..], [expected]);
        assert_eq!(&last(&rig).raw[..], b"K a\nK b\nK c\n");
        assert_eq!(last(&rig).frames.count(), 3);
        assert_eq!((rig.connections.len(), rig.memory.in_flight()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_held_when_the_session_panics_becomes_one_quarantined_envelope() {
    for said in ["K a\nK b\nP\n", "Q\nK a\nK b\nV 10\n"] {
        let rig = Rig::new(|_| {});
        let mut device = login(&rig).await;
        device.send(said).await;
        device.expect("settled a\nsettled b\n").await;
        device.expect_end().await;
        let expected = "quarantined 2 held frames were not reported: the session panicked";
        assert!(summaries(&rig.shelf).contains(&expected.to_owned()));
        let counted: u64 = rig.shelf.envelopes().iter().map(|e| e.frames.count()).sum();
        let sent = said.lines().count() as u64;
        assert_eq!(counted, 1 + sent, "each frame once");
    }
}

#[tokio::test(start_paused = true)]
async fn held_frames_go_to_quarantine_with_the_profile_by_which_they_were_read() {
    let rig = Rig::new(|_| {});
    let mut device = login(&rig).await;
    device.send("T first\nK a\nT second\nH\n").await;
    device.expect("alive\n").await;
    drop(device);
    tokio::time::sleep(A_WHILE).await;
    let envelope = last(&rig);
    assert_eq!(frames(&envelope), [(3, 3)]);
    assert_eq!(envelope.profile, Some(Profile::new("first")));
}

#[tokio::test(start_paused = true)]
async fn what_one_device_held_is_not_reported_as_another_s() {
    let rig = Rig::new(|_| {});
    let mut device = login(&rig).await;
    device.send("K a\nI 43\nS\n").await;
    device.expect("settled a\nwelcome\nstored S\n").await;
    let envelopes = rig.shelf.envelopes();
    assert_eq!(frames(&envelopes[1]), [(2, 2)]);
    assert_eq!(envelopes[1].device, Some(common::key("42")));
    assert_eq!(
        summaries(&rig.shelf)[1],
        "quarantined 1 held frames were not reported: another device logged in"
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_holds_too_much_is_woken_early() {
    for limit in [0, 1] {
        let rig = Rig::new(|limits| match limit {
            0 => limits.held = 10,
            _ => limits.held_bytes = 1_000,
        });
        let mut device = login(&rig).await;
        device.send("K x\n".repeat(30)).await;
        device.expect("settled x\n".repeat(10)).await;
        tokio::time::sleep(A_WHILE).await;
        assert_eq!(frames(&rig.shelf.envelopes()[1])[0].0, 2);
        assert_eq!(rig.connections.devices(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_then_settles_nothing_is_closed_and_loses_no_frame() {
    let rig = Rig::new(|limits| limits.held = 10);
    let mut device = login(&rig).await;
    // Waking it at the tenth does nothing.
    device.send(format!("W2\n{}", "K x\n".repeat(12))).await;
    // They are kept in quarantine, and answered as what is kept.
    device.expect("settled x\n".repeat(10)).await;
    device.expect_end().await;
    assert_eq!(
        summaries(&rig.shelf)[2..],
        ["quarantined 10 held frames were not reported: the connection ended"]
    );
}

#[tokio::test(start_paused = true)]
async fn when_memory_is_full_of_held_frames_they_are_settled_early_instead_of_waiting_for_ever() {
    let rig = Rig::with(
        |_| {},
        AcceptAll(Tenant::new("acme").unwrap()),
        MemoryBudget::new(6_000),
    );
    let mut device = login(&rig).await;
    device.send("K x\n".repeat(200)).await;
    tokio::time::sleep(A_WHILE).await;
    assert!(rig.shelf.envelopes().len() > 2);
    device.send("S\n").await;
    tokio::time::sleep(A_WHILE).await;
    let counted: u64 = rig.shelf.envelopes().iter().map(|e| e.frames.count()).sum();
    assert_eq!(counted, 202);
    assert_eq!(rig.memory.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_wants_to_be_woken_for_nothing_is_a_defect() {
    let rig = Rig::new(|_| {});
    let mut device = login(&rig).await;
    device.send("U\n").await;
    device.expect_end().await;
}
