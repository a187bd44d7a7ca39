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
