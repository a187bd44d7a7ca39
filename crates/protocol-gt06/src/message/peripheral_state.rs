//! 0xF2, the state of what is connected to a device (Jimi 4G).
//!
//! Under `79 79`: time 4 (Unix, UTC), then id 2, length 1, data, repeated to the end. The length
//! of 000A has two bytes; of the others, a length of 0 indicates that the next byte is the length.
//!
//! | id | data |
//! |---|---|
//! | 000A | kind of address 1, MAC 6, event 1, its data 1, kind of detail 1, detail |
//! | 000B | state 1, unknown 1, latitude 4, longitude 4 (unconfirmed, without hemisphere) |
//! | 000C | external battery: charge % 1, charging 1, cycles 2, unknown 6 |
//!
//! Seen on devices. Whatever else comes is shown raw.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::frame::Start;
use crate::parse::{Reader, Trace};

/// The state of what is connected to a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeripheralState {
    /// Seconds since 1970.
    pub unix: u32,
    /// The items, in order.
    pub items: Vec<PeripheralItem>,
    /// Bytes after the last whole item.
    pub tail: Bytes,
}

/// One item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeripheralItem {
    /// What it is.
    pub id: u16,
    /// A length of 0 came before the length.
    pub escaped: bool,
    /// Its value.
    pub data: Bytes,
}

impl PeripheralItem {
    const PERIPHERAL: u16 = 0x000a;

    /// The size of the head and of the data of the item that the bytes begin with, and whether it
    /// is escaped.
    fn size(bytes: &[u8]) -> Option<(u16, bool, usize)> {
        let (id, escaped, len, rest) = match bytes {
            [a, b, high, low, rest @ ..] if u16::from_be_bytes([*a, *b]) == Self::PERIPHERAL => {
                let len = usize::from(u16::from_be_bytes([*high, *low]));
                (Self::PERIPHERAL, false, len, rest)
            }
            [a, b, 0, len, rest @ ..] => {
                (u16::from_be_bytes([*a, *b]), true, usize::from(*len), rest)
            }
            [a, b, len, rest @ ..] if *len > 0 => {
                (u16::from_be_bytes([*a, *b]), false, usize::from(*len), rest)
            }
            _ => return None,
        };
        (len <= rest.len()).then_some((id, escaped, len))
    }
}

impl Body for PeripheralState {
    const NAME: &'static str = "peripheral_state";

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_long() && !cx.body.is_empty())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let unix = r.u32("time")?;
        r.note(|| crate::text::unix(unix));
        let mut items = Vec::new();
        while let Some((id, escaped, len)) = PeripheralItem::size(r.peek()) {
            let _: u16 = r.u16("item id")?;
            r.note(|| format!("{id:04x}, {}", item_name(id)));
            if escaped || id == PeripheralItem::PERIPHERAL {
                let _: u16 = r.u16("item size")?;
            } else {
                let _: u8 = r.u8("item size")?;
            }
            let data = r.bytes("item data", len)?;
            if len > 0 {
                r.note(|| describe(id, &data));
            }
            items.push(PeripheralItem { id, escaped, data });
        }
        Ok(Self {
            unix,
            items,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u32(self.unix);
        for PeripheralItem { id, escaped, data } in &self.items {
            out.put_u16(*id);
            let wide = *id == PeripheralItem::PERIPHERAL;
            let most = usize::from(if wide { u16::MAX } else { u8::MAX.into() });
            let data = data.get(..most).unwrap_or(data);
            if wide {
                out.put_u16(u16::try_from(data.len()).unwrap_or(u16::MAX));
            } else {
                // An empty item can only be written with the length twice.
                if *escaped || data.is_empty() {
                    out.put_u8(0);
                }
                out.put_u8(u8::try_from(data.len()).unwrap_or(u8::MAX));
            }
            out.put_slice(data);
        }
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0xf2
    }

    fn start(&self) -> Start {
        Start::Long
    }

    /// Key: number and body.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let report = cx.timed_unix(
            out,
            milepost_telemetry::Kind::Status,
            self.unix,
            self.unix != 0,
            &super::whole_key(self),
            0,
        );
        for (index, item) in self.items.iter().enumerate() {
            item.normalize(report, u8::try_from(index).unwrap_or(u8::MAX));
        }
        cx.note_tail(report, &self.tail);
    }
}

const fn item_name(id: u16) -> &'static str {
    match id {
        PeripheralItem::PERIPHERAL => "peripheral",
        0x000b => "state and position",
        0x000c => "external battery",
        _ => "unknown",
    }
}

fn describe(id: u16, data: &[u8]) -> String {
    match (id, data) {
        (
            PeripheralItem::PERIPHERAL,
            &[
                address,
                a,
                b,
                c,
                d,
                e,
                f,
                event,
                of_event,
                kind,
                ref detail @ ..,
            ],
        ) => format!(
            "{} (kind {address}), event {event} with {of_event}, detail {kind}: {}",
            crate::text::mac([a, b, c, d, e, f]),
            crate::text::card(detail),
        ),
        (0x000c, &[charge, charging, c1, c0, ref unknown @ ..]) => format!(
            "{charge} %, charging {charging}, {} cycles, unknown {}",
            u16::from_be_bytes([c1, c0]),
            crate::text::hex(unknown),
        ),
        _ => crate::text::hex(data),
    }
}

#[cfg(feature = "telemetry")]
impl PeripheralItem {
    fn normalize(&self, report: &mut milepost_telemetry::Report, index: u8) {
        use milepost_telemetry::{MacAddress, Signal};

        let mut push = |mut signal: Signal| {
            signal.source = Some(index);
            report.more.signals.push(signal);
        };
        let number = |name, value: u16| Signal::named(name).number(value.into(), None);
        match (self.id, &self.data[..]) {
            (Self::PERIPHERAL, &[_, a, b, c, d, e, f, event, data, kind, ref detail @ ..]) => {
                let mac = MacAddress([a, b, c, d, e, f]);
                push(Signal::named("gt06.peripheral_address").text(format!("{mac}")));
                push(number("gt06.peripheral_event", event.into()));
                push(number("gt06.peripheral_event_data", data.into()));
                push(number("gt06.peripheral_detail_kind", kind.into()));
                if !detail.is_empty() {
                    push(Signal::named("gt06.peripheral_detail").text(crate::text::hex(detail)));
                }
            }
            // The battery of the vehicle, or a pack: not the device's own.
            (0x000c, &[charge @ 0..=100, charging, c1, c0, ref unknown @ ..])
                if unknown.len() == 6 =>
            {
                let charge =
                    Signal::named("gt06.external_battery_charge").number(charge.into(), Some("%"));
                push(charge);
                push(match charging {
                    0 | 1 => Signal::named("gt06.external_battery_charging").bool(charging == 1),
                    other => number("gt06.external_battery_charging", other.into()),
                });
                push(number(
                    "gt06.external_battery_cycles",
                    u16::from_be_bytes([c1, c0]),
                ));
                if unknown.iter().any(|byte| *byte != 0) {
                    push(
                        Signal::named("gt06.external_battery_raw").text(crate::text::hex(unknown)),
                    );
                }
            }
            (id, data) => crate::field::note_raw_item(report, id, data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: u16, data: &'static [u8]) -> PeripheralItem {
        PeripheralItem {
            id,
            escaped: false,
            data: Bytes::from_static(data),
        }
    }

    fn state(items: Vec<PeripheralItem>) -> PeripheralState {
        PeripheralState {
            unix: 1_700_000_000,
            items,
            tail: Bytes::new(),
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn more_items_than_a_source_can_count_are_all_told() {
        let items = alloc::vec![item(0x0001, &[1]); 300];
        let report = crate::message::testing::report(state(items));
        assert_eq!(report.more.signals.len(), 300);
    }
}
