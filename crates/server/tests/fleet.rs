//! A fleet of real processes against real servers: `services/up && services/env cargo test
//! -p milepost --features fleet --test fleet -- --ignored`.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use milepost_pipeline::sink::timescale::{DatabaseUrl, Reader, Schema};
use milepost_simulate::ledger::{self, Comparison, LedgerAudit};
use milepost_telemetry::{DeviceKey, Tenant};
use support::milepost;

/// One at a time: chaos stops the servers of all.
static ALONE: Mutex<()> = Mutex::new(());

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
        let data = self.folder.path().join("gateway");
        let mut role = self.role("gateway");
        role.args(["--gt06", address, "--http", "127.0.0.1:0"]);
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
    let _alone = ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
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

#[test]
#[ignore = "needs services/up"]
fn nothing_acknowledged_is_lost_when_any_part_is_killed_or_hangs() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let fleet = Fleet::new();
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
