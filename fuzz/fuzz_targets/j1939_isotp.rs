//! Frames of OBD-II in any order: no panic, bounded memory, and every message is read, normalized
//! and explained.
#![no_main]

use libfuzzer_sys::fuzz_target;
use milepost_protocol_j1939::decoder::{Decoder, Output};
use milepost_protocol_j1939::merge::{Merger, Options};
use milepost_protocol_j1939::normalize::{self, ReportContext};
use milepost_protocol_j1939::{CanFrame, CanId, CanTime, explain};
use milepost_telemetry::{Origin, Timestamp};

// A record: which identifier, length, data.
fuzz_target!(|bytes: &[u8]| {
    let ids = [
        CanId::Standard(0x7E8),
        CanId::Standard(0x7E9),
        CanId::Standard(0x7E0),
        CanId::Standard(0x7DF),
        CanId::Standard(0x7B7),
        CanId::Extended(0x18DA_F110),
        CanId::Extended(0x18DA_10F1),
        CanId::Extended(0x18FE_CA00),
    ];
    let mut decoder = Decoder::default();
    let mut merger = Merger::new(Options::default(), CanTime(0));
    let mut now = 0u64;
    let mut rest = bytes;
    while let Some((&[which, len], after)) = rest.split_first_chunk::<2>() {
        let (data, next) = after.split_at(usize::from(len % 9).min(after.len()));
        rest = next;
        now += u64::from(len) * 1_000;
        let id = ids[usize::from(which) % ids.len()];
        let frame = CanFrame::new(id, data).expect("checked");
        let frame = frame.with_time((which < 0x80).then_some(CanTime(now)));
        decoder.push(&frame, CanTime(now));
        let _pushed = merger.push(&frame, CanTime(now));
        while let Some(output) = decoder.poll() {
            let Output::Message(message) = output else {
                continue;
            };
            let context = ReportContext {
                tenant: None,
                device: None,
                received_at: Timestamp::UNIX_EPOCH,
                origin: Origin {
                    epoch: 1,
                    connection: 1,
                    frame: 1,
                },
            };
            let report = normalize::report(&message, &context);
            serde_json::to_string(&report).expect("a report can be written");
            let covered: usize = explain::explain(&message).iter().map(|f| f.raw.len()).sum();
            assert_eq!(covered, message.data.len());
        }
    }
    if let Some(merged) = merger.flush(CanTime(now)) {
        assert!(merged.raw.len() <= 256 * 1024);
    }
});
