//! The same number comes under both starts: what is known under `78 78` is read under `79 79` too.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use bytes::BytesMut;
use milepost_protocol_gt06::{
    AckPolicy, Direction, Frame, Framing, Handled, Message, Session, Start, frame, reply,
};

const GPS: &str = "0f0c1d023305 c9 027ac818 0c465860 00 1400";
const CELL: &str = "01cc 00 287d 001f71";
const CELLS: &str = "0f0c1d023305 01cc 00 287d001f7150 000000000000 000000000000 000000000000 \
    000000000000 000000000000 000000000000 ff";

fn sent(start: Start, number: u8, body: &str) -> Frame {
    let body = hex::decode(body.replace(' ', "")).unwrap();
    let mut out = BytesMut::new();
    frame::encode(start, number, 7, &mut out, |out| {
        out.extend_from_slice(&body);
    });
    Frame::parse(out.freeze(), Framing::Checked).unwrap()
}

fn handle(frame: &Frame) -> Handled {
    Session::new(AckPolicy { locations: true }).on_frame(frame, 1_763_622_000)
}

#[test]
fn ordinary_messages_are_read_and_answered_under_both_starts() {
    let status = "40 06 04 01 01";
    for (number, body, name) in [
        (0x01, "0752533678900242 7000 3201".into(), "login"),
        (0x12, format!("{GPS}{CELL}"), "location"),
        (0x13, "40 06 04 0001".into(), "heartbeat"),
        (0x16, format!("{GPS}09{CELL}{status}"), "alarm"),
        (0x22, format!("{GPS}{CELL}000001"), "location"),
        (0x23, "40 04e2 04 0001".into(), "heartbeat"),
        (0x26, format!("{GPS}09{CELL}{status}"), "alarm"),
        (0x27, format!("{GPS}09{CELL}{status}01"), "fence_alarm"),
        (0x2c, format!("{CELLS} 01 010203040506 50"), "cells_wifi"),
        (0x36, "40 06 04 00 01 0018 02 019a".into(), "heartbeat"),
        (
            0x37,
            format!("{GPS}{CELL}000001 0027 02 04e2"),
            "item_location",
        ),
        (0x95, "0f0c1d023305 80".into(), "camera_alarm"),
        (
            0xa0,
            format!("{GPS}01cc00 0000287d 0000000000001f71 000001"),
            "location",
        ),
        (
            0xa2,
            format!(
                "{GPS}01cc 00 0000287d 0000000000001f71 04 40 04e2 32 14 01 01 \
            00000064 00000010 0000000000000000 0001"
            ),
            "lynkworld_location",
        ),
        (
            0xa4,
            format!("{GPS}10 01cc00 0000287d 0000000000001f71 {status} 01"),
            "fence_alarm",
        ),
        (
            0xa9,
            "0f0c1d023305 01cc 00 00 01 287d001f7150 00 00 01 01".into(),
            "wifi_alarm",
        ),
        (
            0xf3,
            "0f0c1d023305 01 0000 010203040506".into(),
            "wifi_list",
        ),
    ] {
        let [short, long] = [Start::Short, Start::Long].map(|start| sent(start, number, &body));
        let (short_handled, handled) = (handle(&short), handle(&long));
        let message = handled.message.unwrap();
        assert_eq!(message.name(), name, "{number:02x}");
        assert_eq!(Ok(&message), short_handled.message.as_ref(), "{number:02x}");
        assert_eq!(message.to_bytes_under(long.start(), 7), long.raw());
        assert_eq!(message.to_bytes(7), short.raw());
        assert_eq!(handled.identify, short_handled.identify);
        let answer = handled.reply.unwrap();
        assert_eq!(answer.bytes, reply::acknowledgement(Start::Long, number, 7));
        assert_eq!(answer.class, short_handled.reply.unwrap().class);
        let echo = Frame::parse(answer.bytes, Framing::Checked).unwrap();
        assert_eq!(handle(&echo).direction, Direction::Server, "{number:02x}");
    }
}

#[test]
fn the_time_is_sent_under_the_start_of_the_question() {
    let asked = sent(Start::Long, 0x8a, "");
    let handled = handle(&asked);
    assert!(matches!(handled.message, Ok(Message::TimeRequest(_))));
    let sent_back = handled.reply.unwrap().bytes;
    assert!(
        sent_back.starts_with(b"\x79\x79\x00\x0b\x8a"),
        "{sent_back:02x?}"
    );
    let echo = handle(&Frame::parse(sent_back, Framing::Checked).unwrap());
    assert_eq!((echo.direction, echo.reply), (Direction::Server, None));
}

#[test]
fn what_is_another_message_under_79_79_stays_that() {
    // SL4X's alarm and J16's location are none under `79 79`; nor is a voltage alone.
    let alarm = format!("{GPS}0a 01cc 0000 287d 00001f71 40 06 04 01 01");
    for (number, body) in [(0x32, &*alarm), (0x33, &*alarm), (0x94, "04e2")] {
        let [short, long] = [Start::Short, Start::Long].map(|start| sent(start, number, body));
        let long = handle(&long).message;
        assert!(
            long.is_err() || long != handle(&short).message,
            "{number:02x}"
        );
    }
}

#[test]
fn an_ordinary_message_that_cannot_be_read_is_answered_under_79_79_too() {
    let handled = handle(&sent(Start::Long, 0x16, "0f0c1d"));
    assert!(handled.message.is_err());
    let expected = reply::acknowledgement(Start::Long, 0x16, 7);
    assert_eq!(handled.reply.unwrap().bytes, expected);
}
