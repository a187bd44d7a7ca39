//! Text of an ELM327 adapter or one that imitates it.
//!
//! Lines end with CR (or CR LF); `>` is the prompt after an answer.
//!
//! | line | read as |
//! |---|---|
//! | `7E8 06 41 00 BE 3E B8 11` | frame with an 11-bit identifier (headers on); without spaces 3 + 2n digits |
//! | `18 DA F1 10 03 41 0D 32` | frame with a 29-bit identifier; first byte at most 1F; without spaces 8 + 2n digits |
//! | `7E8 8 06 41 …` | as above; the single digit is the data length (`ATD1`) |
//! | `6 0FEF1 00 F3 00 3C …` | J1939 monitoring: priority, PGN with destination, source, data; only with spaces |
//! | `41 0D 32` | payload without identifier (headers off): first byte 41 to 4A, or 7F |
//! | `014`, `0: 49 02 …`, `1: …` | payload in segments: length in hex, then numbered lines; fill at the end is cut |
//! | `OK`, `NO DATA`, `SEARCHING...`, `?`, an echoed command, … | notice |
//! | `… <DATA ERROR`, `<RX ERROR`, other digits | passed over |
//!
//! Lines of segments are notices; the line that completes the payload carries it. Segments of
//! several controllers cannot be told apart with headers off: a line out of order drops the payload.
//! Before CAN, headers `48 6B …` end with a check byte; they are passed over. No time stamp.
//! Source: the adapter's manual; spacing after the colon and fill as seen on devices.

use alloc::vec::Vec;

use memchr::memchr3;
use nom::Parser;
use nom::error::context;

use super::deframe::{Deframe, Line, Lines, Scan, run};
use super::record::RecordKind;
use super::text::{
    Data, Parsed, digit, fault, is_digit, number, packed_data, pair, reason, skip_blanks, trim_end,
};
use crate::{CanFrame, CanId};

/// The most digits of a line without spaces: 8 of the identifier and 16 of the data.
const MOST_DIGITS: usize = 24;

/// Finds the lines of a stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Elm327 {
    lines: Lines,
    segments: Option<Segments>,
    /// Of the frames since the last prompt: an adapter listens to identifiers of one width.
    width: Option<Width>,
}

/// Width of the identifiers. Without spaces it decides whether a line is whole: 3 + 2n digits are
/// odd, 8 + 2n even, and a line that lost a digit would pass for one of the other width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Standard,
    Extended,
}

/// A payload of several lines.
#[derive(Debug, Clone)]
struct Segments {
    /// At most 4095: three digits.
    len: usize,
    next: u8,
    payload: Vec<u8>,
}

enum Content {
    Frame(CanFrame),
    Payload(Data),
    /// The length of a payload in segments.
    Length(usize),
    Segment {
        number: u8,
        data: Data,
    },
    Notice,
}

impl Deframe for Elm327 {
    fn scan(&mut self, bytes: &[u8]) -> Scan {
        let blanks = run(bytes, |b| matches!(b, b'\r' | b'\n' | b'>' | b' ' | 0));
        if blanks > 0 && !self.lines.is_discarding() {
            if bytes.iter().take(blanks).any(|byte| *byte == b'>') {
                self.end_of_answer();
            }
            return Scan::notice(blanks);
        }
        let (text, len) = match self.lines.next(bytes, |b| memchr3(b'\r', b'\n', b'>', b)) {
            Line::Text { text, len } => (text, len),
            Line::Other(scan) => return scan,
        };
        let content = match line(trim_end(text), self.width) {
            Ok((_, content)) => content,
            Err(error) => {
                let reason = reason(error, trim_end(text).len());
                return Scan::Skip { len, reason };
            }
        };
        let kind = self.kind(content);
        if bytes.get(len.saturating_sub(1)) == Some(&b'>') {
            self.end_of_answer();
        }
        Scan::Record { len, kind }
    }
}

impl Elm327 {
    /// Another command may have changed the protocol.
    fn end_of_answer(&mut self) {
        self.segments = None;
        self.width = None;
    }

    fn kind(&mut self, content: Content) -> RecordKind {
        match content {
            Content::Frame(frame) => {
                self.width = Some(match frame.id() {
                    CanId::Standard(_) => Width::Standard,
                    CanId::Extended(_) => Width::Extended,
                });
                RecordKind::Frame(frame)
            }
            Content::Payload(data) => {
                RecordKind::Payload(bytes::Bytes::copy_from_slice(data.as_slice()))
            }
            Content::Length(len) => {
                self.segments = Some(Segments {
                    len,
                    next: 0,
                    payload: Vec::new(),
                });
                RecordKind::Notice
            }
            Content::Segment { number, data } => self.segment(number, data),
            Content::Notice => RecordKind::Notice,
        }
    }

    fn segment(&mut self, number: u8, data: Data) -> RecordKind {
        let Some(mut segments) = self.segments.take() else {
            return RecordKind::Notice;
        };
        if segments.next != number {
            return RecordKind::Notice;
        }
        segments.payload.extend_from_slice(data.as_slice());
        if segments.payload.len() >= segments.len {
            segments.payload.truncate(segments.len);
            return RecordKind::Payload(segments.payload.into());
        }
        // A segment without data would keep the count going for ever.
        if data.len() > 0 {
            segments.next = number.wrapping_add(1) & 0x0F;
            self.segments = Some(segments);
        }
        RecordKind::Notice
    }
}

fn line(input: &[u8], width: Option<Width>) -> Parsed<'_, Content> {
    let input = skip_blanks(input);
    let digits = run(input, is_digit);
    match (digits, input.get(digits..)) {
        (1, Some([b':', rest @ ..])) => {
            let number = input.first().copied().and_then(digit).unwrap_or(0);
            let (rest, data) = context("data", pairs).parse(rest)?;
            Ok((rest, Content::Segment { number, data }))
        }
        (3, Some([])) => match number(input).and_then(|len| usize::try_from(len).ok()) {
            Some(len) if len > 0 => Ok((&[], Content::Length(len))),
            _ => fault(input, "length"),
        },
        (4.., Some([])) => packed(input, width),
        // The one answer whose first word could be data.
        _ if input == b"FB ERROR" => Ok((&[], Content::Notice)),
        (1..=3, Some([b' ', ..])) => spaced(input, digits),
        _ if is_notice(input, digits) => Ok((&[], Content::Notice)),
        _ => fault(input, "line"),
    }
}

/// Words: what an adapter says, or the echo of an `AT` command. Lines of four and more digits are
/// damaged data.
fn is_notice(input: &[u8], digits: usize) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphabetic() && !is_digit(*byte);
    let is_printable = input.iter().all(|byte| (b' '..=b'~').contains(byte));
    input == b"?"
        || digits < 4 && is_printable && !input.contains(&b'<') && input.iter().any(is_word)
}

/// A line of digits without spaces.
fn packed(input: &[u8], width: Option<Width>) -> Parsed<'_, Content> {
    let len = input.len();
    if len > MOST_DIGITS {
        return fault(input, "data");
    }
    let may_be_extended = input.first().is_some_and(|first| b"01".contains(first));
    if len % 2 == 1 {
        // Unless the first digit rules it out, this may be what is left of 29 bits.
        if width == Some(Width::Extended) || width.is_none() && may_be_extended {
            return fault(input, "id");
        }
        let (digits, data) = input.split_at_checked(3).unwrap_or_default();
        return framed(input, digits, data, false);
    }
    match input.first_chunk::<2>().and_then(|[h, l]| pair(*h, *l)) {
        // An identifier's first byte.
        Some(..=0x1F) if len >= 8 => {
            if width == Some(Width::Standard) {
                return fault(input, "id");
            }
            let (digits, data) = input.split_at_checked(8).unwrap_or_default();
            framed(input, digits, data, false)
        }
        _ => {
            let (_, data) = context("data", pairs).parse(input)?;
            payload(input, data)
        }
    }
}

/// A line of digits in groups of which the first has `first` digits.
fn spaced(input: &[u8], first: usize) -> Parsed<'_, Content> {
    let (head, rest) = input.split_at_checked(first).unwrap_or_default();
    match first {
        3 => framed(input, head, rest, true),
        1 => monitored(input),
        _ => {
            let is_id = pair_of(head).is_some_and(|byte| byte <= 0x1F);
            // Four groups of two digits, each after one space.
            let Some((id, rest)) = input.split_at_checked(11).filter(|_| is_id) else {
                let (_, data) = context("data", pairs).parse(input)?;
                return payload(input, data);
            };
            let mut digits = [0; 8];
            let [h0, l0, b' ', h1, l1, b' ', h2, l2, b' ', h3, l3] = id else {
                return fault(input, "id");
            };
            for (to, from) in digits.iter_mut().zip([h0, l0, h1, l1, h2, l2, h3, l3]) {
                *to = *from;
            }
            match extended(&digits) {
                Some(id) => with_data(id, rest, true),
                None => fault(input, "id"),
            }
        }
    }
}

fn pair_of(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else {
        return None;
    };
    pair(*high, *low)
}

fn extended(digits: &[u8]) -> Option<CanId> {
    CanId::extended(number(digits)?)
}

fn framed<'a>(
    input: &'a [u8],
    digits: &[u8],
    data: &'a [u8],
    is_spaced: bool,
) -> Parsed<'a, Content> {
    let id = match digits.len() {
        3 => number(digits)
            .and_then(|raw| u16::try_from(raw).ok())
            .and_then(CanId::standard),
        _ => extended(digits),
    };
    match id {
        Some(id) => with_data(id, data, is_spaced),
        None => fault(input, "id"),
    }
}

fn with_data(id: CanId, input: &[u8], is_spaced: bool) -> Parsed<'_, Content> {
    let (_, data) = if is_spaced {
        let at = skip_blanks(input);
        match at {
            // The data length, as `ATD1` shows it.
            [b'0'] => (&[][..], Data::default()),
            [len, b' ', rest @ ..] if is_digit(*len) => {
                let (_, data) = context("data", pairs).parse(rest)?;
                if digit(*len).map(usize::from) != Some(data.len()) {
                    return fault(at, "length");
                }
                (at, data)
            }
            _ => context("data", pairs).parse(at)?,
        }
    } else {
        context("data", packed_pairs).parse(input)?
    };
    match data.frame(id, None) {
        Some(frame) => Ok((&[], Content::Frame(frame))),
        None => fault(input, "data"),
    }
}

/// All of the line, in pairs.
fn packed_pairs(input: &[u8]) -> Parsed<'_, Data> {
    packed_data(input, input.len() / 2)
}

/// J1939 monitoring: priority, data page to PDU specific in five digits, source.
fn monitored(input: &[u8]) -> Parsed<'_, Content> {
    let id = match input {
        [
            priority @ b'0'..=b'7',
            b' ',
            p0,
            p1,
            p2,
            p3,
            p4,
            b' ',
            s0,
            s1,
            rest @ ..,
        ] => number(&[*p0, *p1, *p2, *p3, *p4])
            .filter(|group| *group <= 0x3_FFFF)
            .zip(pair(*s0, *s1))
            .zip(digit(*priority))
            .and_then(|((group, source), priority)| {
                CanId::extended(u32::from(priority) << 26 | group << 8 | u32::from(source))
            })
            .map(|id| (id, rest)),
        _ => None,
    };
    match id {
        Some((id, rest)) => with_data(id, rest, true),
        None => fault(input, "id"),
    }
}

/// Up to eight pairs of digits, with or without spaces, and nothing else.
fn pairs(input: &[u8]) -> Parsed<'_, Data> {
    let mut data = Data::default();
    let mut rest = skip_blanks(input);
    while let [high, low, after @ ..] = rest {
        match pair(*high, *low).and_then(|byte| data.push(byte)) {
            Some(()) => rest = skip_blanks(after),
            None => return fault(rest, "data"),
        }
    }
    match rest {
        [] => Ok((rest, data)),
        // An odd number of digits: the line was cut off.
        _ => fault(rest, "data"),
    }
}

/// What a line without an identifier holds, by its first byte.
fn payload(input: &[u8], data: Data) -> Parsed<'_, Content> {
    match data.as_slice() {
        // Positive responses of services 01 to 0A, and negative responses. A header of the buses
        // before CAN begins like a response of service 08.
        [0x48, 0x6B, ..] => fault(input, "header"),
        [0x41..=0x4A | 0x7F, _, ..] => Ok((&[], Content::Payload(data))),
        // The echo of a request.
        [..=0x0A, ..] => Ok((&[], Content::Notice)),
        _ => fault(input, "service"),
    }
}

/// Appends a line with spaces, as with headers on. `false` for a remote frame, which the adapter
/// does not show as one.
pub(super) fn encode(frame: &CanFrame, out: &mut impl bytes::BufMut) -> bool {
    if frame.is_remote() {
        return false;
    }
    let mut line = match frame.id() {
        CanId::Standard(raw) => alloc::format!("{raw:03X}"),
        CanId::Extended(raw) => {
            let [a, b, c, d] = raw.to_be_bytes();
            alloc::format!("{a:02X} {b:02X} {c:02X} {d:02X}")
        }
    };
    for byte in frame.data() {
        // Writing to a string cannot fail.
        let _infallible = core::fmt::Write::write_fmt(&mut line, format_args!(" {byte:02X}"));
    }
    if frame.data().is_empty() {
        // Three digits alone would be the length of a payload in segments.
        line.push_str(" 0");
    }
    line.push('\r');
    out.put_slice(line.as_bytes());
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};

    fn kinds(text: &[u8]) -> Vec<String> {
        let (mut carrier, mut rest, mut found) = (Elm327::default(), text, Vec::new());
        loop {
            match carrier.scan(rest) {
                Scan::More => return found,
                Scan::Record { len, kind } => {
                    rest = &rest[len..];
                    match kind {
                        RecordKind::Frame(frame) => found.push(frame.to_string()),
                        RecordKind::Payload(bytes) => found.push(hex::encode_upper(bytes)),
                        _ => {}
                    }
                }
                Scan::Skip { len, .. } => {
                    rest = &rest[len..];
                    found.push("bad".into());
                }
            }
        }
    }

    #[test]
    fn frames_are_read_with_and_without_spaces() {
        assert_eq!(
            kinds(b"7E8 06 41 00 BE 3E B8 11\r7E8064100BE3EB811\r7E8 7 06 41 00 BE 3E B8 11\r"),
            ["7E8#064100BE3EB811"; 3]
        );
        assert_eq!(
            kinds(b"18 DA F1 10 03 41 0D 32\r18DAF11003410D32\r\n"),
            ["18DAF110#03410D32"; 2]
        );
        assert_eq!(kinds(b"7E8 0\r18 DA F1 10\r"), ["7E8#", "18DAF110#"]);
    }

    #[test]
    fn a_line_that_lost_a_digit_does_not_pass_for_the_other_width() {
        assert_eq!(kinds(b"18DAF1100\r"), ["bad"], "nothing is known");
        assert_eq!(
            kinds(b"7E80641\r1230641\r12306410\r"),
            ["7E8#0641", "123#0641", "bad"]
        );
        assert_eq!(
            kinds(b"18DAF11003\r18DAF1100\r\r>7E80641\r"),
            ["18DAF110#03", "bad", "7E8#0641"]
        );
    }

    #[test]
    fn monitored_groups_are_put_together() {
        assert_eq!(
            kinds(b"6 0FEF1 00 F3 00 3C CF\r3 0EAFF F9 CA FE 00\r"),
            ["18FEF100#F3003CCF", "0CEAFFF9#CAFE00"]
        );
        assert_eq!(kinds(b"6 4FEF1 00 F3\r"), ["bad"], "more than 18 bits");
    }

    #[test]
    fn segments_are_put_together_and_cut_to_their_length() {
        assert_eq!(
            kinds(b"009\r0:417A00013C00\r1:00000000000000\r\r>"),
            ["417A00013C00000000"]
        );
        assert_eq!(
            kinds(
                b"014\r0: 49 02 01 31 44 34\r1: 47 50 30 30 52 35 35\r2: 42 31 32 33 34 35 36\r>"
            ),
            ["4902013144344750303052353542313233343536"]
        );
    }

    #[test]
    fn segments_out_of_order_or_after_the_prompt_give_nothing() {
        assert!(kinds(b"009\r1:417A00013C00\r2:00000000000000\r").is_empty());
        assert!(kinds(b"009\r0:417A00013C00\r0:417A00013C00\r1:00000000000000\r").is_empty());
        assert!(kinds(b"009\r0:417A00013C00\r\r>1:00000000000000\r").is_empty());
    }

    #[test]
    fn payloads_without_headers_are_told_from_echoes() {
        assert_eq!(kinds(b"010D\r410D32\r\r>"), ["410D32"]);
        assert_eq!(
            kinds(b"01 0D\r41 0D 32\r\r>7F 01 12\r"),
            ["410D32", "7F0112"]
        );
    }

    #[test]
    fn words_are_notices_and_damage_is_passed_over() {
        for notice in [
            "OK",
            "NO DATA",
            "SEARCHING...",
            "STOPPED",
            "CAN ERROR",
            "BUFFER FULL",
            "?",
            "ELM327 v1.5",
            "ATH1",
            "UNABLE TO CONNECT",
            "12.6V",
            "FB ERROR",
            "BUS INIT: OK",
        ] {
            let line = std::format!("{notice}\r");
            let scan = Elm327::default().scan(line.as_bytes());
            assert_eq!(scan, Scan::notice(line.len()), "{notice}");
        }
        for bad in [
            "7E8 06 41 00 BE <DATA ERROR",
            "7E8 06 41 <RX ERROR",
            "7E8 06 41 0",
            "18DAF1100",
            "48 6B 09 41 00 BE 3E B8 11 FA",
            "800 01",
            "41 0D 3",
            "7E8 3 01 02",
            "7E80641G0",
        ] {
            let line = std::format!("{bad}\r");
            assert_eq!(kinds(line.as_bytes()), ["bad"], "{bad}");
        }
    }
}
