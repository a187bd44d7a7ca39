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

#[cfg(test)]
mod tests {
    use crate::message::testing::{GPS, read_parts};
    use crate::{Message, Start};

    const ID: &str = "0123456789012345";
    const CELL: &str = "01cc 00 287d 00001f71";

    #[cfg(feature = "telemetry")]
    #[test]
    fn a_key_of_zeros_is_no_driver() {
        for (key, driver) in [
            ("0000 0a1b2c3d", Some("00000a1b2c3d")),
            ("0000 00000000", None),
        ] {
            let read = read_parts(Start::Short, 0x61, &[ID, GPS, CELL, key]);
            let report = crate::message::testing::report(read);
            let identity = report.more.identity.clone().unwrap();
            assert_eq!(identity.driver.as_deref(), driver);
            assert_eq!(identity.imei.as_deref(), Some("123456789012345"));
        }
    }

    #[test]
    fn the_cell_is_wide() {
        let read = read_parts(Start::Short, 0x61, &[ID, GPS, CELL, "0000 0a1b2c3d"]);
        let Message::KeyLocation(read) = read else {
            panic!("{read:?}")
        };
        assert_eq!(
            (read.cell.cell_id, read.key.0),
            (8_049, [0, 0, 0x0a, 0x1b, 0x2c, 0x3d])
        );
    }
}
