//! ALM1: alarm codes, by maker where they differ.

use super::TerminalInfo;
use crate::Dialect;

/// An alarm with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Alarm {
    /// The code as sent; 12 bits on newer models. `None` where only the terminal's alarm bits
    /// speak.
    pub code: Option<u16>,
    /// The code of the table that says what it means.
    meaning: u16,
    dialect: Dialect,
}

impl Alarm {
    /// The alarm of a code; `None` for "normal".
    #[must_use]
    pub fn from_code(code: u16, dialect: Dialect) -> Option<Self> {
        (code != 0).then_some(Self {
            code: Some(code),
            meaning: code,
            dialect,
        })
    }

    /// The alarm of a status block: the code or, where that is 0, the terminal's alarm bits.
    #[must_use]
    pub fn from_status(code: u16, terminal: TerminalInfo, dialect: Dialect) -> Option<Self> {
        Self::from_code(code, dialect).or_else(|| {
            let meaning = match terminal.alarm_bits() {
                1 => 0x03,
                2 => 0x02,
                3 => 0x19,
                4 => 0x01,
                // Enter or leave is not said; 6 and 7 are not told apart by any manual.
                _ => return None,
            };
            Some(Self {
                code: None,
                meaning,
                dialect: Dialect::default(),
            })
        })
    }

    /// What it means, for people.
    #[must_use]
    pub const fn meaning(&self) -> &'static str {
        alarm_meaning(self.meaning)
    }
}

/// An alarm as part of a report's key: its code or, where that is 0, the terminal's alarm bits, in
/// the four bits that no code has.
#[cfg(feature = "telemetry")]
pub(crate) fn alarm_key(code: u16, terminal: TerminalInfo) -> u16 {
    match code {
        0 => u16::from(terminal.alarm_bits()) << 12,
        code => code,
    }
}

/// What an alarm's code means on most models, for people.
#[must_use]
pub const fn alarm_meaning(code: u16) -> &'static str {
    match code {
        0x00 => "normal",
        0x01 => "SOS",
        0x02 => "power cut",
        0x03 => "vibration",
        0x04 => "fence in",
        0x05 => "fence out",
        0x06 => "overspeed",
        0x09 => "moved or towed",
        0x0a => "GPS blind area entered",
        0x0b => "GPS blind area left",
        0x0c => "power on",
        0x0d => "first fix",
        0x0e => "external power low",
        0x0f => "external power low, protection",
        0x10 => "SIM changed",
        0x11 => "power off",
        0x12 => "airplane mode after protection",
        0x13 => "removed",
        0x14 => "door",
        0x15 => "low-battery shutdown",
        0x16 => "sound",
        0x17 => "fake base station",
        0x18 => "cover opened",
        0x19 => "internal battery low",
        0x20 => "deep sleep",
        0x23 => "fall",
        0x24 => "charger connected",
        0x25 => "tamper by light",
        0x26 => "harsh acceleration",
        0x27 => "harsh braking",
        0x28 => "harsh braking, cornering or power-off, by maker",
        0x29 => "harsh acceleration",
        0x2a => "sharp left",
        0x2b => "sharp right",
        0x2c => "collision",
        0x2d => "rollover",
        0x2e => "harsh cornering",
        0x30 => "harsh braking",
        0x32 => "unplugged",
        0x33 => "lock",
        0x34 => "unlock",
        0x3c => "theft",
        0x3d => "illegal start",
        0x3e => "button upload",
        0x4b => "tilt",
        0x4c => "sharp turn",
        0x4d => "lane change",
        0x4e => "stability",
        0x4f => "angle",
        0x53 => "fuel leak",
        0x5b => "temperature high",
        0x5c => "temperature low",
        0x5e => "pulse line cut",
        0xc9 => "idling",
        0xf0 => "harsh acceleration",
        0xf1 => "harsh braking",
        0xf2 => "collision",
        0xf3 => "blocked",
        0xf4 => "unblocked",
        0xfe => "ignition on",
        0xff => "ignition off",
        0x107 | 0x10b => "jamming",
        _ => UNKNOWN,
    }
}

/// Whether any maker gives the code a meaning; "normal" is one.
pub(super) fn is_known(code: u16) -> bool {
    alarm_meaning(code) != UNKNOWN
}

const UNKNOWN: &str = "unknown";

#[cfg(feature = "telemetry")]
impl Alarm {
    /// What it is in the schema's terms.
    #[must_use]
    pub const fn event_kind(&self) -> telemetry::EventKind {
        use telemetry::EventKind as E;
        // Where makers differ, the dialect decides.
        match (self.dialect, self.meaning) {
            (Dialect::Jimi, 0x28) => return E::PowerOff,
            (Dialect::Lynkworld, 0x18) => return E::Accident,
            (Dialect::Lynkworld, 0x19) => return E::HarshAcceleration,
            (Dialect::Seeworld, 0x28) => return E::HarshCornering,
            (Dialect::Seeworld, 0x29) => return E::Accident,
            (Dialect::Trx16i, 0x0e) => return E::LowExternalPower,
            // "Fence", without enter or leave.
            (Dialect::Trx16i, 0x09) => return E::Unknown,
            _ => {}
        }
        match self.meaning {
            0x01 => E::Sos,
            0x02 => E::PowerCut,
            0x03 => E::Vibration,
            0x04 => E::GeofenceEnter,
            0x05 => E::GeofenceExit,
            0x06 => E::Overspeed,
            0x09 => E::Tow,
            0x0a => E::GpsLost,
            0x0b => E::GpsRestored,
            0x0c => E::PowerOn,
            0x0d => E::GpsFirstFix,
            0x0e => E::LowExternalPower,
            0x0f => E::LowExternalPowerProtection,
            0x10 => E::SimChanged,
            0x11 => E::PowerOff,
            0x12 => E::AirplaneMode,
            0x13 => E::Removed,
            0x14 => E::Door,
            0x15 => E::LowBatteryShutdown,
            0x16 => E::Sound,
            0x17 => E::FakeBaseStation,
            0x18 | 0x25 => E::Tamper,
            0x19 => E::LowBattery,
            0x20 => E::Sleep,
            0x23 => E::Fall,
            0x24 => E::ChargerConnected,
            0x26 | 0x29 | 0xf0 => E::HarshAcceleration,
            0x27 | 0x28 | 0x30 | 0xf1 => E::HarshBraking,
            0x2a => E::SharpTurnLeft,
            0x2b => E::SharpTurnRight,
            0x2c | 0xf2 => E::Collision,
            0x2d => E::Rollover,
            0x2e | 0x4c => E::HarshCornering,
            0x32 => E::Unplugged,
            0x33 => E::Lock,
            0x34 => E::Unlock,
            0x3c => E::Theft,
            0x3d => E::IllegalStart,
            0x3e => E::ButtonUpload,
            0x4b | 0x4f => E::Tilt,
            0x4d => E::LaneChange,
            0x53 => E::FuelLeak,
            0x5b => E::TemperatureHigh,
            0x5c => E::TemperatureLow,
            0x5e => E::LineCut,
            0xc9 => E::Idling,
            0xfe => E::IgnitionOn,
            0xff => E::IgnitionOff,
            0x107 | 0x10b => E::Jamming,
            _ => E::Unknown,
        }
    }

    /// Notes the event in a report, and what it implies.
    pub fn normalize(&self, report: &mut telemetry::Report) {
        use telemetry::{Event, EventKind, IgnitionSource};
        let kind = self.event_kind();
        report
            .more
            .events
            .push(Event::by_device(kind, self.code.map(u32::from)));
        match kind {
            EventKind::IgnitionOn => report.io.note_ignition(true, IgnitionSource::Alarm),
            EventKind::IgnitionOff => report.io.note_ignition(false, IgnitionSource::Alarm),
            EventKind::PowerCut => report.power.external_connected = Some(false),
            _ => {}
        }
    }
}
