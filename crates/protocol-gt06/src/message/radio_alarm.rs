//! 0x39, alarm with radio and items (Jimi 4G).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 8 to 18 | cell | [`RadioCell`] |
//! | | 5 | status | [`Status`]; the high half of the language extends the alarm's code |
//! | | | items | [`Items`] |
//!
//! Seen on devices. What is cut short behind the position costs neither fix nor kind: a status is
//! read only whole and behind a whole cell, a list only where it ends with the body, and the rest is
//! kept as it is. An alarm without a status names none, and is acknowledged.

use alloc::boxed::Box;

use bytes::{BufMut, BytesMut};

use super::{Body, Context, Fit};
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
    /// The serving cell; `None` where the body ends before.
    pub cell: Option<RadioCell>,
    /// Status and alarm; `None` where the body ends before.
    pub status: Option<Status>,
    /// The rest.
    pub items: Items,
    /// Bytes that no manual knows. Held apart, so that all messages stay as small as they are.
    pub tail: Box<[u8]>,
}

impl Body for RadioAlarm {
    const NAME: &'static str = "radio_alarm";
    const ANSWER: Answer = Answer::WhenDelivered;

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if((cx.is_long() || cx.is_short()) && !cx.body.is_empty())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let mut whole = r.whole_fields();
        let cell = RadioCell::decode_whole(&mut whole)?;
        let status = whole.read(Status::LEN, Status::decode_extended)?;
        Ok(Self {
            start: cx.head.start(),
            gps,
            cell,
            status,
            items: match status {
                Some(_) => Items::decode_if_fits(r)?,
                None => Items::default(),
            },
            tail: r.take_rest("unknown").as_ref().into(),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        if let Some(cell) = &self.cell {
            cell.encode(out);
        }
        if let Some(status) = &self.status {
            status.encode(out);
        }
        self.items.encode(out);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x39
    }

    fn raw_battery(&self) -> Option<u8> {
        self.status.map(|status| status.raw_battery)
    }

    fn start(&self) -> Start {
        self.start
    }

    fn answer(&self) -> Answer {
        self.status
            .map_or(Self::ANSWER, |status| status.answer_extended())
    }

    /// Key: number, time, position, alarm.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key =
            crate::normalize::Key::new(0x39).alarm(self.status.map(|status| status.extended_key()));
        let report = cx.positioned(out, milepost_telemetry::Kind::Alarm, &self.gps, key);
        if let Some(cell) = &self.cell {
            cell.normalize(report);
        }
        if let Some(status) = &self.status {
            status.normalize_extended(cx, report, cx.dialect());
        }
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
                (alarm.status.unwrap().extended_code(), alarm.items.0.len()),
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

    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_behind_the_position_costs_neither_fix_nor_kind() {
        use crate::message::testing::{cut_short, signal};

        for (cell, cell_ends) in [(CELL, 36), ("00 81cc 0007 287d 001f71 50", 29)] {
            // What the cell or the status begins with could be an empty item.
            let parts = [GPS, cell, "46 06 00 01 02", "0027 02 04e4"];
            for (len, message, report) in cut_short(Start::Short, 0x39, 18, &parts) {
                assert_eq!(message.answer(), Answer::WhenDelivered, "{len}");
                let Message::RadioAlarm(read) = message else {
                    panic!("{message:?}")
                };
                assert_eq!(report.kind, milepost_telemetry::Kind::Alarm);
                assert_eq!(report.network.cell.is_some(), len >= cell_ends, "{len}");
                let has_status = len >= cell_ends + 5;
                assert_eq!(read.status.is_some(), has_status, "{len}");
                assert_eq!(report.more.events.len(), usize::from(has_status), "{len}");
                assert!(read.items.0.is_empty(), "{len}");
                let is_whole = len == 18 || len == cell_ends || len == cell_ends + 5;
                assert_eq!(signal(&report, "gt06.tail").is_none(), is_whole, "{len}");
            }
        }
    }
}
