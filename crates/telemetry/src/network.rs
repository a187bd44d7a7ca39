//! The mobile network and what radio stations were heard.

use core::fmt;
use core::str::FromStr;
use std::collections::VecDeque;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Malformed, Percent, Rare, Report};

/// A generation of mobile radio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Radio {
    /// 2G.
    Gsm,
    /// 3G.
    Wcdma,
    /// 4G.
    Lte,
    /// 5G.
    Nr,
    /// The message does not say.
    Unknown,
}

/// One cell tower as a device heard it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cell {
    /// Generation of the radio.
    pub radio: Radio,
    /// Whether the device was registered with this cell (else a neighbour).
    pub serving: bool,
    /// Mobile country code.
    pub mcc: u16,
    /// Mobile network code.
    pub mnc: u16,
    /// Location area code (2G, 3G) or tracking area code (4G).
    pub lac: u32,
    /// Cell identity.
    pub cell_id: u64,
    /// Received power in dBm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal_dbm: Option<i16>,
}

/// A 48-bit hardware address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddress {
    type Err = Malformed;
    fn from_str(s: &str) -> Result<Self, Malformed> {
        let bad = || Malformed::new("MAC address", "not six hexadecimal bytes");
        let mut bytes = [0; 6];
        let mut parts = s.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2).ok_or_else(bad)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| bad())?;
        }
        if parts.next().is_some() {
            Err(bad())
        } else {
            Ok(Self(bytes))
        }
    }
}

impl Serialize for MacAddress {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddress {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// One WiFi station as a device heard it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WifiStation {
    /// Hardware address of the access point.
    pub mac: MacAddress,
    /// Received power in dBm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal_dbm: Option<i16>,
    /// Network name, where the device sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssid: Option<Box<str>>,
}

/// The part of the network group that nearly every report has.
///
/// The first cell is held inline, so that a plain location needs no heap; further cells, WiFi
/// stations and the operator's name are with what few reports have ([`Rare`](crate::Rare)).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Network {
    /// Signal strength as a share of full scale.
    pub signal: Option<Percent>,
    /// Signal strength in dBm.
    pub signal_dbm: Option<i16>,
    /// The first cell of the list, usually the serving one.
    pub cell: Option<Cell>,
}

impl Report {
    /// All cells, the first one first.
    pub fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.network.cell.iter().chain(&self.more.cells)
    }

    /// Appends a cell: the first one inline, later ones on the heap.
    pub fn push_cell(&mut self, cell: Cell) {
        if self.network.cell.is_none() {
            self.network.cell = Some(cell);
        } else {
            self.more.cells.push(cell);
        }
    }
}

/// The network group as it is written, of a report.
pub(crate) struct Written<'a>(pub(crate) &'a Report);

impl Written<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        let Self(report) = self;
        let more = &report.more;
        report.network == Network::default()
            && more.operator.is_none()
            && more.cells.is_empty()
            && more.wifi.is_empty()
    }
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            operator: Option<&'a str>,
            #[serde(rename = "signal_pct", skip_serializing_if = "Option::is_none")]
            signal: Option<Percent>,
            #[serde(skip_serializing_if = "Option::is_none")]
            signal_dbm: Option<i16>,
            #[serde(skip_serializing_if = "Option::is_none")]
            cells: Option<Cells<'a>>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            wifi: &'a [WifiStation],
        }
        let Self(report) = self;
        Form {
            operator: report.more.operator.as_deref(),
            signal: report.network.signal,
            signal_dbm: report.network.signal_dbm,
            cells: report.cells().next().map(|_| Cells(report)),
            wifi: &report.more.wifi,
        }
        .serialize(s)
    }
}

struct Cells<'a>(&'a Report);

impl Serialize for Cells<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.0.cells())
    }
}

/// The network group as it is read.
#[derive(Default, Deserialize)]
pub(crate) struct Read {
    operator: Option<Box<str>>,
    #[serde(rename = "signal_pct")]
    signal: Option<Percent>,
    signal_dbm: Option<i16>,
    #[serde(default)]
    cells: VecDeque<Cell>,
    #[serde(default)]
    wifi: Vec<WifiStation>,
}

impl Read {
    /// The part that is inline, and the cells after the first.
    pub(crate) fn split(mut self) -> (Network, Rare) {
        let network = Network {
            signal: self.signal,
            signal_dbm: self.signal_dbm,
            cell: self.cells.pop_front(),
        };
        let rare = Rare {
            operator: self.operator,
            cells: self.cells.into(),
            wifi: self.wifi,
            ..Rare::default()
        };
        (network, rare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decoder, Kind, ReportId, Timestamp};

    #[test]
    fn only_the_first_cell_is_inline_and_order_is_kept() {
        let cell = |id| Cell {
            radio: Radio::Gsm,
            serving: id == 1,
            mcc: 460,
            mnc: 0,
            lac: 1,
            cell_id: id,
            signal_dbm: None,
        };
        let mut report = Report::new(
            ReportId::from_bytes([0; 16]),
            Decoder::new("gt06", "gt06/0.1.0"),
            Kind::Cells,
            Timestamp::UNIX_EPOCH,
        );
        assert!(Written(&report).is_empty());
        report.push_cell(cell(1));
        assert!(report.more.is_none(), "a single cell needs no heap");
        report.push_cell(cell(2));
        report.push_cell(cell(3));
        let ids = |report: &Report| report.cells().map(|c| c.cell_id).collect::<Vec<_>>();
        assert_eq!(ids(&report), [1, 2, 3]);
        let json = serde_json::to_string(&report).unwrap();
        let read: Report = serde_json::from_str(&json).unwrap();
        assert_eq!(ids(&read), [1, 2, 3]);
        assert_eq!(read, report);
    }

    #[test]
    fn mac_addresses_round_trip_and_junk_is_refused() {
        let mac = MacAddress([0xaa, 0, 1, 2, 3, 0xff]);
        assert_eq!(mac.to_string(), "aa:00:01:02:03:ff");
        assert_eq!(mac.to_string().parse(), Ok(mac));
        for bad in [
            "",
            "aa:bb:cc:dd:ee",
            "aa:bb:cc:dd:ee:ff:00",
            "g0:00:00:00:00:00",
            "a:b:c:d:e:f",
        ] {
            assert!(bad.parse::<MacAddress>().is_err(), "{bad}");
        }
    }
}
