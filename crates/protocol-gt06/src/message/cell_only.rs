//! 0x11, one cell without position.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 6 | time | [`DateTime`]; all zero where the device has none |
//! | 6 | 8, 9 | cell | [`Cell`] |
//! | 14 | 0 or 2 | language | 1 Chinese, 2 English |
//!
//! L 13 and 15. Concox GT06 manual, which does not state in which zone the time is. Longer bodies of
//! this number hold a position: [`WideLocation`](super::WideLocation).

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{Cell, CellForm, DateTime, Gps, is_gps};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A cell and when it was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellOnly {
    /// When.
    pub time: DateTime,
    /// The serving cell.
    pub cell: Cell,
    /// Language.
    pub language: Option<u16>,
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

impl Body for CellOnly {
    const NAME: &'static str = "cell";
    const ANSWER: Answer = Answer::ByPolicy;

    fn fit(cx: &Context<'_>) -> Fit {
        // Too short for a position and a cell.
        Fit::possible_if(
            cx.is_short()
                && !cx.body.is_empty()
                && cx.body.len() < Gps::LEN + 8
                && !is_gps(cx.body),
        )
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            time: DateTime::decode(r)?,
            cell: Cell::decode(r, CellForm::L8)?,
            language: if r.remaining() == 2 {
                Some(crate::field::language(r)?)
            } else {
                None
            },
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.time.encode(out);
        self.cell.encode(out);
        out.extend(self.language.into_iter().flat_map(u16::to_be_bytes));
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x11
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = super::whole_key(self);
        let report = cx.timed(out, milepost_telemetry::Kind::Cells, self.time, &key, 0);
        report.network.cell = self.cell.normalize(true);
        cx.note_tail(report, &self.tail);
    }
}
