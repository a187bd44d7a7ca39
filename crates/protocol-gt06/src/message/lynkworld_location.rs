//! 0xA2, L 40, position with status (Lynkworld LW2G, LW4G).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`], UTC |
//! | 18 | 15, 16 | cell | [`Cell`] |
//! | 33 | 8 | status | [`LynkworldStatus`] |
//! | 41 | 4 | mileage | metres |
//! | 45 | 4 | working time | seconds |
//! | 49 | 8 | id | the device's own number: 15 digits of an IMEI after a 0; all zero: none |
//! | 57 | 2 | inputs | unknown |
//!
//! Seen on devices. Other models send cells and WiFi stations under 0xA2, in other lengths.

use super::{Body, Context, Fit};
use crate::Dialect;
use crate::field::{
    AlarmCode, Battery, Cell, CellForm, Gps, Mileage, MobileSignal, ReplyLanguage, Supply,
    TerminalId, TerminalInfo, WorkingSeconds, is_gps_and_cell,
};
use crate::layout::{layout, plain};
use crate::reply::Answer;

layout! {
    /// A position with status.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct LynkworldLocation {
        /// Where and when.
        gps: Gps,
        /// The serving cell.
        cell: Cell as CellForm::L15,
        /// Status and alarm.
        status: LynkworldStatus,
        /// Metres.
        mileage: Mileage,
        /// Seconds.
        working_time: WorkingSeconds,
        /// The device's own number.
        id: TerminalId,
        /// Unknown.
        inputs: u16 as "inputs",
    }
}

layout! {
    /// The status of Lynkworld's terminals, with their alarm.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct LynkworldStatus {
        /// Kind of network.
        network: u8 as "network",
        /// Switches.
        terminal: TerminalInfo,
        /// Volts × 100.
        supply: Supply,
        /// A level, or percent.
        battery: Battery,
        /// Mobile signal.
        signal: MobileSignal,
        /// Lynkworld's codes.
        alarm: AlarmCode,
        /// 0: no reply wanted.
        language: ReplyLanguage,
    }
}

impl Body for LynkworldLocation {
    const NAME: &'static str = "lynkworld_location";
    const ANSWER: Answer = Answer::ByPolicy;

    plain!(0xa2);

    fn fit(cx: &Context<'_>) -> Fit {
        let fits = cx.is_short() && is_gps_and_cell(cx.body) && Self::is_whole(cx.body);
        Fit::possible_if(fits)
    }

    /// An alarm is acknowledged once it is stored, unless it says that it wants no reply.
    fn answer(&self) -> Answer {
        let alarm = self.status.alarm.0 | self.status.terminal.alarm_bits();
        match (alarm, self.status.language.0) {
            (0, _) => Answer::ByPolicy,
            (_, 0) => Answer::Silent,
            _ => Answer::WhenDelivered,
        }
    }

    fn dialect(&self) -> Option<Dialect> {
        Some(Dialect::Lynkworld)
    }

    /// Key: number, time, position, alarm, id, inputs.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use crate::field::{Alarm, alarm_key};
        use milepost_telemetry::{Kind, Signal};

        let LynkworldStatus {
            network,
            terminal,
            alarm: AlarmCode(code),
            ..
        } = self.status;
        let key = crate::normalize::Key::new(0xa2).alarm(Some(alarm_key(code.into(), terminal)));
        // Only Lynkworld sends this, whatever the profile says.
        let alarm = Alarm::from_status(code.into(), terminal, Dialect::Lynkworld);
        let kind = match alarm {
            Some(_) => Kind::Alarm,
            None => Kind::Location,
        };
        let more = [&self.id.0[..], &self.inputs.to_be_bytes()].concat();
        let report = cx.positioned_with(out, kind, &self.gps, key, &more);
        self.note_fields(cx, report);
        if let Some(alarm) = alarm {
            alarm.normalize(report);
        }
        for (name, value) in [
            ("gt06.network_raw", network.into()),
            ("gt06.inputs_raw", self.inputs.into()),
        ] {
            let signal = Signal::named(name).number(value, None);
            report.more.signals.push(signal);
        }
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
