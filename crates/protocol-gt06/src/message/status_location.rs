//! 0x22 with status (NT11 to NT46, XT40: L 3C) and 0x25, the same with a driver (XT40, X25: L 4E).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 1 | source | unknown |
//! | 1 | 8 | terminal id | [`TerminalId`] |
//! | 9 | 6 | device time | [`DateTime`], UTC |
//! | 15 | 18 | position | [`Gps`] |
//! | 33 | 1 | size of the cell | nothing reliable |
//! | 34 | 8, 9 | cell | [`Cell`]; 0x25: 9, 10 |
//! | | 0 or 1 | radio | kind of radio: 0x25 |
//! | 42 | 1 | terminal information | [`TerminalInfo`] |
//! | 43 | 2 | supply | volts × 100 |
//! | 45 | 1 | battery | volts × 10 |
//! | 46 | 1 | mobile signal | |
//! | 47 | 1 | alarm | [`Alarm`] |
//! | 48 | 1 | language | |
//! | 49 | 3 | mileage | unit unknown |
//! | 52 | 3 | working time | minutes |
//! | | 1 | size of the driver | N, 0x25; 0: nothing follows |
//! | | 1 | kind of id | 0x25 |
//! | | N − 1 | driver | 0x25 |
//!
//! Seen on devices.

use alloc::format;
use alloc::string::ToString;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{Cell, CellForm, DateTime, Gps, TerminalId, TerminalInfo, is_time};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position with the terminal's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusLocation {
    /// 0x22 or 0x25.
    pub number: u8,
    /// Unknown.
    pub source: u8,
    /// Who.
    pub id: TerminalId,
    /// The device's clock.
    pub device_time: DateTime,
    /// Where, and when that was.
    pub gps: Gps,
    /// The size of the cell block, as sent.
    pub raw_cell_size: u8,
    /// The serving cell.
    pub cell: Cell,
    /// The kind of radio: 0x25.
    pub radio: Option<u8>,
    /// Switches.
    pub terminal: TerminalInfo,
    /// Volts × 100.
    pub supply: u16,
    /// Volts × 10.
    pub battery: u8,
    /// Mobile signal.
    pub signal: u8,
    /// Alarm.
    pub alarm: u8,
    /// Language.
    pub language: u8,
    /// Unit unknown; 24 bits.
    pub mileage: u32,
    /// Minutes; 24 bits.
    pub working_time: u32,
    /// The driver, the kind of id in the first byte: 0x25.
    pub driver: Option<Bytes>,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

/// Whether the frame is one of these.
#[inline]
pub(super) fn is_shape(cx: &Context<'_>) -> bool {
    // Known by their length, L 3C, or as long and with two times, where bytes follow that no
    // manual knows: no other 0x22 is as long.
    cx.number() == 0x22
        && match cx.body.len() {
            55 => true,
            56.. => is_time(cx.body, 9) && is_time(cx.body, 15),
            _ => false,
        }
}

impl Body for StatusLocation {
    const NAME: &'static str = "status_location";
    const ANSWER: Answer = Answer::ByPolicy;

    #[inline]
    fn accepts(cx: &Context<'_>) -> bool {
        cx.is_short() && (is_shape(cx) || cx.number() == 0x25)
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let source = r.u8("source")?;
        let id = TerminalId(r.array("terminal id")?);
        r.note(|| id.to_string());
        let device_time = DateTime::decode(r)?;
        let gps = Gps::decode(r)?;
        let raw_cell_size = r.u8("cell size")?;
        let with_driver = cx.number() == 0x25;
        let cell = Cell::decode(
            r,
            if with_driver {
                CellForm::L9c
            } else {
                CellForm::L8
            },
        )?;
        let radio = if with_driver {
            Some(r.u8("radio")?)
        } else {
            None
        };
        let terminal = TerminalInfo(r.u8("terminal information")?);
        r.note(|| terminal.describe());
        let supply = r.u16("supply")?;
        r.note(|| format!("{:.2} V", f32::from(supply) / 100.0));
        let battery = r.u8("battery")?;
        r.note(|| format!("{:.1} V", f32::from(battery) / 10.0));
        let signal = crate::field::signal(r)?;
        let alarm = r.u8("alarm")?;
        r.note(|| crate::field::alarm_meaning(alarm.into()).into());
        let language = crate::field::reply_language(r)?;
        let mileage = r.u24("mileage")?;
        let working_time = r.u24("working time")?;
        r.note(|| format!("{working_time} min"));
        let driver = if with_driver { Some(driver(r)?) } else { None };
        Ok(Self {
            number: cx.number(),
            source,
            id,
            device_time,
            gps,
            raw_cell_size,
            cell,
            radio,
            terminal,
            supply,
            battery,
            signal,
            alarm,
            language,
            mileage,
            working_time,
            driver,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.source);
        out.put_slice(&self.id.0);
        self.device_time.encode(out);
        self.gps.encode(out);
        out.put_u8(self.raw_cell_size);
        self.cell.encode(out);
        out.extend(self.radio);
        out.put_u8(self.terminal.0);
        out.put_u16(self.supply);
        out.put_slice(&[self.battery, self.signal, self.alarm, self.language]);
        out.put_uint(self.mileage.into(), 3);
        out.put_uint(self.working_time.into(), 3);
        if let Some(driver) = &self.driver {
            out.put_u8(u8::try_from(driver.len()).unwrap_or(u8::MAX));
            out.put_slice(driver);
        }
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        self.number
    }

    /// Key: number, both times, position, alarm, driver.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use crate::field::{Alarm, note_signal};
        use telemetry::Signal;

        // The same position is sent again with a new device time: that is a new fact, so both
        // times are in the key.
        let alarm = crate::field::alarm_key(self.alarm.into(), self.terminal);
        let key = crate::normalize::Key::new(self.number).alarm(Some(alarm));
        let report = cx.positioned_at(
            out,
            telemetry::Kind::Location,
            &self.gps,
            self.device_time,
            key,
        );
        if let Some(driver) = &self.driver {
            cx.tell_apart(report, &self.gps, self.device_time, key, driver);
        }
        report.network.cell = self.cell.normalize(true);
        self.terminal.normalize(report);
        crate::field::note_supply(report, self.supply);
        crate::field::note_battery_decivolts(report, self.battery);
        note_signal(report, self.signal);
        let alarm = Alarm::from_status(self.alarm.into(), self.terminal, cx.dialect());
        if let Some(alarm) = alarm {
            alarm.normalize(report);
        }
        report.vehicle_mut().engine_hours_s = Some(f64::from(self.working_time) * 60.0);
        report
            .more
            .signals
            .push(Signal::named("gt06.mileage_raw").number(self.mileage.into(), None));
        if let Some(radio) = self.radio {
            report
                .more
                .signals
                .push(Signal::named("gt06.radio_raw").number(radio.into(), None));
        }
        if let Some([kind, id @ ..]) = self.driver.as_deref()
            && id.iter().any(|byte| *byte != 0)
        {
            report.identity_mut().driver = Some(super::readable(id));
            report
                .more
                .signals
                .push(Signal::named("gt06.driver_id_kind").number((*kind).into(), None));
        }
        report.identity_mut().imei = Some(self.id.to_string().into());
        cx.note_tail(report, &self.tail);
    }
}

fn driver<T: Trace>(r: &mut Reader<'_, T>) -> Result<Bytes, DecodeError> {
    let size = r.u8("driver size")?;
    r.bytes("driver", size.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{CELL, GPS, body, read_body, read_parts};
    use crate::{Message, Start};

    const HEAD: &str = "01 0123456789012345 0f0c1d023309";
    const STATUS: &str = "46 0984 28 4c 00 02 000005 000171";
    const WIDE: &str = "0a 01cc 00 287d 00001f71 04";

    fn read(number: u8, parts: &[&str]) -> StatusLocation {
        match read_parts(Start::Short, number, parts) {
            Message::StatusLocation(read) => *read,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn length_tells_it_from_a_plain_location() {
        let read = read(0x22, &[HEAD, GPS, "09", CELL, STATUS]);
        assert_eq!(
            (read.supply, read.battery, read.working_time),
            (2_436, 40, 369)
        );
        for tail in ["ff", "0102030405"] {
            let longer = self::read(0x22, &[HEAD, GPS, "09", CELL, STATUS, tail]);
            assert_eq!(
                (longer.supply, longer.tail.to_vec()),
                (2_436, body(&[tail]))
            );
        }
        let plain = body(&[GPS, CELL, "00 00 00"]);
        let plain = read_body(Start::Short, 0x22, &plain);
        assert!(matches!(plain, Ok(Message::Location(_))), "{plain:?}");
    }

    #[test]
    fn a_driver_of_another_size_than_promised_is_an_error() {
        let body = body(&[HEAD, GPS, WIDE, STATUS, "05 01 3132"]);
        let error = read_body(Start::Short, 0x25, &body).unwrap_err();
        assert_eq!(error.field(), "driver");
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn a_position_of_another_time_than_its_report_is_another_fact() {
        let id = |time: &str| {
            let read = read(0x22, &[HEAD, time, &GPS[12..], "09", CELL, STATUS]);
            crate::message::testing::report(read).id
        };
        let sent = id(&GPS[..12]);
        assert_eq!(id(&GPS[..12]), sent);
        // A minute and a second later than the report; then at its time.
        let places = ["0f0c1d023409", "0f0c1d02330a", "0f0c1d023309"];
        let ids = places.map(id);
        assert!(!ids.contains(&sent), "{ids:?}");
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn drivers_are_text_or_numbers_or_nobody() {
        for (driver, name) in [
            ("04 01 313233", Some("123")),
            ("06 01 3132330000", Some("123")),
            ("04 02 ff0001", Some("ff0001")),
            ("04 01 000000", None),
            ("01 01", None),
            ("00", None),
        ] {
            let report =
                crate::message::testing::report(read(0x25, &[HEAD, GPS, WIDE, STATUS, driver]));
            let identity = report.more.identity.clone().unwrap();
            assert_eq!(identity.driver.as_deref(), name, "{driver}");
            assert_eq!(identity.imei.as_deref(), Some("123456789012345"));
        }
    }
}
