//! SLCAN, the text of serial adapters after Lawicel.
//!
//! ```text
//! T18FEF1008F3003CCFFFFFE0FF\r
//! ```
//!
//! | part | digits | meaning |
//! |---|---|---|
//! | command | 1 | `t` 11 bits, `T` 29 bits (`x` on one make), `r` and `R` remote; `d` `D` `b` `B` CAN FD, passed over |
//! | identifier | 3 or 8 | |
//! | length | 1 | 9 to F are 8 bytes. One firmware writes 0 for 8: then the number of digits decides |
//! | data | 2 each | none for remote frames |
//! | time | 4 or none | milliseconds, 0 to 59 999, then 0 again |
//!
//! Ends with CR. BEL (an error) and `z`, `Z` (acknowledgements) are notices.
//! Source: manuals of serial adapters; the length 0 was seen on devices.

use memchr::memchr2;
use nom::Parser;
use nom::bytes::complete::take;
use nom::error::context;

use super::deframe::{Deframe, Line, Lines, Scan, run};
use super::record::RecordKind;
use super::text::{Parsed, digit, fault, is_digit, number, packed_data, reason, remote};
use crate::{CanId, CanTime};

const BEL: u8 = 0x07;
/// The counter's period in milliseconds.
const PERIOD: u64 = 60_000;
/// A stamp that goes back by less than this is out of order; by more, the counter has wrapped.
const OUT_OF_ORDER: u64 = 1_000;

/// Finds the records of a stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Slcan {
    lines: Lines,
    clock: Clock,
}

/// Continues the adapter's counter over its wraps.
///
/// A silence of more than a minute is shortened by whole minutes: the adapter does not say how
/// many passed.
#[derive(Debug, Clone, Default)]
struct Clock {
    last: u64,
}

impl Clock {
    fn time(&mut self, stamp: u64) -> CanTime {
        let period = self.last - self.last % PERIOD;
        let mut time = period.saturating_add(stamp);
        let is_back = time.saturating_add(OUT_OF_ORDER) < self.last;
        if is_back {
            time = time.saturating_add(PERIOD);
        } else if time >= self.last.saturating_add(PERIOD - OUT_OF_ORDER) && period > 0 {
            // A stamp from just before the wrap that comes after it.
            time = time.saturating_sub(PERIOD);
        }
        self.last = self.last.max(time);
        CanTime(time.saturating_mul(1_000))
    }
}

struct Fields {
    kind: RecordKind,
    /// Milliseconds of the adapter's counter.
    stamp: Option<u64>,
}

impl Deframe for Slcan {
    fn scan(&mut self, bytes: &[u8]) -> Scan {
        // Line feeds belong to no record; some firmware sends them after the CR.
        let blanks = run(bytes, |byte| matches!(byte, b'\r' | b'\n' | BEL));
        if blanks > 0 && !self.lines.is_discarding() {
            return Scan::notice(blanks);
        }
        let (text, len) = match self.lines.next(bytes, |bytes| memchr2(b'\r', BEL, bytes)) {
            Line::Text { text, len } => (text, len),
            Line::Other(scan) => return scan,
        };
        match record(text) {
            Ok((_, Fields { kind, stamp })) => Scan::Record {
                len,
                kind: match kind {
                    RecordKind::Frame(frame) => {
                        RecordKind::Frame(frame.with_time(stamp.map(|ms| self.clock.time(ms))))
                    }
                    other => other,
                },
            },
            Err(error) => Scan::Skip {
                len,
                reason: reason(error, text.len()),
            },
        }
    }
}

fn record(input: &[u8]) -> Parsed<'_, Fields> {
    let notice = |kind| Ok((&[][..], Fields { kind, stamp: None }));
    let Some((command, rest)) = input.split_first() else {
        return notice(RecordKind::Notice);
    };
    match command {
        b't' | b'T' | b'x' | b'r' | b'R' => frame(*command, rest),
        b'd' | b'D' | b'b' | b'B' if rest.len() >= 4 && rest.iter().all(|b| is_digit(*b)) => {
            notice(RecordKind::Fd)
        }
        // Acknowledgements, status, versions and serial numbers.
        b'z' | b'Z' if rest.is_empty() => notice(RecordKind::Notice),
        b'F' | b'V' | b'v' | b'N' if rest.len() <= 8 && rest.is_ascii() => {
            notice(RecordKind::Notice)
        }
        _ => fault(input, "command"),
    }
}

fn frame(command: u8, input: &[u8]) -> Parsed<'_, Fields> {
    let is_remote = matches!(command, b'r' | b'R');
    let (rest, id) = context("id", |input| id(command, input)).parse(input)?;
    let Some((code, data)) = rest.split_first() else {
        return fault(rest, "length");
    };
    let len = match digit(*code) {
        // Length 8 taken modulo 8, as one firmware does.
        Some(0) if !is_remote && matches!(data.len(), 16 | 20) => 8,
        Some(code) => code.min(8),
        None => return fault(rest, "length"),
    };
    let (after, frame) = if is_remote {
        (data, remote(id, len, None))
    } else {
        let (after, bytes) =
            context("data", |input| packed_data(input, usize::from(len))).parse(data)?;
        (after, bytes.frame(id, None))
    };
    let Some(frame) = frame else {
        return fault(data, "data");
    };
    let stamp = match (after.len(), number(after)) {
        (0, _) => None,
        // Beyond the period: a counter of another kind, of which nothing is known.
        (4, Some(ms)) => Some(u64::from(ms)).filter(|ms| *ms < PERIOD),
        _ => return fault(after, "time"),
    };
    Ok((
        &[],
        Fields {
            kind: RecordKind::Frame(frame),
            stamp,
        },
    ))
}

fn id(command: u8, input: &[u8]) -> Parsed<'_, CanId> {
    let len: usize = match command {
        b't' | b'r' => 3,
        _ => 8,
    };
    let (rest, digits) = take(len)(input)?;
    let id = number(digits).and_then(|raw| match len {
        3 => u16::try_from(raw).ok().and_then(CanId::standard),
        _ => CanId::extended(raw),
    });
    match id {
        Some(id) => Ok((rest, id)),
        None => fault(input, "id"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

    fn scan(text: &[u8]) -> Scan {
        Slcan::default().scan(text)
    }

    fn text(bytes: &[u8]) -> std::string::String {
        match scan(bytes) {
            Scan::Record {
                kind: RecordKind::Frame(frame),
                len,
            } if len == bytes.len() => frame.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_command_is_read() {
        assert_eq!(
            text(b"T18FEF1008F3003CCFFFFFE0FF\r"),
            "18FEF100#F3003CCFFFFFE0FF"
        );
        assert_eq!(text(b"x18FEF1001F3\r"), "18FEF100#F3");
        assert_eq!(text(b"t7203023E00\r"), "720#023E00");
        assert_eq!(text(b"r7DF8\r"), "7DF#R8");
        assert_eq!(text(b"R18FEF10080001\r"), "18FEF100#R8");
        assert_eq!(text(b"t123F1122334455667788\r"), "123#1122334455667788");
    }

    #[test]
    fn a_length_of_0_with_sixteen_digits_is_8() {
        assert_eq!(text(b"t7200023E000000000000\r"), "720#023E000000000000");
        assert_eq!(text(b"t72000001\r"), "720#", "a length of 0 with a time");
    }

    #[test]
    fn time_goes_on_over_the_wrap_and_back_for_late_frames() {
        let mut slcan = Slcan::default();
        let times: Vec<_> = [59_990u16, 5, 59_999, 10, 30_000, 59_000, 1_000]
            .iter()
            .map(|ms| {
                let line = std::format!("t1230{ms:04X}\r");
                match slcan.scan(line.as_bytes()) {
                    Scan::Record {
                        kind: RecordKind::Frame(frame),
                        ..
                    } => frame.time().unwrap().as_micros() / 1_000,
                    other => panic!("{other:?}"),
                }
            })
            .collect();
        assert_eq!(
            times,
            [59_990, 60_005, 59_999, 60_010, 90_000, 119_000, 121_000]
        );
    }

    #[test]
    fn long_frames_answers_and_errors_are_no_frames() {
        let kind = |bytes: &[u8]| match scan(bytes) {
            Scan::Record { kind, .. } => Some(kind),
            _ => None,
        };
        assert_eq!(
            kind(b"d1239112233445566778899AABBCC\r"),
            Some(RecordKind::Fd)
        );
        for notice in [&b"\x07"[..], b"z\r", b"Z\r", b"V1013\r", b"\r", b"\n\r"] {
            assert_eq!(kind(notice), Some(RecordKind::Notice), "{notice:?}");
        }
        for bad in [
            &b"t12\r"[..],
            b"t80001\r",
            b"t12321\r",
            b"t1232112233\r",
            b"q\r",
            b"T38FEF1000\r",
        ] {
            assert_eq!(kind(bad), None, "{bad:?}");
        }
    }
}
