//! Explanations, for people who integrate a device.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use bytes::BytesMut;
use milepost_protocol_gt06::{Dialect, Frame, Framing, Message, Start, frame};

const CELL: &str = "01cc00287d001f71";

/// The meanings of all fields of that name.
fn meanings(start: Start, number: u8, body: &str, field: &str) -> Vec<String> {
    meanings_as(Dialect::default(), start, number, body, field)
}

fn meanings_as(dialect: Dialect, start: Start, number: u8, body: &str, field: &str) -> Vec<String> {
    let body = hex::decode(body.replace(' ', "")).unwrap();
    let mut out = BytesMut::new();
    frame::encode(start, number, 1, &mut out, |out| {
        out.extend_from_slice(&body);
    });
    let frame = Frame::parse(out.freeze(), Framing::Checked).unwrap();
    let (message, fields) = Message::explain(&frame, dialect);
    message.unwrap();
    let named = fields.into_iter().filter(|found| found.name == field);
    named.map(|found| found.meaning).collect()
}

fn short(number: u8, body: &str, field: &str) -> String {
    meanings(Start::Short, number, body, field).concat()
}

fn long(number: u8, body: &str, field: &str) -> Vec<String> {
    meanings(Start::Long, number, body, field)
}

/// A position, a cell, and something after.
fn located(rest: &str) -> String {
    format!("0f0c1d023305 c9 027ac818 0c465860 00 1400 {CELL} {rest}")
}

#[test]
fn alarms_are_explained_with_their_language() {
    assert_eq!(long(0x95, "140a060e2208 91", "event"), ["braking"]);
    let s5 = located("46 04b6 04 02 0123 85 000004d2");
    assert_eq!(short(0x12, &s5, "alarm"), "power cut");
    assert_eq!(short(0x12, &s5, "temperature"), "-5 °C");
    assert_eq!(short(0x12, &s5, "mileage"), "12340 m");
    // Twelve bits, the upper four of which are in the language.
    let lte = "01cc 00 0000287d 0000000000001f71";
    let jammed = format!("0f0c1d023305 c9 027ac818 0c465860 00 1400 10 {lte} 46 06 04 07 12 ff");
    assert_eq!(short(0xa4, &jammed, "alarm"), "0x107: jamming");
    assert_eq!(short(0xa4, &jammed, "language"), "English");
    let wifi = "0f0c1d023305 01cc 00 00 00 05 00 0b 11";
    assert_eq!(short(0xa9, wifi, "alarm"), "0x10b: jamming");
    assert_eq!(short(0xa9, wifi, "language"), "Chinese");
    assert_eq!(short(0xa3, "46 0001 06 64 0c 01", "language"), "Chinese");
    assert_eq!(
        short(0xa3, "46 0001 06 64 0c 00", "language"),
        "no reply wanted"
    );
}

#[test]
fn languages_and_models_have_their_names() {
    let login = "0123456789012345 7000 3202";
    assert_eq!(short(0x01, login, "type"), "7000");
    assert_eq!(
        short(0x01, login, "zone and language"),
        "UTC+08:00, language English"
    );
    assert_eq!(short(0x15, "06 00000001 4f4b 0002", "language"), "English");
}

#[test]
fn numbers_that_are_names_are_not_counted() {
    let card = located("c300000100001201");
    assert_eq!(short(0x17, &card, "card"), "c300000100001201");
    let none = located("0000000000000000");
    assert_eq!(short(0x17, &none, "card"), "none");
    assert_eq!(
        long(0x94, "21 0123456789ab", "bluetooth address"),
        ["01:23:45:67:89:ab"]
    );
}

#[test]
fn lists_are_explained_item_by_item() {
    assert_eq!(
        long(0x94, "09 03 02 2826 03 28260c", "sub-type"),
        ["09, satellites"]
    );
    assert_eq!(
        long(0x94, "09 03 02 2826 03 28260c", "strengths of visible"),
        ["40, 38, 12"]
    );
    let state = hex::encode("ALM1=C4;STA1=81;DYD=09;SOS=,,;MODE=1");
    assert_eq!(
        long(0x94, &format!("04{state}"), "state"),
        [
            "ALM1=C4: vibration on (by network); displacement off (by network)",
            "STA1=81: tamper alarm, armed",
            "DYD=09: connected, to be cut later: speed",
            "SOS=,,",
            "MODE=1",
        ]
    );
    // No text takes away the meaning of what is before it.
    assert_eq!(long(0x94, "04", "sub-type"), ["04, state"]);
    assert_eq!(long(0x21, "00000001 01", "encoding"), ["ASCII"]);
    assert_eq!(short(0x15, "04 00000001 0002", "server flag"), "1");
    let values = hex::encode("451=251C,531=,741=WVWZZZ,9a0=12,");
    assert_eq!(
        long(0x8c, &format!("15010d08200d01{values}"), "values"),
        [
            "coolant 95 °C, source 1",
            "speed: no value, source 1",
            "VIN WVWZZZ, source 1",
            "9a0=12: parameter 9a, source 0",
        ]
    );
    assert_eq!(long(0x8c, "15010d08200d01", "ignition"), ["on"]);
    let modules =
        "002a 0001 12  1000 0001 01  0034 0006 21 65000000 00  0036 0008 01 0123456789ab 46";
    assert_eq!(
        long(0x70, modules, "module data"),
        [
            "tamper 1, door or light 2",
            "yes",
            "event 21, power cut, at 2023-09-12 06:06:56",
            "01:23:45:67:89:ab -70 dBm",
        ]
    );
    let tag = "007f 000e 0123456789ab 0bb8 64 7fff 01f4 00";
    assert_eq!(
        long(0x70, tag, "module data"),
        ["01:23:45:67:89:ab, 3000 mV, 100 %, no °C, 50 % humidity, state 0"]
    );
    let items = "65000000 000a 000a 00 0123456789ab 09 00 00  000c 0a 47 00 0003 000000000000";
    assert_eq!(
        long(0xf2, items, "item id"),
        ["000a, peripheral", "000c, external battery"]
    );
    assert_eq!(
        long(0xf2, items, "item data"),
        [
            "01:23:45:67:89:ab (kind 0), event 9 with 0, detail 0: none",
            "71 %, charging 0, 3 cycles, unknown 000000000000",
        ]
    );
}

#[test]
fn bytes_that_makers_use_differently_are_explained_as_they_are_reported() {
    let beat = |dialect, body| {
        let fields = ["battery", "mobile signal", "language and ports"];
        fields.map(|field| meanings_as(dialect, Start::Short, 0x13, body, field).concat())
    };
    let nothing_known = Dialect::default();
    assert_eq!(
        beat(nothing_known, "46 06 04 0002"),
        ["level 6 of 6: full", "level 4 of 4: strong", "2"]
    );
    let r11 = |volts: &str| {
        [
            format!("upper half of the supply (r11): {volts} V"),
            "lower half of the supply (r11)".into(),
            "mobile signal 4, and 0 (r11)".into(),
        ]
    };
    assert_eq!(beat(nothing_known, "06 04ea 04 00"), r11("12.58"));
    assert_eq!(beat(Dialect::R11, "06 0500 04 00"), r11("12.80"));
    assert_eq!(
        beat(Dialect::Lynkworld, "06 05 04 207e")[2],
        "external 12.6 V (lynkworld)"
    );
    assert_eq!(
        beat(nothing_known, "45 06 56 0b01")[1..],
        [
            "86 % (seeworld)",
            "external 11 V, language Chinese (seeworld)"
        ]
    );
    let word = |dialect, word| {
        meanings_as(dialect, Start::Short, 0x12, &located(word), "reserved").concat()
    };
    assert_eq!(
        word(nothing_known, "0001"),
        "reserved, or language: Chinese"
    );
    assert_eq!(word(nothing_known, "0201"), "reserved");
    assert_eq!(
        word(Dialect::Benway, "0201"),
        "inputs (benway): ignition off, input 2 off, adc 51.3 V"
    );
    assert_eq!(
        word(nothing_known, "d205"),
        "inputs (benway): ignition on, input 2 on, temperature -5 °C"
    );
    assert_eq!(word(Dialect::Jimi, "d205"), "reserved");
}
