//! Runs further packets, where a folder of them lies beside the repository; without it the tests
//! pass and say so.
#![cfg(feature = "telemetry")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::path::Path;

use bytes::BytesMut;
use milepost_protocol_ais140::normalize::{Arrival, ReportSource, normalize};
use milepost_protocol_ais140::{
    Checksum, Dialects, Frame, Line, Lines, Profile, ReplyPolicy, Session,
};
use milepost_telemetry::{Origin, Report, Timestamp};
use serde_json::{Value, json};

struct Row {
    n: String,
    raw: String,
    hex: Option<String>,
    variant: String,
    quality: String,
    expect: Value,
    checksum: Option<bool>,
    doubt: bool,
}

fn rows(file: &str) -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/vectors")
        .join(file);
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("no further packets beside the repository: nothing to run");
        return Vec::new();
    };
    let text_of = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_string();
    text.lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            Row {
                n: row["n"]
                    .as_str()
                    .map_or_else(|| row["n"].to_string(), str::to_string),
                raw: text_of(&row, "raw"),
                hex: row["raw_hex"].as_str().map(|hex| format!("hex:{hex}")),
                variant: text_of(&row, "variant"),
                quality: text_of(&row, "quality"),
                expect: row["expect"].clone(),
                checksum: row["checksum_ok"].as_bool(),
                doubt: row["doubt"].as_str().is_some_and(|d| !d.is_empty()),
            }
        })
        .collect()
}

fn read(row: &Row) -> Vec<Line> {
    let mut lines = Lines::new(
        Dialects::builtin(),
        ReplyPolicy::default(),
        None,
        Profile::default(),
    );
    let text = row.hex.as_deref().unwrap_or(&row.raw);
    lines.line(text.as_bytes(), Timestamp::from_unix(1_796_000_000), false)
}

/// A report's value under a name of the vectors; `None` if reports have no such value.
fn value(report: &Value, key: &str) -> Option<Value> {
    let at = |path: &str| path.split('.').fold(report.clone(), |v, k| v[k].clone());
    let signal = |name: &str| {
        let all = report["signals"].as_array().cloned().unwrap_or_default();
        all.iter()
            .find(|s| s["id"] == name)
            .map_or(Value::Null, |s| s["value"].clone())
    };
    Some(match key {
        "imei" => at("device"),
        "lat" => at("fix.latitude"),
        "lon" => at("fix.longitude"),
        "time" => at("device_time"),
        "valid" => at("fix.valid"),
        "speed_kmh" => at("fix.speed_kmh"),
        "heading" => at("fix.course_deg"),
        "satellites" => at("fix.satellites"),
        "altitude" => at("fix.altitude_m"),
        "pdop" => at("fix.pdop"),
        "hdop" => at("fix.hdop"),
        "ignition" => at("io.ignition"),
        "main_power" => at("power.external_connected"),
        "main_volts" => at("power.external_v"),
        "battery_volts" => at("power.battery_v"),
        "battery_pct" => at("power.battery_pct"),
        "vendor" => at("identity.vendor"),
        "firmware" => at("identity.firmware"),
        "registration" => at("identity.registration"),
        "iccid" => at("identity.iccid"),
        "operator" => at("network.operator"),
        "frame" => at("sequence"),
        "mcc" => report["network"]["cells"][0]["mcc"].clone(),
        "mnc" => report["network"]["cells"][0]["mnc"].clone(),
        "protocol" => signal("ais140.protocol"),
        "distance" => signal("ais140.distance"),
        "reply" => signal("ais140.reply_number"),
        "geofence" => signal("ais140.geofence"),
        "low_battery_pct" => signal("ais140.low_battery_threshold"),
        "memory_pct" => signal("ais140.memory_used"),
        "interval_on_s" => signal("ais140.interval_ignition_on"),
        "interval_off_s" => signal("ais140.interval_ignition_off"),
        "gsm" => match at("network.signal_dbm").as_i64() {
            Some(dbm) => json!((dbm + 113) / 2),
            None => Value::Null,
        },
        "tamper" => match signal("ais140.box_open") {
            Value::Bool(true) => json!("O"),
            Value::Bool(false) => json!("C"),
            // Other letters are the makers' own.
            _ => return None,
        },
        "digital_in" => at("io.inputs"),
        "digital_out" => at("io.outputs"),
        "analog" => {
            let all: Vec<_> = (1..=6)
                .map(|n| signal(&format!("ais140.analog_{n}")))
                .collect();
            json!(all.iter().filter(|v| !v.is_null()).collect::<Vec<_>>())
        }
        "adc2" => signal("ais140.analog_1"),
        "neighbours" => {
            let cells = report["network"]["cells"].as_array().cloned();
            let neighbours = cells.unwrap_or_default().into_iter();
            let signals = signal("ais140.neighbours");
            let signals = signals.as_str().unwrap_or_default().split_whitespace();
            let signals = signals.filter_map(|one| one.rsplit_once(':')?.1.parse::<i64>().ok());
            let signals: Vec<_> = signals.collect();
            let all = neighbours
                .filter(|cell| cell["serving"] == false)
                .enumerate();
            let all = all.map(|(at, cell)| {
                let signal = cell["signal_dbm"]
                    .as_i64()
                    .or_else(|| signals.get(at).copied());
                json!([cell["lac"], cell["cell_id"], signal])
            });
            Value::Array(all.collect())
        }
        "status" => match at("fix.live") {
            Value::Bool(true) => json!("L"),
            Value::Bool(false) => json!("H"),
            _ => return None,
        },
        "alert_id" => {
            let code = at("events").as_array().and_then(|e| e.first().cloned());
            match code {
                Some(event) => event["code"].clone(),
                None => return None,
            }
        }
        "lac_hex" | "cell_hex" => {
            let cell = &report["network"]["cells"][0];
            let id = if key == "lac_hex" {
                &cell["lac"]
            } else {
                &cell["cell_id"]
            };
            id.as_u64().map_or(Value::Null, |id| json!(id))
        }
        _ => return None,
    })
}

fn same(key: &str, ours: &Value, theirs: &Value) -> bool {
    match (key, ours, theirs) {
        ("lac_hex" | "cell_hex", Value::Number(ours), Value::String(theirs)) => {
            u64::from_str_radix(theirs, 16).ok() == ours.as_u64()
        }
        ("neighbours", _, Value::Array(theirs)) => {
            let hex = |v: &Value| u64::from_str_radix(v.as_str().unwrap_or_default(), 16).ok();
            let theirs = theirs
                .iter()
                .map(|n| json!([hex(&n["lac"]), hex(&n["cell"]), n["signal"]]));
            *ours == Value::Array(theirs.collect())
        }
        // Which end is the first input is the dialect's.
        ("digital_in" | "digital_out", Value::Array(ours), Value::String(theirs)) => {
            let ours: String = ours
                .iter()
                .map(|v| if *v == true { '1' } else { '0' })
                .collect();
            ours == *theirs || ours.chars().rev().eq(theirs.chars())
        }
        ("analog", Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same("", a, b))
        }
        ("status", Value::String(ours), Value::String(theirs)) => {
            ours == theirs || ours == "L" && theirs == "NM" || ours == "H" && theirs == "SP"
        }
        (_, Value::Number(ours), Value::Number(theirs)) => {
            (ours.as_f64().unwrap() - theirs.as_f64().unwrap()).abs() < 1e-4
        }
        (_, ours, Value::String(theirs)) if theirs.is_empty() => ours.is_null(),
        _ => ours == theirs,
    }
}

fn compare(n: &str, report: &Report, expect: &Value, wrong: &mut Vec<String>) -> usize {
    let report = serde_json::to_value(report).unwrap();
    let mut compared = 0;
    for (key, theirs) in expect.as_object().unwrap() {
        if theirs.is_null() {
            continue;
        }
        let Some(ours) = value(&report, key) else {
            continue;
        };
        compared += 1;
        if !same(key, &ours, theirs) {
            wrong.push(format!("{n} {key}: {ours} instead of {theirs}"));
        }
    }
    compared
}

/// Where we disagree, and why.
const DISAGREEMENTS: &[(&str, &str)] = &[
    (
        "F11 lac_hex",
        "zeros all over stand for no cell, as its mcc of null says",
    ),
    (
        "F11 cell_hex",
        "zeros all over stand for no cell, as its mcc of null says",
    ),
    (
        "F37 valid",
        "the packet is cut off before its position, and there is no fix without one",
    ),
];

fn all_values(file: &str) {
    let mut wrong = Vec::new();
    let mut compared = 0;
    for row in rows(file) {
        let lines = read(&row);
        if lines.len() != 1 {
            wrong.push(format!("{}: {} packets instead of one", row.n, lines.len()));
            continue;
        }
        let line = &lines[0];
        if let Some(error) = line.error {
            wrong.push(format!("{} ({}): {error}", row.n, row.variant));
            continue;
        }
        let many = row.expect["reports"].as_array();
        if let Some(many) = many {
            if many.len() != line.reports.len() {
                wrong.push(format!("{}: {} reports", row.n, line.reports.len()));
            }
            for (report, expect) in line.reports.iter().zip(many) {
                compared += compare(&row.n, report, expect, &mut wrong);
            }
        } else if let Some(report) = line.reports.first() {
            compared += compare(&row.n, report, &row.expect, &mut wrong);
        } else if !line.is_from_server {
            wrong.push(format!("{}: no report", row.n));
        }
        // Fields that nobody expected, or that were not found, in packets of devices.
        let json = serde_json::to_value(&line.reports).unwrap().to_string();
        if row.quality == "device" && !row.doubt {
            for sign in ["ais140.missing", "ais140.extra"] {
                if json.contains(sign) {
                    println!("{} ({}): {sign} {}", row.n, row.variant, row.raw);
                }
            }
        }
    }
    println!("{compared} values compared");
    wrong.retain(|line| {
        let known = DISAGREEMENTS
            .iter()
            .find(|(start, _)| line.starts_with(start));
        if let Some((_, why)) = known {
            println!("{line}: {why}");
        }
        known.is_none()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn values_are_those_that_are_known() {
    all_values("ais140.jsonl");
}

#[test]
fn values_of_cases_from_the_field_are_those_that_are_known() {
    all_values("field/ais140.jsonl");
}

#[test]
fn a_checksum_is_never_wrong_before_its_rule_is_certain() {
    for row in rows("ais140.jsonl")
        .iter()
        .chain(&rows("field/ais140.jsonl"))
    {
        for line in read(row) {
            assert_ne!(line.checksum, Checksum::Mismatch, "{}", row.n);
            if row.checksum == Some(true) {
                let is_good = matches!(line.checksum, Checksum::Valid | Checksum::Unverified);
                assert!(is_good, "{}: {:?}", row.n, line.checksum);
                if line.checksum != Checksum::Valid {
                    println!("{} ({}): {:?}", row.n, row.variant, line.checksum);
                }
            }
        }
    }
}

#[test]
fn every_variant_has_a_dialect() {
    for row in rows("ais140.jsonl")
        .iter()
        .chain(&rows("field/ais140.jsonl"))
    {
        for line in read(row) {
            let dialect = line.reports.first().and_then(|r| r.dialect);
            println!(
                "{:>4} {:<40} {}",
                row.n,
                row.variant,
                dialect.as_deref().unwrap_or("-")
            );
        }
    }
}

/// The packets, those left out that no stream can hold as they are: with a line end inside.
fn stream_rows() -> Vec<Vec<u8>> {
    let all = rows("ais140.jsonl")
        .into_iter()
        .chain(rows("field/ais140.jsonl"));
    let bytes = all.filter_map(|row| match row.hex {
        Some(text) => hex::decode(text.strip_prefix("hex:")?).ok(),
        None => match row.raw.strip_prefix("hex:") {
            Some(digits) => hex::decode(digits).ok(),
            None => Some(row.raw.into_bytes()),
        },
    });
    let single = bytes.filter(|raw| frames(raw, raw.len()).len() == 1);
    single.map(|raw| raw.trim_ascii().to_vec()).collect()
}

/// What is framed when a stream comes in parts of `chunk` bytes.
fn frames(stream: &[u8], chunk: usize) -> Vec<Frame> {
    let mut session = Session::default();
    let mut src = BytesMut::new();
    let mut found = Vec::new();
    let mut take = |session: &mut Session, src: &mut BytesMut| {
        loop {
            match session.next_frame(src) {
                Ok(Some(frame)) => found.push(frame),
                Ok(None) => break,
                Err(_) => {}
            }
        }
    };
    for part in stream.chunks(chunk.max(1)) {
        src.extend_from_slice(part);
        take(&mut session, &mut src);
    }
    session.finish();
    take(&mut session, &mut src);
    found
}

/// The reports of packets, each read as that of a device of which nothing is known.
fn reports(frames: &[Frame], dialects: &Dialects) -> Vec<String> {
    let now = Timestamp::from_unix(1_796_000_000);
    let read = frames.iter().zip(1..).map(|(frame, number)| {
        let mut session = Session::new(dialects.clone(), ReplyPolicy::default());
        let mut source = ReportSource::new(None, None);
        let mut handled = session.on_frame(frame, now.as_unix());
        if let Some(imei) = handled.identify {
            session.on_identified(None);
            source = ReportSource::new(None, imei.device_id());
            handled = session.on_frame(frame, now.as_unix());
        }
        let origin = Origin {
            epoch: 0,
            connection: 1,
            frame: number,
        };
        let mut out = Vec::new();
        normalize(&handled, &source, Arrival { at: now, origin }, &mut out);
        format!("{out:?}")
    });
    read.collect()
}

#[test]
fn all_packets_as_one_stream_give_the_same_reports_in_every_chunk_size() {
    let dialects = Dialects::builtin();
    let packets = stream_rows();
    let single: Vec<_> = packets
        .iter()
        .map(|raw| Frame::new(raw.clone().into()))
        .collect();
    let expected = reports(&single, &dialects);
    let stream = packets.join(&b"\r\n"[..]);
    for chunk in 1..=64 {
        let found = frames(&stream, chunk);
        assert_eq!(found, single, "{chunk}");
        assert_eq!(reports(&found, &dialects), expected, "{chunk}");
    }
}

#[test]
fn with_one_byte_corrupted_at_a_time_only_the_touched_packet_is_lost() {
    let packets = stream_rows();
    let mut wrong = Vec::new();
    for three in packets.windows(3) {
        let [before, damaged, after] = three else {
            unreachable!()
        };
        let mut stream = three.join(&b"\r\n"[..]);
        let from = before.len() + 2;
        for at in from..from + damaged.len() {
            for mask in [0x01, 0x80] {
                stream[at] ^= mask;
                let found = frames(&stream, stream.len());
                let is = |frame: Option<&Frame>, raw: &[u8]| frame.is_some_and(|f| f.raw() == raw);
                if !is(found.first(), before) || !is(found.last(), after) {
                    let shown = String::from_utf8_lossy(&stream);
                    wrong.push(format!("{} ^ {mask:#x}: {shown}", at - from));
                }
                stream[at] ^= mask;
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}
