//! ST5: terminal information, battery, mobile signal, alarm, language.

use alloc::format;
use alloc::string::String;

use bytes::{BufMut, BytesMut};

use super::{Alarm, Gps, TerminalInfo, alarm_meaning, is_known_alarm};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{DecodeError, Dialect};

/// The status block after alarms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Status {
    /// Switches.
    pub terminal: TerminalInfo,
    /// Battery: up to 6 a level, up to 100 percent, above unknown.
    pub raw_battery: u8,
    /// Mobile signal: up to 4 a level; other models send more.
    pub raw_signal: u8,
    /// The alarm's code; 0 leaves it to the terminal's alarm bits.
    pub raw_alarm: u8,
    /// 1 Chinese, 2 English, 0 no reply wanted. The high half extends the alarm's code on some
    /// models.
    pub raw_language: u8,
}

impl Status {
    /// The size of the block.
    pub const LEN: usize = 5;

    /// The alarm of the block.
    #[must_use]
    pub fn alarm(&self, dialect: Dialect) -> Option<Alarm> {
        Alarm::from_status(self.raw_alarm.into(), self.terminal, dialect)
    }

    /// The alarm as part of a report's key.
    #[cfg(feature = "telemetry")]
    pub(crate) fn alarm_key(&self) -> u16 {
        super::alarm_key(self.raw_alarm.into(), self.terminal)
    }

    /// The same where the high half of the language extends the alarm's code.
    #[cfg(feature = "telemetry")]
    pub(crate) fn extended_key(&self) -> u16 {
        super::alarm_key(self.extended_code(), self.terminal)
    }

    /// The alarm's code where the high half of the language is its bits 11 to 8 (0x27, 0x39,
    /// 0xA3, 0xA4, 0xA9 of newer Jimi models).
    #[must_use]
    pub const fn extended_code(&self) -> u16 {
        u16::from_be_bytes([self.raw_language >> 4, self.raw_alarm])
    }

    /// What an alarm with this block is answered: it is acknowledged once it is stored (the device
    /// repeats it otherwise), unless it requests no reply.
    #[must_use]
    pub const fn answer(&self) -> Answer {
        Self::answer_in(self.language(false))
    }

    /// The same where the high half of the language extends the alarm's code.
    #[must_use]
    pub const fn answer_extended(&self) -> Answer {
        Self::answer_in(self.language(true))
    }

    /// The language; without its high half where that extends the alarm's code.
    const fn language(&self, extended: bool) -> u8 {
        if extended {
            self.raw_language & 0x0f
        } else {
            self.raw_language
        }
    }

    const fn answer_in(language: u8) -> Answer {
        match language {
            0 => Answer::Silent,
            _ => Answer::WhenDelivered,
        }
    }

    /// Whether these bytes begin with a plausible status ([`Self::is_plausible`]).
    pub(crate) fn is_plausible_at(bytes: &[u8], gps: &Gps) -> bool {
        crate::parse::read_start(bytes, Self::decode).is_some_and(|status| status.is_plausible(gps))
    }

    /// Whether every field is plausible after this position: the terminal agrees with it about
    /// the fix, the levels are levels or percent, alarm and language are known ones.
    pub(crate) fn is_plausible(&self, gps: &Gps) -> bool {
        self.terminal.is_tracking() == gps.position().course_status.is_positioned()
            && self.raw_battery <= 100
            && self.raw_signal <= 100
            && is_known_alarm(self.raw_alarm.into())
            && self.raw_language <= 2
    }

    /// Reads the block where the high half of the language extends the alarm's code.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn decode_extended<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let high = r.peek().get(4).map_or(0, |language| language >> 4);
        Self::decode_with(r, high, 0x0f)
    }

    /// Reads the block.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn decode<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        Self::decode_with(r, 0, 0xff)
    }

    /// Reads the block, whose alarm has these bits above its eight, and its language these.
    fn decode_with<T: Trace>(
        r: &mut Reader<'_, T>,
        high: u8,
        language_bits: u8,
    ) -> Result<Self, DecodeError> {
        let terminal = TerminalInfo(r.u8("terminal information")?);
        r.note(|| terminal.describe());
        let raw_battery = battery(r)?;
        let raw_signal = signal(r)?;
        let raw_alarm = r.u8("alarm")?;
        r.note(|| describe_alarm(high, raw_alarm));
        let raw_language = r.u8("language")?;
        r.note(|| crate::text::reply_language(raw_language & language_bits));
        Ok(Self {
            terminal,
            raw_battery,
            raw_signal,
            raw_alarm,
            raw_language,
        })
    }

    /// Writes the block.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&[
            self.terminal.0,
            self.raw_battery,
            self.raw_signal,
            self.raw_alarm,
            self.raw_language,
        ]);
    }

    /// Adds the values of the block to a report, the alarm included.
    #[cfg(feature = "telemetry")]
    pub fn normalize(
        &self,
        cx: &crate::normalize::Context<'_>,
        report: &mut milepost_telemetry::Report,
        dialect: Dialect,
    ) {
        self.normalize_with(cx, report, self.alarm(dialect), dialect);
    }

    /// The same where the high half of the language extends the alarm's code.
    #[cfg(feature = "telemetry")]
    pub fn normalize_extended(
        &self,
        cx: &crate::normalize::Context<'_>,
        report: &mut milepost_telemetry::Report,
        dialect: Dialect,
    ) {
        let alarm = Alarm::from_status(self.extended_code(), self.terminal, dialect);
        self.normalize_with(cx, report, alarm, dialect);
    }

    #[cfg(feature = "telemetry")]
    fn normalize_with(
        &self,
        cx: &crate::normalize::Context<'_>,
        report: &mut milepost_telemetry::Report,
        alarm: Option<Alarm>,
        dialect: Dialect,
    ) {
        self.terminal.normalize(report);
        if dialect == Dialect::Seeworld {
            // Percent, both.
            report.power.battery_charge =
                milepost_telemetry::Percent::new(self.raw_battery.into()).ok();
            report.network.signal = milepost_telemetry::Percent::new(self.raw_signal.into()).ok();
        } else {
            note_battery(cx, report, self.raw_battery);
            note_signal(report, self.raw_signal);
        }
        if let Some(alarm) = alarm {
            alarm.normalize(report);
        }
    }
}

/// The meaning of an alarm's eight bits with those above them, which are in the language.
pub(crate) fn describe_alarm(high: u8, low: u8) -> String {
    let code = u16::from_be_bytes([high, low]);
    match high {
        0 => alarm_meaning(code).into(),
        _ => format!("{code:#05x}: {}", alarm_meaning(code)),
    }
}

/// Reads VOL1.
pub(crate) fn battery<T: Trace>(r: &mut Reader<'_, T>) -> Result<u8, DecodeError> {
    let raw = r.u8("battery")?;
    r.note(|| describe_battery(raw));
    Ok(raw)
}

pub(super) fn describe_battery(raw: u8) -> String {
    match raw {
        0 => "level 0 of 6: off".into(),
        1 => "level 1 of 6: extremely low".into(),
        2 => "level 2 of 6: very low".into(),
        3 => "level 3 of 6: low".into(),
        4 => "level 4 of 6: medium".into(),
        5 => "level 5 of 6: high".into(),
        6 => "level 6 of 6: full".into(),
        16..=100 => format!("{raw} %"),
        _ => format!("{raw}, unit unknown"),
    }
}

/// Reads GSM1.
pub(crate) fn signal<T: Trace>(r: &mut Reader<'_, T>) -> Result<u8, DecodeError> {
    let raw = r.u8("mobile signal")?;
    r.note(|| describe_signal(raw));
    Ok(raw)
}

pub(super) fn describe_signal(raw: u8) -> String {
    match raw {
        0 => "level 0 of 4: none".into(),
        1 => "level 1 of 4: extremely weak".into(),
        2 => "level 2 of 4: weak".into(),
        3 => "level 3 of 4: good".into(),
        4 => "level 4 of 4: strong".into(),
        _ => format!("{raw}, unit unknown"),
    }
}

/// The values of VOL1 that can only be percent: some devices count to 6, some to 15.
pub(crate) const ONLY_PERCENT: core::ops::RangeInclusive<u8> = 16..=100;

/// Notes VOL1.
///
/// | value | meaning |
/// |---|---|
/// | 0 to 100 on a device that counts in percent | percent |
/// | 0 to 6 | a level |
/// | [`ONLY_PERCENT`] | percent |
/// | other | unknown, kept raw |
#[cfg(feature = "telemetry")]
pub(crate) fn note_battery(
    cx: &crate::normalize::Context<'_>,
    report: &mut milepost_telemetry::Report,
    raw: u8,
) {
    match raw {
        0..=15 if cx.profile().battery_in_percent => {
            report.power.battery_charge = milepost_telemetry::Percent::new(raw.into()).ok();
        }
        0..=6 => report.power.battery_level = milepost_telemetry::Level::from_step(raw),
        16..=100 => report.power.battery_charge = milepost_telemetry::Percent::new(raw.into()).ok(),
        _ => report
            .more
            .signals
            .push(milepost_telemetry::Signal::named("gt06.battery_raw").number(raw.into(), None)),
    }
}

/// Notes GSM1: up to 4 a level; above, the model's own unit, kept raw.
#[cfg(feature = "telemetry")]
pub(crate) fn note_signal(report: &mut milepost_telemetry::Report, raw: u8) {
    match raw {
        // A step of a scale of four is a share of full scale.
        0..=4 => {
            report.network.signal = milepost_telemetry::Percent::new(f32::from(raw) * 25.0).ok()
        }
        _ => report
            .more
            .signals
            .push(milepost_telemetry::Signal::named("gt06.gsm_signal").number(raw.into(), None)),
    }
}
