//! socketcand: frames in angle brackets, after a short handshake.
//!
//! ```text
//! < frame 18FEF100 1543509533.000838 F3003CCFFFFFE0FF >
//! ```
//!
//! | token | meaning |
//! |---|---|
//! | `frame` | identifier (up to 3 digits: 11 bits, more: 29), seconds, data joined or in pairs |
//! | `fdframe` | CAN FD, passed over |
//! | `hi` | the server is ready; answered with `< open … >` |
//! | `ok` | after `open`, answered with `< rawmode >` |
//! | others | `error`, `echo`, `stat`, …: notices |
//!
//! The gateway is the server of this protocol even where it opens the TCP connection. Remote frames
//! do not exist in it. After garbage the next `<` begins a token; a token that another `<`
//! interrupts is passed over. Source: the protocol's description and captures of old and new servers.

use alloc::string::String;

use bytes::{BufMut, Bytes};
use memchr::{memchr, memchr2};
use nom::Parser;
use nom::error::context;

use super::deframe::{Deframe, Scan, TEXT_LIMIT};
use super::record::{Reason, RecordKind};
use super::text::{
    Data, Parsed, blanks, fault, number, pair, reason, seconds, skip_blanks, trim_end, word,
};
use crate::{CanFrame, CanId};

/// Finds the tokens of a stream and opens the bus.
#[derive(Debug, Clone)]
pub(super) struct Socketcand {
    bus: String,
    state: State,
    output: Option<Bytes>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Greeting,
    Opening,
    Open,
}

impl Socketcand {
    pub(super) fn new(bus: &str) -> Self {
        Self {
            bus: bus.into(),
            state: State::Greeting,
            output: None,
        }
    }

    /// Each request is sent once: a server that repeats its greeting is not answered again.
    fn notice(&mut self, inside: &[u8]) {
        match (self.state, inside) {
            (State::Greeting, b"hi") => {
                self.state = State::Opening;
                self.output = Some(alloc::format!("< open {} >", self.bus).into());
            }
            (State::Opening, b"ok") => {
                self.state = State::Open;
                self.output = Some(Bytes::from_static(b"< rawmode >"));
            }
            _ => {}
        }
    }
}

impl Deframe for Socketcand {
    fn scan(&mut self, bytes: &[u8]) -> Scan {
        let garbage = match memchr(b'<', bytes) {
            Some(0) => 0,
            Some(at) => at,
            None => bytes.len(),
        };
        if garbage > 0 {
            let between = bytes.get(..garbage).unwrap_or_default();
            if between.iter().all(u8::is_ascii_whitespace) {
                return Scan::notice(garbage);
            }
            return skip(garbage, Reason::OutOfSync);
        }
        let within = bytes.get(..TEXT_LIMIT).unwrap_or(bytes);
        let Some((_, inside)) = within.split_first() else {
            return Scan::More;
        };
        let Some(end) = memchr2(b'>', b'<', inside) else {
            if within.len() < TEXT_LIMIT {
                return Scan::More;
            }
            let limit = TEXT_LIMIT;
            return skip(TEXT_LIMIT, Reason::TooLong { limit });
        };
        let len = end.saturating_add(1);
        if inside.get(end) == Some(&b'<') {
            return skip(len, Reason::OutOfSync);
        }
        let len = len.saturating_add(1);
        let token = inside.get(..end).unwrap_or_default();
        match parse(token) {
            Ok((_, kind)) => {
                if kind == RecordKind::Notice {
                    self.notice(trim_end(skip_blanks(token)));
                }
                Scan::Record { len, kind }
            }
            // The opening bracket counts.
            Err(error) => skip(
                len,
                match reason(error, token.len()) {
                    Reason::Malformed { field, offset } => Reason::Malformed {
                        field,
                        offset: offset.saturating_add(1),
                    },
                    other => other,
                },
            ),
        }
    }

    fn take_output(&mut self) -> Option<Bytes> {
        self.output.take()
    }
}

const fn skip(len: usize, reason: Reason) -> Scan {
    Scan::Skip { len, reason }
}

fn parse(token: &[u8]) -> Parsed<'_, RecordKind> {
    let (rest, name) = context("name", word).parse(skip_blanks(token))?;
    match name {
        b"frame" => frame(rest),
        b"fdframe" => Ok((&[], RecordKind::Fd)),
        _ if name.iter().all(u8::is_ascii_graphic) => Ok((&[], RecordKind::Notice)),
        _ => fault(token, "name"),
    }
}

fn frame(input: &[u8]) -> Parsed<'_, RecordKind> {
    let (rest, ()) = blanks(input)?;
    let at_id = rest;
    let (rest, digits) = context("id", word).parse(rest)?;
    let id = number(digits).and_then(|raw| match digits.len() {
        ..=3 => u16::try_from(raw).ok().and_then(CanId::standard),
        _ => CanId::extended(raw),
    });
    let Some(id) = id else {
        return fault(at_id, "id");
    };
    let (rest, ()) = blanks(rest)?;
    let (rest, time) = context("time", seconds).parse(rest)?;
    let at_data = skip_blanks(rest);
    let (_, data) = data(rest)?;
    match data.frame(id, Some(time)) {
        Some(frame) => Ok((&[], RecordKind::Frame(frame))),
        None => fault(at_data, "data"),
    }
}

/// Pairs of digits with or without spaces between them, up to the end.
fn data(input: &[u8]) -> Parsed<'_, Data> {
    let mut data = Data::default();
    let mut rest = match skip_blanks(input) {
        [] => return Ok((&[], data)),
        _ => blanks(input)?.0,
    };
    while let [high, low, after @ ..] = rest {
        match pair(*high, *low).and_then(|byte| data.push(byte)) {
            Some(()) => rest = skip_blanks(after),
            None => return fault(rest, "data"),
        }
    }
    match rest {
        [] => Ok((rest, data)),
        _ => fault(rest, "data"),
    }
}

/// Appends a token. `false` for a remote frame, which the protocol cannot carry. A frame without a
/// time stamp is written with zero.
pub(super) fn encode(frame: &CanFrame, out: &mut impl BufMut) -> bool {
    if frame.is_remote() {
        return false;
    }
    let micros = frame.time().unwrap_or_default().as_micros();
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let mut token = alloc::format!("< frame {} {seconds}.{micros:06} ", frame.id());
    for byte in frame.data() {
        // Writing to a string cannot fail.
        let _infallible = core::fmt::Write::write_fmt(&mut token, format_args!("{byte:02X}"));
    }
    token.push_str(" >");
    out.put_slice(token.as_bytes());
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn text(token: &str) -> Option<String> {
        match Socketcand::new("can0").scan(token.as_bytes()) {
            Scan::Record {
                kind: RecordKind::Frame(frame),
                ..
            } => Some(frame.to_string()),
            _ => None,
        }
    }

    #[test]
    fn data_is_read_joined_and_in_pairs() {
        let joined = text("< frame 18FEF100 1543509533.000838 F3003CCF >");
        assert_eq!(joined.as_deref(), Some("18FEF100#F3003CCF"));
        assert_eq!(
            text("< frame 18FEF100 1543509533.000838 F3 00 3C CF >"),
            joined
        );
        assert_eq!(text("< frame 7 23.424242  >").as_deref(), Some("007#"));
        assert_eq!(
            text("< frame CF00400 23.424242 11 >").as_deref(),
            Some("0CF00400#11"),
            "more than three digits are 29 bits"
        );
    }

    #[test]
    fn what_is_damaged_is_no_frame() {
        for token in [
            "< frame 18FEF100 1543509533 F3 >",
            "< frame 18FEF100 1.5 F >",
            "< frame 18FEF100 1.5 112233445566778899 >",
            "< frame 2FEF1000 1.5 11 >",
            "< frame 800 1.5 11 >",
        ] {
            assert_eq!(text(token), None, "{token}");
        }
    }

    #[test]
    fn an_error_counts_from_the_opening_bracket() {
        let scan = Socketcand::new("can0").scan(b"< frame 800 1.5 11 >");
        let reason = Reason::Malformed {
            field: "id",
            offset: 8,
        };
        assert_eq!(scan, Scan::Skip { len: 20, reason });
    }

    #[test]
    fn the_handshake_is_answered_once() {
        let mut carrier = Socketcand::new("vcan1");
        let mut answer = |token: &[u8]| {
            carrier.scan(token);
            carrier.take_output()
        };
        assert_eq!(answer(b"< ok >"), None, "nothing was asked");
        assert_eq!(answer(b"< hi >").unwrap()[..], b"< open vcan1 >"[..]);
        assert_eq!(answer(b"< hi >"), None);
        assert_eq!(answer(b"< ok >").unwrap()[..], b"< rawmode >"[..]);
        assert_eq!(answer(b"< ok >"), None);
    }
}
