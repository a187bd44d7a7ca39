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
