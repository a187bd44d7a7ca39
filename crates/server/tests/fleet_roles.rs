//! What the roles of a fleet say of themselves while their services are away. No server is needed.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::milepost;

const PASSWORD: &str = "hunter2secret";

/// Addresses where nobody listens: port 1 of this machine.
fn role(role: &str, folder: &Path) -> Command {
    let mut command = milepost();
    command
        .arg(role)
        .args(["--kafka", "127.0.0.1:1"])
        .arg("--data-dir")
        .arg(folder)
        .env(
            "MILEPOST_DATABASE_URL",
            format!("postgres://me:{PASSWORD}@127.0.0.1:1/fleet"),
        )
        .env(
            "MILEPOST_REDIS_URL",
            format!("redis://me:{PASSWORD}@127.0.0.1:1"),
        )
        .env("MILEPOST_KAFKA_SASL_PASSWORD", PASSWORD)
        .env("MILEPOST_LIMITS_DRAIN_TIMEOUT_S", "1")
        .env("MILEPOST_LOG_LEVEL", "debug");
    command
}

struct Process {
    child: Child,
    log: std::path::PathBuf,
}

impl Process {
    fn start(mut command: Command, folder: &Path) -> Self {
        let log = folder.join("log");
        let errors = std::fs::File::create(&log).unwrap();
        let child = command
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    fn ready(&mut self) -> String {
        let mut line = String::new();
        let mut lines = BufReader::new(self.child.stdout.take().unwrap());
        lines.read_line(&mut line).unwrap();
        line
    }

    fn end(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").arg(&id).status().unwrap().success());
        self.child.wait().unwrap();
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.child.kill().is_err();
        let _waited = self.child.wait().is_err();
    }
}

fn address_after(line: &str, word: &str) -> String {
    let (_, rest) = line.split_once(word).unwrap_or_else(|| panic!("{line}"));
    let end = rest.find([',', '\n']).unwrap_or(rest.len());
    rest[..end].trim().to_owned()
}

fn get(address: &str, path: &str) -> String {
    get_as(address, address, path)
}

fn get_as(address: &str, host: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Asks until the answer is what is waited for.
fn until(address: &str, path: &str, wanted: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = get(address, path);
        if answer.contains(wanted) {
            return answer;
        }
        assert!(Instant::now() < deadline, "no {wanted} in {answer}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn a_gateway_with_a_spool_is_ready_without_kafka_and_says_that_it_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = role("gateway", folder.path());
    command.args(["--http", "127.0.0.1:0", "--gt06", "127.0.0.1:0"]);
    command.args(["--ais140", "off", "--j1939", "off"]);
    command.env("MILEPOST_J1939_UDP", "off");
    let mut gateway = Process::start(command, folder.path());
    let ready = gateway.ready();
    let http = address_after(&ready, "http://");
    assert!(get(&http, "/healthz").starts_with("HTTP/1.1 200"));
    let answer = until(&http, "/readyz", "no broker answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    // A login and an alarm; both are acknowledged, and wait for Kafka.
    let mut tracker = TcpStream::connect(address_after(&ready, "gt06 ")).unwrap();
    for frame in [
        "78781101075253367890024270003201000512790d0a",
        "787825160b0b0f0e241dcf027ac8870c4657e60014020901cc00287d001f726506040101003656a40d0a",
    ] {
        tracker.write_all(&hex::decode(frame).unwrap()).unwrap();
        let mut reply = [0; 10];
        tracker.read_exact(&mut reply).unwrap();
    }
    // An alarm that is too short to be one.
    tracker
        .write_all(&hex::decode("78780516000100000d0a").unwrap())
        .unwrap();
    let metrics = until(&http, "/metrics", "milepost_spool_oldest_seconds 1");
    for line in [
        "# HELP milepost_spool_records ",
        "milepost_spool_append_seconds_count ",
        "milepost_spool_batch_records_bucket{le=\"1\"} ",
        "milepost_kafka_brokers_connected{client=\"producer\"} 0",
        "milepost_gateway_frames_total{outcome=\"delivered\"} ",
        "milepost_listener_connections_open{protocol=\"gt06\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\nin\n{metrics}");
    }
    assert!(!metrics.contains("milepost_store_bytes"), "{metrics}");
    // A stranger's page in a browser of this machine sees no counters.
    assert!(get_as(&http, "example.com", "/metrics").starts_with("HTTP/1.1 403"));
    assert!(get(&http, "/v1/devices").starts_with("HTTP/1.1 404"));
    let log = gateway.end();
    for text in [metrics, answer, ready, log] {
        assert!(!text.contains(PASSWORD), "{text}");
    }
}

#[test]
fn a_gateway_without_a_spool_is_not_ready_without_kafka() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = role("gateway", folder.path());
    command.args(["--http", "127.0.0.1:0", "--gt06", "127.0.0.1:0"]);
    command.args(["--ais140", "off", "--j1939", "off"]);
    command.env("MILEPOST_J1939_UDP", "off");
    command.env("MILEPOST_SPOOL_ENABLED", "off");
    let mut gateway = Process::start(command, folder.path());
    let http = address_after(&gateway.ready(), "http://");
    let answer = until(&http, "/readyz", "no broker answers");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("\"part\":\"kafka\""), "{answer}");
    assert!(get(&http, "/healthz").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_worker_waits_for_its_services_and_says_for_which() {
    let folder = tempfile::tempdir().unwrap();
    let http = free_port();
    let mut command = role("worker", folder.path());
    command.args(["--http", &http]);
    let worker = Process::start(command, folder.path());
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(&http).is_err() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(50));
    }
    let answer = until(&http, "/readyz", "kafka:");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let metrics = get(&http, "/metrics");
    let log = worker.end();
    for text in [answer, metrics, log] {
        assert!(!text.contains(PASSWORD), "{text}");
    }
}

#[test]
fn an_api_without_its_stores_says_which_are_away_and_shows_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = role("api", folder.path());
    command.args(["--http", "127.0.0.1:0"]);
    let mut api = Process::start(command, folder.path());
    let http = address_after(&api.ready(), "http://");
    let answer = until(&http, "/readyz", "refused");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("\"part\":\"database\""), "{answer}");
    let devices = get(&http, "/v1/devices/752533678900242");
    assert!(devices.starts_with("HTTP/1.1 503"), "{devices}");
    let metrics = until(&http, "/metrics", "milepost_api_redis_away_total");
    let log = api.end();
    assert!(log.contains("Redis is away"), "{log}");
    for text in [answer, devices, metrics, log] {
        assert!(!text.contains(PASSWORD), "{text}");
    }
}

#[test]
fn check_config_and_its_refusals_show_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("milepost.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let output = milepost()
            .arg("check-config")
            .arg("--config")
            .arg(&file)
            .output()
            .unwrap();
        let shown = [output.stdout, output.stderr].concat();
        let shown = String::from_utf8(shown).unwrap();
        assert!(!shown.contains(PASSWORD), "{shown}");
        (output.status.success(), shown)
    };
    let good = format!(
        "[kafka]\nbrokers = \"b:9092\"\nsasl_username = \"fleet\"\nsasl_password = \"{PASSWORD}\"\n\
         ssl_key_password = \"{PASSWORD}\"\n[database]\nurl = \"postgres://me:{PASSWORD}@h/d\"\n\
         [redis]\nurl = \"rediss://:{PASSWORD}@h\"\n"
    );
    let (is_good, shown) = check(&good);
    assert!(is_good, "{shown}");
    assert!(shown.contains("kafka.sasl_password = (secret)"), "{shown}");
    assert!(shown.contains("kafka.sasl_username = \"fleet\""), "{shown}");
    // Wrong values, and a file that is no TOML, on the line of a password.
    for wrong in [
        format!("[kafka]\nsasl_password = \"{PASSWORD}\\n\"\n"),
        format!("[database]\nurl = \"postgres://me:{PASSWORD}@h /d\"\n"),
        format!("[redis]\nurl = \"redis://{PASSWORD}\n"),
        format!("[kafka]\nsasl_password = [\"{PASSWORD}\"]\n"),
    ] {
        let (is_good, shown) = check(&wrong);
        assert!(!is_good, "{shown}");
    }
}

#[test]
fn a_role_listens_for_other_machines_only_with_a_token() {
    let folder = tempfile::tempdir().unwrap();
    for role_name in ["gateway", "worker"] {
        let mut command = role(role_name, folder.path());
        let output = command.args(["--http", "0.0.0.0:0"]).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{errors}");
        assert!(errors.contains("loopback"), "{errors}");
        assert!(errors.contains("--http"), "{errors}");
    }
}

#[cfg(not(feature = "kafka-tls"))]
#[test]
fn a_binary_without_tls_to_kafka_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = role("worker", folder.path());
    command.env("MILEPOST_KAFKA_SECURITY_PROTOCOL", "sasl_ssl");
    let output = command.output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("--features kafka-tls"), "{errors}");
    assert!(!errors.contains(PASSWORD), "{errors}");
}
