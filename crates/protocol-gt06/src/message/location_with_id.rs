//! 0x12, L 27, position after the terminal's id (QH302R).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 8 | terminal id | [`TerminalId`] |
//! | 8 | 18 | position | [`Gps`] |
//! | 26 | 8, 9 | cell | [`Cell`] |
//!
//! Seen on devices. It has a time after the id, where other 0x12 begin with one.

use super::{Body, Context, Fit};
use crate::field::{Cell, CellForm, Gps, TerminalId, is_time};
use crate::layout::{layout, plain};
use crate::reply::Answer;

layout! {
    /// A position with the terminal's id.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct LocationWithId {
        /// Who.
        id: TerminalId,
        /// Where and when.
        gps: Gps,
        /// The serving cell.
        cell: Cell as CellForm::L8,
    }
}

impl Body for LocationWithId {
    const NAME: &'static str = "location_with_id";
    const ANSWER: Answer = Answer::ByPolicy;

    plain!(0x12);

    fn fit(cx: &Context<'_>) -> Fit {
        let has_id = is_time(cx.body, 8) && !is_time(cx.body, 0);
        Fit::No.or_certain_if(cx.is_short() && has_id && Self::is_whole(cx.body))
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x12);
        let report = cx.positioned(out, milepost_telemetry::Kind::Location, &self.gps, key);
        self.note_fields(cx, report);
    }
}
