//! Frames, each with its source and with what it gives: `tests/vectors/MESSAGE.jsonl`, a frame a line.
//! `UPDATE_VECTORS=1` writes what they give anew: look at the difference.
//!
//! | in `gives` | meaning |
//! |---|---|
//! | `message` | its name |
//! | `error` | instead of the message: why the body cannot be read |
//! | `dialect` | the family of devices that the message shows |
//! | `fields` | the body's fields and their meanings, in the order of the bytes |
//! | `reply` | the kind of answer, when it may leave, and its bytes |
//! | `reports` | without what is the same in all of them |
//! | `shorter` | how each shorter body is read: a message's name or the field of the error, and the lengths |
#![cfg(feature = "telemetry")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::path::{Path, PathBuf};

use bytes::BytesMut;
use milepost_protocol_gt06::normalize::{Context, ReportSource, normalize};
use milepost_protocol_gt06::reply::Answer;
use milepost_protocol_gt06::{
    AckPolicy, Dialect, Field, Frame, Framing, Message, Profile, Reply, ReplyClass, frame,
};
use milepost_telemetry::{DeviceId, Origin, Timestamp};
use serde_json::{Map, Value, json};

/// A line of a file.
struct Vector {
    row: Map<String, Value>,
    profile: Profile,
    frame: Frame,
}

impl Vector {
    fn read(line: &str) -> Self {
        let row: Map<String, Value> = serde_json::from_str(line).unwrap();
        assert!(
            row["source"].is_string() && row["what"].is_string(),
            "{line}"
        );
        let mut profile = Profile::default();
        profile.dialect = row
            .get("dialect")
            .map(|name| name.as_str().unwrap().parse().unwrap());
        profile.bare_frames = row.get("bare") == Some(&Value::Bool(true));
        if profile.bare_frames {
            profile.dialect = Some(Dialect::Topin);
        }
        let raw = hex::decode(row["hex"].as_str().unwrap()).unwrap();
        let frame = Frame::parse(raw.into(), framing(&profile)).unwrap();
        Self {
            row,
            profile,
            frame,
        }
    }

    /// The frame with only the first `len` bytes of its body.
    fn shorter(&self, len: usize) -> Frame {
        let mut out = BytesMut::new();
        let (body, number) = (&self.frame.body()[..len], self.frame.number());
        match self.frame.serial() {
            Some(serial) => frame::encode(self.frame.start(), number, serial, &mut out, |out| {
                out.extend_from_slice(body);
            }),
            None => {
                let announced = u8::try_from(self.frame.head().announced()).unwrap();
                frame::encode_relative(announced, number, &mut out, body);
            }
        }
        Frame::parse(out.freeze(), framing(&self.profile)).unwrap()
    }

    fn gives(&self) -> Value {
        let dialect = self.profile.dialect();
        let (message, fields) = Message::explain(&self.frame, dialect);
        let mut gives = Map::new();
        gives.insert("fields".into(), fields_of_body(&self.frame, &fields).into());
        gives.insert("shorter".into(), self.all_shorter().into());
        match message {
            Err(error) => drop(gives.insert("error".into(), error.to_string().into())),
            Ok(message) => {
                gives.insert("message".into(), message.name().into());
                if let Some(dialect) = message.dialect() {
                    gives.insert("dialect".into(), dialect.name().into());
                }
                gives.insert("reply".into(), reply(&message, &self.frame).into());
                gives.insert("reports".into(), self.reports(&message));
            }
        }
        gives.into()
    }

    /// Names or fields of errors, each with the lengths of the bodies that give it.
    fn all_shorter(&self) -> Vec<String> {
        let mut all: Vec<(String, usize, usize)> = Vec::new();
        for len in 1..self.frame.body().len() {
            let read = Message::decode(&self.shorter(len), self.profile.dialect());
            let given = read.map_or_else(
                |error| format!("error in {}", error.field()),
                |message| message.name().to_owned(),
            );
            match all.last_mut() {
                Some((last, _, end)) if *last == given => *end = len,
                _ => all.push((given, len, len)),
            }
        }
        all.iter()
            .map(|(given, first, last)| format!("{given}: {first}-{last}"))
            .collect()
    }

    fn reports(&self, message: &Message) -> Value {
        let source = ReportSource::new(None, DeviceId::new("123456789012345").ok());
        let received_at = Timestamp::from_unix(1_700_000_000);
        let origin = Origin::default();
        let cx = Context::new(
            self.frame.head(),
            &self.profile,
            &source,
            received_at,
            origin,
        );
        let mut reports = Vec::new();
        normalize(message, &cx, &mut reports);
        let mut reports = serde_json::to_value(&reports).unwrap();
        for report in reports.as_array_mut().unwrap() {
            let report = report.as_object_mut().unwrap();
            for (key, value) in [
                ("checksum", json!("valid")),
                ("decoder", json!(normalize_decoder())),
                ("device", json!("123456789012345")),
                ("protocol", json!("gt06")),
                ("received_at", json!("2023-11-14T22:13:20Z")),
                ("schema", json!(1)),
                ("sequence", json!(self.frame.serial())),
            ] {
                if report.get(key) == Some(&value) {
                    report.remove(key);
                }
            }
        }
        // Read again, as the last digit of a fraction may change by that.
        serde_json::from_str(&reports.to_string()).unwrap()
    }
}

fn normalize_decoder() -> String {
    format!("gt06/{}", env!("CARGO_PKG_VERSION"))
}

fn framing(profile: &Profile) -> Framing {
    if profile.bare_frames {
        Framing::Bare
    } else {
        Framing::Checked
    }
}

fn fields_of_body(frame: &Frame, fields: &[Field]) -> Vec<String> {
    let body = frame.head().body();
    fields
        .iter()
        .filter(|field| body.start <= field.range.start && field.range.end <= body.end)
        .map(|field| format!("{}: {}", field.name, field.meaning))
        .collect()
}

fn reply(message: &Message, frame: &Frame) -> String {
    let policy = AckPolicy { locations: true };
    let answer = message.answer();
    let by = match answer {
        Answer::ByPolicy => "by policy, ",
        _ => "",
    };
    match answer.reply(
        frame.start(),
        frame.number(),
        frame.serial(),
        policy,
        1_451_347_221,
    ) {
        None => "none".into(),
        Some(Reply { class, bytes }) => {
            let class = match class {
                ReplyClass::Now => "now",
                ReplyClass::WhenDelivered => "when delivered",
            };
            format!("{by}{class}: {}", hex::encode(bytes))
        }
    }
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_frame_gives_what_is_written_beside_it() {
    let mut wrong = Vec::new();
    for path in files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut written = String::new();
        for (line, number) in text.lines().zip(1..) {
            let mut vector = Vector::read(line);
            let gives = vector.gives();
            let expected = vector.row.insert("gives".into(), gives.clone());
            if expected.as_ref() != Some(&gives) {
                let at = format!("{}:{number}", path.display());
                differences(&at, &expected.unwrap_or_default(), &gives, &mut wrong);
            }
            written += &(Value::from(vector.row).to_string() + "\n");
        }
        if std::env::var_os("UPDATE_VECTORS").is_some() {
            std::fs::write(&path, written).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where two values differ, and what is there.
fn differences(at: &str, expected: &Value, given: &Value, out: &mut Vec<String>) {
    match (expected, given) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let of = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                differences(&format!("{at} {key}"), &of(a), &of(b), out);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{at} {index}"), a, b, out);
            }
        }
        _ if expected != given => out.push(format!("{at}: expected {expected}, is {given}")),
        _ => {}
    }
}

#[test]
fn every_frame_and_each_shorter_one_is_written_as_it_was_and_wholly_explained() {
    for path in files() {
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let vector = Vector::read(line);
            let dialect = vector.profile.dialect();
            for len in 0..=vector.frame.body().len() {
                let frame = vector.shorter(len);
                let (read, fields) = Message::explain(&frame, dialect);
                assert_eq!(Message::decode(&frame, dialect), read, "{line}");
                let mut at = 0;
                for field in fields {
                    assert_eq!(field.range.start, at, "{len}: {field} of {line}");
                    assert!(
                        read.is_err() || field.name != "unread",
                        "{len}: {field} of {line}"
                    );
                    at = field.range.end;
                }
                assert_eq!(at, frame.raw().len(), "{line}");
                if let Ok(message) = read {
                    let serial = frame.serial().unwrap_or_default();
                    let written = message.to_bytes_under(frame.start(), serial);
                    assert_eq!(written, frame.raw(), "{len}: {message:?} of {line}");
                }
            }
        }
    }
}
