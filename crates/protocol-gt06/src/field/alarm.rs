//! ALM1: alarm codes, by maker where they differ.

use super::TerminalInfo;
use crate::Dialect;

/// Where alarm bits go in a key: above the twelve bits of codes.
const BITS_AT: u32 = 12;

/// An alarm with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Alarm {
    /// The code as sent; 12 bits on newer models. `None` where only the terminal's alarm bits
    /// report it.
    pub code: Option<u16>,
    /// The code in the table of meanings.
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
                0 => return None,
                // An alarm, but which one is not stated: a fence, not whether entered or left; a
                // removal or an overspeed.
                bits => u16::from(bits) << BITS_AT,
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
        0 => u16::from(terminal.alarm_bits()) << BITS_AT,
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
        0x6000 => "fence",
        0x7000 => "removal or overspeed",
        _ => UNKNOWN,
    }
}

/// Whether any maker gives the code a meaning; "normal" is one.
pub(crate) fn is_known_alarm(code: u16) -> bool {
    alarm_meaning(code) != UNKNOWN
}

const UNKNOWN: &str = "unknown";

#[cfg(feature = "telemetry")]
impl Alarm {
    /// What it is in the schema's terms.
    #[must_use]
    pub const fn event_kind(&self) -> milepost_telemetry::EventKind {
        use milepost_telemetry::EventKind as E;
        // Where makers differ, the dialect decides.
        match (self.dialect, self.meaning) {
            (Dialect::Jimi, 0x28) => return E::PowerOff,
            (Dialect::Lynkworld, 0x18) => return E::Accident,
            (Dialect::Lynkworld, 0x19) => return E::HarshAcceleration,
            (Dialect::Seeworld, 0x28) => return E::HarshCornering,
            (Dialect::Seeworld, 0x29) => return E::Accident,
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
            0x4e => E::Stability,
            0x53 => E::FuelLeak,
            0x5b => E::TemperatureHigh,
            0x5c => E::TemperatureLow,
            0x5e => E::LineCut,
            0xc9 => E::Idling,
            0xf3 => E::Blocked,
            0xf4 => E::Unblocked,
            0xfe => E::IgnitionOn,
            0xff => E::IgnitionOff,
            0x107 | 0x10b => E::Jamming,
            _ => E::Unknown,
        }
    }

    /// Notes the event in a report, and what it implies.
    pub fn normalize(&self, report: &mut milepost_telemetry::Report) {
        use milepost_telemetry::{Event, EventKind, IgnitionSource};
        let kind = self.event_kind();
        report
            .more
            .events
            .push(Event::by_device(kind, self.code.map(u32::from)));
        // The bits are no code: 6 is none of an overspeed.
        let bits = self.meaning >> BITS_AT;
        if self.code.is_none() && bits != 0 {
            let state = milepost_telemetry::Signal::named("gt06.alarm_state");
            report.more.signals.push(state.number(bits.into(), None));
        }
        match kind {
            EventKind::IgnitionOn => report.io.note_ignition(true, IgnitionSource::Alarm),
            EventKind::IgnitionOff => report.io.note_ignition(false, IgnitionSource::Alarm),
            EventKind::PowerCut => report.power.external_connected = Some(false),
            _ => {}
        }
    }
}

#[cfg(all(test, feature = "telemetry"))]
mod tests {
    use crate::message::testing::{CELL, GPS, read_parts, report, signal};
    use crate::{Message, Start};
    use milepost_telemetry::EventKind;

    fn alarm_of(number: u8, parts: &[&str]) -> milepost_telemetry::Report {
        let read = read_parts(Start::Short, number, parts);
        assert!(!matches!(read, Message::Unknown(_)), "{read:?}");
        report(read)
    }

    /// Switches with these alarm bits and a fix.
    fn terminal(bits: u8) -> alloc::string::String {
        alloc::format!("{:02x}", 0x40 | bits << 3)
    }

    /// All messages that hold the alarm bits, but heartbeats.
    fn with_bits(bits: u8) -> [(&'static str, milepost_telemetry::Report); 8] {
        let ti = &terminal(bits);
        let head = "01 0123456789012345 0f0c1d023309";
        let status = "0984 28 4c 00 02 000005 000171";
        let wide = "01cc 00 287d 00001f71 04";
        let lte = "01cc 00 0000287d 0000000000001f71";
        let after = "04e4 06 04 00 01 00000064 00000e10 0000000000000000 0003";
        [
            (
                "22, L 3C",
                alarm_of(0x22, &[head, GPS, "09", CELL, ti, status]),
            ),
            (
                "25",
                alarm_of(0x25, &[head, GPS, "0a", wide, ti, status, "00"]),
            ),
            (
                "12, S5",
                alarm_of(0x12, &[GPS, CELL, ti, "04b6 04 00 0123 05 00000cd9"]),
            ),
            ("12, VXT01", alarm_of(0x12, &[GPS, CELL, ti, "04e4 04 00"])),
            ("A2", alarm_of(0xa2, &[GPS, lte, "04", ti, after])),
            ("A3", alarm_of(0xa3, &[ti, "0001 06 64 0c 01"])),
            ("16", alarm_of(0x16, &[GPS, "09", CELL, ti, "06 04 00 02"])),
            ("17", alarm_of(0x17, &[GPS, CELL, ti, "06 50 00 02 000064"])),
        ]
    }

    #[test]
    fn alarm_bits_without_a_code_are_an_event_in_every_message() {
        for (bits, kind) in [
            (1, EventKind::Vibration),
            (2, EventKind::PowerCut),
            (3, EventKind::LowBattery),
            (4, EventKind::Sos),
            (5, EventKind::Unknown),
            (6, EventKind::Unknown),
            (7, EventKind::Unknown),
        ] {
            for (what, r) in with_bits(bits) {
                let events: alloc::vec::Vec<_> =
                    r.more.events.iter().map(|e| (e.kind, e.code)).collect();
                assert_eq!(events, [(kind, None)], "{what}: {bits:03b}");
                // Which bits they were stays visible where they have no meaning of their own.
                let state = signal(&r, "gt06.alarm_state");
                let unnamed = (kind == EventKind::Unknown).then(|| alloc::format!("{bits}"));
                assert_eq!(state, unnamed, "{what}: {bits:03b}");
            }
        }
        for (what, r) in with_bits(0) {
            assert!(r.more.events.is_empty(), "{what}");
        }
    }
}
