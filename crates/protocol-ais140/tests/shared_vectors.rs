//! Runs further packets, where a folder of them lies beside the repository; without it the tests
//! pass and say so.
#![cfg(feature = "telemetry")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::path::Path;

use milepost_protocol_ais140::{Checksum, Dialects, Line, Lines, Profile, ReplyPolicy};
use milepost_telemetry::{Report, Timestamp};
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
