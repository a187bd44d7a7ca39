//! Every dialect is read as it is written.
#![cfg(feature = "simulate")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use bytes::BytesMut;
use milepost_protocol_ais140::simulate::{DIALECTS, Packet, State, Vehicle};
use milepost_protocol_ais140::{
    Deframer, Dialect, Dialects, Frame, Imei, Kind, Known, Message, Session, encode,
};
use proptest::prelude::*;

const IMEI: u64 = 123_456_789_012_347;

const STATE: State = State {
    unix: 1_709_619_330,
    latitude: 12.976545,
    longitude: 77.549759,
    speed: 32.5,
    course: 118.0,
    ignition: true,
    emergency: false,
};

const PACKETS: [(Packet, Kind); 7] = [
    (Packet::Login, Kind::Login),
    (Packet::Position, Kind::Tracking),
    (Packet::History, Kind::Tracking),
    (Packet::Alert(13), Kind::Tracking),
    (Packet::Emergency, Kind::Emergency),
    (Packet::EmergencyEnd, Kind::Emergency),
    (Packet::Health, Kind::Health),
];

fn frame(bytes: &[u8]) -> Frame {
    let mut stream = BytesMut::from(bytes);
    let mut deframer = Deframer::new();
    deframer.finish();
    let frame = deframer.next_frame(&mut stream).unwrap().unwrap();
    assert!(stream.iter().all(u8::is_ascii_whitespace), "{stream:?}");
    frame
}

/// What a device of a dialect is known to be.
fn known(dialects: &Dialects, name: &str) -> Known {
    Known {
        dialect: dialects.by_name(name).cloned(),
        ..Known::default()
    }
}

fn check(dialects: &Dialects, dialect: &Dialect, bytes: &[u8], kind: Kind, state: &State) {
    let name = dialect.name();
    let frame = frame(bytes);
    let shown = String::from_utf8_lossy(bytes).into_owned();
    let message = Message::decode(&frame, dialects, &known(dialects, name)).unwrap();
    assert_eq!(message.kind, kind, "{name}: {shown}");
    assert_eq!(message.record.imei, Some(IMEI), "{name}: {shown}");
    let missing = message
        .record
        .more
        .as_ref()
        .map(|more| more.missing.clone());
    assert!(
        missing.is_none_or(|m| m.is_empty()),
        "{name}: {shown} {:?}",
        message.record.more
    );
    if kind != Kind::Health && dialect.name() != "xyz123" {
        assert!(
            (message.record.latitude.unwrap() - state.latitude).abs() < 1e-6,
            "{name}: {shown}"
        );
        assert!(
            (message.record.longitude.unwrap() - state.longitude).abs() < 1e-6,
            "{shown}"
        );
    }
    let again = encode(&message.record, kind, dialect).unwrap();
    let again = String::from_utf8_lossy(&again).into_owned();
    assert_eq!(again.trim_ascii_end(), shown.trim_ascii_end(), "{name}");
}

#[test]
fn every_packet_of_every_dialect_is_read_as_it_is_written() {
    let dialects = Dialects::builtin();
    for dialect in dialects.iter() {
        let mut vehicle = Vehicle::new(&dialects, dialect.name(), Imei::new(IMEI)).unwrap();
        for (packet, kind) in PACKETS {
            let Ok(bytes) = vehicle.packet(packet, &STATE) else {
                // Headers that a dialect does not have.
                assert!(!DIALECTS.contains(&dialect.name()) || kind != Kind::Tracking);
                continue;
            };
            check(&dialects, dialect, &bytes, kind, &STATE);
        }
    }
}

#[test]
fn simulated_dialects_are_recognised_without_being_known() {
    let dialects = Dialects::builtin();
    for name in DIALECTS {
        let mut vehicle = Vehicle::new(&dialects, name, Imei::new(IMEI)).unwrap();
        let mut session = Session::default();
        for (packet, kind) in PACKETS {
            let Ok(bytes) = vehicle.packet(packet, &STATE) else {
                continue;
            };
            let frame = frame(&bytes);
            let mut handled = session.on_frame(&frame, STATE.unix);
            if handled.identify.is_some() {
                session.on_identified(None);
                handled = session.on_frame(&frame, STATE.unix);
            }
            let message = handled.message.unwrap();
            assert_eq!(message.kind, kind);
            if kind == Kind::Tracking {
                assert_eq!(
                    message.dialect.name(),
                    *name,
                    "{}",
                    String::from_utf8_lossy(&bytes)
                );
                assert_eq!(message.record.neighbours.as_slice().len(), 4);
            }
        }
    }
}

/// Found by fuzzing: an open bracket took the items after it in, the IMEI among them.
#[test]
fn a_text_with_an_open_bracket_is_not_written() {
    let dialects = Dialects::builtin();
    let dialect = dialects.by_name("roadpoint").unwrap();
    let mut vehicle = Vehicle::new(&dialects, "roadpoint", Imei::new(IMEI)).unwrap();
    let bytes = vehicle.packet(Packet::Position, &STATE).unwrap();
    let frame = Frame::new(bytes.trim_ascii_end().to_vec().into());
    let read = Message::decode(&frame, &dialects, &Known::default()).unwrap();
    let mut record = read.record.clone();
    let texts = [
        ("<KA01", false),
        ("(", false),
        ("(KA01)1)", false),
        ("(KA,01)", true),
    ];
    for (text, is_written) in texts {
        record.registration = text.into();
        let written = encode(&record, Kind::Tracking, dialect);
        assert_eq!(written.is_ok(), is_written, "{text}: {written:?}");
    }
}

proptest! {
    #[test]
    fn any_state_survives(
        latitude in -89.0..89.0_f64,
        longitude in -179.0..179.0_f64,
        speed in 0.0..250.0_f64,
        course in 0.0..360.0_f64,
        unix in 946_684_800..4_102_444_800_i64,
        emergency: bool,
        at in 0..DIALECTS.len(),
    ) {
        let state = State { unix, latitude, longitude, speed, course, ignition: false, emergency };
        let dialects = Dialects::builtin();
        let dialect = dialects.by_name(DIALECTS[at]).unwrap();
        let mut vehicle = Vehicle::new(&dialects, dialect.name(), Imei::new(IMEI)).unwrap();
        for (packet, kind) in PACKETS {
            if let Ok(bytes) = vehicle.packet(packet, &state) {
                check(&dialects, dialect, &bytes, kind, &state);
            }
        }
    }
}
