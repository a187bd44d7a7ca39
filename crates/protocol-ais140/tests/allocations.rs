//! Reading allocates nothing per field; a report allocates what its schema owns.
#![cfg(feature = "telemetry")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use milepost_protocol_ais140::{Dialects, Frame, Message, Session};

const PACKET: &str = "$NRM,ROADRPA,1.0.0,NR,01,L,123456789012347,KA01AB1234,1,05032024,061530,12.976545,\
    N,77.549759,E,32.5,118.0,11,914.0,1.20,0.80,Airtel,1,1,12.6,4.1,0,C,24,404,45,61B4,9AD9,31,61B4,9ADB,\
    28,61B4,9AE1,22,61B5,1F03,19,61B5,1F07,0001,00,000127,00000000*";

#[test]
fn a_position_is_read_without_allocating() {
    let mut session = Session::default();
    let frame = Frame::new(PACKET.into());
    session.on_frame(&frame, 0);
    session.on_identified(None);
    session.on_frame(&frame, 0).message.unwrap();
    let dialects = Dialects::builtin();
    let known = session.profile().known(&dialects);
    let frame = Frame::new(PACKET.into());
    let counted = allocation_counter::measure(|| {
        let message = Message::decode(&frame, &dialects, &known).unwrap();
        assert_eq!(message.record.frame, Some(127));
        assert_eq!(message.record.neighbours.as_slice().len(), 4);
    });
    // One for the record.
    assert!(counted.count_total <= 1, "{counted:?}");
}
