//! 0x2C, 0xA2 and 0x33 (under `78 78`), cells and WiFi stations.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 6 | time | [`DateTime`] |
//! | 6 | 3, 4 | network | [`Plmn`] |
//! | 9 | 7 × 6 | cells | [`Neighbour`], the first is the serving one; 0xA2: 7 × 13; 0x33: 6 × 7 |
//! | 51 | 1 | timing advance | |
//! | 52 | 1 | count | N |
//! | 53 | N × 7 | stations | [`Station`]; in 0x2C some with a length and a name after each |
//!
//! Concox manuals for 0x2C, Jimi and GK310 manuals for 0xA2, both in UTC; 0x33 seen on SL4X, its
//! reading is not confirmed by a manual. 0xA2, L 40, is a
//! [`LynkworldLocation`](super::LynkworldLocation).

use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{DateTime, Neighbour, NeighbourForm, Plmn, Station, encode_counted};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// Cells and WiFi stations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellsWifi {
    /// 0x2C, 0x33 or 0xA2.
    pub number: u8,
    /// When.
    pub time: DateTime,
    /// The network of all cells.
    pub network: Plmn,
    /// The slots, empty ones too.
    pub cells: Vec<Neighbour>,
    /// Timing advance.
    pub timing_advance: u8,
    /// The stations, empty slots too; no more than 255 can be written.
    pub stations: Vec<Station>,
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

impl Body for CellsWifi {
    const NAME: &'static str = "cells_wifi";
    const ANSWER: Answer = Answer::ByPolicy;

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let time = DateTime::decode(r)?;
        let network = Plmn::decode(r)?;
        let (slots, form) = match cx.number() {
            0xa2 => (7, NeighbourForm::C13),
            0x33 => (6, NeighbourForm::C7),
            _ => (7, NeighbourForm::C6),
        };
        let cells = (0..slots)
            .map(|_| Neighbour::decode(r, form))
            .collect::<Result<_, _>>()?;
        let timing_advance = r.u8("timing advance")?;
        let count = r.u8("wifi count")?;
        let has_names = cx.number() == 0x2c && has_names(r.peek(), count);
        let stations = (0..count)
            .map(|_| {
                if has_names {
                    Station::decode_named(r)
                } else {
                    Station::decode(r)
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            number: cx.number(),
            time,
            network,
            cells,
            timing_advance,
            stations,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.time.encode(out);
        self.network.encode(out);
        for cell in &self.cells {
            cell.encode(out);
        }
        out.put_u8(self.timing_advance);
        encode_counted(&self.stations, out, Station::encode);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        self.number
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = super::whole_key(self);
        let report = cx.timed(out, milepost_telemetry::Kind::Cells, self.time, &key, 0);
        self.network.normalize(&self.cells, report);
        for station in &self.stations {
            station.normalize(report);
        }
        cx.note_tail(report, &self.tail);
    }
}

/// Whether each station has a name after it. Stations without fill the body exactly. Else there
/// are names if they fill it exactly and are text; what fits neither has no names, and a tail.
fn has_names(stations: &[u8], count: u8) -> bool {
    if stations.len() == usize::from(count) * Station::LEN {
        return false;
    }
    let mut rest = stations;
    for _ in 0..count {
        let Some((len, after)) = rest.get(Station::LEN..).and_then(<[u8]>::split_first) else {
            return false;
        };
        let Some((name, after)) = after.split_at_checked((*len).into()) else {
            return false;
        };
        if core::str::from_utf8(name).is_err() {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}
