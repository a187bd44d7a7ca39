//! W7: a WiFi station and how strongly it is heard.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 6 | mac | hardware address; all zero: an empty slot |
//! | 6 | 1 | signal | usually −dBm as a positive number |

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::dbm;
use crate::DecodeError;
use crate::parse::{Reader, Trace};

/// A WiFi station as sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Station {
    /// Hardware address.
    pub mac: [u8; 6],
    /// Signal strength, usually −dBm.
    pub raw_signal: u8,
    /// The network's name, in messages that send names.
    pub ssid: Option<Bytes>,
}

impl Station {
    /// The size of the block without a name.
    pub const LEN: usize = 7;

    /// Whether the slot holds a station.
    #[must_use]
    pub fn is_some(&self) -> bool {
        self.mac != [0; 6]
    }

    /// Reads a station without a name.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn decode<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let mac = super::mac(r, "mac")?;
        let raw_signal = r.u8("wifi signal")?;
        r.note(|| dbm(raw_signal).map_or_else(|| "no dBm".into(), |dbm| format!("{dbm} dBm")));
        Ok(Self {
            mac,
            raw_signal,
            ssid: None,
        })
    }

    /// Reads a station with its name after it, after the name's length.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn decode_named<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let station = Self::decode(r)?;
        let len = r.u8("ssid length")?;
        let ssid = r.bytes("ssid", len.into())?;
        r.note(|| alloc::string::String::from_utf8_lossy(&ssid).into_owned());
        Ok(Self {
            ssid: Some(ssid),
            ..station
        })
    }

    /// Writes the station; a name of more than 255 bytes is cut.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&self.mac);
        out.put_u8(self.raw_signal);
        if let Some(ssid) = &self.ssid {
            let ssid = ssid.get(..usize::from(u8::MAX)).unwrap_or(ssid);
            out.put_u8(u8::try_from(ssid.len()).unwrap_or(u8::MAX));
            out.put_slice(ssid);
        }
    }

    /// Notes the station in a report; an empty slot is none.
    #[cfg(feature = "telemetry")]
    pub fn normalize(&self, report: &mut milepost_telemetry::Report) {
        if self.is_some() {
            report.more.wifi.push(milepost_telemetry::WifiStation {
                mac: milepost_telemetry::MacAddress(self.mac),
                signal_dbm: dbm(self.raw_signal),
                ssid: self
                    .ssid
                    .as_deref()
                    .and_then(|ssid| core::str::from_utf8(ssid).ok())
                    .map(|ssid| ssid.trim_end_matches('\0'))
                    .filter(|ssid| !ssid.is_empty())
                    .map(Into::into),
            });
        }
    }
}

/// The items that can be counted in one byte.
fn counted<V>(items: &[V]) -> &[V] {
    items.get(..usize::from(u8::MAX)).unwrap_or(items)
}

/// Writes a count in one byte, and the items.
pub(crate) fn encode_counted<V>(
    items: &[V],
    out: &mut BytesMut,
    mut encode: impl FnMut(&V, &mut BytesMut),
) {
    let items = counted(items);
    out.put_u8(u8::try_from(items.len()).unwrap_or(u8::MAX));
    for item in items {
        encode(item, out);
    }
}
