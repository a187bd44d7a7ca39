//! 0x94, information: one fact of the sub-type that the first byte names. Never answered.
//!
//! Under `79 79`:
//!
//! | sub | data |
//! |---|---|
//! | 00 | external volts/100 2 |
//! | 04 | ASCII `k=v;` list: alarm switches, state, fuel, numbers, fence, mode, ICCID |
//! | 05 | \[time 6\] ports 1: bit 0 door (1 open), bit 1 trigger polarity, bit 2 input level |
//! | 08 | ASCII parameters of the self-check |
//! | 09 | satellites: see [`SatelliteReport`] |
//! | 0A | IMEI 8, IMSI 8, ICCID 10, as digits |
//! | 0B | 1 byte: 1 = 4G, 0 = 2G; 2 bytes: external volts/100 |
//! | 0D | \[time 6\] ASCII fuel probe `!AIOIL,address,level,temperature,version,…` |
//! | 10 | ASCII numbers of SIM and firmware (unconfirmed) |
//! | 15 | index 1, tag's id 6, millivolts 2, °C/100 2: a wireless thermometer (unconfirmed) |
//! | 1B | a card: ASCII `RFID:…`, or header 1 type 1 id 4 check 1 footer 1, or 8 bytes |
//! | 1E | °C/10 4 (signed), humidity %/10 4 (signed) |
//! | 21, 23 | Bluetooth MAC 6; `01 10` and a key of 16 |
//! | others, and 01–03, 06 | by maker: kept raw |
//!
//! Under `78 78` (L 07) the body is the external voltage alone.
//!
//! Concox manuals for 00, 04, 05, 08, 09, 0A, 1B and 1E; the others seen on devices. Since makers
//! use numbers for different things, data that do not have the shape of their sub-type are kept
//! raw rather than refused.

#[cfg(feature = "telemetry")]
mod report;
mod satellites;

pub use satellites::{Constellation, SatelliteReport};

use alloc::format;
use alloc::string::String;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::field::{DateTime, TerminalId};
use crate::frame::Start;
use crate::parse::{Reader, Trace};
use crate::{DecodeError, Dialect};

/// Information about the device or something connected to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Information {
    /// The sub-type; none under `78 78`, where the body is a voltage.
    pub sub: Option<u8>,
    /// The fact.
    pub content: InformationContent,
    /// Bytes that no manual describes; for sub-types kept raw, all of them.
    pub tail: Bytes,
}

/// A fact about the device.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InformationContent {
    /// 00, and 0B with two bytes: external volts × 100.
    ExternalVoltage(u16),
    /// 04: `k=v;` list.
    State(Bytes),
    /// 05: door and input.
    Ports {
        /// When, where it is sent.
        time: Option<DateTime>,
        /// Bit 0 door open, bit 1 trigger polarity, bit 2 input level.
        ports: u8,
    },
    /// 08, 10: other text.
    Text(Bytes),
    /// 09: satellites.
    Satellites(SatelliteReport),
    /// 0A: numbers of modem and SIM card.
    Numbers {
        /// 16 digits, the first one 0.
        imei: TerminalId,
        /// 16 digits, the first one 0.
        imsi: TerminalId,
        /// 20 digits; an F in the end is none.
        iccid: [u8; 10],
    },
    /// 0B with one byte: 1 for 4G, 0 for 2G.
    Generation(u8),
    /// 0D: fuel probe.
    Fuel {
        /// When, where it is sent.
        time: Option<DateTime>,
        /// From the `!` on.
        text: Bytes,
    },
    /// 15: a wireless thermometer.
    Tag {
        /// Which one.
        index: u8,
        /// Its number.
        id: [u8; 6],
        /// Millivolts of its battery.
        millivolts: u16,
        /// Degrees Celsius × 100.
        temperature: i16,
    },
    /// 1B: a card was read.
    Card(Card),
    /// 1E: temperature and humidity.
    Climate {
        /// Degrees Celsius × 10.
        temperature: i32,
        /// Percent × 10.
        humidity: i32,
    },
    /// 21: Bluetooth address.
    BluetoothMac([u8; 6]),
    /// 23: Bluetooth key, with its two bytes of head.
    BluetoothKey([u8; 18]),
    /// Anything else: the bytes are in [`Information::tail`].
    Raw,
}

/// A card as readers send it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Card {
    /// `RFID:` and its number, perhaps with a line end.
    Text(Bytes),
    /// Framed: 02, type, number, exclusive-or of the number, 03.
    Framed {
        /// Type of the card.
        kind: u8,
        /// Its number.
        id: [u8; 4],
        /// Exclusive-or of the number's bytes.
        check: u8,
    },
    /// Eight bytes.
    Raw([u8; 8]),
}

impl Information {
    /// The external voltage, volts × 100.
    #[must_use]
    pub const fn voltage(centivolts: u16) -> Self {
        Self {
            sub: Some(0x00),
            content: InformationContent::ExternalVoltage(centivolts),
            tail: Bytes::new(),
        }
    }
}

fn optional_time<T: Trace>(
    r: &mut Reader<'_, T>,
    is_there: bool,
) -> Result<Option<DateTime>, DecodeError> {
    if is_there {
        DateTime::decode(r).map(Some)
    } else {
        Ok(None)
    }
}

fn text<T: Trace>(r: &mut Reader<'_, T>, field: &'static str) -> Bytes {
    let text = r.take_rest(field);
    if !text.is_empty() {
        r.note(|| crate::answer::ascii(&text));
    }
    text
}

const fn sub_name(sub: u8) -> &'static str {
    match sub {
        0x00 => "external voltage",
        0x04 => "state",
        0x05 => "ports",
        0x08 => "self-check",
        0x09 => "satellites",
        0x0a => "numbers of modem and SIM card",
        0x0b => "network or external voltage",
        0x0d => "fuel probe",
        0x10 => "numbers of SIM card and firmware",
        0x15 => "wireless thermometer",
        0x1b => "card",
        0x1e => "temperature and humidity",
        0x21 => "bluetooth address",
        0x23 => "bluetooth key",
        _ => "by maker",
    }
}

/// What a pair of 04 means: switches of alarms (by network, call, SMS), state and fuel by their
/// bits, the others as sent.
fn describe_pair(at: usize, bytes: &[u8]) -> String {
    const STATE: [&str; 8] = [
        "tamper alarm",
        "tamper switch",
        "bit 2",
        "locked from afar",
        "disarmed from afar",
        "armed by hand",
        "armed by itself",
        "armed",
    ];
    const FUEL: [&str; 8] = [
        "connected",
        "cut",
        "to be cut later: no fix",
        "to be cut later: speed",
        "bit 4",
        "bit 5",
        "bit 6",
        "bit 7",
    ];
    let text = crate::answer::ascii(bytes);
    let pair = text.trim().trim_end_matches(';');
    let Some((key, value)) = crate::text::pair(pair) else {
        return pair.into();
    };
    let meaning: fn(u8) -> String = match key {
        "ALM1" => |bits| switches(bits, "vibration", "displacement"),
        "ALM2" => |bits| switches(bits, "internal battery low", "external battery low"),
        "ALM3" => |bits| switches(bits, "overspeed", "power cut"),
        "ALM4" => |bits| switches(bits, "SOS", "sound"),
        "STA1" => |bits| crate::text::bits(bits, &STATE),
        "DYD" => |bits| crate::text::bits(bits, &FUEL),
        _ => return pair.into(),
    };
    let Ok(bits) = u8::from_str_radix(value, 16) else {
        let at = at + crate::text::hex_value_ends(bytes);
        return format!("{pair}: no number at byte {at}");
    };
    let meaning = meaning(bits);
    format!(
        "{pair}: {}",
        if meaning.is_empty() { "none" } else { &meaning }
    )
}

/// Two alarms' switches, and how they are sent.
fn switches(bits: u8, high: &str, low: &str) -> String {
    let one = |name: &str, bits: u8| {
        let on = if bits & 0b1000 == 0 { "off" } else { "on" };
        let ways = crate::text::bits(bits & 0b111, &["SMS", "call", "network"]);
        if ways.is_empty() {
            format!("{name} {on}")
        } else {
            format!("{name} {on} (by {ways})")
        }
    };
    format!("{}; {}", one(high, bits >> 4), one(low, bits & 0x0f))
}

impl InformationContent {
    fn decode<T: Trace>(r: &mut Reader<'_, T>, sub: u8) -> Result<Self, DecodeError> {
        let data = r.peek();
        Ok(match (sub, data.len()) {
            (0x00, 2..) | (0x0b, 2) => {
                let voltage = r.u16("external voltage")?;
                r.note(|| format!("{:.2} V", f32::from(voltage) / 100.0));
                Self::ExternalVoltage(voltage)
            }
            (0x04, len) => Self::State(r.pieces("state", len, b';', describe_pair)?),
            (0x05, 1..) => {
                let time = optional_time(r, data.len() >= 7 && crate::field::is_time(data, 0))?;
                let ports = r.u8("ports")?;
                r.note(|| {
                    if ports & 1 == 1 {
                        "door open".into()
                    } else {
                        "door closed".into()
                    }
                });
                Self::Ports { time, ports }
            }
            (0x08 | 0x10, _) => Self::Text(text(r, "text")),
            (0x09, _) if Constellation::skip(data, true).is_some() => {
                Self::Satellites(SatelliteReport::decode(r)?)
            }
            (0x0a, 26..) => {
                let imei = TerminalId(r.array("imei")?);
                r.note(|| format!("{imei}"));
                let imsi = TerminalId(r.array("imsi")?);
                r.note(|| format!("{imsi}"));
                let iccid = r.array("iccid")?;
                r.note(|| crate::text::digits(&iccid));
                Self::Numbers { imei, imsi, iccid }
            }
            (0x0b, 1) => {
                let generation = r.u8("network")?;
                r.note(|| match generation {
                    0 => "2G".into(),
                    1 => "4G".into(),
                    other => format!("unknown ({other})"),
                });
                Self::Generation(generation)
            }
            (0x0d, _) if data.starts_with(b"!") || data.get(6) == Some(&b'!') => {
                let time = optional_time(r, !data.starts_with(b"!"))?;
                Self::Fuel {
                    time,
                    text: text(r, "fuel probe"),
                }
            }
            (0x15, 11..) => {
                let index = r.u8("tag index")?;
                let id = r.array("tag id")?;
                r.note(|| crate::text::hex(&id));
                let millivolts = r.u16("tag battery")?;
                r.note(|| format!("{millivolts} mV"));
                let temperature = r.u16("temperature")?.cast_signed();
                r.note(|| format!("{:.2} °C", f32::from(temperature) / 100.0));
                Self::Tag {
                    index,
                    id,
                    millivolts,
                    temperature,
                }
            }
            (0x1b, _) if data.starts_with(b"RFID:") => Self::Card(Card::Text(text(r, "card"))),
            (0x1b, 8) => Self::Card(match *data {
                [0x02, _, a, b, c, d, check, 0x03] if a ^ b ^ c ^ d == check => {
                    let _: u8 = r.u8("card header")?;
                    let kind = r.u8("card type")?;
                    let id = r.array("card")?;
                    r.note(|| crate::text::hex(&id));
                    let check = r.u8("card check")?;
                    let _: u8 = r.u8("card footer")?;
                    Card::Framed { kind, id, check }
                }
                _ => Card::Raw(crate::field::card(r, "card")?),
            }),
            (0x1e, 8..) => {
                let temperature = r.u32("temperature")?.cast_signed();
                r.note(|| format!("{} °C", f64::from(temperature) / 10.0));
                let humidity = r.u32("humidity")?.cast_signed();
                r.note(|| format!("{} %", f64::from(humidity) / 10.0));
                Self::Climate {
                    temperature,
                    humidity,
                }
            }
            (0x21, 6) => Self::BluetoothMac(crate::field::mac(r, "bluetooth address")?),
            (0x23, 18) if data.starts_with(&[0x01, 0x10]) => {
                Self::BluetoothKey(r.array("bluetooth key")?)
            }
            _ => Self::Raw,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::ExternalVoltage(voltage) => out.put_u16(*voltage),
            Self::State(text) | Self::Text(text) | Self::Card(Card::Text(text)) => {
                out.put_slice(text);
            }
            Self::Ports { time, ports } => {
                out.extend(time.iter().flat_map(|time| time.to_bytes()));
                out.put_u8(*ports);
            }
            Self::Satellites(satellites) => satellites.encode(out),
            Self::Numbers { imei, imsi, iccid } => {
                out.put_slice(&imei.0);
                out.put_slice(&imsi.0);
                out.put_slice(iccid);
            }
            Self::Generation(generation) => out.put_u8(*generation),
            Self::Fuel { time, text } => {
                out.extend(time.iter().flat_map(|time| time.to_bytes()));
                out.put_slice(text);
            }
            Self::Tag {
                index,
                id,
                millivolts,
                temperature,
            } => {
                out.put_u8(*index);
                out.put_slice(id);
                out.put_u16(*millivolts);
                out.put_i16(*temperature);
            }
            Self::Card(Card::Framed { kind, id, check }) => {
                out.put_slice(&[0x02, *kind]);
                out.put_slice(id);
                out.put_slice(&[*check, 0x03]);
            }
            Self::Card(Card::Raw(raw)) => out.put_slice(raw),
            Self::Climate {
                temperature,
                humidity,
            } => {
                out.put_i32(*temperature);
                out.put_i32(*humidity);
            }
            Self::BluetoothMac(mac) => out.put_slice(mac),
            Self::BluetoothKey(key) => out.put_slice(key),
            Self::Raw => {}
        }
    }
}

impl Body for Information {
    const NAME: &'static str = "information";

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(if cx.is_long() {
            !cx.body.is_empty()
        } else {
            cx.is_short() && cx.body.len() == 2
        })
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let (sub, content) = if cx.is_long() {
            let sub = r.u8("sub-type")?;
            r.note(|| format!("{sub:02x}, {}", sub_name(sub)));
            (Some(sub), InformationContent::decode(r, sub)?)
        } else {
            (None, InformationContent::decode(r, 0x00)?)
        };
        Ok(Self {
            sub,
            content,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.extend(self.sub);
        self.content.encode(out);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x94
    }

    fn start(&self) -> Start {
        if self.sub.is_some() {
            Start::Long
        } else {
            Start::Short
        }
    }

    /// By the firmware that it names.
    fn dialect(&self) -> Option<Dialect> {
        match &self.content {
            InformationContent::State(text) | InformationContent::Text(text) => {
                Dialect::of_text(&crate::answer::ascii(text))
            }
            InformationContent::Raw => Dialect::of_text(&crate::answer::ascii(&self.tail)),
            _ => None,
        }
    }

    /// Key: where there is a time, number and body; else where the frame arrived.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        report::normalize(self, cx, out);
    }
}
