//! `milepost decode` as its users see it: the worked examples of the protocol, line by line.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;
use support::milepost;
use support::tracker::{alarm, frame, heartbeat, location};

/// Two examples of the Concox manual: a login (type 7000, zone +8:00), and its answer.
const LOGIN: &str = "787811010752533678900242700032010005 1279 0D0A";
const LOGIN_REPLY: &str = "787805010005 9f f8 0d0a";

fn decode(flags: &[&str], input: &str) -> (Option<i32>, String) {
    let mut child = milepost()
        .args(["decode", "--protocol", "gt06"])
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

fn objects(input: &str) -> Vec<Value> {
    let (code, text) = decode(&[], input);
    assert_eq!(code, Some(0), "{text}");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_login_names_the_device_of_the_lines_after_it() {
    let input = format!(
        "{LOGIN}\n{}\n\n{}\n",
        hex::encode(location(60, 6)),
        hex::encode(location(60, 6))
    );
    let lines = objects(&input);
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["line"], 1);
    assert_eq!(lines[0]["frame"]["kind"], "0x01");
    assert_eq!(lines[0]["frame"]["checksum"], "valid");
    assert_eq!(lines[0]["frame"]["direction"], "device");
    assert_eq!(lines[0]["reports"][0]["kind"], "login");
    assert_eq!(lines[0]["reports"][0]["device"], "752533678900242");
    assert_eq!(lines[0]["reply"], LOGIN_REPLY.replace(' ', ""));
    let report = &lines[1]["reports"][0];
    assert_eq!(report["device"], "752533678900242");
    assert_eq!(report["kind"], "location");
    assert_eq!(report["fix"]["speed_kmh"], 60.0);
    assert_eq!(report["time"], "2026-11-20T00:01:00Z");
    assert_eq!(report["zone"], "utc");
    // An empty line begins another connection, on which nobody has logged in.
    assert_eq!(lines[2]["line"], 4);
    assert!(lines[2]["reports"][0].get("device").is_none());
}

#[test]
fn every_line_gives_an_object_whatever_it_holds() {
    let short = hex::encode(frame(0x22, &[26, 11, 20, 1], 2));
    let unknown = hex::encode(frame(0x6e, &[1, 2, 3], 3));
    let mut wrong_checksum = heartbeat(4);
    wrong_checksum[12] ^= 1;
    let input = format!(
        "no hex at all\n{short}\n{unknown}\n{}\n{LOGIN_REPLY}\n",
        hex::encode(wrong_checksum)
    );
    let lines = objects(&input);
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert!(lines[0]["error"]["message"].is_string());
    assert!(lines[1]["error"]["field"].is_string() && lines[1]["error"]["offset"].is_u64());
    assert_eq!(lines[2]["reports"][0]["kind"], "unknown");
    assert!(lines[2].get("error").is_none());
    assert_eq!(lines[3]["frame"]["checksum"], "mismatch");
    assert_eq!(lines[3]["reports"][0]["kind"], "heartbeat");
    assert_eq!(lines[4]["frame"]["direction"], "server");
    assert!(lines[4]["reports"].as_array().is_none_or(Vec::is_empty));
}

#[test]
fn an_alarm_shows_its_event_and_the_answer_that_the_device_waits_for() {
    let lines = objects(&format!("{}\n", hex::encode(alarm(60, 7))));
    assert_eq!(lines[0]["reports"][0]["kind"], "alarm");
    assert_eq!(lines[0]["reports"][0]["events"][0]["kind"], "sos");
    assert_eq!(lines[0]["reply"], hex::encode(frame(0x16, &[], 7)));
}

#[test]
fn an_explanation_names_every_field() {
    let (code, text) = decode(
        &["--explain"],
        &format!("{}\n", hex::encode(location(60, 6))),
    );
    assert_eq!(code, Some(0));
    for word in ["latitude", "longitude", "satellites", "serial", "checksum"] {
        assert!(text.to_lowercase().contains(word), "{word}\n{text}");
    }
}

#[test]
fn an_unknown_protocol_is_a_usage_error() {
    let output = milepost()
        .args(["decode", "--protocol", "morse"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}
