//! 0x18, 0x24, 0x28, 0x2E and 0xA1, seven cells.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 6 | time | [`DateTime`]; all zero where the device has none |
//! | 6 | 3, 4 | network | [`Plmn`] |
//! | 9 | 7 × 6 | cells | [`Neighbour`], the first is the serving one, empty slots are zero; 0xA1: 7 × 13 |
//! | 51 | 0 or 1 | timing advance | |
//! | 52 | 0 or 2 | language | 1 Chinese, 2 English |
//!
//! L 3B, 3C (0xA1: 6C, 6D). Concox GT06 manual; without what is after the cells (L 38) seen on
//! devices. 0x28 and 0xA1 are specified in UTC, 0x18 does not say. 0x24 in other lengths is a
//! [`CountedCells`](super::CountedCells) or a [`SupplyState`](super::SupplyState).

use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{DateTime, Neighbour, NeighbourForm, Plmn};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// Seven cells and when they were heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellList {
    /// 0x18, 0x24, 0x28, 0x2E or 0xA1.
    pub number: u8,
    /// When.
    pub time: DateTime,
    /// The network of all cells.
    pub network: Plmn,
    /// The slots, empty ones too.
    pub cells: Vec<Neighbour>,
    /// Timing advance.
    pub timing_advance: Option<u8>,
    /// Language.
    pub language: Option<u16>,
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

/// The slots that the manuals know.
const SLOTS: usize = 7;

impl Body for CellList {
    const NAME: &'static str = "cell_list";
    const ANSWER: Answer = Answer::ByPolicy;

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let time = DateTime::decode(r)?;
        let network = Plmn::decode(r)?;
        let form = match cx.number() {
            0xa1 => NeighbourForm::C13,
            _ => NeighbourForm::C6,
        };
        // Fewer slots only where nothing is left over that is no timing advance or language.
        let slots = match (r.remaining() / form.size(), r.remaining() % form.size()) {
            (slots @ 0..SLOTS, 0 | 1 | 3) => slots,
            _ => SLOTS,
        };
        let cells = (0..slots)
            .map(|_| Neighbour::decode(r, form))
            .collect::<Result<_, _>>()?;
        let timing_advance = match r.remaining() {
            0 | 2 => None,
            _ => Some(r.u8("timing advance")?),
        };
        let language = match r.remaining() {
            0 | 1 => None,
            _ => Some(crate::field::language(r)?),
        };
        Ok(Self {
            number: cx.number(),
            time,
            network,
            cells,
            timing_advance,
            language,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.time.encode(out);
        self.network.encode(out);
        for cell in &self.cells {
            cell.encode(out);
        }
        out.extend(self.timing_advance);
        out.extend(self.language.into_iter().flat_map(u16::to_be_bytes));
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        self.number
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = super::whole_key(self);
        let report = cx.timed(out, milepost_telemetry::Kind::Cells, self.time, &key, 0);
        self.network.normalize(&self.cells, report);
        cx.note_tail(report, &self.tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{body, read_body, read_parts};
    use crate::{Message, Start};

    const TIME: &str = "0f0c1d023305";
    const TWO: &str = "287d 001f71 50  287d 001f72 5a";
    const WIDE: &str = "0000287d 0000000000001f71 50";

    fn read(number: u8, parts: &[&str]) -> CellList {
        match read_parts(Start::Short, number, parts) {
            Message::CellList(read) => read,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn seven_slots_have_timing_advance_and_language_after_them() {
        let empty = "00".repeat(5 * 6);
        for number in [0x18, 0x24, 0x28, 0x2e] {
            for network in ["01cc 00", "81cc 0007"] {
                let read = read(number, &[TIME, network, TWO, &empty, "ff 0002"]);
                assert_eq!(read.cells.len(), 7, "{number:02x}");
                assert_eq!(read.cells.iter().filter(|cell| cell.is_some()).count(), 2);
                assert_eq!((read.timing_advance, read.language), (Some(255), Some(2)));
            }
        }
        let read = read(0xa1, &[TIME, "01cc 00", &WIDE.repeat(7), "ff 0002"]);
        assert_eq!(read.cells.last().unwrap().cell_id, 8_049);
        assert_eq!((read.cells.len(), read.language), (7, Some(2)));
    }

    #[test]
    fn what_is_after_the_cells_may_be_missing_or_more() {
        let cells = "287d 001f71 50".repeat(7);
        let bare = read(0x28, &[TIME, "01cc 00", &cells]);
        assert_eq!((bare.timing_advance, bare.language), (None, None));
        let more = read(0x28, &[TIME, "01cc 00", &cells, "ff 0002 aabb"]);
        assert_eq!((more.language, more.tail.len()), (Some(2), 2));
        let few = read(0x2e, &[TIME, "01cc 00", TWO, "ff 0001"]);
        assert_eq!((few.cells.len(), few.language), (2, Some(1)));
    }

    #[test]
    fn a_list_that_breaks_off_is_an_error_with_its_place() {
        let bytes = body(&[TIME, "01cc 00", TWO, "287d 001f"]);
        let error = read_body(Start::Short, 0x28, &bytes).unwrap_err();
        assert_eq!((error.field(), error.offset()), ("cell id", 27));
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn empty_slots_are_not_reported_and_the_first_serves() {
        use crate::message::testing::{report, reports_as};
        let empty = "00".repeat(5 * 6);
        let list = read(0x28, &[TIME, "01cc 00", TWO, &empty, "ff 0002"]);
        let sent = report(list);
        assert_eq!(sent.kind, milepost_telemetry::Kind::Cells);
        assert_eq!(sent.zone, Some(milepost_telemetry::Zone::Utc));
        let cells: Vec<_> = sent
            .cells()
            .map(|cell| {
                (
                    cell.serving,
                    cell.mcc,
                    cell.lac,
                    cell.cell_id,
                    cell.signal_dbm,
                )
            })
            .collect();
        assert_eq!(
            cells,
            [
                (true, 460, 10_365, 8_049, Some(-80)),
                (false, 460, 10_365, 8_050, Some(-90))
            ]
        );
        // 0x18 does not say in which zone it is.
        let mut profile = crate::Profile::default();
        profile.zones.login = Some(480);
        let local = reports_as(&profile, read(0x18, &[TIME, "01cc 00", TWO, &empty]));
        assert_eq!(
            local.first().unwrap().zone,
            Some(milepost_telemetry::Zone::Login)
        );
    }
}
