//! Attacks on the running binary, each beside an honest device whose heartbeats and alarms are
//! measured: idle, during the attack and after it. At most three minutes in all.
//!
//! Fails only on what cannot be noise on a busy machine: a heartbeat answered later than 2 s, an
//! alarm later than 5 s, an end of the process, more memory than the bound, an acknowledged alarm
//! that is not stored. The figures are printed: `cargo test --test hostile -- --nocapture`.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use support::tracker::{Tracker, alarm, frame, heartbeat, location, login, long_frame};
use support::{Server, Start};

/// How long each attack lasts.
const LASTS: Duration = Duration::from_secs(6);
/// And how long after it the honest device is still measured.
const AFTER: Duration = Duration::from_secs(3);
/// Never later than this, on any machine.
const HEARTBEAT: Duration = Duration::from_secs(2);
const ALARM: Duration = Duration::from_secs(5);
/// The most memory that may ever have been resident, in KiB.
const MEMORY_KIB: u64 = 512 * 1024;
const HONEST: &str = "752533678900242";

// ---- one honest device ----

/// Answers' times of an honest device, and the alarms that were acknowledged.
#[derive(Default)]
struct Seen {
    heartbeats: Vec<Duration>,
    alarms: Vec<Duration>,
    acknowledged: BTreeSet<u32>,
    /// The connection broke, or an answer did not come in time.
    lost: Option<String>,
}

struct Honest {
    address: SocketAddr,
    serial: u16,
    second: u32,
}

impl Honest {
    /// Measures for so long, a heartbeat and an alarm every tenth of a second. A connection that
    /// the server closes is made anew, as a device does, and the time goes on.
    fn measure(&mut self, during: Duration) -> Seen {
        let mut seen = Seen::default();
        let until = Instant::now() + during;
        let mut tracker = None;
        while Instant::now() < until {
            let Some(connection) = tracker.as_mut() else {
                tracker = Tracker::try_login(self.address, HONEST, ALARM);
                if tracker.is_none() {
                    seen.lost
                        .get_or_insert_with(|| "a login was not answered".to_owned());
                }
                self.serial = 1;
                continue;
            };
            if !self.round(connection, &mut seen) {
                tracker = None;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        seen
    }

    fn round(&mut self, tracker: &mut Tracker, seen: &mut Seen) -> bool {
        self.serial = self.serial % 60_000 + 1;
        let sent = Instant::now();
        if !tracker.asks(&heartbeat(self.serial), &frame(0x13, &[], self.serial)) {
            seen.lost
                .get_or_insert_with(|| "a heartbeat was not answered".to_owned());
            return false;
        }
        seen.heartbeats.push(sent.elapsed());
        self.serial += 1;
        self.second += 1;
        let sent = Instant::now();
        let reply = frame(0x16, &[], self.serial);
        if !tracker.asks(&alarm(self.second, self.serial), &reply) {
            seen.lost
                .get_or_insert_with(|| "an alarm was not acknowledged".to_owned());
            return false;
        }
        seen.alarms.push(sent.elapsed());
        seen.acknowledged.insert(self.second);
        true
    }
}

// ---- attacks ----

/// An attack at work; it stops when `on` is false.
type Attack = fn(&Server, Arc<AtomicBool>) -> Vec<JoinHandle<()>>;

/// 1: standard error is a pipe that nobody reads, and strangers cause lines.
fn lines_of_the_log(server: &Server, on: Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let (http, gt06) = (server.http, server.gt06);
    vec![repeat(on, move || {
        for address in [http, gt06] {
            if let Ok(mut stream) = TcpStream::connect(address) {
                drop(stream.write_all(b"GET what HTTP/9\r\n\r\n"));
            }
        }
    })]
}

/// 2: the files of the store are removed while they are open.
fn store_under_its_feet(server: &Server, _: Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    for file in ["milepost.sqlite", "milepost.sqlite-wal"] {
        std::fs::remove_file(server.data_dir.join(file)).unwrap();
    }
    Vec::new()
}

/// 3: many connections, all with valid locations, as fast as they can.
fn locations(server: &Server, on: Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    const CONNECTIONS: u32 = 1_000;
    let address = server.gt06;
    let streams: Vec<TcpStream> = (0..CONNECTIONS)
        .map_while(|n| {
            // Fewer where the system allows fewer files.
            let mut stream = TcpStream::connect(address).ok()?;
            stream.write_all(&login(&id(n), 1)).ok()?;
            stream.set_nonblocking(true).ok()?;
            Some(stream)
        })
        .collect();
    println!("    {} connections flood", streams.len());
    vec![flood(on, streams, |n| location(n, 1))]
}

/// 4: data without a login.
fn before_the_login(server: &Server, on: Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let address = server.gt06;
    let flood = move || {
        let Ok(mut stream) = TcpStream::connect(address) else {
            return;
        };
        drop(stream.set_write_timeout(Some(Duration::from_secs(1))));
        for n in 0..1_000 {
            if stream.write_all(&location(n, 1)).is_err() {
                break;
            }
        }
    };
    vec![repeat(Arc::clone(&on), flood), repeat(on, flood)]
}

/// 5: frames that claim 64 KiB and do not end; of half of the connections after a login.
fn unfinished_frames(server: &Server, on: Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    const FROM_EACH: u32 = 3_000;
    let mut start = vec![0x79, 0x79, 0xff, 0xff];
    start.resize(65_000, 0x55);
    let of_each = |network: u8| {
        let (on, start, address) = (Arc::clone(&on), start.clone(), server.gt06);
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for n in 0..FROM_EACH {
                if !on.load(Ordering::Relaxed) {
                    break;
                }
                // Until there are no more files, here or there.
                let Some(mut tracker) = Tracker::try_connect_from([127, 0, network, 1], address)
                else {
                    break;
                };
                if network.is_multiple_of(2) {
                    drop(tracker.try_send(&login(&id(u32::from(network) * FROM_EACH + n), 1)));
                }
                drop(tracker.try_send(&start));
                kept.push(tracker);
            }
            println!("    {} connections with an unfinished frame", kept.len());
            while on.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(50));
            }
        })
    };
    (1..=4).map(of_each).collect()
}

/// 5: whole frames of 64 KiB that mean nothing, over and over.
fn unknown_frames(server: &Server, on: Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    const CONNECTIONS: u32 = 1_000;
    let address = server.gt06;
    vec![std::thread::spawn(move || {
        let mut streams: Vec<TcpStream> = (0..CONNECTIONS)
            .map_while(|n| {
                let mut stream = TcpStream::connect(address).ok()?;
                stream.write_all(&login(&id(n), 1)).ok()?;
                stream.set_nonblocking(true).ok()?;
                Some(stream)
            })
            .collect();
        println!("    {} connections with unknown frames", streams.len());
        let unknown = long_frame(0xee, &[0x55; 60_000], 7);
        let mut written = vec![0; streams.len()];
        while on.load(Ordering::Relaxed) {
            let mut idle = true;
            for (stream, written) in streams.iter_mut().zip(&mut written) {
                if let Ok(n @ 1..) = stream.write(&unknown[*written..]) {
                    *written = (*written + n) % unknown.len();
                    idle = false;
                }
            }
            if idle {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    })]
}

/// 6: others log in as the honest device, from another network, 20 times a second, and report.
fn impostor(server: &Server, on: Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let address = server.gt06;
    let mut kept = Vec::new();
    let mut second = 40_000;
    vec![repeat(on, move || {
        let mut tracker = Tracker::connect_from([127, 9, 9, 9], address);
        drop(tracker.try_send(&login(HONEST, 1)));
        for serial in 2..12 {
            second += 1;
            drop(tracker.try_send(&location(second, serial)));
        }
        kept.push(tracker);
        if kept.len() > 100 {
            kept.remove(0);
        }
        std::thread::sleep(Duration::from_millis(50));
    })]
}

/// Valid ids of others.
fn id(n: u32) -> String {
    format!("86000000{n:07}")
}

fn repeat(on: Arc<AtomicBool>, mut what: impl FnMut() + Send + 'static) -> JoinHandle<()> {
    std::thread::spawn(move || {
        while on.load(Ordering::Relaxed) {
            what();
        }
    })
}

/// Writes frames to all streams, each as fast as it takes them.
fn flood(
    on: Arc<AtomicBool>,
    mut streams: Vec<TcpStream>,
    frames: fn(u32) -> Vec<u8>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut second = 0;
        let mut left: Vec<Vec<u8>> = vec![Vec::new(); streams.len()];
        while on.load(Ordering::Relaxed) {
            let mut idle = true;
            for (stream, left) in streams.iter_mut().zip(&mut left) {
                if left.is_empty() {
                    for _ in 0..20 {
                        second += 1;
                        left.extend(frames(second));
                    }
                }
                if let Ok(written @ 1..) = stream.write(left) {
                    left.drain(..written);
                    idle = false;
                }
            }
            if idle {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    })
}

// ---- the run ----

struct Case {
    name: &'static str,
    /// Whether nothing may be acknowledged any more.
    without_store: bool,
    attack: Attack,
    start: fn() -> (Server, Option<std::io::PipeReader>),
}

fn plain() -> (Server, Option<std::io::PipeReader>) {
    (Server::start(), None)
}

fn with_unread_log() -> (Server, Option<std::io::PipeReader>) {
    let (reader, writer) = std::io::pipe().unwrap();
    let server = Start::default()
        .env("MILEPOST_LOG_LEVEL", "debug")
        .stderr(OwnedFd::from(writer))
        .start();
    (server, Some(reader))
}

const CASES: &[Case] = &[
    Case {
        name: "lines of the log",
        without_store: false,
        attack: lines_of_the_log,
        start: with_unread_log,
    },
    Case {
        name: "the store under its feet",
        without_store: true,
        attack: store_under_its_feet,
        start: plain,
    },
    Case {
        name: "a flood of locations",
        without_store: false,
        attack: locations,
        start: plain,
    },
    Case {
        name: "a flood before the login",
        without_store: false,
        attack: before_the_login,
        start: || {
            let refuse = "[devices]\nunknown = 'refuse'\n[[device]]\nid = '752533678900242'\n";
            (Start::default().config(refuse).start(), None)
        },
    },
    Case {
        name: "memory in unfinished frames",
        without_store: false,
        attack: unfinished_frames,
        start: plain,
    },
    Case {
        name: "memory in unknown frames",
        without_store: false,
        attack: unknown_frames,
        start: plain,
    },
    Case {
        name: "an impostor",
        without_store: false,
        attack: impostor,
        start: plain,
    },
];

#[test]
fn under_attack_an_honest_device_is_answered_and_nothing_acknowledged_is_lost() {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let mut failed = Vec::new();
    // For figures of one attack alone: `MILEPOST_ATTACK="a flood of locations"`.
    let only = std::env::var("MILEPOST_ATTACK").ok();
    let chosen = |case: &&Case| only.as_ref().is_none_or(|only| case.name == only);
    for case in CASES.iter().filter(chosen) {
        let faults = run(case);
        for fault in &faults {
            println!("    {fault}");
        }
        let faults = faults.into_iter();
        failed.extend(faults.map(|fault| format!("{}: {fault}", case.name)));
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

fn run(case: &Case) -> Vec<String> {
    let (mut server, log) = (case.start)();
    let mut honest = Honest {
        address: server.gt06,
        serial: 1,
        second: 0,
    };
    println!("{}", case.name);
    let idle = honest.measure(Duration::from_secs(2));
    print("idle", &idle);
    let on = Arc::new(AtomicBool::new(true));
    let attackers = (case.attack)(&server, Arc::clone(&on));
    if case.without_store {
        return without_store(&mut server, &mut honest);
    }
    let attacked = honest.measure(LASTS);
    print("attacked", &attacked);
    on.store(false, Ordering::Relaxed);
    for attacker in attackers {
        attacker.join().unwrap();
    }
    let after = honest.measure(AFTER);
    print("after", &after);

    let mut faults = Vec::new();
    for (when, seen) in [("idle", &idle), ("attacked", &attacked), ("after", &after)] {
        faults.extend(judge(when, seen));
    }
    match memory_kib(&server) {
        Some(kib) if kib <= MEMORY_KIB => println!("    memory: at most {} MiB", kib / 1024),
        Some(kib) => faults.push(format!("memory: {} MiB", kib / 1024)),
        None => faults.push("the server has ended".to_owned()),
    }
    faults.extend(lost(&mut server, &[&idle, &attacked, &after]));
    drop(log);
    faults
}

/// Nothing is acknowledged, the server is not ready and says why, and ends with an error.
fn without_store(server: &mut Server, honest: &mut Honest) -> Vec<String> {
    let mut faults = Vec::new();
    let seen = honest.measure(Duration::from_secs(1));
    print("attacked", &seen);
    if !seen.alarms.is_empty() {
        let told = seen.alarms.len();
        faults.push(format!(
            "{told} alarms were acknowledged with the store gone"
        ));
    }
    let unready = server.until("/readyz", |answer| answer.status == 503);
    println!("    {}", unready.body.trim());
    if !unready.body.contains("store") {
        faults.push(format!("not ready for another reason: {}", unready.body));
    }
    let status = server.wait();
    if status.code() != Some(1) {
        faults.push(format!("it ended with {status}"));
    }
    faults
}

fn print(when: &str, seen: &Seen) {
    let line = |mut times: Vec<Duration>| {
        times.sort_unstable();
        let at = |share: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "an index"
            )]
            let index = (share * times.len() as f64) as usize;
            times
                .get(index.min(times.len().saturating_sub(1)))
                .copied()
                .unwrap_or_default()
        };
        format!("p50 {:?} p99 {:?} of {}", at(0.5), at(0.99), times.len())
    };
    println!(
        "    {when:9} hb {}; alarm {}",
        line(seen.heartbeats.clone()),
        line(seen.alarms.clone())
    );
}

fn judge(when: &str, seen: &Seen) -> Vec<String> {
    let mut faults: Vec<String> = seen
        .lost
        .iter()
        .map(|lost| format!("{when}: {lost}"))
        .collect();
    for (what, times, most) in [
        ("heartbeat", &seen.heartbeats, HEARTBEAT),
        ("alarm", &seen.alarms, ALARM),
    ] {
        if let Some(worst) = times.iter().max().filter(|worst| **worst > most) {
            faults.push(format!("{when}: a {what} was answered after {worst:?}"));
        }
    }
    faults
}

/// The most that was ever resident.
fn memory_kib(server: &Server) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// Kills the server, starts another on its store, and looks for every alarm that was acknowledged.
fn lost(server: &mut Server, seen: &[&Seen]) -> Vec<String> {
    server.signal("KILL");
    server.wait();
    let again = Start::default().data_dir(&server.data_dir).start();
    let mut stored = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/devices/{HONEST}/history?limit=1000&raw=1{cursor}");
        let answer = again.get(&path);
        if answer.status == 404 {
            break;
        }
        let page = answer.json();
        for report in page["reports"].as_array().unwrap() {
            if report["kind"] == "alarm" {
                stored.insert(report["time"].as_str().unwrap().to_owned());
            }
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let acknowledged = seen.iter().flat_map(|seen| &seen.acknowledged);
    let time = |n: u32| {
        let (hour, minute, second) = (n / 3600, n / 60 % 60, n % 60);
        format!("2026-11-20T{hour:02}:{minute:02}:{second:02}Z")
    };
    let missing = acknowledged
        .filter(|n| !stored.contains(&time(**n)))
        .count();
    match missing {
        0 => Vec::new(),
        missing => vec![format!("{missing} acknowledged alarms are not stored")],
    }
}
