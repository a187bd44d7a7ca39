//! Devices send back what they were sent: it must be known for what it is, or both would go on.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use bytes::BytesMut;
use milepost_protocol_gt06::{
    AckPolicy, Direction, Frame, Framing, Message, Session, Start, frame,
};

#[test]
fn what_any_message_is_answered_is_a_servers_when_it_comes_back() {
    let policy = AckPolicy { locations: true };
    let mut answered = 0;
    for start in [Start::Short, Start::Long] {
        for number in 0..=u8::MAX {
            for len in 1..=90 {
                let mut raw = BytesMut::new();
                frame::encode(start, number, 7, &mut raw, |out| {
                    out.resize(out.len() + len, 2)
                });
                let sent = Frame::parse(raw.freeze(), Framing::Checked).unwrap();
                let handled = Session::new(policy).on_frame(&sent, 1_763_622_000);
                // An acknowledgement of what is unknown may be a word of the device's too.
                if matches!(handled.message, Ok(Message::Unknown(_))) {
                    continue;
                }
                let Some(reply) = handled.reply else { continue };
                answered += 1;
                let sent_back = Frame::parse(reply.bytes, Framing::Checked).unwrap();
                let echo = Session::new(policy).on_frame(&sent_back, 1_763_622_000);
                assert_eq!(
                    (echo.direction, echo.reply),
                    (Direction::Server, None),
                    "{number:02x} of {len} bytes under {start:?}: {:?}",
                    echo.message
                );
            }
        }
    }
    assert!(answered > 1_000, "{answered}");
}
