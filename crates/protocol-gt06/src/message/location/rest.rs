//! What follows the cell of a [`Location`](super::Location).

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::ops::RangeInclusive;

use bytes::{BufMut, Bytes, BytesMut};

use crate::field::{
    AlarmCode, CellForm, Celsius, Gps, Mileage, MileageTens, MobileSignal, Supply, TerminalInfo,
    Trailer, alarm_meaning, is_mileage,
};
use crate::layout::{Part, layout};
use crate::parse::{Reader, Trace};
use crate::{DecodeError, Dialect};

/// What follows a location's cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocationRest {
    /// Nothing.
    Nothing,
    /// Reserved or language (0 to 2); on Benway inputs: bit 15 ignition, bit 14 input 2, bit 12: a
    /// temperature follows (bit 9 sign, bits 8 to 0), else an analogue input (bits 9 to 0; bit 13:
    /// volts, else tenths). Read as Benway's on Benway, and on devices of an unknown dialect if one
    /// of these four bits is 1 and those that Benway leaves free, 10 and 11, are 0.
    Word(u16),
    /// Why it was sent.
    Trailer(Trailer),
    /// Mileage.
    Mileage(Mileage),
    /// Why it was sent, and mileage.
    TrailerMileage(Trailer, Mileage),
    /// VXT01, R31.
    Status(LocationStatus),
    /// S5.
    Fuel(LocationFuel),
    /// GT06E with card reader, Wetrust.
    Card(Box<LocationCard>),
    /// Seeworld.
    Climate(LocationClimate),
}

layout! {
    /// The status of VXT01 and R31.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct LocationStatus {
        /// Switches.
        terminal: TerminalInfo,
        /// Volts × 100.
        supply: Supply,
        /// Mobile signal.
        signal: MobileSignal,
        /// Unknown.
        extension: u8 as "extension",
    }
}

layout! {
    /// The status of S5.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct LocationFuel {
        /// Switches.
        terminal: TerminalInfo,
        /// Volts × 100.
        supply: Supply,
        /// Mobile signal.
        signal: MobileSignal,
        /// Alarm.
        alarm: AlarmCode,
        /// Fuel sensor, unit unknown.
        fuel: u16 as "fuel",
        /// Degrees Celsius.
        temperature: Celsius,
        /// Tens of metres.
        mileage: MileageTens,
    }
}

layout! {
    /// The counters and sensors of Seeworld.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct LocationClimate {
        /// Why it was sent.
        trailer: Trailer,
        /// Metres.
        mileage: Mileage,
        /// Seconds.
        trip: u32 as "trip time",
        /// Bit 15 is the sign; unit by model.
        temperature: u16 as "temperature",
        /// Unit by model.
        humidity: u16 as "humidity",
    }
}

impl LocationClimate {
    /// The size of the block.
    pub const LEN: usize = 15;
}

/// A card after a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationCard {
    /// Metres.
    pub mileage: Mileage,
    /// ASCII, padded with blanks.
    pub card: Bytes,
    /// Wetrust: an alarm's code. GT06E: a digit, whether there is an alarm; no code of the manuals'
    /// table.
    pub alarm: u8,
    /// Whether, or which way, the card was swiped. A digit on GT06E.
    pub state: u8,
    /// Wetrust.
    pub driving_time: Option<u16>,
}

/// The known layouts of a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RestForm {
    Nothing,
    Word,
    Trailer,
    Mileage,
    TrailerMileage,
    Status,
    Fuel,
    Card,
    Climate,
}

impl RestForm {
    /// By number and length; `None`: no known layout.
    pub(super) fn find(number: u8, cell: CellForm, rest: &[u8], gps: &Gps) -> Option<Self> {
        Some(match (number, rest) {
            // Half of SL4X's longer 0x31 is as long, and has other values there.
            (0x31, _) if !Trailer::is_at(rest) => return None,
            (_, []) => Self::Nothing,
            (_, [_, _, _]) => Self::Trailer,
            (_, [_, _, _, _, _, _, _]) => Self::TrailerMileage,
            (0x22, _) if cell == CellForm::L9c => Self::Climate,
            (0x12, [_, _]) => Self::Word,
            (0x12, [_, _, _, _]) if is_mileage(rest) => Self::Mileage,
            // A terminal of 0 or 1 would be the start of a trailer and a mileage.
            (0x12, [2..=0xff, a, b, _, _]) if is_vehicle_supply([*a, *b]) => Self::Status,
            (0x12, [terminal, a, b, ..]) if rest.len() == 12 && is_vehicle_supply([*a, *b]) => {
                // A card of three or five digits is as long, with a mileage in place of the supply.
                let is_positioned = gps.position().course_status.is_positioned();
                let agrees = TerminalInfo(*terminal).is_tracking() == is_positioned;
                match is_card(rest) && !agrees {
                    true => Self::Card,
                    false => Self::Fuel,
                }
            }
            (0x12, _) if is_card(rest) => Self::Card,
            _ => return None,
        })
    }
}

/// Whether volts × 100 are those of a vehicle's supply, or of one that was cut off. Half of another
/// rest, which is as long, has other values there.
fn is_vehicle_supply(raw: [u8; 2]) -> bool {
    const VEHICLE: RangeInclusive<u16> = 500..=4_000;
    let centivolts = u16::from_be_bytes(raw);
    centivolts == 0 || VEHICLE.contains(&centivolts)
}

/// Whether a mileage, a card of its size and what follows it end with the rest.
fn is_card(rest: &[u8]) -> bool {
    let [_, _, _, _, size, rest @ ..] = rest else {
        return false;
    };
    let Some((card, after)) = rest.split_at_checked((*size).into()) else {
        return false;
    };
    let is_text = !card.is_empty() && card.iter().all(|b| (0x20..0x7f).contains(b));
    is_text
        && match after {
            [_, _, _, _] => true,
            // GT06E's digits; or Wetrust's without the driving time.
            [alarm, state] => *size == 75 || alarm.is_ascii_digit() && state.is_ascii_digit(),
            _ => false,
        }
}

impl LocationCard {
    fn decode<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let mileage = Mileage::read(r, ())?;
        let size = r.u8("card length")?;
        let card = r.bytes("card", size.into())?;
        r.note(|| String::from_utf8_lossy(&card).into_owned());
        let alarm = r.u8("alarm")?;
        let is_wetrust = r.remaining() == 3;
        if is_wetrust {
            r.note(|| alarm_meaning(alarm.into()).into());
        }
        Ok(Self {
            mileage,
            card,
            alarm,
            state: r.u8("card state")?,
            driving_time: Part::read(r, "driving time".into())?,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.mileage.write(out);
        out.put_u8(u8::try_from(self.card.len()).unwrap_or(u8::MAX));
        out.put_slice(&self.card);
        out.put_slice(&[self.alarm, self.state]);
        self.driving_time.write(out);
    }
}

impl LocationRest {
    #[inline]
    pub(super) fn decode<T: Trace>(
        r: &mut Reader<'_, T>,
        form: RestForm,
        dialect: Dialect,
    ) -> Result<Self, DecodeError> {
        Ok(match form {
            RestForm::Nothing => Self::Nothing,
            RestForm::Trailer => Self::Trailer(Trailer::decode(r)?),
            RestForm::TrailerMileage => {
                Self::TrailerMileage(Trailer::decode(r)?, Mileage::read(r, ())?)
            }
            RestForm::Word => {
                let word = r.u16("reserved")?;
                // The default means an unknown dialect.
                let known = (dialect != Dialect::default()).then_some(dialect);
                r.note(|| describe_word(word, known));
                Self::Word(word)
            }
            RestForm::Mileage => Self::Mileage(Mileage::read(r, ())?),
            RestForm::Status => Self::Status(LocationStatus::read_fields(r)?),
            RestForm::Fuel => Self::Fuel(LocationFuel::read_fields(r)?),
            RestForm::Card => Self::Card(Box::new(LocationCard::decode(r)?)),
            RestForm::Climate => Self::Climate(LocationClimate::read_fields(r)?),
        })
    }

    /// The trailer, where there is one.
    #[inline]
    #[must_use]
    pub const fn trailer(&self) -> Option<Trailer> {
        match self {
            Self::Trailer(trailer)
            | Self::TrailerMileage(trailer, _)
            | Self::Climate(LocationClimate { trailer, .. }) => Some(*trailer),
            _ => None,
        }
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Nothing => {}
            Self::Word(word) => out.put_u16(*word),
            Self::Trailer(trailer) => trailer.encode(out),
            Self::Mileage(mileage) => mileage.write(out),
            Self::TrailerMileage(trailer, mileage) => {
                trailer.encode(out);
                mileage.write(out);
            }
            Self::Status(status) => status.write_fields(out),
            Self::Fuel(fuel) => fuel.write_fields(out),
            Self::Card(card) => card.encode(out),
            Self::Climate(climate) => climate.write_fields(out),
        }
    }

    #[cfg(feature = "telemetry")]
    #[inline]
    pub(super) fn normalize(
        &self,
        report: &mut milepost_telemetry::Report,
        cx: &crate::normalize::Context<'_>,
        gps: &Gps,
        key: crate::normalize::Key,
    ) {
        match self {
            Self::Trailer(trailer) => trailer.normalize(report),
            Self::Nothing => {}
            _ => {
                self.normalize_rare(report, cx);
                self.distinguish(report, cx, gps, key);
            }
        }
    }

    /// What else makes it another fact.
    #[cfg(feature = "telemetry")]
    fn distinguish(
        &self,
        report: &mut milepost_telemetry::Report,
        cx: &crate::normalize::Context<'_>,
        gps: &Gps,
        key: crate::normalize::Key,
    ) {
        use crate::field::alarm_key;

        let mut distinguish = |more: &[u8]| cx.distinguish(report, gps, gps.time(), key, more);
        match self {
            // Benway's ignition and input. Of a reserved word they are 0.
            Self::Word(word @ 0x4000..) => distinguish(&(word & 0xc000).to_be_bytes()),
            Self::Status(LocationStatus { terminal, .. }) if terminal.alarm_bits() != 0 => {
                distinguish(&alarm_key(0, *terminal).to_be_bytes());
            }
            Self::Fuel(LocationFuel {
                alarm, terminal, ..
            }) => match alarm_key(alarm.0.into(), *terminal) {
                0 => {}
                alarm => distinguish(&alarm.to_be_bytes()),
            },
            Self::Card(read) => distinguish(&[&[read.alarm, read.state], &read.card[..]].concat()),
            _ => {}
        }
    }

    #[cfg(feature = "telemetry")]
    #[inline(never)]
    fn normalize_rare(
        &self,
        report: &mut milepost_telemetry::Report,
        cx: &crate::normalize::Context<'_>,
    ) {
        use crate::field::Alarm;
        use milepost_telemetry::{Event, EventKind, IgnitionSource, Signal, Switches};

        let number = |name, value: f64, unit| Signal::named(name).number(value, unit);
        let known = cx.profile().known_dialect();
        let dialect = known.unwrap_or_default();
        match self {
            Self::Word(word) if is_benway(*word, known) => {
                let ignition = word & 0x8000 != 0;
                report.io.note_ignition(ignition, IgnitionSource::Field);
                let inputs = u32::from(word >> 14 & 1) << 1 | u32::from(word >> 15);
                report.io.inputs = Switches::from_bits(inputs, 2);
                let (name, value, unit) = benway_value(*word);
                report.more.signals.push(number(name, value, Some(unit)));
            }
            // Reserved, or the language.
            Self::Word(0..=2) => {}
            Self::Word(word) => {
                let word = number("gt06.reserved_word", (*word).into(), None);
                report.more.signals.push(word);
            }
            Self::Status(status) => {
                status.note_fields(cx, report);
                if let Some(alarm) = Alarm::from_status(0, status.terminal, dialect) {
                    alarm.normalize(report);
                }
            }
            Self::Fuel(fuel) => {
                fuel.note_fields(cx, report);
                let code = fuel.alarm.0.into();
                if let Some(alarm) = Alarm::from_status(code, fuel.terminal, dialect) {
                    alarm.normalize(report);
                }
                report.more.signals.extend([
                    number("gt06.fuel_raw", fuel.fuel.into(), None),
                    number("gt06.temperature", fuel.temperature.degrees(), Some("°C")),
                ]);
            }
            Self::Card(read) => {
                read.mileage.note(cx, report);
                let card = String::from_utf8_lossy(&read.card);
                // Blanks or zeros: no card.
                if !card.trim().trim_matches('0').is_empty() {
                    report.identity_mut().driver = Some(card.trim().into());
                }
                if read.driving_time.is_some() {
                    // Wetrust: a code.
                    if let Some(alarm) = Alarm::from_code(read.alarm.into(), dialect) {
                        alarm.normalize(report);
                    }
                } else if digit(read.alarm) != 0 {
                    // GT06E, a flag: the kind of alarm is unknown.
                    let code = Some(digit(read.alarm).into());
                    let event = Event::by_device(EventKind::Unknown, code);
                    report.more.events.push(event);
                }
                let state = number("gt06.card_state", digit(read.state).into(), None);
                report.more.signals.push(state);
                if let Some(time) = read.driving_time {
                    let time = number("gt06.driving_time", time.into(), None);
                    report.more.signals.push(time);
                }
            }
            Self::Climate(climate) => {
                climate.note_fields(cx, report);
                // The unit is 1 or 0.01, by model, and nothing indicates which.
                let magnitude = f64::from(climate.temperature & 0x7fff);
                let signed = match climate.temperature & 0x8000 {
                    0 => magnitude,
                    _ => -magnitude,
                };
                report.more.signals.extend([
                    number("gt06.trip_time", climate.trip.into(), Some("s")),
                    number("gt06.temperature_raw", signed, None),
                    number("gt06.humidity_raw", climate.humidity.into(), None),
                ]);
            }
            Self::Mileage(mileage) => mileage.note(cx, report),
            Self::TrailerMileage(trailer, mileage) => {
                trailer.normalize(report);
                mileage.note(cx, report);
            }
            Self::Nothing | Self::Trailer(_) => {}
        }
    }
}

/// What the two bytes mean, as they are reported.
fn describe_word(word: u16, known: Option<Dialect>) -> String {
    if !is_benway(word, known) {
        return match word {
            0..=2 => format!("reserved, or language: {}", crate::text::language(word)),
            _ => "reserved".into(),
        };
    }
    let on = |bit: u16| if word >> bit & 1 == 0 { "off" } else { "on" };
    let (name, value, unit) = benway_value(word);
    let name = name.trim_start_matches("gt06.");
    format!(
        "inputs (benway): ignition {}, input 2 {}, {name} {value} {unit}",
        on(15),
        on(14)
    )
}

/// The temperature, or the voltage of the analogue input, of Benway's word, by its signal's name.
fn benway_value(word: u16) -> (&'static str, f64, &'static str) {
    if word & 0x1000 != 0 {
        let degrees = f64::from(word & 0x1ff);
        let signed = if word & 0x200 == 0 { degrees } else { -degrees };
        ("gt06.temperature", signed, "°C")
    } else if word & 0x2000 != 0 {
        ("gt06.adc", f64::from(word & 0x3ff), "V")
    } else {
        ("gt06.adc", f64::from(word & 0x3ff) / 10.0, "V")
    }
}

/// Whether two bytes are Benway's inputs: on Benway, and by their content where no dialect is known.
/// Reserved words and languages are small numbers: so is Benway's analogue input without ignition,
/// input or unit, which is then taken for one.
fn is_benway(word: u16, known: Option<Dialect>) -> bool {
    match known {
        Some(dialect) => dialect == Dialect::Benway,
        None => word & 0xf000 != 0 && word & 0x0c00 == 0,
    }
}

/// A number that is sent as itself or as an ASCII digit.
#[cfg(feature = "telemetry")]
const fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        other => other,
    }
}
