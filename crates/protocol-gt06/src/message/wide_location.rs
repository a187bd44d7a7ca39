//! 0x11 (L 21) and 0x31 (L 2A), position with a wide cell.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 10 | cell | [`Cell`] with MNC 2, cell id 4 |
//! | 28 | 0 or 3 | trailer | [`Trailer`]: 0x31 |
//! | 31 | 0 or 4 | mileage | metres: 0x31 |
//! | 35 | 0 or 2 | altitude | metres, signed: 0x31 |
//!
//! Seen on devices; 0x31 on SL4X. In other lengths 0x31 is a [`Location`](super::Location). A 0x11 that
//! is cut short behind its position is told from a [`CellOnly`](super::CellOnly) by time, length of the
//! GPS block and place; what is left of its cell is kept as it is.

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{Cell, CellForm, Gps, Trailer, is_gps, mileage};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position with a wide cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WideLocation {
    /// 0x11 or 0x31.
    pub number: u8,
    /// Where and when.
    pub gps: Gps,
    /// The serving cell; `None` where the body ends before.
    pub cell: Option<Cell>,
    /// What 0x31 adds.
    pub more: Option<WideLocationMore>,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

/// What 0x31 has behind the cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WideLocationMore {
    /// Why it was sent.
    pub trailer: Trailer,
    /// Metres.
    pub mileage: u32,
    /// Metres.
    pub altitude: i16,
}

impl Body for WideLocation {
    const NAME: &'static str = "wide_location";
    const ANSWER: Answer = Answer::ByPolicy;

    #[inline]
    fn accepts(cx: &Context<'_>) -> bool {
        cx.is_short()
            && match cx.number() {
                0x11 => cx.body.len() >= Gps::LEN + 8 || is_gps(cx.body),
                _ => cx.length() == 0x2a,
            }
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let cell = Cell::decode_whole(&mut r.whole_fields(), CellForm::L10)?;
        let more = if cell.is_some() && r.remaining() == 9 {
            let trailer = Trailer::decode(r)?;
            let mileage = mileage(r)?;
            let altitude = r.u16("altitude")?.cast_signed();
            r.note(|| format!("{altitude} m"));
            Some(WideLocationMore {
                trailer,
                mileage,
                altitude,
            })
        } else {
            None
        };
        Ok(Self {
            number: cx.number(),
            gps,
            cell,
            more,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        if let Some(cell) = &self.cell {
            cell.encode(out);
        }
        if let Some(more) = self.more {
            more.trailer.encode(out);
            out.put_u32(more.mileage);
            out.put_i16(more.altitude);
        }
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        self.number
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(self.number)
            .upload_mode(self.more.map(|more| more.trailer.upload_mode));
        let report = cx.positioned(out, telemetry::Kind::Location, &self.gps, key);
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
        if let Some(more) = self.more {
            more.trailer.normalize(report);
            crate::field::note_mileage(report, more.mileage);
            if let Some(fix) = &mut report.fix {
                fix.altitude = telemetry::Altitude::from_metres(more.altitude.into()).ok();
            }
        }
        cx.note_tail(report, &self.tail);
    }
}

#[cfg(test)]
mod tests {
    use crate::message::testing::{CELL, GPS, read_parts};
    use crate::{Message, Start};

    const WIDE: &str = "01cc 0007 287d 0dbdc40b";

    #[test]
    fn sl4x_adds_why_mileage_and_altitude() {
        let parts = [GPS, WIDE, "01 00 01", "00000064", "ffec"];
        let Message::WideLocation(read) = read_parts(Start::Short, 0x31, &parts) else {
            panic!("not wide")
        };
        let cell = read.cell.unwrap();
        assert_eq!((cell.mnc, cell.cell_id), (7, 0x0dbd_c40b));
        let more = read.more.unwrap();
        assert_eq!((more.mileage, more.altitude), (100, -20));
    }

    #[test]
    fn a_0x31_of_another_length_is_a_plain_location() {
        let read = read_parts(Start::Short, 0x31, &[GPS, CELL, "01 00 01"]);
        assert!(matches!(read, Message::Location(_)), "{read:?}");
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn altitude_and_age_reach_the_report() {
        let parts = [GPS, WIDE, "01 00 01", "00000064", "ffec"];
        let report = crate::message::testing::report(read_parts(Start::Short, 0x31, &parts));
        let fix = report.fix.unwrap();
        assert_eq!(fix.altitude.unwrap().as_metres(), -20.0);
        assert_eq!(fix.live, Some(false));
        assert_eq!(
            (report.odometer, report.io.ignition),
            (Some(100.into()), Some(true))
        );
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_behind_the_position_costs_no_fix_and_is_no_cell() {
        use crate::message::testing::{cut_short, signal};

        for cell in [WIDE, "81cc 0007 287d 0dbdc40b"] {
            for (len, message, report) in cut_short(Start::Short, 0x11, 18, &[GPS, cell]) {
                assert!(matches!(message, Message::WideLocation(_)), "{message:?}");
                assert_eq!(report.network.cell, None, "{len}");
                assert_eq!(signal(&report, "gt06.tail").is_none(), len == 18, "{len}");
            }
        }
    }
}
