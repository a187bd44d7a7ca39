//! Bytes, frames, envelopes: whatever the chunks, each frame ends in exactly one envelope.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::time::Duration;

use common::{MAX_LINE, Picky, Rig, summaries, summary};
use milepost_listener::test_util::{Device, Shelf};
use milepost_telemetry::Origin;
use proptest::prelude::*;
use tokio::time::Instant;

/// Not by a deadline: those are minutes away.
async fn ends_at_once(device: Device) {
    let start = Instant::now();
    device.expect_end().await;
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_device_logs_in_and_reports_byte_by_byte() {
    let rig = Rig::new(|_| {});
    let mut device = rig.dial.connect();
    for byte in b"I 42\nD one\n" {
        device.send([*byte]).await;
    }
    device.expect("welcome\nstored one\n").await;
    assert_eq!(summaries(&rig.shelf), ["reports login", "reports one"]);
    drop(device);
    rig.drain().await;
}

#[tokio::test(start_paused = true)]
async fn two_frames_in_one_read_are_two_envelopes_with_their_own_origin() {
    let rig = Rig::new(|_| {});
    let mut device = rig.dial.connect();
    device.send("I 42\nD one\nD two\nD th").await;
    device.expect("welcome\nstored one\nstored two\n").await;
    device.send("ree\n").await;
    device.expect("stored three\n").await;

    let envelopes = rig.shelf.envelopes();
    let connection = envelopes[0].origin.connection;
    for (envelope, (frame, raw)) in envelopes.iter().zip([
        (1, "I 42\n"),
        (2, "D one\n"),
        (3, "D two\n"),
        (4, "D three\n"),
    ]) {
        let origin = Origin {
            epoch: 7,
            connection,
            frame,
        };
        assert_eq!(envelope.origin, origin);
        assert_eq!(envelope.raw, raw);
        assert_eq!(envelope.device, Some(common::key("42")));
    }
    assert_eq!(envelopes.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn data_before_login_is_kept_in_quarantine() {
    let rig = Rig::new(|_| {});
    let mut device = rig.dial.connect();
    device.send("L early\nH\nI 42\nL later\nH\n").await;
    device.expect("alive\nwelcome\nalive\n").await;
    assert_eq!(
        summaries(&rig.shelf),
        [
            "quarantined data before login",
            "filtered heartbeat",
            "reports login",
            "reports later",
            "filtered heartbeat"
        ]
    );
    assert_eq!(rig.shelf.envelopes()[0].device, None);
}

#[tokio::test(start_paused = true)]
async fn a_frame_without_outcome_is_kept_and_not_lost() {
    let rig = Rig::new(|_| {});
    let mut device = rig.dial.connect();
    device.send("I 42\nN\nH\n").await;
    // Its acknowledgement follows its envelope like any other.
    device.expect("welcome\nnever\nalive\n").await;
    assert_eq!(
        summaries(&rig.shelf)[1],
        "quarantined the decoder gave no outcome for this frame"
    );
}

#[tokio::test(start_paused = true)]
async fn a_bad_frame_costs_one_frame_and_is_answered_when_it_is_kept() {
    let rig = Rig::new(|_| {});
    let mut device = rig.dial.connect();
    device.send("I 42\nD one\nB\nD two\n").await;
    device
        .expect("welcome\nstored one\nkept\nstored two\n")
        .await;
    assert_eq!(summaries(&rig.shelf)[2], "quarantined a bad line");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_panics_costs_its_own_connection_and_the_frame_is_kept() {
    let rig = Rig::new(|_| {});
    let mut bystander = rig.dial.connect();
    bystander.send("I 1\n").await;
    bystander.expect("welcome\n").await;
    let mut device = rig.dial.connect();
    device.send("I 42\nP\nD never\n").await;
    device.expect("welcome\n").await;
    device.expect_end().await;
    assert_eq!(
        summaries(&rig.shelf)[2..],
        ["quarantined the decoder panicked on this frame"]
    );
    bystander.send("D on\n").await;
    bystander.expect("stored on\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_panics_between_frames_does_not_take_its_frames_along() {
    let rig = Rig::new(|_| {});
    rig.shelf.hold();
    let mut device = rig.dial.connect();
    device.send("I 42\nD one\nC\nx").await;
    device.expect("welcome\n").await;
    device.expect_silence(Duration::from_secs(2)).await;
    rig.shelf.release();
    device.expect("stored one\n").await;
    ends_at_once(device).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_cannot_report_for_another_device() {
    let rig = Rig::new(|_| {});
    let mut device = rig.dial.connect();
    device.send("I 42\nF\nH\n").await;
    device.expect("welcome\nalive\n").await;
    assert_eq!(
        summaries(&rig.shelf)[1],
        "quarantined the session reported for another device"
    );
}

#[tokio::test(start_paused = true)]
async fn many_bad_ones_in_a_row_cost_the_connection() {
    for last in ["!e\n", "B\n"] {
        let rig = Rig::new(|limits| limits.bad_in_row = 3);
        let mut device = rig.dial.connect();
        device.send("I 42\n!a\nB\n!b\nD fine\nB\n!c\n!d\n").await;
        device.expect("welcome\nkept\nstored fine\nkept\n").await;
        device.expect_silence(Duration::from_secs(5)).await;
        assert_eq!(rig.connections.devices(), 1);
        device.send(last).await;
        if last == "B\n" {
            device.expect("kept\n").await;
        }
        ends_at_once(device).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_garbage_flood_ends_and_leaves_the_others_alone() {
    let rig = Rig::new(|_| {});
    let mut bystander = rig.dial.connect();
    bystander.send("I 1\n").await;
    bystander.expect("welcome\n").await;
    let mut device = rig.dial.connect();
    device.flood(&vec![b'x'; 1 << 20]).await;
    ends_at_once(device).await;
    assert_eq!(summaries(&rig.shelf), ["reports login"]);
    bystander.send("H\n").await;
    bystander.expect("alive\n").await;
    assert_eq!(rig.connections.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_peer_still_gets_its_answers() {
    let rig = Rig::new(|_| {});
    rig.shelf.hold();
    let mut device = rig.dial.connect();
    device.send("I 42\nD one\nH\n").await;
    device.finish().await;
    device.expect("welcome\nalive\n").await;
    device.expect_silence(Duration::from_secs(5)).await;
    rig.shelf.release();
    device.expect("stored one\n").await;
    device.expect_end().await;
    assert!(rig.connections.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_pause_releases_a_frame_that_waited_for_more() {
    let rig = Rig::new(|_| {});
    let mut device = rig.dial.connect();
    device.send("I 42\nW").await;
    device.expect("welcome\n").await;
    device.expect_silence(Duration::from_millis(900)).await;
    assert_eq!(summaries(&rig.shelf), ["reports login"]);
    device.expect_silence(Duration::from_millis(200)).await;
    assert_eq!(summaries(&rig.shelf), ["reports login", "reports "]);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_is_a_pause() {
    let rig = Rig::new(|_| {});
    let mut device = rig.dial.connect();
    device.send("I 42\nW").await;
    device.finish().await;
    device.expect("welcome\n").await;
    device.expect_end().await;
    assert_eq!(summaries(&rig.shelf), ["reports login", "reports "]);
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_sent_before_it_vanished_is_read_though_no_reply_can_be_written() {
    let rig = Rig::with_registry(|_| {}, Picky::default());
    let mut device = rig.dial.connect();
    // While the registry thinks, nothing is read; its answer is then the first thing to fail.
    device.send("I slow\n").await;
    device.expect_silence(Duration::from_secs(1)).await;
    device.send("H\nD one\nH\nD two\n").await;
    drop(device);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(rig.connections.is_empty());
    assert_eq!(summaries(&rig.shelf)[4..], ["reports two"]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_closes_has_its_last_word() {
    let rig = Rig::new(|_| {});
    let mut device = rig.dial.connect();
    device.send("I 42\nX\nD never\n").await;
    device.expect("welcome\nbye\n").await;
    device.expect_end().await;
    assert_eq!(summaries(&rig.shelf), ["reports login", "filtered bye"]);
}

/// Sends a stream in chunks and returns what was made of it.
fn outcome(stream: &[u8], chunks: &[usize]) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let rig = Rig::new(|_| {});
        let mut device = rig.dial.connect();
        let mut rest = stream;
        for chunk in chunks.iter().cycle() {
            let (now, later) = rest.split_at((*chunk).min(rest.len()));
            if device.flood(now).await < now.len() || later.is_empty() {
                break;
            }
            rest = later;
        }
        let shelf: Shelf = rig.shelf.clone();
        drop(device);
        tokio::time::sleep(Duration::from_secs(1)).await;
        rig.drain().await;
        shelf.contents().iter().map(summary).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_chunking_changes_nothing(
        lines in prop::collection::vec("[HDLBNT!] ?[a-z]{0,5}", 0..30),
        chunks in prop::collection::vec(1..40_usize, 1..10),
    ) {
        let stream = format!("I 42\n{}\n", lines.join("\n"));
        prop_assert_eq!(
            outcome(stream.as_bytes(), &chunks),
            outcome(stream.as_bytes(), &[stream.len()])
        );
    }

    #[test]
    fn any_bytes_in_any_chunks_end_in_an_orderly_drain(
        stream in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'I'), Just(b' '), any::<u8>()], 1..2_000),
        chunks in prop::collection::vec(1..100_usize, 1..10),
    ) {
        let lines = stream.split(|b| *b == b'\n').count();
        prop_assert!(outcome(&stream, &chunks).len() <= lines + stream.len() / MAX_LINE);
    }
}
