//! What an idle, logged-in TCP connection costs: the growth of the server's resident memory from
//! 1,000 to 10,000 connections, per connection, beside bare tokio tasks that hold a socket.
//!
//! `cargo bench -p milepost-listener --bench idle_memory`. Linux only (`/proc`). The server is a process
//! of its own, so that the client's sockets are not counted. Needs 10,100 file descriptors
//! (`ulimit -n`); ask for fewer connections with `IDLE_CONNECTIONS=5000`.
#![allow(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use milepost_listener::{AcceptAll, NotDelivered, Server, protocols::Gt06};
use milepost_telemetry::{Envelope, Tenant};
use tokio_util::sync::CancellationToken;

const FIRST: usize = 1_000;

fn main() {
    match std::env::var("IDLE_SERVER").as_deref() {
        Ok("listener") => serve(true),
        Ok("bare") => serve(false),
        _ if std::env::args().any(|a| a == "--bench") => compare(),
        // `cargo test` builds and runs benchmarks too: nothing to do then.
        _ => {}
    }
}

fn compare() {
    let last = std::env::var("IDLE_CONNECTIONS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(10_000);
    println!("idle connections, growth of resident memory from {FIRST} to {last}:");
    let bare = measure("bare", last);
    println!("  bare tokio task     {bare:>6.0} bytes per connection");
    let ours = measure("listener", last);
    println!("  listener, logged in {ours:>6.0} bytes per connection (goal: at most 2500)");
    println!("  ratio               {:>6.2}", ours / bare);
}

fn measure(kind: &str, last: usize) -> f64 {
    let mut server = Command::new(std::env::current_exe().unwrap())
        .env("IDLE_SERVER", kind)
        .stdout(Stdio::piped())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let addr: SocketAddr = line.trim().parse().unwrap();

    let mut connections = Vec::new();
    connect(&mut connections, FIRST, addr);
    let before = resident(&server);
    connect(&mut connections, last, addr);
    let after = resident(&server);
    server.kill().unwrap();
    server.wait().unwrap();
    (after - before) / (last - FIRST) as f64
}

/// Connects, logs in, reports once, until there are `total`.
fn connect(connections: &mut Vec<TcpStream>, total: usize, addr: SocketAddr) {
    while connections.len() < total {
        let mut device = TcpStream::connect(addr).unwrap();
        device.write_all(&common::login(connections.len())).unwrap();
        // The answer to a login, from both servers.
        let mut answer = [0; 10];
        device.read_exact(&mut answer).unwrap();
        device
            .write_all(&common::location(connections.len()))
            .unwrap();
        connections.push(device);
    }
    std::thread::sleep(Duration::from_secs(2));
}

fn resident(server: &Child) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<f64>()
        .unwrap()
        * 1_024.0
}

#[tokio::main]
async fn serve(ours: bool) {
    let addr = SocketAddr::from(([127, 0, 0, 1], 0));
    if ours {
        let registry = AcceptAll(Tenant::new("bench").unwrap());
        let server = Server::new(Gt06::default(), registry, |_: Envelope| async {
            Ok::<(), NotDelivered>(())
        })
        .bind(addr)
        .unwrap();
        println!("{}", server.local_addr().unwrap());
        server.run(CancellationToken::new()).await;
    } else {
        let listener = tokio::net::TcpListener::bind(addr).await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(common::bare(stream, drop));
        }
    }
}
