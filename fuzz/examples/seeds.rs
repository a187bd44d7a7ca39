//! Writes the seeds: frames of every message, with invented values, made by the crate's own
//! encoder. Run it from anywhere: `cargo run --manifest-path fuzz/Cargo.toml --example seeds`.
//!
//! A body is put together from the parts that messages share, read as the message that it is
//! meant to be, and written by that message: what is in the seeds is what the encoder says. A
//! message without a seed is an error.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

use Start::{Long, Short, Wide};
use bytes::{BufMut, BytesMut};
use milepost_fuzz::frames::{Fault, Form};
use milepost_fuzz::session::{self, Setup, Step};
use milepost_fuzz::{message, stream};
use milepost_protocol_gt06::command::{self, Language};
use milepost_protocol_gt06::field::{
    Cell, CellForm, CourseStatus, DateTime, Gps, Item, Items, Neighbour, NeighbourForm, Plmn,
    Position, RadioCell, Station, Status, TerminalId, TerminalInfo, Trailer,
};
use milepost_protocol_gt06::{Dialect, Frame, Framing, Message, Start, frame};

/// The table of messages: each must have a seed.
const MESSAGES: &str = include_str!("../../crates/protocol-gt06/src/message/mod.rs");

fn written(encode: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode(&mut out);
    out.to_vec()
}

fn time() -> Vec<u8> {
    written(|out| clock().encode(out))
}

fn clock() -> DateTime {
    DateTime::from_bytes([25, 6, 15, 12, 30, 45])
}

/// Seconds since 1970.
fn unix() -> Vec<u8> {
    1_750_000_000_u32.to_be_bytes().into()
}

fn position() -> Vec<u8> {
    written(|out| place().encode(out))
}

fn place() -> Position {
    Position {
        raw_satellites: 0xc9,
        raw_latitude: 86_400_000,
        raw_longitude: 21_600_000,
        raw_speed: 54,
        course_status: CourseStatus::new(123, true, false, true),
    }
}

fn gps() -> Vec<u8> {
    written(|out| {
        Gps::new(clock(), &place()).encode(out);
    })
}

fn tower(form: CellForm) -> Cell {
    Cell {
        form,
        raw_mcc: 262,
        mnc: 7,
        lac: 4_660,
        cell_id: 22_136,
    }
}

fn cell(form: CellForm) -> Vec<u8> {
    written(|out| tower(form).encode(out))
}

fn radio(raw_radio: u8) -> Vec<u8> {
    let form = if raw_radio >= 3 {
        CellForm::L15
    } else {
        CellForm::L8
    };
    written(|out| {
        RadioCell {
            raw_radio,
            cell: tower(form),
            raw_signal: 71,
        }
        .encode(out)
    })
}

fn network() -> Vec<u8> {
    written(|out| {
        Plmn {
            raw_mcc: 262,
            mnc: 7,
        }
        .encode(out)
    })
}

fn neighbours(form: NeighbourForm, count: u16) -> Vec<u8> {
    let tower = |n: u16| Neighbour {
        form,
        lac: 4_660,
        cell_id: u64::from(n) + 1_000,
        raw_signal: 70,
    };
    written(|out| (0..count).for_each(|n| tower(n).encode(out)))
}

fn stations(count: u8) -> Vec<u8> {
    let station = |n| Station {
        mac: [2, 0, 0, 0, 0, n],
        raw_signal: 60,
        ssid: None,
    };
    written(|out| (0..count).for_each(|n| station(n).encode(out)))
}

fn status(raw_alarm: u8) -> Vec<u8> {
    let terminal = TerminalInfo(0x46);
    let status = Status {
        terminal,
        raw_battery: 5,
        raw_signal: 4,
        raw_alarm,
        raw_language: 2,
    };
    written(|out| status.encode(out))
}

fn trailer() -> Vec<u8> {
    written(|out| {
        Trailer {
            raw_ignition: 1,
            upload_mode: 0,
            raw_reupload: 0,
        }
        .encode(out)
    })
}

fn id() -> Vec<u8> {
    TerminalId::from_digits("352093081234567")
        .expect("digits")
        .0
        .into()
}

fn other_id() -> Vec<u8> {
    let mut id = id();
    id.reverse();
    id
}

fn items() -> Vec<u8> {
    let item = |id, data: &'static [u8]| Item {
        id,
        data: data.into(),
    };
    let items = [
        item(0x0018, &[0x01, 0x8a]),
        item(0x002e, &[0, 1, 2, 3]),
        item(0x006a, &[80]),
    ];
    written(|out| Items(items.into()).encode(out))
}

/// Id, length of two bytes, data.
fn module(id: u16, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).expect("a short module");
    [&id.to_be_bytes(), &len.to_be_bytes(), data].concat()
}

/// Id, length of one byte, data.
fn entry(id: u16, data: &[u8]) -> Vec<u8> {
    let len = u8::try_from(data.len()).expect("a short entry");
    [&id.to_be_bytes()[..], &[len], data].concat()
}

struct Seed {
    variant: &'static str,
    dialect: Dialect,
    start: Start,
    number: u8,
    /// The length that a frame without checksum announces.
    bare: Option<u8>,
    body: Vec<u8>,
}

impl Seed {
    /// Number, message and size: what tells seeds apart.
    fn name(&self) -> String {
        let Self {
            number, variant, ..
        } = self;
        format!("{number:02x}-{variant}-{}", self.body.len())
    }
}

/// A seed of a frame with serial and checksum.
fn seed(variant: &'static str, start: Start, number: u8, parts: &[&[u8]]) -> Seed {
    let (dialect, bare, body) = (Dialect::Concox, None, parts.concat());
    Seed {
        variant,
        dialect,
        start,
        number,
        bare,
        body,
    }
}

/// A seed of a frame without.
fn bare(variant: &'static str, number: u8, announced: u8, parts: &[&[u8]]) -> Seed {
    let (dialect, bare) = (Dialect::Topin, Some(announced));
    Seed {
        dialect,
        bare,
        ..seed(variant, Short, number, parts)
    }
}

fn locations() -> Vec<Seed> {
    use CellForm::{L8, L9c, L10, L15};
    let by = |dialect, seed: Seed| Seed { dialect, ..seed };
    let location = |number, parts: &[&[u8]]| seed("Location", Short, number, parts);
    vec![
        seed("GpsOnly", Short, 0x10, &[&gps(), &[0, 2]]),
        seed("CellOnly", Short, 0x11, &[&time(), &cell(L8), &[0, 2]]),
        seed("WideLocation", Short, 0x11, &[&gps(), &cell(L10)]),
        seed(
            "WideLocation",
            Short,
            0x31,
            &[&gps(), &cell(L10), &trailer(), &[0, 0, 9, 9, 0, 80]],
        ),
        location(0x12, &[&gps(), &cell(L8)]),
        location(0x22, &[&gps(), &cell(L8), &trailer(), &[0, 0, 9, 9]]),
        by(
            Dialect::Benway,
            location(0x12, &[&gps(), &cell(L8), &[3, 1]]),
        ),
        location(0x12, &[&gps(), &cell(L8), &[0x46, 0x04, 0xe4, 4, 0]]),
        location(
            0x12,
            &[
                &gps(),
                &cell(L8),
                &[0x46, 4, 0xe4, 4, 0, 1, 2, 20, 0, 0, 9, 9],
            ],
        ),
        by(
            Dialect::Seeworld,
            location(0x22, &[&gps(), &cell(L9c), &trailer(), &[0; 12]]),
        ),
        location(0xa0, &[&gps(), &cell(L15), &trailer()]),
        location(0x2d, &[&gps(), &cell(L8), &[0, 0, 9, 9]]),
        location(0x31, &[&gps(), &cell(L8), &trailer()]),
        // Cards: a driver's, and one with alarm, state and driving time behind it.
        location(
            0x12,
            &[&gps(), &cell(L8), &[0, 0, 9, 9, 75], &[b'1'; 75], &[0, 1]],
        ),
        location(
            0x12,
            &[&gps(), &cell(L8), &[0, 0, 9, 9, 3], b"123", &[0, 1, 0, 9]],
        ),
        seed("LocationWithId", Short, 0x12, &[&id(), &gps(), &cell(L8)]),
        seed(
            "RfidLocation",
            Short,
            0x17,
            &[&gps(), &cell(L8), &[0, 0, 0, 0, 1, 2, 3, 4]],
        ),
        seed(
            "StatusLocation",
            Short,
            0x22,
            &[
                &[0],
                &id(),
                &time(),
                &gps(),
                &[9],
                &cell(L8),
                &[0x46, 4, 0xe4, 41, 4, 0, 2],
                &[1; 6],
            ],
        ),
        seed(
            "StatusLocation",
            Short,
            0x25,
            &[
                &[&[0][..], &id(), &time(), &gps(), &[9], &cell(L9c), &[3]].concat(),
                &[0x46, 4, 0xe4, 41, 4, 0, 2],
                &[1; 6],
                &[4, 1, 7, 8, 9],
            ],
        ),
        seed(
            "GpsCells",
            Short,
            0x1e,
            &[
                &gps(),
                &network(),
                &neighbours(NeighbourForm::C6, 7),
                &[1, 0, 2],
            ],
        ),
        seed(
            "SupplyState",
            Short,
            0x24,
            &[&gps(), &cell(L8), &[1, 4, 0xe4, 1, 0x8a], &[0; 10]],
        ),
        seed(
            "SupplyLocation",
            Short,
            0x32,
            &[
                &gps(),
                &cell(L9c),
                &trailer(),
                &[0, 0, 9, 9, 4, 0xe4, 0, 0, 1, 1, 0x42, 0x2d],
            ],
        ),
        seed("Az735Report", Long, 0x32, &[&time(), &[0; 6]]),
        seed(
            "Az735Report",
            Long,
            0x33,
            &[
                &[&time()[..], &[12], &position(), &[9], &cell(L8), &[70]].concat(),
                &[12],
                &neighbours(NeighbourForm::C6, 2),
                &[7],
                &stations(1),
                &[0xa4, 1, 5],
            ],
        ),
        seed(
            "X1Location",
            Short,
            0x34,
            &[
                &[
                    &[0, 0, 0, 1][..],
                    &gps(),
                    &[0, 1],
                    &[0, 0, 9, 9],
                    &cell(L9c),
                ]
                .concat(),
                &[0, 0, 0, 7, 4, 0xe4, 1, 0x8a],
                &[0, 0x20, 0, 0, 1, 2],
                &[1, 0, 2, 0],
            ],
        ),
        seed(
            "CardLocation",
            Short,
            0x36,
            &[
                &[&gps()[..], &cell(L9c), &trailer(), &[0, 0, 9, 9]].concat(),
                &[4, 0xe4, 41, 0, 1, 0],
                &[0, 0, 0, 0, 1, 2, 3, 4],
            ],
        ),
        seed(
            "ItemLocation",
            Short,
            0x37,
            &[&gps(), &cell(L8), &trailer(), &items()],
        ),
        seed(
            "RadioLocation",
            Long,
            0x38,
            &[&gps(), &[0, 0], &radio(3), &items()],
        ),
        seed(
            "KeyLocation",
            Short,
            0x61,
            &[&id(), &gps(), &cell(L9c), &[0, 0, 1, 2, 3, 4]],
        ),
        seed(
            "LynkworldLocation",
            Short,
            0xa2,
            &[
                &[&gps()[..], &cell(L15), &[1, 0x46, 4, 0xe4, 80, 4, 1, 2]].concat(),
                &[0, 0, 9, 9, 0, 0, 1, 1],
                &[0, 0, 0, 0, 1, 2, 3, 4, 0, 1],
            ],
        ),
    ]
}

fn alarms() -> Vec<Seed> {
    use CellForm::{L8, L10, L15};
    vec![
        seed(
            "AlarmReport",
            Short,
            0x16,
            &[&gps(), &[9], &cell(L8), &status(1)],
        ),
        seed(
            "AlarmReport",
            Short,
            0x26,
            &[&gps(), &[9], &cell(L8), &status(3), &[0, 0, 9, 9]],
        ),
        seed(
            "SupplyAlarm",
            Short,
            0x16,
            &[&gps(), &cell(L8), &[0x66, 4, 0xe4, 4, 0]],
        ),
        seed("CellAlarm", Short, 0x19, &[&cell(L8), &status(2)]),
        seed("CellAlarm", Short, 0xa5, &[&cell(L15), &status(2)]),
        seed(
            "FenceAlarm",
            Short,
            0x27,
            &[&gps(), &[9], &cell(L8), &status(4), &[255]],
        ),
        seed(
            "FenceAlarm",
            Short,
            0xa4,
            &[&gps(), &[16], &cell(L15), &status(5), &[1]],
        ),
        seed(
            "FenceAlarm",
            Short,
            0xa3,
            &[&gps(), &[16], &cell(L15), &status(5)],
        ),
        seed(
            "AltitudeAlarm",
            Short,
            0x32,
            &[&gps(), &[10], &cell(L10), &status(6), &[0, 80]],
        ),
        seed(
            "RadioAlarm",
            Short,
            0x39,
            &[&gps(), &radio(1), &status(9), &items()],
        ),
        seed("CameraAlarm", Short, 0x95, &[&time(), &[0x5d]]),
        seed(
            "CameraAlarm",
            Short,
            0x95,
            &[
                &[&[0xff, 0xff, 1][..], &time()].concat(),
                &[
                    9, 5, 0x26, 0x5c, 0, 1, 0x49, 0x97, 0, 0x14, 0x7b, 0, 54, 0, 125,
                ],
                &[0x5d, 0, 1],
                b"EVENT_1_2025_06_15_14_30_45_F_1.mp4",
            ],
        ),
        seed(
            "WifiAlarm",
            Short,
            0xa9,
            &[
                &[&time()[..], &network(), &[0, 2]].concat(),
                &neighbours(NeighbourForm::C6, 2),
                &[1, 2],
                &stations(2),
                &[1, 2],
            ],
        ),
    ]
}

fn radio_lists() -> Vec<Seed> {
    use NeighbourForm::{C6, C7, C13};
    let cells = |number| {
        let parts: &[&[u8]] = &[&time(), &network(), &neighbours(C6, 7), &[1, 0, 2]];
        seed("CellList", Short, number, parts)
    };
    vec![
        seed(
            "CellScan",
            Short,
            0x19,
            &[&time(), &network(), &[3], &neighbours(C6, 3), &[0, 1]],
        ),
        seed(
            "CountedCells",
            Short,
            0x24,
            &[&time(), &[1], &network(), &[4], &neighbours(C6, 4), &[0; 9]],
        ),
        seed(
            "CountedCells",
            Short,
            0x34,
            &[&time(), &[1], &[1, 6, 0, 7], &neighbours(C7, 5)],
        ),
        cells(0x18),
        cells(0x24),
        cells(0x28),
        cells(0x2e),
        seed(
            "CellList",
            Short,
            0xa1,
            &[&time(), &network(), &neighbours(C13, 7), &[1, 0, 2]],
        ),
        seed(
            "CellsWifi",
            Short,
            0x2c,
            &[
                &time(),
                &network(),
                &neighbours(C6, 7),
                &[1, 2],
                &stations(2),
            ],
        ),
        seed(
            "CellsWifi",
            Short,
            0xa2,
            &[
                &time(),
                &network(),
                &neighbours(C13, 7),
                &[1, 1],
                &stations(1),
            ],
        ),
        seed(
            "CellsWifi",
            Short,
            0x33,
            &[
                &time(),
                &network(),
                &neighbours(C7, 6),
                &[1, 2],
                &stations(2),
            ],
        ),
        seed("ServingCell", Short, 0x8b, &[&cell(CellForm::L8)]),
        seed(
            "WifiList",
            Short,
            0xf3,
            &[&time(), &[1], &[0, 0, 2, 0, 0, 0, 0, 1]],
        ),
    ]
}

fn states() -> Vec<Seed> {
    let by = |dialect, seed: Seed| Seed { dialect, ..seed };
    let heartbeat = |number, body: &[u8]| seed("Heartbeat", Short, number, &[body]);
    let information = |body: &[u8]| seed("Information", Long, 0x94, &[body]);
    vec![
        seed("Login", Short, 0x01, &[&id(), &[0x70, 0, 0x32, 1]]),
        heartbeat(0x13, &[0x46, 5, 4, 0, 2]),
        by(Dialect::R11, heartbeat(0x13, &[0x46, 4, 0xe4, 4, 2])),
        by(Dialect::Seeworld, heartbeat(0x13, &[0x46, 80, 70, 12, 2])),
        heartbeat(0x13, &[0x46, 0, 70, 0, 2, 80, 1, 4, 0xe4, 0, 0, 1, 0, 2]),
        heartbeat(0x23, &[0x46, 1, 0x8a, 4, 0, 2]),
        seed(
            "ItemHeartbeat",
            Short,
            0x36,
            &[&[0x46, 80, 4, 0, 2], &items()],
        ),
        seed(
            "SeeworldStatus",
            Short,
            0xa3,
            &[&[0x46, 0, 1, 80, 70, 12, 2]],
        ),
        seed(
            "BatteryPack",
            Long,
            0x40,
            &[&[1; 8], &unix(), &[80; 43], &[0; 4], &[b'7'; 46]],
        ),
        seed(
            "BluetoothClock",
            Short,
            0xb2,
            &[
                &time(),
                &[0xc4, 2, 0, 0, 0, 0, 1],
                &[7; 16],
                &[0, 1, 0, 2, 1, 0x2c, 4],
            ],
        ),
        seed(
            "ObdText",
            Long,
            0x8c,
            &[
                &time(),
                &[1],
                b"400=0001E240,530=1518,540=2EE0,740=,",
                &position(),
            ],
        ),
        seed(
            "ObdText",
            Long,
            0x66,
            &[&time(), &[1], b"210c=1518,210d=36,2105=,", &position()],
        ),
        seed("ObdText", Short, 0x65, &[&time(), &[0], b"P0143,P0300"]),
        seed(
            "Modular",
            Long,
            0x70,
            &[
                &[
                    module(0x0001, &id()),
                    module(0x0018, &[1, 0x8a]),
                    module(0x002c, &unix()),
                ]
                .concat(),
                &module(
                    0x0033,
                    &[&unix()[..], &[9, 0, 80], &position()[1..]].concat(),
                ),
                &module(0x0036, &[&[1][..], &stations(1)].concat()),
                &module(0x1000, &[1]),
            ],
        ),
        information(&[0x00, 4, 0xe4]),
        information(b"\x04ALM1=44;ALM2=D5;STA1=C0;DYD=01;SOS=,,;MODE=MODE,1,20;"),
        information(&[0x05, 3]),
        information(b"\x08POWER=1,GPS=1"),
        information(&[&[0x09, 1, 2][..], &[40, 41, 42], &[0; 4]].concat()),
        information(&[&[0x0a][..], &id(), &[0x26; 8], &[0x89; 10]].concat()),
        information(b"\x0d!AIOIL,01,0123.4,+25,V1,0,0,0*"),
        information(b"\x1bRFID:0102030405"),
        information(&[0x1e, 0, 0, 0, 0xe6, 0, 0, 1, 0xf4]),
        seed("Information", Short, 0x94, &[&[4, 0xe4]]),
        seed("ExternalData", Long, 0x9b, &[b"\x03\x020102030405\x03\r\n"]),
        seed("ExternalData", Long, 0x9c, &[b"\x01passed through"]),
        seed(
            "DeviceState",
            Long,
            0xf1,
            &[
                &unix(),
                &entry(1, &[2]),
                &entry(4, &[1]),
                &entry(5, &[4, 0xe4]),
                &entry(0x1000, &[1]),
            ],
        ),
        seed(
            "PeripheralState",
            Long,
            0xf2,
            &[&unix(), &entry(0x0c, &[80, 1, 0, 9, 0, 0, 0, 0, 0, 0])],
        ),
        seed(
            "FirmwareNotice",
            Long,
            0xfd,
            &[
                &id(),
                &[0, 44],
                &[1; 16],
                b":",
                b"[VERSION]INVENTED_1[BUILD]1",
            ],
        ),
        seed("Unknown", Short, 0x5e, &[b"nobody knows"]),
        seed("Unknown", Long, 0x84, &[&[0, 1]]),
    ]
}

fn files() -> Vec<Seed> {
    let words = |at: u32| [7_u32.to_be_bytes(), at.to_be_bytes()].concat();
    vec![
        seed(
            "PhotoInfo",
            Short,
            0x35,
            &[
                &time(),
                &[1, 5, 0x26, 0x5c, 0, 1, 0x49, 0x97, 0, 1, 2, 0],
                &[0, 0, 0, 12, 0, 0, 0, 7],
            ],
        ),
        seed(
            "PhotoBlock",
            Short,
            0x36,
            &[&words(0), &[0, 6], b"\xff\xd8half"],
        ),
        seed(
            "PhotoBlock",
            Short,
            0x36,
            &[&words(6), &[0, 6], b"half\xff\xd9"],
        ),
        seed(
            "PhotoPart",
            Long,
            0x41,
            &[
                &id(),
                &unix(),
                &[1; 22],
                &words(2),
                &[0, 0, 1, 0, 0],
                b"abc",
            ],
        ),
        seed(
            "FileBlock",
            Long,
            0x8d,
            &[
                &[0],
                &6_u32.to_be_bytes(),
                &[0, 1, 2, 0, 0, 0, 0, 0, 6],
                b"#!AMR\n",
                &time(),
            ],
        ),
    ]
}

fn conversation() -> Vec<Seed> {
    let phone = b"4915112345670\0\0\0\0\0\0\0\0";
    let address = b"ADDRESS&&\x00N\x00A&&0000000000000000000000##";
    let address_size = u8::try_from(4 + address.len()).expect("a short address");
    let address_reply = |start| {
        let parts: &[&[u8]] = &[&[0, address_size, 0, 0, 0, 1], address];
        seed("AddressReply", start, 0x97, parts)
    };
    vec![
        seed("AddressQuery", Short, 0x1a, &[&gps(), phone, &[0, 2]]),
        seed("AddressQuery", Short, 0x2a, &[&gps(), phone, &[0, 1]]),
        seed(
            "AddressQuery",
            Short,
            0xa7,
            &[&cell(CellForm::L15), phone, &[0, 2]],
        ),
        seed(
            "AddressQuery",
            Short,
            0x17,
            &[&cell(CellForm::L8), phone, &[0, 1]],
        ),
        seed(
            "AddressReply",
            Short,
            0x17,
            &[&[address_size, 0, 0, 0, 1], address],
        ),
        address_reply(Long),
        address_reply(Wide),
        seed(
            "CommandReply",
            Short,
            0x15,
            &[&[16, 0, 0, 0, 9], b"DYD=Success!", &[0, 2]],
        ),
        seed(
            "CommandReply",
            Long,
            0x21,
            &[
                &[0, 0, 0, 9, 1],
                b"Battery:4.10V,NORMAL; GPRS:Link Up; ACC:ON; Defense:OFF",
            ],
        ),
        seed("CommandReply", Long, 0x21, &[&[0, 0, 0, 9, 2], b"\0O\0K"]),
        seed("TimeRequest", Short, 0x8a, &[]),
        seed("Acknowledgement", Short, 0x13, &[]),
        seed(
            "Command",
            Short,
            0x80,
            &[&[11, 0, 0, 0, 9], b"STATUS#", &[0, 2]],
        ),
        seed("TimeAnswer", Short, 0x8a, &[&time()]),
        seed("ServerText", Short, 0x81, &[b"\x06\0\0\0\x01hi\0\x02"]),
        seed("ServerText", Short, 0x82, &[b"\x06\0\0\0\x01hi"]),
        seed("CardAnswer", Long, 0x9b, &[&[2, 1]]),
        seed(
            "PhotoRequest",
            Short,
            0x36,
            &[&[0, 0, 0, 7, 0, 0, 0, 6, 4, 0]],
        ),
    ]
}

fn relatives() -> Vec<Seed> {
    let near = [&time()[..], &stations(2), &[2], &network()].concat();
    let cells = neighbours(NeighbourForm::C5, 2);
    let mut seeds = vec![
        bare("TopinLogin", 0x01, 0x0d, &[&id(), &[5]]),
        bare("TopinStatus", 0x13, 0x06, &[&[80, 5, 0, 10, 60]]),
        bare("TopinNotice", 0x41, 0x05, &[b"12345"]),
        bare("TopinNotice", 0x57, 0x03, &[&[1, 2, 3]]),
    ];
    for (number, behind) in [
        (0x08, &[][..]),
        (0x09, &[0, 80]),
        (0x10, &[]),
        (0x11, &[0, 80, 1]),
    ] {
        seeds.push(bare("TopinGps", number, 0x12, &[&gps(), behind]));
    }
    for (number, behind) in [
        (0x17, &[1][..]),
        (0x18, &[]),
        (0x19, &[]),
        (0x1a, &[]),
        (0x69, &[]),
    ] {
        seeds.push(bare("TopinRadio", number, 2, &[&near, &cells, behind]));
    }
    for number in [0x08, 0x14, 0x15, 0x30, 0x92, 0x93, 0x94, 0x99] {
        seeds.push(bare("TopinNotice", number, 1, &[]));
    }
    seeds
}

/// The frame of a seed, written by the message that it is read as.
fn framed(seed: &Seed) -> Frame {
    let mut raw = BytesMut::new();
    let framing = match seed.bare {
        None => {
            frame::encode(seed.start, seed.number, 1, &mut raw, |out| {
                out.put_slice(&seed.body)
            });
            Framing::Checked
        }
        Some(announced) => {
            frame::encode_relative(announced, seed.number, &mut raw, &seed.body);
            Framing::Bare
        }
    };
    let frame = Frame::parse(raw.freeze(), framing).expect("a frame");
    let message = match Message::decode(&frame, seed.dialect) {
        Ok(message) => message,
        Err(error) => panic!("{} {:02x}: {error}", seed.variant, seed.number),
    };
    let read = format!("{message:?}");
    let variant = read.split('(').next().expect("a name");
    assert_eq!(variant, seed.variant, "{:02x} {read}", seed.number);
    Frame::parse(message.to_bytes(1), framing).expect("what is written is a frame")
}

/// As `gt06_message` reads it.
fn message_input(seed: &Seed, frame: &Frame) -> Vec<u8> {
    let written = message::Input::write(seed.dialect, frame);
    let read = message::Input::read(&written).expect("a message");
    assert_eq!((read.dialect, &read.frame), (seed.dialect, frame));
    written
}

/// As `gt06_deframe` reads it.
fn stream_input(framing: Framing, is_followed: bool, stream: &[u8]) -> Vec<u8> {
    let written = stream::Input::write(framing, is_followed, stream);
    let read = stream::Input::read(&written).expect("a stream");
    assert!(read.framing == framing && read.stream.starts_with(stream));
    written
}

/// Long frames, right and wrong, each with what is wrong with it.
fn long_frames() -> Vec<(String, Vec<u8>)> {
    let form = Form::Checked(Long);
    let mut streams = Vec::new();
    for len in [2_032, 2_048, 4_096, 65_520] {
        let frame = form.write(0x8d, 1, &vec![0x55; len]);
        for fault in Fault::ALL {
            let name = format!("long-{len}-{fault:?}").to_lowercase();
            streams.push((name, fault.apply(form, frame.to_vec())));
        }
    }
    streams
}

/// As `gt06_session` reads it: all of these, then a command, another device's login while a file
/// is not whole, a connection that is lost while one is not, and a login.
fn session_input(setup: &Setup, [login, other]: [&Frame; 2], frames: &[Frame]) -> Vec<u8> {
    let sent = |frame| Step::Frame {
        form: Form::of(frame),
        fault: Fault::None,
        number: frame.number(),
        body: frame.body(),
    };
    let mut steps = vec![Step::Bytes(b"noise"), sent(login)];
    steps.extend(frames.iter().map(sent));
    let damaged = |fault| Step::Frame {
        form: Form::of(login),
        fault,
        number: login.number(),
        body: login.body(),
    };
    steps.extend([
        Step::Again,
        Step::Echo,
        Step::Command(b"STATUS#"),
        Step::Echo,
        Step::Time(302),
        damaged(Fault::Checksum),
        damaged(Fault::Length),
        damaged(Fault::End),
        Step::Pause,
    ]);
    let begun = || frames.iter().take(2).map(sent);
    steps.extend(begun());
    steps.push(sent(other));
    steps.extend(begun());
    steps.extend([Step::Reconnect, sent(login), Step::Bytes(b"\x78\x78")]);
    let written = session::write(setup, &steps);
    let (_, read) = session::read(&written).expect("a setup");
    assert!(read.eq(steps));
    written
}

struct Writer {
    folder: std::path::PathBuf,
}

impl Writer {
    fn new(target: &str) -> io::Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("seeds")
            .join(target);
        fs::create_dir_all(&folder)?;
        for file in fs::read_dir(&folder)? {
            let file = file?;
            // What was found by fuzzing is not ours.
            if !file.file_name().to_string_lossy().starts_with("found-") {
                fs::remove_file(file.path())?;
            }
        }
        Ok(Self { folder })
    }

    fn write(&self, name: &str, input: &[u8]) -> io::Result<()> {
        let mut path = self.folder.join(name);
        while path.exists() {
            path.as_mut_os_string().push("b");
        }
        fs::write(path, input)
    }
}

fn main() -> io::Result<()> {
    let groups = [
        ("locations", locations()),
        ("alarms", alarms()),
        ("radio", radio_lists()),
        ("states", states()),
        ("files", files()),
        ("words", conversation()),
        ("relatives", relatives()),
    ];

    let seeded: BTreeSet<_> = groups
        .iter()
        .flat_map(|(_, seeds)| seeds)
        .map(|seed| (seed.number, seed.variant))
        .collect();
    let is_missing = |(number, variant): &(Option<u8>, &str)| match number {
        Some(number) => !seeded.contains(&(*number, *variant)),
        None => !seeded.iter().any(|(_, seeded)| seeded == variant),
    };
    let missing: Vec<_> = table().into_iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "no seeds of {missing:02x?}");

    let messages = Writer::new("gt06_message")?;
    let streams = Writer::new("gt06_deframe")?;
    let sessions = Writer::new("gt06_session")?;
    let of_checked = |id: &[u8]| framed(&seed("Login", Short, 0x01, &[id, &[0x70, 0, 0x32, 1]]));
    let of_bare = |id: &[u8]| framed(&bare("TopinLogin", 0x01, 0x0d, &[id, &[5]]));
    let logins = [of_checked(&id()), of_checked(&other_id())];
    let bare_logins = [of_bare(&id()), of_bare(&other_id())];
    let command = command::encode(9, "STATUS#", Language::None, 1).expect("a command");
    for (at, (group, seeds)) in groups.iter().enumerate() {
        let is_bare = *group == "relatives";
        let frames: Vec<Frame> = seeds.iter().map(framed).collect();
        for (seed, frame) in seeds.iter().zip(&frames) {
            messages.write(&seed.name(), &message_input(seed, frame))?;
        }

        let mut stream = b"noise".to_vec();
        for frame in &frames {
            stream.extend_from_slice(frame.raw());
        }
        stream.extend_from_slice(&command);
        let framing = if is_bare {
            Framing::Bare
        } else {
            Framing::Checked
        };
        streams.write(group, &stream_input(framing, at % 2 == 0, &stream))?;

        let flags = Setup::LOCATIONS | Setup::RESOLVER | Setup::CARDS;
        let (logins, known) = if is_bare {
            (&bare_logins, flags | Setup::BARE)
        } else {
            (&logins, flags | Setup::LANGUAGE | Setup::ZONES)
        };
        let dialect = u8::try_from(at).expect("few groups");
        let sides = [
            ("", Setup::new(flags, None)),
            ("-known", Setup::new(known, Some(dialect))),
            ("-tight", Setup::new(flags, None).tight()),
        ];
        for (side, setup) in &sides {
            let input = session_input(setup, logins.each_ref(), &frames);
            sessions.write(&format!("{group}{side}"), &input)?;
        }
    }
    for (name, stream) in long_frames() {
        streams.write(&name, &stream_input(Framing::Checked, true, &stream))?;
    }
    Ok(())
}

/// The table of messages: number, or any, and type.
fn table() -> Vec<(Option<u8>, &'static str)> {
    let (_, table) = MESSAGES.split_once("\nmessages! {").expect("the table");
    let (table, _) = table.split_once("\n}").expect("its end");
    let mut lines = Vec::new();
    for line in table.lines().map(str::trim) {
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        let (_, line) = line.split_once(": ").expect("a file");
        let (numbers, variant) = line.split_once(" => ").expect("numbers");
        let variant = variant.trim_end_matches(',').trim_end_matches(" in Box");
        for number in numbers.split(" | ") {
            let hex = |text: &str| {
                let digits = text.strip_prefix("0x").expect("a number");
                u8::from_str_radix(digits, 16).expect("a number")
            };
            match number.split_once("..=") {
                _ if number == "_" => lines.push((None, variant)),
                Some((first, last)) => {
                    lines.extend((hex(first)..=hex(last)).map(|number| (Some(number), variant)));
                }
                None => lines.push((Some(hex(number)), variant)),
            }
        }
    }
    lines
}
