//! 0x19 (L 12, 13) and 0xA5 (L 19, 1A), alarm with a cell and neither position nor time.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 8, 9 | cell | [`Cell`]: 0x19; 0xA5 15 or 16 |
//! | 8, 15 | 5 | status | [`Status`] |
//!
//! Concox GT06 manual (0x19), Jimi 4G manuals (0xA5). Longer bodies of 0x19 hold a time and
//! several cells: [`CellScan`](super::CellScan).

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{Cell, CellForm, Status};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// An alarm with a cell alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellAlarm {
    /// 0x19 or 0xA5.
    pub number: u8,
    /// The serving cell.
    pub cell: Cell,
    /// Status and alarm.
    pub status: Status,
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

impl Body for CellAlarm {
    const NAME: &'static str = "cell_alarm";
    const ANSWER: Answer = Answer::WhenDelivered;

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let form = match (cx.number(), r.peek()) {
            (0xa5, _) => CellForm::L15,
            // One byte more without a wide MNC: a cell id of four.
            (_, [0..=0x7f, ..]) if r.remaining() == 14 => CellForm::L9c,
            _ => CellForm::L8,
        };
        Ok(Self {
            number: cx.number(),
            cell: Cell::decode(r, form)?,
            status: Status::decode(r)?,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.cell.encode(out);
        self.status.encode(out);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        self.number
    }

    fn raw_battery(&self) -> Option<u8> {
        Some(self.status.raw_battery)
    }

    fn answer(&self) -> Answer {
        self.status.answer()
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        // No time is in it, so where the frame arrived is its identity.
        let report = cx.untimed(out, milepost_telemetry::Kind::Alarm, 0);
        report.network.cell = self.cell.normalize(true);
        self.status.normalize(cx, report, cx.dialect());
        cx.note_tail(report, &self.tail);
    }
}
