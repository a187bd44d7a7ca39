//! 0x11 (L 21) and 0x31 (L 2A), position with a wide cell.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 10 | cell | [`Cell`] with MNC 2, cell id 4 |
//! | 28 | 0 or 9 | more | [`WideLocationMore`]: 0x31 |
//!
//! Seen on devices; 0x31 on SL4X. In other lengths a 0x31 is a [`Location`](super::Location), and a
//! 0x11 a [`CellOnly`](super::CellOnly).

use bytes::BytesMut;

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{Altitude, Cell, CellForm, Gps, Mileage, Trailer};
use crate::layout::{Part, layout};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position with a wide cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WideLocation {
    /// 0x11 or 0x31.
    pub number: u8,
    /// Where and when.
    pub gps: Gps,
    /// The serving cell.
    pub cell: Cell,
    /// What 0x31 adds.
    pub more: Option<WideLocationMore>,
}

layout! {
    /// What 0x31 has after the cell.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct WideLocationMore {
        /// Why it was sent.
        trailer: Trailer,
        /// Metres.
        mileage: Mileage,
        /// Metres.
        altitude: Altitude,
    }
}

impl Body for WideLocation {
    const NAME: &'static str = "wide_location";
    const ANSWER: Answer = Answer::ByPolicy;

    #[inline]
    fn fit(cx: &Context<'_>) -> Fit {
        let has_length = match cx.number() {
            0x31 => cx.length() == 0x2a,
            _ => matches!(cx.length(), 0x21 | 0x2a),
        };
        Fit::possible_if(cx.is_short() && has_length)
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            number: cx.number(),
            gps: Gps::decode(r)?,
            cell: Cell::decode(r, CellForm::L10)?,
            more: Part::read(r, ())?,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        self.cell.encode(out);
        self.more.write(out);
    }

    fn number(&self) -> u8 {
        self.number
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(self.number)
            .upload_mode(self.more.map(|more| more.trailer.upload_mode));
        let report = cx.positioned(out, milepost_telemetry::Kind::Location, &self.gps, key);
        self.cell.note(cx, report);
        self.more.note(cx, report);
    }
}
