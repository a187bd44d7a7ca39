//! 0x16, L 24, alarm with supply (VXT01, R31).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 8, 9 | cell | [`Cell`], without a size before it |
//! | 26 | 1 | terminal information | [`TerminalInfo`]; its alarm bits are the alarm |
//! | 27 | 2 | supply | volts × 100 |
//! | 29 | 1 | mobile signal | |
//! | 30 | 1 | extension | unknown |
//!
//! Seen on devices: the same five bytes as in their 0x12 of that length. Read as the usual
//! [`Status`](crate::field::Status), the low byte of the supply would be the signal and the signal
//! an alarm: 12.52 V with a full signal would be "fence in" instead of the SOS of the alarm
//! bits. If the second byte is a level of the battery, the third a level of the signal and the last
//! one a language, it is the usual status, and an [`AlarmReport`](super::AlarmReport).

use super::{Body, Context, Fit};
use crate::field::{Cell, CellForm, Gps, MobileSignal, Supply, TerminalInfo, is_mcc};
use crate::layout::{layout, plain};
use crate::reply::Answer;

layout! {
    /// An alarm with supply.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct SupplyAlarm {
        /// Where and when.
        gps: Gps,
        /// The serving cell.
        cell: Cell as CellForm::L8,
        /// Switches, and the alarm.
        terminal: TerminalInfo,
        /// Volts × 100.
        supply: Supply,
        /// Mobile signal.
        signal: MobileSignal,
        /// Unknown.
        extension: u8 as "extension",
    }
}

impl Body for SupplyAlarm {
    const NAME: &'static str = "supply_alarm";
    const ANSWER: Answer = Answer::WhenDelivered;

    plain!(0x16);

    fn fit(cx: &Context<'_>) -> Fit {
        let is_usual_status = matches!(cx.body, [.., _, 0..=6, 0..=4, _, 1 | 2]);
        Fit::possible_if(
            cx.is_short()
                && is_mcc(cx.body, Gps::LEN)
                && !is_usual_status
                && Self::is_whole(cx.body),
        )
    }

    /// Key: number, time, position, alarm bits.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let alarm = crate::field::alarm_key(0, self.terminal);
        let key = crate::normalize::Key::new(0x16).alarm(Some(alarm));
        let report = cx.positioned(out, milepost_telemetry::Kind::Alarm, &self.gps, key);
        self.note_fields(cx, report);
        if let Some(alarm) = crate::field::Alarm::from_status(0, self.terminal, cx.dialect()) {
            alarm.normalize(report);
        }
    }
}
