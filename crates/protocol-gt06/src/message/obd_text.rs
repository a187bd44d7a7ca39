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
//! for one where twelve bytes behind the text have its shape.

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
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

/// The bytes of text in front of a position, if there is one.
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

    fn accepts(cx: &Context<'_>) -> bool {
        cx.is_long() || cx.is_short() && !cx.body.is_empty()
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
        let text = r.bytes("values", before.unwrap_or_else(|| r.remaining()))?;
        r.note(|| crate::answer::ascii(&text));
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

    /// As for other numbers of which no manual states an answer.
    fn answer(&self) -> Answer {
        if self.start == Start::Short {
            Answer::WhenDelivered
        } else {
            Answer::Silent
        }
    }

    /// Key: number, time, position, ignition, text.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use telemetry::{IgnitionSource, Kind};

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
            0x8c => self
                .pairs()
                .for_each(|(key, value)| note_parameter(report, key, value)),
            0x66 => self
                .pairs()
                .for_each(|(key, value)| note_pid(report, key, value)),
            _ => {}
        }
        report.more.text = Some(crate::answer::ascii(&self.text).into());
    }
}

/// `kkt=…` of 0x8C.
#[cfg(feature = "telemetry")]
fn note_parameter(report: &mut telemetry::Report, key: &str, value: &str) {
    use telemetry::{Name, Signal, SignalId, SignalState};

    let Some((parameter, source)) = key.split_at_checked(2) else {
        return;
    };
    let (Ok(parameter), Ok(source)) = (u8::from_str_radix(parameter, 16), source.parse::<u8>())
    else {
        return;
    };
    if parameter == 0x74 {
        if !value.is_empty() {
            report.identity_mut().vin = Some(value.into());
        }
        return;
    }
    let raw = u32::from_str_radix(value, 16).ok().map(f64::from);
    let scaled = raw.map(|raw| raw / 100.0);
    // 256 names at most.
    let named = |name: &'static str| SignalId::Named(Name::new(name));
    let id = match parameter {
        0x40 => named("gt06.obd_odometer"),
        0x43 => named("gt06.obd_fuel"),
        0x45 => {
            report.vehicle_mut().coolant_c = scaled;
            return;
        }
        0x53 => {
            report.vehicle_mut().wheel_speed_kmh = scaled;
            return;
        }
        0x54 => {
            report.vehicle_mut().engine_rpm = scaled;
            return;
        }
        0x71 => {
            report.vehicle_mut().fuel_used_l = scaled;
            return;
        }
        0x73 => {
            report.vehicle_mut().engine_hours_s = scaled.map(|hours| hours * 3_600.0);
            return;
        }
        _ => match Name::intern(&format!("gt06.obd_{parameter:02x}")) {
            Ok(name) => SignalId::Named(name),
            Err(_) => return,
        },
    };
    let is_scaled = matches!(parameter, 0x40 | 0x43);
    let mut signal = Signal::new(id, "obd parameter");
    signal.source = Some(source);
    report
        .more
        .signals
        .push(match if is_scaled { scaled } else { raw } {
            Some(value) => signal.number(value, None),
            None if value.is_empty() => {
                signal.state = Some(SignalState::NotAvailable);
                signal
            }
            None => signal.text(value),
        });
}

/// `mmpp=…` of 0x66: mode and PID; the value as sent, in no unit.
#[cfg(feature = "telemetry")]
fn note_pid(report: &mut telemetry::Report, key: &str, value: &str) {
    use telemetry::{Signal, SignalId, SignalState};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{read_body, round_trip};

    fn obd(number: u8, text: &'static [u8]) -> ObdText {
        ObdText {
            number,
            start: Start::Long,
            time: DateTime::from_bytes([21, 1, 13, 8, 32, 13]),
            raw_ignition: 1,
            text: Bytes::from_static(text),
            position: Position::from_degrees(32.8, 34.9, 84, 165, 11),
        }
    }

    #[test]
    fn a_position_behind_the_text_is_found_and_may_be_missing() {
        for number in [0x8c, 0x66, 0x65] {
            round_trip(obd(number, b"543=00000fa0,4A3=,503=00000"));
            round_trip(ObdText {
                position: None,
                ..obd(number, b"543=00000fa0,4A3=,503=00000")
            });
            round_trip(ObdText {
                position: None,
                ..obd(number, b"")
            });
            round_trip(ObdText {
                start: Start::Short,
                ..obd(number, b"543=1")
            });
        }
    }

    #[test]
    fn a_head_cut_short_is_an_error() {
        for len in 1..7 {
            let error = read_body(Start::Long, 0x8c, &[1; 7][..len]).unwrap_err();
            assert_eq!(error.field(), if len < 6 { "time" } else { "ignition" });
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn parameters_go_where_they_belong_and_unknown_ones_are_shown() {
        use crate::message::testing::{report, signal};

        let r = report(obd(
            0x8c,
            b"403=000274d8,453=00002328,533=000020d0,543=000249f0,713=64,733=96,743=VIN1,2B3=10,4A3=,zz=1",
        ));
        let vehicle = r.more.vehicle.as_ref().unwrap();
        assert_eq!(vehicle.coolant_c, Some(90.0));
        assert_eq!(vehicle.wheel_speed_kmh, Some(84.0));
        assert_eq!(vehicle.engine_rpm, Some(1_500.0));
        assert_eq!(vehicle.fuel_used_l, Some(1.0));
        assert_eq!(vehicle.engine_hours_s, Some(5_400.0));
        assert_eq!(
            r.more.identity.as_ref().unwrap().vin.as_deref(),
            Some("VIN1")
        );
        assert_eq!(signal(&r, "gt06.obd_odometer").unwrap(), "1609.84");
        assert_eq!(signal(&r, "gt06.obd_2b").unwrap(), "16");
        assert_eq!(
            r.more.signals.last().unwrap().value,
            None,
            "an empty value is none"
        );
        assert_eq!(r.io.ignition, Some(true));
        assert!(r.fix.is_some() && r.more.text.is_some());
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn pids_keep_their_mode_and_trouble_codes_their_text() {
        use crate::message::testing::{report, signal};

        let r = report(obd(0x66, b"210c=0fa0,210d="));
        assert_eq!(signal(&r, "pid.21.0c").unwrap(), "4000");
        let r = report(obd(0x65, b"P0143"));
        assert_eq!(r.kind, telemetry::Kind::Diagnostics);
        assert_eq!(r.more.text.as_deref(), Some("P0143"));
    }
}
