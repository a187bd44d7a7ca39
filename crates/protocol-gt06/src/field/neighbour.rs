//! A cell of a list: no network of its own, and how strongly it is heard.
//!
//! | form | area | cell | signal |
//! |---|---|---|---|
//! | C5 | 2 | 2 | 1 |
//! | C6 | 2 | 3 | 1 |
//! | C7 | 2 | 4 | 1 |
//! | C9 | 4 | 4 | 1 |
//! | C13 | 4 | 8 | 1 |
//!
//! The signal is usually −dBm as a positive number. An empty slot is all zero.

use alloc::format;

use bytes::{BufMut, BytesMut};

use crate::DecodeError;
use crate::parse::{Reader, Trace};

/// The size of a list's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NeighbourForm {
    /// 2G, with the low half of the cell's identity (Topin).
    C5,
    /// 2G.
    C6,
    /// Cell of four bytes.
    C7,
    /// 4G, with a cell of four bytes (Topin).
    C9,
    /// 4G.
    C13,
}

impl NeighbourForm {
    /// The entry's size.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::C5 => 5,
            Self::C6 => 6,
            Self::C7 => 7,
            Self::C9 => 9,
            Self::C13 => 13,
        }
    }
}

/// An entry as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Neighbour {
    /// The entry's size.
    pub form: NeighbourForm,
    /// Location area code or tracking area code.
    pub lac: u32,
    /// Cell identity.
    pub cell_id: u64,
    /// Signal strength, usually −dBm.
    pub raw_signal: u8,
}

impl Neighbour {
    /// An empty slot of a 2G list.
    pub const EMPTY: Self = Self {
        form: NeighbourForm::C6,
        lac: 0,
        cell_id: 0,
        raw_signal: 0,
    };

    /// Whether the slot holds a cell.
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.lac != 0 || self.cell_id != 0
    }

    /// Reads an entry of that form.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn decode<T: Trace>(
        r: &mut Reader<'_, T>,
        form: NeighbourForm,
    ) -> Result<Self, DecodeError> {
        let lac = match form {
            NeighbourForm::C5 | NeighbourForm::C6 | NeighbourForm::C7 => u32::from(r.u16("lac")?),
            NeighbourForm::C9 | NeighbourForm::C13 => r.u32("tac")?,
        };
        r.note(|| format!("{lac}"));
        let cell_id = match form {
            NeighbourForm::C5 => u64::from(r.u16("cell id")?),
            NeighbourForm::C6 => u64::from(r.u24("cell id")?),
            NeighbourForm::C7 | NeighbourForm::C9 => u64::from(r.u32("cell id")?),
            NeighbourForm::C13 => r.u64("cell id")?,
        };
        r.note(|| format!("{cell_id}"));
        let raw_signal = r.u8("signal")?;
        r.note(|| dbm(raw_signal).map_or_else(|| "no dBm".into(), |dbm| format!("{dbm} dBm")));
        Ok(Self {
            form,
            lac,
            cell_id,
            raw_signal,
        })
    }

    /// Writes the entry; numbers that are too large for the form lose their high bytes.
    pub fn encode(&self, out: &mut BytesMut) {
        let (lac, id) = match self.form {
            NeighbourForm::C5 => (2, 2),
            NeighbourForm::C6 => (2, 3),
            NeighbourForm::C7 => (2, 4),
            NeighbourForm::C9 => (4, 4),
            NeighbourForm::C13 => (4, 8),
        };
        out.put_uint(self.lac.into(), lac);
        out.put_uint(self.cell_id, id);
        out.put_u8(self.raw_signal);
    }

    /// The cell in the report's terms; `None` for an empty slot or without a network.
    #[cfg(feature = "telemetry")]
    #[must_use]
    pub fn normalize(
        &self,
        raw_mcc: u16,
        mnc: u16,
        serving: bool,
    ) -> Option<milepost_telemetry::Cell> {
        let mcc = raw_mcc & !super::Cell::WIDE_MNC;
        (self.is_some() && super::Cell::is_network(raw_mcc)).then_some(milepost_telemetry::Cell {
            radio: match self.form {
                NeighbourForm::C5 | NeighbourForm::C6 => milepost_telemetry::Radio::Gsm,
                NeighbourForm::C7 => milepost_telemetry::Radio::Unknown,
                NeighbourForm::C9 | NeighbourForm::C13 => milepost_telemetry::Radio::Lte,
            },
            serving,
            mcc,
            mnc,
            lac: self.lac,
            cell_id: self.cell_id,
            signal_dbm: dbm(self.raw_signal),
        })
    }
}

/// A signal strength that is sent as −dBm; `None` where it cannot be one.
#[must_use]
pub fn dbm(raw: u8) -> Option<i16> {
    (20..=150).contains(&raw).then_some(-i16::from(raw))
}
