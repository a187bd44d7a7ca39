//! A fleet of real processes against real servers: `services/up && services/env cargo test
//! -p milepost --features fleet --test fleet -- --ignored`.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use milepost_pipeline::sink::redis::{LastKnown, LastKnownOptions, RedisUrl};
use milepost_pipeline::sink::timescale::{DatabaseUrl, Reader, Schema};
use milepost_simulate::ledger::{self, Comparison, LedgerAudit};
use milepost_telemetry::{DeviceKey, Tenant};
use support::milepost;

/// How much is broken: `MILEPOST_CHAOS=all` for all, which takes about six minutes more.
const CHAOS: &str = "MILEPOST_CHAOS";

/// One at a time: chaos stops the servers of all.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn server(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run services/up and services/env"))
}

/// A process; killed when it is dropped.
struct Process {
    child: Child,
    ready: String,
}

impl Process {
    /// Starts a role, and waits until it says that it is ready.
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        lines.read_line(&mut ready).unwrap();
        assert!(ready.contains("is ready"), "{command:?} said {ready:?}");
        // Whatever else it says must not fill the pipe.
        std::thread::spawn(move || lines.read_to_string(&mut String::new()));
        Self { child, ready }
    }

    fn address_after(&self, word: &str) -> String {
        let (_, rest) = self.ready.split_once(word).unwrap();
        let end = rest.find([',', '\n']).unwrap_or(rest.len());
        rest[..end].trim().to_owned()
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let done = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(done.success());
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn end(mut self) {
        self.signal("-TERM");
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{}: {status}", self.ready);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.child.kill().is_err();
        let _waited = self.child.wait().is_err();
    }
}

/// What the processes of one fleet share.
struct Fleet {
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
    database: DatabaseUrl,
    url: String,
    prefix: String,
    client: tokio_postgres::Client,
}

impl Fleet {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let nanos = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let prefix = format!("fleet_{nanos}");
        let base = server("MILEPOST_TEST_DATABASE");
        let (before, _) = base.rsplit_once('/').unwrap();
        let url = format!("{before}/{prefix}");
        let admin = connect(&runtime, &base);
        runtime
            .block_on(admin.batch_execute(&format!("CREATE DATABASE {prefix}")))
            .unwrap();
        let migrated = milepost()
            .args(["migrate", "--database", &url])
            .output()
            .unwrap();
        assert!(migrated.status.success(), "{migrated:?}");
        let client = connect(&runtime, &url);
        runtime
            .block_on(client.batch_execute("SET search_path = milepost, public"))
            .unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            database: url.parse().unwrap(),
            url,
            prefix,
            client,
            runtime,
        }
    }

    fn role(&self, role: &str) -> Command {
        let mut command = milepost();
        command
            .arg(role)
            .args(["--kafka", &server("MILEPOST_TEST_KAFKA")])
            .args(["--database", &self.url])
            .args(["--redis", &server("MILEPOST_TEST_REDIS")])
            .env("MILEPOST_KAFKA_TOPIC_PREFIX", &self.prefix)
            .env("MILEPOST_KAFKA_GROUP", &self.prefix)
            .env("MILEPOST_KAFKA_PARTITIONS", "4")
            .env("MILEPOST_DEVICES_TENANT", &self.prefix[..20])
            .env("MILEPOST_GT06_ACKNOWLEDGE_LOCATIONS", "always");
        command
    }

    fn gateway(&self, address: &str) -> Process {
        self.gateway_named("gateway", address)
    }

    fn gateway_named(&self, name: &str, address: &str) -> Process {
        let data = self.folder.path().join(name);
        // A full disk is a limit on the size of files, which a signal would tell otherwise.
        let mut role = ignoring_file_size_signal(&self.role("gateway"));
        role.env("MILEPOST_GATEWAY_NAME", name);
        role.args(["--gt06", address, "--http", "127.0.0.1:0"]);
        role.args(["--ais140", "off", "--j1939", "off"]);
        role.env("MILEPOST_J1939_UDP", "off");
        Process::start(role.arg("--data-dir").arg(data))
    }

    fn worker(&self) -> Process {
        Process::start(self.role("worker").args(["--http", "127.0.0.1:0"]))
    }

    fn simulate(&self, gateway: &str, devices: u32, seconds: u32) -> (Child, PathBuf) {
        let ledger = self.folder.path().join("ledger.jsonl");
        let child = milepost()
            .args(["simulate", "--quiet", "--server", gateway])
            .args(["-n", &devices.to_string()])
            .args(["--duration", &format!("{seconds}s"), "--interval", "200ms"])
            .args(["--ack-locations", "1", "--grace", "40s"])
            .args(["--tenant", &self.prefix[..20]])
            .arg("--ledger")
            .arg(&ledger)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        (child, ledger)
    }

    fn number(&self, query: &str) -> i64 {
        // The server may have been killed meanwhile.
        let row = self.runtime.block_on(self.client.query_one(query, &[]));
        match row {
            Ok(row) => row.get(0),
            Err(_) => {
                let client = connect(&self.runtime, &self.url);
                let set = client.batch_execute("SET search_path = milepost, public");
                self.runtime.block_on(set).unwrap();
                let row = self.runtime.block_on(client.query_one(query, &[]));
                row.unwrap().get(0)
            }
        }
    }

    fn bucket(&self, bucket: &str) -> i64 {
        self.number(&format!(
            "SELECT coalesce(sum(frames), 0)::bigint FROM audit WHERE bucket = '{bucket}'"
        ))
    }

    /// Waits until nothing more comes for a while.
    fn settle(&self) {
        let all = "SELECT coalesce(sum(frames), 0)::bigint FROM audit";
        let deadline = Instant::now() + Duration::from_secs(60);
        let (mut last, mut since) = (-1, Instant::now());
        while since.elapsed() < Duration::from_secs(4) {
            assert!(Instant::now() < deadline, "the lag does not drain");
            let now = self.number(all);
            if now != last {
                (last, since) = (now, Instant::now());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn compare(&self, path: &Path) -> LedgerAudit {
        let mut comparison = Comparison::default();
        let mut devices = std::collections::BTreeSet::new();
        for entry in ledger::read(BufReader::new(std::fs::File::open(path).unwrap())) {
            let entry = entry.unwrap();
            devices.insert(entry.device);
            comparison.entry(&entry);
        }
        let tenant = Tenant::new(&self.prefix[..20]).unwrap();
        self.runtime.block_on(async {
            let mut reader = Reader::connect(&self.database, &Schema::default())
                .await
                .unwrap();
            for device in devices {
                let key = DeviceKey { tenant, device };
                let mut after = None;
                loop {
                    let page = reader
                        .history(&key, None, None, after, 1_000)
                        .await
                        .unwrap();
                    for report in &page {
                        comparison.stored(device, report.id, None);
                    }
                    let Some(last) = page.last() else { break };
                    let id = u128::from_be_bytes(*last.id.as_bytes());
                    after = Some((last.time.as_millis(), id));
                }
            }
        });
        comparison.finish()
    }

    /// From the first sending of a fact to the writing of its row, which a commit of the batch follows.
    fn latency(&self, path: &Path) -> String {
        let mut sent = std::collections::HashMap::new();
        let mut span = (i64::MAX, 0);
        for entry in ledger::read(BufReader::new(std::fs::File::open(path).unwrap())) {
            let entry = entry.unwrap();
            let (Some(key), ledger::What::Sent) = (entry.key, entry.event) else {
                continue;
            };
            let at = entry.t.as_millis();
            span = (span.0.min(at), span.1.max(at));
            sent.entry(*key.as_bytes()).or_insert(at);
        }
        let rows = self.runtime.block_on(self.client.query(
            "SELECT uuid_send(id), (extract(epoch FROM stored_at) * 1000)::bigint FROM report",
            &[],
        ));
        let mut times = Vec::new();
        for row in rows.unwrap() {
            let id: Vec<u8> = row.get(0);
            let id: [u8; 16] = id.try_into().unwrap();
            if let Some(sent) = sent.get(&id) {
                times.push(row.get::<_, i64>(1) - sent);
            }
        }
        times.sort_unstable();
        let at = |share: usize| times[(times.len() - 1) * share / 1_000];
        let seconds = (span.1 - span.0).max(1) as f64 / 1_000.0;
        format!(
            "{} facts sent in {seconds:.0} s ({:.0} a second); sent to stored: p50 {} ms, p99 {} ms, \
             most {} ms",
            sent.len(),
            sent.len() as f64 / seconds,
            at(500),
            at(990),
            at(1_000),
        )
    }

    /// Reads states from Redis, so many a second; says how long that took.
    fn read_states(&self, devices: u32, rate: u32, seconds: u32) -> String {
        let tenant = Tenant::new(&self.prefix[..20]).unwrap();
        let url: RedisUrl = server("MILEPOST_TEST_REDIS").parse().unwrap();
        self.runtime.block_on(async {
            let mut redis = LastKnown::connect(&url, LastKnownOptions::default())
                .await
                .unwrap();
            let mut times = Vec::new();
            let mut found = 0;
            let mut next = tokio::time::interval(Duration::from_secs(1) / rate);
            for n in 0..rate * seconds {
                next.tick().await;
                let device = imei(u64::from(n * 7 % devices));
                let key = DeviceKey {
                    tenant,
                    device: device.parse().unwrap(),
                };
                let begun = Instant::now();
                found += u32::from(redis.read(&key).await.unwrap().is_some());
                times.push(begun.elapsed());
            }
            times.sort();
            let at = |share: usize| times[(times.len() - 1) * share / 1_000];
            format!(
                "{} reads, {found} found, p50 {:?}, p99 {:?}",
                times.len(),
                at(500),
                at(990)
            )
        })
    }

    fn report(&self, what: &str, audit: &LedgerAudit) {
        println!(
            "{what}: sent {} (again {}), acknowledged {}, stored {}, repeats removed {}, lost = {}",
            audit.facts,
            audit.sent_again,
            audit.acknowledged,
            audit.stored,
            self.bucket("duplicate"),
            audit.acknowledged_missing
        );
    }
}

/// The number of a simulated tracker, with its check digit.
fn imei(n: u64) -> String {
    let body = 499_901_000_000 + n;
    let digits = format!("{body:014}");
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0') * if place % 2 == 0 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

fn connect(runtime: &tokio::runtime::Runtime, url: &str) -> tokio_postgres::Client {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match runtime.block_on(tokio_postgres::connect(url, tokio_postgres::NoTls)) {
            Ok((client, connection)) => {
                runtime.spawn(connection);
                return client;
            }
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn get(address: &str, path: &str) -> String {
    use std::io::Write as _;
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
#[ignore = "needs services/up"]
fn a_gateway_two_workers_and_an_api_store_each_frame_once() {
    let _alone = alone();
    let fleet = Fleet::new();
    let gateway = fleet.gateway("127.0.0.1:0");
    let (one, two) = (fleet.worker(), fleet.worker());
    let api = Process::start(fleet.role("api").args(["--http", "127.0.0.1:0"]));
    let (mut trackers, ledger) = fleet.simulate(&gateway.address_after("gt06 "), 40, 10);
    assert!(trackers.wait().unwrap().success());
    fleet.settle();
    let audit = fleet.compare(&ledger);
    fleet.report("quiet", &audit);
    assert!(audit.acknowledged > 500, "{audit:?}");
    assert_eq!(audit.acknowledged_missing, 0, "{audit:?}");
    assert_eq!(audit.unacknowledged_missing, 0, "{audit:?}");
    assert_eq!(audit.stored_twice, 0, "{audit:?}");

    let address = api.address_after("http://");
    let devices = get(&address, "/v1/devices?limit=100");
    assert!(devices.starts_with("HTTP/1.1 200"), "{devices}");
    assert!(get(&address, "/readyz").starts_with("HTTP/1.1 200"));
    gateway.end();
    one.end();
    two.end();
    api.end();
    // At its end a worker has stored the states of all devices.
    assert_eq!(fleet.number("SELECT count(*) FROM lane"), 40);
}

/// The same program with the same arguments and environment.
fn ignoring_file_size_signal(command: &Command) -> Command {
    let mut wrapped = Command::new("sh");
    wrapped.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    wrapped.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped
}

/// Something that goes on until it is asked for its result.
struct Watch<T> {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<T>,
}

impl<T: Send + 'static> Watch<T> {
    fn start(work: impl FnOnce(&AtomicBool) -> T + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        Self {
            stop,
            thread: std::thread::spawn(move || work(&stopped)),
        }
    }

    fn end(self) -> T {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap()
    }
}

/// Logs in at a gateway again and again; how often, and how often that took too long.
fn logins(address: String) -> Watch<(u32, u32)> {
    Watch::start(move |stop| {
        use std::io::Write as _;
        let (mut answered, mut failed) = (0, 0);
        while !stop.load(Ordering::Acquire) {
            let login = || -> std::io::Result<()> {
                let mut stream = std::net::TcpStream::connect(&address)?;
                stream.set_read_timeout(Some(Duration::from_secs(5)))?;
                let login = "78781101075253367890024270003201000512790d0a";
                stream.write_all(&hex::decode(login).unwrap())?;
                stream.read_exact(&mut [0; 10])
            };
            match login() {
                Ok(()) => answered += 1,
                Err(_) => failed += 1,
            }
            std::thread::sleep(Duration::from_millis(250));
        }
        (answered, failed)
    })
}

/// Reads last known states from Redis again and again; how many were read, and which went back.
fn last_known(fleet: &Fleet, devices: Vec<String>) -> Watch<(u64, Vec<String>)> {
    let tenant = Tenant::new(&fleet.prefix[..20]).unwrap();
    let url: RedisUrl = server("MILEPOST_TEST_REDIS").parse().unwrap();
    Watch::start(move |stop| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut newest = std::collections::BTreeMap::new();
        let (mut read, mut back) = (0, Vec::new());
        let mut connected = None;
        while !stop.load(Ordering::Acquire) {
            runtime.block_on(async {
                if connected.is_none() {
                    connected = LastKnown::connect(&url, LastKnownOptions::default())
                        .await
                        .ok();
                }
                let Some(redis) = &mut connected else { return };
                for device in &devices {
                    let key = DeviceKey {
                        tenant,
                        device: device.parse().unwrap(),
                    };
                    let Ok(Some(state)) = redis.read(&key).await else {
                        continue;
                    };
                    read += 1;
                    let latest: serde_json::Value = serde_json::from_str(&state.state).unwrap();
                    let time = latest["fix"]["time"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned();
                    let known = newest.entry(device.clone()).or_insert_with(String::new);
                    if time < *known {
                        back.push(format!("{device}: {known} to {time}"));
                    }
                    *known = time;
                }
            });
            std::thread::sleep(Duration::from_millis(300));
        }
        (read, back)
    })
}

fn services(program: &str, arguments: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let program = root.join("services").join(program);
    let done = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(done.success(), "{arguments:?}");
}

/// Brings every service back when a test ends, also when it fails: the next test needs them.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        for service in ["kafka", "postgres", "redis"] {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services");
            for (program, arguments) in [("signal", &[service, "cont"][..]), ("up", &[service])] {
                let begun = Command::new(root.join(program)).args(arguments).status();
                if !begun.is_ok_and(|status| status.success()) {
                    println!("{program} {arguments:?} failed");
                }
            }
        }
    }
}

#[test]
#[ignore = "needs services/up"]
fn nothing_acknowledged_is_lost_when_any_part_is_killed_or_hangs() {
    let _alone = alone();
    let _restored = Restored;
    let fleet = Fleet::new();
    // What a kill has to recover is then this test's own.
    fleet
        .runtime
        .block_on(fleet.client.batch_execute("CHECKPOINT"))
        .unwrap();
    let mut gateway = fleet.gateway("127.0.0.1:0");
    let address = gateway.address_after("gt06 ");
    let (mut one, two) = (fleet.worker(), fleet.worker());
    let (mut trackers, ledger) = fleet.simulate(&address, 60, 60);
    let pause = |seconds| std::thread::sleep(Duration::from_secs(seconds));
    pause(6);
    // kill -9 of a worker; another takes its place.
    one.kill();
    pause(5);
    one = fleet.worker();
    // kill -9 of the gateway; its spool goes on.
    gateway.kill();
    pause(1);
    gateway = fleet.gateway(&address);
    pause(5);
    services("signal", &["kafka", "kill"]);
    pause(2);
    services("up", &["kafka"]);
    pause(6);
    services("signal", &["postgres", "kill"]);
    pause(2);
    services("up", &["postgres"]);
    pause(6);
    // A hang of Kafka, and of a worker that loses its partitions and comes back.
    services("signal", &["kafka", "stop"]);
    pause(5);
    services("signal", &["kafka", "cont"]);
    two.signal("-STOP");
    pause(12);
    two.signal("-CONT");
    trackers.wait().unwrap();
    fleet.settle();
    let audit = fleet.compare(&ledger);
    fleet.report("chaos", &audit);
    assert!(audit.acknowledged > 1_000, "{audit:?}");
    assert_eq!(audit.acknowledged_missing, 0, "{audit:?}");
    assert_eq!(audit.stored_twice, 0, "{audit:?}");
    gateway.end();
    one.end();
    two.end();
}

/// What takes too long for each change: with `MILEPOST_CHAOS=all`.
#[test]
#[ignore = "needs services/up"]
fn nothing_acknowledged_is_lost_in_longer_outages() {
    if std::env::var(CHAOS).as_deref() != Ok("all") {
        println!("longer outages: left out; {CHAOS}=all runs them");
        return;
    }
    let _alone = alone();
    let _restored = Restored;
    let fleet = Fleet::new();
    let pause = |seconds| std::thread::sleep(Duration::from_secs(seconds));
    let stopped = |what: &str, stop: &dyn Fn(&str)| {
        println!("{what} hangs for 30 s");
        stop("stop");
        pause(30);
        stop("cont");
        pause(8);
    };

    // Kafka is away when the gateways start.
    services("signal", &["kafka", "kill"]);
    let gateway = fleet.gateway("127.0.0.1:0");
    let other = fleet.gateway_named("other", "127.0.0.1:0");
    let others = logins(other.address_after("gt06 "));
    let (mut trackers, ledger) = fleet.simulate(&gateway.address_after("gt06 "), 40, 270);
    pause(6);
    services("up", &["kafka"]);
    let one = fleet.worker();
    let two = fleet.worker();
    let devices = (0..40).map(imei).collect();
    let positions = last_known(&fleet, devices);
    pause(6);

    println!("kill -9 of Redis");
    services("signal", &["redis", "kill"]);
    pause(3);
    services("up", &["redis"]);
    pause(5);
    for service in ["redis", "postgres", "kafka"] {
        stopped(service, &|signal| services("signal", &[service, signal]));
    }
    stopped("a worker", &|signal| {
        one.signal(if signal == "stop" { "-STOP" } else { "-CONT" });
    });
    stopped("the gateway", &|signal| {
        gateway.signal(if signal == "stop" { "-STOP" } else { "-CONT" });
    });

    println!("a worker is added, another is killed for 15 s");
    let three = fleet.worker();
    pause(5);
    two.kill();
    pause(15);
    let two = fleet.worker();

    println!("the disk under the spool is full for 10 s");
    let limit = |size: &str| {
        let id = gateway.child.id().to_string();
        let size = format!("--fsize={size}:unlimited");
        let done = Command::new("prlimit").args(["--pid", &id, &size]).status();
        assert!(done.unwrap().success());
    };
    limit("4096");
    let http = gateway.address_after("http://");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !get(&http, "/readyz").contains("\"part\":\"spool\"") {
        assert!(Instant::now() < deadline, "{}", get(&http, "/readyz"));
        pause(1);
    }
    pause(5);
    limit("unlimited");

    trackers.wait().unwrap();
    fleet.settle();
    let audit = fleet.compare(&ledger);
    fleet.report("longer outages", &audit);
    let (answered, failed) = others.end();
    println!("logins at the other gateway: {answered} answered, {failed} not");
    let (read, back) = positions.end();
    println!("last known states: {read} read, {} went back", back.len());
    assert!(audit.acknowledged > 1_000, "{audit:?}");
    assert_eq!(audit.acknowledged_missing, 0, "{audit:?}");
    assert_eq!(audit.stored_twice, 0, "{audit:?}");
    assert!(answered > 500 && failed == 0, "{answered} and {failed}");
    assert!(read > 1_000, "{read}");
    assert!(back.is_empty(), "{back:?}");
    assert!(get(&http, "/readyz").starts_with("HTTP/1.1 200"));
    for process in [gateway, other, one, two, three] {
        process.end();
    }
}

/// How long the rows of a run took from the tracker to their commit, and how fast states are read.
///
/// `MILEPOST_LOAD="10000 10000 60"`: connections, reports a second, seconds. The build must be an
/// optimized one.
#[test]
#[ignore = "needs services/up"]
fn a_load_is_carried() {
    let Ok(load) = std::env::var("MILEPOST_LOAD") else {
        println!("load: left out; MILEPOST_LOAD=\"10000 10000 60\" runs it");
        return;
    };
    let load: Vec<u32> = load.split(' ').map(|n| n.parse().unwrap()).collect();
    let [connections, rate, seconds] = load[..] else {
        panic!("MILEPOST_LOAD: connections, reports a second, seconds");
    };
    let _alone = alone();
    let fleet = Fleet::new();
    let gateway = fleet.gateway("127.0.0.1:0");
    let (one, two) = (fleet.worker(), fleet.worker());
    let interval = u64::from(connections) * 1_000 / u64::from(rate);
    let path = fleet.folder.path().join("ledger.jsonl");
    let mut trackers = milepost()
        .args([
            "simulate",
            "--quiet",
            "--server",
            &gateway.address_after("gt06 "),
        ])
        .args(["-n", &connections.to_string()])
        .args(["--duration", &format!("{seconds}s")])
        .args(["--interval", &format!("{interval}ms")])
        .args(["--ramp", "10s", "--ack-locations", "1", "--grace", "40s"])
        .args(["--tenant", &fleet.prefix[..20]])
        .arg("--ledger")
        .arg(&path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(15));
    let reads = fleet.read_states(connections, 1_000, 10);
    assert!(trackers.wait().unwrap().success());
    fleet.settle();
    let audit = fleet.compare(&path);
    fleet.report("load", &audit);
    println!("reads of last known states at 1,000 a second: {reads}");
    println!("{}", fleet.latency(&path));
    assert_eq!(audit.acknowledged_missing, 0, "{audit:?}");
    assert_eq!(audit.unacknowledged_missing, 0, "{audit:?}");
    assert_eq!(audit.stored_twice, 0, "{audit:?}");
    for process in [gateway, one, two] {
        process.end();
    }
}
