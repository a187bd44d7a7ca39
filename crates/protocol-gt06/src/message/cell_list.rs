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
//! devices. 0x28 and 0xA1 are specified in UTC, 0x18 is not. 0x24 in other lengths is a
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
