//! Lists of items: id 2, length 1, data.
//!
//! | id | length | meaning |
//! |---|---|---|
//! | 0018 | 2 | battery, volts × 100 |
//! | 0027 | 2 | external supply, volts × 100 |
//! | 002E | 4 | odometer, metres |
//! | 0032 | 1 | start-up state |
//! | 003B | 2 | accuracy or HDOP × 100: which of them no manual states |
//! | 006A | 1 | battery, percent |
//!
//! Seen on Jimi 4G models (0x36, 0x37, 0x38, 0x39). Items with other ids, or of another length,
//! are kept and shown raw.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use crate::DecodeError;
use crate::parse::{Reader, Trace};

/// One item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Item {
    /// What it is.
    pub id: u16,
    /// Its value; more than 255 bytes cannot be written.
    pub data: Bytes,
}

/// A list of items that fills its place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Items(pub Vec<Item>);

impl Items {
    /// Whether these bytes are such a list and nothing else. No bytes are an empty list.
    #[must_use]
    pub fn fits(mut bytes: &[u8]) -> bool {
        while let [_, _, len, rest @ ..] = bytes {
            let Some((_, after)) = rest.split_at_checked(usize::from(*len)) else {
                return false;
            };
            bytes = after;
        }
        bytes.is_empty()
    }

    /// Whether these bytes start with an item that is whole.
    pub(crate) fn starts(bytes: &[u8]) -> bool {
        matches!(bytes, [_, _, len, rest @ ..] if rest.len() >= usize::from(*len))
    }

    /// Whether these bytes are a list and nothing else, with ids that makers use: where other
    /// bytes are possible there, a list that merely fits is not enough.
    pub(crate) fn are_likely(bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while let [high, low, len, after @ ..] = rest {
            let id = u16::from_be_bytes([*high, *low]);
            let after = after.get(usize::from(*len)..);
            let Some(after) = after.filter(|_| id != 0 && is_used(id)) else {
                return false;
            };
            rest = after;
        }
        rest.is_empty()
    }

    /// Whether these bytes begin with an item that is known, in its own length, whole or not.
    pub(crate) const fn starts_known(bytes: &[u8]) -> bool {
        matches!(
            bytes,
            [0, 0x18 | 0x27 | 0x3b, 2, ..] | [0, 0x2e | 0x3c, 4, ..] | [0, 0x32 | 0x6a, 1, ..]
        )
    }

    /// Reads all that is left as a list.
    ///
    /// # Errors
    /// When it is none; check with [`Items::fits`] before.
    pub fn decode<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let items = Self::decode_whole(r)?;
        if r.remaining() > 0 {
            r.u16("item id")?;
            let len = r.u8("item length")?;
            r.bytes("item data", usize::from(len))?;
        }
        Ok(items)
    }

    /// Reads the items that are whole, up to the first that is not.
    ///
    /// # Errors
    /// Never, in fact: what is whole can be read.
    pub(crate) fn decode_whole<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let mut items = Vec::new();
        while Self::starts(r.peek()) {
            let id = r.u16("item id")?;
            let len = r.u8("item length")?;
            let data = r.bytes("item data", usize::from(len))?;
            if len > 0 {
                r.note(|| describe(id, &data));
            }
            items.push(Item { id, data });
        }
        Ok(Self(items))
    }

    /// Reads what is left as a list if it is one, and leaves it alone if not.
    ///
    /// # Errors
    /// Never, in fact: a list that fits can be read.
    pub fn decode_if_fits<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        if Self::fits(r.peek()) {
            Self::decode(r)
        } else {
            Ok(Self::default())
        }
    }

    /// Writes the list.
    pub fn encode(&self, out: &mut BytesMut) {
        for Item { id, data } in &self.0 {
            let data = data.get(..usize::from(u8::MAX)).unwrap_or(data);
            out.put_u16(*id);
            out.put_u8(u8::try_from(data.len()).unwrap_or(u8::MAX));
            out.put_slice(data);
        }
    }

    /// Adds the items to a report.
    #[cfg(feature = "telemetry")]
    pub fn normalize(&self, report: &mut milepost_telemetry::Report) {
        use milepost_telemetry::{Percent, Signal};

        for Item { id, data } in &self.0 {
            match (id, data.as_ref()) {
                (0x0018, &[high, low]) => {
                    crate::field::note_battery_voltage(report, u16::from_be_bytes([high, low]));
                }
                (0x0027, &[high, low]) => {
                    crate::field::note_supply(report, u16::from_be_bytes([high, low]));
                }
                (0x002e, &[a, b, c, d]) => {
                    crate::field::note_mileage(report, u32::from_be_bytes([a, b, c, d]));
                }
                (0x0032, &[state]) => report
                    .more
                    .signals
                    .push(Signal::named("gt06.startup_state").number(state.into(), None)),
                (0x003b, &[high, low]) => {
                    let value = f64::from(u16::from_be_bytes([high, low])) / 100.0;
                    report
                        .more
                        .signals
                        .push(Signal::named("gt06.accuracy_or_hdop").number(value, None));
                }
                (0x006a, &[percent @ 0..=100]) => {
                    report.power.battery_charge = Percent::new(percent.into()).ok();
                }
                (id, data) => note_raw_item(report, *id, data),
            }
        }
    }
}

/// Whether an id is of the ranges that makers use.
const fn is_used(id: u16) -> bool {
    matches!(id, 0x0000..=0x01ff | 0x1000..=0x10ff)
}

fn describe(id: u16, data: &[u8]) -> String {
    let hundredths = |high: u8, low: u8| f32::from(u16::from_be_bytes([high, low])) / 100.0;
    match (id, data) {
        (0x0018, &[high, low]) => format!("battery {:.2} V", hundredths(high, low)),
        (0x0027, &[high, low]) => format!("external {:.2} V", hundredths(high, low)),
        (0x002e, &[a, b, c, d]) => format!("odometer {} m", u32::from_be_bytes([a, b, c, d])),
        (0x0032, &[state]) => format!("start-up state {state}"),
        (0x003b, &[high, low]) => format!("accuracy or HDOP {:.2}", hundredths(high, low)),
        (0x006a, &[percent @ 0..=100]) => format!("battery {percent} %"),
        _ => format!("unknown item {id:04x}"),
    }
}

/// Shows an item that is unknown: its id in the signal's name, its bytes in hexadecimal.
///
/// Names live for ever, and devices could invent 65 536 of them. Ids from the ranges that makers
/// use get names of their own; the others share one, with the id in the text.
#[cfg(feature = "telemetry")]
pub(crate) fn note_raw_item(report: &mut milepost_telemetry::Report, id: u16, data: &[u8]) {
    use milepost_telemetry::{Name, Signal, SignalId};

    let named = is_used(id)
        .then(|| Name::intern(&format!("gt06.item.{id:04x}")).ok())
        .flatten();
    let hex = crate::normalize::hex(data);
    report.more.signals.push(match named {
        Some(name) => Signal::new(SignalId::Named(name), "item").text(hex),
        None => Signal::named("gt06.item").text(format!("{id:04x}:{hex}")),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_list_that_ends_with_its_last_item_fits() {
        let list = [0x00, 0x27, 2, 0x12, 0xce, 0x00, 0x6a, 1, 100];
        assert!(Items::fits(&list));
        assert!(Items::fits(&[]));
        assert!(Items::fits(&[0, 1, 0]), "an item may be empty");
        for short in 1..list.len() {
            // Up to the end of the first item it is a list again.
            assert_eq!(Items::fits(&list[..short]), short == 5, "{short}");
        }
    }
}
