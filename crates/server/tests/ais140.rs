//! AIS 140 from end to end: packets over TCP in, answers and commands out, incidents in the store.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::net::UdpSocket;
use std::time::{Duration, SystemTime};

use milepost_protocol_ais140::simulate::{Packet, State, Vehicle};
use milepost_protocol_ais140::{Dialects, Imei};
use serde_json::{Value, json};
use support::tracker::Tracker;
use support::{PATIENCE, Server, Start, milepost};

const ID: &str = "123456789012347";
const IMEI: Imei = Imei::new(123_456_789_012_347);

/// Devices that wait for answers, as an integrator adds them.
const ACME: &str = r#"
[[dialect]]
name = "acme"
like = "amendment3"
headers = ["$ACT tracking", "$ACL login", "$ACE emergency"]
replies = ["login now $OKL*", "emergency durable $AKN,{message},{imei}*"]
"#;

struct Device {
    vehicle: Vehicle,
    connection: Tracker,
    state: State,
}

impl Device {
    fn connect(server: &Server) -> Self {
        Self::connect_as(server, IMEI)
    }

    fn connect_as(server: &Server, imei: Imei) -> Self {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let dialects = Dialects::from_toml(ACME).unwrap();
        Self {
            vehicle: Vehicle::new(&dialects, "acme", imei).unwrap(),
            connection: Tracker::connect(server.ais140),
            state: State {
                unix: i64::try_from(now).unwrap() - 60,
                latitude: 12.976_545,
                longitude: 77.549_759,
                speed: 32.5,
                course: 118.0,
                ignition: true,
                emergency: false,
            },
        }
    }

    fn send(&mut self, packet: Packet) {
        self.state.unix += 1;
        self.state.emergency = packet == Packet::Emergency;
        let bytes = self.vehicle.packet(packet, &self.state).unwrap();
        self.connection.send(&bytes);
    }

    fn hears(&mut self, answer: &str) {
        let heard = self.connection.read(answer.len());
        assert_eq!(String::from_utf8_lossy(&heard), answer);
    }
}

/// A server that knows the dialect; and the folder of its file.
fn start() -> (Server, tempfile::TempDir) {
    started(Start::default())
}

fn started(start: Start) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acme.toml");
    std::fs::write(&file, ACME).unwrap();
    let config = format!(
        "[ais140]\ndialects = [{:?}]\nudp = '127.0.0.1:0'\n",
        file.display().to_string()
    );
    let server = start.token("sesame").config(&config).start();
    (server, folder)
}

fn emergencies(server: &Server) -> Vec<Value> {
    let history = server.json(&format!("/v1/devices/{ID}/history"));
    let reports = history["reports"].as_array().unwrap();
    let mut reports: Vec<_> = reports
        .iter()
        .filter(|report| report["events"][0]["kind"] == "sos")
        .cloned()
        .collect();
    reports.sort_by_key(|report| report["time"].as_str().unwrap().to_owned());
    reports
}

#[test]
fn an_emergency_is_answered_released_by_command_and_closed() {
    let (server, _folder) = start();
    let mut device = Device::connect(&server);
    device.send(Packet::Login);
    device.hears("$OKL*");
    device.send(Packet::Position);
    device.send(Packet::Emergency);
    device.hears("$AKN,EMR,123456789012347*");

    // The device loses its network, and goes on in another connection.
    let state = device.state;
    device = Device::connect(&server);
    device.state = state;
    device.send(Packet::Login);
    device.hears("$OKL*");
    device.send(Packet::Emergency);
    device.hears("$AKN,EMR,123456789012347*");

    let command = json!({ "text": "RELEASE" }).to_string();
    let path = format!("/v1/devices/{ID}/commands");
    let accepted = server.request("POST", &path, &[], &command);
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let release = device
        .connection
        .read("$123456789012347,012347,CLR,020*00\r\n".len());
    assert!(device.vehicle.is_release(&release), "{release:?}");
    device.send(Packet::EmergencyEnd);
    device.hears("$AKN,SEM,123456789012347*");

    let reports = emergencies(&server);
    let marks: Vec<_> = reports
        .iter()
        .map(|report| report["events"][0]["incident"].as_str().unwrap())
        .collect();
    assert_eq!(marks, ["begin", "repeat", "end"]);
    for report in &reports {
        assert_eq!(report["events"][0]["incident_id"], reports[0]["id"]);
    }
}

#[test]
fn history_does_not_move_the_last_position_back_and_reopens_no_incident() {
    let (server, _folder) = start();
    let mut device = Device::connect(&server);
    device.send(Packet::Emergency);
    device.hears("$AKN,EMR,123456789012347*");
    device.send(Packet::EmergencyEnd);
    device.hears("$AKN,SEM,123456789012347*");
    device.send(Packet::Position);
    let path = format!("/v1/devices/{ID}");
    let newest = device.state.unix;
    device.state.unix -= 1_000;
    device.state.latitude = 11.0;
    device.send(Packet::History);
    let history = format!("{path}/history");
    server.until(&history, |answer| {
        answer.json()["reports"].as_array().unwrap().len() == 4
    });
    let known = server.json(&path);
    assert!(newest > device.state.unix);
    let latitude = known["fix"]["latitude"].as_f64();
    assert!(latitude.is_some_and(|at| at > 12.9), "{known}");
    assert_eq!(emergencies(&server).len(), 2);
}

#[test]
fn while_the_store_is_stalled_an_emergency_is_not_acknowledged_and_a_login_is_answered() {
    let (server, _folder) = start();
    let mut device = Device::connect(&server);
    device.send(Packet::Login);
    device.hears("$OKL*");
    let db = rusqlite::Connection::open(server.data_dir.join("milepost.sqlite")).unwrap();
    db.busy_timeout(Duration::from_secs(10)).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    device.send(Packet::Position);
    device.send(Packet::Emergency);
    server.until("/readyz", |answer| answer.status == 503);
    assert!(!device.connection.hears_within(Duration::from_millis(300)));
    let mut again = Device::connect(&server);
    again.send(Packet::Login);
    again.hears("$OKL*");
    drop(db);
    device.hears("$AKN,EMR,123456789012347*");
    assert_eq!(emergencies(&server).len(), 1);
}

#[test]
fn an_emergency_passes_a_queue_that_the_locations_of_others_have_filled() {
    const OTHERS: u64 = 30;
    const EACH: usize = 60;
    let (server, _folder) =
        started(Start::default().env("MILEPOST_LIMITS_CONNECTION_MEMORY_MIB", "1"));
    let db = rusqlite::Connection::open(server.data_dir.join("milepost.sqlite")).unwrap();
    db.busy_timeout(Duration::from_secs(10)).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let others: Vec<_> = (0..OTHERS)
        .map(|n| {
            let mut other = Device::connect_as(&server, Imei::new(111_111_111_111_100 + n));
            for _ in 0..EACH {
                other.send(Packet::Position);
            }
            other
        })
        .collect();
    let waiting = || -> f64 {
        let metrics = server.get("/metrics").body;
        let name = "milepost_listener_in_flight{protocol=\"ais140\"} ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0.0, |value| value.parse().unwrap())
    };
    let mut full = -1.0;
    while waiting() > full {
        full = waiting();
        std::thread::sleep(Duration::from_millis(300));
    }
    let sent = f64::from(u32::try_from(others.len() * EACH).unwrap());
    assert!(full < sent, "{full} of {sent} wait: the queue was not full");

    let mut device = Device::connect(&server);
    device.send(Packet::Emergency);
    let start = std::time::Instant::now();
    while waiting() <= full {
        assert!(start.elapsed() < PATIENCE, "the emergency was not taken");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(db);
    device.hears("$AKN,EMR,123456789012347*");
    assert_eq!(emergencies(&server).len(), 1);
}

#[test]
fn a_command_is_answered_by_the_packet_of_alert_12_that_names_its_parameter() {
    let (server, _folder) = start();
    let mut device = Device::connect(&server);
    device.send(Packet::Login);
    device.hears("$OKL*");
    let command = json!({ "text": "GET 001" }).to_string();
    let path = format!("/v1/devices/{ID}/commands");
    let accepted = server.request("POST", &path, &[], &command);
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let sent = device
        .connection
        .read("$123456789012347,012347,GET,001*00\r\n".len());
    assert!(sent.starts_with(b"$123456789012347,012347,GET,001*"));

    // What another parameter was changed to is no answer.
    for answer in ["(SMS1|SET|009:80)", "(SCK1|GET|001:1.0.0)"] {
        device.state.unix += 1;
        let packet = device.vehicle.packet(Packet::Alert(12), &device.state);
        let packet = String::from_utf8(packet.unwrap().to_vec()).unwrap();
        assert!(packet.contains("()"), "{packet}");
        device
            .connection
            .send(packet.replace("()", answer).as_bytes());
    }
    let id = accepted.json()["id"].clone();
    let done = server.until(&format!("{path}/{id}"), |answer| {
        answer.json()["status"] == "answered"
    });
    assert_eq!(done.json()["answer"], "(SCK1|GET|001:1.0.0)");
}

#[test]
fn a_device_is_heard_over_udp() {
    let (server, _folder) = start();
    let device = Device::connect(&server);
    let mut vehicle = device.vehicle;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(server.ais140_udp.unwrap()).unwrap();
    socket
        .send(&vehicle.packet(Packet::Login, &device.state).unwrap())
        .unwrap();
    let mut answer = [0; 64];
    let len = socket.recv(&mut answer).unwrap();
    assert_eq!(&answer[..len], b"$OKL*");
    let known = server.until(&format!("/v1/devices/{ID}"), |answer| answer.status == 200);
    assert_eq!(known.json()["connected"], true);
}

#[test]
fn lines_are_decoded_by_dialects_of_a_file_and_every_byte_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acme.toml");
    std::fs::write(&file, ACME).unwrap();
    let decode = |flags: &[&str], packet: &str| {
        let output = milepost()
            .args(["decode", "--protocol", "ais140"])
            .args(flags)
            .arg(packet)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let packet = "$ACL,KA01AB1234,123456789012347,8991,1.0.0,AIS140,12.976545,N,77.549759,E*";
    let dialects = ["--dialects", file.to_str().unwrap()];
    let known: Value = serde_json::from_str(&decode(&dialects, packet)).unwrap();
    assert_eq!(known["reports"][0]["dialect"], "acme");
    assert_eq!(known["reply"], "$OKL*");
    assert_eq!(known["frame"]["kind"], "$ACL");
    let foreign: Value = serde_json::from_str(&decode(&[], packet)).unwrap();
    assert_ne!(foreign["reports"][0]["dialect"], "acme");
    let explained = decode(&[dialects[0], dialects[1], "--explain"], packet);
    assert!(
        explained.contains("123456789012347") && explained.contains("imei"),
        "{explained}"
    );
}

#[test]
fn simulated_devices_of_every_kind_are_understood_and_stored() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    let address = server.ais140.to_string();
    let output = milepost()
        .args(["simulate", "--protocol", "ais140", "--json", "--quiet"])
        .args(["--server", &address, "--devices", "16", "--ramp", "100ms"])
        .args(["--duration", "3s", "--interval", "100ms"])
        .args([
            "--alarm-every",
            "1s",
            "--outage-every",
            "2s",
            "--outage-for",
            "300ms",
        ])
        .arg("--ledger")
        .arg(&ledger)
        .output()
        .unwrap();
    let summary = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{summary}");
    let mut server = server;
    assert!(server.terminate().success());
    let audit = milepost()
        .args(["audit", "--data-dir"])
        .arg(&server.data_dir)
        .arg("--ledger")
        .arg(&ledger)
        .output()
        .unwrap();
    let said = String::from_utf8(audit.stdout).unwrap();
    assert!(audit.status.success(), "{said}\n{summary}");
}
