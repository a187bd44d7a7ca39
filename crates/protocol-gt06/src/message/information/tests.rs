use super::*;
use crate::Message;
use crate::message::testing::{read_body, round_trip};

fn information(sub: u8, content: InformationContent) -> Information {
    Information {
        sub: Some(sub),
        content,
        tail: Bytes::new(),
    }
}

const T: DateTime = DateTime::from_bytes([22, 9, 9, 8, 8, 28]);

#[test]
fn every_sub_type_reads_back() {
    use InformationContent as C;
    let satellites = |bds_state| SatelliteReport {
        gps: Constellation {
            state: Some(3),
            used: Bytes::from_static(&[40, 38]),
            visible: Bytes::from_static(&[40, 38, 12]),
        },
        bds: Some(Constellation {
            state: bds_state,
            used: Bytes::from_static(&[30]),
            visible: Bytes::from_static(&[30, 29]),
        }),
        extension: Some(Bytes::new()),
    };
    for (sub, content) in [
        (0x00, C::ExternalVoltage(1_259)),
        (
            0x04,
            C::State(Bytes::from_static(b"ALM1=C4;STA1=C0;DYD=01")),
        ),
        (
            0x05,
            C::Ports {
                time: Some(T),
                ports: 3,
            },
        ),
        (
            0x05,
            C::Ports {
                time: None,
                ports: 0,
            },
        ),
        (0x08, C::Text(Bytes::from_static(b"x"))),
        (0x09, C::Satellites(satellites(Some(2)))),
        (
            0x0a,
            C::Numbers {
                imei: TerminalId([1; 8]),
                imsi: TerminalId([2; 8]),
                iccid: [0x89; 10],
            },
        ),
        (0x0b, C::Generation(1)),
        (0x0b, C::ExternalVoltage(1_200)),
        (
            0x0d,
            C::Fuel {
                time: Some(T),
                text: Bytes::from_static(b"!AIOIL,02"),
            },
        ),
        (
            0x0d,
            C::Fuel {
                time: None,
                text: Bytes::from_static(b"!AIOIL,02"),
            },
        ),
        (0x10, C::Text(Bytes::from_static(b"5A"))),
        (
            0x15,
            C::Tag {
                index: 1,
                id: [2; 6],
                millivolts: 3_795,
                temperature: -50,
            },
        ),
        (
            0x1b,
            C::Card(Card::Text(Bytes::from_static(b"RFID:01AB\r\n"))),
        ),
        (
            0x1b,
            C::Card(Card::Framed {
                kind: 8,
                id: [1, 2, 3, 4],
                check: 4,
            }),
        ),
        (0x1b, C::Card(Card::Raw([2, 8, 1, 2, 3, 4, 9, 3]))),
        (
            0x1e,
            C::Climate {
                temperature: -51,
                humidity: 750,
            },
        ),
        (0x21, C::BluetoothMac([1; 6])),
        (
            0x23,
            C::BluetoothKey([1, 0x10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7]),
        ),
    ] {
        round_trip(Message::from(information(sub, content)));
    }
    let short = Information {
        sub: None,
        ..Information::voltage(1_259)
    };
    round_trip(Message::from(short));
    round_trip(Message::from(Information {
        tail: Bytes::from_static(&[1, 2]),
        ..Information::voltage(1_259)
    }));
}

#[test]
fn bds_satellites_are_read_with_and_without_a_state() {
    // State 3; GPS 1 used, 2 visible; BDS 1 used, 1 visible; no extension.
    for (bytes, state) in [
        (&[9, 3, 1, 40, 2, 40, 12, 1, 30, 1, 30, 0][..], None),
        (&[9, 3, 1, 40, 2, 40, 12, 2, 1, 30, 1, 30, 0], Some(2)),
    ] {
        let Ok(Message::Information(read)) = read_body(Start::Long, 0x94, bytes) else {
            panic!("{bytes:02x?}")
        };
        let InformationContent::Satellites(satellites) = read.content else {
            panic!("{read:?}")
        };
        let bds = satellites.bds.unwrap();
        assert_eq!((bds.state, &bds.used[..]), (state, &[30][..]));
        assert_eq!(satellites.extension, Some(Bytes::new()));
    }
}

#[test]
fn data_without_the_shape_of_their_sub_type_are_kept_raw() {
    for (sub, len) in [
        (0x00, 1),
        (0x05, 0),
        (0x09, 2),
        (0x0a, 25),
        (0x0b, 3),
        (0x0d, 7),
        (0x15, 10),
        (0x1b, 7),
        (0x1e, 7),
        (0x21, 5),
        (0x23, 18),
        (0x01, 4),
        (0x06, 6),
        (0xee, 3),
    ] {
        let mut body = alloc::vec![0xff_u8; len + 1];
        body[0] = sub;
        let Ok(Message::Information(read)) = read_body(Start::Long, 0x94, &body) else {
            panic!("{sub:02x}")
        };
        assert_eq!(read.content, InformationContent::Raw, "{sub:02x}");
        assert_eq!(read.tail.len(), len);
        round_trip(Message::from(read));
    }
}

#[test]
fn a_card_is_framed_only_if_its_check_is_right() {
    for (check, framed) in [(0x35, true), (0x36, false)] {
        let body = [0x1b, 0x02, 0x08, 0x42, 0x77, 0xef, 0xef, check, 0x03];
        let Ok(Message::Information(read)) = read_body(Start::Long, 0x94, &body) else {
            panic!()
        };
        assert_eq!(
            matches!(read.content, InformationContent::Card(Card::Framed { .. })),
            framed
        );
    }
}

#[test]
fn another_length_under_78_78_is_no_voltage() {
    let read = read_body(Start::Short, 0x94, &[0, 0, 0x2e, 0xe0]).unwrap();
    assert!(matches!(read, Message::Unknown(_)), "{read:?}");
}
