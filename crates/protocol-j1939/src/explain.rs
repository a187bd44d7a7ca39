//! A message byte by byte, for people.
//!
//! Every byte of the payload is covered exactly once. Signals that share a byte are one entry.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::decoder::{Content, Head, Message};
use crate::diagnostics::{self, Diagnostic, failure_mode};
use crate::id::{GLOBAL, Pgn};
use crate::obd::{ObdMessage, refusal_reason};
use crate::signal::{self, Reading, Sample, states};

/// A part of a message: where, what, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// Its bytes' places in the payload.
    pub range: Range<usize>,
    /// Its name.
    pub name: String,
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
        let raw: String = self.raw.iter().map(|b| format!("{b:02X}")).collect();
        write!(
            f,
            "{range:>9}  {raw:<18} {:<28} {}",
            self.name, self.meaning
        )
    }
}

/// One line about whose message it is.
#[must_use]
pub fn head(head: Head) -> String {
    match head {
        Head::Can(id) => format!("identifier {id}"),
        Head::Group(id) => {
            let name = diagnostics::message(id.pgn)
                .map(|(_, name)| name)
                .or_else(|| signal::group(id.pgn.raw()).map(|group| group.acronym))
                .or_else(|| network_group(id.pgn))
                .unwrap_or("not in the table");
            let to = if id.destination == GLOBAL {
                "all".to_string()
            } else {
                id.destination.to_string()
            };
            format!(
                "group {} ({name}), priority {}, from {} to {to}",
                id.pgn, id.priority, id.source
            )
        }
    }
}

fn network_group(pgn: Pgn) -> Option<&'static str> {
    Some(match pgn {
        Pgn::REQUEST => "request",
        Pgn::ACKNOWLEDGE => "acknowledgement",
        Pgn::ADDRESS_CLAIMED => "address claimed",
        Pgn::COMMANDED_ADDRESS => "commanded address",
        Pgn::VI => "VI",
        Pgn::CI => "CI",
        Pgn::SOFT => "SOFT",
        Pgn::DI => "DI",
        Pgn::ECUID => "ECUID",
        Pgn::FMS1 => "FMS1",
        _ if pgn.is_proprietary() => "proprietary",
        _ => return None,
    })
}

/// The parts of a message's payload.
#[must_use]
pub fn explain(message: &Message) -> Vec<Field> {
    let mut parts = Parts {
        data: &message.data,
        at: 0,
        fields: Vec::new(),
    };
    match &message.content {
        Content::Signals => parts.samples(message.signals()),
        Content::TellTales => parts.tell_tales(),
        Content::Text(fields) => parts.text(message, fields),
        Content::Diagnostic(diagnostic) => parts.diagnostic(diagnostic),
        Content::Request(request) => parts.next(3, "requested group", request.pgn.to_string()),
        Content::Acknowledge(ack) => {
            parts.next(1, "control", ack.control.name().to_string());
            parts.next(1, "group function", ack.group_function.to_string());
            parts.next(2, "reserved", String::new());
            let asker = ack.address.map(|a| a.to_string());
            parts.next(
                1,
                "address acknowledged",
                asker.unwrap_or_else(|| "unknown".into()),
            );
            parts.next(3, "acknowledged group", ack.pgn.to_string());
        }
        Content::AddressClaim(name, outcome) => parts.next(
            8,
            "NAME",
            format!(
                "{name}: manufacturer {}, function {}, identity {} ({outcome:?})",
                name.manufacturer_code(),
                name.function(),
                name.identity_number()
            ),
        ),
        Content::CommandedAddress(command) => {
            parts.next(8, "NAME", command.name.to_string());
            parts.next(1, "new address", command.address.to_string());
        }
        Content::Obd(obd) => parts.obd(obd),
        Content::Unknown => {
            let rest = parts.data.len();
            parts.next(rest, "payload", "nothing is known about it".into());
        }
    }
    if message.content != Content::Signals && parts.at == 0 {
        // Diagnostic messages that are read as signals.
        parts.samples(message.signals());
    }
    parts.rest()
}

struct Parts<'a> {
    data: &'a [u8],
    at: usize,
    fields: Vec<Field>,
}

impl Parts<'_> {
    /// The next bytes, as many as there are.
    fn next(&mut self, len: usize, name: &str, meaning: String) {
        let end = self.at.saturating_add(len).min(self.data.len());
        if end > self.at {
            self.fields.push(Field {
                range: self.at..end,
                name: name.into(),
                raw: self.data.get(self.at..end).unwrap_or(&[]).to_vec(),
                meaning,
            });
            self.at = end;
        }
    }

    fn rest(mut self) -> Vec<Field> {
        let left = self.data.len().saturating_sub(self.at);
        self.next(left, "fill", "not used".into());
        self.fields
    }

    fn samples(&mut self, samples: impl Iterator<Item = Sample>) {
        let mut group: Vec<Sample> = Vec::new();
        let mut end = self.at;
        let mut sorted: Vec<Sample> = samples
            .filter(|sample| sample.reading != Reading::Absent)
            .collect();
        sorted.sort_by_key(|sample| bytes(sample).start);
        for sample in sorted {
            let range = bytes(&sample);
            if range.start >= end {
                self.group(&group, end);
                group.clear();
                let gap = range.start.saturating_sub(self.at);
                self.next(gap, "unused", String::new());
            }
            end = end.max(range.end);
            group.push(sample);
        }
        self.group(&group, end);
    }

    fn group(&mut self, group: &[Sample], end: usize) {
        let names: Vec<&str> = group.iter().map(|sample| sample.spn.name).collect();
        let meanings: Vec<String> = group.iter().map(meaning).collect();
        let len = end.saturating_sub(self.at);
        if !group.is_empty() {
            self.next(len, &names.join(", "), meanings.join(", "));
        }
    }

    fn tell_tales(&mut self) {
        let data = self.data;
        let block = data.first().map_or(0, |b| b & 0x0F);
        let all: Vec<states::TellTale> = states::tell_tales(data).collect();
        let say = |one: &states::TellTale| format!("{} {}", one.name().unwrap_or("?"), one.state);
        self.next(
            1,
            "block, tell-tale",
            format!(
                "block {block}, {}",
                all.first().map_or_else(String::new, say)
            ),
        );
        for two in all.get(1..).unwrap_or(&[]).chunks(2) {
            let texts: Vec<String> = two.iter().map(say).collect();
            self.next(1, "tell-tales", texts.join(", "));
        }
    }

    fn text(&mut self, message: &Message, fields: &[crate::text::TextField]) {
        if matches!(message.head, Head::Group(id) if id.pgn == Pgn::SOFT) {
            self.next(1, "number of fields", fields.len().to_string());
        }
        if matches!(message.head, Head::Group(id) if id.pgn == Pgn::FMS_IDENTITY) {
            self.next(1, "supported services", String::new());
            self.next(4, "fms_version", String::new());
            return;
        }
        for field in fields {
            let rest = self.data.get(self.at..).unwrap_or(&[]);
            let len = rest
                .iter()
                .position(|byte| *byte == b'*')
                .map_or(rest.len(), |at| at + 1);
            let text = field.text.as_deref().unwrap_or("not available");
            self.next(len, field.name, format!("spn {}: {text}", field.spn));
        }
    }

    fn diagnostic(&mut self, diagnostic: &Diagnostic) {
        match diagnostic {
            Diagnostic::TroubleCodes(all) => {
                self.next(1, "lamps", format!("{:?}", all.lamps));
                self.next(1, "flash", format!("{:?}", all.flash));
                for code in &all.codes {
                    // Places that stand for no code are passed over.
                    while self
                        .data
                        .get(self.at..self.at + 4)
                        .is_some_and(|b| *b != code.raw)
                    {
                        self.next(4, "no trouble code", String::new());
                    }
                    self.next(4, "trouble code", code_text(code));
                }
            }
            Diagnostic::Clear => {}
            Diagnostic::Calibrations(list) => {
                for one in list {
                    self.next(4, "cvn", format!("{:08X?}", one.cvn));
                    self.next(16, "calibration id", format!("{:?}", one.id));
                }
            }
            Diagnostic::Ratios(ratios) => {
                self.next(
                    2,
                    "ignition cycles",
                    format!("{:?}", ratios.ignition_cycles),
                );
                self.next(2, "obd conditions", format!("{:?}", ratios.obd_conditions));
                for (spn, numerator, denominator) in &ratios.monitors {
                    self.next(
                        7,
                        "ratio",
                        format!("spn {spn}: {numerator} of {denominator}"),
                    );
                }
            }
            Diagnostic::Supported(list) => {
                for one in list {
                    self.next(4, "supported spn", format!("{one:?}"));
                }
            }
            Diagnostic::FreezeFrames(list) => {
                for one in list {
                    self.next(1, "length", (one.data.len() + 4).to_string());
                    self.next(4, "trouble code", code_text(&one.dtc));
                    self.next(one.data.len(), "values", String::new());
                }
            }
            Diagnostic::Tests(list) => {
                for one in list {
                    self.next(12, "test result", format!("{one:?}"));
                }
            }
            Diagnostic::EmissionControl(state) => {
                self.next(1, "nox", format!("{:?}", state.nox));
                self.next(1, "pm", format!("{:?}", state.pm));
            }
        }
    }

    fn obd(&mut self, obd: &ObdMessage) {
        let service = self.data.first().map_or(0, |b| *b);
        self.next(1, "service", format!("{service:02X}"));
        match obd {
            ObdMessage::Request { pids, .. } => {
                for pid in pids {
                    self.next(1, "parameter", format!("{pid:02X}"));
                }
            }
            ObdMessage::Values { frame, values, .. } => {
                for value in values {
                    self.next(1, "parameter", format!("{:02X}", value.pid));
                    if frame.is_some() {
                        self.next(1, "freeze frame", String::new());
                    }
                    let parts = value.definition().map_or(&[][..], |pid| pid.parts);
                    let texts: Vec<String> = parts
                        .iter()
                        .filter_map(|part| {
                            let number = part.value(&value.data)?;
                            Some(format!("{} {number} {}", part.name, part.unit))
                        })
                        .collect();
                    self.next(value.data.len(), "value", texts.join(", "));
                }
            }
            ObdMessage::Codes { codes, .. } => {
                let left = self.data.len().saturating_sub(self.at);
                self.next(left % 2, "number of codes", String::new());
                for code in codes {
                    self.next(2, "trouble code", code.to_string());
                }
            }
            ObdMessage::Refused { service, code } => {
                self.next(1, "refused service", format!("{service:02X}"));
                self.next(1, "reason", refusal_reason(*code));
            }
            ObdMessage::Info { pid, info } => {
                self.next(1, "parameter", format!("{pid:02X}"));
                let left = self.data.len().saturating_sub(self.at);
                self.next(left, "content", format!("{info:?}"));
            }
            ObdMessage::Monitors(list) => {
                for one in list {
                    self.next(9, "monitor result", format!("{one:?}"));
                }
            }
            ObdMessage::Cleared | ObdMessage::Other { .. } => {}
        }
    }
}

fn code_text(code: &diagnostics::Dtc) -> String {
    format!(
        "spn {} fmi {} ({}), count {}",
        code.spn,
        code.fmi,
        failure_mode(code.fmi).unwrap_or("reserved"),
        code.count
    )
}

/// The bytes that a signal touches.
fn bytes(sample: &Sample) -> Range<usize> {
    let start = usize::from(sample.spn.start);
    let end = start + usize::from(sample.spn.bits);
    if sample.spn.big_endian {
        // From the most significant bit on, downward inside a byte and upward by bytes.
        let first = start / 8;
        let beyond = usize::from(sample.spn.bits).saturating_sub(start % 8 + 1);
        return first..first + 1 + beyond.div_ceil(8);
    }
    start / 8..end.div_ceil(8)
}

fn meaning(sample: &Sample) -> String {
    match sample.reading {
        Reading::Value(value) => match sample.label() {
            Some(label) => format!("{value} ({label})"),
            None => format!("{value} {}", sample.spn.unit)
                .trim_end()
                .to_string(),
        },
        Reading::ParameterSpecific => "parameter-specific".into(),
        Reading::Reserved => "reserved".into(),
        Reading::Error => "error".into(),
        Reading::NotAvailable => "not available".into(),
        Reading::Absent => "absent".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::can::{CanFrame, CanId, CanTime};
    use crate::decoder::{Decoder, Output};
    use crate::encode;
    use proptest::prelude::*;
    use std::vec;

    fn messages(frames: &[CanFrame]) -> Vec<Message> {
        let mut decoder = Decoder::default();
        let mut all = Vec::new();
        for frame in frames {
            decoder.push(frame, CanTime(0));
            while let Some(output) = decoder.poll() {
                if let Output::Message(message) = output {
                    all.push(message);
                }
            }
        }
        all
    }

    fn assert_covers(message: &Message) {
        let mut at = 0;
        for field in explain(message) {
            assert_eq!(field.range.start, at, "{message:?} {field:?}");
            assert_eq!(&message.data[field.range.clone()], field.raw);
            at = field.range.end;
        }
        assert_eq!(at, message.data.len(), "{message:?}");
    }

    #[test]
    fn an_engine_frame_is_explained() {
        let frame = CanFrame::new(
            CanId::Extended(0x0CF0_0400),
            &[0xF0, 0x7D, 0x85, 0x9B, 0x0F, 0xFF, 0xFF, 0x85],
        )
        .unwrap();
        let message = &messages(&[frame])[0];
        assert_covers(message);
        assert_eq!(
            head(message.head),
            "group 61444 (EEC1), priority 3, from 0 to all"
        );
        let fields = explain(message);
        let line = fields[3].to_string();
        assert!(
            line.contains("3-4") && line.contains("499.375 rpm"),
            "{line}"
        );
        assert!(fields[0].meaning.contains("low_idle_or_none"), "{fields:?}");
    }

    proptest! {
        #[test]
        fn every_byte_of_every_message_is_covered_once(
            pgn in prop_oneof![
                Just(61444u32), Just(65132), Just(65226), Just(65260), Just(65259), Just(65242),
                Just(65131), Just(64965), Just(64977), Just(64893), Just(59904), Just(59392),
                Just(60928), Just(65240), Just(65230), Just(49664), Just(64950), Just(64951),
                Just(41984), Just(40960), Just(54016), Just(65249), Just(64892), Just(65300),
            ],
            data in proptest::collection::vec(any::<u8>(), 0..60),
            service in any::<u8>(),
        ) {
            let pgn = Pgn::new(pgn).unwrap();
            let id = crate::id::J1939Id { priority: 6, pgn, source: 0, destination: 255 };
            let mut frames = encode::broadcast(0, pgn, &data).unwrap_or_default();
            frames.extend(encode::single(id, &data[..data.len().min(8)]));
            let mut obd = data;
            obd.insert(0, 0x40 | (service % 16));
            frames.extend(encode::iso_tp(CanId::Standard(0x7E8), &obd, 0).unwrap());
            for message in messages(&frames) {
                assert_covers(&message);
            }
        }
    }
}
