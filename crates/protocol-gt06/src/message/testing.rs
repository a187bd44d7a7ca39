//! What the tests of the messages share.

use bytes::{Bytes, BytesMut};

use super::Message;
use crate::frame::{Start, encode};
use crate::{DecodeError, Dialect, Frame, Framing};

/// Reads a frame written in hexadecimal, spaces allowed.
pub(crate) fn read(hex: &str) -> Message {
    let raw = Bytes::from(hex::decode(hex.replace(' ', "")).unwrap());
    let frame = Frame::parse(raw, Framing::Checked).unwrap();
    Message::decode(&frame, Dialect::default()).unwrap()
}

/// A frame around a body, with serial 1.
pub(crate) fn frame(start: Start, number: u8, body: &[u8]) -> Frame {
    let mut out = BytesMut::new();
    encode(start, number, 1, &mut out, |out| {
        out.extend_from_slice(body)
    });
    Frame::parse(out.freeze(), Framing::Checked).unwrap()
}

/// Reads a body by the rules of a dialect.
pub(crate) fn read_as(
    dialect: Dialect,
    start: Start,
    number: u8,
    body: &[u8],
) -> Result<Message, DecodeError> {
    Message::decode(&frame(start, number, body), dialect)
}

/// Reads a body.
pub(crate) fn read_body(start: Start, number: u8, body: &[u8]) -> Result<Message, DecodeError> {
    read_as(Dialect::default(), start, number, body)
}

/// Writes a message and reads it back: the same, and all its bytes are explained, each once.
pub(crate) fn round_trip(message: impl Into<Message>) {
    round_trip_as(Dialect::default(), message);
}

/// As [`round_trip`], by the rules of a dialect.
pub(crate) fn round_trip_as(dialect: Dialect, message: impl Into<Message>) {
    let message = message.into();
    let frame = Frame::parse(message.to_bytes(0x1234), Framing::Checked).unwrap();
    assert_explained(&message, &frame, dialect);
}

fn assert_explained(message: &Message, frame: &Frame, dialect: Dialect) {
    let (read, fields) = Message::explain(frame, dialect);
    assert_eq!(read.as_ref(), Ok(message));
    assert_eq!(Message::decode(frame, dialect), read);
    let mut at = 0;
    for field in fields {
        assert_eq!(field.range.start, at, "{field} of {message:?}");
        assert_ne!(field.name, "unread", "{field} of {message:?}");
        at = field.range.end;
    }
    assert_eq!(at, frame.raw().len());
}

/// The reports of a message.
#[cfg(feature = "telemetry")]
pub(crate) fn reports(message: impl Into<Message>) -> std::vec::Vec<milepost_telemetry::Report> {
    reports_as(&crate::Profile::default(), message)
}

/// The reports of a message from a device of which something is known.
#[cfg(feature = "telemetry")]
pub(crate) fn reports_as(
    profile: &crate::Profile,
    message: impl Into<Message>,
) -> std::vec::Vec<milepost_telemetry::Report> {
    use crate::normalize::{Context, ReportSource};
    use milepost_telemetry::{DeviceId, Origin, Timestamp};

    let message = message.into();
    let frame = Frame::parse(message.to_bytes(1), profile.framing()).unwrap();
    let source = ReportSource::new(None, DeviceId::new("123456789012345").ok());
    let received_at = Timestamp::from_unix(1_700_000_000);
    let cx = Context::new(
        frame.head(),
        profile,
        &source,
        received_at,
        Origin::default(),
    );
    let mut reports = std::vec::Vec::new();
    message.normalize(&cx, &mut reports);
    reports
}

/// The one report of a message.
#[cfg(feature = "telemetry")]
pub(crate) fn report(message: impl Into<Message>) -> milepost_telemetry::Report {
    let mut reports = reports(message);
    assert_eq!(reports.len(), 1, "{reports:?}");
    reports.remove(0)
}

/// A report's signal, as text.
#[cfg(feature = "telemetry")]
pub(crate) fn signal(report: &milepost_telemetry::Report, id: &str) -> Option<std::string::String> {
    use milepost_telemetry::Value;
    use std::string::ToString;

    let signal = report
        .more
        .signals
        .iter()
        .find(|signal| signal.id.to_string() == id)?;
    Some(match signal.value.as_ref()? {
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::Text(value) => value.to_string(),
    })
}

/// A position in UTC: 2015-12-29 02:51:05, 23.111693 N 114.409298 E, 9 satellites, valid.
pub(crate) const GPS: &str = "0f0c1d023305 c9 027ac818 0c465860 00 1400";
/// A cell: 460, 0, 10365, 8049.
pub(crate) const CELL: &str = "01cc 00 287d 001f71";

/// A body written in hexadecimal parts, spaces allowed.
pub(crate) fn body(parts: &[&str]) -> std::vec::Vec<u8> {
    hex::decode(parts.concat().replace(' ', "")).unwrap()
}

/// Reads a body written in hexadecimal parts. It is written back as it was, and so is each shorter
/// one that can be read at all.
pub(crate) fn read_parts(start: Start, number: u8, parts: &[&str]) -> Message {
    let body = body(parts);
    let whole = read_body(start, number, &body).unwrap();
    for len in 0..=body.len() {
        let body = body.get(..len).unwrap();
        if let Ok(message) = read_body(start, number, body) {
            let mut written = BytesMut::new();
            message.encode_body(&mut written);
            assert_eq!(written, body, "{message:?}");
        }
    }
    round_trip(whole.clone());
    whole
}
