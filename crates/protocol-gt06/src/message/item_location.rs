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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{CELL, GPS, read_parts};
    use crate::{Message, Start};

    const TRAILER: &str = "00 00 01";
    const ITEMS: &str = "002e 04 00002328  003b 02 00fa  003c 04 01020001";

    fn read(parts: &[&str]) -> ItemLocation {
        match read_parts(Start::Short, 0x37, parts) {
            Message::ItemLocation(read) => read,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_mileage_stands_before_the_items_or_does_not() {
        let without = read(&[GPS, CELL, TRAILER, ITEMS]);
        assert_eq!((without.mileage, without.items.0.len()), (None, 3));
        let with = read(&[GPS, CELL, TRAILER, "000003e8", ITEMS]);
        assert_eq!(
            (with.mileage, with.items.0.len()),
            (Some(Mileage(1_000)), 3)
        );
        // A first item of four bytes could be a mileage and items after it; it is an item.
        let both = read(&[GPS, CELL, TRAILER, "006a 01 64", "0027 02 04e4"]);
        assert_eq!((both.mileage, both.items.0.len()), (None, 2));
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn known_items_have_names_and_unknown_ones_are_seen() {
        use crate::message::testing::{report, signal};
        let report = report(read(&[GPS, CELL, TRAILER, ITEMS, "0027 02 04e4"]));
        assert_eq!(report.odometer, Some(9_000.into()));
        assert_eq!(report.power.external.unwrap().as_volts(), 12.52);
        assert_eq!(signal(&report, "gt06.accuracy_or_hdop").unwrap(), "2.5");
        assert_eq!(signal(&report, "gt06.item.003c").unwrap(), "01020001");
    }
}
