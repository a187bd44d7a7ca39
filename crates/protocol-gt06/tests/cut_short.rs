//! A frame that is cut short after its position keeps the fix, and reports nothing that the whole one
//! does not: no event, no ignition, no cell, no mileage.
#![cfg(feature = "telemetry")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::BTreeSet;

use bytes::BytesMut;
use milepost_protocol_gt06::normalize::{Context, ReportSource};
use milepost_protocol_gt06::{Dialect, Frame, Framing, Message, Profile, Start, frame};
use milepost_telemetry::{DeviceId, Origin, Timestamp};
use serde_json::Value;

/// The table that the dispatch is made from: `name: 0xNN | 0xMM => Type,`.
const DISPATCH: &str = include_str!("../src/message/mod.rs");

/// A whole message, and where its position ends. `other`: lengths, from and to, in which a frame is
/// another one's, and why the two cannot be distinguished.
struct Case {
    what: String,
    start: Start,
    number: u8,
    body: Vec<u8>,
    position_ends: usize,
    other: Vec<(usize, usize, String)>,
}

fn cases() -> impl Iterator<Item = Case> {
    include_str!("cases/cut_short.jsonl").lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        let parts = row["parts"].as_array().unwrap().iter();
        let body: String = parts.map(|part| part.as_str().unwrap()).collect();
        Case {
            what: row["what"].as_str().unwrap().into(),
            start: if row["start"] == "long" {
                Start::Long
            } else {
                Start::Short
            },
            number: u8::from_str_radix(row["number"].as_str().unwrap(), 16).unwrap(),
            body: hex::decode(body.replace(' ', "")).unwrap(),
            position_ends: row["position_ends"].as_u64().unwrap().try_into().unwrap(),
            other: row
                .get("other")
                .cloned()
                .map_or_else(Vec::new, |other| serde_json::from_value(other).unwrap()),
        }
    })
}

/// Messages of the dispatch without a case: without a position, or for the reason given.
const WITHOUT: &[&str] = &[
    "BatteryPack",
    "BluetoothClock",
    "CellAlarm",
    "CellList",
    "CellOnly",
    "CellScan",
    "CellsWifi",
    "CommandReply",
    "CountedCells",
    "DeviceState",
    "ExternalData",
    "FileBlock",
    "FirmwareNotice",
    "Heartbeat",
    "Information",
    "ItemHeartbeat",
    "Login",
    "PhotoBlock",
    "SeeworldStatus",
    "ServingCell",
    "TimeRequest",
    "WifiAlarm",
    "WifiList",
    // What all the others are when they are cut short.
    "PositionOnly",
    // Of servers.
    "Acknowledgement",
    "AddressReply",
    "CardAnswer",
    "Command",
    "PhotoRequest",
    "ServerText",
    "TimeAnswer",
    // Their places have no hemisphere, or none that is known: they give no fix.
    "PeripheralState",
    "PhotoInfo",
    "PhotoPart",
    // Without a checksum nothing shows where a frame is cut: its body has one of its known lengths.
    "TopinGps",
    "TopinLogin",
    "TopinNotice",
    "TopinRadio",
    "TopinStatus",
];

/// Reads a frame, whose bytes are all explained, and written back as they were.
fn read(start: Start, number: u8, body: &[u8]) -> Result<Message, String> {
    let mut raw = BytesMut::new();
    frame::encode(start, number, 1, &mut raw, |out| {
        out.extend_from_slice(body)
    });
    let frame = Frame::parse(raw.freeze(), Framing::Checked).unwrap();
    let message = Message::decode(&frame, Dialect::default());
    let (explained, fields) = Message::explain(&frame, Dialect::default());
    assert_eq!(explained, message);
    let mut at = 0;
    for field in fields {
        assert_eq!(field.range.start, at, "{field}");
        at = field.range.end;
    }
    assert_eq!(at, frame.raw().len());
    let message = message.map_err(|error| error.to_string())?;
    assert_eq!(message.to_bytes_under(start, 1), frame.raw());
    Ok(message)
}

/// The reports as JSON, without what is each report's own: id, kind and dialect, and bytes shown raw.
fn values(start: Start, message: &Message) -> Vec<Value> {
    let raw = message.to_bytes_under(start, 1);
    let frame = Frame::parse(raw, Framing::Checked).unwrap();
    let source = ReportSource::new(None, DeviceId::new("123456789012345").ok());
    let profile = Profile::default();
    let now = Timestamp::from_unix(1_700_000_000);
    let cx = Context::new(frame.head(), &profile, &source, now, Origin::default());
    let mut reports = Vec::new();
    message.normalize(&cx, &mut reports);
    let json = reports.iter().map(|report| {
        let mut json = serde_json::to_value(report).unwrap();
        let object = json.as_object_mut().unwrap();
        for own in ["id", "kind", "dialect", "raw"] {
            object.remove(own);
        }
        if let Some(Value::Array(signals)) = object.get_mut("signals") {
            signals.retain(|signal| {
                signal["id"] != "gt06.tail" && signal["id"] != "gt06.before_position"
            });
        }
        // The kind of network can come far after the cell.
        let cells = json
            .pointer_mut("/network/cells")
            .and_then(Value::as_array_mut);
        for cell in cells.into_iter().flatten() {
            cell.as_object_mut().unwrap().remove("radio");
        }
        json
    });
    json.collect()
}

/// What a value has that another has not.
fn invented(path: &str, value: &Value, whole: &Value) -> Vec<String> {
    match (value, whole) {
        (Value::Object(value), _) => value
            .iter()
            .flat_map(|(key, value)| invented(&format!("{path}.{key}"), value, &whole[key]))
            .collect(),
        (Value::Array(value), Value::Array(whole)) => value
            .iter()
            .filter(|entry| !whole.contains(entry))
            .map(|entry| format!("{path}: {entry}"))
            .collect(),
        (Value::Null, _) => Vec::new(),
        (Value::Array(value), _) if value.is_empty() => Vec::new(),
        _ if value == whole => Vec::new(),
        _ => vec![format!("{path}: {value}, not {whole}")],
    }
}

/// What is wrong with what is left of a message.
fn faults(case: &Case, body: &[u8], whole: &[Value]) -> Vec<String> {
    let message = match read(case.start, case.number, body) {
        Ok(Message::Unknown(_)) => return vec!["unknown".into()],
        Ok(message) => message,
        Err(error) => return vec![error],
    };
    let values = values(case.start, &message);
    let mut faults = Vec::new();
    for (i, report) in values.iter().enumerate() {
        let Some(whole) = whole.get(i) else {
            faults.push("one more report".into());
            continue;
        };
        faults.extend(invented("", report, whole));
    }
    let place = |reports: &[Value]| {
        let fixes = reports.iter().filter_map(|report| report.get("fix"));
        fixes
            .map(|fix| ["latitude", "longitude", "time"].map(|key| fix[key].clone()))
            .next()
    };
    if place(&values) != place(whole) {
        faults.push("another fix".into());
    }
    faults
        .into_iter()
        .map(|fault| format!("{} {fault}", message.name()))
        .collect()
}

#[test]
fn what_is_cut_short_after_the_position_keeps_the_fix_and_invents_nothing() {
    let mut found = Vec::new();
    for case in cases() {
        let body = &case.body;
        let whole = values(case.start, &read(case.start, case.number, body).unwrap());
        for len in case.position_ends..body.len() {
            let faults = faults(&case, &body[..len], &whole);
            let reason = case
                .other
                .iter()
                .find(|(from, to, _)| (*from..=*to).contains(&len));
            match (reason, faults.is_empty()) {
                (None, false) => found.push(format!("{} {len}: {}", case.what, faults.join("; "))),
                (Some(_), true) => found.push(format!("{} {len}: is settled", case.what)),
                _ => {}
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_message_has_a_case_or_a_reason() {
    let table = DISPATCH.split("\nmessages! {").nth(1).unwrap();
    let table = table.split("\n}").next().unwrap();
    let types = table
        .lines()
        .filter_map(|line| line.trim().split_once(" => "));
    let types: BTreeSet<&str> = types
        .map(|(_, kind)| kind.trim_end_matches(',').split(' ').next().unwrap())
        .collect();
    let mut known: BTreeSet<String> = WITHOUT.iter().map(|kind| (*kind).to_owned()).collect();
    for case in cases() {
        let message = read(case.start, case.number, &case.body).unwrap();
        let debug = format!("{message:?}");
        let kind = debug.split(['(', ' ']).next().unwrap();
        assert!(!WITHOUT.contains(&kind), "{kind} has a case");
        known.insert(kind.to_owned());
    }
    let missing: Vec<_> = types
        .iter()
        .filter(|kind| !known.contains(**kind))
        .collect();
    assert!(
        missing.is_empty(),
        "neither a case nor a reason: {missing:?}"
    );
}
