//! Frames of the transport protocols in any order, with any stamps: no panic, bounded memory, and
//! every message that comes out has a length that was announced.
#![no_main]

use libfuzzer_sys::fuzz_target;
use milepost_protocol_j1939::decoder::{Decoder, Head, Options, Output};
use milepost_protocol_j1939::explain;
use milepost_protocol_j1939::transport::Limits;
use milepost_protocol_j1939::{CanFrame, CanId, CanTime};

// A record: stamp in ms since the last one (its top bit: none), identifier (4), length, data.
fuzz_target!(|bytes: &[u8]| {
    let mut options = Options::default();
    options.transport = Limits {
        sessions: 8,
        bytes: 32 * 1024,
        extended_len: 8 * 1024,
    };
    let mut decoder = Decoder::new(options);
    let mut announced = std::collections::BTreeSet::new();
    let mut now = 1_000_000u64;
    let mut rest = bytes;
    while let Some((&[wait, a, b, c, d, len], after)) = rest.split_first_chunk::<6>() {
        let (data, next) = after.split_at(usize::from(len % 9).min(after.len()));
        rest = next;
        now += u64::from(wait & 0x7F) * 1_000;
        let id = CanId::Extended(u32::from_be_bytes([a, b, c, d]) & CanId::MAX_EXTENDED);
        let time = (wait & 0x80 == 0).then_some(CanTime(now));
        let frame = CanFrame::new(id, data).expect("checked").with_time(time);
        if let &[16 | 32, low, high, ..] = frame.data() {
            announced.insert(usize::from(u16::from_le_bytes([low, high])));
        }
        if let &[20, b1, b2, b3, b4, ..] = frame.data() {
            announced.insert(u32::from_le_bytes([b1, b2, b3, b4]) as usize);
        }
        decoder.push(&frame, CanTime(now));
        assert!(decoder.held_bytes() <= 32 * 1024 + 32 * 8 * 1024);
        while let Some(output) = decoder.poll() {
            if let Output::Message(message) = output {
                if matches!(message.head, Head::Group(_)) && message.data.len() > 8 {
                    assert!(announced.contains(&message.data.len()));
                }
                let mut at = 0;
                for field in explain::explain(&message) {
                    assert_eq!(field.range.start, at);
                    at = field.range.end;
                }
                assert_eq!(at, message.data.len());
            }
        }
    }
});
