//! One cell tower, in the sizes that messages use.
//!
//! | form | MCC | MNC | area | cell |
//! |---|---|---|---|---|
//! | L8 | 2 | 1 | 2 | 3 |
//! | L9c | 2 | 1 | 2 | 4 |
//! | L10 | 2 | 2 | 2 | 4 |
//! | L15 | 2 | 1 | 4 | 8 |
//!
//! Where bit 15 of MCC is set the MNC has two bytes, and MCC is the low 15 bits. A MCC of all ones
//! is no country: there is no cell, and the block keeps the size of one without that bit.

use alloc::format;

use bytes::{BufMut, BytesMut};

use crate::DecodeError;
use crate::parse::{Reader, Trace};

/// The size of a cell block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CellForm {
    /// 2G: area 2, cell 3 bytes.
    L8,
    /// Area 2, cell 4 bytes.
    L9c,
    /// Area 2, cell 4 bytes, MNC always two bytes.
    L10,
    /// 4G: area 4, cell 8 bytes.
    L15,
}

impl CellForm {
    /// The block's size, given its MCC.
    #[inline]
    #[must_use]
    pub const fn len(self, raw_mcc: u16) -> usize {
        let mnc = if self.has_wide_mnc(raw_mcc) { 2 } else { 1 };
        2 + mnc
            + match self {
                Self::L8 => 5,
                Self::L9c | Self::L10 => 6,
                Self::L15 => 12,
            }
    }

    #[inline]
    const fn has_wide_mnc(self, raw_mcc: u16) -> bool {
        Cell::has_wide_mnc(raw_mcc) || matches!(self, Self::L10)
    }
}

/// A cell as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cell {
    /// The block's size.
    pub form: CellForm,
    /// Mobile country code; bit 15 indicates that the MNC has two bytes.
    pub raw_mcc: u16,
    /// Mobile network code.
    pub mnc: u16,
    /// Location area code or tracking area code.
    pub lac: u32,
    /// Cell identity.
    pub cell_id: u64,
}

impl Cell {
    /// The bit of MCC that makes MNC two bytes wide.
    pub const WIDE_MNC: u16 = 1 << 15;
    /// The MCC of a place without a cell that a device fills with ones.
    const FILLED: u16 = u16::MAX;

    /// Whether this MCC makes MNC two bytes wide.
    #[inline]
    #[must_use]
    pub const fn has_wide_mnc(raw_mcc: u16) -> bool {
        raw_mcc & Self::WIDE_MNC != 0 && raw_mcc != Self::FILLED
    }

    /// Mobile country code.
    #[inline]
    #[must_use]
    pub const fn mcc(&self) -> u16 {
        self.raw_mcc & !Self::WIDE_MNC
    }

    /// Whether there is a cell: not with a country code of 0 or of all ones.
    #[inline]
    #[must_use]
    pub const fn is_some(&self) -> bool {
        Self::is_network(self.raw_mcc)
    }

    /// Whether this MCC is one: neither 0 nor all ones.
    #[inline]
    pub(crate) const fn is_network(raw_mcc: u16) -> bool {
        raw_mcc & !Self::WIDE_MNC != 0 && raw_mcc != Self::FILLED
    }

    /// MCC at the beginning of a block, as sent; 0 where there are not enough bytes.
    pub(crate) const fn peek_mcc(bytes: &[u8]) -> u16 {
        match bytes {
            [high, low, ..] => u16::from_be_bytes([*high, *low]),
            _ => 0,
        }
    }

    /// Reads a block of that form.
    ///
    /// # Errors
    /// When bytes are missing.
    #[inline]
    pub fn decode<T: Trace>(r: &mut Reader<'_, T>, form: CellForm) -> Result<Self, DecodeError> {
        let raw_mcc = r.u16("mcc")?;
        r.note(|| match raw_mcc & !Self::WIDE_MNC {
            _ if !Self::is_network(raw_mcc) => "no cell".into(),
            mcc if Self::has_wide_mnc(raw_mcc) => format!("{mcc}, two-byte mnc"),
            mcc => format!("{mcc}"),
        });
        let mnc = if form.has_wide_mnc(raw_mcc) {
            r.u16("mnc")?
        } else {
            u16::from(r.u8("mnc")?)
        };
        r.note(|| format!("{mnc}"));
        let lac = match form {
            CellForm::L8 | CellForm::L9c | CellForm::L10 => u32::from(r.u16("lac")?),
            CellForm::L15 => r.u32("tac")?,
        };
        r.note(|| format!("{lac}"));
        let cell_id = match form {
            CellForm::L8 => u64::from(r.u24("cell id")?),
            CellForm::L9c | CellForm::L10 => u64::from(r.u32("cell id")?),
            CellForm::L15 => r.u64("cell id")?,
        };
        r.note(|| format!("{cell_id}"));
        Ok(Self {
            form,
            raw_mcc,
            mnc,
            lac,
            cell_id,
        })
    }

    /// Writes the block; numbers that are too large for the form lose their high bytes.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u16(self.raw_mcc);
        if self.form.has_wide_mnc(self.raw_mcc) {
            out.put_u16(self.mnc);
        } else {
            out.put_uint(self.mnc.into(), 1);
        }
        let (lac, id) = match self.form {
            CellForm::L8 => (2, 3),
            CellForm::L9c | CellForm::L10 => (2, 4),
            CellForm::L15 => (4, 8),
        };
        out.put_uint(self.lac.into(), lac);
        out.put_uint(self.cell_id, id);
    }

    /// The cell in the report's terms; `None` where the device has none.
    #[cfg(feature = "telemetry")]
    #[inline]
    #[must_use]
    pub fn normalize(&self, serving: bool) -> Option<milepost_telemetry::Cell> {
        self.is_some().then_some(milepost_telemetry::Cell {
            radio: match self.form {
                CellForm::L8 => milepost_telemetry::Radio::Gsm,
                CellForm::L9c | CellForm::L10 => milepost_telemetry::Radio::Unknown,
                CellForm::L15 => milepost_telemetry::Radio::Lte,
            },
            serving,
            mcc: self.mcc(),
            mnc: self.mnc,
            lac: self.lac,
            cell_id: self.cell_id,
            signal_dbm: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_of_all_ones_is_none_and_as_long_as_a_narrow_one() {
        for (form, len) in [
            (CellForm::L8, 8),
            (CellForm::L9c, 9),
            (CellForm::L10, 10),
            (CellForm::L15, 15),
        ] {
            assert_eq!(form.len(0xffff), len);
            assert_eq!(form.len(0x01cc), len);
            let wide = len + usize::from(form != CellForm::L10);
            assert_eq!(form.len(0x81cc), wide);
        }
        let cell = |raw_mcc| Cell {
            form: CellForm::L8,
            raw_mcc,
            mnc: 0,
            lac: 10_365,
            cell_id: 8_049,
        };
        assert!(!cell(0xffff).is_some() && !cell(0).is_some());
        assert!(cell(0x01cc).is_some() && cell(0x81cc).is_some());
    }
}
