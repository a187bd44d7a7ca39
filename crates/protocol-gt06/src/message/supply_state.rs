//! 0x24, L 2E, position with ignition and voltages (SR411 mini).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 8, 9 | cell | [`Cell`] |
//! | 26 | 1 | ignition | 0 off, 1 on |
//! | 27 | 2 | supply | volts × 100 |
//! | 29 | 2 | battery | volts × 100 |
//! | 31 | 10 | unknown | |
//!
//! Seen on devices. Other 0x24 hold cells: no list of cells has this length and a cell after a
//! position.

use super::{Body, Context, Fit};
use crate::field::{BatteryVoltage, Cell, CellForm, Gps, Ignition, Supply, is_cell};
use crate::layout::{layout, plain};
use crate::reply::Answer;

layout! {
    /// A position with ignition and voltages.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct SupplyState {
        /// Where and when.
        gps: Gps,
        /// The serving cell.
        cell: Cell as CellForm::L8,
        /// 0 off, 1 on.
        ignition: Ignition,
        /// Volts × 100.
        supply: Supply,
        /// Volts × 100.
        battery: BatteryVoltage,
        /// Bytes that no manual describes.
        unknown: [u8; 10] as "unknown",
    }
}

impl Body for SupplyState {
    const NAME: &'static str = "supply_state";
    const ANSWER: Answer = Answer::ByPolicy;

    plain!(0x24);

    fn fit(cx: &Context<'_>) -> Fit {
        let has_cell = is_cell(cx.body, Gps::LEN);
        Fit::No.or_certain_if(cx.is_short() && has_cell && Self::is_whole(cx.body))
    }

    /// Key: number, time, position, ignition.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x24);
        let kind = milepost_telemetry::Kind::Location;
        let report = cx.positioned_with(out, kind, &self.gps, key, &[self.ignition.0]);
        self.note_fields(cx, report);
        cx.note_tail(report, &self.unknown);
    }
}
