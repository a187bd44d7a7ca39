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
//! Seen on devices. A 0x32 of other lengths is a
//! [`SupplyLocation`](super::SupplyLocation); under `79 79` it is AZ735's.

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{Cell, CellForm, Gps, Status};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// An alarm with altitude.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AltitudeAlarm {
    /// Where and when.
    pub gps: Gps,
    /// The size of the cell block, as sent.
    pub raw_cell_size: u8,
    /// The serving cell.
    pub cell: Cell,
    /// Status and alarm.
    pub status: Status,
    /// Metres.
    pub altitude: Option<i16>,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

impl Body for AltitudeAlarm {
    const NAME: &'static str = "altitude_alarm";
    const ANSWER: Answer = Answer::WhenDelivered;

    fn accepts(cx: &Context<'_>) -> bool {
        cx.is_short() && matches!(cx.length(), 0x27 | 0x29)
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let raw_cell_size = r.u8("cell size")?;
        let cell = Cell::decode(r, CellForm::L10)?;
        let status = Status::decode(r)?;
        let altitude = if r.remaining() == 2 {
            let altitude = r.u16("altitude")?.cast_signed();
            r.note(|| format!("{altitude} m"));
            Some(altitude)
        } else {
            None
        };
        Ok(Self {
            gps,
            raw_cell_size,
            cell,
            status,
            altitude,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        out.put_u8(self.raw_cell_size);
        self.cell.encode(out);
        self.status.encode(out);
        out.extend(self.altitude.into_iter().flat_map(i16::to_be_bytes));
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x32
    }

    fn answer(&self) -> Answer {
        self.status.answer()
    }

    /// Key: number, time, position, alarm.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x32).alarm(Some(self.status.alarm_key()));
        let report = cx.positioned(out, telemetry::Kind::Alarm, &self.gps, key);
        report.network.cell = self.cell.normalize(true);
        self.status.normalize(report, cx.dialect());
        if let (Some(fix), Some(metres)) = (&mut report.fix, self.altitude) {
            fix.altitude = telemetry::Altitude::from_metres(metres.into()).ok();
        }
        cx.note_tail(report, &self.tail);
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
            Some(687)
        );
        assert_eq!(
            read(&[GPS, CELL, "46 05 04 01 02", "ffff"]).altitude,
            Some(-1)
        );
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn it_is_an_alarm_with_height() {
        let report = crate::message::testing::report(read(&[GPS, CELL, "46 05 04 01 02", "02af"]));
        assert_eq!(report.kind, telemetry::Kind::Alarm);
        assert_eq!(
            report.more.events.first().unwrap().kind,
            telemetry::EventKind::Sos
        );
        assert_eq!(report.fix.unwrap().altitude.unwrap().as_metres(), 687.0);
        assert_eq!(report.network.cell.unwrap().mnc, 10);
    }
}
