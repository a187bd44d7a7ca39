//! Deadlines, on a paused clock.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use common::{Lines, Picky, Rig, summaries};
use milepost_listener::{Accept, AcceptAll, Connections, Limits, NotDelivered, Server};
use milepost_telemetry::{Envelope, Tenant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

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

/// A peer that is always ready: it sends heartbeats without end, and takes every answer.
struct Restless;

impl AsyncRead for Restless {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        buf.put_slice(b"H\nH\n");
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Restless {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Yields one such peer.
struct Once(Option<Restless>);

impl Accept for Once {
    type Io = Restless;

    async fn accept(&mut self) -> io::Result<(Restless, Option<SocketAddr>)> {
        match self.0.take() {
            Some(peer) => Ok((peer, None)),
            None => std::future::pending().await,
        }
    }
}

// On the real clock: a paused one stands still while a task can run.
#[tokio::test]
async fn a_peer_that_never_rests_has_deadlines_and_lets_others_run() {
    let mut limits = Limits::default();
    limits.login = Duration::from_millis(20);
    limits.linger = Duration::from_millis(20);
    let connections = Connections::default();
    let deliver = |_: Envelope| async { Ok::<(), NotDelivered>(()) };
    let server = Server::new(Lines, AcceptAll(Tenant::new("acme").unwrap()), deliver)
        .limits(limits)
        .connections(connections.clone())
        .serve(Once(Some(Restless)));
    let running = tokio::spawn(server.run(CancellationToken::new()));
    while connections.is_empty() {
        tokio::task::yield_now().await;
    }
    tokio::time::timeout(secs(20), async {
        while !connections.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the login deadline passed unseen");
    running.abort();
}
