//! 0x12, 0x22, 0x2D, 0x31 and 0xA0, location: position, one cell, and what follows by length.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 8, 9 | cell | [`Cell`]; 9 with a wide MNC, or on Seeworld (0x22, L 2F); 0xA0: 15, 16 |
//! | 26 | | rest | by number and length, as below |
//!
//! | rest | L | numbers | content |
//! |---|---|---|---|
//! | 0 | 1F | all | nothing |
//! | 3 | 22 | all | [`Trailer`] |
//! | 7 | 26 | all | [`Trailer`], mileage 4 |
//! | 2 | 21 | 0x12 | reserved or language; on Benway inputs, see [`LocationRest::Word`] |
//! | 4 | 23 | 0x12 | mileage 4 |
//! | 5 | 24 | 0x12 | [`LocationStatus`] (VXT01, R31) |
//! | 12 | 2B | 0x12 | [`LocationFuel`] (S5) |
//! | 7 + N | ≥71 | 0x12 | mileage 4, N 1, card N, alarm 1, swiped 1 (GT06E with card reader, N = 75) |
//! | 9 + N | ≥29 | 0x12 | mileage 4, N 1, card N, alarm 1, card state 1, driving time 2 (Wetrust) |
//! | 15 | 2F | 0x22 | [`LocationClimate`] (Seeworld) |
//!
//! L is one more with a wide MNC, and 7 more in 0xA0. A position alone (L 17) comes from devices
//! without network registration. L 1F to 26: Concox and GT06N manuals; 0xA0: Jimi 4G manuals; the
//! others seen on devices. 0x22 and 0xA0 are specified in UTC, the others are not.

mod rest;

use bytes::BytesMut;

use super::{Body, Context, Fit};
use crate::field::{Cell, CellForm, DateTime, Gps, Mileage, Trailer};
use crate::frame::Head;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{Checksum, DecodeError, Dialect, Start};
use rest::RestForm;
pub use rest::{LocationCard, LocationClimate, LocationFuel, LocationRest, LocationStatus};

/// A position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// 0x12, 0x22, 0x2D, 0x31 or 0xA0.
    pub number: u8,
    /// Where and when.
    pub gps: Gps,
    /// The serving cell; `None`: a position alone.
    pub cell: Option<Cell>,
    /// What follows.
    pub rest: LocationRest,
}

/// A location of the usual forms, before its position is copied: straight to where the message
/// stays.
pub(super) struct Usual<'a> {
    number: u8,
    gps: &'a [u8; Gps::LEN],
    cell: Cell,
    rest: LocationRest,
}

impl From<Usual<'_>> for Location {
    #[inline(always)]
    fn from(usual: Usual<'_>) -> Self {
        Self {
            number: usual.number,
            gps: Gps::from_bytes(usual.gps),
            cell: Some(usual.cell),
            rest: usual.rest,
        }
    }
}

impl Location {
    /// Reads a frame of the usual forms (0x12, 0x22 or 0xA0; a right checksum; a cell with a narrow
    /// MNC, and nothing, a trailer, or a trailer and a mileage after it) in one go: the same as field
    /// by field, a few times faster. No other message has these lengths.
    #[inline(always)]
    pub(super) fn read_usual<'a>(head: &Head, raw: &'a [u8]) -> Option<Usual<'a>> {
        if !(matches!(head.start(), Start::Short) & matches!(head.checksum(), Checksum::Valid)) {
            return None;
        }
        let number = head.number();
        let body = raw.get(4..head.len().wrapping_sub(6))?;
        let (gps, rest): (&[u8; Gps::LEN], _) = body.split_first_chunk()?;
        let (cell, rest) = match number {
            // A terminal id, which others of these numbers begin with, has no month and day there.
            0x12 | 0x22 if matches!(gps, [_, 1..=12, 1..=31, ..]) => {
                let (cell, rest) = rest.split_first_chunk::<8>()?;
                let [a, b, mnc, c, d, e, f, g] = *cell;
                let cell = Cell {
                    form: CellForm::L8,
                    raw_mcc: u16::from_be_bytes([a, b]),
                    mnc: mnc.into(),
                    lac: u16::from_be_bytes([c, d]).into(),
                    cell_id: u32::from_be_bytes([0, e, f, g]).into(),
                };
                (cell, rest)
            }
            0xa0 => {
                let (cell, rest) = rest.split_first_chunk::<15>()?;
                let [a, b, mnc, c, d, e, f, id @ ..] = *cell;
                let cell = Cell {
                    form: CellForm::L15,
                    raw_mcc: u16::from_be_bytes([a, b]),
                    mnc: mnc.into(),
                    lac: u32::from_be_bytes([c, d, e, f]),
                    cell_id: u64::from_be_bytes(id),
                };
                (cell, rest)
            }
            _ => return None,
        };
        if Cell::has_wide_mnc(cell.raw_mcc) {
            return None;
        }
        let rest = match *rest {
            [] => LocationRest::Nothing,
            [raw_ignition, upload_mode, raw_reupload] => LocationRest::Trailer(Trailer {
                raw_ignition,
                upload_mode,
                raw_reupload,
            }),
            [raw_ignition, upload_mode, raw_reupload, a, b, c, d] => LocationRest::TrailerMileage(
                Trailer {
                    raw_ignition,
                    upload_mode,
                    raw_reupload,
                },
                Mileage(u32::from_be_bytes([a, b, c, d])),
            ),
            _ => return None,
        };
        Some(Usual {
            number,
            gps,
            cell,
            rest,
        })
    }

    /// A location with the usual trailer: 0x22.
    #[must_use]
    pub fn new(gps: Gps, cell: Cell, trailer: Trailer) -> Self {
        Self {
            number: 0x22,
            gps,
            cell: Some(cell),
            rest: LocationRest::Trailer(trailer),
        }
    }
}

/// The cell and what follows it, by number and length; `None`: no known layout.
fn layout(number: u8, body: &[u8]) -> Option<(Option<CellForm>, RestForm)> {
    let (gps, rest) = body.split_first_chunk()?;
    if rest.is_empty() {
        return Some((None, RestForm::Nothing));
    }
    let mcc = Cell::peek_mcc(rest);
    let form = match number {
        0xa0 => CellForm::L15,
        0x22 if rest.len() == CellForm::L9c.len(mcc) + LocationClimate::LEN => CellForm::L9c,
        _ => CellForm::L8,
    };
    let rest = RestForm::find(
        number,
        form,
        rest.get(form.len(mcc)..)?,
        &Gps::from_bytes(gps),
    )?;
    Some((Some(form), rest))
}

impl Body for Location {
    const NAME: &'static str = "location";
    const ANSWER: Answer = Answer::ByPolicy;

    #[inline]
    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && layout(cx.number(), cx.body).is_some())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let (form, rest) = layout(cx.number(), cx.body).unwrap_or((None, RestForm::Nothing));
        Ok(Self {
            number: cx.number(),
            gps: Gps::decode(r)?,
            cell: form.map(|form| Cell::decode(r, form)).transpose()?,
            rest: LocationRest::decode(r, rest, cx.dialect)?,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        if let Some(cell) = self.cell {
            cell.encode(out);
        }
        self.rest.encode(out);
    }

    fn number(&self) -> u8 {
        self.number
    }

    fn dialect(&self) -> Option<Dialect> {
        matches!(self.rest, LocationRest::Climate(_)).then_some(Dialect::Seeworld)
    }

    fn clock(&self) -> Option<(DateTime, Option<bool>)> {
        let live = self.rest.trailer().and_then(Trailer::is_live);
        (self.number == 0x12).then_some((self.gps.time(), live))
    }

    /// Key: number, time, position, upload mode; and alarm, card and inputs, if sent.
    #[cfg(feature = "telemetry")]
    #[inline]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        match &self.rest {
            LocationRest::Trailer(trailer) => {
                let key = self.key(Some(trailer.upload_mode));
                trailer.normalize(self.positioned(cx, out, key));
            }
            rest => {
                let key = self.key(rest.trailer().map(|trailer| trailer.upload_mode));
                let report = self.positioned(cx, out, key);
                rest.normalize(report, cx, &self.gps, key);
            }
        }
    }
}

#[cfg(feature = "telemetry")]
impl Location {
    #[inline(always)]
    const fn key(&self, upload_mode: Option<u8>) -> crate::normalize::Key {
        crate::normalize::Key::new(self.number).upload_mode(upload_mode)
    }

    #[inline(always)]
    fn positioned<'r>(
        &self,
        cx: &crate::normalize::Context<'_>,
        out: &'r mut crate::normalize::Reports,
        key: crate::normalize::Key,
    ) -> &'r mut milepost_telemetry::Report {
        let report = cx.positioned(out, milepost_telemetry::Kind::Location, &self.gps, key);
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
        report
    }
}
