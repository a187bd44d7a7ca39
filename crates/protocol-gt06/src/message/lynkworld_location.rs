//! 0xA2, L 40, position with status (Lynkworld LW2G, LW4G).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`], UTC |
//! | 18 | 15, 16 | cell | [`Cell`] |
//! | 33 | 1 | network | kind of network |
//! | 34 | 1 | terminal information | [`TerminalInfo`] |
//! | 35 | 2 | supply | volts × 100 |
//! | 37 | 1 | battery | level or percent |
//! | 38 | 1 | mobile signal | |
//! | 39 | 1 | alarm | Lynkworld's codes |
//! | 40 | 1 | language | 0: no reply wanted |
//! | 41 | 4 | mileage | metres |
//! | 45 | 4 | working time | seconds |
//! | 49 | 8 | id | the device's own number: 15 digits of an IMEI after a 0; all zero: none |
//! | 57 | 2 | inputs | unknown |
//!
//! Seen on devices. Other models send cells and WiFi stations under 0xA2, in other lengths; this
//! one is told by its length and by a country code where it belongs. In another length, cut short or
//! longer, it is told by a time and a place where they belong, and by no country code where cells
//! have theirs. Then its fields are read as far as they are whole, the status only as a whole (half of
//! one says no alarm), and they are read only where there is a country code (or zeros, or ones) and a
//! status is like one, no less than what stands a byte off; else all behind the position is kept as it is, for one does not know which
//! byte is missing or too many.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;

use bytes::{BufMut, BytesMut};

use super::{Body, Context, Fit};
use crate::field::{
    Cell, CellForm, Gps, Status, TerminalId, TerminalInfo, alarm_meaning, battery, centivolts,
    is_gps_before_cell, is_mcc, is_time, may_be_cell, may_be_voltage, mileage, signal, terminal,
};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{DecodeError, Dialect};

/// A position with status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LynkworldLocation {
    /// Where and when.
    pub gps: Gps,
    /// The serving cell; `None`, as what follows, where the body ends before.
    pub cell: Option<Cell>,
    /// Status and alarm.
    pub status: Option<LynkworldStatus>,
    /// Metres.
    pub mileage: Option<u32>,
    /// Seconds.
    pub working_time: Option<u32>,
    /// The device's own number.
    pub id: Option<[u8; 8]>,
    /// Unknown.
    pub inputs: Option<u16>,
    /// Bytes that no manual knows. Held apart, so that all messages stay as small as they are.
    pub tail: Box<[u8]>,
}

/// The status of Lynkworld's terminals, with their alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LynkworldStatus {
    /// Kind of network.
    pub network: u8,
    /// Switches.
    pub terminal: TerminalInfo,
    /// Volts × 100.
    pub supply: u16,
    /// Battery: a level, or percent.
    pub raw_battery: u8,
    /// Mobile signal.
    pub raw_signal: u8,
    /// Alarm.
    pub raw_alarm: u8,
    /// Language; 0: no reply wanted.
    pub raw_language: u8,
}

impl LynkworldStatus {
    const LEN: usize = 8;

    fn decode<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        Ok(Self {
            network: r.u8("network")?,
            terminal: terminal(r)?,
            supply: centivolts(r, "supply")?,
            raw_battery: battery(r)?,
            raw_signal: signal(r)?,
            raw_alarm: {
                let alarm = r.u8("alarm")?;
                r.note(|| alarm_meaning(alarm.into()).into());
                alarm
            },
            raw_language: crate::field::reply_language(r)?,
        })
    }

    fn encode(self, out: &mut BytesMut) {
        out.put_slice(&[self.network, self.terminal.0]);
        out.put_u16(self.supply);
        out.put_slice(&[
            self.raw_battery,
            self.raw_signal,
            self.raw_alarm,
            self.raw_language,
        ]);
    }

    /// The alarm, of the code or the alarm bits; 0: none.
    const fn raw_alarm_or_bits(self) -> u8 {
        self.raw_alarm | self.terminal.alarm_bits()
    }
}

/// Whether the length is the known one, and time and country code, or zeros, stand where they belong.
fn is_usual(body: &[u8]) -> bool {
    let has_length = match body.get(Gps::LEN) {
        Some(mcc) => body.len() == if mcc & 0x80 == 0 { 59 } else { 60 },
        None => false,
    };
    let no_cell = matches!(body.get(Gps::LEN..), Some([0, 0, ..]));
    has_length && is_time(body, 0) && (is_mcc(body, Gps::LEN) || no_cell)
}

/// Whether what stands behind the position is what should: a cell, and a status where it is whole.
fn is_sane(rest: &[u8], gps: &Gps) -> bool {
    let at = CellForm::L15.len(Cell::peek_mcc(rest));
    let doubts = |at: usize| match rest.get(at..)? {
        // Without network and supply it is the status of alarms.
        [_, terminal, _, _, battery, signal, alarm, language, ..] => {
            let status = [*terminal, *battery, *signal, *alarm, *language];
            let supply = u32::from(!may_be_voltage(rest, at + 2));
            Status::doubts_at(&status, gps, false).map(|doubts| doubts + supply)
        }
        _ => None,
    };
    may_be_cell(rest) && Status::is_at(at, doubts)
}

impl Body for LynkworldLocation {
    const NAME: &'static str = "lynkworld_location";
    const ANSWER: Answer = Answer::ByPolicy;

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && (is_usual(cx.body) || is_gps_before_cell(cx.body)))
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let mut whole = r.whole_fields();
        whole.only_if(is_usual(cx.body) || is_sane(whole.peek(), &gps));
        Ok(Self {
            gps,
            cell: Cell::decode_whole(&mut whole, CellForm::L15)?,
            status: whole.read(LynkworldStatus::LEN, LynkworldStatus::decode)?,
            mileage: whole.read(4, mileage)?,
            working_time: whole.read(4, |r| {
                let seconds = r.u32("working time")?;
                r.note(|| format!("{seconds} s"));
                Ok(seconds)
            })?,
            id: whole.read(8, |r| {
                let id = r.array("device id")?;
                r.note(|| TerminalId(id).to_string());
                Ok(id)
            })?,
            inputs: whole.read(2, |r| r.u16("inputs"))?,
            tail: r.take_rest("unknown").as_ref().into(),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        if let Some(cell) = &self.cell {
            cell.encode(out);
        }
        if let Some(status) = self.status {
            status.encode(out);
        }
        out.extend(self.mileage.into_iter().flat_map(u32::to_be_bytes));
        out.extend(self.working_time.into_iter().flat_map(u32::to_be_bytes));
        out.extend(self.id.into_iter().flatten());
        out.extend(self.inputs.into_iter().flat_map(u16::to_be_bytes));
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0xa2
    }

    /// An alarm is acknowledged once it is stored, unless it says that it wants no reply.
    fn answer(&self) -> Answer {
        let Some(status) = self.status else {
            return Self::ANSWER;
        };
        match (status.raw_alarm_or_bits(), status.raw_language) {
            (0, _) => Answer::ByPolicy,
            (_, 0) => Answer::Silent,
            _ => Answer::WhenDelivered,
        }
    }

    /// Lynkworld's, where it is as long as Lynkworld's.
    fn dialect(&self) -> Option<Dialect> {
        (self.inputs.is_some() && self.tail.is_empty()).then_some(Dialect::Lynkworld)
    }

    /// Key: number, time, position, alarm, id, inputs.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use crate::field::{Alarm, alarm_key, note_battery, note_signal, note_supply};
        use milepost_telemetry::{Kind, Signal};

        let key = crate::normalize::Key::new(0xa2).alarm(
            self.status
                .map(|status| alarm_key(status.raw_alarm.into(), status.terminal)),
        );
        // Only Lynkworld sends this, whatever the profile says.
        let alarm = self.status.and_then(|status| {
            Alarm::from_status(status.raw_alarm.into(), status.terminal, Dialect::Lynkworld)
        });
        let kind = if alarm.is_some() {
            Kind::Alarm
        } else {
            Kind::Location
        };
        let mut more = BytesMut::new();
        more.extend(self.id.into_iter().flatten());
        more.extend(self.inputs.into_iter().flat_map(u16::to_be_bytes));
        let report = cx.positioned_with(out, kind, &self.gps, key, &more);
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
        if let Some(status) = &self.status {
            status.terminal.normalize(report);
            note_supply(report, status.supply);
            note_battery(cx, report, status.raw_battery);
            note_signal(report, status.raw_signal);
        }
        if let Some(alarm) = alarm {
            alarm.normalize(report);
        }
        if let Some(metres) = self.mileage {
            crate::field::note_mileage(report, metres);
        }
        if let Some(seconds) = self.working_time {
            report.vehicle_mut().engine_hours_s = Some(seconds.into());
        }
        if let Some(id) = self.id.filter(|id| *id != [0; 8]) {
            report.identity_mut().imei = Some(TerminalId(id).to_string().into());
        }
        let number = |name, value: f64| Signal::named(name).number(value, None);
        report.more.signals.extend(
            (self.status.iter())
                .map(|status| number("gt06.network_raw", status.network.into()))
                .chain((self.inputs).map(|inputs| number("gt06.inputs_raw", inputs.into()))),
        );
        cx.note_tail(report, &self.tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{GPS, body, read_body, read_parts};
    use crate::{Message, Start};

    const CELL: &str = "01cc 00 0000287d 0000000000001f71";

    fn parts<'a>(alarm: &'a str, id: &'a str) -> [&'a str; 7] {
        [
            GPS,
            CELL,
            "04 46 04e4 06 04",
            alarm,
            "00000064 00000e10",
            id,
            "0003",
        ]
    }

    fn read(alarm: &str) -> Message {
        read_parts(Start::Short, 0xa2, &parts(alarm, "0000000000000000"))
    }

    #[test]
    fn only_an_alarm_that_wants_a_reply_is_acknowledged_for_itself() {
        assert_eq!(read("00 01").answer(), Answer::ByPolicy);
        assert_eq!(read("01 01").answer(), Answer::WhenDelivered);
        assert_eq!(read("01 00").answer(), Answer::Silent);
        // SOS by the alarm bits alone.
        let mut bits = parts("00 01", "0000000000000000");
        bits[2] = "04 66 04e4 06 04";
        let bits = read_parts(Start::Short, 0xa2, &bits);
        assert_eq!(bits.answer(), Answer::WhenDelivered);
    }

    #[test]
    fn without_a_country_code_in_its_place_only_the_position_is_read() {
        let mut other = body(&parts("00 01", "0000000000000000"));
        *other.get_mut(18).unwrap() = 0x10;
        let odd = read_body(Start::Short, 0xa2, &other);
        let Ok(Message::LynkworldLocation(odd)) = odd else {
            panic!("{odd:?}")
        };
        assert_eq!((odd.cell, odd.status, odd.tail.len()), (None, None, 41));
        // Nor that where the satellites have no length before them.
        *other.get_mut(6).unwrap() = 0x09;
        let other = read_body(Start::Short, 0xa2, &other);
        assert!(
            !matches!(other, Ok(Message::LynkworldLocation(_))),
            "{other:?}"
        );
    }

    #[test]
    fn cells_and_stations_stay_what_they_are_in_every_length() {
        let cells = "0000287d 00000001cc001f71 50".repeat(7);
        let none = "00".repeat(91);
        for (network, cells) in [
            ("01cc 00", &cells),
            ("81cc 0000", &cells),
            ("0000 00", &none),
        ] {
            let whole = body(&["0f0c1d023305", network, cells, "ff 01 02005e100001 32"]);
            for len in 1..=whole.len() {
                let read = read_body(Start::Short, 0xa2, &whole[..len]);
                let is_other = !matches!(read, Ok(Message::LynkworldLocation(_)));
                // Nothing but a time, in Lynkworld's own length, is no cell in either.
                let is_either = network == "0000 00" && matches!(len, 59 | 60);
                assert!(is_other || is_either, "{len}: {read:?}");
            }
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_behind_the_position_costs_no_fix_and_gives_no_alarm() {
        use crate::message::testing::{cut_short, signal};

        for (cell, status_at) in [
            (CELL, 33),
            ("81cc 0007 0000287d 0000000000001f71", 34),
            ("0000 00 00000000 0000000000000000", 33),
        ] {
            let mut parts = parts("19 01", "c300000100001201");
            parts[1] = cell;
            // Alarm bits too, which alone would be another alarm.
            parts[2] = "04 66 04e4 06 04";
            for (len, message, report) in cut_short(Start::Short, 0xa2, 18, &parts) {
                assert_eq!(message.dialect(), None, "{len}");
                let ends = [0, 8, 12, 16, 24].map(|size| status_at + size);
                let [cell, status, mileage, time, id] = ends.map(|end| len >= end);
                let (answer, kind) = if status {
                    (Answer::WhenDelivered, milepost_telemetry::Kind::Alarm)
                } else {
                    (Answer::ByPolicy, milepost_telemetry::Kind::Location)
                };
                assert_eq!((message.answer(), report.kind), (answer, kind), "{len}");
                let events = report.more.events.iter();
                let events: alloc::vec::Vec<_> = events.map(|event| event.kind).collect();
                let expected: &[_] = if status {
                    &[milepost_telemetry::EventKind::HarshAcceleration]
                } else {
                    &[]
                };
                assert_eq!(events, expected, "{len}");
                let Message::LynkworldLocation(read) = message else {
                    panic!("{len}: {message:?}")
                };
                assert_eq!(read.cell.is_some(), cell, "{len}");
                assert_eq!(report.odometer.is_some(), mileage, "{len}");
                assert_eq!(report.more.vehicle.is_some(), time, "{len}");
                assert_eq!(report.more.identity.is_some(), id, "{len}");
                let is_whole = len == 18 || ends.contains(&len);
                assert_eq!(signal(&report, "gt06.tail").is_none(), is_whole, "{len}");
            }
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn a_byte_off_costs_nothing_behind_and_all_before() {
        use crate::message::testing::{report, signal};

        let whole = body(&parts("19 01", "c300000100001201"));
        let mut behind = whole.clone();
        behind.push(0xaa);
        let behind = report(read_parts(Start::Short, 0xa2, &[&hex::encode(behind)]));
        assert_eq!(behind.more.events.len(), 1);
        assert_eq!(signal(&behind, "gt06.tail").unwrap(), "aa");
        // One too many, or too few, in the cell: what would be the status is none.
        let mut longer = whole.clone();
        longer.insert(25, 0);
        let mut shorter = whole;
        shorter.remove(25);
        for odd in [longer, shorter] {
            let message = read_parts(Start::Short, 0xa2, &[&hex::encode(&odd)]);
            assert_eq!(message.answer(), Answer::ByPolicy);
            let report = report(message);
            assert!(report.fix.is_some() && report.more.events.is_empty());
            assert_eq!(report.network.cell, None);
            assert_eq!(
                signal(&report, "gt06.tail").unwrap(),
                hex::encode(&odd[18..])
            );
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn alarm_codes_are_lynkworlds() {
        use crate::message::testing::{report, signal};
        let report = report(read("19 01"));
        let event = report.more.events.first().unwrap();
        assert_eq!(event.kind, milepost_telemetry::EventKind::HarshAcceleration);
        assert_eq!(report.kind, milepost_telemetry::Kind::Alarm);
        assert_eq!(
            report.more.vehicle.as_ref().unwrap().engine_hours_s,
            Some(3_600.0)
        );
        assert_eq!(report.odometer, Some(100.into()));
        assert!(report.more.identity.is_none());
        assert_eq!(signal(&report, "gt06.inputs_raw").unwrap(), "3");
    }
}
