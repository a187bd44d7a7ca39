//! A shortcut reads what the reads by name read.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use bytes::BytesMut;
use milepost_protocol_gt06::{Dialect, Frame, Framing, Message, Start, frame};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_location_is_the_same_whether_somebody_listens_or_not(
        number in prop_oneof![Just(0x12_u8), Just(0x22), Just(0x2d), Just(0x31), Just(0xa0)],
        mut body in proptest::collection::vec(any::<u8>(), 0..60),
        len in prop_oneof![Just(26_usize), Just(29), Just(33), Just(36), Just(40), 0..60_usize],
        cs in any::<u8>(),
        sane in any::<bool>(),
    ) {
        body.resize(len, 1);
        // Positions on Earth are rare among random ones.
        if sane && len > 17 {
            body[7] = 3;
            body[11] = 7;
            body[16] = cs;
        }
        let mut raw = BytesMut::new();
        frame::encode(Start::Short, number, 1, &mut raw, |out| out.extend_from_slice(&body));
        let frame = Frame::parse(raw.freeze(), Framing::Checked).unwrap();
        let listened = Message::explain(&frame, Dialect::default()).0;
        prop_assert_eq!(Message::decode(&frame, Dialect::default()), listened.clone());
        prop_assert_eq!(
            Message::decode_slice(frame.head(), frame.raw(), Dialect::default()),
            listened.clone()
        );
        if let Ok(message) = listened {
            prop_assert_eq!(message.to_bytes(1), frame.raw().clone());
        }
    }
}
