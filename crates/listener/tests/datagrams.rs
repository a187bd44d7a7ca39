//! Conversations that are driven by datagrams.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{Lines, Picky, key, summaries};
use milepost_listener::test_util::{DatagramDevice, DatagramDialer, Shelf, datagram_network};
use milepost_listener::{AcceptAll, Command, Connections, Drained, Limits, Registry, Server};
use milepost_telemetry::{Tenant, Timestamp};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const A_WHILE: Duration = Duration::from_secs(5);

struct Rig {
    dial: DatagramDialer,
    shelf: Shelf,
    connections: Connections,
    shutdown: CancellationToken,
    server: JoinHandle<Drained>,
}

impl Rig {
    fn new(limits: impl FnOnce(&mut Limits)) -> Self {
        Self::with_registry(limits, AcceptAll(Tenant::new("acme").unwrap()))
    }

    fn with_registry(limits: impl FnOnce(&mut Limits), registry: impl Registry) -> Self {
        let (dial, socket) = datagram_network();
        let (shelf, connections) = (Shelf::default(), Connections::default());
        let mut chosen = Limits::default();
        limits(&mut chosen);
        let server = Server::new(Lines, registry, shelf.clone())
            .limits(chosen)
            .clock(|| Timestamp::from_unix(1_800_000_000))
            .connections(connections.clone())
            .serve_datagrams(socket);
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(server.run(shutdown.clone()));
        Self {
            dial,
            shelf,
            connections,
            shutdown,
            server,
        }
    }

    fn device(&self, n: u16) -> DatagramDevice {
        self.dial.device(SocketAddr::from(([10, 0, 0, 1], n)))
    }

    async fn login(&self, n: u16) -> DatagramDevice {
        let mut device = self.device(n);
        device.send(format!("I {n}\n"));
        device.expect("welcome\n").await;
        device
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_s_datagrams_are_one_conversation_and_each_reply_is_a_datagram() {
    let rig = Rig::new(|_| {});
    let mut device = rig.login(42).await;
    rig.shelf.hold();
    device.send("D one\nH\nD two\n");
    device.expect("alive\n").await;
    device.expect_silence(A_WHILE).await;
    rig.shelf.release();
    device.expect("stored one\n").await;
    device.expect("stored two\n").await;
    let envelopes = rig.shelf.envelopes();
    assert_eq!(envelopes[3].origin.frame, 4);
    assert_eq!(
        envelopes[3].peer,
        Some(SocketAddr::from(([10, 0, 0, 1], 42)))
    );
    assert_eq!(rig.connections.len(), 1);
    let command = Command::new(1, "go");
    let key = key("42");
    rig.connections.send_command(&key, command).await.unwrap();
    device.expect("do go\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_datagram_s_end_is_a_pause_and_joins_nothing_to_the_next() {
    let rig = Rig::new(|_| {});
    let mut device = rig.login(42).await;
    // Taken at once: nothing can follow in this datagram.
    device.send("W");
    device.expect_silence(Duration::from_millis(1)).await;
    assert_eq!(summaries(&rig.shelf)[1..], ["reports "]);
    device.send("D on");
    device.send("e\nH\n");
    device.expect("alive\n").await;
    assert_eq!(
        summaries(&rig.shelf)[2..],
        ["filtered other", "filtered heartbeat"]
    );
}

#[tokio::test(start_paused = true)]
async fn before_a_login_no_reply_is_larger_than_its_datagram() {
    let rig = Rig::with_registry(|_| {}, Picky::default());
    let mut device = rig.device(1);
    // `alive` and its line end are six bytes.
    device.send("H\n");
    device.expect_silence(A_WHILE).await;
    device.send("H padded\n");
    device.expect("alive\n").await;
    // Together: one of the two answers fits.
    device.send("H\nH pad\n");
    device.expect("alive\n").await;
    device.expect_silence(A_WHILE).await;
    // A device in quarantine is no better known.
    device.send("I aside\n");
    device.expect("welcome\n").await;
    device.send("D x\n");
    device.expect_silence(A_WHILE).await;
    let mut device = rig.login(2).await;
    device.send("D x\n");
    device.expect("stored x\n").await;
}

#[tokio::test(start_paused = true)]
async fn silent_peers_go_and_come_again_as_new_ones() {
    let rig = Rig::new(|limits| {
        limits.idle = Duration::from_secs(100);
        limits.login = Duration::from_secs(20);
    });
    let mut device = rig.login(42).await;
    rig.device(1).send("L x\n");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(rig.connections.len(), 1);
    tokio::time::sleep(Duration::from_secs(80)).await;
    assert_eq!(rig.connections.len(), 0);
    // What it sends now is data before a login again.
    device.send("D x\n");
    device.expect_silence(A_WHILE).await;
    device.send("I 42\n");
    device.expect("welcome\n").await;
}

#[tokio::test(start_paused = true)]
async fn strangers_make_way_first_and_those_that_speak_do_not() {
    let rig = Rig::new(|limits| limits.datagram_peers = 4);
    let mut first = rig.login(1).await;
    let mut second = rig.login(2).await;
    for n in 10..30 {
        rig.device(n).send("L x\n");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(rig.connections.len(), 4);
    for device in [&mut first, &mut second] {
        device.send("D x\n");
        device.expect("stored x\n").await;
    }
    // Two devices instead of the two strangers that are left.
    let (_third, mut fourth) = (rig.login(3).await, rig.login(4).await);
    assert_eq!(rig.connections.devices(), 4);
    // All have spoken within a minute: nobody makes way.
    let mut fifth = rig.device(5);
    fifth.send("I 5\n");
    fifth.expect_silence(A_WHILE).await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    for device in [&first, &second] {
        device.send("H\n");
    }
    fourth.send("H\n");
    fourth.expect("alive\n").await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    // The third has been silent for more than that.
    fifth.send("I 5\n");
    fifth.expect("welcome\n").await;
    assert!(!rig.connections.is_connected(&key("3")));
    assert_eq!(rig.connections.devices(), 4);
}

#[tokio::test(start_paused = true)]
async fn at_the_bound_datagrams_wait_and_those_that_are_too_many_are_not_received() {
    let rig = Rig::new(|limits| limits.in_flight = 2);
    let mut device = rig.login(42).await;
    rig.shelf.hold();
    for n in 0..60 {
        device.send(format!("D {n}\n"));
        tokio::task::yield_now().await;
    }
    device.expect_silence(A_WHILE).await;
    assert_eq!(rig.shelf.envelopes().len(), 3);
    rig.shelf.release();
    // Two in flight, sixteen looked at, sixteen waiting.
    for n in 0..34 {
        device.expect(format!("stored {n}\n")).await;
    }
    device.expect_silence(A_WHILE).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_settles_what_datagrams_brought() {
    let rig = Rig::new(|_| {});
    let mut device = rig.login(42).await;
    rig.shelf.hold();
    device.send("D one\n");
    device.expect_silence(A_WHILE).await;
    rig.shutdown.cancel();
    device.expect_silence(A_WHILE).await;
    rig.shelf.release();
    device.expect("stored one\n").await;
    assert_eq!(rig.server.await.unwrap().abandoned, 0);
}

#[tokio::test]
async fn it_works_on_a_real_socket() {
    let server = Server::new(
        Lines,
        AcceptAll(Tenant::new("acme").unwrap()),
        Shelf::default(),
    )
    .bind_datagrams(SocketAddr::from(([127, 0, 0, 1], 0)))
    .unwrap();
    let addr = server.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(server.run(shutdown.clone()));
    let device = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    device.connect(addr).await.unwrap();
    device.send(b"I 42\nD x\n").await.unwrap();
    let mut answer = [0; 100];
    for expected in [&b"welcome\n"[..], b"stored x\n"] {
        let n = device.recv(&mut answer).await.unwrap();
        assert_eq!(&answer[..n], expected);
    }
    shutdown.cancel();
    assert_eq!(running.await.unwrap().abandoned, 0);
}
