//! Any bytes as a packet, in any dialect: every byte is explained once, reading with and without
//! explanation agree, and what is written of a record names the same device.
//!
//! The first byte is the dialect that is known, 0 for none; the rest is the packet.
#![no_main]

use libfuzzer_sys::fuzz_target;
use milepost_protocol_ais140::{Dialects, Frame, Known, Message, encode};

fuzz_target!(|data: &[u8]| {
    let Some((which, packet)) = data.split_first() else {
        return;
    };
    if packet.len() > 4_096 {
        return;
    }
    let dialects = Dialects::builtin();
    let mut known = Known::default();
    known.dialect = usize::from(*which)
        .checked_sub(1)
        .and_then(|at| dialects.iter().nth(at).cloned());
    let frame = Frame::new(packet.to_vec().into());
    let read = Message::decode(&frame, &dialects, &known);
    let (explained, parts) = Message::explain(&frame, &dialects, &known);
    assert_eq!(read.is_ok(), explained.is_ok());
    let mut at = 0;
    for part in &parts {
        assert_eq!(part.range.start, at);
        at = part.range.end;
    }
    assert_eq!(at, packet.len());
    let _ = frame.urgent();
    let Ok(message) = read else { return };
    for record in message.records() {
        for dialect in [&message.dialect, dialects.iter().next().unwrap()] {
            let Ok(written) = encode(record, message.kind, dialect) else {
                continue;
            };
            known.dialect = Some(dialect.clone());
            known.is_configured = true;
            let again = Message::decode(&Frame::new(written.clone()), &dialects, &known);
            // Any text can look like another kind of packet.
            if let Ok(again) = again
                && again.kind == message.kind
                && record.imei.is_some()
            {
                assert_eq!(again.record.imei, record.imei);
            }
        }
    }
});
