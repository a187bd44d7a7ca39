//! 0x19 (L 12, 13) and 0xA5 (L 19, 1A), alarm with a cell and neither position nor time.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 8, 9 | cell | [`Cell`]: 0x19; 0xA5 15 or 16 |
//! | 8, 15 | 5 | status | [`Status`] |
//!
//! Concox GT06 manual (0x19), Jimi 4G manuals (0xA5). Longer bodies of 0x19 hold a time and
//! several cells: [`CellScan`](super::CellScan).

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{Cell, CellForm, Status};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// An alarm with a cell alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellAlarm {
    /// 0x19 or 0xA5.
    pub number: u8,
    /// The serving cell.
    pub cell: Cell,
    /// Status and alarm.
    pub status: Status,
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

impl Body for CellAlarm {
    const NAME: &'static str = "cell_alarm";
    const ANSWER: Answer = Answer::WhenDelivered;

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let form = match (cx.number(), r.peek()) {
            (0xa5, _) => CellForm::L15,
            // One byte more without a wide MNC: a cell id of four.
            (_, [0..=0x7f, ..]) if r.remaining() == 14 => CellForm::L9c,
            _ => CellForm::L8,
        };
        Ok(Self {
            number: cx.number(),
            cell: Cell::decode(r, form)?,
            status: Status::decode(r)?,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.cell.encode(out);
        self.status.encode(out);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        self.number
    }

    fn raw_battery(&self) -> Option<u8> {
        Some(self.status.raw_battery)
    }

    fn answer(&self) -> Answer {
        self.status.answer()
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        // No time is in it, so where the frame arrived is its identity.
        let report = cx.untimed(out, milepost_telemetry::Kind::Alarm, 0);
        report.network.cell = self.cell.normalize(true);
        self.status.normalize(cx, report, cx.dialect());
        cx.note_tail(report, &self.tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{CELL, read_parts};
    use crate::{Message, Start};

    fn read(number: u8, parts: &[&str]) -> CellAlarm {
        match read_parts(Start::Short, number, parts) {
            Message::CellAlarm(read) => read,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn number_and_length_tell_the_size_of_the_cell() {
        const STATUS: &str = "20 03 04 01 02";
        for (number, cell, form) in [
            (0x19, CELL, CellForm::L8),
            (0x19, "81cc 0007 287d 001f71", CellForm::L8),
            (0x19, "01cc 00 287d 00001f71", CellForm::L9c),
            (0xa5, "01cc 00 0000287d 0000000000001f71", CellForm::L15),
            (0xa5, "81cc 0007 0000287d 0000000000001f71", CellForm::L15),
        ] {
            let read = read(number, &[cell, STATUS]);
            assert_eq!((read.cell.form, read.cell.lac), (form, 10_365), "{cell}");
            assert_eq!(read.status.raw_alarm, 1);
        }
    }

    #[test]
    fn only_the_language_0_wants_no_reply() {
        for (status, answer) in [
            ("20 03 04 01 00", Answer::Silent),
            ("20 03 04 01 02", Answer::WhenDelivered),
            // Bits above the language extend an alarm in other numbers, and here say nothing.
            ("20 03 04 01 10", Answer::WhenDelivered),
        ] {
            let alarm = Message::from(read(0x19, &[CELL, status]));
            assert_eq!(alarm.answer(), answer, "{status}");
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn it_has_no_time_but_its_arrival() {
        let report = crate::message::testing::report(read(0x19, &[CELL, "20 03 04 00 02"]));
        assert_eq!(
            (report.kind, report.device_time),
            (milepost_telemetry::Kind::Alarm, None)
        );
        // The code says nothing, the terminal's bits do.
        let event = report.more.events.first().unwrap();
        assert_eq!(
            (event.kind, event.code),
            (milepost_telemetry::EventKind::Sos, None)
        );
        assert!(report.fix.is_none() && report.network.cell.is_some());
    }
}
