//! 0xA3, L 0C and 18, status without position (Seeworld GL21L and relatives).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 1 | terminal information | [`TerminalInfo`] |
//! | 1 | 2 | extension | unknown |
//! | 3 | 1 | battery | level or percent |
//! | 4 | 1 | mobile signal | percent |
//! | 5 | 1 | supply | volts |
//! | 6 | 1 | language | 0: no reply wanted |
//! | 7 | 1 | sound | L 18, unit unknown |
//! | 8 | 1 | light | L 18, unit unknown |
//! | 9 | 4 | steps | L 18 |
//! | 13 | 1 | battery | L 18, percent |
//! | 14 | 1 | charging | L 18 |
//! | 15 | 1 | motion | L 18 |
//! | 16 | 3 | unknown | L 18 |
//!
//! Seen on devices, confirmed by no manual. With a position 0xA3 is a
//! [`FenceAlarm`](super::FenceAlarm). The supply is no alarm code, although one reading of it
//! finds an overspeed alarm in a supply of 6 V.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::field::{
    Battery, Gps, MobileSignalPercent, ReplyLanguage, Status, SupplyVolts, TerminalInfo,
};
use crate::layout::{Part, layout};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{DecodeError, Dialect};

/// A status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeeworldStatus {
    /// Switches and levels.
    pub levels: SeeworldLevels,
    /// What the longer form adds.
    pub more: Option<SeeworldSensors>,
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

layout! {
    /// Switches and levels.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct SeeworldLevels {
        /// Switches.
        terminal: TerminalInfo,
        /// Unknown.
        extension: u16 as "extension",
        /// A level, or percent.
        battery: Battery,
        /// Percent.
        signal: MobileSignalPercent,
        /// Volts.
        supply: SupplyVolts,
        /// 0: no reply wanted.
        language: ReplyLanguage,
    }
}

layout! {
    /// What the longer form (L 18) adds; sound and light in unknown units.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct SeeworldSensors {
        /// Unit unknown.
        sound: u8 as "sound",
        /// Unit unknown.
        light: u8 as "light",
        /// Steps.
        steps: u32 as "steps",
        /// Percent.
        battery: u8 as "battery charge",
        /// Whether it charges.
        charging: u8 as "charging",
        /// Whether it moves.
        motion: u8 as "motion",
    }
}

/// The size of [`SeeworldSensors`].
const SENSORS: usize = 9;

impl Body for SeeworldStatus {
    const NAME: &'static str = "seeworld_status";
    const ANSWER: Answer = Answer::WhenDelivered;

    fn fit(cx: &Context<'_>) -> Fit {
        // No room for a position and a status; both known lengths are among these.
        Fit::possible_if(cx.is_short() && (7..=Gps::LEN + Status::LEN).contains(&cx.body.len()))
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let levels = SeeworldLevels::read_fields(r)?;
        let more = match r.remaining() {
            SENSORS.. => Some(SeeworldSensors::read_fields(r)?),
            _ => None,
        };
        Ok(Self {
            levels,
            more,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.levels.write_fields(out);
        self.more.write(out);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0xa3
    }

    fn answer(&self) -> Answer {
        if self.levels.language.0 == 0 {
            Answer::Silent
        } else {
            Answer::WhenDelivered
        }
    }

    fn dialect(&self) -> Option<Dialect> {
        Some(Dialect::Seeworld)
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use milepost_telemetry::{Percent, Signal};

        let number = |name, value: u32| Signal::named(name).number(value.into(), None);
        let report = cx.untimed(out, milepost_telemetry::Kind::Status, 0);
        if let Some(alarm) = crate::field::Alarm::from_status(0, self.levels.terminal, cx.dialect())
        {
            alarm.normalize(report);
        }
        self.levels.note_fields(cx, report);
        if self.levels.extension != 0 {
            report
                .more
                .signals
                .push(number("gt06.extension_raw", self.levels.extension.into()));
        }
        if let Some(more) = self.more {
            if let Ok(percent) = Percent::new(more.battery.into()) {
                report.power.battery_charge = Some(percent);
            }
            if more.charging <= 1 {
                report.power.charging = Some(more.charging == 1);
            }
            report.more.signals.extend([
                number("gt06.sound_raw", more.sound.into()),
                number("gt06.light_raw", more.light.into()),
                number("gt06.steps", more.steps),
                number("gt06.motion", more.motion.into()),
            ]);
        }
        if self.tail.iter().any(|byte| *byte != 0) {
            cx.note_tail(report, &self.tail);
        }
    }
}
