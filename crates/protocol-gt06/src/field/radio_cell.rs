//! A cell after the kind of its radio (0x38, 0x39).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 1 | radio | 3 and above: LTE, and the wider fields |
//! | 1 | 2 | mcc | country code; bit 15: MNC of two bytes |
//! | 3 | 1, 2 | mnc | network code |
//! | | 2, LTE 4 | lac, tac | area |
//! | | 3, LTE 8 | cell id | cell |
//! | | 1, LTE 2 | signal | strength |

use alloc::format;

use bytes::{BufMut, BytesMut};

use super::{Cell, CellForm, dbm};
use crate::DecodeError;
use crate::parse::{Reader, Trace};

/// The serving cell, its radio and its strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RadioCell {
    /// The kind of radio; 3 and above: LTE.
    pub raw_radio: u8,
    /// The cell.
    pub cell: Cell,
    /// Strength, one byte or (LTE) two.
    pub raw_signal: u16,
}

impl RadioCell {
    /// Whether the fields are LTE's.
    #[must_use]
    pub const fn is_lte(&self) -> bool {
        self.raw_radio >= 3
    }

    /// The signal strength, where it can be one: −dBm, or dBm as a negative number of two bytes.
    #[must_use]
    pub fn signal_dbm(&self) -> Option<i16> {
        let signed = self.raw_signal.cast_signed();
        if self.is_lte() && (-150..=-20).contains(&signed) {
            return Some(signed);
        }
        u8::try_from(self.raw_signal).ok().and_then(dbm)
    }

    /// Reads the block.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn decode<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let raw_radio = r.u8("radio")?;
        r.note(|| {
            if raw_radio >= 3 {
                "LTE".into()
            } else {
                format!("{raw_radio}, before LTE")
            }
        });
        let (form, signal) = forms(raw_radio);
        let cell = Cell::decode(r, form)?;
        let raw_signal = if signal == 2 {
            r.u16("cell signal")?
        } else {
            u16::from(r.u8("cell signal")?)
        };
        let block = Self {
            raw_radio,
            cell,
            raw_signal,
        };
        r.note(|| {
            block
                .signal_dbm()
                .map_or_else(|| "no dBm".into(), |dbm| format!("{dbm} dBm"))
        });
        Ok(block)
    }

    /// Writes the block.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.raw_radio);
        self.cell.encode(out);
        out.put_uint(self.raw_signal.into(), if self.is_lte() { 2 } else { 1 });
    }

    /// Notes the cell in a report.
    #[cfg(feature = "telemetry")]
    pub fn normalize(&self, report: &mut milepost_telemetry::Report) {
        if let Some(mut cell) = self.cell.normalize(true) {
            cell.signal_dbm = self.signal_dbm();
            report.push_cell(cell);
        }
    }
}

/// The form of the cell and the size of its strength.
const fn forms(raw_radio: u8) -> (CellForm, usize) {
    if raw_radio >= 3 {
        (CellForm::L15, 2)
    } else {
        (CellForm::L8, 1)
    }
}
