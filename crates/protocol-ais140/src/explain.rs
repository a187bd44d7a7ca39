//! A packet byte by byte, for people.

use core::fmt;
use core::ops::Range;

use crate::dialect::{Dialects, Kind};
use crate::frame::Form;
use crate::layout::Trace;
use crate::message::{self, Known, Message};
use crate::{DecodeError, Frame};

/// A part of a packet: where, what, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// Its bytes' places in the packet.
    pub range: Range<usize>,
    /// The field's name, or `separator`, `end mark`, `header`, `extra`.
    pub name: &'static str,
    /// Its bytes.
    pub raw: Vec<u8>,
    /// What they mean, if there is more to say than the bytes do.
    pub meaning: String,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.range.end.saturating_sub(1);
        let range = if self.range.len() == 1 {
            self.range.start.to_string()
        } else {
            format!("{}-{end}", self.range.start)
        };
        let is_text = self.raw.iter().all(|b| (b' '..=b'~').contains(b));
        let raw = if is_text {
            String::from_utf8_lossy(&self.raw).into_owned()
        } else {
            self.raw.iter().map(|b| format!("{b:02x}")).collect()
        };
        let line = format!("{range:>9}  {:<18} {raw:<18} {}", self.name, self.meaning);
        f.write_str(line.trim_end())
    }
}

/// Keeps what is read.
#[derive(Default)]
struct Recorder(Vec<(Range<usize>, &'static str)>);

impl Trace for Recorder {
    const ON: bool = true;

    fn read(&mut self, field: &'static str, range: Range<usize>) {
        if !range.is_empty() {
            self.0.push((range, field));
        }
    }
}

impl Message {
    /// Reads a packet and says what each of its bytes is. The parts cover every byte once, in order.
    ///
    /// # Errors
    /// The first value is an error when the packet cannot be read; the parts are what was read
    /// before, and the rest as `unread`.
    pub fn explain(
        frame: &Frame,
        dialects: &Dialects,
        known: &Known,
    ) -> (Result<Self, DecodeError>, Vec<Part>) {
        let (result, recorder) = message::read(frame, dialects, known, Recorder::default());
        let raw = frame.raw();
        let mut reads = recorder.0;
        // A field that is read a second time, such as a text that holds others, is told once.
        reads.sort_by_key(|(range, _)| (range.start, range.end));
        let mut parts = Vec::new();
        let mut at = 0;
        let mut push = |range: Range<usize>, name: &'static str| {
            let bytes = raw.get(range.clone()).unwrap_or_default();
            if !bytes.is_empty() {
                let meaning = meaning(name, bytes, result.as_ref().ok());
                parts.push(Part {
                    range,
                    name,
                    raw: bytes.to_vec(),
                    meaning,
                });
            }
        };
        let gap = |range: Range<usize>| -> &'static str {
            let bytes = raw.get(range.clone()).unwrap_or_default();
            let is_mark = bytes.iter().all(|b| matches!(b, b',' | b'$' | b'*' | b' '));
            match bytes {
                _ if is_mark && bytes.contains(&b'*') => "end mark",
                _ if is_mark => "separator",
                _ if range.end == raw.len() && frame.form() != Form::Fixed => "unread",
                _ => "unread",
            }
        };
        for (range, name) in reads {
            if range.end > raw.len() || range.start < at {
                continue;
            }
            if range.start > at {
                push(at..range.start, gap(at..range.start));
            }
            at = range.end;
            push(range, name);
        }
        if at < raw.len() {
            push(at..raw.len(), gap(at..raw.len()));
        }
        (result, parts)
    }
}

/// What a field's bytes mean.
fn meaning(name: &str, bytes: &[u8], message: Option<&Message>) -> String {
    let item = crate::read::trim(bytes);
    let text = String::from_utf8_lossy(item);
    let unit = |unit: &str| {
        let number = crate::read::whole(crate::read::decimal, item);
        number.map_or_else(String::new, |v| format!("{v} {unit}"))
    };
    let yes_no = |yes: &str, no: &str| match item {
        b"1" => yes.to_string(),
        b"0" => no.to_string(),
        _ => String::new(),
    };
    let hex = || {
        let number = crate::read::whole(crate::read::hex, item);
        number.map_or_else(String::new, |v| format!("{v} (hexadecimal)"))
    };
    let is_text = message.is_some_and(|m| m.dialect.name() != "transync");
    if !is_text && message.is_some() {
        return String::new();
    }
    match name {
        "alert" => {
            let alert = crate::read::small::<u16>(item);
            match (alert, message) {
                (Some(alert), Some(message)) => message.dialect.meaning(alert).name().into(),
                _ => String::new(),
            }
        }
        "type" => crate::Meaning::of_type(item).name().into(),
        "status" => match item {
            b"L" => "live".into(),
            b"H" => "from the buffer".into(),
            _ => String::new(),
        },
        "packet_status" => match item {
            b"NM" => "live".into(),
            b"SP" => "stored".into(),
            _ => String::new(),
        },
        "message" => match item {
            b"EMR" => "emergency".into(),
            _ => "end of emergency".into(),
        },
        "imei" => {
            if crate::items::has_check_digit(item) {
                "check digit right".into()
            } else {
                "check digit wrong".into()
            }
        }
        "fix" => match item {
            b"1" | b"A" => "fix".into(),
            b"0" | b"V" => "no fix".into(),
            _ => String::new(),
        },
        "date" => date(item),
        "speed" => unit("km/h"),
        "heading" => unit("degrees"),
        "altitude" | "odometer_m" | "delta" => unit("m"),
        "odometer_km" => unit("km"),
        "main_volts" | "battery_volts" | "analog" => unit("V"),
        "battery_pct" | "low_pct" | "memory_pct" | "memory2_pct" => unit("%"),
        "interval_on" | "interval_off" => unit("s"),
        "ignition" | "emergency" => yes_no("on", "off"),
        "main_power" => yes_no("connected", "disconnected"),
        "tamper" => match item {
            b"O" => "box open".into(),
            b"C" => "box closed".into(),
            _ => String::new(),
        },
        "gsm" => crate::read::small::<u8>(item)
            .filter(|csq| *csq <= 31)
            .map_or_else(String::new, |csq| {
                format!("{} dBm", i16::from(csq) * 2 - 113)
            }),
        "lac" | "cell" => hex(),
        "mode" => match item {
            b"M" => "moving".into(),
            b"H" => "halted".into(),
            _ => "sleeping".into(),
        },
        "header" => message.map_or_else(String::new, |message| {
            format!("{}, dialect {}", message.kind, message.dialect.name())
        }),
        "checksum" => String::new(),
        "unread" if message.is_some_and(|m| m.kind == Kind::Unknown) => text.into_owned(),
        _ => String::new(),
    }
}

fn date(item: &[u8]) -> String {
    if let Some(time) = crate::DateTime::joined(item) {
        return format!("{time} UTC");
    }
    let mut time = crate::DateTime::default();
    if time.set_date(item) {
        return format!("{:04}-{:02}-{:02}", time.year, time.month, time.day);
    }
    String::new()
}
