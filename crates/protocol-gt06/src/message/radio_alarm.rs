//! 0x39, alarm with radio and items (Jimi 4G).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 8 to 18 | cell | [`RadioCell`] |
//! | | 5 | status | [`Status`](crate::field::Status); the high half of the language extends the alarm's code |
//! | | | items | [`Items`] |
//!
//! Seen on devices.

use super::{Body, Context, Fit};
use crate::field::{ExtendedStatus, Gps, Items, RadioCell};
use crate::layout::{layout, plain};
use crate::reply::Answer;

layout! {
    /// An alarm with radio and items.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct RadioAlarm {
        /// Where and when.
        gps: Gps,
        /// The serving cell.
        cell: RadioCell,
        /// Status and alarm.
        status: ExtendedStatus,
        /// The rest.
        items: Items,
    }
}

impl Body for RadioAlarm {
    const NAME: &'static str = "radio_alarm";
    const ANSWER: Answer = Answer::WhenDelivered;

    plain!(0x39);

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && Self::is_whole(cx.body))
    }

    fn raw_battery(&self) -> Option<u8> {
        Some(self.status.0.raw_battery)
    }

    fn answer(&self) -> Answer {
        self.status.0.answer_extended()
    }

    /// Key: number, time, position, alarm.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x39).alarm(Some(self.status.0.extended_key()));
        let report = cx.positioned(out, milepost_telemetry::Kind::Alarm, &self.gps, key);
        self.note_fields(cx, report);
    }
}
