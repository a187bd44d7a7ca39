//! 0x8C, 0x66 and 0x65, values of the vehicle's controllers as text (FM08ABC).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 6 | time | [`DateTime`] |
//! | 6 | 1 | ignition | 0 off, 1 on |
//! | 7 | | pairs | `key=value,` in ASCII, values in hexadecimal and sometimes empty |
//! | | 12 | position | [`Position`]; not always there |
//!
//! In 0x8C a key is a parameter of two hexadecimal digits and a digit for its source: 40 odometer,
//! 43 fuel, 45 coolant, 53 speed, 54 rpm, 71 fuel used, 73 engine hours (all × 100), 74 VIN as
//! text. In 0x66 it is mode and PID of OBD. 0x65 holds trouble codes; their form is unconfirmed,
//! so its text is only shown.
//!
//! Seen on devices. The position has no time of its own and needs no length before it: it is taken
//! for one where twelve bytes after the text have its shape.

use alloc::format;
use alloc::string::String;

use bytes::{BufMut, Bytes, BytesMut};
use nom::bytes::complete::take;
use nom::character::complete::digit1;
#[cfg(feature = "telemetry")]
use nom::combinator::rest;
use nom::combinator::{all_consuming, map_res};
use nom::{IResult, Parser};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{DateTime, Position};
use crate::frame::Start;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// Values of the vehicle's controllers, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObdText {
    /// 0x8C, 0x66 or 0x65.
    pub number: u8,
    /// How the frame starts.
    pub start: Start,
    /// When.
    pub time: DateTime,
    /// 0 off, 1 on.
    pub raw_ignition: u8,
    /// `key=value,` as sent.
    pub text: Bytes,
    /// Where.
    pub position: Option<Position>,
}

const POSITION: usize = 12;

/// The bytes of text before a position, if there is one.
fn text_before_position(rest: &[u8]) -> Option<usize> {
    let (text, position) = rest.split_at_checked(rest.len().checked_sub(POSITION)?)?;
    // The high half of the first byte is the length of the block on every model that sends it.
    let has_shape = position
        .first()
        .is_some_and(|satellites| satellites >> 4 == 0xc);
    (has_shape && is_text(text)).then_some(text.len())
}

fn is_text(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
}

impl ObdText {
    /// The keys and their values.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        crate::text::pairs(core::str::from_utf8(&self.text).unwrap_or_default(), ',')
    }
}

impl Body for ObdText {
    const NAME: &'static str = "obd_text";

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_long() || cx.is_short() && !cx.body.is_empty())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let time = DateTime::decode(r)?;
        let raw_ignition = r.u8("ignition")?;
        r.note(|| match raw_ignition {
            0 => "off".into(),
            1 => "on".into(),
            other => format!("unknown ({other})"),
        });
        let before = text_before_position(r.peek());
        let number = cx.number();
        let size = before.unwrap_or_else(|| r.remaining());
        let text = r.pieces("values", size, b',', |at, pair| describe(number, at, pair))?;
        let position = match before {
            Some(_) => Some(Position::decode(r)?),
            None => None,
        };
        Ok(Self {
            number: cx.number(),
            start: cx.head.start(),
            time,
            raw_ignition,
            text,
            position,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.time.encode(out);
        out.put_u8(self.raw_ignition);
        out.put_slice(&self.text);
        if let Some(position) = &self.position {
            position.encode(out);
        }
    }

    fn number(&self) -> u8 {
        self.number
    }

    fn start(&self) -> Start {
        self.start
    }

    fn answer(&self) -> Answer {
        Answer::undocumented(self.start)
    }

    /// Key: number, time, position, ignition, text.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use milepost_telemetry::{IgnitionSource, Kind};

        let kind = if self.number == 0x65 {
            Kind::Diagnostics
        } else {
            Kind::Can
        };
        let key = crate::normalize::Key::new(self.number);
        let report = match self.position {
            Some(position) => {
                let gps = crate::field::Gps::new(self.time, &position);
                let more = [&[self.raw_ignition], &self.text[..]].concat();
                cx.positioned_with(out, kind, &gps, key, &more)
            }
            None => cx.timed(out, kind, self.time, &super::whole_key(self), 0),
        };
        if let 0 | 1 = self.raw_ignition {
            report
                .io
                .note_ignition(self.raw_ignition == 1, IgnitionSource::Field);
        }
        match self.number {
            0x8c => note_parameters(self, report),
            0x66 => self
                .pairs()
                .for_each(|(key, value)| note_pid(report, key, value)),
            _ => {}
        }
        report.more.text = Some(crate::answer::ascii(&self.text).into());
    }
}

/// What a pair means, which begins at that byte of the frame.
fn describe(number: u8, at: usize, bytes: &[u8]) -> String {
    let text = crate::answer::ascii(bytes);
    let text = text.trim().trim_end_matches(',');
    let Some((key, value)) = crate::text::pair(text) else {
        return text.into();
    };
    match number {
        0x66 => match key.split_at_checked(2) {
            Some((mode, pid)) => format!("{text}: mode {mode}, PID {pid}"),
            None => text.into(),
        },
        0x8c => match Parameter::read((key, value)) {
            Some(parameter) => {
                let source = parameter.source;
                format!("{}, source {source}", parameter.describe(text, at, bytes))
            }
            None => text.into(),
        },
        _ => text.into(),
    }
}

/// A pair of 0x8C.
struct Parameter<'t> {
    code: u8,
    /// Which controller.
    source: u8,
    /// As sent.
    value: &'t str,
}

const VIN: u8 = 0x74;

impl<'t> Parameter<'t> {
    /// Two hexadecimal digits of the parameter, and the source.
    fn read((key, value): (&str, &'t str)) -> Option<Self> {
        let hex = map_res(take(2_usize), |code| u8::from_str_radix(code, 16));
        let source = map_res(digit1, str::parse);
        let parsed: IResult<_, _> = all_consuming((hex, source)).parse(key);
        let (_, (code, source)) = parsed.ok()?;
        Some(Self {
            code,
            source,
            value,
        })
    }

    fn number(&self) -> Option<f64> {
        u32::from_str_radix(self.value, 16).ok().map(f64::from)
    }

    /// What the parameter is, its unit, and its signal's name; hundredths of the unit are sent.
    const fn known(&self) -> Option<(&'static str, Option<&'static str>, &'static str)> {
        Some(match self.code {
            0x40 => ("odometer", None, "gt06.obd_odometer"),
            0x43 => ("fuel", None, "gt06.obd_fuel"),
            0x45 => ("coolant", Some("°C"), "gt06.obd_coolant"),
            0x53 => ("speed", Some("km/h"), "gt06.obd_speed"),
            0x54 => ("engine", Some("rpm"), "gt06.obd_rpm"),
            0x71 => ("fuel used", Some("L"), "gt06.obd_fuel_used"),
            0x73 => ("engine hours", Some("h"), "gt06.obd_engine_hours"),
            _ => return None,
        })
    }

    fn describe(&self, text: &str, at: usize, bytes: &[u8]) -> String {
        let Self { code, value, .. } = self;
        match (self.known(), self.number()) {
            _ if *code == VIN => format!("VIN {value}"),
            (None, _) => format!("{text}: parameter {code:02x}"),
            (Some((name, unit, _)), Some(raw)) => {
                let space = unit.map_or("", |_| " ");
                format!("{name} {}{space}{}", raw / 100.0, unit.unwrap_or_default())
            }
            (Some((name, ..)), None) if value.is_empty() => format!("{name}: no value"),
            (Some((name, ..)), None) => {
                let at = at + crate::text::hex_value_ends(bytes);
                format!("{name}: no number ({value}) at byte {at}")
            }
        }
    }
}

/// The parameters of 0x8C. Where a vehicle has one value of a kind it is that of the source that
/// comes first and can be read; where sources differ, all are shown with their source.
#[cfg(feature = "telemetry")]
fn note_parameters(text: &ObdText, report: &mut milepost_telemetry::Report) {
    let parameters = || text.pairs().filter_map(Parameter::read);
    let mut values: [(Option<&str>, bool); 256] = [(None, false); 256];
    for parameter in parameters() {
        let value = parameter.value;
        if value.is_empty() || (parameter.code != VIN && parameter.number().is_none()) {
            continue;
        }
        if let Some((first, differ)) = values.get_mut(usize::from(parameter.code)) {
            let first = *first.get_or_insert(value);
            *differ |= !first.eq_ignore_ascii_case(value);
        }
    }
    for parameter in parameters() {
        let values = values.get(usize::from(parameter.code));
        parameter.note(report, values.is_some_and(|(_, differ)| *differ));
    }
}

#[cfg(feature = "telemetry")]
impl Parameter<'_> {
    fn note(&self, report: &mut milepost_telemetry::Report, differ: bool) {
        use milepost_telemetry::{Name, SignalId};

        let (name, unit, shown) = match self.known() {
            _ if self.code == VIN => (Some("gt06.obd_vin"), None, None),
            Some((_, unit, name)) => (Some(name), unit, self.number().map(|raw| raw / 100.0)),
            None => (None, None, self.number()),
        };
        if self.fill_place(report, shown) && !differ {
            return;
        }
        // 256 names at most.
        let name = match name {
            Some(name) => Name::new(name),
            None => match Name::intern(&format!("gt06.obd_{:02x}", self.code)) {
                Ok(name) => name,
                Err(_) => return,
            },
        };
        let source = Some(self.source);
        note_value(
            report,
            SignalId::Named(name),
            source,
            self.value,
            shown,
            unit,
        );
    }

    /// Fills the parameter's place in the report if it is empty; whether it has one, and a value.
    fn fill_place(&self, report: &mut milepost_telemetry::Report, shown: Option<f64>) -> bool {
        if self.code == VIN {
            if !self.value.is_empty() {
                let vin = &mut report.identity_mut().vin;
                vin.get_or_insert_with(|| self.value.into());
            }
            return !self.value.is_empty();
        }
        if !matches!(self.code, 0x45 | 0x53 | 0x54 | 0x71 | 0x73) {
            return false;
        }
        let vehicle = report.vehicle_mut();
        let (place, value) = match self.code {
            0x45 => (&mut vehicle.coolant_c, shown),
            0x53 => (&mut vehicle.wheel_speed_kmh, shown),
            0x54 => (&mut vehicle.engine_rpm, shown),
            0x71 => (&mut vehicle.fuel_used_l, shown),
            _ => {
                let seconds = shown.map(|hours| hours * 3_600.0);
                (&mut vehicle.engine_hours_s, seconds)
            }
        };
        *place = place.or(value);
        shown.is_some()
    }
}

/// `mmpp=…` of 0x66: mode and PID; the value as sent, in no unit.
#[cfg(feature = "telemetry")]
fn note_pid(report: &mut milepost_telemetry::Report, key: &str, value: &str) {
    let mode = map_res(take(2_usize), |mode| u8::from_str_radix(mode, 16));
    let pid = map_res(rest, |pid| u16::from_str_radix(pid, 16));
    let parsed: IResult<_, _> = (mode, pid).parse(key);
    if let Ok((_, (mode, pid))) = parsed {
        let id = milepost_telemetry::SignalId::Pid { mode, pid };
        let number = u32::from_str_radix(value, 16).ok().map(f64::from);
        note_value(report, id, None, value, number, None);
    }
}

/// A number, the text of what is none, or that there is no value.
#[cfg(feature = "telemetry")]
fn note_value(
    report: &mut milepost_telemetry::Report,
    id: milepost_telemetry::SignalId,
    source: Option<u8>,
    value: &str,
    number: Option<f64>,
    unit: Option<&'static str>,
) {
    let mut signal = milepost_telemetry::Signal::new(id, "obd parameter");
    signal.source = source;
    report.more.signals.push(match number {
        Some(number) => signal.number(number, unit),
        None if value.is_empty() => {
            signal.state = Some(milepost_telemetry::SignalState::NotAvailable);
            signal
        }
        None => signal.text(value),
    });
}
