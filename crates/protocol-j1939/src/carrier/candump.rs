//! Lines of `candump`: the log form of `-L` and the spaced form for people.
//!
//! ```text
//! (1543509533.000838) can0 18FEF100#F3003CCFFFFFE0FF
//!  (000.008281)  can0  0CF00203   [8]  C1 6A 14 FF F7 E8 24 03
//! ```
//!
//! | part | meaning |
//! |---|---|
//! | `(…)` | seconds with any number of decimals: Unix time, or since the capture began; optional. A calendar date has no zone and is read as no time |
//! | interface | any word |
//! | direction | `TX` or `RX` with two flags before the identifier (`-x`), ` R` or ` T` at the end of a log line; not kept |
//! | identifier | 3 digits: 11 bits, 8 digits: 29 bits; bit 29 of eight digits marks an error frame |
//! | `#` data | 0 to 8 bytes; `_9` to `_F` after 8 bytes is the raw length code |
//! | `#R`, `#R8` | remote frame |
//! | `##`, two digits in `[…]` | CAN FD, passed over (`###`, three digits: CAN XL) |
//!
//! Source: output of can-utils, and what loggers write that imitate it.

use alloc::string::String;
use core::fmt::Write;

use nom::Parser;
use nom::bytes::complete::{tag, take_till};
use nom::error::context;

use super::deframe::{Deframe, Line as Split, Lines, Scan, line_feed, run};
use super::record::{Reason, RecordKind};
use super::text::{
    Data, Id, Parsed, blanks, data_run, digit, fault, id, is_digit, pair, reason, remote, seconds,
    skip_blanks, trim_end, word,
};
use crate::{CanFrame, CanId, CanTime};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line<'a> {
    /// What it holds: a frame, a CAN FD frame or an error frame.
    pub kind: RecordKind,
    /// The interface, `can0` for example.
    pub interface: &'a [u8],
}

/// Reads one line without its line feed.
///
/// ```
/// use milepost_protocol_j1939::carrier::{RecordKind, candump};
///
/// let line = candump::parse(b"(1543509533.000838) can0 18FEF100#F3003C").unwrap();
/// assert_eq!(line.interface, b"can0");
/// let RecordKind::Frame(frame) = line.kind else { panic!("a frame") };
/// assert_eq!(frame.data(), [0xF3, 0x00, 0x3C]);
/// ```
///
/// # Errors
/// The field that cannot be read and the byte at which it begins.
#[inline]
pub fn parse(text: &[u8]) -> Result<Line<'_>, Reason> {
    let trimmed = trim_end(text);
    match line(trimmed) {
        Ok((_, line)) => Ok(line),
        Err(error) => Err(reason(error, trimmed.len())),
    }
}

/// Writes a frame as one line of the log form, without a line feed.
///
/// A frame without a time stamp is written without `(…)`: [`parse`] reads it back as it was, but
/// can-utils does not read it.
///
/// ```
/// use milepost_protocol_j1939::carrier::candump;
/// use milepost_protocol_j1939::{CanFrame, CanId, CanTime};
///
/// let id = CanId::extended(0x18FEF100).unwrap();
/// let frame = CanFrame::new(id, &[0xF3, 0x00])?.with_time(Some(CanTime::new(1543509533, 838)));
/// assert_eq!(candump::line_of(&frame, "can0"), "(1543509533.000838) can0 18FEF100#F300");
/// # Ok::<(), milepost_protocol_j1939::CanFrameError>(())
/// ```
#[must_use]
pub fn line_of(frame: &CanFrame, interface: &str) -> String {
    let mut line = String::with_capacity(64);
    // Writing to a string cannot fail.
    if let Some(time) = frame.time() {
        let micros = time.as_micros();
        let _infallible = write!(line, "({}.{:06}) ", micros / 1_000_000, micros % 1_000_000);
    }
    let _infallible = write!(line, "{interface} {frame}");
    line
}

/// Finds the lines of a stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Candump {
    lines: Lines,
}

impl Deframe for Candump {
    #[inline]
    fn scan(&mut self, bytes: &[u8]) -> Scan {
        let (text, len) = match self.lines.next(bytes, line_feed) {
            Split::Text { text, len } => (text, len),
            Split::Other(scan) => return scan,
        };
        match parse(text) {
            Ok(Line { kind, .. }) => Scan::Record { len, kind },
            Err(_) if trim_end(text).is_empty() => Scan::notice(len),
            Err(reason) => Scan::Skip { len, reason },
        }
    }
}

#[inline]
fn line(input: &[u8]) -> Parsed<'_, Line<'_>> {
    let (rest, time) = stamp(skip_blanks(input))?;
    let (rest, interface) = context("interface", word).parse(rest)?;
    let (rest, ()) = blanks(rest)?;
    let (rest, ()) = direction(rest)?;
    let (rest, id) = id(rest)?;
    let (rest, kind) = match rest {
        [b'#', b'#', rest @ ..] => fd(rest)?,
        [b'#', rest @ ..] => packed(rest, &id, time)?,
        _ => spaced(rest, &id, time)?,
    };
    Ok((rest, Line { kind, interface }))
}

#[inline]
fn stamp(input: &[u8]) -> Parsed<'_, Option<CanTime>> {
    let Some((b'(', inside)) = input.split_first() else {
        return Ok((input, None));
    };
    if let Ok((rest, time)) = seconds(inside)
        && let Some((b')', rest)) = rest.split_first()
    {
        return Ok((skip_blanks(rest), Some(time)));
    }
    // A calendar date is in a zone that the line does not state.
    let (rest, date) = context("time", take_till(|byte| byte == b')')).parse(inside)?;
    let is_date = |byte: &u8| byte.is_ascii_digit() || b"-: .".contains(byte);
    let is_dated = date.contains(&b'-') && date.iter().all(is_date);
    match rest.split_first() {
        Some((_, rest)) if is_dated => Ok((skip_blanks(rest), None)),
        _ => fault(inside, "time"),
    }
}

/// `TX B E`, as `-x` writes it: direction, bit-rate switch, error state.
#[inline]
fn direction(input: &[u8]) -> Parsed<'_, ()> {
    let Some(flags) = input
        .strip_prefix(b"TX ")
        .or_else(|| input.strip_prefix(b"RX "))
    else {
        return Ok((input, ()));
    };
    let (rest, _) = context("direction", (word, blanks, word, blanks)).parse(skip_blanks(flags))?;
    Ok((rest, ()))
}

#[inline]
fn packed<'a>(input: &'a [u8], id: &Id, time: Option<CanTime>) -> Parsed<'a, RecordKind> {
    if let Some((b'R', rest)) = input.split_first() {
        let (rest, len) = match rest.split_first() {
            Some((byte @ b'0'..=b'8', rest)) => (rest, digit(*byte).unwrap_or(0)),
            _ => (rest, 0),
        };
        let (rest, ()) = raw_length(rest, usize::from(len))?;
        let (rest, ()) = end(rest)?;
        return kind(input, id, |id| remote(id, len, time), rest);
    }
    let (rest, data) = data_run(input)?;
    let rest = if rest.is_empty() {
        rest
    } else {
        let (rest, ()) = raw_length(rest, data.len())?;
        end(rest)?.0
    };
    kind(input, id, |id| data.frame(id, time), rest)
}

/// `_9` to `_F` after eight bytes.
fn raw_length(input: &[u8], len: usize) -> Parsed<'_, ()> {
    match input {
        [b'_', code, rest @ ..] => match digit(*code) {
            Some(9..) if len == 8 => Ok((rest, ())),
            _ => fault(input, "length"),
        },
        _ => Ok((input, ())),
    }
}

/// Nothing, or a direction.
fn end(input: &[u8]) -> Parsed<'_, ()> {
    match skip_blanks(input) {
        [] => Ok((&[], ())),
        b"R" | b"T" if input.first() == Some(&b' ') => Ok((&[], ())),
        _ => fault(input, "data"),
    }
}

/// One digit of flags and up to 64 bytes (CAN FD), or the fields of CAN XL.
fn fd(input: &[u8]) -> Parsed<'_, RecordKind> {
    let digits = run(input, |byte| is_digit(byte) || matches!(byte, b'#' | b':'));
    let rest = input.get(digits..).unwrap_or_default();
    if digits == 0 {
        return fault(input, "flags");
    }
    let (rest, ()) = end(rest)?;
    Ok((rest, RecordKind::Fd))
}

fn spaced<'a>(input: &'a [u8], id: &Id, time: Option<CanTime>) -> Parsed<'a, RecordKind> {
    let (at_length, ()) = context("length", blanks).parse(input)?;
    let (rest, len) = match at_length {
        [b'[', len, b']', rest @ ..] => match digit(*len) {
            Some(len @ 0..=8) => (rest, len),
            _ => return fault(at_length, "length"),
        },
        // Option `-8`: the raw length code of a frame with eight bytes.
        [b'{', code, b'}', rest @ ..] => match digit(*code) {
            Some(9..) => (rest, 8),
            _ => return fault(at_length, "length"),
        },
        // Two digits are CAN FD even if the value is at most 8; more are CAN XL.
        [b'[', rest @ ..] => {
            let digits = run(rest, |byte| byte.is_ascii_digit());
            return match rest.get(digits..).and_then(<[u8]>::split_first) {
                Some((b']', _)) if (2..=4).contains(&digits) => Ok((&[], RecordKind::Fd)),
                _ => fault(at_length, "length"),
            };
        }
        _ => return fault(at_length, "length"),
    };
    let at_data = skip_blanks(rest);
    if let Ok((rest, _)) = tag::<_, _, super::text::Fault>(&b"remote request"[..])(at_data) {
        let (rest, ()) = end(rest)?;
        return kind(input, id, |id| remote(id, len, time), rest);
    }
    let (rest, data) = spaced_data(at_data, len)?;
    match (rest.first(), id) {
        // The bytes as characters (`-a`).
        (None | Some(b'\''), _) => {}
        (_, Id::Error) if rest == b"ERRORFRAME" => {}
        _ => return fault(rest, "data"),
    }
    kind(input, id, |id| data.frame(id, time), &[])
}

/// So many pairs of digits, each followed by spaces or the end.
fn spaced_data(input: &[u8], len: u8) -> Parsed<'_, Data> {
    let mut data = Data::default();
    let mut rest = input;
    for _ in 0..len {
        let [high, low, after @ ..] = rest else {
            return fault(rest, "data");
        };
        match pair(*high, *low).and_then(|byte| data.push(byte)) {
            Some(()) if matches!(after.first(), None | Some(b' ')) => rest = skip_blanks(after),
            _ => return fault(rest, "data"),
        }
    }
    Ok((rest, data))
}

/// The record that the fields make.
#[inline]
fn kind<'a>(
    input: &'a [u8],
    id: &Id,
    frame: impl FnOnce(CanId) -> Option<CanFrame>,
    rest: &'a [u8],
) -> Parsed<'a, RecordKind> {
    match id {
        Id::Error => Ok((rest, RecordKind::ErrorFrame)),
        Id::Can(id) => match frame(*id) {
            Some(frame) => Ok((rest, RecordKind::Frame(frame))),
            None => fault(input, "data"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn frame(line: &str) -> Option<CanFrame> {
        match parse(line.as_bytes()).ok()?.kind {
            RecordKind::Frame(frame) => Some(frame),
            _ => None,
        }
    }

    #[test]
    fn both_forms_read_alike() {
        let packed = frame("(1543509533.000838) can0 18FEF100#F3003CCFFFFFE0FF").unwrap();
        let spaced =
            frame("  (1543509533.000838)  can0  18FEF100   [8]  F3 00 3C CF FF FF E0 FF").unwrap();
        assert_eq!(packed, spaced);
        assert_eq!(packed.time(), Some(CanTime(1_543_509_533_000_838)));
        assert_eq!(packed.to_string(), "18FEF100#F3003CCFFFFFE0FF");
    }

    #[test]
    fn everything_that_candump_adds_is_read() {
        let expected = frame("can0 123#11223344").unwrap();
        assert_eq!(expected.time(), None);
        for line in [
            "can0 123#11223344 R",
            "can0 123#11223344 T",
            "can0 123#11223344\r",
            "  can0  123   [4]  11 22 33 44",
            "  can0  123   [4]  11 22 33 44   '.\"3D'",
            "  can0  RX - -  123   [4]  11 22 33 44",
            " (2018-11-29 16:45:33.000838)  vcan0  TX B E  123   [4]  11 22 33 44 ",
        ] {
            assert_eq!(frame(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn remote_frames_and_raw_length_codes_are_read() {
        assert_eq!(frame("can0 123#R").unwrap().dlc(), 0);
        assert_eq!(frame("can0 123#R8_9").unwrap().dlc(), 8);
        assert!(
            frame("can0  123   [3]  remote request")
                .unwrap()
                .is_remote()
        );
        assert_eq!(frame("can0 123#1122334455667788_C").unwrap().dlc(), 8);
        assert_eq!(
            frame("can0  123   {C}  11 22 33 44 55 66 77 88")
                .unwrap()
                .dlc(),
            8
        );
        assert!(frame("can0 123#1122_C").is_none());
    }

    #[test]
    fn the_number_of_digits_is_the_width_of_the_identifier() {
        assert_eq!(frame("can0 001#").unwrap().id(), CanId::Standard(1));
        assert_eq!(frame("can0 00000001#").unwrap().id(), CanId::Extended(1));
        assert!(frame("can0 123#1122 R").is_some());
        assert!(frame("can0 0001#").is_none());
        assert!(frame("can0 18FEF1000#").is_none());
        assert!(frame("can0 800#").is_none());
        assert!(frame("can0 80000001#").is_none());
    }

    #[test]
    fn long_and_error_frames_are_passed_over() {
        for (line, kind) in [
            ("can0 123##1112233445566778899AABBCCDDEEFF", RecordKind::Fd),
            ("can0  123  [08]  11 22 33 44 55 66 77 88", RecordKind::Fd),
            ("can0  123  [12]  11", RecordKind::Fd),
            ("can0 20000004#0004000000000000", RecordKind::ErrorFrame),
            (
                "can0  20000004   [8]  00 04 00 00 00 00 00 00   ERRORFRAME",
                RecordKind::ErrorFrame,
            ),
        ] {
            assert_eq!(parse(line.as_bytes()).unwrap().kind, kind, "{line}");
        }
    }

    #[test]
    fn an_error_names_the_field_and_the_byte() {
        for (line, field, offset) in [
            ("(12x) can0 123#11", "time", 1),
            ("(1.5) can0 12345#11", "id", 11),
            ("(1.5) can0 123#112", "data", 17),
            ("(1.5) can0 123#112233445566778899", "data", 15),
            ("(1.5)", "interface", 5),
            ("can0  123   [9]  11", "length", 12),
            ("can0  123   [2]  11", "data", 19),
        ] {
            assert_eq!(
                parse(line.as_bytes()),
                Err(Reason::Malformed { field, offset }),
                "{line}"
            );
        }
    }

    #[test]
    fn a_written_line_is_read_back_as_it_was() {
        for line in [
            "(1543509533.000838) can0 18FEF100#F3003CCFFFFFE0FF",
            "can1 7E8#",
            "(0.000000) x 7DF#R8",
        ] {
            let parsed = parse(line.as_bytes()).unwrap();
            let RecordKind::Frame(frame) = parsed.kind else {
                panic!("a frame: {line}");
            };
            let interface = core::str::from_utf8(parsed.interface).unwrap();
            assert_eq!(line_of(&frame, interface), line);
        }
    }
}
