//! Any frame in any dialect: decoding does not panic, what was decoded encodes to the same body
//! and decodes to the same message, an explanation covers every byte once, the answer is made of
//! frames, and reports are written and read back as they were.
//!
//! How an input is read: `milepost_fuzz::message`.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use milepost_fuzz::frames::Form;
use milepost_fuzz::message::Input;
use milepost_protocol_gt06::normalize::{self, ReportSource};
use milepost_protocol_gt06::{AckPolicy, Direction, Frame, Framing, Message, Profile};
use milepost_telemetry::{DeviceId, Origin, Report, Timestamp};

const NOW: i64 = 1_763_622_000;

fn reports(message: &Message, frame: &Frame, profile: &Profile, connection: u64) -> Vec<Report> {
    let source = ReportSource::new(None, DeviceId::new("352093081234567").ok());
    let cx = normalize::Context::new(
        frame.head(),
        profile,
        &source,
        Timestamp::from_unix(NOW),
        Origin {
            epoch: 1,
            connection,
            frame: 1,
        },
    );
    let mut reports = Vec::new();
    normalize::normalize(message, &cx, &mut reports);
    reports
}

fuzz_target!(|data: &[u8]| {
    let Some(input) = Input::read(data) else {
        return;
    };
    let Input { dialect, frame, .. } = input;

    let (explained, fields) = Message::explain(&frame, dialect);
    let mut at = 0;
    for field in &fields {
        assert_eq!(
            field.range.start, at,
            "a gap or an overlap before {}",
            field.name
        );
        at = field.range.end;
    }
    assert_eq!(at, frame.raw().len(), "not to the end");

    let decoded = Message::decode(&frame, dialect);
    assert_eq!(decoded, explained, "explaining reads the same");
    assert_eq!(
        decoded,
        Message::decode_slice(frame.head(), frame.raw(), dialect),
        "a slice reads the same"
    );
    let Ok(message) = decoded else { return };
    assert_eq!(message.number(), frame.number());
    let mut body = BytesMut::new();
    message.encode_body(&mut body);
    assert_eq!(
        body.freeze(),
        frame.raw().slice(frame.head().body()),
        "{message:?}"
    );
    let framing = Form::of(&frame).framing();
    let again: Bytes = message.to_bytes_under(frame.start(), 1);
    let again = Frame::parse(again, framing).expect("what is written is a frame");
    assert_eq!(Message::decode(&again, dialect).as_ref(), Ok(&message));

    // What it is answered is nothing or a frame.
    let policy = AckPolicy { locations: true };
    let answer = message.answer();
    let reply = answer.reply(frame.start(), frame.number(), frame.serial(), policy, NOW);
    if let Some(reply) = reply {
        // What is repeated to the relatives is not escaped, so stop bytes may be in it.
        let is_frame = match framing {
            Framing::Bare => reply.bytes.starts_with(b"\x78\x78") && reply.bytes.ends_with(b"\r\n"),
            _ => Frame::parse(reply.bytes.clone(), framing).is_some(),
        };
        assert!(
            is_frame,
            "{message:?} is answered {:02x?}",
            &reply.bytes[..]
        );
        assert_eq!(message.direction(), Direction::Device, "{message:?}");
    }
    let _ = (message.name(), message.dialect(), message.question());

    // Its reports can be written and read back, and each fact has an id of its own.
    let mut profile = Profile::default();
    profile.dialect = input.is_known.then_some(dialect);
    profile.bare_frames = framing == Framing::Bare;
    profile.zones.configured = input.configured;
    profile.zones.login = input.login;
    let first = reports(&message, &frame, &profile, 1);
    if message.direction() == Direction::Server {
        assert!(first.is_empty(), "{message:?}");
    }
    let arrived_later = reports(&message, &again, &profile, 2);
    assert_eq!(first.len(), arrived_later.len());
    for (at, (report, other)) in first.iter().zip(&arrived_later).enumerate() {
        assert!(
            first.iter().skip(at + 1).all(|next| next.id != report.id),
            "two reports with one id of {message:?}"
        );
        if report.device_time.is_some() {
            assert_eq!(
                report.id, other.id,
                "sent again it has another id: {message:?}"
            );
        }
        // What an answer states about its command is not in the JSON form.
        let mut report = report.clone();
        if !report.more.is_none() {
            report.more.answer = None;
        }
        let json = serde_json::to_vec(&report).expect("a report can be written");
        let read: Report = serde_json::from_slice(&json).expect("and read");
        assert_eq!(read, report);
    }
});
