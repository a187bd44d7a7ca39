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

use bytes::Bytes;

use super::{Body, Context};
use crate::field::DateTime;
use crate::layout::{layout, meant, plain};
use crate::reply::Answer;

layout! {
    /// WiFi stations.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct WifiList {
        /// When.
        time: DateTime,
        /// The stations; no more than 255 can be written.
        stations: Vec<HeardStation> as ("wifi count", ()),
        /// Bytes that no manual describes.
        tail: Bytes as "unknown",
    }
}

layout! {
    /// A station of a [`WifiList`].
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct HeardStation {
        /// Unknown; seen as 0.
        unknown: u16 as "unknown",
        /// Hardware address; all zero: an empty slot.
        mac: [u8; 6] as meant("mac", crate::text::mac_bytes),
    }
}

impl Body for WifiList {
    const NAME: &'static str = "wifi_list";
    const ANSWER: Answer = Answer::ByPolicy;

    plain!(0xf3);

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
