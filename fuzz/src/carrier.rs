//! Inputs of `j1939_carrier_…`: flags, three sizes of chunks, bytes.
//!
//! Bit 7 of the flags: the sender goes quiet after each chunk. Bit 6: the other byte order, where the
//! form has two.

use bytes::BytesMut;
use milepost_protocol_j1939::CanFrame;
use milepost_protocol_j1939::carrier::{
    ByteOrder, Carrier, DETECTION_LIMIT, Encoder, Form, RecordKind, Setting, Stamps,
};

const QUIET: u8 = 0x80;
const BIG: u8 = 0x40;
/// The longest chunk.
const LONGEST: usize = 64;

/// Makes the target of one form.
#[macro_export]
macro_rules! carrier_target {
    ($setting:expr) => {
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::carrier::run($setting.into(), data));
    };
}

/// The input that encodes this stream.
#[must_use]
pub fn write(setting: Setting, stream: &[u8]) -> Vec<u8> {
    let flags = match setting {
        Setting::Form(Form::SocketCan(ByteOrder::Big)) => BIG,
        _ => 0,
    };
    [&[flags, 5, 17, 63], stream].concat()
}

/// What is found in a stream.
#[derive(Debug, Default, PartialEq)]
struct Found {
    frames: Vec<CanFrame>,
    payloads: Vec<Vec<u8>>,
    left: usize,
    output: Vec<u8>,
    is_lost: bool,
}

/// Any bytes, in any chunks: progress, every byte in a record, passed over or left, what is left is
/// bounded, and the same frames however the stream is cut. Frames survive being written and read.
///
/// # Panics
/// If one of these does not hold.
pub fn run(setting: Setting, data: &[u8]) {
    let Some((&[flags, sizes @ ..], stream)) = data.split_first_chunk::<4>() else {
        return;
    };
    let setting = match setting {
        Setting::Form(Form::SocketCan(_)) if flags & BIG != 0 => {
            Form::SocketCan(ByteOrder::Big).into()
        }
        setting => setting,
    };
    let sizes = sizes.map(|size| usize::from(size) % LONGEST + 1);
    let whole = read(setting, stream, &[usize::MAX], false);
    let cut = read(setting, stream, &sizes, false);
    assert_eq!(whole, cut);
    if flags & QUIET != 0 {
        read(setting, stream, &sizes, true);
    }
    if let Setting::Form(form) = setting {
        again(form, &whole.frames);
    }
}

fn read(setting: Setting, stream: &[u8], sizes: &[usize], is_quiet: bool) -> Found {
    let bound = match setting {
        Setting::Detect => DETECTION_LIMIT,
        Setting::Form(form) => form.max_pending(),
    };
    let (mut carrier, mut buffer) = (Carrier::new(setting), BytesMut::new());
    let (mut found, mut rest) = (Found::default(), stream);
    let mut sizes = sizes.iter().cycle();
    let mut at = 0;
    loop {
        found
            .output
            .extend(carrier.take_output().into_iter().flatten());
        let before = buffer.len();
        let raw = match carrier.next_frame(&mut buffer) {
            Ok(Some(record)) => {
                match record.kind {
                    RecordKind::Frame(frame) => found.frames.push(frame),
                    RecordKind::Payload(payload) => found.payloads.push(payload.to_vec()),
                    _ => {}
                }
                record.raw
            }
            Err(skipped) => skipped.raw,
            Ok(None) => {
                assert_eq!(before, buffer.len(), "asking for more consumes nothing");
                assert!(before <= bound, "{before} bytes are left");
                if rest.is_empty() {
                    break;
                }
                let size = sizes.next().copied().unwrap_or(1).min(rest.len());
                let (now, later) = rest.split_at(size);
                buffer.extend_from_slice(now);
                rest = later;
                if is_quiet {
                    carrier.on_pause();
                }
                continue;
            }
        };
        assert!(!raw.is_empty() && before - buffer.len() == raw.len());
        assert_eq!(
            raw,
            stream[at..at + raw.len()],
            "bytes are kept as they came"
        );
        at += raw.len();
    }
    assert_eq!(
        at + buffer.len(),
        stream.len(),
        "every byte is accounted for"
    );
    found.left = buffer.len();
    found.is_lost = carrier.is_lost();
    found
}

/// Writes the frames and reads them back.
fn again(form: Form, frames: &[CanFrame]) {
    let (mut encoder, mut out) = (Encoder::new(form), BytesMut::new());
    encoder.greet(&mut out);
    for frame in frames {
        encoder
            .encode(frame, &mut out)
            .expect("the form carried it");
    }
    // A counter's moment is lost: only its time within the minute is written.
    let plain = |frame: &CanFrame| match form.stamps() {
        Stamps::Seconds => *frame,
        _ => frame.with_time(None),
    };
    let read = read(form.into(), &out, &[usize::MAX], false);
    let read: Vec<CanFrame> = read.frames.iter().map(plain).collect();
    let expected: Vec<CanFrame> = frames.iter().map(plain).collect();
    assert_eq!(read, expected);
}
