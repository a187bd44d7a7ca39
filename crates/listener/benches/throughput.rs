//! Frames per second over loopback, one write per frame: full GT06 decoding and a `Deliver` that
//! does nothing, beside a bare tokio read loop under the same load.
//!
//! `cargo bench -p milepost-listener --bench throughput`. Linux only (`/proc`). The server is a process of
//! its own, so that its processor time can be told from the client's: on a small machine the
//! client's writes cost more than the server's reads. With 1,000 connections the client waits
//! after each round of one frame per connection until the server has handled them, so each read
//! brings one frame; with one connection it writes on, and reads bring several.
#![allow(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use milepost_listener::{AcceptAll, Limits, NotDelivered, Server, protocols::Gt06};
use milepost_telemetry::{Envelope, Tenant};
use tokio_util::sync::CancellationToken;

/// Frames between two signs of the server's progress.
const ROUND: u64 = 1_000;
const ROUNDS: u64 = 300;
const REPEATS: usize = 5;

fn main() {
    match std::env::var("THROUGHPUT_SERVER").as_deref() {
        Ok("listener") => serve(true),
        Ok("bare") => serve(false),
        _ if std::env::args().any(|a| a == "--bench") => {
            compare(1);
            compare(1_000);
        }
        // `cargo test` builds and runs benchmarks too: nothing to do then.
        _ => {}
    }
}

#[derive(Clone, Copy)]
struct Figures {
    per_second: f64,
    per_core_second: f64,
}

fn compare(connections: usize) {
    let mut bare = Vec::new();
    let mut ours = Vec::new();
    for _ in 0..REPEATS {
        bare.push(measure("bare", connections));
        ours.push(measure("listener", connections));
    }
    let (bare, ours) = (median(bare), median(ours));
    println!("{connections} connection(s), medians of {REPEATS}, thousand frames per second");
    println!("                 wall clock    server's core-seconds");
    for (name, f) in [("bare loop", bare), ("listener", ours)] {
        println!(
            "  {name:<12} {:>10.1} {:>16.1}",
            f.per_second / 1e3,
            f.per_core_second / 1e3
        );
    }
    println!(
        "  {:<12} {:>9.0}% {:>15.0}%",
        "ratio",
        100.0 * ours.per_second / bare.per_second,
        100.0 * ours.per_core_second / bare.per_core_second
    );
}

fn median(mut figures: Vec<Figures>) -> Figures {
    let mut middle = |key: fn(&Figures) -> f64| {
        figures.sort_by(|a, b| key(a).total_cmp(&key(b)));
        key(&figures[figures.len() / 2])
    };
    Figures {
        per_second: middle(|f| f.per_second),
        per_core_second: middle(|f| f.per_core_second),
    }
}

fn measure(kind: &str, connections: usize) -> Figures {
    let mut server = Command::new(std::env::current_exe().unwrap())
        .env("THROUGHPUT_SERVER", kind)
        .env("THROUGHPUT_LOGINS", connections.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut progress = BufReader::new(server.stdout.take().unwrap());
    let mut line = String::new();
    progress.read_line(&mut line).unwrap();
    let addr: SocketAddr = line.trim().parse().unwrap();

    let mut devices: Vec<_> = (0..connections)
        .map(|n| {
            let mut device = TcpStream::connect(addr).unwrap();
            device.set_nodelay(true).unwrap();
            device.write_all(&common::login(n)).unwrap();
            device.read_exact(&mut [0; 10]).unwrap();
            device
        })
        .collect();
    let frames: Vec<_> = (0..3_600).map(common::location).collect();

    let cpu = processor_time(&server);
    let start = Instant::now();
    let mut sign = [0];
    for (round, frame) in (0..ROUNDS).zip(frames.iter().cycle()) {
        for n in 0..usize::try_from(ROUND).unwrap() {
            let at = n % devices.len();
            devices[at].write_all(frame).unwrap();
        }
        // One connection may run ahead; many are in step.
        if connections > 1 || round + 1 == ROUNDS {
            let due = if connections > 1 { 1 } else { ROUNDS };
            for _ in 0..due {
                progress.read_exact(&mut sign).unwrap();
            }
        }
    }
    let wall = start.elapsed().as_secs_f64();
    let cpu = processor_time(&server) - cpu;
    server.kill().unwrap();
    server.wait().unwrap();
    let frames = (ROUND * ROUNDS) as f64;
    Figures {
        per_second: frames / wall,
        per_core_second: frames / cpu,
    }
}

/// User and system time of a process in seconds; `/proc` counts in hundredths.
fn processor_time(server: &Child) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.id())).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|f| f.parse::<f64>().unwrap())
        .sum();
    ticks / 100.0
}

/// Counts what was handled after the logins, and tells the client after each round.
struct Progress {
    handled: AtomicU64,
    logins: u64,
}

impl Progress {
    fn add(&self, n: u64) {
        let before = self.handled.fetch_add(n, Ordering::Relaxed);
        let rounds = |handled: u64| handled.saturating_sub(self.logins) / ROUND;
        for _ in rounds(before)..rounds(before + n) {
            let mut out = std::io::stdout().lock();
            out.write_all(b".").unwrap();
            out.flush().unwrap();
        }
    }
}

#[tokio::main]
async fn serve(ours: bool) {
    let logins = std::env::var("THROUGHPUT_LOGINS").unwrap().parse().unwrap();
    let addr = SocketAddr::from(([127, 0, 0, 1], 0));
    if ours {
        let progress = Arc::new(Progress {
            handled: AtomicU64::new(0),
            logins,
        });
        let registry = AcceptAll(Tenant::new("bench").unwrap());
        let mut limits = Limits::default();
        // It is the machine's limit that is measured.
        limits.rate = None;
        let server = Server::new(Gt06::default(), registry, move |envelope: Envelope| {
            drop(envelope);
            progress.add(1);
            async { Ok::<(), NotDelivered>(()) }
        })
        .limits(limits)
        .bind(addr)
        .unwrap();
        println!("{}", server.local_addr().unwrap());
        server.run(CancellationToken::new()).await;
    } else {
        let login = common::login(0).len() as u64;
        let location = common::location(0).len() as u64;
        let progress = Arc::new(Progress {
            handled: AtomicU64::new(0),
            logins,
        });
        let listener = tokio::net::TcpListener::bind(addr).await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let progress = Arc::clone(&progress);
            tokio::spawn(async move {
                // Bytes stand for frames: reads may cut them anywhere.
                let bytes = AtomicU64::new(0);
                common::bare(stream, |n| {
                    let before = bytes.fetch_add(n as u64, Ordering::Relaxed);
                    let frames = |bytes: u64| match bytes.checked_sub(login) {
                        Some(rest) => 1 + rest / location,
                        None => 0,
                    };
                    progress.add(frames(before + n as u64) - frames(before));
                })
                .await;
            });
        }
    }
}
