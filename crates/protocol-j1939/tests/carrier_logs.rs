//! Reads further captures, where a folder of them lies beside the repository; without it the test
//! passes and says so.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod carrier_support;

use std::path::{Path, PathBuf};

use carrier_support::{carried, greeted, read, written};
use milepost_protocol_j1939::carrier::{Form, Setting, candump};

fn logs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/logs");
    let Ok(entries) = std::fs::read_dir(folder) else {
        println!("no further captures beside the repository: nothing to run");
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_line_of_a_capture_is_a_frame_and_survives_each_form() {
    for path in logs() {
        let text = std::fs::read(&path).unwrap();
        let lines = text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.trim_ascii().is_empty());
        let found = read(Form::Candump, &text, &[4096]);
        assert_eq!(found.frames.len(), lines.count(), "{}", path.display());
        assert_eq!(found.skipped, 0);
        assert_eq!(read(Setting::Detect, &text, &[1460]).frames, found.frames);
        println!("{}: {} frames", path.display(), found.frames.len());

        for frame in &found.frames {
            let line = candump::line_of(frame, "can0");
            let again = candump::parse(line.as_bytes()).unwrap().kind;
            assert_eq!(
                again,
                milepost_protocol_j1939::carrier::RecordKind::Frame(*frame)
            );
        }
        for form in Form::ALL {
            let found: Vec<_> = found.frames.iter().map(|f| f.with_time(None)).collect();
            let stream = greeted(form, &written(form, &found));
            let again = read(form, &stream, &[1460]).frames;
            let again: Vec<_> = again.iter().map(|f| f.with_time(None)).collect();
            assert_eq!(again, carried(form, &found), "{form}");
        }
    }
}
