//! Who a connection is, and what others may do with it.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::{Lines, Picky, Rig, key, summaries, summary};
use milepost_listener::test_util::{Incoming, Shelf, network};
use milepost_listener::{Accept, AcceptAll, Command, Connections, NotDelivered, NotSent, Server};
use milepost_telemetry::{Envelope, Profile, Tenant};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio_util::sync::CancellationToken;

fn at(ip: &str) -> Option<SocketAddr> {
    Some(format!("{ip}:40000").parse().unwrap())
}

fn command(text: &str) -> Command {
    Command {
        flag: 1,
        text: text.into(),
    }
}

const A_WHILE: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_session_waits_for_the_registry_and_its_frames_wait_with_it() {
    let rig = Rig::with_registry(|_| {}, Picky::default());
    let mut device = rig.dial.connect();
    device.send("I slow\nH\nD one\n").await;
    device.expect_silence(Duration::from_millis(1_900)).await;
    assert!(rig.shelf.contents().is_empty());
    device.expect("welcome\nalive\nstored one\n").await;
    assert_eq!(
        summaries(&rig.shelf),
        ["reports login", "filtered heartbeat", "reports one"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_replies_of_a_login_wait_for_the_registry() {
    let rig = Rig::with_registry(|_| {}, Picky::default());
    let mut device = rig.dial.connect();
    device.send("J slow\n").await;
    device.expect_silence(Duration::from_millis(1_900)).await;
    device.expect("hello\nwelcome\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_device_is_closed_without_an_answer_and_its_frame_is_counted() {
    let rig = Rig::with_registry(|_| {}, Picky::default());
    let mut device = rig.dial.connect();
    device.send("J refused\nD one\n").await;
    device.expect_end().await;
    assert_eq!(summaries(&rig.shelf), ["filtered refused"]);
}

#[tokio::test(start_paused = true)]
async fn a_device_in_quarantine_is_talked_to_and_all_it_says_is_set_aside() {
    let picky = Picky::default();
    let rig = Rig::with_registry(|_| {}, picky.clone());
    let mut device = rig.dial.connect();
    device.send("I aside\nD one\nT profile\nH\n").await;
    device.expect("welcome\nstored one\nalive\n").await;
    let quarantined = "quarantined the device is in quarantine";
    assert_eq!(
        summaries(&rig.shelf),
        [
            quarantined,
            quarantined,
            "filtered learned",
            "filtered heartbeat"
        ]
    );
    assert_eq!(rig.shelf.envelopes()[1].device, Some(key("aside")));
    // Nothing is learned from it, and nobody can reach it.
    assert!(picky.learned.lock().unwrap().is_empty());
    assert!(!rig.connections.is_connected(&key("aside")));
}

#[tokio::test(start_paused = true)]
async fn what_is_learned_is_kept_and_travels_with_the_frames_after() {
    let picky = Picky::default();
    let rig = Rig::with_registry(|_| {}, picky.clone());
    let mut device = rig.dial.connect();
    device.send("I 42\nT dialect\nT dialect\nH\n").await;
    device.expect("welcome\nalive\n").await;
    let profiles: Vec<_> = rig
        .shelf
        .envelopes()
        .into_iter()
        .map(|e| e.profile.unwrap().as_str().to_owned())
        .collect();
    assert_eq!(
        profiles,
        [
            "from the registry",
            "from the registry",
            "dialect",
            "dialect"
        ]
    );
    // The second time it is nothing new.
    assert_eq!(
        *picky.learned.lock().unwrap(),
        [(key("42"), Profile::new("dialect"))]
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_login_binds_anew() {
    let rig = Rig::new(|_| {});
    let mut device = rig.dial.connect();
    device.send("I 42\nI 42\nI 43\nD one\n").await;
    device
        .expect("welcome\nwelcome\nwelcome\nstored one\n")
        .await;
    assert!(!rig.connections.is_connected(&key("42")));
    assert!(rig.connections.is_connected(&key("43")));
    assert_eq!(rig.shelf.envelopes()[3].device, Some(key("43")));
    drop(device);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(rig.connections.devices(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_command_is_sent_when_it_is_written() {
    let rig = Rig::new(|_| {});
    assert_eq!(
        rig.connections
            .send_command(&key("42"), command("stop"))
            .await,
        Err(NotSent::NotConnected)
    );
    let mut device = rig.dial.connect();
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
    let sent = rig
        .connections
        .send_command(&key("42"), command("stop"))
        .await;
    assert_eq!(sent, Ok(()));
    device.expect("do stop\n").await;
    let refused = rig
        .connections
        .send_command(&key("42"), command("no"))
        .await;
    assert!(matches!(&refused, Err(NotSent::Refused(_))));
    assert!(refused.unwrap_err().may_retry());
}

#[tokio::test(start_paused = true)]
async fn a_command_that_comes_while_the_connection_closes_is_certainly_not_sent() {
    let connections = Connections::default();
    let sending = Arc::new(Mutex::new(None));
    let deliver = {
        let (connections, sending) = (connections.clone(), Arc::clone(&sending));
        move |envelope: Envelope| {
            // The session is about to close: the connection has no time left to take a command.
            if summary(&envelope.content) == "filtered bye" {
                let connections = connections.clone();
                let mut send =
                    Box::pin(
                        async move { connections.send_command(&key("42"), command("stop")).await },
                    );
                let mut cx = Context::from_waker(Waker::noop());
                assert!(send.as_mut().poll(&mut cx).is_pending());
                *sending.lock().unwrap() = Some(send);
            }
            async { Ok::<(), NotDelivered>(()) }
        }
    };
    let (dial, incoming) = network();
    let server = Server::new(Lines, AcceptAll(Tenant::new("acme").unwrap()), deliver)
        .connections(connections)
        .serve(incoming);
    tokio::spawn(server.run(CancellationToken::new()));
    let mut device = dial.connect();
    device.send("I 42\nX\n").await;
    device.expect("welcome\nbye\n").await;
    let send = sending.lock().unwrap().take().unwrap();
    assert_eq!(send.await, Err(NotSent::NotConnected));
}

#[tokio::test(start_paused = true)]
async fn a_rebinding_nat_takes_the_commands_along_and_the_old_connection_ends() {
    let rig = Rig::new(|limits| limits.superseded = Duration::from_secs(10));
    let mut old = rig.dial.connect_from(at("10.0.0.1"));
    old.send("I 42\n").await;
    old.expect("welcome\n").await;
    let mut new = rig.dial.connect_from(at("10.0.0.1"));
    new.send("I 42\n").await;
    new.expect("welcome\n").await;
    rig.connections
        .send_command(&key("42"), command("where"))
        .await
        .unwrap();
    new.expect("do where\n").await;
    // Data of the old one is still taken, until it ends.
    old.send("D rest\n").await;
    old.expect("stored rest\n").await;
    old.expect_end().await;
    assert_eq!(rig.connections.of(&key("42")).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_login_from_elsewhere_does_not_get_the_commands_while_the_old_one_lives() {
    let rig = Rig::new(|_| {});
    let mut old = rig.dial.connect_from(at("10.0.0.1"));
    old.send("I 42\n").await;
    old.expect("welcome\n").await;
    let mut thief = rig.dial.connect_from(at("192.0.2.9"));
    thief.send("I 42\nD mine\n").await;
    thief.expect("welcome\nstored mine\n").await;

    // Nobody knows yet whether the old one is dead.
    let contested = rig
        .connections
        .send_command(&key("42"), command("stop"))
        .await;
    assert_eq!(contested, Err(NotSent::Contested));
    assert!(
        rig.connections
            .of(&key("42"))
            .iter()
            .all(|c| !c.takes_commands)
    );
    // It is not.
    old.send("H\n").await;
    old.expect("alive\n").await;
    rig.connections
        .send_command(&key("42"), command("stop"))
        .await
        .unwrap();
    old.expect("do stop\n").await;
    thief.expect_silence(Duration::from_secs(60)).await;

    // Now it is.
    drop(old);
    tokio::time::sleep(A_WHILE).await;
    rig.connections
        .send_command(&key("42"), command("stop"))
        .await
        .unwrap();
    thief.expect("do stop\n").await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_device_learns_of_it_when_commands_can_go_to_it() {
    let rig = Rig::new(|_| {});
    let mut arrivals = rig.connections.arrivals();
    assert_eq!(
        rig.connections.takes_commands(&key("42")),
        Err(NotSent::NotConnected)
    );
    let mut old = rig.dial.connect_from(at("10.0.0.1"));
    old.send("I 42\n").await;
    assert_eq!(arrivals.recv().await.unwrap(), key("42"));
    rig.connections
        .send_command(&key("42"), command("where"))
        .await
        .unwrap();
    // However fast, it comes after the answer to the login.
    old.expect("welcome\ndo where\n").await;

    // From elsewhere: not while the old one lives.
    let mut new = rig.dial.connect_from(at("192.0.2.9"));
    new.send("I 42\n").await;
    new.expect("welcome\n").await;
    assert_eq!(
        rig.connections.takes_commands(&key("42")),
        Err(NotSent::Contested)
    );
    arrivals.try_recv().unwrap_err();
    drop(old);
    assert_eq!(arrivals.recv().await.unwrap(), key("42"));
    assert_eq!(rig.connections.takes_commands(&key("42")), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_device_has_only_so_many_connections() {
    let rig = Rig::new(|_| {});
    let mut devices = Vec::new();
    for i in 1..=6 {
        let mut device = rig.dial.connect_from(at(&format!("10.0.0.{i}")));
        device.send("I 42\n").await;
        device.expect("welcome\n").await;
        devices.push(device);
    }
    tokio::time::sleep(A_WHILE).await;
    let live = rig.connections.of(&key("42"));
    assert_eq!(live.len(), 4);
    // The one that holds the commands is not pushed out by newcomers.
    assert_eq!(live[0].peer, at("10.0.0.1"));
    assert_eq!(live[3].peer, at("10.0.0.6"));
}

/// Streams whose peers can still be heard and, from some moment on, not be told anything.
struct Deafening {
    incoming: Incoming,
    deaf: Arc<AtomicBool>,
}

struct Deaf {
    io: DuplexStream,
    deaf: Arc<AtomicBool>,
}

impl Accept for Deafening {
    type Io = Deaf;

    async fn accept(&mut self) -> io::Result<(Deaf, Option<SocketAddr>)> {
        let (io, peer) = self.incoming.accept().await?;
        let deaf = Arc::clone(&self.deaf);
        Ok((Deaf { io, deaf }, peer))
    }
}

impl AsyncRead for Deaf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Deaf {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.deaf.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_waits_for_the_next_connection_when_nothing_can_be_written_on_this_one() {
    let (dial, incoming) = network();
    let deaf = Arc::new(AtomicBool::new(false));
    let (shelf, connections) = (Shelf::default(), Connections::default());
    let accept = Deafening {
        incoming,
        deaf: Arc::clone(&deaf),
    };
    let server = Server::new(Lines, Picky::default(), shelf.clone())
        .connections(connections.clone())
        .serve(accept);
    tokio::spawn(server.run(CancellationToken::new()));
    let mut device = dial.connect();
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
    assert_eq!(connections.takes_commands(&key("42")), Ok(()));

    deaf.store(true, Ordering::Relaxed);
    device.send("H\n").await;
    device.expect_silence(A_WHILE).await;
    assert!(connections.takes_commands(&key("42")).is_err());
    let sent = connections.send_command(&key("42"), command("stop")).await;
    assert_eq!(sent, Err(NotSent::NotConnected));
    // Not even when it says its name again; what it says is taken all the same.
    device.send("I 42\nL on\n").await;
    device.expect_silence(A_WHILE).await;
    assert!(!connections.is_connected(&key("42")));
    assert_eq!(summaries(&shelf).last().unwrap(), "reports on");

    deaf.store(false, Ordering::Relaxed);
    let mut next = dial.connect();
    next.send("I 42\n").await;
    next.expect("welcome\n").await;
    let sent = connections.send_command(&key("42"), command("stop")).await;
    assert_eq!(sent, Ok(()));
    next.expect("do stop\n").await;
}
