//! 0x1E, position with seven cells (JI09).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 2 | mcc | country code; bit 15: MNC of two bytes |
//! | 20 | 1, 2 | mnc | network code |
//! | 21 | 7 × 6 | cells | [`Neighbour`], the first is the serving one, empty slots are zero |
//! | 63 | 1 | timing advance | |
//! | 64 | 2 | language | 1 Chinese, 2 English |
//!
//! L 47. Seen on devices.

use alloc::boxed::Box;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{Gps, Neighbour, NeighbourForm, Plmn};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position with seven cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpsCells {
    /// Where and when.
    pub gps: Gps,
    /// Mobile country code; bit 15 says that the MNC has two bytes.
    pub raw_mcc: u16,
    /// Mobile network code.
    pub mnc: u16,
    /// The cells.
    pub cells: Box<[Neighbour; 7]>,
    /// Timing advance.
    pub timing_advance: u8,
    /// Language.
    pub language: u16,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

impl GpsCells {
    const fn network(&self) -> Plmn {
        Plmn {
            raw_mcc: self.raw_mcc,
            mnc: self.mnc,
        }
    }
}

impl Body for GpsCells {
    const NAME: &'static str = "gps_cells";
    const ANSWER: Answer = Answer::ByPolicy;

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let Plmn { raw_mcc, mnc } = Plmn::decode(r)?;
        let mut cells = [Neighbour::EMPTY; 7];
        for cell in &mut cells {
            *cell = Neighbour::decode(r, NeighbourForm::C6)?;
        }
        Ok(Self {
            gps,
            raw_mcc,
            mnc,
            cells: Box::new(cells),
            timing_advance: r.u8("timing advance")?,
            language: crate::field::language(r)?,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        self.network().encode(out);
        for cell in self.cells.iter() {
            cell.encode(out);
        }
        out.put_u8(self.timing_advance);
        out.put_u16(self.language);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x1e
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x1e);
        let report = cx.positioned(out, telemetry::Kind::Location, &self.gps, key);
        self.network().normalize(&self.cells[..], report);
        cx.note_tail(report, &self.tail);
    }
}

#[cfg(test)]
mod tests {
    use crate::message::testing::{GPS, read_parts};
    use crate::{Message, Start};

    const CELLS: &str = "287d 001f71 50  287d 001f72 5a  000000000000 000000000000 000000000000 \
                         000000000000 000000000000";

    #[test]
    fn seven_slots_are_read_whatever_the_network() {
        for network in ["01cc 00", "81cc 0007"] {
            let parts = [GPS, network, &CELLS.replace('\n', ""), "ff 0002"];
            let Message::GpsCells(read) = read_parts(Start::Short, 0x1e, &parts) else {
                panic!("no cells")
            };
            assert_eq!((read.timing_advance, read.language), (255, 2));
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn empty_slots_are_no_cells() {
        let parts = [GPS, "01cc 00", CELLS, "ff 0002"];
        let report = crate::message::testing::report(read_parts(Start::Short, 0x1e, &parts));
        let cells: alloc::vec::Vec<_> = report.cells().collect();
        assert_eq!(cells.len(), 2);
        assert_eq!(
            cells.last().map(|cell| (cell.serving, cell.signal_dbm)),
            Some((false, Some(-90)))
        );
        assert!(report.fix.is_some());
    }
}
