//! Frames with their source (`tests/vectors/frames.jsonl`) give the reports that are written down
//! (`tests/vectors/reports.json`). `UPDATE_VECTORS=1` writes them anew: look at the difference.
#![cfg(feature = "telemetry")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::path::Path;

use milepost_protocol_gt06::normalize::{Context, ReportSource, normalize};
use milepost_protocol_gt06::{Dialect, Frame, Framing, Message, Profile};
use milepost_telemetry::{DeviceId, Origin, Timestamp};
use serde_json::{Map, Value};

fn reports(hex: &str) -> Value {
    let raw = hex::decode(hex).unwrap();
    let frame = Frame::parse(raw.into(), Framing::Checked).unwrap();
    let message = Message::decode(&frame, Dialect::default()).unwrap();
    let source = ReportSource::new(None, DeviceId::new("123456789012345").ok());
    let profile = Profile::default();
    let received_at = Timestamp::from_unix(1_700_000_000);
    let origin = Origin::default();
    let cx = Context::new(frame.head(), &profile, &source, received_at, origin);
    let mut reports = Vec::new();
    normalize(&message, &cx, &mut reports);
    serde_json::to_value(&reports).unwrap()
}

#[test]
fn every_recorded_frame_gives_the_reports_that_are_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let frames = std::fs::read_to_string(folder.join("frames.jsonl")).unwrap();
    let mut given = Map::new();
    for row in frames.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        assert!(row["source"].is_string(), "{row}");
        let what = row["what"].as_str().unwrap();
        let earlier = given.insert(what.to_owned(), reports(row["hex"].as_str().unwrap()));
        assert_eq!(earlier, None, "two frames are named {what}");
    }
    let path = folder.join("reports.json");
    let text = serde_json::to_string_pretty(&given).unwrap() + "\n";
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    // Read again, as the last digit of a fraction may change by that.
    let given: Map<String, Value> = serde_json::from_str(&text).unwrap();
    let written = std::fs::read_to_string(&path).unwrap();
    let written: Map<String, Value> = serde_json::from_str(&written).unwrap();
    for (what, reports) in &given {
        assert_eq!(Some(reports), written.get(what), "{what}");
    }
    assert_eq!(given.len(), written.len());
}
