//! 0x37, position with a list of items (JM-VG01U, JM-VG02U).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 8, 9 | cell | [`Cell`] |
//! | 26 | 3 | trailer | [`Trailer`] |
//! | 29 | 0 or 4 | mileage | metres; only where the list fits behind it and not without it |
//! | | | items | [`Items`] |
//!
//! Seen on devices. Bytes that are no list of items are kept as they are.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{Cell, CellForm, Gps, Items, Trailer, mileage};
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
    pub trailer: Option<Trailer>,
    /// Metres.
    pub mileage: Option<u32>,
    /// The rest.
    pub items: Items,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

impl Body for ItemLocation {
    const NAME: &'static str = "item_location";
    const ANSWER: Answer = Answer::ByPolicy;

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let cell = Cell::decode(r, CellForm::L8)?;
        let trailer =
            if r.remaining() >= Trailer::LEN { Some(Trailer::decode(r)?) } else { None };
        let has_mileage = !Items::fits(r.peek()) && r.peek().get(4..).is_some_and(Items::fits);
        let mileage = if has_mileage { Some(mileage(r)?) } else { None };
        Ok(Self {
            gps,
            cell,
            trailer,
            mileage,
            items: Items::decode_if_fits(r)?,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        self.cell.encode(out);
        if let Some(trailer) = self.trailer {
            trailer.encode(out);
        }
        out.extend(self.mileage.into_iter().flat_map(u32::to_be_bytes));
        self.items.encode(out);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x37
    }

    #[cfg(feature = "telemetry")]
    fn normalize(
        &self,
        cx: &crate::normalize::Context<'_>,
        out: &mut dyn FnMut(telemetry::Report),
    ) {
        let key = crate::normalize::Key::new(0x37)
            .gps(&self.gps)
            .upload_mode(self.trailer.map(|trailer| trailer.upload_mode));
        let mut report = cx.positioned(telemetry::Kind::Location, &self.gps, &key);
        report.network.cell = self.cell.normalize(true);
        if let Some(trailer) = self.trailer {
            trailer.normalize(&mut report);
        }
        report.odometer_m = self.mileage.map(f64::from);
        self.items.normalize(&mut report);
        cx.note_tail(&mut report, &self.tail);
        out(report);
    }
}
