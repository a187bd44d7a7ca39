//! 0x12 with the terminal's id in front (QH302R, L 27).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 8 | terminal id | [`TerminalId`] |
//! | 8 | 18 | position | [`Gps`] |
//! | 26 | 8, 9 | cell | [`Cell`] |
//!
//! Seen on devices. Other messages of this number and length begin with a time; where the first
//! six bytes are no time and those behind an id are one, it is this.

use alloc::string::ToString;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{Cell, CellForm, DateTime, Gps, TerminalId};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position with the terminal's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationWithId {
    /// Who.
    pub id: TerminalId,
    /// Where and when.
    pub gps: Gps,
    /// The serving cell.
    pub cell: Cell,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

/// Whether the frame is one of these.
#[inline]
pub(super) fn is_shape(cx: &Context<'_>) -> bool {
    let is_time = |at: usize| match cx.body.get(at..) {
        Some([year, month, day, hour, minute, second, ..]) => {
            DateTime::from_bytes([*year, *month, *day, *hour, *minute, *second])
                .to_unix()
                .is_some()
        }
        _ => false,
    };
    cx.number() == 0x12 && matches!(cx.length(), 0x27 | 0x28) && !is_time(0) && is_time(8)
}

impl Body for LocationWithId {
    const NAME: &'static str = "location_with_id";
    const ANSWER: Answer = Answer::ByPolicy;

    #[inline]
    fn accepts(cx: &Context<'_>) -> bool {
        cx.is_short() && is_shape(cx)
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let id = TerminalId(r.array("terminal id")?);
        r.note(|| id.to_string());
        Ok(Self {
            id,
            gps: Gps::decode(r)?,
            cell: Cell::decode(r, CellForm::L8)?,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&self.id.0);
        self.gps.encode(out);
        self.cell.encode(out);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x12
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x12);
        let report = cx.positioned(out, telemetry::Kind::Location, &self.gps, key);
        report.network.cell = self.cell.normalize(true);
        report.identity_mut().imei = Some(self.id.to_string().into());
        cx.note_tail(report, &self.tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::LocationRest;
    use crate::message::testing::{CELL, GPS, read_parts};
    use crate::{Message, Start};

    #[test]
    fn a_time_behind_an_id_tells_it_from_a_location_with_a_tail() {
        let with_id = read_parts(Start::Short, 0x12, &["0123456789012345", GPS, CELL]);
        let Message::LocationWithId(read) = with_id else {
            panic!("{with_id:?}")
        };
        assert_eq!(
            (read.id.to_string().as_str(), read.cell.mcc()),
            ("123456789012345", 460)
        );
        let tail = read_parts(Start::Short, 0x12, &[GPS, CELL, "0102030405060708"]);
        let Message::Location(read) = tail else {
            panic!("{tail:?}")
        };
        assert!(matches!(read.rest, LocationRest::Unknown(tail) if tail.len() == 8));
    }
}
