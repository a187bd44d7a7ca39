//! A server binary with a protocol that Milepost does not know. The protocol takes its folder and
//! the two marked lines; the rest of this file runs the binary (itself) and looks at it from
//! outside, since a test harness has a `main` of its own.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod tally; // the first line

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use milepost::protocol::{Protocols, gt06};
use serde_json::{Value, json};

const PROTOCOLS: Protocols = Protocols(&[
    &gt06::Gt06,
    &tally::Tally, // the second line
]);

const AS_SERVER: &str = "TALLY_SERVER";

fn main() -> ExitCode {
    if std::env::var_os(AS_SERVER).is_some() {
        return milepost::main_with(PROTOCOLS);
    }
    // `cargo test --list` and name filters are the harness's; this test is one.
    if std::env::args().any(|argument| argument == "--list") {
        println!("a_protocol_takes_a_folder_and_two_lines: test");
        return ExitCode::SUCCESS;
    }
    its_keys_are_checked_and_shown();
    its_lines_are_decoded();
    its_devices_are_served();
    println!("test a_protocol_takes_a_folder_and_two_lines ... ok");
    ExitCode::SUCCESS
}

fn server() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(AS_SERVER, "1");
    command
}

fn its_keys_are_checked_and_shown() {
    let shown = server()
        .args(["check-config", "--tally", "127.0.0.1:7"])
        .env("MILEPOST_TALLY_GREETING", "AHOY")
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    for line in [
        "tally.listen = [\"127.0.0.1:7\"]  # flag --tally",
        "tally.greeting = \"AHOY\"  # environment MILEPOST_TALLY_GREETING",
        "gt06.listen = [\"0.0.0.0:5023\"]  # default",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    let refused = server()
        .arg("check-config")
        .env("MILEPOST_TALLY_GREETING", "MOIN")
        .output()
        .unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("tally.greeting = \"MOIN\": must be one of \"OK\", \"AHOY\""),
        "{said}"
    );
}

fn its_lines_are_decoded() {
    let decoded = server()
        .args(["decode", "--protocol", "tally", "N,41", "X"])
        .output()
        .unwrap();
    let decoded = String::from_utf8(decoded.stdout).unwrap();
    let lines: Vec<Value> = decoded
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines[0],
        json!({ "line": 1, "frame": { "count": 41 }, "reports": [] })
    );
    assert_eq!(lines[1]["error"]["field"], "line");
}

fn its_devices_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let child = server()
        .arg("serve")
        .arg("--data-dir")
        .arg(folder.path().join("data"))
        .args([
            "--http",
            "127.0.0.1:0",
            "--gt06",
            "off",
            "--tally",
            "127.0.0.1:0",
        ])
        .env("MILEPOST_API_TOKEN", "secret")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let mut ready = String::new();
    let mut output = BufReader::new(running.0.stdout.take().unwrap());
    output.read_line(&mut ready).unwrap();
    let address = |what: &str| -> SocketAddr {
        let (_, rest) = ready.split_once(what).unwrap_or_else(|| panic!("{ready}"));
        rest.split([',', '\n']).next().unwrap().parse().unwrap()
    };
    let (http, tally) = (address("http://"), address("tally "));
    assert!(!ready.contains("gt06"), "{ready}");

    let mut device = TcpStream::connect(tally).unwrap();
    device
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut answers = BufReader::new(device.try_clone().unwrap()).lines();
    device.write_all(b"I,boat-7\n").unwrap();
    assert_eq!(answers.next().unwrap().unwrap(), "OK");
    // Answered when it is stored.
    device.write_all(b"N,42\n").unwrap();
    assert_eq!(answers.next().unwrap().unwrap(), "A,42");

    let known: Value = get(http, "/v1/devices/boat-7");
    assert_eq!(known["connected"], true);
    let history: Value = get(http, "/v1/devices/boat-7/history");
    assert_eq!(history["reports"][0]["protocol"], "tally");
    let started: Value = get(http, "/page/getting-started.json");
    assert_eq!(
        started,
        json!({ "protocols": [{ "protocol": "Tally", "port": tally.port(), "lines": ["Send `I,NAME`."] }] })
    );
    // Its commands are not GT06's: this one is too long for it, and not for GT06, which could
    // carry it; so it is accepted.
    let command = |text: &str| {
        let body = json!({ "text": text }).to_string();
        request(http, "POST", "/v1/devices/boat-7/commands", &body).0
    };
    assert_eq!(command("PING"), 202);
    assert_eq!(command("\u{e9}"), 400);
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn get(http: SocketAddr, path: &str) -> Value {
    let (status, body) = request(http, "GET", path, "");
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn request(http: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(http).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {http}\r\nAuthorization: Bearer secret\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}
