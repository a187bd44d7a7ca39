//! 0x61, L 2E, position with a driver's key (DT16E with iButton).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 8 | terminal id | [`TerminalId`] |
//! | 8 | 18 | position | [`Gps`] |
//! | 26 | 9, 10 | cell | [`Cell`] with a cell id of 4 |
//! | 35 | 6 | key | the key's number; all zero: none |
//!
//! Seen on devices.

use super::{Body, Context, Fit};
use crate::field::{Cell, CellForm, DriverKey, Gps, TerminalId};
use crate::layout::{layout, plain};
use crate::reply::Answer;

layout! {
    /// A position with a driver's key.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct KeyLocation {
        /// Who.
        id: TerminalId,
        /// Where and when.
        gps: Gps,
        /// The serving cell.
        cell: Cell as CellForm::L9c,
        /// The number of the key.
        key: DriverKey,
    }
}

impl Body for KeyLocation {
    const NAME: &'static str = "key_location";
    const ANSWER: Answer = Answer::ByPolicy;

    plain!(0x61);

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && Self::is_whole(cx.body))
    }

    /// Key: number, time, position, driver's key.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x61);
        let kind = milepost_telemetry::Kind::Location;
        let report = cx.positioned_with(out, kind, &self.gps, key, &self.key.0);
        self.note_fields(cx, report);
    }
}
