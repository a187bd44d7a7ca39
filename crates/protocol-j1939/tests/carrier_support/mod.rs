//! What the tests of the carriers share.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test may fail loudly"
)]

use bytes::BytesMut;
use milepost_protocol_j1939::carrier::{Carrier, Encoder, Form, RecordKind, Setting, Stamps};
use milepost_protocol_j1939::{CanFrame, CanId, CanTime};

/// Frames of a truck: both widths, every length, remote frames, stamps with a wrap of the minute.
pub fn truck(count: usize) -> Vec<CanFrame> {
    let ids = [
        0x18FE_F100,
        0x0CF0_0400,
        0x0CF0_0203,
        0x18FE_E000,
        0x18EC_FF00,
    ];
    let data = [0xF3, 0x00, 0x3C, 0xCF, 0xFF, 0x27, 0xE0, 0x11];
    (0..count)
        .map(|n| {
            let id = match n % 7 {
                6 => CanId::Standard(0x7E8),
                n => CanId::Extended(ids[n % ids.len()]),
            };
            let len = if n % 5 == 4 { n % 9 } else { 8 };
            let mut data = data;
            data[1] = n.to_le_bytes()[0];
            let frame = if n % 11 == 10 {
                CanFrame::remote(id, 8)
            } else {
                CanFrame::new(id, &data[..len])
            };
            let micros = 58_500_000 + n as u64 * 37_000;
            frame.unwrap().with_time(Some(CanTime(micros)))
        })
        .collect()
}

/// The frames that a form can carry, with the stamps that it can carry.
pub fn carried(form: Form, frames: &[CanFrame]) -> Vec<CanFrame> {
    let is_carried = |frame: &&CanFrame| form.carries_remote() || !frame.is_remote();
    let stamped = |frame: &CanFrame| {
        frame.with_time(match form.stamps() {
            Stamps::None => None,
            _ => frame.time(),
        })
    };
    frames.iter().filter(is_carried).map(stamped).collect()
}

/// The frames as a sender of this form writes them, without its greeting.
pub fn written(form: Form, frames: &[CanFrame]) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::new(form), BytesMut::new());
    for frame in frames {
        encoder.encode(frame, &mut out).unwrap();
    }
    out.to_vec()
}

/// The bytes with the greeting in front.
pub fn greeted(form: Form, bytes: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    Encoder::new(form).greet(&mut out);
    [&out[..], bytes].concat()
}

/// What is found in a stream.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    pub frames: Vec<CanFrame>,
    pub payloads: Vec<Vec<u8>>,
    /// The most bytes that stayed undecided.
    pub pending: usize,
    pub skipped: usize,
    /// Bytes that are still undecided.
    pub left: usize,
}

/// Reads a stream cut into pieces of these lengths, in turn.
pub fn read(setting: impl Into<Setting>, stream: &[u8], sizes: &[usize]) -> Found {
    let (mut carrier, mut buffer) = (Carrier::new(setting), BytesMut::new());
    let (mut found, mut rest) = (Found::default(), stream);
    let mut sizes = sizes.iter().cycle();
    let mut joined = Vec::new();
    loop {
        let before = buffer.len();
        match carrier.next_frame(&mut buffer) {
            Ok(Some(record)) => {
                assert!(!record.raw.is_empty());
                assert_eq!(before - buffer.len(), record.raw.len());
                joined.extend_from_slice(&record.raw);
                match record.kind {
                    RecordKind::Frame(frame) => found.frames.push(frame),
                    RecordKind::Payload(payload) => found.payloads.push(payload.to_vec()),
                    _ => {}
                }
            }
            Err(skipped) => {
                assert!(!skipped.raw.is_empty());
                assert_eq!(before - buffer.len(), skipped.raw.len());
                joined.extend_from_slice(&skipped.raw);
                found.skipped += skipped.raw.len();
            }
            Ok(None) => {
                assert_eq!(before, buffer.len(), "asking for more consumes nothing");
                found.pending = found.pending.max(before);
                if rest.is_empty() {
                    break;
                }
                let size = sizes.next().copied().unwrap_or(1).clamp(1, rest.len());
                let (now, later) = rest.split_at(size);
                buffer.extend_from_slice(now);
                rest = later;
            }
        }
    }
    found.left = buffer.len();
    joined.extend_from_slice(&buffer);
    assert_eq!(joined, stream, "every byte is in a record, skipped or left");
    let counts = carrier.counts();
    assert_eq!(counts.frames, found.frames.len() as u64);
    assert_eq!(counts.skipped_bytes, found.skipped as u64);
    found
}
