//! A whole conversation: any bytes, pauses anywhere. No panic; replies are frames that our own
//! deframer reads; nothing that a server says is answered.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use protocol_gt06::{AckPolicy, Deframer, Direction, Session};

fuzz_target!(|data: &[u8]| {
    let Some((&policy, data)) = data.split_first() else { return };
    let mut policy_all = AckPolicy::default();
    policy_all.locations = policy & 1 == 1;
    let mut session = Session::new(policy_all);
    let mut stream = BytesMut::new();
    // A chunk: its length, then its bytes; the length's top bit says that a pause follows.
    let mut rest = data;
    while let Some((&control, behind)) = rest.split_first() {
        let (chunk, behind) = behind.split_at(usize::from(control & 0x7f).min(behind.len()));
        rest = behind;
        stream.extend_from_slice(chunk);
        let pause = control & 0x80 != 0;
        if pause {
            session.on_pause();
        }
        loop {
            let frame = match session.next_frame(&mut stream) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(_) => continue,
            };
            let handled = session.on_frame(&frame, 1_763_622_000);
            if handled.identify.is_some() {
                session.on_identified(None);
            }
            if handled.direction == Direction::Server {
                assert_eq!(handled.reply, None, "echoes are not answered");
            }
            if let Some(reply) = handled.reply {
                let mut sent = BytesMut::from(&reply.bytes[..]);
                let mut deframer = Deframer::default();
                let mut read = deframer.next_frame(&mut sent);
                if matches!(read, Ok(None)) {
                    deframer.on_pause();
                    read = deframer.next_frame(&mut sent);
                }
                assert!(matches!(read, Ok(Some(_))), "a reply is a frame: {:02x?}", &reply.bytes[..]);
            }
        }
    }
});
