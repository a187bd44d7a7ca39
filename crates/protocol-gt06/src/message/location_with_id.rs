//! 0x12 with the terminal's id in front (QH302R, L 27).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 8 | terminal id | [`TerminalId`] |
//! | 8 | 18 | position | [`Gps`] |
//! | 26 | 8, 9 | cell | [`Cell`] |
//!
//! Seen on devices. Other messages of this number begin with a time; where the first six bytes are no
//! time and those behind an id are one, it is this. In another length, cut short or longer, the id
//! must be of digits besides, and the length of the GPS block (12) stand behind the time. What is cut
//! short behind the position, and what follows no country code there, is kept as it is.
//!
//! Cut as short as a [`Location`](super::Location) with nothing, a trailer, or trailer and mileage behind
//! its cell (26, 29 and 33 bytes), it is read as that: the usual lengths are not looked at twice.

use alloc::string::ToString;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{
    Cell, CellForm, Gps, TerminalId, is_digits, is_time, is_timed_place, may_be_cell,
};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position with the terminal's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationWithId {
    /// Who.
    pub id: TerminalId,
    /// Where and when.
    pub gps: Gps,
    /// The serving cell; `None` where the body ends before.
    pub cell: Option<Cell>,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

/// The id's length.
const GPS_AT: usize = 8;

/// Whether the frame is one of these.
#[inline]
fn is_shape(cx: &Context<'_>) -> bool {
    let body = cx.body;
    cx.number() == 0x12
        && !is_time(body, 0)
        && is_time(body, GPS_AT)
        && match body.len() {
            34 | 35 => true,
            26 | 29 | 33 => false,
            _ => {
                let (id, gps) = body.split_at_checked(GPS_AT).unwrap_or_default();
                let has_size = matches!(gps, [_, _, _, _, _, _, 0xc0..=0xcf, ..]);
                let is_whole = gps.len() >= Gps::LEN;
                is_digits(id) && has_size && (!is_whole || is_timed_place(gps))
            }
        }
}

impl Body for LocationWithId {
    const NAME: &'static str = "location_with_id";
    const ANSWER: Answer = Answer::ByPolicy;

    #[inline]
    fn fit(cx: &Context<'_>) -> Fit {
        Fit::No.or_certain_if(cx.is_short() && is_shape(cx))
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let id = TerminalId(r.array("terminal id")?);
        r.note(|| id.to_string());
        let gps = Gps::decode(r)?;
        let mut whole = r.whole_fields();
        whole.only_if(matches!(cx.body.len(), 34 | 35) || may_be_cell(whole.peek()));
        Ok(Self {
            id,
            gps,
            cell: Cell::decode_whole(&mut whole, CellForm::L8)?,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&self.id.0);
        self.gps.encode(out);
        if let Some(cell) = &self.cell {
            cell.encode(out);
        }
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x12
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x12);
        let report = cx.positioned(out, milepost_telemetry::Kind::Location, &self.gps, key);
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
        report.identity_mut().imei = Some(self.id.to_string().into());
        cx.note_tail(report, &self.tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::LocationRest;
    use crate::message::testing::{CELL, GPS, body, read_body, read_parts};
    use crate::{Message, Start};

    #[test]
    fn a_time_behind_an_id_tells_it_from_a_location_with_a_tail() {
        let with_id = read_parts(Start::Short, 0x12, &["0123456789012345", GPS, CELL]);
        let Message::LocationWithId(read) = with_id else {
            panic!("{with_id:?}")
        };
        assert_eq!(
            (read.id.to_string().as_str(), read.cell.unwrap().mcc()),
            ("123456789012345", 460)
        );
        let tail = read_parts(Start::Short, 0x12, &[GPS, CELL, "0102030405060708"]);
        let Message::Location(read) = tail else {
            panic!("{tail:?}")
        };
        assert!(matches!(read.rest, LocationRest::Unknown(tail) if tail.len() == 8));
    }
    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_or_longer_behind_the_position_costs_no_fix() {
        use crate::message::testing::{cut_short, signal};

        const ID: &str = "0123456789012345";
        for (cell, cell_ends) in [(CELL, 34), ("81cc 0007 287d 001f71", 35)] {
            for from in [27, 30, 34] {
                // 26, 29 and 33 bytes are those of a plain location.
                let to = match from {
                    27 => 29,
                    30 => 33,
                    _ => 37,
                };
                let mut parts = body(&[ID, GPS, cell, "aabbcc"]);
                parts.truncate(to);
                let parts = hex::encode(parts);
                for (len, message, report) in cut_short(Start::Short, 0x12, from, &[&parts]) {
                    let Message::LocationWithId(read) = message else {
                        panic!("{len}: {message:?}")
                    };
                    assert_eq!(read.cell.is_some(), len >= cell_ends, "{len}");
                    assert_eq!(report.network.cell.is_some(), len >= cell_ends, "{len}");
                    let imei = report.more.identity.as_ref().unwrap().imei.clone();
                    assert_eq!(imei.as_deref(), Some("123456789012345"));
                    let is_whole = len == cell_ends;
                    assert_eq!(signal(&report, "gt06.tail").is_none(), is_whole, "{len}");
                }
            }
        }
        // Nor is a place read from the id where the place itself is cut.
        let cut = body(&[ID, &GPS[..29]]);
        assert!(read_body(Start::Short, 0x12, &cut).is_err());
    }

    #[test]
    fn what_begins_with_a_time_or_with_no_digits_is_a_location() {
        for head in ["0f0c1d023305 c902", "0123456789012a45"] {
            let read = read_body(Start::Short, 0x12, &body(&[head, GPS, "01cc 00 28"]));
            assert!(matches!(read, Ok(Message::Location(_))), "{read:?}");
        }
    }
}
