//! Packets of simulated vehicles, and what they understand of answers (feature `simulate`).

use bytes::Bytes;

use crate::Imei;
use crate::dialect::{Dialect, Dialects, Kind, ReplyClass};
use crate::encode::{EncodeError, encode};
use crate::neighbour::Neighbour;
use crate::record::{Alarm, Record};
use crate::text::{Bits, Code, Text};
use crate::time::DateTime;

/// Dialects whose simulated vehicles send every kind of packet.
pub const DIALECTS: &[&str] = &[
    "roadpoint",
    "itriangle",
    "wetrack",
    "nic",
    "amendment3",
    "xyz123",
    "rlp",
    "m2c",
];

/// Where a vehicle is and how it moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct State {
    /// Seconds since 1970.
    pub unix: i64,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// km/h.
    pub speed: f64,
    /// Degrees clockwise from north.
    pub course: f64,
    /// Whether the ignition is on.
    pub ignition: bool,
    /// Whether the vehicle is in an emergency.
    pub emergency: bool,
}

/// What a simulated vehicle sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet {
    /// It names itself.
    Login,
    /// A position, live.
    Position,
    /// A position from the buffer.
    History,
    /// A position with an alert id.
    Alert(u16),
    /// An emergency packet.
    Emergency,
    /// The end of the emergency.
    EmergencyEnd,
    /// The device's health.
    Health,
}

/// A simulated device.
#[derive(Debug, Clone)]
pub struct Vehicle {
    dialect: std::sync::Arc<Dialect>,
    imei: Imei,
    frame: u32,
}

impl Vehicle {
    /// A device of a dialect; `None` if there is none of that name.
    #[must_use]
    pub fn new(dialects: &Dialects, dialect: &str, imei: Imei) -> Option<Self> {
        let dialect = dialects.by_name(dialect)?.clone();
        Some(Self {
            dialect,
            imei,
            frame: 0,
        })
    }

    /// The packet's bytes, with a line end.
    ///
    /// # Errors
    /// When the dialect has no packet of that kind.
    pub fn packet(&mut self, packet: Packet, state: &State) -> Result<Bytes, EncodeError> {
        let (kind, record) = self.record(packet, state);
        let bytes = encode(&record, kind, &self.dialect)?;
        Ok([&bytes[..], b"\r\n"].concat().into())
    }

    /// What an answer of a server is to this vehicle: the class of the reply whose text it is.
    #[must_use]
    pub fn understand(&self, answer: &[u8]) -> Option<ReplyClass> {
        let answer = answer.trim_ascii();
        let rule = self.dialect.replies.iter().find(|rule| {
            let fixed = rule.template.split('{').next().unwrap_or_default();
            !fixed.is_empty() && answer.starts_with(fixed.as_bytes())
        })?;
        Some(rule.class)
    }

    /// Whether a command ends the emergency of this vehicle.
    #[must_use]
    pub fn is_release(&self, command: &[u8]) -> bool {
        let imei = Some(self.imei);
        crate::command::encode("RELEASE", &self.dialect, imei)
            .is_ok_and(|release| release.trim_ascii() == command.trim_ascii())
    }

    /// Whether packets of a kind are answered.
    #[must_use]
    pub fn expects_reply(&self, packet: Packet) -> bool {
        let kind = match packet {
            Packet::Login => Kind::Login,
            Packet::Health => Kind::Health,
            Packet::Emergency | Packet::EmergencyEnd => Kind::Emergency,
            _ => Kind::Tracking,
        };
        let rules = &self.dialect.replies;
        rules
            .iter()
            .any(|rule| rule.on == kind && !rule.is_unconfirmed)
    }

    fn record(&mut self, packet: Packet, state: &State) -> (Kind, Record) {
        let (kind, code, alert) = match packet {
            Packet::Login => (Kind::Login, "NR", 1),
            Packet::Position => (Kind::Tracking, "NR", 1),
            Packet::History => (Kind::Tracking, "NR", 2),
            Packet::Alert(10) => (Kind::Tracking, "EA", 10),
            Packet::Alert(alert) => (Kind::Tracking, type_of(alert), alert),
            Packet::Emergency | Packet::EmergencyEnd => (Kind::Emergency, "EA", 10),
            Packet::Health => (Kind::Health, "HP", 0),
        };
        if kind == Kind::Tracking {
            self.frame = self.frame % 999_999 + 1;
        }
        let vendor = self
            .dialect
            .vendors
            .first()
            .map_or("SIM", |v| core::str::from_utf8(v).unwrap_or("SIM"));
        let mut record = Record {
            vendor: vendor.into(),
            firmware: Text::from_static("1.0.0"),
            packet_type: Code::new(code.as_bytes()).unwrap_or_default(),
            alert: Some(alert),
            live: Some(packet != Packet::History),
            imei: Some(self.imei.number()),
            registration: format!("KA01SIM{:03}", self.imei.number() % 1_000)
                .as_str()
                .into(),
            fix: Some(true),
            time: DateTime::from_unix(state.unix),
            latitude: Some(state.latitude),
            longitude: Some(state.longitude),
            speed: Some(state.speed),
            heading: Some(state.course),
            satellites: Some(11),
            altitude: Some(914.0),
            pdop: Some(1.2),
            hdop: Some(0.8),
            operator: Text::from_static("SIM"),
            ignition: Some(state.ignition),
            main_power: Some(true),
            main_volts: Some(12.6),
            battery_volts: Some(4.1),
            emergency: Some(state.emergency),
            tamper: Some(b'C'),
            gsm: Some(24),
            inputs: Bits::read(b"0001").unwrap_or_default(),
            outputs: Bits::read(b"00").unwrap_or_default(),
            frame: Some(self.frame),
            ..Record::default()
        };
        record.cells.mcc = Some(404);
        record.cells.mnc = Some(45);
        record.cells.lac = Some(0x61b4);
        record.cells.cell = Some(0x9ad9);
        for (lac, cell, signal) in [
            (0x61b4, 0x9adb, 31),
            (0x61b4, 0x9ae1, 28),
            (0x61b5, 0x1f03, 22),
            (0x61b5, 0x1f07, 19),
        ] {
            record.neighbours.push(Neighbour {
                lac: Some(lac),
                cell,
                signal: Some(signal),
                is_wide: false,
            });
        }
        match packet {
            Packet::Emergency => record.more_mut().alarm = Some(Alarm::Emergency),
            Packet::EmergencyEnd => record.more_mut().alarm = Some(Alarm::End),
            Packet::Health => {
                let more = record.more_mut();
                more.battery_pct = Some(90.0);
                more.low_pct = Some(20.0);
                more.memory_pct = Some(3.5);
                more.memory2_pct = Some(1.5);
                more.interval_on = Some(10.0);
                more.interval_off = Some(60.0);
            }
            _ => {}
        }
        if kind != Kind::Tracking {
            // Emergency packets put the serving cell after the reply number, if there is one.
            record.cells = crate::neighbour::Cells::default();
        }
        (kind, record)
    }
}

/// The packet type that goes with an alert id.
const fn type_of(alert: u16) -> &'static str {
    match alert {
        3 => "BD",
        4 => "BL",
        6 => "BR",
        7 => "IN",
        8 => "IF",
        9 | 16 => "TA",
        11 => "EO",
        12 => "OA",
        13 => "HB",
        14 => "HA",
        15 => "RT",
        17 => "OS",
        _ => "NR",
    }
}
