//! Any frame in any dialect: decoding does not panic, what was decoded encodes to the same body
//! and decodes to the same message, and an explanation covers every byte once.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use protocol_gt06::normalize::{self, Speaker};
use protocol_gt06::{Deframer, Dialect, Message, Profile};
use telemetry::{Origin, Timestamp};

fuzz_target!(|data: &[u8]| {
    let Some((&[dialect, long, number], body)) = data.split_first_chunk::<3>() else { return };
    let Ok(body_len) = u16::try_from(body.len()) else { return };
    let dialect = Dialect::ALL[usize::from(dialect) % Dialect::ALL.len()];

    // A frame with a right length, so that every message's decoder is reached.
    let mut raw = Vec::with_capacity(body.len() + 12);
    if long & 1 == 1 || body.len() > 250 {
        raw.extend_from_slice(&[0x79, 0x79]);
        raw.extend_from_slice(&body_len.saturating_add(5).to_be_bytes());
    } else {
        raw.extend_from_slice(&[0x78, 0x78, u8::try_from(body.len() + 5).unwrap_or(u8::MAX)]);
    }
    raw.push(number);
    raw.extend_from_slice(body);
    raw.extend_from_slice(&[0x00, 0x01]);
    let checksum = protocol_gt06::checksum(&raw[2..]);
    raw.extend_from_slice(&checksum.to_be_bytes());
    raw.extend_from_slice(&[0x0d, 0x0a]);

    let mut stream = BytesMut::from(&raw[..]);
    let Ok(Some(frame)) = Deframer::default().next_frame(&mut stream) else { return };

    let (explained, fields) = Message::explain(&frame, dialect);
    let mut at = 0;
    for field in &fields {
        assert_eq!(field.range.start, at, "a gap or an overlap before {}", field.name);
        at = field.range.end;
    }
    assert_eq!(at, frame.raw().len(), "not to the end");

    let decoded = Message::decode(&frame, dialect);
    assert_eq!(decoded, explained, "explaining reads the same");
    let Ok(message) = decoded else { return };
    let mut again = BytesMut::new();
    message.encode_body(&mut again);
    assert_eq!(again.freeze(), frame.raw().slice(frame.head().body()), "{message:?}");

    // What it says is plausible enough to be written and read back.
    let profile = Profile::default();
    let speaker = Speaker::new(None, None);
    let cx = normalize::Context::new(
        frame.head(),
        &profile,
        &speaker,
        Timestamp::from_unix(1_763_622_000),
        Origin { epoch: 1, connection: 1, frame: 1 },
    );
    normalize::normalize(&message, &cx, &mut |report| {
        let json = serde_json::to_vec(&report).expect("reports can be written");
        let _: telemetry::Report = serde_json::from_slice(&json).expect("and read back");
    });
    let _: Bytes = message.to_bytes(1);
});
