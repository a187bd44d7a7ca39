#![allow(clippy::unwrap_used)]
use std::io::Write as _;
use milepost_protocol_gt06::normalize::{Context, ReportSource, normalize};
use milepost_protocol_gt06::{Dialect, Frame, Framing, Message, Profile};
use milepost_telemetry::{DeviceId, Origin, Timestamp};
#[test]
fn dump() {
    let Ok(out) = std::env::var("GT06_OUT") else { return };
    let mut out = std::io::BufWriter::new(std::fs::File::create(out).unwrap());
    for line in std::fs::read_to_string("/tmp/gt06/all.tsv").unwrap().lines() {
        let mut f = line.split('\t');
        let dialect: Dialect = f.next().unwrap().parse().unwrap();
        let bare = f.next().unwrap() == "true";
        let hex = f.next().unwrap();
        let raw = hex::decode(hex).unwrap();
        let Some(frame) = Frame::parse(raw.into(), if bare {Framing::Bare} else {Framing::Checked}) else { continue };
        let mut profile = Profile::default(); profile.dialect = Some(dialect); profile.bare_frames = bare;
        let (message, fields) = Message::explain(&frame, dialect);
        writeln!(out, "# {line}").unwrap();
        for field in fields { writeln!(out, "{field}").unwrap(); }
        match message {
            Ok(m) => {
                writeln!(out, "{} {:?} {:?} {:?} {:?} {:?}", m.name(), m.answer(), m.dialect(), m.clock(), m.raw_battery(), m.question()).unwrap();
                if let Some(serial) = frame.serial() { writeln!(out, "{}", hex::encode(m.to_bytes_under(frame.start(), serial))).unwrap(); }
                let source = ReportSource::new(None, DeviceId::new("123456789012345").ok());
                let cx = Context::new(frame.head(), &profile, &source, Timestamp::from_unix(1_700_000_000), Origin::default());
                let mut reports = Vec::new();
                normalize(&m, &cx, &mut reports);
                for r in reports { writeln!(out, "{}", serde_json::to_string(&r).unwrap()).unwrap(); }
            }
            Err(e) => { writeln!(out, "{e}").unwrap(); }
        }
    }
}
