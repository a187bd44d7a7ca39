//! Numbers that devices send and whose layout is not known: kept raw, and answered.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use bytes::{Bytes, BytesMut};
use milepost_protocol_gt06::reply::acknowledgement;
use milepost_protocol_gt06::{
    AckPolicy, Frame, Framing, Message, Reply, ReplyClass, Session, Start, frame,
};

const NUMBERS: [u8; 9] = [0x08, 0x14, 0x1f, 0x20, 0x42, 0x43, 0x84, 0x90, 0xb0];
const BODY: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

fn sent(start: Start, number: u8, body: &[u8]) -> Frame {
    let mut out = BytesMut::new();
    frame::encode(start, number, 7, &mut out, |out| {
        out.extend_from_slice(body);
    });
    Frame::parse(out.freeze(), Framing::Checked).unwrap()
}

fn handled(frame: &Frame) -> (Message, Option<Reply>) {
    let handled = Session::new(AckPolicy::default()).on_frame(frame, 0);
    (handled.message.unwrap(), handled.reply)
}

#[test]
fn short_frames_are_kept_and_acknowledged_once_they_are_stored() {
    for number in NUMBERS {
        for body in [&BODY[..], &[]] {
            let frame = sent(Start::Short, number, body);
            let (message, reply) = handled(&frame);
            let Message::Unknown(unknown) = &message else {
                panic!("{number:02x}: {message:?}")
            };
            assert_eq!((unknown.number, &unknown.body[..]), (number, body));
            let expected = Reply {
                class: ReplyClass::WhenDelivered,
                bytes: acknowledgement(Start::Short, number, 7),
            };
            assert_eq!(reply, Some(expected), "{number:02x}");
            assert_eq!(message.to_bytes(7), frame.raw());
        }
    }
}

#[test]
fn long_frames_are_kept_and_not_answered() {
    for number in NUMBERS {
        for body in [&BODY[..], &[]] {
            let frame = sent(Start::Long, number, body);
            let (message, reply) = handled(&frame);
            assert!(matches!(message, Message::Unknown(_)), "{number:02x}");
            assert_eq!(reply, None, "{number:02x}");
            assert_eq!(message.to_bytes(7), frame.raw());
        }
    }
}

#[test]
fn a_ping_without_serial_and_checksum_is_not_answered() {
    let raw = Bytes::from_static(b"\x78\x78\x01\x08\x0d\x0a");
    let frame = Frame::parse(raw.clone(), Framing::Checked).unwrap();
    let (message, reply) = handled(&frame);
    assert_eq!((message.name(), reply), ("topin_notice", None));
    assert_eq!(message.to_bytes(7), raw);
}
