//! 0x32 under `78 78`, L 27 and 29, alarm with altitude (SL4X).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 1 | size of the cell | 0A |
//! | 19 | 10 | cell | [`Cell`] with MNC 2, cell id 4 |
//! | 29 | 5 | status | [`Status`] |
//! | 34 | 0 or 2 | altitude | metres, signed |
//!
//! Seen on devices. The other 0x32 is a [`SupplyLocation`](super::SupplyLocation); under `79 79` it is
//! AZ735's.

use super::{Body, Context, Fit};
use crate::field::{Altitude, Cell, CellForm, Gps, Status, is_mcc};
use crate::layout::{layout, plain};
use crate::reply::Answer;

layout! {
    /// An alarm with altitude.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct AltitudeAlarm {
        /// Where and when.
        gps: Gps,
        /// The size of the cell block, as sent.
        raw_cell_size: u8 as "cell size",
        /// The serving cell.
        cell: Cell as CellForm::L10,
        /// Status and alarm.
        status: Status,
        /// Metres.
        altitude: Option<Altitude>,
    }
}

const SIZE: u8 = 0x0a;

impl Body for AltitudeAlarm {
    const NAME: &'static str = "altitude_alarm";
    const ANSWER: Answer = Answer::WhenDelivered;

    plain!(0x32);

    fn fit(cx: &Context<'_>) -> Fit {
        let has_cell = cx.body.get(Gps::LEN) == Some(&SIZE) || is_mcc(cx.body, Gps::LEN + 1);
        Fit::possible_if(cx.is_short() && has_cell && Self::is_whole(cx.body))
    }

    fn raw_battery(&self) -> Option<u8> {
        Some(self.status.raw_battery)
    }

    fn answer(&self) -> Answer {
        self.status.answer()
    }

    /// Key: number, time, position, alarm.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x32).alarm(Some(self.status.alarm_key()));
        let report = cx.positioned(out, milepost_telemetry::Kind::Alarm, &self.gps, key);
        self.note_fields(cx, report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{GPS, read_parts};
    use crate::{Message, Start};

    const CELL: &str = "0a 02d4 000a c3c7 0dbdc40b";

    fn read(parts: &[&str]) -> AltitudeAlarm {
        match read_parts(Start::Short, 0x32, parts) {
            Message::AltitudeAlarm(read) => read,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_altitude_is_optional_and_never_the_serial_or_the_checksum() {
        assert_eq!(read(&[GPS, CELL, "46 05 04 01 02"]).altitude, None);
        assert_eq!(
            read(&[GPS, CELL, "46 05 04 01 02", "02af"]).altitude,
            Some(Altitude(687))
        );
        assert_eq!(
            read(&[GPS, CELL, "46 05 04 01 02", "ffff"]).altitude,
            Some(Altitude(-1))
        );
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn it_is_an_alarm_with_height() {
        let report = crate::message::testing::report(read(&[GPS, CELL, "46 05 04 01 02", "02af"]));
        assert_eq!(report.kind, milepost_telemetry::Kind::Alarm);
        assert_eq!(
            report.more.events.first().unwrap().kind,
            milepost_telemetry::EventKind::Sos
        );
        assert_eq!(report.fix.unwrap().altitude.unwrap().as_metres(), 687.0);
        assert_eq!(report.network.cell.unwrap().mnc, 10);
    }
}
