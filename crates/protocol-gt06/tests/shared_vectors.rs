//! Runs further frames, where a folder of them is beside the repository; without it the test
//! passes and prints that.
#![cfg(feature = "telemetry")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::path::Path;

use bytes::{Bytes, BytesMut};
use milepost_protocol_gt06::message::LocationRest;
use milepost_protocol_gt06::normalize::{Context, ReportSource};
use milepost_protocol_gt06::{
    DecodeErrorKind, Deframer, Dialect, Field, Frame, Message, Profile, Session,
};
use milepost_telemetry::{Origin, Timestamp};
use serde_json::Value;

struct Row {
    n: u64,
    raw: Bytes,
    is_whole: bool,
    is_doubtful: bool,
    values: Value,
}

fn rows() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/gt06.jsonl");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("no further frames beside the repository: nothing to run");
        return Vec::new();
    };
    text.lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            Row {
                n: row["n"].as_u64().unwrap(),
                raw: hex::decode(row["hex"].as_str().unwrap()).unwrap().into(),
                is_whole: row["length_ok"] == true && row["crc_ok"] == true,
                is_doubtful: row
                    .get("doubt")
                    .is_some_and(|doubt| *doubt != Value::Bool(false)),
                values: row["values"].clone(),
            }
        })
        .collect()
}

/// The frames of one row, whose end counts as a pause of the sender.
fn frames(raw: &[u8]) -> Vec<Frame> {
    let mut deframer = Deframer::new();
    let mut stream = BytesMut::from(raw);
    let mut frames = Vec::new();
    let mut paused = false;
    loop {
        match deframer.next_frame(&mut stream) {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) if paused => return frames,
            Ok(None) => {
                deframer.on_pause();
                paused = true;
            }
            Err(_) => {}
        }
    }
}

#[test]
fn every_row_gives_a_message_and_every_byte_is_explained() {
    let mut unread = Vec::new();
    for row in rows() {
        let frames = frames(&row.raw);
        assert!(!frames.is_empty(), "row {}: no frame", row.n);
        for frame in &frames {
            let (message, fields) = Message::explain(frame, Dialect::default());
            assert_covers(frame, &fields, row.n);
            match message {
                Ok(message) => {
                    if frame.head().length() == usize::from(frame.head().announced())
                        && frame.checksum() == milepost_protocol_gt06::Checksum::Valid
                    {
                        let again = message.to_bytes_under(frame.start(), frame.serial().unwrap());
                        assert_eq!(again, frame.raw(), "row {}", row.n);
                    }
                }
                Err(error) => {
                    // A whole frame may be refused for a value, not for its form.
                    let is_value = matches!(error.kind(), DecodeErrorKind::OutOfRange { .. });
                    assert!(is_value || !row.is_whole, "row {}: {error}", row.n);
                    unread.push((row.n, error));
                }
            }
        }
    }
    for (n, error) in &unread {
        println!("row {n}: {error}");
    }
}

fn assert_covers(frame: &Frame, fields: &[Field], n: u64) {
    let mut at = 0;
    for field in fields {
        assert_eq!(field.range.start, at, "row {n}: {field}");
        at = field.range.end;
    }
    assert_eq!(at, frame.raw().len(), "row {n}");
}

#[test]
fn values_are_those_that_are_known() {
    let mut compared = 0;
    for row in rows().iter().filter(|row| !row.is_doubtful) {
        let Some(frame) = frames(&row.raw).into_iter().next() else {
            continue;
        };
        let Ok(message) = Message::decode(&frame, Dialect::default()) else {
            continue;
        };
        let mut check = |key: &str, ours: Value| {
            let Some(theirs) = row.values.get(key).filter(|v| !v.is_null()) else {
                return;
            };
            compared += 1;
            let same = match (theirs.as_f64(), ours.as_f64()) {
                (Some(a), Some(b)) => (a - b).abs() < 2e-6,
                _ => *theirs == ours,
            };
            assert!(same, "row {} {key}: theirs {theirs}, ours {ours}", row.n);
        };
        if row.is_whole && row.values["serial"].is_u64() {
            check("serial", frame.serial().into());
        }
        let (gps, cell, trailer, status) = match &message {
            Message::Login(login) => {
                check("id", login.id.digits().into());
                check("type_code", login.model.map(|m| format!("{m:04x}")).into());
                (None, None, None, None)
            }
            Message::Location(l) => {
                match l.rest {
                    LocationRest::Mileage(m) | LocationRest::TrailerMileage(_, m) => {
                        check("mileage_raw", m.0.into());
                    }
                    _ => {}
                }
                (Some(l.gps), l.cell, l.rest.trailer(), None)
            }
            Message::AlarmReport(a) => {
                check("lbs_len", a.raw_cell_size.into());
                (Some(a.gps), a.cell, None, Some(a.status))
            }
            Message::Heartbeat(h) => {
                check("terminal", terminal(h.terminal));
                if let milepost_protocol_gt06::message::HeartbeatForm::Usual {
                    battery,
                    signal,
                    ..
                } = h.form
                {
                    check("voltage", battery.into());
                    check("gsm", signal.into());
                }
                (None, None, None, None)
            }
            _ => (None, None, None, None),
        };
        if let Some(gps) = gps {
            let p = gps.position();
            check("lat", ((p.latitude() * 1e6).round() / 1e6).into());
            check("lon", ((p.longitude() * 1e6).round() / 1e6).into());
            check("speed_kmh", p.raw_speed.into());
            check("course", p.course_status.raw_course().into());
            check("sat", p.satellites().into());
            check("valid", p.course_status.is_positioned().into());
            check(
                "course_status",
                format!("{:#06x}", p.course_status.0).into(),
            );
            let time = gps
                .time()
                .to_unix()
                .map(|_| gps.time().to_string().replace(' ', "T"));
            check("time", time.into());
        }
        if let Some(cell) = cell {
            check("mcc", cell.mcc().into());
            check("mnc", cell.mnc.into());
            check("lac", cell.lac.into());
            check("cell", cell.cell_id.into());
        }
        if let Some(trailer) = trailer {
            check("acc", trailer.ignition().into());
            check("upload_mode", trailer.upload_mode.into());
            check("reupload", trailer.is_live().map(|live| !live).into());
        }
        if let Some(status) = status {
            check("terminal", terminal(status.terminal));
            check("voltage", status.raw_battery.into());
            check("gsm", status.raw_signal.into());
            if row.values["alarm"]
                .as_str()
                .is_some_and(|alarm| alarm.starts_with("0x"))
            {
                check("alarm", format!("{:#04x}", status.raw_alarm).into());
            }
            check("language", status.raw_language.into());
        }
    }
    println!("{compared} values compared");
}

fn terminal(ti: milepost_protocol_gt06::field::TerminalInfo) -> Value {
    serde_json::json!({
        "armed": ti.is_armed(),
        "acc": ti.ignition(),
        "charging": ti.is_charging(),
        "alarm_bits": ti.alarm_bits(),
        "gps_on": ti.is_tracking(),
        "cut": ti.is_cut(),
    })
}

#[test]
fn one_stream_of_all_rows_gives_the_same_messages_in_every_chunk_size() {
    let rows = rows();
    let stream: Vec<u8> = rows
        .iter()
        .flat_map(|row| row.raw.iter().copied())
        .collect();
    let expected = read(&stream, stream.len().max(1));
    for size in 1..=64 {
        let got = read(&stream, size);
        assert_eq!(got.len(), expected.len(), "chunks of {size}");
        for (got, expected) in got.iter().zip(&expected) {
            assert_eq!(
                hex::encode(got.raw()),
                hex::encode(expected.raw()),
                "chunks of {size}"
            );
        }
    }
    // No whole frame is lost among those that are not.
    let mut found = expected.iter();
    for row in rows.iter().filter(|row| row.is_whole) {
        for frame in frames(&row.raw) {
            assert!(
                found.any(|f| f.raw() == frame.raw()),
                "row {} is lost in the stream",
                row.n
            );
        }
    }
}

fn read(stream: &[u8], size: usize) -> Vec<Frame> {
    let mut deframer = Deframer::new();
    let mut src = BytesMut::new();
    let mut frames = Vec::new();
    let mut drain = |deframer: &mut Deframer, src: &mut BytesMut| loop {
        match deframer.next_frame(src) {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => break,
            Err(_) => {}
        }
    };
    for chunk in stream.chunks(size) {
        src.extend_from_slice(chunk);
        drain(&mut deframer, &mut src);
    }
    deframer.on_pause();
    drain(&mut deframer, &mut src);
    frames
}

/// Where a report differs from a row, and why.
const DISAGREEMENTS: &[(u64, &str, &str)] = &[
    (
        9,
        "altitude",
        "the row reads the checksum; the altitude is 687 m",
    ),
    (
        12,
        "temp1",
        "the unit is not known (32): kept raw, as 0.32 °C it would be made up",
    ),
    (
        21,
        "power",
        "0x13 of an OBD6: of the device's own battery, as its percentage beside it",
    ),
    (
        22,
        "alarm",
        "0C is tampering on some, power-on by the table; no dialect is known",
    ),
    (
        24,
        "serial",
        "the row's serial is the card's, which is a signal here",
    ),
    (41, "alarm", "event 01 of a camera is SOS"),
    (
        123,
        "battery_v",
        "39.86 V is of a supply, not of a device's battery",
    ),
    (159, "imsi", "the leading 0 fills the last half byte"),
    (210, "imsi", "the leading 0 fills the last half byte"),
    (
        214,
        "serial",
        "a relative's frame, which has none: the row reads the position's end",
    ),
    (
        215,
        "serial",
        "a relative's frame, which has none: the row reads its first bytes",
    ),
    (
        302,
        "serial",
        "a relative's frame, which has none: the row reads the number's end",
    ),
    (251, "text", "a zero at the end fills, and is no text"),
    (
        306,
        "course",
        "the latitude is not on Earth: there is no fix",
    ),
    (306, "sat", "the latitude is not on Earth: there is no fix"),
    (
        306,
        "reupload",
        "the latitude is not on Earth: there is no fix",
    ),
    (
        306,
        "speed_kmh",
        "the latitude is not on Earth: there is no fix",
    ),
];

/// What the rows' names of alarms are here.
fn alarm(theirs: &str) -> &str {
    match theirs {
        "hardBraking" => "harsh_braking",
        "lowBattery" => "low_battery",
        "removing" | "tampering" => "removed",
        other => other,
    }
}

/// What a row's key is in a report's JSON form; `None` if it is none of a report's.
fn in_report(report: &Value, key: &str) -> Option<Value> {
    let signal = |id: &str| {
        let signals = report["signals"].as_array().into_iter().flatten();
        signals
            .filter(|signal| signal["id"] == id)
            .map(|signal| signal["value"].clone())
            .next()
            .unwrap_or_default()
    };
    Some(match key {
        "lat" => report["fix"]["latitude"].clone(),
        "lon" => report["fix"]["longitude"].clone(),
        "speed_kmh" => report["fix"]["speed_kmh"].clone(),
        "course" => report["fix"]["course_deg"].clone(),
        "sat" => report["fix"]["satellites"].clone(),
        "valid" => report["fix"]["valid"].clone(),
        "altitude" => report["fix"]["altitude_m"].clone(),
        "reupload" => report["fix"]["live"].as_bool().map(|live| !live).into(),
        "time" => report["raw_time"]
            .as_str()
            .map(|time| time.replace(' ', "T"))
            .into(),
        "serial" => report["sequence"].clone(),
        "acc" | "ignition" => report["io"]["ignition"].clone(),
        "mcc" | "mnc" | "lac" => report["network"]["cells"][0][key].clone(),
        "cell" => report["network"]["cells"][0]["cell_id"].clone(),
        "alarm" => report["events"][0]["kind"].clone(),
        "alarm_code" => report["events"][0]["code"].clone(),
        "power" | "power_v" => report["power"]["external_v"].clone(),
        "battery" | "battery_v" => report["power"]["battery_v"].clone(),
        "iccid" | "imsi" | "imei" => report["identity"][key].clone(),
        "driverUniqueId" => report["identity"]["driver"].clone(),
        "text" => report["text"].clone(),
        "door" => signal("gt06.door_open"),
        "hours" => report["vehicle"]["engine_hours_s"]
            .as_f64()
            .map(|s| s * 1_000.0)
            .into(),
        "humidity" => signal("gt06.humidity"),
        "temp1" => signal("gt06.temperature"),
        "tag1Temp" => signal("gt06.tag_temperature"),
        "acc_on_seconds" => signal("gt06.ignition_time"),
        "mileage_raw" => report["odometer_m"].clone(),
        _ => return None,
    })
}

#[test]
fn every_row_is_reported_as_it_is_known_or_there_is_a_reason() {
    let (mut compared, mut found) = (0, Vec::new());
    for row in rows() {
        let source = ReportSource::new(None, None);
        let profile = Profile::default();
        let mut reports = Vec::new();
        for frame in frames(&row.raw) {
            if let Ok(message) = Message::decode(&frame, Dialect::default()) {
                let now = Timestamp::UNIX_EPOCH;
                let cx = Context::new(frame.head(), &profile, &source, now, Origin::default());
                message.normalize(&cx, &mut reports);
            }
        }
        let reports: Vec<Value> = reports
            .iter()
            .map(|report| serde_json::to_value(report).unwrap())
            .collect();
        for (key, theirs) in row.values.as_object().into_iter().flatten() {
            let (key, theirs) = match (key.as_str(), theirs.as_str()) {
                ("alarm", Some(code)) if code.starts_with("0x") => {
                    let code = u64::from_str_radix(&code[2..], 16).unwrap();
                    (
                        "alarm_code",
                        Value::from(Some(code).filter(|code| *code != 0)),
                    )
                }
                ("alarm", Some(name)) => ("alarm", alarm(name).into()),
                // No cell.
                ("mcc" | "mnc" | "lac" | "cell", _) if row.values["mcc"] == 0 => {
                    (key.as_str(), Value::Null)
                }
                (key, _) => (key, theirs.clone()),
            };
            if theirs.is_null() {
                continue;
            }
            let ours: Option<Vec<Value>> = reports
                .iter()
                .map(|report| in_report(report, key))
                .collect();
            // What the other tests compare, and servers' messages, are in no report.
            let Some(ours) = ours.filter(|ours| !ours.is_empty()) else {
                continue;
            };
            compared += 1;
            if !ours.iter().any(|ours| is_same(&theirs, ours)) {
                found.push((row.n, key.to_owned(), theirs, ours));
            }
        }
    }
    if compared == 0 {
        return;
    }
    println!("{compared} values compared; {} differ:", found.len());
    for (n, key, theirs, ours) in &found {
        let reason = DISAGREEMENTS
            .iter()
            .find(|(row, of, _)| row == n && of == key);
        let reason = reason.map(|(.., reason)| *reason);
        println!(
            "row {n} {key}: {theirs}, here {ours:?}: {}",
            reason.unwrap_or("?")
        );
        assert!(reason.is_some(), "row {n} {key}: {theirs}, here {ours:?}");
    }
    assert_eq!(found.len(), DISAGREEMENTS.len(), "one is settled");
}

fn is_same(theirs: &Value, ours: &Value) -> bool {
    match (theirs.as_f64(), ours.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() < 5e-6,
        _ => theirs == ours,
    }
}

/// A report's value at a dotted path, in the JSON form.
fn at<'a>(report: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(report, |value, part| match part.parse::<usize>() {
            Ok(index) => value.get(index),
            Err(_) => value.get(part),
        })
}

/// Frames of one connection: the last one's reports, as JSON, and what it is answered.
fn last_of(session: &mut Session, raw: &[Bytes]) -> (Vec<Value>, Option<String>) {
    let now = Timestamp::from_civil(2026, 11, 30, 0, 0, 0).unwrap();
    let (mut reports, mut reply) = (Vec::new(), None);
    for bytes in raw {
        let mut stream = BytesMut::from(&bytes[..]);
        let mut paused = false;
        loop {
            let frame = match session.next_frame(&mut stream) {
                Ok(Some(frame)) => frame,
                Ok(None) if paused => break,
                Ok(None) => {
                    session.on_pause();
                    paused = true;
                    continue;
                }
                Err(_) => continue,
            };
            let known = session.profile().clone();
            let handled = session.on_frame(&frame, now.as_unix());
            if handled.identify.is_some() {
                session.on_identified(None);
            }
            let source = ReportSource::new(None, None);
            let cx = Context::new(frame.head(), &known, &source, now, Origin::default());
            let mut all = Vec::new();
            if let Ok(message) = &handled.message {
                milepost_protocol_gt06::normalize::normalize(message, &cx, &mut all);
            }
            reports = all
                .iter()
                .map(|report| serde_json::to_value(report).unwrap())
                .collect();
            reply = handled.reply.map(|reply| hex::encode(&reply.bytes));
        }
    }
    (reports, reply)
}

#[test]
fn field_cases_without_doubt_are_right() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/field/gt06.jsonl");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("no field cases beside the repository: nothing to run");
        return;
    };
    let mut wrong = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let row: Value = serde_json::from_str(line).unwrap();
        let is_doubtful = row
            .get("doubt")
            .is_some_and(|doubt| *doubt != Value::Bool(false));
        let before = row["before"].as_array().into_iter().flatten();
        let raw: Vec<Bytes> = before
            .chain([&row["hex"]])
            .map(|hex| hex::decode(hex.as_str().unwrap()).unwrap().into())
            .collect();
        let mut session = Session::new(milepost_protocol_gt06::AckPolicy::default());
        let (reports, reply) = last_of(&mut session, &raw);
        let report = reports.first().cloned().unwrap_or_default();
        for (path, expected) in row["expect"].as_object().unwrap() {
            let found = match path.as_str() {
                "reply" => reply.clone().map_or(Value::Null, Value::String),
                path => at(&report, path).cloned().unwrap_or(Value::Null),
            };
            let same = match (expected.as_f64(), found.as_f64()) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-6_f64.max(a.abs() * 1e-6),
                _ => match expected.as_str().and_then(|text| text.strip_prefix("not ")) {
                    Some(other) => found != other && !found.is_null(),
                    None => *expected == found,
                },
            };
            if !same {
                let doubt = if is_doubtful { " (in doubt)" } else { "" };
                println!(
                    "case {}{doubt}: {path}: {found}, expected {expected}",
                    n + 1
                );
                if !is_doubtful {
                    wrong.push(n + 1);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
