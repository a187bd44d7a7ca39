//! 0xF3, WiFi stations without strength.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 6 | time | [`DateTime`], plain binary |
//! | 6 | 1 | count | N |
//! | 7 | N × 8 | stations | two unknown bytes, then the hardware address |
//!
//! Seen on devices.

use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{DateTime, encode_counted};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// WiFi stations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WifiList {
    /// When.
    pub time: DateTime,
    /// The stations; no more than 255 can be written.
    pub stations: Vec<HeardStation>,
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

/// A station of a [`WifiList`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HeardStation {
    /// Unknown; seen as 0.
    pub unknown: u16,
    /// Hardware address; all zero: an empty slot.
    pub mac: [u8; 6],
}

impl Body for WifiList {
    const NAME: &'static str = "wifi_list";
    const ANSWER: Answer = Answer::ByPolicy;

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let time = DateTime::decode(r)?;
        let count = r.u8("wifi count")?;
        let mut stations = Vec::new();
        for _ in 0..count {
            let unknown = r.u16("unknown")?;
            let mac = crate::field::mac(r, "mac")?;
            stations.push(HeardStation { unknown, mac });
        }
        Ok(Self {
            time,
            stations,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.time.encode(out);
        encode_counted(&self.stations, out, |station, out| {
            out.put_u16(station.unknown);
            out.put_slice(&station.mac);
        });
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0xf3
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use milepost_telemetry::{MacAddress, WifiStation};

        let key = super::whole_key(self);
        let report = cx.timed(out, milepost_telemetry::Kind::Cells, self.time, &key, 0);
        for station in self.stations.iter().filter(|station| station.mac != [0; 6]) {
            report.more.wifi.push(WifiStation {
                mac: MacAddress(station.mac),
                signal_dbm: None,
                ssid: None,
            });
        }
        if self.stations.iter().any(|station| station.unknown != 0) {
            let unknown: Vec<u8> = self
                .stations
                .iter()
                .flat_map(|station| station.unknown.to_be_bytes())
                .collect();
            crate::normalize::note_bytes(report, "gt06.wifi_unknown", &unknown);
        }
        cx.note_tail(report, &self.tail);
    }
}
