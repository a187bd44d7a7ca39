//! Which form a stream has.

use alloc::vec::Vec;

use bytes::BytesMut;

use super::deframe::AGREEMENT;
use super::{Carrier, Form, RecordKind, cannelloni};

/// The form is judged whenever so many more bytes are there, so that the judgement does not depend
/// on how the stream is cut.
const STEP: usize = 64;
/// Bytes without a form are passed over when there are so many of them.
pub const DETECTION_LIMIT: usize = 1024;
/// Lines of text that must agree: fewer than binary records, since text has delimiters.
const TEXT_AGREEMENT: usize = 3;

/// What the first bytes of a stream say about its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detected {
    /// More bytes are needed.
    More,
    /// The form.
    Form(Form),
    /// [`DETECTION_LIMIT`] bytes fit no form, or more than one.
    Unknown,
}

/// Judges the first bytes of a stream.
///
/// | evidence | form |
/// |---|---|
/// | begins with `CANNELLONIv1` | cannelloni over TCP |
/// | begins with `< hi >` | socketcand |
/// | from the first record on at least four frames (three in text) in a row up to the last byte, in one form only | that form |
///
/// Bytes before the first record, such as a registration text, are tolerated. Forms are compared
/// at every 64th byte; if two agree, at the next one again, up to 1 024 bytes.
///
/// ```
/// use milepost_protocol_j1939::carrier::{Detected, Form, detect};
///
/// let line = b"(1543509533.000838) can0 18FEF100#F3003CCFFFFFE0FF\n";
/// assert_eq!(detect(&line.repeat(1)), Detected::More);
/// assert_eq!(detect(&line.repeat(4)), Detected::Form(Form::Candump));
/// ```
#[must_use]
pub fn detect(bytes: &[u8]) -> Detected {
    let mut detection = Detection::default();
    detection.judge(bytes, false)
}

#[derive(Debug, Clone, Default)]
pub(super) struct Detection {
    /// How many steps were judged without a result.
    steps: usize,
}

impl Detection {
    /// The result for `bytes`, of which earlier calls saw the front. At a pause the bytes are
    /// judged as they are.
    pub(super) fn judge(&mut self, bytes: &[u8], is_quiet: bool) -> Detected {
        if bytes.starts_with(cannelloni::GREETING) {
            return Detected::Form(Form::Cannelloni);
        }
        if bytes.starts_with(b"< hi >") {
            return Detected::Form(Form::Socketcand);
        }
        while let Some(prefix) = bytes.get(..(self.steps + 1) * STEP) {
            if let Some(form) = only(prefix) {
                return Detected::Form(form);
            }
            self.steps += 1;
            if prefix.len() >= DETECTION_LIMIT {
                return Detected::Unknown;
            }
        }
        match only(bytes) {
            Some(form) if is_quiet => Detected::Form(form),
            _ => Detected::More,
        }
    }
}

/// The only form that `bytes` agree with.
fn only(bytes: &[u8]) -> Option<Form> {
    let agreeing: Vec<Form> = Form::ALL
        .into_iter()
        .filter(|form| agrees(*form, bytes))
        .collect();
    match agreeing[..] {
        [form] => Some(form),
        _ => None,
    }
}

fn agrees(form: Form, bytes: &[u8]) -> bool {
    let needed = match form {
        // Recognised by its greeting alone: without it there is no such stream.
        Form::Cannelloni => return false,
        Form::Candump | Form::Slcan | Form::Socketcand | Form::Elm327 => TEXT_AGREEMENT,
        _ => AGREEMENT,
    };
    let (mut carrier, mut buffer) = (Carrier::doubtful(form), BytesMut::from(bytes));
    let mut agreed = 0usize;
    loop {
        match carrier.next_frame(&mut buffer) {
            Ok(None) => return agreed >= needed,
            Ok(Some(record)) => match record.kind {
                RecordKind::Frame(_) | RecordKind::Payload(_) => agreed = agreed.saturating_add(1),
                _ => {}
            },
            Err(_) if agreed == 0 => {}
            Err(_) => return false,
        }
    }
}
