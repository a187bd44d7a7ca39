//! TI1: switches of the terminal.
//!
//! | bit | meaning |
//! |---|---|
//! | 7 | fuel or electricity cut |
//! | 6 | GPS tracking on |
//! | 5–3 | 0 normal, 1 vibration, 2 power cut, 3 low battery, 4 SOS, 6 fence, 7 removal or overspeed |
//! | 2 | charging, external power present |
//! | 1 | ACC on |
//! | 0 | armed |
//!
//! Concox GT06 manual; 6 and 7 of bits 5–3: seen on devices.

use alloc::format;
use alloc::string::String;

/// Terminal information as sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TerminalInfo(pub u8);

impl TerminalInfo {
    /// Fuel or electricity is cut.
    #[inline]
    #[must_use]
    pub const fn is_cut(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// GPS tracking is on.
    #[inline]
    #[must_use]
    pub const fn is_tracking(self) -> bool {
        self.0 & 0x40 != 0
    }

    /// The three alarm bits.
    #[inline]
    #[must_use]
    pub const fn alarm_bits(self) -> u8 {
        self.0 >> 3 & 0b111
    }

    /// Charging; external power is present.
    #[inline]
    #[must_use]
    pub const fn is_charging(self) -> bool {
        self.0 & 0x04 != 0
    }

    /// The ignition is on.
    #[inline]
    #[must_use]
    pub const fn ignition(self) -> bool {
        self.0 & 0x02 != 0
    }

    /// The device's alarm system is armed.
    #[inline]
    #[must_use]
    pub const fn is_armed(self) -> bool {
        self.0 & 0x01 != 0
    }

    pub(crate) fn describe(self) -> String {
        let on = |yes: bool, text: &'static str, otherwise: &'static str| {
            if yes { text } else { otherwise }
        };
        format!(
            "{}{}{}, {}, ignition {}, {}",
            on(self.is_cut(), "fuel cut, ", ""),
            on(self.is_tracking(), "gps on", "gps off"),
            match self.alarm_bits() {
                0 => "",
                1 => ", vibration",
                2 => ", power cut",
                3 => ", low battery",
                4 => ", sos",
                6 => ", fence",
                7 => ", removal or overspeed",
                _ => ", alarm bits 101",
            },
            on(self.is_charging(), "charging", "not charging"),
            on(self.ignition(), "on", "off"),
            on(self.is_armed(), "armed", "disarmed"),
        )
    }

    /// Adds the switches to a report.
    #[cfg(feature = "telemetry")]
    #[inline]
    pub fn normalize(self, report: &mut milepost_telemetry::Report) {
        report.io.armed = Some(self.is_armed());
        report
            .io
            .note_ignition(self.ignition(), milepost_telemetry::IgnitionSource::Status);
        report.power.charging = Some(self.is_charging());
        report.power.external_connected = Some(self.is_charging());
        if self.is_cut() {
            report
                .more
                .signals
                .push(milepost_telemetry::Signal::named("gt06.fuel_cut").bool(true));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_example_of_the_alarm() {
        let ti = TerminalInfo(0x65);
        assert!(ti.is_armed() && ti.is_charging() && ti.is_tracking());
        assert!(!ti.ignition() && !ti.is_cut());
        assert_eq!(ti.alarm_bits(), 0b100);
        assert_eq!(ti.describe(), "gps on, sos, charging, ignition off, armed");
    }
}
