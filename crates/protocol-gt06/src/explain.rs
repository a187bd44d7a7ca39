//! A frame byte by byte, for people.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::checksum::checksum;
use crate::frame::{Checksum, Frame, Start};
use crate::parse::Trace;
use crate::text::hex;

/// A field of a frame: where, what, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// Its bytes' places in the frame.
    pub range: Range<usize>,
    /// Its name.
    pub name: &'static str,
    /// Its bytes.
    pub raw: Vec<u8>,
    /// What they mean.
    pub meaning: String,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.range.end.saturating_sub(1);
        let range = if self.range.len() == 1 {
            self.range.start.to_string()
        } else {
            format!("{}-{end}", self.range.start)
        };
        let raw = hex(&self.raw);
        write!(
            f,
            "{range:>9}  {:<22} {raw:<18} {}",
            self.name, self.meaning
        )
    }
}

/// Keeps what a decoder reads.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Vec<Field>);

impl Trace for Recorder {
    const ON: bool = true;

    fn field(&mut self, range: Range<usize>, name: &'static str, raw: &[u8]) {
        if range.is_empty() {
            return;
        }
        self.0.push(Field {
            range,
            name,
            raw: raw.to_vec(),
            meaning: default_meaning(raw),
        });
    }

    fn meaning(&mut self, text: String) {
        if let Some(last) = self.0.last_mut() {
            last.meaning = text;
        }
    }
}

/// A short field's number; nothing for the rest.
fn default_meaning(raw: &[u8]) -> String {
    match raw.len() {
        0..=8 => raw
            .iter()
            .fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
            .to_string(),
        _ => String::new(),
    }
}

/// Records what `decode` reads, and the frame around it.
pub(crate) fn explain<V, E: fmt::Display>(
    frame: &Frame,
    decode: impl FnOnce(&mut Recorder) -> Result<V, E>,
) -> (Result<V, E>, Vec<Field>) {
    let mut recorder = Recorder::default();
    let Range { start: body, end } = frame.head().body();
    let raw = frame.raw();
    let add = |recorder: &mut Recorder, range: Range<usize>, name, meaning: String| {
        let bytes = raw.get(range.clone()).unwrap_or_default();
        recorder.field(range, name, bytes);
        recorder.meaning(meaning);
    };
    let head = frame.head();
    let number_at = body.saturating_sub(1);
    let start = match head.start() {
        Start::Short => "one-byte length follows",
        Start::Long | Start::Wide => "two-byte length follows",
    };
    add(&mut recorder, 0..2, "start", start.into());
    let announced = match usize::from(head.announced()) {
        announced if announced == head.length() => announced.to_string(),
        announced => format!("{announced}, in truth {}", head.length()),
    };
    add(&mut recorder, 2..number_at, "length", announced);
    add(
        &mut recorder,
        number_at..body,
        "number",
        format!("{:#04x}", head.number()),
    );

    let result = decode(&mut recorder);

    let read = recorder.0.last().map_or(body, |last| last.range.end);
    if read < end {
        let why = match &result {
            Ok(_) => "not read".into(),
            Err(error) => error.to_string(),
        };
        add(&mut recorder, read..end, "unread", why);
    }
    let mut at = end;
    if let Some(serial) = head.serial() {
        add(&mut recorder, at..at + 2, "serial", serial.to_string());
        let covered = raw.get(2..at + 2).unwrap_or_default();
        let verdict = match head.checksum() {
            Checksum::Valid => "right".into(),
            _ => format!("wrong, should be {:04x}", checksum(covered)),
        };
        add(&mut recorder, at + 2..at + 4, "checksum", verdict);
        at += 4;
    }
    add(&mut recorder, at..raw.len(), "stop", String::new());
    (result, recorder.0)
}
