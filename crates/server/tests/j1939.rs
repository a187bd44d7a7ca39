//! CAN frames from end to end: a truck over TCP and UDP in several forms, one report per interval.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

use bytes::BytesMut;
use milepost_protocol_j1939::carrier::{Encoder, Form};
use milepost_protocol_j1939::simulate::Truck;
use milepost_protocol_j1939::{CanFrame, CanTime};
use serde_json::{Value, json};
use support::{Server, Start, milepost};

/// Whose frames they are stands in a first line.
const BY_LINE: &str = "[j1939]\nudp = 'off'\nidentify = 'line'\n";

fn start(config: &str) -> Server {
    Start::default().token("sesame").config(config).start()
}

/// A truck's frames up to a time, from now on.
fn truck(seconds: u64) -> Vec<CanFrame> {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let start = CanTime::new(now, 0);
    let end = CanTime::new(now + seconds, 0);
    Truck::starting_at(7, start)
        .take_while(|frame| frame.time() < Some(end))
        .collect()
}

fn encode(form: Form, frames: &[CanFrame]) -> BytesMut {
    let mut encoder = Encoder::new(form);
    let mut out = BytesMut::new();
    encoder.greet(&mut out);
    for frame in frames {
        encoder.encode(frame, &mut out).unwrap();
    }
    out
}

/// The reports of a device once there are some.
fn reports(server: &Server, device: &str) -> Vec<Value> {
    let path = format!("/v1/devices/{device}/history");
    let answer = server.until(&path, |answer| {
        answer.status == 200 && !answer.json()["reports"].as_array().unwrap().is_empty()
    });
    answer.json()["reports"].as_array().unwrap().clone()
}

fn frames_of(report: &Value) -> u64 {
    let signals = report["signals"].as_array().unwrap().iter();
    let mut counts = signals.filter(|signal| signal["id"] == "j1939.frames");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count"
    )]
    let count = counts.next().unwrap()["value"].as_f64().unwrap() as u64;
    count
}

/// Values by signal and source, without the count of the frames.
fn signals(report: &Value) -> BTreeMap<String, Value> {
    let signals = report["signals"].as_array().unwrap().iter();
    signals
        .map(|one| {
            (
                format!("{} {}", one["id"], one["source"]),
                one["value"].clone(),
            )
        })
        .collect()
}

fn audit(server: &Server) {
    let audit = milepost()
        .arg("audit")
        .arg("--data-dir")
        .arg(&server.data_dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&audit.stdout);
    assert!(audit.status.success(), "{said}");
}

#[test]
fn a_truck_gives_the_same_signals_in_each_form() {
    let mut server = start(BY_LINE);
    let frames = truck(8);
    let forms = [Form::Candump, Form::ThirteenByte, Form::Slcan];
    for form in forms {
        let mut stream = TcpStream::connect(server.j1939.unwrap()).unwrap();
        stream
            .write_all(format!("ID truck-{form}\r\n").as_bytes())
            .unwrap();
        for part in encode(form, &frames).chunks(1_000) {
            stream.write_all(part).unwrap();
        }
        // The interval is not over: its report leaves because the connection ends.
    }
    let mut all = Vec::new();
    for form in forms {
        let reports = reports(&server, &format!("truck-{form}"));
        assert_eq!(reports.len(), 1, "{form}");
        assert_eq!(reports[0]["kind"], "can");
        assert_eq!(frames_of(&reports[0]), frames.len() as u64, "{form}");
        all.push(signals(&reports[0]));
    }
    assert!(all[0].len() > 20);
    assert!(all.iter().all(|one| one == &all[0]));
    assert!(server.terminate().success());
    audit(&server);
}

#[test]
fn a_report_s_bytes_are_decoded_again_to_the_same_values() {
    let server = start(BY_LINE);
    let mut stream = TcpStream::connect(server.j1939.unwrap()).unwrap();
    stream.write_all(b"truck\n").unwrap();
    stream.write_all(&encode(Form::Candump, &truck(3))).unwrap();
    drop(stream);
    reports(&server, "truck");
    let report = &server.json("/v1/devices/truck/history?raw=true")["reports"][0];
    let raw = hex::decode(report["raw"].as_str().unwrap()).unwrap();
    let file = server.data_dir.join("frames.log");
    std::fs::write(&file, raw).unwrap();
    let decoded = milepost()
        .args(["decode", "--protocol", "j1939"])
        .arg(&file)
        .output()
        .unwrap();
    let mut again = BTreeMap::new();
    for line in String::from_utf8(decoded.stdout).unwrap().lines() {
        let object: Value = serde_json::from_str(line).unwrap();
        assert_eq!(object.get("error"), None, "{line}");
        if let Some(list) = object["reports"][0].get("signals") {
            again.extend(signals(&json!({ "signals": list })));
        }
    }
    for (signal, value) in signals(report) {
        if !signal.contains("j1939.frames") {
            assert_eq!(again.get(&signal), Some(&value), "{signal}");
        }
    }
}

#[test]
fn two_thousand_frames_a_second_are_one_report_per_interval() {
    let config = format!("{BY_LINE}interval_s = 2\n");
    let mut server = start(&config);
    let mut stream = TcpStream::connect(server.j1939.unwrap()).unwrap();
    stream.write_all(b"fast\n").unwrap();
    // Twenty seconds of the bus in five.
    let frames = truck(60);
    let mut sent = 0;
    let begun = Instant::now();
    for part in frames.chunks(100).take(100) {
        stream.write_all(&encode(Form::Candump, part)).unwrap();
        sent += part.len();
        let due = Duration::from_millis(u64::try_from(sent).unwrap() / 2);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    let lasted = begun.elapsed().as_secs();
    drop(stream);
    let connections =
        |server: &Server| server.json("/v1/devices")["devices"][0]["connected"].clone();
    let waited = Instant::now();
    while connections(&server) == json!(true) {
        assert!(waited.elapsed() < support::PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(server.terminate().success());
    audit(&server);
    let server = Start::default().data_dir(&server.data_dir).start();
    let reports = reports(&server, "fast");
    let counted: u64 = reports.iter().map(frames_of).sum();
    assert_eq!(counted, sent as u64);
    let most = usize::try_from(lasted / 2 + 2).unwrap();
    assert!(
        (2..=most).contains(&reports.len()),
        "{} reports",
        reports.len()
    );
}

/// Waits until a condition holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < support::PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_kill_at_two_thousand_frames_a_second_loses_at_most_an_interval() {
    const PER_SECOND: usize = 2_000;
    const INTERVAL_S: usize = 2;
    let folder = tempfile::tempdir().unwrap();
    let config = format!("{BY_LINE}interval_s = {INTERVAL_S}\n");
    let serve = || {
        Start::default()
            .data_dir(folder.path())
            .config(&config)
            .start()
    };
    let server = serve();
    let mut stream = TcpStream::connect(server.j1939.unwrap()).unwrap();
    stream.write_all(b"fast\n").unwrap();
    let frames = truck(120);
    let begun = Instant::now();
    let stored = |server: &Server| -> u64 {
        let history = server.get("/v1/devices/fast/history");
        if history.status != 200 {
            return 0;
        }
        let json = history.json();
        json["reports"]
            .as_array()
            .unwrap()
            .iter()
            .map(frames_of)
            .sum()
    };
    // Until two intervals are stored, and in the middle of one.
    let mut sent = 0;
    let mut sent_when_stored = 0;
    for part in frames.chunks(100) {
        stream.write_all(&encode(Form::Candump, part)).unwrap();
        sent += part.len();
        let due = Duration::from_secs_f64(sent as f64 / PER_SECOND as f64);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        if sent % 1_000 == 0 && sent_when_stored == 0 && stored(&server) > 4_000 {
            sent_when_stored = sent;
        }
        if sent_when_stored > 0 && sent >= sent_when_stored + PER_SECOND / 2 {
            break;
        }
    }
    assert!(sent_when_stored > 0, "nothing was stored while it ran");
    let before_kill = stored(&server);
    drop(server);
    // SIGKILL: nothing is flushed. What was stored is there again, and the sums hold.
    let mut server = serve();
    let after_kill = stored(&server);
    assert!(after_kill >= before_kill, "{after_kill} of {before_kill}");
    let lost = sent as u64 - after_kill;
    // The interval that was under way, and what lay in the sockets' buffers: the frames of the last
    // tenth of a second, with room for a busy machine.
    let stated = (INTERVAL_S + 1) * PER_SECOND;
    assert!(lost <= stated as u64, "{lost} of {sent} frames are lost");
    // The same truck comes back and is stored as before.
    let mut stream = TcpStream::connect(server.j1939.unwrap()).unwrap();
    stream.write_all(b"fast\n").unwrap();
    let rest = &frames[sent..sent + 3_000];
    stream.write_all(&encode(Form::Candump, rest)).unwrap();
    drop(stream);
    until("the rest is stored", || {
        stored(&server) == after_kill + rest.len() as u64
    });
    assert!(server.terminate().success());
    audit(&server);
}

#[test]
fn a_simulated_truck_names_itself_by_line_by_its_number_or_not_at_all() {
    let simulate = |form: &str, identify: &str, server: SocketAddr| {
        let output = milepost()
            .args([
                "simulate",
                "--protocol",
                "j1939",
                "--devices",
                "1",
                "--duration",
                "4s",
            ])
            .args([
                "--speedup",
                "4",
                "--first-id",
                "004999010000000",
                "--form",
                form,
            ])
            .args(["--identify", identify, "--server", &server.to_string()])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let server = start(BY_LINE);
    for form in ["candump", "thirteen-byte", "slcan"] {
        simulate(form, "line", server.j1939.unwrap());
    }
    let path = "/v1/devices/004999010000007/history";
    let stored = |answer: &support::Answer| {
        answer.status == 200 && answer.json()["reports"].as_array().unwrap().len() == 3
    };
    server.until(path, stored);
    drop(server);
    let server = start("[j1939]\nudp = 'off'\nidentify = 'vin'\n");
    simulate("socketcand", "vin", server.j1939.unwrap());
    let found = reports(&server, "1M8GDM9AXKP000001");
    assert_eq!(found[0]["identity"]["vin"], "1M8GDM9AXKP000001");
    drop(server);
    // Nothing on the bus names it: the configuration does.
    let server = start(
        "[j1939]\nudp = 'off'\n[[device]]\nid = 'by-network'\ncan_networks = ['127.0.0.0/8']\n",
    );
    simulate("socketcan-le", "none", server.j1939.unwrap());
    let found = reports(&server, "by-network");
    assert!(found[0]["identity"].get("vin").is_none());
}

#[test]
fn datagrams_of_a_configured_network_are_a_device_s() {
    let port = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config = format!(
        "[j1939]\nlisten = 'off'\nudp = '{port}'\nform = 'candump'\ninterval_s = 1\n\
         [[device]]\nid = 'gateway'\ncan_networks = ['127.0.0.0/8']\n"
    );
    let server = start(&config);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for part in truck(1).chunks(20) {
        socket.send_to(&encode(Form::Candump, part), port).unwrap();
    }
    let reports = reports(&server, "gateway");
    assert!(frames_of(&reports[0]) > 0);
}

#[test]
fn without_a_mapping_of_devices_nothing_listens() {
    assert_eq!(Server::start().j1939, None);
}
