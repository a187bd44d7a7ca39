//! The same on real sockets.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::Lines;
use milepost_listener::test_util::Shelf;
use milepost_listener::{AcceptAll, Limits, ServeError, Server};
use milepost_telemetry::Tenant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

fn server(limits: Limits) -> Server<Lines, AcceptAll, Shelf> {
    onto(Shelf::default(), limits)
}

fn onto(shelf: Shelf, limits: Limits) -> Server<Lines, AcceptAll, Shelf> {
    Server::new(Lines, AcceptAll(Tenant::new("acme").unwrap()), shelf).limits(limits)
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[tokio::test]
async fn a_server_on_a_port_serves_and_drains() {
    let bound = server(Limits::default()).bind(loopback()).unwrap();
    let addr = bound.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(bound.run(shutdown.clone()));

    let mut device = TcpStream::connect(addr).await.unwrap();
    device.write_all(b"I 42\nD one\n").await.unwrap();
    let mut answer = [0; 19];
    device.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"welcome\nstored one\n");

    shutdown.cancel();
    let mut rest = Vec::new();
    device.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
    drop(device);
    assert_eq!(running.await.unwrap().abandoned, 0);
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn a_port_in_use_is_said_with_its_address() {
    let first = server(Limits::default()).bind(loopback()).unwrap();
    let addr = first.local_addr().unwrap();
    let Err(ServeError::Bind {
        addr: named,
        source,
    }) = server(Limits::default()).bind(addr)
    else {
        panic!("bound twice");
    };
    assert_eq!(named, addr);
    assert_eq!(source.kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn every_address_means_those_of_ipv4_too() {
    let any = SocketAddr::from(([0_u16; 8], 0));
    let Ok(listening) = milepost_listener::listen(any, 16) else {
        // A machine without IPv6.
        return;
    };
    let port = listening.local_addr().unwrap().port();
    let here = SocketAddr::from(([127, 0, 0, 1], port));
    let (accepted, connected) = tokio::join!(listening.accept(), TcpStream::connect(here));
    assert!(accepted.is_ok() && connected.is_ok());
}

#[tokio::test]
async fn at_the_limit_of_connections_the_next_one_waits_its_turn() {
    let mut limits = Limits::default();
    limits.connections = 1;
    let bound = server(limits).bind(loopback()).unwrap();
    let addr = bound.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(bound.run(shutdown.clone()));

    let mut first = TcpStream::connect(addr).await.unwrap();
    first.write_all(b"H\n").await.unwrap();
    let mut answer = [0; 6];
    first.read_exact(&mut answer).await.unwrap();
    // The kernel takes it; we do not yet.
    let mut second = TcpStream::connect(addr).await.unwrap();
    second.write_all(b"H\n").await.unwrap();
    first.write_all(b"H\n").await.unwrap();
    first.read_exact(&mut answer).await.unwrap();
    assert_eq!(
        second.try_read(&mut [0; 6]).unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock
    );
    drop(first);
    second.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"alive\n");
    drop(second);
    shutdown.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn frames_that_wait_for_a_stalled_store_keep_nobody_out_once_their_peer_is_gone() {
    let mut limits = Limits::default();
    limits.connections = 1;
    limits.connections_per_ip = Some(1);
    limits.settle = Duration::from_millis(50);
    let shelf = Shelf::default();
    shelf.hold();
    let bound = onto(shelf.clone(), limits).bind(loopback()).unwrap();
    let (addr, connections) = (bound.local_addr().unwrap(), bound.connections().clone());
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(bound.run(shutdown.clone()));

    for _ in 0..5 {
        let mut device = TcpStream::connect(addr).await.unwrap();
        device.write_all(b"I 42\nD one\n").await.unwrap();
        let mut answer = [0; 8];
        let answered = device.read_exact(&mut answer);
        let answered = tokio::time::timeout(Duration::from_secs(30), answered).await;
        answered.expect("no place for the next connection").unwrap();
        assert_eq!(&answer, b"welcome\n");
    }
    // What they sent is still there, and settled.
    assert_eq!(shelf.envelopes().len(), 10);
    assert_eq!(connections.len(), 5);
    shelf.release();
    shutdown.cancel();
    assert_eq!(running.await.unwrap().abandoned, 0);
    assert!(connections.is_empty());
}

#[tokio::test]
async fn one_address_gets_only_its_share() {
    let mut limits = Limits::default();
    limits.connections_per_ip = Some(1);
    let bound = server(limits).bind(loopback()).unwrap();
    let addr = bound.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(bound.run(shutdown.clone()));

    let mut first = TcpStream::connect(addr).await.unwrap();
    first.write_all(b"H\n").await.unwrap();
    let mut answer = [0; 6];
    first.read_exact(&mut answer).await.unwrap();
    let mut second = TcpStream::connect(addr).await.unwrap();
    // Closed at once: the end, or a reset.
    assert!(matches!(second.read(&mut answer).await, Ok(0) | Err(_)));
    drop(first);
    shutdown.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn bytes_that_a_drain_left_unread_do_not_reset_the_last_acknowledgement() {
    let mut limits = Limits::default();
    limits.in_flight = 1;
    limits.linger = Duration::from_millis(100);
    let shelf = Shelf::default();
    let bound = onto(shelf.clone(), limits).bind(loopback()).unwrap();
    let addr = bound.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(bound.run(shutdown.clone()));

    let mut device = TcpStream::connect(addr).await.unwrap();
    device.write_all(b"I 42\n").await.unwrap();
    device.read_exact(&mut [0; 8]).await.unwrap();
    shelf.hold();
    device.write_all(b"D one\n").await.unwrap();
    while shelf.envelopes().len() < 2 {
        tokio::task::yield_now().await;
    }
    // At the bound: nobody reads this.
    device.write_all(b"D late\n").await.unwrap();
    shutdown.cancel();
    shelf.release();
    let mut rest = Vec::new();
    device.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"stored one\n");
    // Some systems forget what they have not read yet when a reset arrives: there was none.
    running.await.unwrap();
    assert!(device.take_error().unwrap().is_none());
    assert_eq!(shelf.envelopes().len(), 2);
}
