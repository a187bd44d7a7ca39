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
//! Seen on devices; 0x31 on SL4X (L 2A). In another length a 0x31 is this one where what is like a
//! trailer stands behind this cell and none behind the narrow one of a [`Location`](super::Location),
//! which it is otherwise; where neither is told, only the position is read. A 0x11 that
//! is cut short behind its position is told from a [`CellOnly`](super::CellOnly) by time, length of the
//! GPS block and place. What is cut short is kept as it is.

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{Cell, CellForm, Gps, Trailer, is_gps, may_be_cell, mileage};
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
    /// Metres; `None`, as the altitude, where the body ends before.
    pub mileage: Option<u32>,
    /// Metres.
    pub altitude: Option<i16>,
}

impl WideLocationMore {
    fn decode<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let trailer = Trailer::decode(r)?;
        let mut whole = r.whole_fields();
        Ok(Self {
            trailer,
            mileage: whole.read(4, mileage)?,
            altitude: whole.read(2, |r| {
                let altitude = r.u16("altitude")?.cast_signed();
                r.note(|| format!("{altitude} m"));
                Ok(altitude)
            })?,
        })
    }
}

/// The length of a 0x31 that is this one whatever it holds.
const LEN_31: usize = 0x2a - 5;

/// The form of the cell of a 0x31, where it can be told. In another length than SL4X's it is the one
/// behind which what is like a trailer stands, and not behind the other as well; where nothing does, as
/// the body ends, the narrow one only where its network is none of a wide one: a MNC above 3, which no MNC of two
/// bytes begins with, or bit 15, which such a MNC does not need.
pub(super) fn form_31(body: &[u8]) -> Option<CellForm> {
    let rest = body.get(Gps::LEN..)?;
    if body.len() == LEN_31 {
        return Some(CellForm::L10);
    }
    if !may_be_cell(rest) {
        return None;
    }
    let mcc = Cell::peek_mcc(rest);
    let has_trailer = |form: CellForm| {
        let trailer = rest.get(form.len(mcc)..)?;
        (trailer.len() >= Trailer::LEN).then(|| Trailer::may_be(Some(trailer)))
    };
    let is_wide = || has_trailer(CellForm::L10) == Some(true);
    match has_trailer(CellForm::L8) {
        _ if Cell::has_wide_mnc(mcc) || rest.get(2).is_some_and(|mnc| *mnc > 3) => {
            Some(CellForm::L8)
        }
        Some(true) if !is_wide() => Some(CellForm::L8),
        Some(false) if is_wide() => Some(CellForm::L10),
        _ => None,
    }
}

impl Body for WideLocation {
    const NAME: &'static str = "wide_location";
    const ANSWER: Answer = Answer::ByPolicy;

    #[inline]
    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(
            cx.is_short()
                && match cx.number() {
                    0x11 => cx.body.len() >= Gps::LEN + 8 || is_gps(cx.body),
                    _ => form_31(cx.body) == Some(CellForm::L10),
                },
        )
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let cell = Cell::decode_whole(&mut r.whole_fields(), CellForm::L10)?;
        let has_more = match cx.number() {
            0x31 => r.remaining() >= Trailer::LEN,
            _ => r.remaining() == 9,
        };
        let more = if cell.is_some() && has_more {
            Some(WideLocationMore::decode(r)?)
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
            out.extend(more.mileage.into_iter().flat_map(u32::to_be_bytes));
            out.extend(more.altitude.into_iter().flat_map(i16::to_be_bytes));
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
        let report = cx.positioned(out, milepost_telemetry::Kind::Location, &self.gps, key);
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
        if let Some(more) = self.more {
            more.trailer.normalize(report);
            if let Some(metres) = more.mileage {
                crate::field::note_mileage(report, metres);
            }
            if let (Some(fix), Some(metres)) = (&mut report.fix, more.altitude) {
                fix.altitude = milepost_telemetry::Altitude::from_metres(metres.into()).ok();
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
        assert_eq!((more.mileage, more.altitude), (Some(100), Some(-20)));
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
    #[cfg(feature = "telemetry")]
    #[test]
    fn a_0x31_cut_short_or_longer_keeps_the_fix_and_has_its_own_cell_or_none() {
        use crate::message::testing::{cut_short, signal};

        let parts = [GPS, WIDE, "01 00 01", "00000064", "ffec", "aa"];
        for (len, message, report) in cut_short(Start::Short, 0x31, 18, &parts) {
            let is_told = len >= 31;
            let cell = report.network.cell.map(|cell| cell.cell_id);
            assert_eq!(cell, is_told.then_some(0x0dbd_c40b), "{len}: {message:?}");
            assert_eq!(
                matches!(message, Message::WideLocation(_)),
                is_told,
                "{len}"
            );
            assert_eq!(report.io.ignition, is_told.then_some(true), "{len}");
            assert_eq!(report.odometer.is_some(), len >= 35, "{len}");
            let altitude = report.fix.unwrap().altitude;
            assert_eq!(altitude.is_some(), len >= 37, "{len}");
        }
        let longer = crate::message::testing::report(read_parts(Start::Short, 0x31, &parts));
        assert_eq!(longer.odometer, Some(100.into()));
        assert_eq!(signal(&longer, "gt06.tail").unwrap(), "aa");
    }

    #[test]
    fn a_narrow_cell_of_0x31_is_told_by_its_network_or_its_trailer() {
        for (cell, rest, lac) in [
            // No MNC of two bytes begins like that, nor needs bit 15.
            ("02d4 0a c3c7 001f71", "", Some(0xc3c7)),
            ("82d4 000a c3c7 001f71", "", Some(0xc3c7)),
            (CELL, "01 00 01", Some(0x287d)),
            (CELL, "01 00 01 00110064", Some(0x287d)),
            (CELL, "", None),
            ("02d4 03 c3c7 001f71", "", None),
            (CELL, "01 00", None),
            // A byte too many before it: no country code.
            ("00 02d4 0a c3c7 001f71", "01 00 01", None),
            // Behind either cell zeros are like a trailer.
            (CELL, "01 00 01 00000064", None),
        ] {
            let read = read_parts(Start::Short, 0x31, &[GPS, cell, rest]);
            let Message::Location(read) = read else {
                panic!("{read:?}")
            };
            assert_eq!(read.cell.map(|cell| cell.lac), lac, "{cell} {rest}");
        }
    }
}
