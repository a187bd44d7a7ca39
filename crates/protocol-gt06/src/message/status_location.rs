//! 0x22 with status (NT11 to NT46, XT40: L 3C) and 0x25, the same with a driver (XT40, X25: L 4E).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 1 | source | unknown |
//! | 1 | 8 | terminal id | [`TerminalId`] |
//! | 9 | 6 | device time | [`DateTime`], UTC |
//! | 15 | 18 | position | [`Gps`] |
//! | 33 | 1 | size of the cell | nothing reliable; 0: there may be no cell |
//! | 34 | 0, 8, 9 | cell | [`Cell`]; 0x25: 0, 9, 10 |
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
//! Seen on devices. A 0x22 in another length than L 3C is told by its two times, and where it is
//! shorter by an id of digits besides.
//!
//! Behind a size of 0 there is no cell where the body is as long as without one (L 34), or shorter
//! than with one and not zeros; in 0x25 where the driver then ends with the body. What is cut short
//! behind the position is read as far as it is whole, the status (an alarm is in it) only as a whole.
//! In other lengths it is read only where what should be the cell begins with a country code (or
//! zeros, or ones), and the status is like one, no less than what stands a byte off; else all behind
//! the size is kept as it is. A driver that goes beyond the body is kept so too.

use alloc::format;
use alloc::string::ToString;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{
    Cell, CellForm, DateTime, Gps, Status, TerminalId, TerminalInfo, centivolts, decivolts,
    is_digits, is_time, may_be_cell, may_be_voltage, terminal,
};
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
    /// The size of the cell block, as sent; `None`, as what follows, where the body ends before.
    pub raw_cell_size: Option<u8>,
    /// The serving cell.
    pub cell: Option<Cell>,
    /// The kind of radio: 0x25.
    pub radio: Option<u8>,
    /// The terminal's status and alarm.
    pub status: Option<TerminalStatus>,
    /// Unit unknown; 24 bits.
    pub mileage: Option<u32>,
    /// Minutes; 24 bits.
    pub working_time: Option<u32>,
    /// The driver, the kind of id in the first byte: 0x25.
    pub driver: Option<Bytes>,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

/// A terminal's status behind its position, with its alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalStatus {
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
}

impl TerminalStatus {
    const LEN: usize = 7;

    fn decode<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let terminal = terminal(r)?;
        let supply = centivolts(r, "supply")?;
        let battery = decivolts(r, "battery")?;
        let signal = crate::field::signal(r)?;
        let alarm = r.u8("alarm")?;
        r.note(|| crate::field::alarm_meaning(alarm.into()).into());
        let language = crate::field::reply_language(r)?;
        Ok(Self {
            terminal,
            supply,
            battery,
            signal,
            alarm,
            language,
        })
    }

    fn encode(self, out: &mut BytesMut) {
        out.put_u8(self.terminal.0);
        out.put_u16(self.supply);
        out.put_slice(&[self.battery, self.signal, self.alarm, self.language]);
    }

    /// What speaks against such a block there; `None` where it is not whole.
    fn doubts_at(rest: &[u8], at: usize, gps: &Gps) -> Option<u32> {
        let [terminal, _, _, battery, signal, alarm, language, ..] = rest.get(at..)? else {
            return None;
        };
        // Without the supply, and with percent for volts, it is the status of alarms.
        let status = [*terminal, *battery / 2, *signal, *alarm, *language];
        let supply = u32::from(!may_be_voltage(rest, at + 1));
        Status::doubts_at(&status, gps, false).map(|doubts| doubts + supply)
    }
}

/// Whether the frame is one of these.
#[inline]
fn is_shape(cx: &Context<'_>) -> bool {
    // Known by their length, L 3C, or as long and with two times, where bytes follow that no
    // manual knows: no other 0x22 is as long. Shorter ones have an id of digits besides, where a
    // location has its satellites behind their length (12, which is no digit).
    cx.number() == 0x22
        && match cx.body.len() {
            WITH_CELL => true,
            SHORTEST.. => {
                (cx.body.len() > WITH_CELL || cx.body.get(1..9).is_some_and(is_digits))
                    && is_time(cx.body, 9)
                    && is_time(cx.body, 15)
            }
            _ => false,
        }
}

/// The length of a 0x22, without a cell, and the shortest that is told (one byte less is as long as a
/// location with trailer and mileage).
const WITH_CELL: usize = 55;
const WITHOUT_CELL: usize = 47;
const SHORTEST: usize = 34;
const REST_AT: usize = 34;

/// What stands behind the size of the cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Cell, and in 0x25 radio.
    Cell,
    /// In 0x25 the radio alone.
    Radio,
    /// The status at once.
    Status,
    /// That cannot be told.
    Unclear,
}

impl Place {
    const fn has_cell(self) -> bool {
        matches!(self, Self::Cell)
    }

    const fn has_radio(self) -> bool {
        matches!(self, Self::Cell | Self::Radio)
    }

    /// By the size of the cell, the length and what stands there.
    fn find(body: &[u8], number: u8, gps: &Gps) -> Self {
        let [size, rest @ ..] = body.get(REST_AT - 1..).unwrap_or_default() else {
            return Self::Unclear;
        };
        let has_no_size = *size == 0;
        if number == 0x25 {
            return Self::find_with_driver(rest, has_no_size);
        }
        let cell_len = CellForm::L8.len(Cell::peek_mcc(rest));
        let has_zeros = rest.iter().take(cell_len).all(|byte| *byte == 0);
        let place = match body.len() {
            WITH_CELL => return Self::Cell,
            WITHOUT_CELL if has_no_size => return Self::Status,
            // As long as with a cell, and longer.
            WITH_CELL.. if has_no_size && may_be_cell(rest) => Self::Cell,
            _ if has_no_size && has_zeros => Self::Unclear,
            _ if has_no_size => Self::Status,
            _ if may_be_cell(rest) => Self::Cell,
            _ => Self::Unclear,
        };
        let status_at = if place.has_cell() { cell_len } else { 0 };
        if Status::is_at(status_at, |at| TerminalStatus::doubts_at(rest, at, gps)) {
            place
        } else {
            Self::Unclear
        }
    }

    /// The same in 0x25, where the driver ends with the body.
    fn find_with_driver(rest: &[u8], has_no_size: bool) -> Self {
        let fits = |place: &Self| {
            let cell = CellForm::L9c.len(Cell::peek_mcc(rest));
            let before = if place.has_cell() { cell } else { 0 } + usize::from(place.has_radio());
            let driver_at = before + TerminalStatus::LEN + 6;
            let size = rest.get(driver_at).copied().map(usize::from);
            size.is_some_and(|size| driver_at + 1 + size == rest.len())
        };
        if !has_no_size {
            return Self::Cell;
        }
        [Self::Cell, Self::Status, Self::Radio]
            .into_iter()
            .find(fits)
            .unwrap_or(Self::Unclear)
    }
}

impl Body for StatusLocation {
    const NAME: &'static str = "status_location";
    const ANSWER: Answer = Answer::ByPolicy;

    #[inline]
    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && cx.number() == 0x25)
            .or_certain_if(cx.is_short() && is_shape(cx))
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let source = r.u8("source")?;
        let id = TerminalId(r.array("terminal id")?);
        r.note(|| id.to_string());
        let device_time = DateTime::decode(r)?;
        let gps = Gps::decode(r)?;
        let with_driver = cx.number() == 0x25;
        let place = Place::find(cx.body, cx.number(), &gps);
        let mut whole = r.whole_fields();
        let raw_cell_size = whole.read(1, |r| r.u8("cell size"))?;
        whole.only_if(place != Place::Unclear);
        let cell = match (place.has_cell(), with_driver) {
            (true, true) => Cell::decode_whole(&mut whole, CellForm::L9c)?,
            (true, false) => Cell::decode_whole(&mut whole, CellForm::L8)?,
            (false, _) => None,
        };
        let radio = if with_driver && place.has_radio() {
            whole.read(1, |r| r.u8("radio"))?
        } else {
            None
        };
        let status = whole.read(TerminalStatus::LEN, TerminalStatus::decode)?;
        let mileage = whole.read(3, |r| r.u24("mileage"))?;
        let working_time = whole.read(3, |r| {
            let minutes = r.u24("working time")?;
            r.note(|| format!("{minutes} min"));
            Ok(minutes)
        })?;
        whole.only_if(with_driver);
        let driver_len = whole.peek().first().copied().map_or(0, usize::from);
        let driver = whole.read(1 + driver_len, driver)?;
        Ok(Self {
            number: cx.number(),
            source,
            id,
            device_time,
            gps,
            raw_cell_size,
            cell,
            radio,
            status,
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
        out.extend(self.raw_cell_size);
        if let Some(cell) = &self.cell {
            cell.encode(out);
        }
        out.extend(self.radio);
        if let Some(status) = self.status {
            status.encode(out);
        }
        for value in [self.mileage, self.working_time].into_iter().flatten() {
            out.put_uint(value.into(), 3);
        }
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
        use milepost_telemetry::Signal;

        // The same position is sent again with a new device time: that is a new fact, so both
        // times are in the key.
        let alarm = (self.status)
            .map(|status| crate::field::alarm_key(status.alarm.into(), status.terminal));
        let key = crate::normalize::Key::new(self.number).alarm(alarm);
        let report = cx.positioned_at(
            out,
            milepost_telemetry::Kind::Location,
            &self.gps,
            self.device_time,
            key,
        );
        if let Some(driver) = &self.driver {
            cx.tell_apart(report, &self.gps, self.device_time, key, driver);
        }
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
        if let Some(status) = &self.status {
            status.terminal.normalize(report);
            crate::field::note_supply(report, status.supply);
            crate::field::note_battery_decivolts(report, status.battery);
            note_signal(report, status.signal);
            let alarm = Alarm::from_status(status.alarm.into(), status.terminal, cx.dialect());
            if let Some(alarm) = alarm {
                alarm.normalize(report);
            }
        }
        if let Some(minutes) = self.working_time {
            report.vehicle_mut().engine_hours_s = Some(f64::from(minutes) * 60.0);
        }
        if let Some(mileage) = self.mileage {
            report
                .more
                .signals
                .push(Signal::named("gt06.mileage_raw").number(mileage.into(), None));
        }
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
        let status = read.status.unwrap();
        assert_eq!((status.supply, status.battery), (2_436, 40));
        assert_eq!(read.working_time, Some(369));
        for tail in ["ff", "0102030405"] {
            let longer = self::read(0x22, &[HEAD, GPS, "09", CELL, STATUS, tail]);
            assert_eq!(
                (longer.status.unwrap().supply, longer.tail.to_vec()),
                (2_436, body(&[tail]))
            );
        }
        let plain = body(&[GPS, CELL, "00 00 00"]);
        let plain = read_body(Start::Short, 0x22, &plain);
        assert!(matches!(plain, Ok(Message::Location(_))), "{plain:?}");
    }

    #[test]
    fn a_driver_of_another_size_than_promised_is_raw() {
        for (driver, tail) in [("05 01 3132", "05013132"), ("02 01 31 32", "32")] {
            let read = read(0x25, &[HEAD, GPS, WIDE, STATUS, driver]);
            assert_eq!(read.status.unwrap().supply, 2_436);
            assert_eq!(read.driver.is_some(), tail == "32");
            assert_eq!(read.tail, body(&[tail]));
        }
    }

    #[test]
    fn a_body_that_ends_in_its_position_is_an_error() {
        let whole = body(&[HEAD, GPS]);
        for len in 1..whole.len() {
            let error = read_body(Start::Short, 0x25, &whole[..len]).unwrap_err();
            assert!(error.offset() >= 4, "{error}");
        }
    }

    #[test]
    fn a_size_of_0_says_that_there_is_no_cell_where_the_length_says_so_too() {
        const ZEROS: &str = "0000 00 0000 000000";
        for (number, parts, cell, radio) in [
            (0x22, [HEAD, GPS, "00", STATUS, ""], None, None),
            (0x22, [HEAD, GPS, "00", STATUS, "ff"], None, None),
            (0x22, [HEAD, GPS, "00", ZEROS, STATUS], Some(0), None),
            (0x22, [HEAD, GPS, "00", CELL, STATUS], Some(460), None),
            (0x25, [HEAD, GPS, "00", STATUS, "03 01 3132"], None, None),
            (
                0x25,
                [HEAD, GPS, "00 04", STATUS, "03 01 3132"],
                None,
                Some(4),
            ),
            (
                0x25,
                [HEAD, GPS, WIDE, STATUS, "03 01 3132"],
                Some(460),
                Some(4),
            ),
        ] {
            let read = read(number, &parts);
            assert_eq!(read.cell.map(|cell| cell.mcc()), cell, "{parts:?}");
            assert_eq!(read.radio, radio, "{parts:?}");
            assert_eq!(read.status.unwrap().supply, 2_436, "{parts:?}");
            assert_eq!(read.working_time, Some(369), "{parts:?}");
            assert_eq!(read.tail, body(&[if parts[4] == "ff" { "ff" } else { "" }]));
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_behind_the_position_costs_no_fix_and_gives_no_alarm() {
        use crate::message::testing::{cut_short, signal};

        // An SOS by code and by the alarm bits.
        const ALARM: &str = "66 0984 28 4c 01 02 000005 000171";
        for (number, size, cell, status_at) in [
            (0x22, "09", CELL, 42),
            (0x22, "0a", "81cc 0007 287d 001f71", 43),
            (0x22, "00", "", 34),
            (0x25, "0a", "01cc 00 287d 00001f71 04", 44),
            (0x25, "0a", "81cc 0007 287d 00001f71 04", 45),
        ] {
            let driver = if number == 0x25 { "04 01 313233" } else { "" };
            let parts = [HEAD, GPS, size, cell, ALARM, driver];
            // A 0x22 of 33 bytes is a location with mileage.
            let from = if number == 0x25 { 33 } else { 34 };
            for (len, message, report) in cut_short(Start::Short, number, from, &parts) {
                assert_eq!(message.answer(), Answer::ByPolicy);
                let Message::StatusLocation(read) = message else {
                    panic!("{number:02x} {len}: {message:?}")
                };
                let has_status = len >= status_at + 7;
                assert_eq!(read.status.is_some(), has_status, "{number:02x} {len}");
                assert_eq!(report.more.events.len(), usize::from(has_status), "{len}");
                assert_eq!(read.mileage.is_some(), len >= status_at + 10, "{len}");
                assert_eq!(read.working_time.is_some(), len >= status_at + 13, "{len}");
                assert!(read.driver.is_none());
                let is_known = read.tail.is_empty();
                assert_eq!(signal(&report, "gt06.tail").is_none(), is_known, "{len}");
                assert!(report.more.identity.clone().unwrap().imei.is_some());
            }
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn a_byte_off_in_the_cell_gives_no_alarm() {
        use crate::message::testing::{report, signal};

        for cell in ["01cc 00 287d 00001f71", "01cc 00 287d 1f71"] {
            let read = read(0x22, &[HEAD, GPS, "09", cell, STATUS]);
            let report = report(read);
            assert!(report.fix.is_some() && report.more.events.is_empty());
            assert_eq!((report.network.cell, report.io.ignition), (None, None));
            let raw = hex::encode(body(&[cell, STATUS]));
            assert_eq!(signal(&report, "gt06.tail").unwrap(), raw);
        }
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
