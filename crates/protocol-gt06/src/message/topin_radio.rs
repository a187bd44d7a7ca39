//! 0x17 to 0x1B and 0x69 without serial and checksum, WiFi stations and cells (Topin,
//! ZX303, 365GPS).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 6 | time | two decimal digits in a byte |
//! | 6 | LEN × 7 | stations | [`Station`]; the frame's length byte counts them |
//! | | 1 | count | N |
//! | | 3 | network | [`Plmn`] |
//! | | N × 5 or 9 | cells | [`Neighbour`], the first is the serving one; 9 bytes of a 4G cell |
//! | | 0 or 1 | alarm | unknown codes |
//!
//! 0x69 is live, 0x17 comes from the buffer. Seen on devices; 0x18 to 0x1B are read like that if
//! it fits them exactly. The length shows which cells they are: no number of cells of both forms has
//! the same. What does not fit is a [`TopinNotice`](super::TopinNotice).

use alloc::format;
use alloc::vec::Vec;

use bytes::{BufMut, BytesMut};

use super::{Body, Context, Fit};
use crate::field::{
    Neighbour, NeighbourForm, Plmn, Station, bcd_time, encode_counted, topin_answer,
};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{DecodeError, Dialect};

/// WiFi stations and cells of the relatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopinRadio {
    /// 0x17 to 0x1B, or 0x69.
    pub number: u8,
    /// When, two decimal digits in a byte.
    pub raw_time: [u8; 6],
    /// The stations; no more than 255 can be written.
    pub stations: Vec<Station>,
    /// The network of all cells. Its MNC has one byte whatever its MCC.
    pub network: Plmn,
    /// The cells; no more than 255 can be written.
    pub cells: Vec<Neighbour>,
    /// An alarm, by codes that are not known.
    pub raw_alarm: Option<u8>,
}

impl Body for TopinRadio {
    const NAME: &'static str = "topin_radio";

    fn fit(cx: &Context<'_>) -> Fit {
        let Some(stations) = cx.bare() else {
            return Fit::No;
        };
        let count_at = 6 + usize::from(stations) * Station::LEN;
        let Some(cells) = cx.body.get(count_at) else {
            return Fit::No;
        };
        Fit::possible_if(
            cell_form(*cells, cx.body.len().saturating_sub(count_at + 1 + 3)).is_some(),
        )
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let raw_time = r.array("time")?;
        r.note(|| format!("{}", bcd_time(raw_time)));
        let stations = (0..cx.bare().unwrap_or_default())
            .map(|_| Station::decode(r))
            .collect::<Result<_, _>>()?;
        let count = r.u8("cell count")?;
        let network = Plmn {
            raw_mcc: r.u16("mcc")?,
            mnc: r.u8("mnc")?.into(),
        };
        let form = cell_form(count, r.remaining()).unwrap_or(NeighbourForm::C5);
        let cells = (0..count)
            .map(|_| Neighbour::decode(r, form))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            number: cx.number(),
            raw_time,
            stations,
            network,
            cells,
            raw_alarm: match r.remaining() {
                0 => None,
                _ => Some(r.u8("alarm")?),
            },
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&self.raw_time);
        for station in self.stations.iter().take(usize::from(u8::MAX)) {
            station.encode(out);
        }
        let mut cells = BytesMut::new();
        encode_counted(&self.cells, &mut cells, Neighbour::encode);
        let (count, cells) = cells.split_at_checked(1).unwrap_or_default();
        out.put_slice(count);
        out.put_u16(self.network.raw_mcc);
        out.put_uint(self.network.mnc.into(), 1);
        out.put_slice(cells);
        out.extend(self.raw_alarm);
    }

    fn number(&self) -> u8 {
        self.number
    }

    fn bare(&self) -> Option<u8> {
        Some(u8::try_from(self.stations.len()).unwrap_or(u8::MAX))
    }

    fn answer(&self) -> Answer {
        topin_answer(self.number, self.bare().unwrap_or_default(), &self.raw_time)
    }

    fn dialect(&self) -> Option<Dialect> {
        Some(Dialect::Topin)
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        // Live and from the buffer it is the same fact, except for the number.
        let mut key = BytesMut::new();
        key.put_u8(if self.number == 0x17 {
            0x69
        } else {
            self.number
        });
        self.encode(&mut key);
        let report = cx.timed(
            out,
            milepost_telemetry::Kind::Cells,
            bcd_time(self.raw_time),
            &key,
            0,
        );
        self.network.normalize(&self.cells, report);
        for station in &self.stations {
            station.normalize(report);
        }
        if let Some(raw) = self.raw_alarm.filter(|raw| *raw != 0) {
            report
                .more
                .signals
                .push(milepost_telemetry::Signal::named("gt06.alarm_raw").number(raw.into(), None));
        }
    }
}

/// The form of so many cells in so many bytes, after which an alarm's byte may follow.
fn cell_form(count: u8, len: usize) -> Option<NeighbourForm> {
    [NeighbourForm::C5, NeighbourForm::C9]
        .into_iter()
        .find(|form| {
            let cells = usize::from(count) * form.size();
            len == cells || len == cells + 1
        })
}
