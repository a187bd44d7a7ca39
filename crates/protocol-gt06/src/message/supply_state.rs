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
//! Seen on devices. 0x24 holds cells elsewhere: no list of cells has this length and a cell after a
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

#[cfg(test)]
mod tests {
    use crate::message::testing::{CELL, GPS, body, read_body, read_parts};
    use crate::{Message, Start};

    const UNKNOWN: &str = "00112233445566778899";

    #[test]
    fn a_country_after_the_position_tells_it_from_cells() {
        for (cell, parts) in [(CELL, UNKNOWN), ("81cc 0007 287d 001f71", UNKNOWN)] {
            let read = read_parts(Start::Short, 0x24, &[GPS, cell, "01 04ce 019a", parts]);
            let Message::SupplyState(read) = read else {
                panic!("{read:?}")
            };
            assert_eq!(
                (read.cell.lac, read.supply.0, read.battery.0),
                (10_365, 1_230, 410)
            );
        }
        let cells = "287d 001f71 50".repeat(7);
        let list = read_parts(Start::Short, 0x24, &["0f0c1d023305", "01cc 00", &cells]);
        assert!(matches!(list, Message::CellList(_)), "{list:?}");
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn ignition_and_voltages_reach_the_report() {
        use crate::message::testing::{report, signal};
        let read = read_parts(Start::Short, 0x24, &[GPS, CELL, "01 04ce 019a", UNKNOWN]);
        let report = report(read);
        assert_eq!(report.kind, milepost_telemetry::Kind::Location);
        assert_eq!(report.io.ignition, Some(true));
        let volts =
            |v: Option<milepost_telemetry::Voltage>| v.map(|v| (v.as_volts() * 100.0).round());
        assert_eq!(volts(report.power.external), Some(1_230.0));
        assert_eq!(volts(report.power.battery), Some(410.0));
        assert_eq!(signal(&report, "gt06.tail").unwrap(), UNKNOWN);
    }

    #[test]
    fn cells_stay_cells_in_every_length() {
        let cells = "287d 001f71 50".repeat(7);
        let whole = body(&["0f0c1d023305", "01cc 00", &cells, "ff 0002"]);
        for len in 1..=whole.len() {
            let read = read_body(Start::Short, 0x24, &whole[..len]);
            assert!(
                !matches!(read, Ok(Message::SupplyState(_))),
                "{len}: {read:?}"
            );
        }
    }
}
