//! 0x24 (L 31; 32 with a wide MNC) and 0x34 (L 37), as many cells as there are.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 6 | time | [`DateTime`] |
//! | 6 | 1 | timing advance | |
//! | 7 | 3, 4 | network | [`Plmn`]; 0x34: always 4 |
//! | 10 | 1 | count | N; not in 0x34 |
//! | 11 | N × 6 | cells | [`Neighbour`], the first is the serving one; 0x34: N × 7 |
//! | | | padding | zeros in 0x24 |
//!
//! 0x24 seen on WanWay S20, 0x34 on SL4X (its reading is not confirmed by a manual: N is as far as
//! the body goes). Both numbers mean other things too: this one has its own length, with a
//! country code after the byte after the time.

use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{DateTime, Neighbour, NeighbourForm, Plmn, encode_counted, is_mcc, is_time};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// Cells, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedCells {
    /// 0x24 or 0x34.
    pub number: u8,
    /// When.
    pub time: DateTime,
    /// Timing advance.
    pub timing_advance: u8,
    /// The network of all cells; 0x34 writes its MNC in two bytes whatever its MCC.
    pub network: Plmn,
    /// The cells.
    pub cells: Vec<Neighbour>,
    /// Padding, and bytes that no manual describes.
    pub tail: Bytes,
}

const LEN_24: usize = 0x31 - 5;
const WIDE_LEN_24: usize = LEN_24 + 1;

impl Body for CountedCells {
    const NAME: &'static str = "counted_cells";
    const ANSWER: Answer = Answer::ByPolicy;

    fn fit(cx: &Context<'_>) -> Fit {
        let fits = cx.is_short()
            && match cx.number() {
                // A list of seven cells has 51 bytes and more.
                0x24 if cx.body.len() == WIDE_LEN_24 => {
                    is_mcc(cx.body, 7) && cx.body.get(7).is_some_and(|mcc| mcc & 0x80 != 0)
                }
                0x24 => cx.body.len() == LEN_24 && (is_mcc(cx.body, 7) || !is_mcc(cx.body, 6)),
                // An X1's alarm bits would have to look like a time, and its time like a country.
                _ => is_time(cx.body, 0) && is_mcc(cx.body, 7),
            };
        Fit::No.or_certain_if(fits)
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let time = DateTime::decode(r)?;
        let timing_advance = r.u8("timing advance")?;
        let (network, cells) = if cx.number() == 0x24 {
            let network = Plmn::decode(r)?;
            let count = r.u8("cell count")?;
            let cells = (0..count)
                .map(|_| Neighbour::decode(r, NeighbourForm::C6))
                .collect::<Result<_, _>>()?;
            (network, cells)
        } else {
            let network = Plmn {
                raw_mcc: r.u16("mcc")?,
                mnc: r.u16("mnc")?,
            };
            let form = NeighbourForm::C7;
            let cells = (0..r.remaining() / form.size())
                .map(|_| Neighbour::decode(r, form))
                .collect::<Result<_, _>>()?;
            (network, cells)
        };
        Ok(Self {
            number: cx.number(),
            time,
            timing_advance,
            network,
            cells,
            tail: r.take_rest("padding"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.time.encode(out);
        out.put_u8(self.timing_advance);
        if self.number == 0x24 {
            self.network.encode(out);
            encode_counted(&self.cells, out, Neighbour::encode);
        } else {
            out.put_u16(self.network.raw_mcc);
            out.put_u16(self.network.mnc);
            for cell in &self.cells {
                cell.encode(out);
            }
        }
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
        if self.tail.iter().any(|byte| *byte != 0) {
            cx.note_tail(report, &self.tail);
        }
    }
}
