//! A mobile network's codes before a list of cells.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 2 | mcc | country code; bit 15: MNC of two bytes |
//! | 2 | 1, 2 | mnc | network code |

use alloc::format;

use bytes::{BufMut, BytesMut};

use super::Cell;
use crate::DecodeError;
use crate::parse::{Reader, Trace};

/// Country and network code as sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Plmn {
    /// Mobile country code; bit 15 indicates that the MNC has two bytes.
    pub raw_mcc: u16,
    /// Mobile network code.
    pub mnc: u16,
}

impl Plmn {
    /// Reads the codes.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn decode<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let raw_mcc = r.u16("mcc")?;
        r.note(|| match raw_mcc & !Cell::WIDE_MNC {
            _ if !Cell::is_network(raw_mcc) => "no network".into(),
            mcc if Cell::has_wide_mnc(raw_mcc) => format!("{mcc}, two-byte mnc"),
            mcc => format!("{mcc}"),
        });
        let mnc = if Cell::has_wide_mnc(raw_mcc) {
            r.u16("mnc")?
        } else {
            u16::from(r.u8("mnc")?)
        };
        Ok(Self { raw_mcc, mnc })
    }

    /// Writes the codes; a MNC that is too large for its byte loses the high one.
    pub fn encode(self, out: &mut BytesMut) {
        out.put_u16(self.raw_mcc);
        let wide = Cell::has_wide_mnc(self.raw_mcc);
        out.put_uint(self.mnc.into(), if wide { 2 } else { 1 });
    }

    /// Notes the cells of this network in a report; the first of a list is the serving one, and
    /// empty slots are none.
    #[cfg(feature = "telemetry")]
    pub fn normalize(self, cells: &[super::Neighbour], report: &mut milepost_telemetry::Report) {
        for (i, cell) in cells.iter().enumerate() {
            if let Some(cell) = cell.normalize(self.raw_mcc, self.mnc, i == 0) {
                report.push_cell(cell);
            }
        }
    }
}
