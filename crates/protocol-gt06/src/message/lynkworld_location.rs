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
//! | 49 | 8 | id | number of a card or key; all zero: none |
//! | 57 | 2 | inputs | unknown |
//!
//! Seen on devices. Other models send cells and WiFi stations under 0xA2, in other lengths; this
//! one is told by its length and by a country code where it belongs.

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::field::{
    Cell, CellForm, Gps, TerminalInfo, alarm_meaning, battery, centivolts, is_mcc, is_time,
    mileage, signal, terminal,
};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{DecodeError, Dialect};

/// A position with status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LynkworldLocation {
    /// Where and when.
    pub gps: Gps,
    /// The serving cell.
    pub cell: Cell,
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
    /// Metres.
    pub mileage: u32,
    /// Seconds.
    pub working_time: u32,
    /// Number of a card or key.
    pub card: [u8; 8],
    /// Unknown.
    pub inputs: u16,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

impl Body for LynkworldLocation {
    const NAME: &'static str = "lynkworld_location";
    const ANSWER: Answer = Answer::ByPolicy;

    fn accepts(cx: &Context<'_>) -> bool {
        let has_length = match cx.body.get(Gps::LEN) {
            Some(mcc) if mcc & 0x80 == 0 => cx.length() == 0x40,
            Some(_) => cx.length() == 0x41,
            None => false,
        };
        let no_cell = matches!(cx.body.get(Gps::LEN..), Some([0, 0, ..]));
        cx.is_short() && has_length && is_time(cx.body, 0) && (is_mcc(cx.body, Gps::LEN) || no_cell)
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            gps: Gps::decode(r)?,
            cell: Cell::decode(r, CellForm::L15)?,
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
            mileage: mileage(r)?,
            working_time: {
                let seconds = r.u32("working time")?;
                r.note(|| format!("{seconds} s"));
                seconds
            },
            card: crate::field::card(r, "card")?,
            inputs: r.u16("inputs")?,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        self.cell.encode(out);
        out.put_slice(&[self.network, self.terminal.0]);
        out.put_u16(self.supply);
        out.put_slice(&[
            self.raw_battery,
            self.raw_signal,
            self.raw_alarm,
            self.raw_language,
        ]);
        out.put_u32(self.mileage);
        out.put_u32(self.working_time);
        out.put_slice(&self.card);
        out.put_u16(self.inputs);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0xa2
    }

    /// An alarm is acknowledged once it is stored, unless it says that it wants no reply.
    fn answer(&self) -> Answer {
        let bits = self.terminal.alarm_bits();
        match (self.raw_alarm | bits, self.raw_language) {
            (0, _) => Answer::ByPolicy,
            (_, 0) => Answer::Silent,
            _ => Answer::WhenDelivered,
        }
    }

    fn dialect(&self) -> Option<Dialect> {
        Some(Dialect::Lynkworld)
    }

    /// Key: number, time, position, alarm, card, inputs.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use crate::field::{Alarm, alarm_key, note_battery, note_signal, note_supply};
        use telemetry::{Kind, Signal};

        let key = crate::normalize::Key::new(0xa2)
            .alarm(Some(alarm_key(self.raw_alarm.into(), self.terminal)));
        // Only Lynkworld sends this, whatever the profile says.
        let alarm = Alarm::from_status(self.raw_alarm.into(), self.terminal, Dialect::Lynkworld);
        let kind = if alarm.is_some() {
            Kind::Alarm
        } else {
            Kind::Location
        };
        let [high, low] = self.inputs.to_be_bytes();
        let [a, b, c, d, e, f, g, h] = self.card;
        let more = [a, b, c, d, e, f, g, h, high, low];
        let report = cx.positioned_with(out, kind, &self.gps, key, &more);
        report.network.cell = self.cell.normalize(true);
        self.terminal.normalize(report);
        note_supply(report, self.supply);
        note_battery(report, self.raw_battery);
        note_signal(report, self.raw_signal);
        if let Some(alarm) = alarm {
            alarm.normalize(report);
        }
        crate::field::note_mileage(report, self.mileage);
        report.vehicle_mut().engine_hours_s = Some(self.working_time.into());
        if let Some(card) = super::card_number(&self.card) {
            report.identity_mut().driver = Some(card);
        }
        let number = |name, value: f64| Signal::named(name).number(value, None);
        report.more.signals.extend([
            number("gt06.network_raw", self.network.into()),
            number("gt06.inputs_raw", self.inputs.into()),
        ]);
        cx.note_tail(report, &self.tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{GPS, body, read_body, read_parts};
    use crate::{Message, Start};

    const CELL: &str = "01cc 00 0000287d 0000000000001f71";

    fn parts<'a>(alarm: &'a str, card: &'a str) -> [&'a str; 7] {
        [
            GPS,
            CELL,
            "04 46 04e4 06 04",
            alarm,
            "00000064 00000e10",
            card,
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
    fn without_a_country_code_in_its_place_it_is_something_else() {
        let mut other = body(&parts("00 01", "0000000000000000"));
        *other.get_mut(18).unwrap() = 0x10;
        let other = read_body(Start::Short, 0xa2, &other);
        assert!(
            !matches!(other, Ok(Message::LynkworldLocation(_))),
            "{other:?}"
        );
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn alarm_codes_are_lynkworlds() {
        use crate::message::testing::{report, signal};
        let report = report(read("19 01"));
        let event = report.more.events.first().unwrap();
        assert_eq!(event.kind, telemetry::EventKind::HarshAcceleration);
        assert_eq!(report.kind, telemetry::Kind::Alarm);
        assert_eq!(
            report.more.vehicle.as_ref().unwrap().engine_hours_s,
            Some(3_600.0)
        );
        assert_eq!(report.odometer, Some(100.into()));
        assert!(report.more.identity.is_none());
        assert_eq!(signal(&report, "gt06.inputs_raw").unwrap(), "3");
    }
}
