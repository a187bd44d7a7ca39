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

    /// An alarm is acknowledged once it is stored, unless it requests no reply.
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
        // Only Lynkworld sends this, whatever the profile.
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
