//! 0x8B, the serving cell, sent after login.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 8, 9 | cell | [`Cell`] |
//!
//! L 0D. Seen on devices; no reply is known.

use bytes::Bytes;

use super::{Body, Context};
use crate::field::{Cell, CellForm};
use crate::layout::{layout, plain};

layout! {
    /// The serving cell.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ServingCell {
        /// The cell.
        cell: Cell as CellForm::L8,
        /// Bytes that no manual describes.
        tail: Bytes as "unknown",
    }
}

impl Body for ServingCell {
    const NAME: &'static str = "serving_cell";

    plain!(0x8b);

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        // No time is in it, so where the frame arrived is its identity.
        let report = cx.untimed(out, milepost_telemetry::Kind::Cells, 0);
        self.note_fields(cx, report);
    }
}
