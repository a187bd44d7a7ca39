//! Runs further frames, where a folder of them lies beside the repository; without it the tests
//! pass and say so.
#![cfg(feature = "telemetry")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(clippy::or_fun_call, reason = "lookups in JSON, in a test")]

use std::path::{Path, PathBuf};

use milepost_protocol_j1939::decoder::{Content, Decoder, Head, Message, Options, Output};
use milepost_protocol_j1939::name::Name;
use milepost_protocol_j1939::network::Control;
use milepost_protocol_j1939::normalize::{self, ReportContext};
use milepost_protocol_j1939::obd::isotp::IsoTpError;
use milepost_protocol_j1939::transport::Reason;
use milepost_protocol_j1939::{CanFrame, CanId, CanTime, J1939Id};
use milepost_telemetry::{Origin, Report, Timestamp};
use serde_json::{Value, json};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors")
}

fn rows(file: &str) -> Vec<Value> {
    let Ok(text) = std::fs::read_to_string(folder().join(file)) else {
        println!("no further frames beside the repository: nothing to run");
        return Vec::new();
    };
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn can_id(text: &str) -> CanId {
    let raw = u32::from_str_radix(text, 16).unwrap();
    if text.len() <= 3 {
        CanId::standard(raw.try_into().unwrap()).unwrap()
    } else {
        CanId::extended(raw).unwrap()
    }
}

fn frames(row: &Value) -> Vec<CanFrame> {
    let all = row["frames"].as_array().unwrap().iter();
    all.filter(|frame| frame["data"].is_string())
        .map(|frame| {
            let data = hex::decode(frame["data"].as_str().unwrap()).unwrap();
            let time = frame["t"]
                .as_f64()
                .map(|t| CanTime((t * 1e6).round() as u64));
            CanFrame::new(can_id(frame["id"].as_str().unwrap()), &data)
                .unwrap()
                .with_time(time)
        })
        .collect()
}

fn run(frames: &[CanFrame]) -> Vec<Output> {
    let mut decoder = Decoder::new(Options::default());
    let mut all = Vec::new();
    for frame in frames {
        decoder.push(frame, CanTime(1));
        all.extend(std::iter::from_fn(|| decoder.poll()));
    }
    all
}

/// Multi-packet and segmented messages, and single ones.
fn messages(output: &[Output]) -> Vec<&Message> {
    let all = output.iter().filter_map(|output| match output {
        Output::Message(message) => Some(message),
        _ => None,
    });
    all.collect()
}

fn report(message: &Message) -> Report {
    let received_at = Timestamp::from_unix(1_763_622_000);
    let origin = Origin {
        epoch: 1,
        connection: 1,
        frame: 1,
    };
    normalize::report(
        message,
        &ReportContext {
            tenant: None,
            device: None,
            received_at,
            origin,
        },
    )
}

/// The JSON form of a message's report.
fn reported(message: &Message) -> Value {
    serde_json::to_value(report(message)).unwrap()
}

/// Signals that are not in the table, with the reason. All are "not available" in these frames, so
/// that the frames say nothing about a scale or a place. Each entry must still disagree.
const KNOWN: &[(&str, u64, &str)] = &[
    ("42", 3518, "no usable source states a scale"),
    (
        "42",
        3520,
        "its place is known only of the like group of aftertreatment 2 (SPN 4424)",
    ),
    (
        "42",
        3521,
        "its place is known only of the like group of aftertreatment 2 (SPN 4425)",
    ),
    ("46", 3343, "no usable source states a place or a scale"),
    ("59", 2611, "no usable source states a place or a scale"),
    ("203", 9709, "no source at hand lists it"),
];

struct Findings {
    wrong: Vec<String>,
    checked: usize,
    known: Vec<(String, u64)>,
}

impl Findings {
    fn new() -> Self {
        Self {
            wrong: Vec::new(),
            checked: 0,
            known: Vec::new(),
        }
    }

    fn check(&mut self, row: &Value, is_right: bool, what: impl FnOnce() -> String) {
        self.checked += 1;
        if !is_right {
            self.wrong
                .push(format!("{} {}: {}", row["n"], row["kind"], what()));
        }
    }

    fn finish(self) {
        println!("{} checks, {} wrong", self.checked, self.wrong.len());
        assert!(
            self.wrong.is_empty(),
            "{} of {} wrong\n{}",
            self.wrong.len(),
            self.checked,
            self.wrong.join("\n")
        );
        let missing: Vec<_> = KNOWN
            .iter()
            .filter(|(n, spn, _)| !self.known.contains(&((*n).to_owned(), *spn)))
            .collect();
        let ran_all = self.checked > 1_000;
        assert!(missing.is_empty() || !ran_all, "now agree: {missing:?}");
    }

    fn signals(&mut self, row: &Value, message: &Message, expected: &Value) {
        for one in expected.as_array().unwrap() {
            let number = one["spn"].as_u64().unwrap();
            let n = row["n"].to_string();
            let state = one["state"].as_str().unwrap().replace([' ', '-'], "_");
            let sample = message
                .signals()
                .find(|sample| u64::from(sample.spn.number) == number);
            let Some(sample) = sample else {
                if KNOWN.iter().any(|(k, spn, _)| *k == n && *spn == number) {
                    self.known.push((n, number));
                    continue;
                }
                self.check(row, false, || {
                    format!("spn {number} is not in the table: {one}")
                });
                continue;
            };
            let json = normalize::signal(&sample, 0).map_or(json!({}), |s| json!(s));
            let found = match json["state"].as_str() {
                Some(state) => state,
                None if json["value"].is_null() => "absent",
                None => "valid",
            };
            let values_agree = match (one["value"].as_f64(), json["value"].as_f64()) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-6 * a.abs().max(1.0),
                (None, None) => true,
                _ => false,
            };
            let raw = one["raw"].as_u64();
            let is_right = found == state
                && values_agree
                && raw.is_none_or(|raw| raw == sample.raw || found == "absent");
            if !is_right && KNOWN.iter().any(|(k, spn, _)| *k == n && *spn == number) {
                self.known.push((n, number));
                continue;
            }
            self.check(row, is_right, || {
                format!("spn {number}: {one} but {json} raw {}", sample.raw)
            });
        }
    }

    fn codes(&mut self, row: &Value, message: &Message, expected: &Value) {
        let report = reported(message);
        let found = &report["diagnostics"];
        let lamps = |name: &str| {
            let long = match name {
                "rsl" => "red_stop",
                "awl" => "amber",
                "pl" => "protect",
                name => name,
            };
            let lamp = expected["lamps"].get(name).or(expected["lamps"].get(long));
            let lamp = lamp.unwrap();
            let text = lamp["meaning"].as_str().or(lamp.as_str()).unwrap();
            text.replace("NA", "not_available")
                .replace("on_slow_flash", "on")
                .replace("on_fast_flash", "on")
        };
        for name in ["mil", "rsl", "awl", "pl"] {
            let expected = lamps(name);
            self.check(row, found["lamps"][name] == expected.as_str(), || {
                format!("{name}: {expected} but {}", found["lamps"])
            });
        }
        let dtcs = expected["dtcs"].as_array().unwrap();
        let list = found["dtcs"].as_array().unwrap();
        self.check(row, dtcs.len() == list.len(), || {
            format!("{dtcs:?} but {list:?}")
        });
        for (a, b) in dtcs.iter().zip(list) {
            let is_right = ["spn", "fmi", "oc", "cm"]
                .iter()
                .all(|key| a[*key] == b[*key]);
            self.check(row, is_right, || format!("{a} but {b}"));
        }
    }

    fn delivered(&mut self, row: &Value, output: &[Output], expected: &Value) {
        let all: Vec<_> = messages(output)
            .into_iter()
            .filter(|m| match m.head {
                Head::Group(_) => m.data.len() > 8,
                Head::Can(id) => id.raw() & 0x7F8 == 0x7E8 || id.is_extended() || id.raw() == 0x7E8,
            })
            .collect();
        let list = expected.as_array().unwrap();
        self.check(row, all.len() == list.len(), || {
            format!("{} messages expected, {output:?}", list.len())
        });
        for (a, b) in list.iter().zip(all) {
            let data = normalize::hex(&b.data);
            let head = match b.head {
                Head::Group(id) => {
                    a["pgn"] == id.pgn.raw() && a["sa"] == id.source && a["da"] == id.destination
                }
                Head::Can(id) => a["id"] == id.to_string().as_str(),
            };
            self.check(row, head && a["data"] == data.as_str(), || {
                format!("{a} but {b:?}")
            });
            if let Some(signals) = a.get("signals") {
                self.signals(row, b, signals);
            }
            if let Some(codes) = a.get("dm") {
                self.codes(row, b, codes);
            }
        }
    }
}

fn only(output: &[Output]) -> &Message {
    let all = messages(output);
    assert_eq!(all.len(), 1, "{output:?}");
    all[0]
}

#[test]
fn the_collected_frames_agree() {
    let mut f = Findings::new();
    for row in rows("j1939.jsonl") {
        let output = run(&frames(&row));
        let expected = &row["expect"];
        match row["kind"].as_str().unwrap() {
            "single" => f.signals(&row, only(&output), expected),
            "dm1" => f.codes(&row, only(&output), expected),
            "id" => check_id(&mut f, &row),
            "address-claim" => check_name(&mut f, &row, only(&output), expected),
            "request" => {
                let message = only(&output);
                let Content::Request(request) = message.content else {
                    panic!("{message:?}")
                };
                let is_right = expected["requested_pgn"] == request.pgn.raw();
                f.check(&row, is_right, || format!("{request:?}"));
            }
            "ack" => {
                let Content::Acknowledge(ack) = only(&output).content else {
                    panic!()
                };
                let is_right = expected["control"] == ack.control.code()
                    && expected["group_function"] == ack.group_function
                    && expected["address"] == ack.address.unwrap_or(255)
                    && expected["acknowledged_pgn"] == ack.pgn.raw();
                f.check(&row, is_right, || format!("{ack:?}"));
            }
            "obd" | "obd-dtc" | "obd-negative" => check_obd(&mut f, &row, &output),
            "tp-text" => {
                f.delivered(&row, &output, &expected["messages"]);
                check_text(&mut f, &row, messages(&output)[0]);
            }
            "isotp" if expected["complete"] == false => {
                f.check(&row, messages(&output).is_empty(), || format!("{output:?}"));
            }
            kind => {
                f.delivered(&row, &output, &expected["messages"]);
                if let Some(reason) = expected.get("abort_reason").filter(|r| !r.is_null()) {
                    let aborted = output.iter().any(|o| {
                        matches!(o, Output::Failure(failure)
                            if matches!(failure.reason, Reason::Aborted { code, .. } if *reason == code))
                    });
                    f.check(&row, aborted, || format!("{kind} {output:?}"));
                }
                if let Some(vin) = expected["vin"].as_str() {
                    let report = reported(messages(&output)[0]);
                    f.check(&row, report["identity"]["vin"] == vin, || {
                        report.to_string()
                    });
                }
            }
        }
    }
    f.finish();
}

fn check_id(f: &mut Findings, row: &Value) {
    let frame = &row["frames"][0];
    let id = J1939Id::new(can_id(frame["id"].as_str().unwrap())).unwrap();
    let e = &row["expect"];
    let is_right = e["priority"] == id.priority
        && e["pgn"] == id.pgn.raw()
        && e["da"] == id.destination
        && e["sa"] == id.source;
    f.check(row, is_right, || format!("{id:?}"));
}

fn check_name(f: &mut Findings, row: &Value, message: &Message, e: &Value) {
    let Content::AddressClaim(name, _) = message.content else {
        panic!()
    };
    let hex = e["name"].as_str().or(e["name_hex"].as_str()).unwrap();
    let expected = Name(u64::from_str_radix(hex, 16).unwrap());
    f.check(row, name == expected, || format!("{name}"));
    let claim = &reported(message)["address_claim"];
    for (key, other) in [
        ("identity_number", "identity"),
        ("manufacturer_code", "manufacturer"),
        ("ecu_instance", "ecu_instance"),
        ("function_instance", "function_instance"),
        ("function", "function"),
        ("vehicle_system", "vehicle_system"),
        ("vehicle_system_instance", "vehicle_system_instance"),
        ("industry_group", "industry_group"),
        ("arbitrary_address_capable", "arbitrary_address"),
    ] {
        let expected = e.get(key).or(e.get(other)).unwrap();
        f.check(row, claim[key] == *expected, || {
            format!("{key}: {expected} but {claim}")
        });
    }
}

fn check_text(f: &mut Findings, row: &Value, message: &Message) {
    let report = reported(message);
    for (spn, text) in row["expect"]["text"].as_object().unwrap() {
        let id = format!("spn.{spn}");
        let signal = report["signals"]
            .as_array()
            .unwrap()
            .iter()
            .find(|s| s["id"] == id.as_str());
        let value = signal.map(|s| s["value"].clone());
        f.check(row, value.as_ref() == Some(text), || {
            format!("{id}: {text} but {report}")
        });
    }
}

fn check_obd(f: &mut Findings, row: &Value, output: &[Output]) {
    let e = &row["expect"];
    let all = messages(output);
    let Some(message) = all.last() else {
        f.check(row, false, || format!("{output:?}"));
        return;
    };
    let report = reported(message);
    let signals = report["signals"].as_array().cloned().unwrap_or_default();
    if let Some(values) = e["values"].as_array() {
        for value in values {
            let found = signals.iter().any(|s| {
                let close = match (s["value"].as_f64(), value["value"].as_f64()) {
                    (Some(a), Some(b)) => (a - b).abs() <= 0.006 * b.abs().max(1.0),
                    _ => false,
                };
                close && s.get("unit").unwrap_or(&json!("")) == &value["unit"]
            });
            f.check(row, found, || format!("{value} but {signals:?}"));
        }
    }
    if let Some(supported) = e["supported"].as_array().or(e["supported_hex"].as_array()) {
        let texts: Vec<_> = supported.iter().map(|p| p.as_str().unwrap_or("")).collect();
        let text = texts.join(" ");
        let found = signals.iter().any(|s| s["value"] == text.as_str());
        f.check(row, found, || format!("{text} but {signals:?}"));
    }
    if let Some(dtcs) = e["dtcs"].as_array() {
        let list = report["diagnostics"]["dtcs"].as_array().unwrap();
        let found: Vec<_> = list.iter().map(|d| d["code"].clone()).collect();
        f.check(row, *dtcs == found, || format!("{dtcs:?} but {found:?}"));
    }
    if let Some(negative) = e.get("negative") {
        let refused = &report["diagnostics"]["refused"];
        f.check(row, refused == negative, || {
            format!("{negative} but {refused}")
        });
    }
}

#[test]
fn the_field_cases_agree() {
    let mut f = Findings::new();
    for row in rows("field/j1939.jsonl") {
        let kind = row["kind"].as_str().unwrap();
        // Text forms are the carriers' business; a DBC has a test of its own.
        if matches!(
            kind,
            "candump-text" | "slcan" | "obd-elm-multiline" | "dbc-signed"
        ) {
            continue;
        }
        let e = &row["expect"];
        if kind == "id" {
            check_id(&mut f, &row);
            continue;
        }
        let output = run(&frames(&row));
        let all = messages(&output);
        match kind {
            "single" => f.signals(&row, all[0], e),
            "dm1" => f.codes(&row, all[0], e),
            "tp-dm1" | "tp-rts" => f.codes(&row, all.last().unwrap(), e),
            "tp-lost-chimera" => f.check(&row, all.is_empty(), || format!("{output:?}")),
            "tp-transposed" => {
                let pgns = all.iter().map(|m| match m.head {
                    Head::Group(id) => id.pgn.raw(),
                    Head::Can(_) => 0,
                });
                let pgns: Vec<_> = pgns.collect();
                f.check(&row, pgns == [65251, 65226], || format!("{output:?}"));
            }
            "address-claim" => check_name(&mut f, &row, all[0], e),
            "tp-text" => {
                let Content::Text(fields) = &all[0].content else {
                    panic!()
                };
                let texts: Vec<_> = fields.iter().map(|t| json!(t.text)).collect();
                let expected = [&e["make"], &e["model"], &e["serial"], &e["unit"]];
                f.check(&row, texts.iter().eq(expected), || format!("{texts:?}"));
            }
            "ack" => {
                let Content::Acknowledge(ack) = all[0].content else {
                    panic!()
                };
                let is_right = ack.control == Control::Negative
                    && ack.address.is_none()
                    && ack.group_function == 0
                    && e["pgn"] == ack.pgn.raw();
                f.check(&row, is_right, || format!("{ack:?}"));
            }
            "isotp" => {
                let payload = normalize::hex(&all[0].data);
                f.check(&row, e["payload"] == payload.as_str(), || payload.clone());
            }
            "isotp-extra-cf" => {
                let list = e["delivered"].as_array().unwrap();
                let found: Vec<_> = all.iter().map(|m| normalize::hex(&m.data)).collect();
                let expected: Vec<_> = list
                    .iter()
                    .map(|d| d["payload"].as_str().unwrap())
                    .collect();
                f.check(&row, found == expected, || format!("{found:?}"));
            }
            "obd-vin" => {
                let report = reported(all[0]);
                f.check(&row, report["identity"]["vin"] == e["vin"], || {
                    report.to_string()
                });
            }
            "obd-supported" => check_obd(&mut f, &row, &output),
            "dm20" | "dm24" | "dm30" | "dm19" | "dm21" | "dm34" => {
                check_dm(&mut f, &row, all.last().unwrap());
            }
            other => panic!("{other}"),
        }
    }
    f.finish();
}

fn check_dm(f: &mut Findings, row: &Value, message: &Message) {
    let e = &row["expect"];
    let report = reported(message);
    let all = &report["diagnostics"];
    let value = |id: &str| {
        let signals = report["signals"].as_array().unwrap().iter();
        signals
            .clone()
            .find(|s| s["id"] == id)
            .map_or(json!(null), |s| {
                s["value"].as_f64().map_or(json!(3), |v| json!(v as u64))
            })
    };
    match row["kind"].as_str().unwrap() {
        "dm21" => {
            for (key, spn) in [
                ("km_with_mil", 3069),
                ("km_since_clear", 3294),
                ("min_with_mil", 3295),
                ("min_since_clear", 3296),
            ] {
                let found = value(&format!("spn.{spn}"));
                f.check(row, e[key] == found, || format!("{key} {found}"));
            }
        }
        "dm34" => {
            for gas in ["nox", "pm"] {
                for key in ["control_area", "carve_out", "deficiency"] {
                    let found = value(&format!("j1939.{gas}_{key}"));
                    f.check(row, e[gas][key] == found, || format!("{gas} {key} {found}"));
                }
            }
        }
        "dm30" => {
            let one = &all["tests"][0];
            let is_right = e[0]["spn"] == one["spn"]
                && e[0]["fmi"] == one["fmi"]
                && e[0]["slot"] == one["slot"]
                && one.get("value").is_none()
                && one.get("max").is_none();
            f.check(row, is_right, || one.to_string());
        }
        "dm20" => {
            let ratios = e["ratios"].as_array().unwrap();
            let found = all["ratios"].as_array().unwrap();
            f.check(row, ratios.len() == found.len(), || all.to_string());
            for (a, b) in ratios.iter().zip(found) {
                let is_right = a["spn"] == b["spn"]
                    && a["num"] == b["numerator"]
                    && a["den"] == b["denominator"];
                f.check(row, is_right, || format!("{a} but {b}"));
            }
        }
        "dm24" => {
            let (a, b) = (e.as_array().unwrap(), all["supported"].as_array().unwrap());
            f.check(row, a == b, || format!("{a:?} but {b:?}"));
        }
        _ => {
            let item = &e["items"][0];
            let one = &all["calibrations"][0];
            let is_right = item["cal_id"] == one["id"] && item["cvn"] == one["cvn"];
            f.check(row, is_right, || one.to_string());
        }
    }
}

#[test]
fn no_collected_frame_interrupts_a_segmented_message_without_saying_so() {
    for row in rows("j1939.jsonl") {
        if row["kind"] == "isotp-interrupted" {
            let output = run(&frames(&row));
            let interrupted = output.iter().any(|o| {
                matches!(o, Output::IsoTpFailure { error, .. } if *error == IsoTpError::Interrupted)
            });
            assert!(interrupted, "{output:?}");
        }
    }
}
