//! 0x70, a list of modules (CT10, JM-LL01, JM-LL02, VL103).
//!
//! Under `79 79`: id 2, length 2, data, repeated to the end.
//!
//! | id | data |
//! |---|---|
//! | 0000 | transfer type 1 |
//! | 0001, 0002, 0003 | IMEI 8, IMSI 8, ICCID 10, as digits |
//! | 0009, 000A, 000B | satellites used, visible, strengths |
//! | 0011 | MCC 2, MNC 2, area 2, cell 3, signal 1 |
//! | 0012 | neighbour cells: kept raw |
//! | 0016 | CSQ 1 |
//! | 0018 | battery, volts/100 2 |
//! | 0028, 0029 | HDOP × 10 1, uploads 4 |
//! | 002A | high half tamper, low half door or light button |
//! | 002B | boot reason 1 |
//! | 002C | time of the report 4, Unix |
//! | 002E | odometer 4, metres |
//! | 0030, 0031 | reporting mode 2 and 4 intervals, fence triggers: kept raw |
//! | 0033 | time 4 (Unix), satellites 1, altitude 2 (signed metres), latitude 4, longitude 4, speed 1, course and status 2 |
//! | 0034 | event 1, time 4 (Unix), n 1, data n; may repeat |
//! | 0035 | class of the report 1: 1 live, others stored or start (unconfirmed) |
//! | 0036 | n 1, n × (MAC 6, signal 1): WiFi |
//! | 0043 | LTE: MCC 2, MNC 2, area 2, cell 4, signal 1 |
//! | 0044 | n × (area 2, cell 4, signal 1) |
//! | 0045 | n 1, n × (MAC 6, signal 1, major 2, minor 2): beacons |
//! | 007F | MAC 6, millivolts 2, battery % 1, °C/10 2, humidity 2, state 1: Bluetooth tag |
//! | 1000 | 1 = a reply is wanted |
//!
//! Jimi manuals as far as they go; the rest seen on devices. Modules that is unknown, or of
//! another length, are kept and shown raw. The acknowledgement is a `78 78` one.

#[cfg(feature = "telemetry")]
mod report;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{CourseStatus, Position, TerminalId};
use crate::frame::Start;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A list of modules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Modular {
    /// The modules, in order.
    pub modules: Vec<Module>,
    /// Bytes after the last whole module.
    pub tail: Bytes,
}

/// One module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// What it is.
    pub id: u16,
    /// Its value.
    pub data: Bytes,
}

impl Module {
    /// The id of a position.
    pub const POSITION: u16 = 0x0033;
    /// The id of an event.
    pub const EVENT: u16 = 0x0034;
    /// The id of the time of the report.
    pub const TIME: u16 = 0x002c;
    /// The id of the wish for a reply.
    pub const REPLY_WANTED: u16 = 0x1000;

    /// A module.
    #[must_use]
    pub fn new(id: u16, data: &[u8]) -> Self {
        Self {
            id,
            data: Bytes::copy_from_slice(data),
        }
    }

    fn encode(&self, out: &mut BytesMut) {
        let data = self.data.get(..usize::from(u16::MAX)).unwrap_or(&self.data);
        out.put_u16(self.id);
        out.put_u16(u16::try_from(data.len()).unwrap_or(u16::MAX));
        out.put_slice(data);
    }
}

/// A position with its time, as module 0033 has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModulePosition {
    /// Seconds since 1970; 0 where there is none.
    pub unix: u32,
    /// Metres above sea level.
    pub altitude: i16,
    /// The position.
    pub position: Position,
}

impl ModulePosition {
    /// Reads the data of a module 0033.
    #[must_use]
    pub fn read(data: &[u8]) -> Option<Self> {
        let data: &[u8; 18] = data.try_into().ok()?;
        let [
            t3,
            t2,
            t1,
            t0,
            satellites,
            a1,
            a0,
            y3,
            y2,
            y1,
            y0,
            x3,
            x2,
            x1,
            x0,
            speed,
            c1,
            c0,
        ] = *data;
        Some(Self {
            unix: u32::from_be_bytes([t3, t2, t1, t0]),
            altitude: i16::from_be_bytes([a1, a0]),
            position: Position {
                raw_satellites: satellites,
                raw_latitude: u32::from_be_bytes([y3, y2, y1, y0]),
                raw_longitude: u32::from_be_bytes([x3, x2, x1, x0]),
                raw_speed: speed,
                course_status: CourseStatus(u16::from_be_bytes([c1, c0])),
            },
        })
    }

    /// The data of a module 0033.
    #[must_use]
    pub fn to_module(&self) -> Module {
        let mut out = BytesMut::with_capacity(18);
        out.put_u32(self.unix);
        out.put_u8(self.position.raw_satellites);
        out.put_i16(self.altitude);
        out.put_u32(self.position.raw_latitude);
        out.put_u32(self.position.raw_longitude);
        out.put_u8(self.position.raw_speed);
        out.put_u16(self.position.course_status.0);
        Module {
            id: Module::POSITION,
            data: out.freeze(),
        }
    }
}

impl Modular {
    /// Whether the device wants an acknowledgement.
    #[must_use]
    pub fn wants_reply(&self) -> bool {
        self.modules
            .iter()
            .any(|module| module.id == Module::REPLY_WANTED && module.data.ends_with(&[1]))
    }
}

impl Body for Modular {
    const NAME: &'static str = "modular";
    // Harmless where it is not wanted; without one the device would send it for ever.
    const ANSWER: Answer = Answer::short_when_delivered(0x70);

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_long() && !cx.body.is_empty())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let mut modules = Vec::new();
        while let [_, _, high, low, rest @ ..] = r.peek() {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            if len > rest.len() {
                break;
            }
            let id = r.u16("module id")?;
            r.note(|| format!("{id:04x}, {}", module_name(id)));
            let _: u16 = r.u16("module size")?;
            let data = r.bytes("module data", len)?;
            if len > 0 {
                r.note(|| describe(id, &data));
            }
            modules.push(Module { id, data });
        }
        Ok(Self {
            modules,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        for module in &self.modules {
            module.encode(out);
        }
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x70
    }

    fn start(&self) -> Start {
        Start::Long
    }

    fn answer(&self) -> Answer {
        if self.wants_reply() {
            Self::ANSWER
        } else {
            Answer::Silent
        }
    }

    /// Key: number, time of the position (else of the report), position; one that repeats in
    /// the list has a number too. The first position's report, or the one without,
    /// has all that makes it another fact: events, the report's time, states, what is connected.
    /// Without a time: where the frame arrived.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        report::normalize(self, cx, out);
    }
}

const fn module_name(id: u16) -> &'static str {
    match id {
        0x0000 => "transfer type",
        0x0001 => "imei",
        0x0002 => "imsi",
        0x0003 => "iccid",
        0x0009 => "satellites used",
        0x000a => "satellites visible",
        0x000b => "strengths of satellites",
        0x0011 => "cell",
        0x0012 => "neighbour cells",
        0x0016 => "csq",
        0x0018 => "battery",
        0x0028 => "hdop",
        0x0029 => "uploads",
        0x002a => "tamper and door",
        0x002b => "boot reason",
        0x002c => "time of the report",
        0x002e => "odometer",
        0x0030 => "reporting mode",
        0x0031 => "fence triggers",
        0x0033 => "position",
        0x0034 => "event",
        0x0035 => "class of the report",
        0x0036 => "wifi",
        0x0043 => "lte cell",
        0x0044 => "lte neighbours",
        0x0045 => "beacons",
        0x007f => "bluetooth tag",
        0x1000 => "reply wanted",
        _ => "unknown",
    }
}

fn describe(id: u16, data: &[u8]) -> String {
    match (id, data) {
        (0x0001 | 0x0002, data) if data.len() == 8 => {
            format!("{}", data.try_into().map(TerminalId).unwrap_or_default())
        }
        (0x0003, _) => crate::text::digits(data),
        (0x0018, &[high, low]) => {
            format!(
                "{:.2} V",
                f32::from(u16::from_be_bytes([high, low])) / 100.0
            )
        }
        (0x0028, &[hdop]) => format!("{:.1}", f32::from(hdop) / 10.0),
        (0x002c, &[a, b, c, d]) => crate::text::unix(u32::from_be_bytes([a, b, c, d])),
        (0x002e, &[a, b, c, d]) => format!("{} m", u32::from_be_bytes([a, b, c, d])),
        (0x0033, _) => match ModulePosition::read(data) {
            Some(ModulePosition {
                unix,
                altitude,
                position,
            }) => format!(
                "{}, {} satellites, {altitude} m, {:.6}° {:.6}°, {} km/h, {}",
                crate::text::unix(unix),
                position.satellites(),
                position.latitude(),
                position.longitude(),
                position.raw_speed,
                position.course_status.describe(),
            ),
            None => "of another length".into(),
        },
        (0x0034, &[event, a, b, c, d, ..]) => {
            format!(
                "event {event:02x}, {}, at {}",
                event_name(event),
                crate::text::unix(u32::from_be_bytes([a, b, c, d]))
            )
        }
        (0x002a, &[bits]) => format!("tamper {}, door or light {}", bits >> 4, bits & 0x0f),
        (0x0035, &[1]) => "1: live".into(),
        (Module::REPLY_WANTED, data) => if data.ends_with(&[1]) { "yes" } else { "no" }.into(),
        (0x000b, data) => crate::text::list(data),
        (0x0011 | 0x0043, &[m1, m0, n1, n0, a1, a0, ref cell @ .., signal])
            if cell.len() == if id == 0x0011 { 3 } else { 4 } =>
        {
            let word = |high, low| u16::from_be_bytes([high, low]);
            format!(
                "mcc {}, mnc {}, area {}, cell {}, {}",
                word(m1, m0),
                word(n1, n0),
                word(a1, a0),
                number(cell),
                strength(signal)
            )
        }
        (0x0036, &[n, ref stations @ ..]) if stations.len() == usize::from(n) * 7 => {
            let (stations, _) = stations.as_chunks::<7>();
            let station = |[a, b, c, d, e, f, signal]: &[u8; 7]| {
                let mac = crate::text::mac([*a, *b, *c, *d, *e, *f]);
                format!("{mac} {}", strength(*signal))
            };
            crate::text::joined(stations.iter().map(station), "; ")
        }
        (0x0044, data) if data.len().is_multiple_of(7) => {
            let (cells, _) = data.as_chunks::<7>();
            let neighbour = |[a1, a0, cell @ .., signal]: &[u8; 7]| {
                let area = u16::from_be_bytes([*a1, *a0]);
                let (cell, signal) = (number(cell), strength(*signal));
                format!("area {area}, cell {cell}, {signal}")
            };
            crate::text::joined(cells.iter().map(neighbour), "; ")
        }
        (0x0045, &[n, ref beacons @ ..]) if beacons.len() == usize::from(n) * 11 => {
            let (beacons, _) = beacons.as_chunks::<11>();
            let beacon = |[a, b, c, d, e, f, signal, j1, j0, n1, n0]: &[u8; 11]| {
                format!(
                    "{} major {} minor {} signal {signal}",
                    crate::text::mac([*a, *b, *c, *d, *e, *f]),
                    u16::from_be_bytes([*j1, *j0]),
                    u16::from_be_bytes([*n1, *n0]),
                )
            };
            crate::text::joined(beacons.iter().map(beacon), "; ")
        }
        (0x007f, &[a, b, c, d, e, f, v1, v0, battery, t1, t0, h1, h0, state]) => {
            // 7FFF: not there.
            let value = |high, low, unit: &str, scale: f32| match i16::from_be_bytes([high, low]) {
                i16::MAX => format!("no {unit}"),
                raw => format!("{} {unit}", f32::from(raw) / scale),
            };
            format!(
                "{}, {}, {battery} %, {}, {}, state {state}",
                crate::text::mac([a, b, c, d, e, f]),
                value(v1, v0, "mV", 1.0),
                value(t1, t0, "°C", 10.0),
                value(h1, h0, "% humidity", 10.0),
            )
        }
        (_, data) if data.len() <= 4 && module_name(id) != module_name(u16::MAX) => {
            format!("{}", number(data))
        }
        (_, data) => crate::text::hex(data),
    }
}

/// Up to four bytes as a number.
fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn strength(signal: u8) -> String {
    crate::field::dbm(signal).map_or_else(|| "no dBm".into(), |dbm| format!("{dbm} dBm"))
}

const fn event_name(event: u8) -> &'static str {
    match event {
        0x00 | 0x02 | 0x06 | 0x0e | 0x11 => "no alarm",
        0x10 => "door",
        0x12 => "removed",
        0x14 => "fence in",
        0x15 => "fence out",
        0x16 => "temperature",
        0x1a => "low battery",
        0x1b => "overspeed",
        0x1c => "power on",
        0x1d => "power off",
        0x20 => "vibration",
        0x21 => "power cut",
        0x23 => "tamper",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_module_reads_back() {
        let position = ModulePosition {
            unix: 1_700_000_000,
            altitude: -36,
            position: Position::from_degrees(-33.86, 151.21, 40, 90, 9).unwrap(),
        };
        let module = position.to_module();
        assert_eq!(ModulePosition::read(&module.data), Some(position));
        assert_eq!(ModulePosition::read(&module.data[1..]), None);
    }
}
