//! What one packet, or one item of a batch, says: a value for each field of the vocabulary.

use bytes::Bytes;

use crate::Field;
use crate::neighbour::{Cells, Neighbours};
use crate::read::{decimal, digits, exact, flag, hex, letter, small, trim};
use crate::text::{Bits, Code, Text};
use crate::time::DateTime;

/// Emergency packets' own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alarm {
    /// `EMR`: an emergency.
    Emergency,
    /// `SEM`: its end.
    End,
}

/// What a packet says, field by field. A field that was not there, or could not be read, is `None`
/// or empty. Numbers are in the units of [`Field`].
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "the fields of the vocabulary, documented at `Field`"
)]
pub struct Record {
    pub vendor: Text,
    pub firmware: Text,
    pub packet_type: Code,
    pub alert: Option<u16>,
    /// `true` live (`L`, `NM`), `false` from the buffer (`H`, `SP`).
    pub live: Option<bool>,
    pub imei: Option<u64>,
    pub registration: Text,
    pub fix: Option<bool>,
    pub time: Option<DateTime>,
    /// Degrees, negative in the south.
    pub latitude: Option<f64>,
    /// Degrees, negative in the west.
    pub longitude: Option<f64>,
    pub speed: Option<f64>,
    pub heading: Option<f64>,
    pub satellites: Option<u8>,
    pub altitude: Option<f64>,
    pub pdop: Option<f64>,
    pub hdop: Option<f64>,
    pub operator: Text,
    pub ignition: Option<bool>,
    pub main_power: Option<bool>,
    pub main_volts: Option<f64>,
    pub battery_volts: Option<f64>,
    pub emergency: Option<bool>,
    /// The letter; a blank where the field is empty.
    pub tamper: Option<u8>,
    pub gsm: Option<u8>,
    pub cells: Cells,
    pub neighbours: Neighbours,
    pub inputs: Bits,
    pub outputs: Bits,
    pub frame: Option<u32>,
    pub analog: Few,
    pub odometer_m: Option<f64>,
    /// What few packets say.
    pub more: Option<Box<More>>,
}

/// The fields that few packets have.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "the fields of the vocabulary, documented at `Field`"
)]
pub struct More {
    pub alarm: Option<Alarm>,
    pub geofence: Text,
    pub block: Bits,
    pub delta: Option<f64>,
    pub accelerations: Few,
    pub ota: Text,
    pub distance: Option<f64>,
    pub provider: Text,
    pub reply: Text,
    pub protocol: Text,
    pub iccid: Text,
    pub imsi: Text,
    pub token: Text,
    pub battery_pct: Option<f64>,
    pub low_pct: Option<f64>,
    pub memory_pct: Option<f64>,
    pub memory2_pct: Option<f64>,
    pub interval_on: Option<f64>,
    pub interval_off: Option<f64>,
    pub mode: Option<u8>,
    pub source: Text,
    pub sender: Text,
    pub parameters: Text,
    pub activation: Text,
    /// Items that the layout does not have a place for, with commas between.
    pub extra: Text,
    /// Fields of the layout that were not found.
    pub missing: Vec<Field>,
}

/// Up to six numbers, inline.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Few {
    len: u8,
    values: [f64; 6],
}

impl Few {
    /// Appends a number; `false` if there is no place left.
    pub fn push(&mut self, value: f64) -> bool {
        match self.values.get_mut(usize::from(self.len)) {
            Some(place) => {
                *place = value;
                self.len += 1;
                true
            }
            None => false,
        }
    }

    /// The numbers.
    #[must_use]
    pub fn as_slice(&self) -> &[f64] {
        self.values.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl Record {
    /// What few packets say, made if it is not there yet.
    pub fn more_mut(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// The text of an OTA answer, if there is one.
    #[must_use]
    pub fn ota(&self) -> &[u8] {
        self.more.as_ref().map_or(&[], |more| more.ota.as_bytes())
    }

    /// Whether this is an emergency packet (`EMR`, `SEM`).
    #[must_use]
    pub fn alarm(&self) -> Option<Alarm> {
        self.more.as_ref().and_then(|more| more.alarm)
    }

    /// Takes an item as a field's value. `false` if it does not have the field's form; then nothing
    /// has changed.
    ///
    /// Fields of several items are the layout reader's work: they never come here.
    pub(crate) fn set(&mut self, field: Field, raw: &Bytes, item: &[u8]) -> bool {
        fn put<T>(place: &mut Option<T>, value: Option<T>) -> bool {
            let fits = value.is_some();
            if fits {
                *place = value;
            }
            fits
        }
        let item = trim(item);
        let number = || exact(decimal, item);
        let text = || Text::part(raw, item);
        match field {
            Field::Vendor => self.vendor = text(),
            Field::Firmware => self.firmware = text(),
            Field::Type => {
                let is_type =
                    (2..=4).contains(&item.len()) && item.iter().all(u8::is_ascii_alphabetic);
                match Code::new(item) {
                    Some(code) if is_type => self.packet_type = code,
                    _ => return false,
                }
            }
            Field::Alert => {
                let alert = exact(digits::<1, 3>, item).and_then(|v| u16::try_from(v).ok());
                return put(&mut self.alert, alert);
            }
            Field::Status => return put(&mut self.live, exact(letter(b'L', b'H'), item)),
            Field::PacketStatus => {
                let live = match item {
                    b"NM" => Some(true),
                    b"SP" => Some(false),
                    _ => None,
                };
                return put(&mut self.live, live);
            }
            Field::Imei => return put(&mut self.imei, exact(digits::<15, 15>, item)),
            Field::Registration => self.registration = text(),
            Field::Fix => {
                let fix = exact(flag, item).or_else(|| exact(letter(b'A', b'V'), item));
                return put(&mut self.fix, fix);
            }
            Field::Speed => return put(&mut self.speed, number()),
            Field::Heading => return put(&mut self.heading, number()),
            Field::Satellites => {
                // Some print them with decimals; the sky holds fewer than 256.
                let count = number().filter(|n| (0.0..256.0).contains(n));
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "checked above"
                )]
                return put(&mut self.satellites, count.map(|n| n as u8));
            }
            Field::Altitude => return put(&mut self.altitude, number()),
            Field::Pdop => return put(&mut self.pdop, number()),
            Field::Hdop => return put(&mut self.hdop, number()),
            Field::Operator => self.operator = Text::part(raw, unquoted(item)),
            Field::Ignition => return put(&mut self.ignition, exact(flag, item)),
            Field::MainPower => return put(&mut self.main_power, exact(flag, item)),
            Field::MainVolts => return put(&mut self.main_volts, number()),
            Field::BatteryVolts => return put(&mut self.battery_volts, number()),
            Field::Emergency => return put(&mut self.emergency, exact(flag, item)),
            Field::Tamper => {
                let tamper = match item {
                    [] => Some(b' '),
                    [letter] if letter.is_ascii_alphabetic() => Some(*letter),
                    _ => None,
                };
                return put(&mut self.tamper, tamper);
            }
            Field::Gsm => {
                return put(&mut self.gsm, small::<u8>(item).filter(|_| item.len() <= 3));
            }
            Field::Mcc => {
                let mcc = exact(digits::<1, 3>, item).and_then(|v| u16::try_from(v).ok());
                return put(&mut self.cells.mcc, mcc);
            }
            Field::Mnc => {
                let mnc = exact(digits::<1, 3>, item).and_then(|v| u16::try_from(v).ok());
                return put(&mut self.cells.mnc, mnc);
            }
            Field::Lac => {
                let lac = exact(hex, item).and_then(|v| u32::try_from(v).ok());
                return put(&mut self.cells.lac, lac);
            }
            Field::Cell => {
                self.cells.is_wide = item.len() > 4;
                return put(&mut self.cells.cell, exact(hex, item));
            }
            Field::CellDecimal => {
                self.cells.is_wide = item.len() > 5;
                return put(&mut self.cells.cell, exact(digits::<1, 12>, item));
            }
            Field::Inputs | Field::Outputs | Field::InputsOutputs | Field::Block => {
                let Some(bits) = Bits::read(item) else {
                    return false;
                };
                match field {
                    Field::Inputs => self.inputs = bits,
                    Field::Outputs => self.outputs = bits,
                    Field::Block => self.more_mut().block = bits,
                    _ => (self.inputs, self.outputs) = bits.split(4),
                }
            }
            Field::Frame => {
                let frame = exact(digits::<1, 9>, item).and_then(|v| u32::try_from(v).ok());
                return put(&mut self.frame, frame);
            }
            Field::Analog => match number() {
                Some(value) => return self.analog.push(value),
                None => return false,
            },
            Field::OdometerMetres => return put(&mut self.odometer_m, number()),
            Field::OdometerKm => {
                return put(&mut self.odometer_m, number().map(|km| km * 1_000.0));
            }
            Field::Value => return number().is_some(),
            Field::Text | Field::Checksum => {}
            _ => return self.set_rare(field, raw, item),
        }
        true
    }

    /// The fields that few packets have.
    fn set_rare(&mut self, field: Field, raw: &Bytes, item: &[u8]) -> bool {
        let number = exact(decimal, item);
        let text = Text::part(raw, item);
        let put = |place: &mut Option<f64>| {
            if number.is_some() {
                *place = number;
            }
            number.is_some()
        };
        let is_bracketed = matches!(item, [b'(' | b'<' | b'{', ..]);
        // Made only for what fits: an unfit item leaves no trace.
        match field {
            Field::Message => {
                let alarm = match item {
                    b"EMR" => Alarm::Emergency,
                    b"SEM" => Alarm::End,
                    _ => return false,
                };
                self.more_mut().alarm = Some(alarm);
            }
            Field::Mode => match item {
                [mode @ (b'M' | b'H' | b'S')] => self.more_mut().mode = Some(*mode),
                _ => return false,
            },
            Field::Iccid => {
                let is_iccid =
                    (18..=22).contains(&item.len()) && item.iter().all(u8::is_ascii_alphanumeric);
                if !is_iccid {
                    return false;
                }
                self.more_mut().iccid = text;
            }
            Field::Imsi => {
                if exact(digits::<14, 15>, item).is_none() {
                    return false;
                }
                self.more_mut().imsi = text;
            }
            Field::Ota => {
                if !is_bracketed {
                    return false;
                }
                let more = self.more_mut();
                // An empty answer after a real one says nothing.
                if more.ota.is_empty() || item.len() > 2 {
                    more.ota = text;
                }
            }
            Field::Geofence => {
                if !item.starts_with(b"GEO") && !item.starts_with(b"GF") {
                    return false;
                }
                self.more_mut().geofence = text;
            }
            Field::Distance => return put(&mut self.more_mut().distance),
            Field::Delta => return put(&mut self.more_mut().delta),
            Field::BatteryPercent => return put(&mut self.more_mut().battery_pct),
            Field::LowPercent => return put(&mut self.more_mut().low_pct),
            Field::MemoryPercent => return put(&mut self.more_mut().memory_pct),
            Field::Memory2Percent => return put(&mut self.more_mut().memory2_pct),
            Field::IntervalOn => return put(&mut self.more_mut().interval_on),
            Field::IntervalOff => return put(&mut self.more_mut().interval_off),
            Field::Acceleration => match number {
                Some(value) => return self.more_mut().accelerations.push(value),
                None => return false,
            },
            Field::Provider => self.more_mut().provider = text,
            Field::Reply => self.more_mut().reply = text,
            Field::Protocol => self.more_mut().protocol = text,
            Field::Token => self.more_mut().token = text,
            Field::Source => self.more_mut().source = text,
            Field::Sender => self.more_mut().sender = text,
            Field::Parameters => self.more_mut().parameters = text,
            Field::Activation => self.more_mut().activation = text,
            _ => return false,
        }
        true
    }
}

/// One dialect writes the operator in quotes.
fn unquoted(item: &[u8]) -> &[u8] {
    match item {
        [b'"', inner @ .., b'"'] => inner,
        _ => item,
    }
}
