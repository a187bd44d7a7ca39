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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{GPS, read_parts};
    use crate::{Message, Start};

    const CELL: &str = "03 01cc 00 0000287d 0000000000001f71 ffb0";

    fn read(status: &str) -> Message {
        read_parts(Start::Short, 0x39, &[GPS, CELL, status, "0027 02 04e4"])
    }

    #[test]
    fn the_high_half_of_the_language_belongs_to_the_alarm() {
        for (status, code, answer) in [
            ("46 06 04 07 12", 0x107, Answer::WhenDelivered),
            ("46 06 04 07 02", 0x007, Answer::WhenDelivered),
            ("46 06 04 07 10", 0x107, Answer::Silent),
        ] {
            let message = read(status);
            assert_eq!(message.answer(), answer);
            let Message::RadioAlarm(alarm) = message else {
                panic!("{message:?}")
            };
            assert_eq!(
                (alarm.status.0.extended_code(), alarm.items.0.len()),
                (code, 1)
            );
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn jamming_is_an_alarm_of_twelve_bits() {
        let report = crate::message::testing::report(read("46 06 04 07 12"));
        let event = report.more.events.first().unwrap();
        assert_eq!(
            (event.kind, event.code),
            (milepost_telemetry::EventKind::Jamming, Some(0x107))
        );
        let report = crate::message::testing::report(read("46 06 04 07 02"));
        assert_eq!(
            report.more.events.first().unwrap().kind,
            milepost_telemetry::EventKind::Unknown
        );
    }
}
