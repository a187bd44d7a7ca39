//! 0xF1, the state of a device (Jimi 4G).
//!
//! Under `79 79`: time 4 (Unix, UTC), then id 2, length 1, data, repeated to the end.
//!
//! | id | data |
//! |---|---|
//! | 0001 | motion 1: 2 or 4 moving |
//! | 0002 | armed 1 |
//! | 0004 | ignition 1 |
//! | 0005 | external volts/100 2 |
//! | 0007 | charging 1 |
//! | 000A | charge millivolts 2 (unconfirmed) |
//! | 000B | battery °C/10 2 |
//! | 1000 | 1 = a reply is wanted |
//!
//! Seen on devices. 0003 and 0006 are unconfirmed and shown raw, as is whatever else comes.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::Item;
use crate::frame::Start;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// The state of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceState {
    /// Seconds since 1970.
    pub unix: u32,
    /// The items, in order.
    pub items: Vec<Item>,
    /// Bytes after the last whole item.
    pub tail: Bytes,
}

impl DeviceState {
    /// Whether the device wants an acknowledgement.
    #[must_use]
    pub fn wants_reply(&self) -> bool {
        self.items
            .iter()
            .any(|item| item.id == 0x1000 && item.data.ends_with(&[1]))
    }
}

impl Body for DeviceState {
    const NAME: &'static str = "device_state";
    const ANSWER: Answer = Answer::short_when_delivered(0xf1);

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_long() && !cx.body.is_empty())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let unix = r.u32("time")?;
        r.note(|| crate::text::unix(unix));
        let mut items = Vec::new();
        while let [_, _, len, rest @ ..] = r.peek() {
            let len = usize::from(*len);
            if len > rest.len() {
                break;
            }
            let id = r.u16("item id")?;
            r.note(|| format!("{id:04x}"));
            let _: u8 = r.u8("item size")?;
            let data = r.bytes("item data", len)?;
            if len > 0 {
                r.note(|| describe(id, &data));
            }
            items.push(Item { id, data });
        }
        Ok(Self {
            unix,
            items,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u32(self.unix);
        for Item { id, data } in &self.items {
            let data = data.get(..usize::from(u8::MAX)).unwrap_or(data);
            out.put_u16(*id);
            out.put_u8(u8::try_from(data.len()).unwrap_or(u8::MAX));
            out.put_slice(data);
        }
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0xf1
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

    /// Key: number and body.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use milepost_telemetry::{IgnitionSource, Signal};

        let report = cx.timed_unix(
            out,
            milepost_telemetry::Kind::Status,
            self.unix,
            self.unix != 0,
            &super::whole_key(self),
            0,
        );
        for Item { id, data } in &self.items {
            match (id, &data[..]) {
                (0x1000, _) => {}
                (0x0001, &[motion]) => report.more.signals.extend([
                    Signal::named("gt06.moving").bool(matches!(motion, 2 | 4)),
                    Signal::named("gt06.motion").number(motion.into(), None),
                ]),
                (0x0002, &[armed @ 0..=1]) => report.io.armed = Some(armed == 1),
                (0x0004, &[on @ 0..=1]) => {
                    report.io.note_ignition(on == 1, IgnitionSource::Field);
                }
                (0x0005, &[high, low]) => {
                    crate::field::note_supply(report, u16::from_be_bytes([high, low]));
                }
                (0x0007, &[charging @ 0..=1]) => report.power.charging = Some(charging == 1),
                (0x000a, &[high, low]) => report.more.signals.push(
                    Signal::named("gt06.charge_voltage_unconfirmed").number(
                        f64::from(u16::from_be_bytes([high, low])) / 1_000.0,
                        Some("V"),
                    ),
                ),
                (0x000b, &[high, low]) => {
                    report
                        .more
                        .signals
                        .push(Signal::named("gt06.battery_temperature").number(
                            f64::from(i16::from_be_bytes([high, low])) / 10.0,
                            Some("°C"),
                        ))
                }
                (id, data) => crate::field::note_raw_item(report, *id, data),
            }
        }
        cx.note_tail(report, &self.tail);
    }
}

fn describe(id: u16, data: &[u8]) -> String {
    match (id, data) {
        (0x0001, &[motion]) => format!("motion {motion}"),
        (0x0002, &[0]) => "disarmed".into(),
        (0x0002, &[1]) => "armed".into(),
        (0x0004, &[0]) => "ignition off".into(),
        (0x0004, &[1]) => "ignition on".into(),
        (0x0005, &[high, low]) => {
            format!(
                "external {:.2} V",
                f32::from(u16::from_be_bytes([high, low])) / 100.0
            )
        }
        (0x0007, &[0]) => "not charging".into(),
        (0x0007, &[1]) => "charging".into(),
        (0x000a, &[high, low]) => format!("{} mV", u16::from_be_bytes([high, low])),
        (0x000b, &[high, low]) => {
            format!(
                "battery {:.1} °C",
                f32::from(i16::from_be_bytes([high, low])) / 10.0
            )
        }
        (0x1000, &[1]) => "reply wanted".into(),
        (0x1000, _) => "no reply wanted".into(),
        _ => format!("unknown item {id:04x}"),
    }
}
