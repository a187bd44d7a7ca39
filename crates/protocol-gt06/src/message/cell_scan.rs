//! 0x19, L 17 and above, several cells with a time (Space10X).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 6 | time | [`DateTime`] |
//! | 6 | 2 | mcc | country code; bit 15: MNC of two bytes |
//! | 8 | 1, 2 | mnc | network code |
//! | 9 | 1 | count | N |
//! | 10 | N × 6 | cells | [`Neighbour`], the first is the serving one |
//! | | 2 | unknown | |
//!
//! Seen on devices. No alarm is in it, although 0x19 is an alarm elsewhere:
//! [`CellAlarm`](super::CellAlarm) has 13 or 14 bytes.

use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{DateTime, Neighbour, NeighbourForm, Plmn};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// Several cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellScan {
    /// When.
    pub time: DateTime,
    /// Mobile country code; bit 15 says that the MNC has two bytes.
    pub raw_mcc: u16,
    /// Mobile network code.
    pub mnc: u16,
    /// The cells; no more than 255 can be written.
    pub cells: Vec<Neighbour>,
    /// Bytes that no manual describes; two are usual.
    pub tail: Bytes,
}

impl CellScan {
    const fn network(&self) -> Plmn {
        Plmn {
            raw_mcc: self.raw_mcc,
            mnc: self.mnc,
        }
    }
}

impl Body for CellScan {
    const NAME: &'static str = "cell_scan";
    const ANSWER: Answer = Answer::WhenDelivered;

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && cx.body.len() > 14)
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let time = DateTime::decode(r)?;
        let Plmn { raw_mcc, mnc } = Plmn::decode(r)?;
        let count = r.u8("cell count")?;
        let mut cells = Vec::new();
        for _ in 0..count {
            cells.push(Neighbour::decode(r, NeighbourForm::C6)?);
        }
        Ok(Self {
            time,
            raw_mcc,
            mnc,
            cells,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        let cells = self
            .cells
            .get(..usize::from(u8::MAX))
            .unwrap_or(&self.cells);
        self.time.encode(out);
        self.network().encode(out);
        out.put_u8(u8::try_from(cells.len()).unwrap_or(u8::MAX));
        for cell in cells {
            cell.encode(out);
        }
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x19
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = super::whole_key(self);
        let report = cx.timed(out, milepost_telemetry::Kind::Cells, self.time, &key, 0);
        self.network().normalize(&self.cells[..], report);
        if self.tail.iter().any(|byte| *byte != 0) {
            cx.note_tail(report, &self.tail);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::message::testing::{CELL, read_parts};
    use crate::{Message, Start};

    #[test]
    fn a_body_longer_than_an_alarm_is_a_list_of_cells() {
        let parts = [
            "0f0c1d023305",
            "01cc 00",
            "02 287d 001f71 50  287d 001f72 5a",
            "0000",
        ];
        let Message::CellScan(read) = read_parts(Start::Short, 0x19, &parts) else {
            panic!("no scan")
        };
        assert_eq!((read.cells.len(), read.tail.len()), (2, 2));
        let alarm = read_parts(Start::Short, 0x19, &[CELL, "20 03 04 01 02"]);
        assert!(matches!(alarm, Message::CellAlarm(_)));
    }

    #[test]
    fn a_count_that_lies_is_an_error_with_its_place() {
        let body = crate::message::testing::body(&["0f0c1d023305", "01cc 00", "05 287d 001f71 50"]);
        let error = crate::message::testing::read_body(Start::Short, 0x19, &body).unwrap_err();
        assert_eq!((error.field(), error.offset()), ("lac", 20));
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn the_first_cell_serves() {
        let parts = [
            "0f0c1d023305",
            "81cc 0007",
            "02 287d 001f71 50  287d 001f72 5a",
            "0000",
        ];
        let report = crate::message::testing::report(read_parts(Start::Short, 0x19, &parts));
        assert_eq!(report.kind, milepost_telemetry::Kind::Cells);
        assert!(report.more.events.is_empty());
        let cells: alloc::vec::Vec<_> = report.cells().copied().collect();
        assert_eq!(
            cells
                .iter()
                .map(|c| c.serving)
                .collect::<alloc::vec::Vec<_>>(),
            [true, false]
        );
        assert_eq!(
            cells.first().map(|c| (c.mcc, c.mnc, c.signal_dbm)),
            Some((460, 7, Some(-80)))
        );
        assert_eq!(report.more.signals, [], "a tail of zeros says nothing");
    }
}
