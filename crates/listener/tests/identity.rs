//! Who a connection is, and what others may do with it.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::{LineSession, Lines, Picky, Rig, key, summaries, summary};
use milepost_listener::test_util::{Device, Incoming, Shelf, network};
use milepost_listener::{
    Accept, AcceptAll, Binding, Claim, Command, Connections, Identified, Network, NotDelivered,
    NotSent, Opened, Protocol, Registry, Resolution, Server,
};
use milepost_telemetry::{DeviceId, DeviceKey, Envelope, Name, Profile, Tenant, Timestamp};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio_util::sync::CancellationToken;

fn at(ip: &str) -> Option<SocketAddr> {
    Some(format!("{ip}:40000").parse().unwrap())
}

fn command(text: &str) -> Command {
    Command::new(1, text)
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
    sent.unwrap();
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

/// Devices that were first seen in their network when their registry says so.
#[derive(Clone, Default)]
struct Known {
    first_seen: Arc<Mutex<HashMap<Network, Timestamp>>>,
    bound: Option<Network>,
}

impl Registry for Known {
    async fn resolve(&self, claim: Claim) -> Resolution {
        let network = claim.network.unwrap();
        let first_seen = self.first_seen.lock().unwrap().get(&network).copied();
        Resolution::Accept(
            Identified::new(key(claim.id.as_str()))
                .first_seen(first_seen)
                .binding(Binding::of(
                    self.bound.is_some(),
                    self.bound == Some(network),
                )),
        )
    }

    fn learn(&self, _: Name, _: &DeviceKey, _: &Profile) {}
}

/// The clock of [`Rig`].
const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

async fn login_from(rig: &Rig, ip: &str) -> Device {
    let mut device = rig.dial.connect_from(at(ip));
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
    device
}

async fn send(rig: &Rig) -> Result<Option<SocketAddr>, NotSent> {
    let device = key("42");
    let sent = rig.connections.send_command(&device, command("go"));
    sent.await.map(|sent| sent.peer)
}

#[tokio::test(start_paused = true)]
async fn from_one_network_the_newest_connection_gets_the_commands_and_the_older_lives_on() {
    let rig = Rig::new(|_| {});
    let mut old = login_from(&rig, "10.0.0.1").await;
    let mut new = login_from(&rig, "10.0.0.2").await;
    let sent = rig
        .connections
        .send_command(&key("42"), command("where"))
        .await
        .unwrap();
    new.expect("do where\n").await;
    let described = rig.connections.of(&key("42"));
    assert_eq!(sent.connection, described[1].connection);
    assert_eq!(sent.network.unwrap().to_string(), "10.0.0.0/24");
    assert_eq!(
        described
            .iter()
            .map(|c| c.takes_commands)
            .collect::<Vec<_>>(),
        [false, true]
    );
    old.send("D rest\n").await;
    old.expect("stored rest\n").await;
    old.expect_silence(Duration::from_secs(600)).await;
    drop(new);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(send(&rig).await, Ok(at("10.0.0.1")));
}

#[tokio::test(start_paused = true)]
async fn a_login_from_elsewhere_ends_no_connection_and_leaves_the_commands_contested() {
    let rig = Rig::new(|_| {});
    let mut old = login_from(&rig, "10.0.0.1").await;
    let mut thief = login_from(&rig, "192.0.2.9").await;
    thief.send("D mine\n").await;
    thief.expect("stored mine\n").await;
    // However often each speaks: a speaker proves nothing.
    old.send("H\n").await;
    old.expect("alive\n").await;
    assert_eq!(send(&rig).await, Err(NotSent::Contested));
    let described = rig.connections.of(&key("42"));
    assert_eq!(described.len(), 2);
    assert!(described.iter().all(|c| !c.takes_commands));
    drop(old);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(send(&rig).await, Ok(at("192.0.2.9")));
}

#[tokio::test(start_paused = true)]
async fn of_several_networks_the_one_first_seen_a_day_before_all_others_gets_the_commands() {
    let known = Known::default();
    let note = |network: &str, hours: i64| {
        let at = NOW.offset_millis(-hours * 3_600_000);
        let network = network.parse().unwrap();
        known.first_seen.lock().unwrap().insert(network, at);
    };
    note("10.0.0.0/24", 30);
    note("10.0.1.0/24", 5);
    note("10.0.2.0/24", 7);
    let rig = Rig::with_registry(|_| {}, known.clone());
    let _fresh = login_from(&rig, "10.0.1.1").await;
    let old = login_from(&rig, "10.0.0.1").await;
    assert_eq!(send(&rig).await, Ok(at("10.0.0.1")));
    // One that was seen 23 hours after it contests it.
    let rival = login_from(&rig, "10.0.2.1").await;
    assert_eq!(send(&rig).await, Err(NotSent::Contested));
    drop(rival);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(send(&rig).await, Ok(at("10.0.0.1")));
    // One that nobody has seen before was first seen now.
    let _stranger = login_from(&rig, "10.0.3.1").await;
    assert_eq!(send(&rig).await, Ok(at("10.0.0.1")));
    drop(old);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(send(&rig).await, Err(NotSent::Contested));
}

#[tokio::test(start_paused = true)]
async fn a_network_that_the_configuration_binds_comes_before_an_older_one() {
    let known = Known {
        bound: Some("10.0.1.0/24".parse().unwrap()),
        ..Known::default()
    };
    let old = NOW.offset_millis(-1_000 * 3_600_000);
    let network = "10.0.0.0/24".parse().unwrap();
    known.first_seen.lock().unwrap().insert(network, old);
    let rig = Rig::with_registry(|_| {}, known);
    let _old = login_from(&rig, "10.0.0.1").await;
    let _bound = login_from(&rig, "10.0.1.1").await;
    assert_eq!(send(&rig).await, Ok(at("10.0.1.1")));
}

#[tokio::test(start_paused = true)]
async fn commands_of_a_device_that_is_bound_never_go_to_another_network_though_it_is_alone() {
    let known = Known {
        bound: Some("10.0.1.0/24".parse().unwrap()),
        ..Known::default()
    };
    let rig = Rig::with_registry(|_| {}, known);
    let _alone = login_from(&rig, "10.0.0.1").await;
    assert_eq!(send(&rig).await, Err(NotSent::NotBound));
    let takes = rig.connections.of(&key("42"));
    assert!(takes.iter().all(|one| !one.takes_commands));
    let _bound = login_from(&rig, "10.0.1.1").await;
    assert_eq!(send(&rig).await, Ok(at("10.0.1.1")));
}

#[tokio::test(start_paused = true)]
async fn a_command_for_a_chosen_connection_goes_to_that_one_or_to_none() {
    let rig = Rig::with_registry(|_| {}, Known::default());
    let device = key("42");
    let chosen = || {
        let of_device = rig.connections.of(&device);
        let takes = of_device.into_iter().find(|one| one.takes_commands);
        takes.unwrap().connection
    };
    let mut first = login_from(&rig, "10.0.0.1").await;
    let old = chosen();
    let sent = rig.connections.send_command_to(&device, old, command("go"));
    assert_eq!(sent.await.unwrap().connection, old);
    first.expect("do go\n").await;
    // Between choosing and sending a newer one takes its place.
    let mut second = login_from(&rig, "10.0.0.2").await;
    let sent = rig.connections.send_command_to(&device, old, command("go"));
    let refused = sent.await.unwrap_err();
    assert_eq!(refused, NotSent::Superseded);
    assert!(refused.may_retry());
    let new = chosen();
    let sent = rig.connections.send_command_to(&device, new, command("go"));
    assert_eq!(sent.await.unwrap().connection, new);
    second.expect("do go\n").await;
    first.expect_silence(A_WHILE).await;
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

    let mut new = rig.dial.connect_from(at("192.0.2.9"));
    new.send("I 42\n").await;
    new.expect("welcome\n").await;
    assert_eq!(arrivals.recv().await.unwrap(), key("42"));
    assert_eq!(
        rig.connections.takes_commands(&key("42")),
        Err(NotSent::Contested)
    );
    drop(old);
    assert_eq!(arrivals.recv().await.unwrap(), key("42"));
    assert_eq!(rig.connections.takes_commands(&key("42")), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn of_one_network_the_fifth_connection_closes_the_oldest_of_that_network() {
    let rig = Rig::new(|_| {});
    let mut other = login_from(&rig, "192.0.2.9").await;
    let mut devices = Vec::new();
    for i in 1..=5 {
        devices.push(login_from(&rig, &format!("10.0.0.{i}")).await);
    }
    devices.remove(0).expect_end().await;
    other.send("H\n").await;
    other.expect("alive\n").await;
    for device in &mut devices {
        device.send("D x\n").await;
        device.expect("stored x\n").await;
    }
    assert_eq!(rig.connections.of(&key("42")).len(), 5);
}

#[tokio::test(start_paused = true)]
async fn of_nine_networks_the_one_first_seen_last_is_closed_though_it_came_first() {
    let known = Known::default();
    for i in 0..9 {
        // The later it connects here, the earlier it was seen first.
        let network = format!("10.0.{i}.0/24").parse().unwrap();
        let first_seen = NOW.offset_millis(-i * 1_000);
        known.first_seen.lock().unwrap().insert(network, first_seen);
    }
    let rig = Rig::with_registry(|_| {}, known);
    let mut devices = Vec::new();
    for i in 0..9 {
        devices.push(login_from(&rig, &format!("10.0.{i}.1")).await);
    }
    devices.remove(0).expect_end().await;
    assert_eq!(rig.connections.of(&key("42")).len(), 8);
    // A newcomer is the one that goes.
    let mut newcomer = rig.dial.connect_from(at("10.0.99.1"));
    newcomer.send("I 42\n").await;
    newcomer.expect("welcome\n").await;
    newcomer.expect_end().await;
    for device in &mut devices {
        device.send("D x\n").await;
        device.expect("stored x\n").await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_protocol_s_connection_of_the_device_competes_for_nothing() {
    struct Forwarder;
    impl Protocol for Forwarder {
        type Session = LineSession;
        fn name(&self) -> Name {
            Name::new("forwarder")
        }
        fn session(&self, _: &Opened) -> LineSession {
            LineSession::default()
        }
        fn has_commands(&self) -> bool {
            false
        }
    }
    let rig = Rig::new(|_| {});
    let (dial, incoming) = network();
    let server = Server::new(
        Forwarder,
        AcceptAll(Tenant::new("acme").unwrap()),
        rig.shelf.clone(),
    )
    .connections(rig.connections.clone())
    .serve(incoming);
    tokio::spawn(server.run(CancellationToken::new()));
    let mut forwarder = dial.connect_from(at("192.0.2.9"));
    forwarder.send("I 42\n").await;
    forwarder.expect("welcome\n").await;
    let _tracker = login_from(&rig, "10.0.0.1").await;
    assert_eq!(send(&rig).await, Ok(at("10.0.0.1")));
    for i in 1..=4 {
        drop(login_from(&rig, &format!("192.0.2.{i}")).await);
    }
    forwarder.send("D x\n").await;
    forwarder.expect("stored x\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_the_configuration_is_resolved_before_the_first_frame() {
    let (dial, incoming) = network();
    let shelf = Shelf::default();
    let connections = Connections::default();
    let server = Server::new(Lines, Picky::default(), shelf.clone())
        .connections(connections.clone())
        .claims(|peer| {
            let id = if peer? == at("10.0.0.1")? {
                "slow"
            } else {
                "refused"
            };
            Some(DeviceId::new(id).unwrap())
        })
        .serve(incoming);
    tokio::spawn(server.run(CancellationToken::new()));
    let mut device = dial.connect_from(at("10.0.0.1"));
    device.send("D one\n").await;
    device.expect_silence(Duration::from_millis(1_900)).await;
    // The toy session wants to report its login here, where there is no frame to settle.
    device.expect("welcome\nstored one\n").await;
    assert_eq!(summaries(&shelf), ["reports one"]);
    assert_eq!(shelf.envelopes()[0].device, Some(key("slow")));
    assert!(connections.is_connected(&key("slow")));
    dial.connect_from(at("10.0.0.2")).expect_end().await;
    // Who is claimed to be nobody logs in as ever.
    let mut device = dial.connect();
    device.send("I 42\n").await;
    device.expect("welcome\n").await;
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
    sent.unwrap();
    next.expect("do stop\n").await;
}
