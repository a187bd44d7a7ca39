//! 0x37, position with a list of items (JM-VG01U, JM-VG02U).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 8, 9 | cell | [`Cell`] |
//! | 26 | 3 | trailer | [`Trailer`] |
//! | 29 | 0 or 4 | mileage | metres; only where the list fits after it and not without it |
//! | | | items | [`Items`] |
//!
//! Seen on devices. A list has only ids that makers use (1 to 1FF, 1000 to 10FF), and ends with the
//! body.

use bytes::BytesMut;

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{Cell, CellForm, Gps, Items, Mileage, Trailer};
use crate::layout::Part;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position with items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemLocation {
    /// Where and when.
    pub gps: Gps,
    /// The serving cell.
    pub cell: Cell,
    /// Why it was sent.
    pub trailer: Trailer,
    /// Metres.
    pub mileage: Option<Mileage>,
    /// The rest.
    pub items: Items,
}

impl Body for ItemLocation {
    const NAME: &'static str = "item_location";
    const ANSWER: Answer = Answer::ByPolicy;

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && crate::parse::is_whole(cx.body, Self::read))
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        Self::read(r)
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        self.cell.encode(out);
        self.trailer.encode(out);
        self.mileage.write(out);
        self.items.encode(out);
    }

    fn number(&self) -> u8 {
        0x37
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x37).upload_mode(Some(self.trailer.upload_mode));
        let report = cx.positioned(out, milepost_telemetry::Kind::Location, &self.gps, key);
        self.cell.note(cx, report);
        self.trailer.note(cx, report);
        self.mileage.note(cx, report);
        self.items.note(cx, report);
    }
}

impl ItemLocation {
    fn read<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        Ok(Self {
            gps: Gps::decode(r)?,
            cell: Cell::decode(r, CellForm::L8)?,
            trailer: Trailer::decode(r)?,
            mileage: match Items::are_likely(r.peek()) || Items::starts_known(r.peek()) {
                true => None,
                false => Some(Mileage::read(r, ())?),
            },
            items: match Items::are_likely(r.peek()) {
                true => Items::decode(r)?,
                // Left over, so that it is no known layout.
                false => Items::default(),
            },
        })
    }
}
