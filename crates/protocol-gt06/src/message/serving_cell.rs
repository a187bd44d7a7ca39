//! 0x8B, the serving cell, sent after login.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 8, 9 | cell | [`Cell`] |
//!
//! L 0D. Seen on devices; no reply is known.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{Cell, CellForm};
use crate::parse::{Reader, Trace};

/// The serving cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServingCell {
    /// The cell.
    pub cell: Cell,
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

impl Body for ServingCell {
    const NAME: &'static str = "serving_cell";

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            cell: Cell::decode(r, CellForm::L8)?,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.cell.encode(out);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x8b
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        // No time is in it, so where the frame arrived is its identity.
        let report = cx.untimed(out, milepost_telemetry::Kind::Cells, 0);
        report.network.cell = self.cell.normalize(true);
        cx.note_tail(report, &self.tail);
    }
}
