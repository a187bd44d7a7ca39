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
//! AZ735's. Each is told by its length, unless a country code stands where the other has its own. In
//! another length, cut short or longer, this one is told by a time and a place, and by the size of the
//! cell (0A) or a country code behind it. Then cell and status are read as far as they are whole, and
//! only where there is a country code (or zeros, or ones) and the status is like one, no less than what
//! stands a byte off; else all behind
//! the position is kept as it is. An alarm without a status names none, and is acknowledged.

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{Cell, CellForm, Gps, Status, is_gps, is_mcc, is_timed_place, may_be_cell};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// An alarm with altitude.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AltitudeAlarm {
    /// Where and when.
    pub gps: Gps,
    /// The size of the cell block, as sent; `None`, as what follows, where the body ends before.
    pub raw_cell_size: Option<u8>,
    /// The serving cell.
    pub cell: Option<Cell>,
    /// Status and alarm.
    pub status: Option<Status>,
    /// Metres.
    pub altitude: Option<i16>,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

const SIZE: u8 = 0x0a;
const STATUS_AT: usize = Gps::LEN + 1 + CellForm::L10.len(0);

const fn has_length(body: &[u8]) -> bool {
    matches!(body.len(), 34 | 36)
}

/// Whether size and country code stand where only this message has them.
fn has_cell(body: &[u8]) -> bool {
    body.get(Gps::LEN) == Some(&SIZE) && is_mcc(body, Gps::LEN + 1)
}

/// Whether a body is this message.
fn is_shape(body: &[u8]) -> bool {
    let is_location = is_timed_place(body) && is_mcc(body, Gps::LEN);
    if has_length(body) {
        // Zeros from the size on are a location without a network, cut short, unless a sound
        // status stands behind them.
        let is_status = || doubts(body, STATUS_AT) == Some(0);
        let has_zeros = body
            .get(Gps::LEN..)
            .is_some_and(|rest| rest.starts_with(&[0; 9]));
        return !is_location && (!has_zeros || is_status());
    }
    let has_size = body.get(Gps::LEN) == Some(&SIZE);
    let has_cell = || is_mcc(body, Gps::LEN + 1);
    !is_location
        && (is_gps(body) && (has_size || has_cell())
            || is_timed_place(body) && has_size && has_cell())
}

/// What speaks against a status there; `None` where it is not whole.
fn doubts(body: &[u8], at: usize) -> Option<u32> {
    let gps = Gps::from_bytes(body.first_chunk()?);
    Status::doubts_at(body.get(at..)?, &gps, false)
}

/// Whether what stands behind the position is what should.
fn is_sane(body: &[u8]) -> bool {
    may_be_cell(body.get(Gps::LEN + 1..).unwrap_or_default())
        && Status::is_at(STATUS_AT, |at| doubts(body, at))
}

impl Body for AltitudeAlarm {
    const NAME: &'static str = "altitude_alarm";
    const ANSWER: Answer = Answer::WhenDelivered;

    fn fit(cx: &Context<'_>) -> Fit {
        let fits = cx.is_short() && is_shape(cx.body);
        Fit::possible_if(fits).or_certain_if(fits && has_cell(cx.body))
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let mut whole = r.whole_fields();
        let raw_cell_size = whole.read(1, |r| r.u8("cell size"))?;
        whole.only_if(has_length(cx.body) || is_sane(cx.body));
        let cell = Cell::decode_whole(&mut whole, CellForm::L10)?;
        let status = whole.read(Status::LEN, Status::decode)?;
        let altitude = if status.is_some() && r.remaining() == 2 {
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
        out.extend(self.raw_cell_size);
        if let Some(cell) = &self.cell {
            cell.encode(out);
        }
        if let Some(status) = &self.status {
            status.encode(out);
        }
        out.extend(self.altitude.into_iter().flat_map(i16::to_be_bytes));
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x32
    }

    fn raw_battery(&self) -> Option<u8> {
        self.status.map(|status| status.raw_battery)
    }

    fn answer(&self) -> Answer {
        self.status.map_or(Self::ANSWER, |status| status.answer())
    }

    /// Key: number, time, position, alarm.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key =
            crate::normalize::Key::new(0x32).alarm(self.status.map(|status| status.alarm_key()));
        let report = cx.positioned(out, milepost_telemetry::Kind::Alarm, &self.gps, key);
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
        if let Some(status) = &self.status {
            status.normalize(cx, report, cx.dialect());
        }
        if let (Some(fix), Some(metres)) = (&mut report.fix, self.altitude) {
            fix.altitude = milepost_telemetry::Altitude::from_metres(metres.into()).ok();
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
        assert_eq!(report.kind, milepost_telemetry::Kind::Alarm);
        assert_eq!(
            report.more.events.first().unwrap().kind,
            milepost_telemetry::EventKind::Sos
        );
        assert_eq!(report.fix.unwrap().altitude.unwrap().as_metres(), 687.0);
        assert_eq!(report.network.cell.unwrap().mnc, 10);
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_behind_the_position_costs_neither_fix_nor_kind() {
        use crate::message::testing::{cut_short, signal};

        for cell in [
            CELL,
            "0a 82d4 000a c3c7 0dbdc40b",
            "0a 0000 0000 0000 00000000",
        ] {
            for (len, message, report) in cut_short(
                Start::Short,
                0x32,
                18,
                &[GPS, cell, "46 05 04 01 02", "02af"],
            ) {
                assert_eq!(message.answer(), Answer::WhenDelivered, "{len}");
                if len == 18 {
                    // Nothing tells what it was.
                    assert_eq!(message.name(), "supply_location");
                    assert_eq!(report.kind, milepost_telemetry::Kind::Location);
                    continue;
                }
                let Message::AltitudeAlarm(read) = message else {
                    panic!("{len}: {message:?}")
                };
                assert_eq!(report.kind, milepost_telemetry::Kind::Alarm);
                assert_eq!(read.cell.is_some(), len >= 29, "{len}");
                assert_eq!(report.more.events.len(), usize::from(len >= 34), "{len}");
                assert_eq!(report.fix.unwrap().altitude, None);
                let is_whole = matches!(len, 19 | 29 | 34);
                assert_eq!(read.tail.is_empty(), is_whole, "{len}");
            }
        }
        let longer = [GPS, CELL, "46 05 04 01 02", "02af", "aa"];
        let longer = crate::message::testing::report(read(&longer));
        assert_eq!(longer.more.events.len(), 1);
        // One does not know which of the three bytes is too many.
        assert_eq!(signal(&longer, "gt06.tail").unwrap(), "02afaa");
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn a_byte_too_many_in_the_cell_gives_no_alarm() {
        use crate::message::testing::{report, signal};

        let read = read(&[GPS, "0a 02d4 000a c3c7 000dbdc40b", "46 05 04 01 02"]);
        let report = report(read);
        assert!(report.fix.is_some() && report.more.events.is_empty());
        assert_eq!(report.network.cell, None);
        assert_eq!(
            signal(&report, "gt06.tail").unwrap(),
            "02d4000ac3c7000dbdc40b4605040102"
        );
    }
}
