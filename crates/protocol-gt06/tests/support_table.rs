//! The tables of the README match the code.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::BTreeSet;

use bytes::BytesMut;
use milepost_protocol_gt06::{Dialect, Frame, Framing, Message, Start, frame};

const README: &str = include_str!("../README.md");
/// The table that the dispatch is made from: `name: 0xNN | 0xMM => Type,`.
const DISPATCH: &str = include_str!("../src/message/mod.rs");

/// Numbers that the public manuals and captures of the family name.
const NAMED: &str = "01 08 09 10 11 12 13 14 15 16 17 18 19 1A 1B 1E 1F 20 21 22 23 24 25 26 27 28 2A \
    2C 2D 2E 30 31 32 33 34 35 36 37 38 39 40 41 42 43 57 61 65 66 69 70 80 81 82 84 8A 8B 8C 8D \
    90 92 93 94 95 97 99 9B 9C A0 A1 A2 A3 A4 A5 A7 A9 B0 B2 F1 F2 F3 FD";

struct Row {
    numbers: BTreeSet<u8>,
    kind: &'static str,
    decode: &'static str,
}

fn rows() -> Vec<Row> {
    let support = README.split("\n# ").find(|s| s.starts_with("Support\n"));
    support
        .unwrap()
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let numbers = cells.next()?;
            let kind = cells.nth(1)?.strip_prefix('`')?.strip_suffix('`')?;
            let numbers = match numbers {
                "any" => BTreeSet::new(),
                list => list.split(", ").map(number).collect(),
            };
            let decode = cells.next()?;
            Some(Row {
                numbers,
                kind,
                decode,
            })
        })
        .collect()
}

fn number(hex: &str) -> u8 {
    u8::from_str_radix(hex, 16).unwrap_or_else(|_| panic!("{hex:?} is no number"))
}

/// What the dispatch takes: pairs of number and type. `None` is a type that takes all numbers.
fn dispatched() -> BTreeSet<(Option<u8>, &'static str)> {
    let table = DISPATCH.split("\nmessages! {").nth(1).unwrap();
    let table = table.split("\n}").next().unwrap();
    let mut pairs = BTreeSet::new();
    for line in table.lines().map(str::trim) {
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        let (patterns, kind) = line.split_once(": ").unwrap().1.split_once(" => ").unwrap();
        let kind = kind.trim_end_matches(',').split(' ').next().unwrap();
        for pattern in patterns.split(" | ") {
            let hex = |text: &str| number(text.strip_prefix("0x").unwrap());
            match pattern.split_once("..=") {
                _ if pattern == "_" => {
                    pairs.insert((None, kind));
                }
                Some((first, last)) => {
                    pairs.extend((hex(first)..=hex(last)).map(|number| (Some(number), kind)));
                }
                None => {
                    pairs.insert((Some(hex(pattern)), kind));
                }
            }
        }
    }
    pairs
}

#[test]
fn every_number_of_every_message_has_a_row_and_every_row_a_message() {
    let dispatched = dispatched();
    let takes_all = |kind| dispatched.contains(&(None, kind));
    let mut listed = BTreeSet::new();
    for row in rows().into_iter().filter(|row| row.kind != "Unknown") {
        if takes_all(row.kind) {
            listed.insert((None, row.kind));
        } else {
            assert!(!row.numbers.is_empty(), "{} without a number", row.kind);
            listed.extend(row.numbers.iter().map(|number| (Some(*number), row.kind)));
        }
    }
    let missing: Vec<_> = dispatched.difference(&listed).collect();
    let untrue: Vec<_> = listed.difference(&dispatched).collect();
    assert!(
        missing.is_empty() && untrue.is_empty(),
        "README.md misses {missing:x?} and lists {untrue:x?}, which message/mod.rs does not have"
    );
}

#[test]
fn every_number_that_manuals_or_captures_name_is_listed() {
    let listed: BTreeSet<u8> = rows().into_iter().flat_map(|row| row.numbers).collect();
    let named: BTreeSet<u8> = NAMED.split_whitespace().map(number).collect();
    let missing: Vec<_> = named.difference(&listed).collect();
    let unnamed: Vec<_> = listed.difference(&named).collect();
    assert!(missing.is_empty(), "not in the table: {missing:x?}");
    assert!(unnamed.is_empty(), "not among the named: {unnamed:x?}");
}

#[test]
fn a_number_is_listed_as_unknown_exactly_if_no_frame_of_it_is_read() {
    let unknown = rows()
        .into_iter()
        .find(|row| row.kind == "Unknown")
        .unwrap();
    assert_eq!(unknown.decode, "raw kept");
    for number in unknown.numbers {
        for start in [Start::Short, Start::Long] {
            for len in [1, 5, 8, 26, 40] {
                let mut out = BytesMut::new();
                frame::encode(start, number, 1, &mut out, |out| {
                    out.resize(out.len() + len, 1)
                });
                let frame = Frame::parse(out.freeze(), Framing::Checked).unwrap();
                let message = Message::decode(&frame, Dialect::default()).unwrap();
                assert!(matches!(message, Message::Unknown(_)), "{number:02x}");
            }
        }
    }
    let checked: BTreeSet<u8> = dispatched().into_iter().filter_map(|pair| pair.0).collect();
    let listed = NAMED.split_whitespace().map(number);
    let unread: BTreeSet<u8> = listed.filter(|number| !checked.contains(number)).collect();
    let raw: BTreeSet<u8> = rows()
        .into_iter()
        .filter(|row| matches!(row.kind, "Unknown" | "TopinNotice"))
        .flat_map(|row| row.numbers)
        .collect();
    assert!(
        unread.is_subset(&raw),
        "{unread:x?} are neither read nor listed as unread"
    );
}

#[cfg(feature = "telemetry")]
#[test]
fn the_alarm_codes_are_those_of_the_decoder() {
    use std::collections::BTreeMap;

    use milepost_protocol_gt06::field::Alarm;
    use milepost_telemetry::EventKind;

    let kind = |code, dialect| Alarm::from_code(code, dialect).unwrap().event_kind();
    let name = |kind: EventKind| {
        serde_json::to_value(kind)
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    };
    let section = README
        .split("\n# ")
        .find(|s| s.starts_with("Alarm codes\n"));
    let section = section.unwrap();
    let mut listed = BTreeMap::new();
    for line in section.lines().filter(|line| line.contains('`')) {
        let Some(line) = line.strip_prefix("| ") else {
            continue;
        };
        let cells: Vec<_> = line.trim_end_matches(" |").split(" | ").collect();
        for pair in cells.chunks_exact(2) {
            for code in pair
                .first()
                .unwrap()
                .split(", ")
                .filter(|code| !code.is_empty())
            {
                let code = u16::from_str_radix(code, 16).unwrap();
                listed.insert(code, pair.last().unwrap().trim_matches('`').to_owned());
            }
        }
    }
    let known: BTreeMap<u16, String> = (1..=0xfff)
        .map(|code| (code, kind(code, Dialect::default())))
        .filter(|(_, kind)| *kind != EventKind::Unknown)
        .map(|(code, kind)| (code, name(kind)))
        .collect();
    assert_eq!(listed, known);

    // Where a dialect differs, the text below the table names the code, the event and it.
    let text = section
        .rsplit("\n\n")
        .find(|text| text.starts_with("Where makers differ"));
    let text = text.unwrap();
    for dialect in Dialect::ALL {
        for code in 1..=0xfff {
            let kind = kind(code, *dialect);
            if name(kind) == known.get(&code).map_or("unknown", String::as_str) {
                continue;
            }
            for part in [
                format!("{code:02X}"),
                format!("`{}`", name(kind)),
                format!("`{dialect}`"),
            ] {
                assert!(
                    text.contains(&part),
                    "{dialect} reads {code:02x} as {kind:?}: {part}"
                );
            }
        }
    }
}
