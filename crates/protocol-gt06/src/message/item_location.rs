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
//! Seen on devices. What is cut short behind the position, and bytes that are no list of items which
//! ends with the body, are kept as they are.
//!
//! What a mileage and a list begin with, cut short, can look like a list too. So a list has only ids
//! that makers use (1 to 1FF, 1000 to 10FF), and what begins with an item that is known is no mileage.

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
    /// The serving cell; `None` where the body ends before.
    pub cell: Option<Cell>,
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
        let mut whole = r.whole_fields();
        let cell = Cell::decode_whole(&mut whole, CellForm::L8)?;
        let trailer = whole.read(Trailer::LEN, Trailer::decode)?;
        let rest = r.peek();
        let has_mileage = trailer.is_some()
            && !Items::are_likely(rest)
            && !Items::starts_known(rest)
            && rest.get(4..).is_some_and(Items::are_likely);
        let mileage = if has_mileage { Some(mileage(r)?) } else { None };
        let items = if trailer.is_some() && Items::are_likely(r.peek()) {
            Items::decode(r)?
        } else {
            Items::default()
        };
        Ok(Self {
            gps,
            cell,
            trailer,
            mileage,
            items,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        if let Some(cell) = &self.cell {
            cell.encode(out);
        }
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
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x37)
            .upload_mode(self.trailer.map(|trailer| trailer.upload_mode));
        let report = cx.positioned(out, milepost_telemetry::Kind::Location, &self.gps, key);
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
        if let Some(trailer) = self.trailer {
            trailer.normalize(report);
        }
        if let Some(metres) = self.mileage {
            crate::field::note_mileage(report, metres);
        }
        self.items.normalize(report);
        cx.note_tail(report, &self.tail);
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
        assert_eq!((with.mileage, with.items.0.len()), (Some(1_000), 3));
        // A first item of four bytes could be a mileage with items behind it; it is an item.
        let both = read(&[GPS, CELL, TRAILER, "006a 01 64", "0027 02 04e4"]);
        assert_eq!((both.mileage, both.items.0.len()), (None, 2));
    }

    #[test]
    fn what_is_no_list_of_items_is_kept_whole() {
        let odd = read(&[GPS, CELL, TRAILER, ITEMS, "0027 05 01"]);
        assert!(odd.items.0.is_empty());
        assert_eq!(odd.tail.len(), 19 + 4);
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

    #[test]
    fn what_is_left_of_a_mileage_and_of_items_is_neither() {
        for rest in [
            // Of a mileage: an item without data, by its looks.
            "000000",
            // Of an item: four bytes, as of a mileage.
            "002e 04 00",
            "0018 02 01",
            // A mileage and half a list: items 0000 and 0400; 000f, 2e04 and others.
            "000003e8 002e 04 00",
            "000f0203 002e 04 00",
        ] {
            let read = read(&[GPS, CELL, TRAILER, rest]);
            assert_eq!((read.mileage, read.items.0.len()), (None, 0), "{rest}");
            assert_eq!(read.tail, crate::message::testing::body(&[rest]));
        }
        assert_eq!(read(&[GPS, CELL, TRAILER, "000003e8"]).mileage, Some(1_000));
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_behind_the_position_costs_no_fix() {
        use crate::message::testing::{cut_short, signal};

        for (cell, cell_ends) in [(CELL, 26), ("81cc 0007 287d 001f71", 27)] {
            for (mileage, items_at) in [("", cell_ends + 3), ("000003e8", cell_ends + 7)] {
                let parts = [
                    GPS,
                    cell,
                    TRAILER,
                    mileage,
                    "002e 04 00002328",
                    "003b 02 00fa",
                ];
                for (len, message, report) in cut_short(Start::Short, 0x37, 18, &parts) {
                    let Message::ItemLocation(read) = message else {
                        panic!("{message:?}")
                    };
                    assert_eq!(report.kind, milepost_telemetry::Kind::Location);
                    // A wide network code makes the cell nine bytes: of eight none is read.
                    assert_eq!(report.network.cell.is_some(), len >= cell_ends, "{len}");
                    assert_eq!(read.trailer.is_some(), len >= cell_ends + 3, "{len}");
                    let items = len == items_at + 7;
                    assert_eq!(read.items.0.len(), usize::from(items), "{len}");
                    let has_mileage = !mileage.is_empty() && (len == items_at || items);
                    assert_eq!(read.mileage, has_mileage.then_some(1_000), "{len}");
                    let is_whole =
                        [18, cell_ends, cell_ends + 3, items_at, items_at + 7].contains(&len);
                    assert_eq!(signal(&report, "gt06.tail").is_none(), is_whole, "{len}");
                }
            }
        }
    }
}
