//! 0x39, alarm with radio and items (Jimi 4G).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 8 to 18 | cell | [`RadioCell`] |
//! | | 5 | status | [`Status`]; the high half of the language extends the alarm's code |
//! | | | items | [`Items`] |
//!
//! Seen on devices.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{Gps, Items, RadioCell, Status};
use crate::frame::Start;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// An alarm with radio and items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RadioAlarm {
    /// How the frame starts.
    pub start: Start,
    /// Where and when.
    pub gps: Gps,
    /// The serving cell.
    pub cell: RadioCell,
    /// Status and alarm.
    pub status: Status,
    /// The rest.
    pub items: Items,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

impl Body for RadioAlarm {
    const NAME: &'static str = "radio_alarm";
    const ANSWER: Answer = Answer::WhenDelivered;

    fn accepts(cx: &Context<'_>) -> bool {
        (cx.is_long() || cx.is_short()) && !cx.body.is_empty()
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            start: cx.head.start(),
            gps: Gps::decode(r)?,
            cell: RadioCell::decode(r)?,
            status: Status::decode_extended(r)?,
            items: Items::decode_if_fits(r)?,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        self.cell.encode(out);
        self.status.encode(out);
        self.items.encode(out);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x39
    }

    fn start(&self) -> Start {
        self.start
    }

    fn answer(&self) -> Answer {
        self.status.answer()
    }

    /// Key: number, time, position, alarm.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x39).alarm(Some(self.status.extended_key()));
        let report = cx.positioned(out, telemetry::Kind::Alarm, &self.gps, key);
        self.cell.normalize(report);
        self.status.normalize_extended(report, cx.dialect());
        self.items.normalize(report);
        cx.note_tail(report, &self.tail);
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
                (alarm.status.extended_code(), alarm.items.0.len()),
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
            (telemetry::EventKind::Jamming, Some(0x107))
        );
        let report = crate::message::testing::report(read("46 06 04 07 02"));
        assert_eq!(
            report.more.events.first().unwrap().kind,
            telemetry::EventKind::Unknown
        );
    }
}
