//! A frame that is cut short after its position keeps the fix, and says nothing that the whole one
//! does not say: no event, no ignition, no cell, no mileage.
#![cfg(feature = "telemetry")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use bytes::BytesMut;
use milepost_protocol_gt06::normalize::{Context, ReportSource};
use milepost_protocol_gt06::{Dialect, Frame, Framing, Message, Profile, Start, frame};
use milepost_telemetry::{DeviceId, Origin, Timestamp};
use serde_json::Value;

/// The table that the dispatch is made from: `name: 0xNN | 0xMM => Type,`.
const DISPATCH: &str = include_str!("../src/message/mod.rs");

const ID: &str = "0123456789012345";
const TIME: &str = "0f0c1d023305";
const GPS: &str = "0f0c1d023305 c9 027ac818 0c465860 00 1400";
const PLACE: &str = "c9 027ac818 0c465860 00 1400";
const L8: &str = "01cc 00 287d 9d1f71";
const L9: &str = "01cc 00 287d 066d9b03";
const L10: &str = "01cc 0007 287d 066d9b03";
const L15: &str = "01cc 00 0000287d 00000000066d9b03";
const TRAILER: &str = "01 03 01";
/// An SOS by its code; no alarm bits.
const STATUS: &str = "46 05 04 01 02";
const CARD: &str = "c300000100001201";
const PHONE: &str = "313233343536 000000000000000000000000000000";
const SEVEN: &str = "287d 001f71 50  287d 001f72 5a  287d 001f73 5b  287d 001f74 5c  287d 001f75 5d  \
    287d 001f76 5e  287d 001f77 5f";
/// AZ735's blocks, of its position and of its alarm.
const AZ735: &[&str] = &[
    TIME,
    "0c",
    PLACE,
    "09",
    L8,
    "50",
    "0c 287d001f7150 287d001f725a",
    "07 02005e100001 32",
    "a4",
    "01 05",
];

/// A whole message, and where its position ends. `other`: lengths in which a frame is another one's, and
/// why the two cannot be distinguished.
struct Case {
    what: &'static str,
    start: Start,
    number: u8,
    parts: &'static [&'static str],
    position_ends: usize,
    other: &'static [(RangeInclusive<usize>, &'static str)],
}

const fn case(
    what: &'static str,
    start: Start,
    number: u8,
    position_ends: usize,
    parts: &'static [&'static str],
) -> Case {
    Case {
        what,
        start,
        number,
        parts,
        position_ends,
        other: &[],
    }
}

impl Case {
    const fn other(self, other: &'static [(RangeInclusive<usize>, &'static str)]) -> Self {
        Self { other, ..self }
    }
}

// Why a frame that is cut short is read as another one.
const USUAL: &str = "as long as a location, alone, with a trailer, or with trailer and mileage";
const INPUTS: &str = "as long as Benway's: a word is reserved, or inputs";
const MILEAGE: &str =
    "as long as a location with a mileage, from which a trailer cannot be distinguished";
const FILES: &str = "a name that is cut short is a name";

use Start::{Long, Short};

const CASES: &[Case] = &[
    case("10", Short, 0x10, 18, &[GPS, "0002"]),
    case("11", Short, 0x11, 18, &[GPS, L10]),
    case("12", Short, 0x12, 18, &[GPS, L8]),
    case("12 Benway", Short, 0x12, 18, &[GPS, L8, "c032"]),
    case(
        "12 with trailer and mileage",
        Short,
        0x12,
        18,
        &[GPS, L8, TRAILER, "00000164"],
    ).other(&[(28..=28, INPUTS), (30..=30, MILEAGE)]),
    case("12 VXT01", Short, 0x12, 18, &[GPS, L8, "46 04e4 04 00"]).other(&[(28..=28, INPUTS), (29..=29, USUAL)]),
    case(
        "12 S5",
        Short,
        0x12,
        18,
        &[GPS, L8, "46 04b6 04 01 0123 85 00000cd9"],
    ).other(&[(28..=28, INPUTS), (29..=29, USUAL), (33..=33, USUAL)]),
    case(
        "12 Wetrust",
        Short,
        0x12,
        18,
        &[GPS, L8, "00008664 04 31323334 06 01 0010"],
    ).other(&[(29..=29, USUAL), (33..=33, USUAL)]),
    case(
        "12 GT06E",
        Short,
        0x12,
        18,
        &[
            GPS,
            L8,
            "00008664 4b",
            "202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020\
         202020202020202020202020202020202020202020202020202020202020",
            "31 30",
        ],
    ).other(&[(29..=29, USUAL), (33..=33, USUAL)]),
    case("12 with id", Short, 0x12, 26, &[ID, GPS, L8]),
    case("16", Short, 0x16, 18, &[GPS, "09", L8, STATUS, "00000164"]),
    case("16 without size", Short, 0x16, 18, &[GPS, L8, STATUS]),
    case("16 TRX16i", Short, 0x16, 18, &[GPS, "09", L8, STATUS, CARD]),
    case("16 Seeworld", Short, 0x16, 18, &[GPS, "0a", L9, STATUS]),
    case("16 VXT01", Short, 0x16, 18, &[GPS, L8, "66 04e4 04 00"]),
    case(
        "16 without cell",
        Short,
        0x16,
        18,
        &[
            GPS,
            "00",
            "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
            STATUS,
        ],
    ),
    case("17 card", Short, 0x17, 18, &[GPS, L8, CARD, "01"]),
    case("17 status", Short, 0x17, 18, &[GPS, L8, STATUS, "000064"]),
    case("1a", Short, 0x1a, 18, &[GPS, PHONE, "0001"]),
    case("1e", Short, 0x1e, 18, &[GPS, "01cc 00", SEVEN, "ff 0002"]),
    case("22", Short, 0x22, 18, &[GPS, L8, TRAILER]),
    case(
        "22 with mileage",
        Short,
        0x22,
        18,
        &[GPS, L8, TRAILER, "00410164"],
    ),
    case(
        "22 Seeworld",
        Short,
        0x22,
        18,
        &[GPS, L9, TRAILER, "00000164 0000003c 8020 002d"],
    ).other(&[(26..=26, USUAL), (29..=29, USUAL), (33..=33, USUAL)]),
    case(
        "22 NT",
        Short,
        0x22,
        33,
        &[
            "00",
            ID,
            TIME,
            GPS,
            "09",
            L8,
            "46 0984 28 04 01 02 000005 000171",
        ],
    ),
    case(
        "24 SR411",
        Short,
        0x24,
        18,
        &[GPS, L8, "01 04e2 01a0", "00112233445566778899"],
    ),
    case(
        "25",
        Short,
        0x25,
        33,
        &[
            "00",
            ID,
            TIME,
            GPS,
            "0a",
            L9,
            "04 46 0984 28 04 01 02 000005 000171",
            "04 01 313233",
        ],
    ),
    case("26", Short, 0x26, 18, &[GPS, "09", L8, STATUS, "00000164"]),
    case(
        "27",
        Short,
        0x27,
        18,
        &[GPS, "09", L8, STATUS, "04", "00000164"],
    ),
    case("2a", Short, 0x2a, 18, &[GPS, PHONE, "0001"]),
    case("2d", Short, 0x2d, 18, &[GPS, L8, TRAILER, "00000164"]),
    case("31", Short, 0x31, 18, &[GPS, L8, TRAILER]),
    case(
        "31 SL4X",
        Short,
        0x31,
        18,
        &[GPS, L10, TRAILER, "00000164", "ffec"],
    ),
    case(
        "32 J16",
        Short,
        0x32,
        18,
        &[GPS, L9, TRAILER, "00000164 04e2 00000001 422d"],
    ),
    case(
        "32 J16, narrow",
        Short,
        0x32,
        18,
        &[GPS, L8, TRAILER, "00000164 04e2 00000001"],
    ),
    case(
        "32 SL4X",
        Short,
        0x32,
        18,
        &[GPS, "0a", L10, STATUS, "02af"],
    ),
    case(
        "34 X1",
        Short,
        0x34,
        22,
        &[
            "39000000",
            GPS,
            "0000 00000164",
            L9,
            "00000007",
            "0500 018f",
            "42210000",
            "05 01",
            "0041 0042",
        ],
    ),
    case(
        "36 TRX16i",
        Short,
        0x36,
        18,
        &[GPS, L9, TRAILER, "00000164 04e2 29 000010", CARD],
    ),
    case(
        "37",
        Short,
        0x37,
        18,
        &[GPS, L8, TRAILER, "002e 04 00002328", "003b 02 00fa"],
    ),
    case(
        "37 with mileage",
        Short,
        0x37,
        18,
        &[GPS, L8, TRAILER, "000003e8", "003b 02 00fa"],
    ),
    case(
        "38",
        Long,
        0x38,
        18,
        &[
            GPS,
            "03",
            "01",
            "03 01cc 00 0000287d 00000000066d9b03 0050",
            "0027 02 04e4",
        ],
    ),
    case(
        "38, 2G",
        Long,
        0x38,
        18,
        &[GPS, "03", "01", "02 01cc 00 287d 9d1f71 50", "0027 02 04e4"],
    ),
    case(
        "39",
        Long,
        0x39,
        18,
        &[
            GPS,
            "03 01cc 00 0000287d 00000000066d9b03 0050",
            STATUS,
            "0018 02 019a",
        ],
    ),
    case("61", Short, 0x61, 26, &[ID, GPS, L9, "00000a1b2c3d"]),
    case("a0", Short, 0xa0, 18, &[GPS, L15, TRAILER, "00000164"]),
    case(
        "a2 Lynkworld",
        Short,
        0xa2,
        18,
        &[
            GPS,
            L15,
            "04 46 04e4 06 04 19 01",
            "00000164 00000e10",
            CARD,
            "0003",
        ],
    ),
    case("a3", Short, 0xa3, 18, &[GPS, "10", L15, STATUS]),
    case("a4", Short, 0xa4, 18, &[GPS, "10", L15, STATUS, "04"]),
    // Positions in other places.
    case("32 AZ735", Long, 0x32, 19, AZ735),
    case("33 AZ735", Long, 0x33, 19, AZ735),
    case(
        "70",
        Long,
        0x70,
        22,
        &[
            "0033 0012 5681f519 0b 0024 027ac818 0c465860 1b 144c",
            "0018 0002 017c",
            "002e 0004 00000164",
            "002c 0004 5681f519",
            "0034 0006 12 5681f519 00",
        ],
    ),
    case("8c", Long, 0x8c, 26, &[TIME, "01", "3530303d3143", PLACE]),
    case(
        "95 JC400",
        Short,
        0x95,
        16,
        &[TIME, "027ac818 0c465860 1400", "80", "0000", "612e6d7034"],
    ).other(&[(20..=23, FILES)]),
    case(
        "95 marked",
        Short,
        0x95,
        20,
        &[
            "ffff 01",
            TIME,
            "09 027ac818 0c465860 1400 0010 007d",
            "80",
            "0000",
            "612e6d7034",
        ],
    ).other(&[(28..=31, FILES)]),
];

/// Messages of the dispatch without a case: without a position, or as is said.
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

fn bytes(parts: &[&str]) -> Vec<u8> {
    hex::decode(parts.concat().replace(' ', "")).unwrap()
}

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
fn said(start: Start, message: &Message) -> Vec<Value> {
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

/// What a value says that another does not say.
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
    let said = said(case.start, &message);
    let mut faults = Vec::new();
    for (i, report) in said.iter().enumerate() {
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
    if place(&said) != place(whole) {
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
    for case in CASES {
        let body = bytes(case.parts);
        let whole = said(case.start, &read(case.start, case.number, &body).unwrap());
        for len in case.position_ends..body.len() {
            let faults = faults(case, &body[..len], &whole);
            let reason = case.other.iter().find(|(lens, _)| lens.contains(&len));
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
    for case in CASES {
        let message = read(case.start, case.number, &bytes(case.parts)).unwrap();
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
