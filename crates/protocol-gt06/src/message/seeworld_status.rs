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

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::field::{Gps, Status, TerminalInfo, battery, terminal};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{DecodeError, Dialect};

/// A status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeeworldStatus {
    /// Switches.
    pub terminal: TerminalInfo,
    /// Unknown.
    pub extension: u16,
    /// Battery: a level, or percent.
    pub raw_battery: u8,
    /// Percent.
    pub signal: u8,
    /// Volts.
    pub supply: u8,
    /// Language; 0: no reply wanted.
    pub language: u8,
    /// What the longer form adds.
    pub more: Option<SeeworldSensors>,
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

/// What the longer form adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeeworldSensors {
    /// Unit unknown.
    pub sound: u8,
    /// Unit unknown.
    pub light: u8,
    /// Steps.
    pub steps: u32,
    /// Percent.
    pub battery: u8,
    /// Whether it charges.
    pub charging: u8,
    /// Whether it moves.
    pub motion: u8,
}

impl Body for SeeworldStatus {
    const NAME: &'static str = "seeworld_status";
    const ANSWER: Answer = Answer::WhenDelivered;

    fn fit(cx: &Context<'_>) -> Fit {
        // No room for a position and a status; both known lengths are among these.
        Fit::possible_if(cx.is_short() && (7..=Gps::LEN + Status::LEN).contains(&cx.body.len()))
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let terminal = terminal(r)?;
        let extension = r.u16("extension")?;
        let raw_battery = battery(r)?;
        let signal = r.u8("mobile signal")?;
        r.note(|| format!("{signal} %"));
        let supply = r.u8("supply")?;
        r.note(|| format!("{supply} V"));
        let language = crate::field::reply_language(r)?;
        let more = if r.remaining() >= 9 {
            Some(SeeworldSensors {
                sound: r.u8("sound")?,
                light: r.u8("light")?,
                steps: r.u32("steps")?,
                battery: r.u8("battery charge")?,
                charging: r.u8("charging")?,
                motion: r.u8("motion")?,
            })
        } else {
            None
        };
        Ok(Self {
            terminal,
            extension,
            raw_battery,
            signal,
            supply,
            language,
            more,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.terminal.0);
        out.put_u16(self.extension);
        out.put_slice(&[self.raw_battery, self.signal, self.supply, self.language]);
        if let Some(more) = self.more {
            out.put_slice(&[more.sound, more.light]);
            out.put_u32(more.steps);
            out.put_slice(&[more.battery, more.charging, more.motion]);
        }
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0xa3
    }

    fn answer(&self) -> Answer {
        if self.language == 0 {
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
        use milepost_telemetry::{Percent, Signal, Voltage};

        let number = |name, value: u32| Signal::named(name).number(value.into(), None);
        let report = cx.untimed(out, milepost_telemetry::Kind::Status, 0);
        if let Some(alarm) = crate::field::Alarm::from_status(0, self.terminal, cx.dialect()) {
            alarm.normalize(report);
        }
        self.terminal.normalize(report);
        crate::field::note_battery(cx, report, self.raw_battery);
        report.network.signal = Percent::new(self.signal.into()).ok();
        report.power.external = Voltage::from_volts(self.supply.into()).ok();
        if self.extension != 0 {
            report
                .more
                .signals
                .push(number("gt06.extension_raw", self.extension.into()));
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
