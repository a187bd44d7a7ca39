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
//! Seen on devices. The position has no time of its own and needs no length in front: it is taken
//! for one where twelve bytes after the text have its shape.

use alloc::format;
use alloc::string::String;

use bytes::{BufMut, Bytes, BytesMut};

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
        core::str::from_utf8(&self.text)
            .unwrap_or_default()
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim()))
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
        let text = r.pieces("values", size, b',', |pair| describe(number, pair))?;
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

/// What a pair means.
fn describe(number: u8, pair: &[u8]) -> String {
    let text = crate::answer::ascii(pair);
    let text = text.trim().trim_end_matches(',');
    let Some((key, value)) = text.split_once('=') else {
        return text.into();
    };
    let (key, value) = (key.trim(), value.trim());
    if number == 0x66
        && let Some((mode, pid)) = key.split_at_checked(2)
    {
        return format!("{text}: mode {mode}, PID {pid}");
    }
    let Some((parameter, source, value)) = parameter((key, value)).filter(|_| number == 0x8c)
    else {
        return text.into();
    };
    let (name, unit) = match parameter {
        0x40 => ("odometer", ""),
        0x43 => ("fuel", ""),
        0x45 => ("coolant", " °C"),
        0x53 => ("speed", " km/h"),
        0x54 => ("engine", " rpm"),
        0x71 => ("fuel used", " L"),
        0x73 => ("engine hours", " h"),
        VIN => return format!("VIN {value}, source {source}"),
        _ => return format!("{text}: parameter {parameter:02x}, source {source}"),
    };
    match u32::from_str_radix(value, 16) {
        Ok(raw) => format!("{name} {}{unit}, source {source}", f64::from(raw) / 100.0),
        Err(_) if value.is_empty() => format!("{name}: no value, source {source}"),
        Err(_) => format!("{name}: no number ({value}), source {source}"),
    }
}

/// `kkt=…` of 0x8C: parameter, source and value.
fn parameter<'t>((key, value): (&str, &'t str)) -> Option<(u8, u8, &'t str)> {
    let (parameter, source) = key.split_at_checked(2)?;
    let parameter = u8::from_str_radix(parameter, 16).ok()?;
    Some((parameter, source.parse().ok()?, value))
}

const VIN: u8 = 0x74;

/// The parameters of 0x8C. Where a vehicle has one value of a kind it is that of the source that
/// comes first and can be read; where sources differ, all are shown with their source.
#[cfg(feature = "telemetry")]
fn note_parameters(text: &ObdText, report: &mut milepost_telemetry::Report) {
    let mut said: [(Option<&str>, bool); 256] = [(None, false); 256];
    for (parameter, _, value) in text.pairs().filter_map(parameter) {
        if value.is_empty() || (parameter != VIN && u32::from_str_radix(value, 16).is_err()) {
            continue;
        }
        let Some((first, differ)) = said.get_mut(usize::from(parameter)) else {
            continue;
        };
        let first = *first.get_or_insert(value);
        *differ |= !first.eq_ignore_ascii_case(value);
    }
    for (parameter, source, value) in text.pairs().filter_map(parameter) {
        let differ = said.get(usize::from(parameter)).is_some_and(|said| said.1);
        note_parameter(report, parameter, source, value, differ);
    }
}

#[cfg(feature = "telemetry")]
fn note_parameter(
    report: &mut milepost_telemetry::Report,
    parameter: u8,
    source: u8,
    value: &str,
    differ: bool,
) {
    use milepost_telemetry::{Name, Signal, SignalId, SignalState};

    let raw = match parameter {
        VIN => None,
        _ => u32::from_str_radix(value, 16).ok().map(f64::from),
    };
    let scaled = raw.map(|raw| raw / 100.0);
    let mut in_vehicle = true;
    // What a value is that has no place of its own, or cannot be there: 256 names at most.
    let (name, unit, shown) = match parameter {
        VIN => {
            if !value.is_empty() {
                report
                    .identity_mut()
                    .vin
                    .get_or_insert_with(|| value.into());
            }
            ("gt06.obd_vin", None, None)
        }
        0x45 => {
            fill(&mut report.vehicle_mut().coolant_c, scaled);
            ("gt06.obd_coolant", Some("°C"), scaled)
        }
        0x53 => {
            fill(&mut report.vehicle_mut().wheel_speed_kmh, scaled);
            ("gt06.obd_speed", Some("km/h"), scaled)
        }
        0x54 => {
            fill(&mut report.vehicle_mut().engine_rpm, scaled);
            ("gt06.obd_rpm", Some("rpm"), scaled)
        }
        0x71 => {
            fill(&mut report.vehicle_mut().fuel_used_l, scaled);
            ("gt06.obd_fuel_used", Some("L"), scaled)
        }
        0x73 => {
            let seconds = scaled.map(|hours| hours * 3_600.0);
            fill(&mut report.vehicle_mut().engine_hours_s, seconds);
            ("gt06.obd_engine_hours", Some("h"), scaled)
        }
        _ => {
            in_vehicle = false;
            match parameter {
                0x40 => ("gt06.obd_odometer", None, scaled),
                0x43 => ("gt06.obd_fuel", None, scaled),
                _ => ("", None, raw),
            }
        }
    };
    let is_said = shown.is_some() || parameter == VIN && !value.is_empty();
    if in_vehicle && is_said && !differ {
        return;
    }
    let id = if name.is_empty() {
        match Name::intern(&format!("gt06.obd_{parameter:02x}")) {
            Ok(name) => SignalId::Named(name),
            Err(_) => return,
        }
    } else {
        SignalId::Named(Name::new(name))
    };
    let mut signal = Signal::new(id, "obd parameter");
    signal.source = Some(source);
    report.more.signals.push(match shown {
        Some(value) => signal.number(value, unit),
        None if value.is_empty() => {
            signal.state = Some(SignalState::NotAvailable);
            signal
        }
        None => signal.text(value),
    });
}

/// Fills a place that is empty.
#[cfg(feature = "telemetry")]
fn fill(place: &mut Option<f64>, value: Option<f64>) {
    *place = place.or(value);
}

/// `mmpp=…` of 0x66: mode and PID; the value as sent, in no unit.
#[cfg(feature = "telemetry")]
fn note_pid(report: &mut milepost_telemetry::Report, key: &str, value: &str) {
    use milepost_telemetry::{Signal, SignalId, SignalState};

    let Some((mode, pid)) = key.split_at_checked(2) else {
        return;
    };
    let (Ok(mode), Ok(pid)) = (u8::from_str_radix(mode, 16), u16::from_str_radix(pid, 16)) else {
        return;
    };
    let mut signal = Signal::new(SignalId::Pid { mode, pid }, "obd parameter");
    report
        .more
        .signals
        .push(match u32::from_str_radix(value, 16) {
            Ok(raw) => signal.number(raw.into(), None),
            Err(_) if value.is_empty() => {
                signal.state = Some(SignalState::NotAvailable);
                signal
            }
            Err(_) => signal.text(value),
        });
}
