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
//! L 47. Seen on devices. Cells are read where all of them are there, and a language of the known ones
//! behind them: with a byte too many or too few among them they would be others. Else all behind the
//! position is kept as it is.

use alloc::boxed::Box;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{Cell, Gps, Neighbour, NeighbourForm, Plmn, may_be_cell};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position with seven cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpsCells {
    /// Where and when.
    pub gps: Gps,
    /// What follows; `None` where the body ends before.
    pub more: Option<Box<GpsCellsMore>>,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

/// What 0x1E has behind the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GpsCellsMore {
    /// The network of all cells.
    pub network: Plmn,
    /// The cells, the first is the serving one.
    pub cells: [Neighbour; 7],
    /// Timing advance.
    pub timing_advance: u8,
    /// Language.
    pub language: u16,
}

impl GpsCellsMore {
    /// Whether cells and language stand there.
    fn is_at(rest: &[u8]) -> bool {
        let mnc = if Cell::has_wide_mnc(Cell::peek_mcc(rest)) {
            2
        } else {
            1
        };
        let language_at = 2 + mnc + 7 * NeighbourForm::C6.size() + 1;
        match rest.get(language_at..) {
            // Without bytes behind nothing is in question.
            Some([_, _]) => true,
            Some([high, low, ..]) => may_be_cell(rest) && *high == 0 && *low <= 2,
            _ => false,
        }
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let network = Plmn::decode(r)?;
        let mut cells = [Neighbour::EMPTY; 7];
        for cell in &mut cells {
            *cell = Neighbour::decode(r, NeighbourForm::C6)?;
        }
        Ok(Self {
            network,
            cells,
            timing_advance: r.u8("timing advance")?,
            language: crate::field::language(r)?,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.network.encode(out);
        for cell in &self.cells {
            cell.encode(out);
        }
        out.put_u8(self.timing_advance);
        out.put_u16(self.language);
    }
}

impl Body for GpsCells {
    const NAME: &'static str = "gps_cells";
    const ANSWER: Answer = Answer::ByPolicy;

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            gps: Gps::decode(r)?,
            more: if GpsCellsMore::is_at(r.peek()) {
                Some(Box::new(GpsCellsMore::decode(r)?))
            } else {
                None
            },
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        if let Some(more) = &self.more {
            more.encode(out);
        }
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x1e
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x1e);
        let report = cx.positioned(out, milepost_telemetry::Kind::Location, &self.gps, key);
        if let Some(more) = &self.more {
            more.network.normalize(&more.cells, report);
        }
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
            let more = read.more.unwrap();
            assert_eq!((more.timing_advance, more.language), (255, 2));
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
    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_behind_the_position_costs_no_fix_and_is_no_cell() {
        use crate::message::testing::{cut_short, signal};

        for network in ["01cc 00", "81cc 0007"] {
            let parts = [GPS, network, CELLS, "ff 0002"];
            for (len, message, report) in cut_short(Start::Short, 0x1e, 18, &parts) {
                assert!(matches!(message, Message::GpsCells(_)), "{message:?}");
                assert_eq!(report.cells().count(), 0, "{len}");
                let tail = signal(&report, "gt06.tail").unwrap_or_default();
                assert_eq!(tail.len(), (len - 18) * 2, "{len}");
            }
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn a_byte_too_many_is_a_tail_behind_the_cells_and_none_among_them() {
        use crate::message::testing::{report, signal};

        let behind = [GPS, "01cc 00", CELLS, "ff 0002", "aa"];
        let behind = report(read_parts(Start::Short, 0x1e, &behind));
        assert_eq!(behind.cells().count(), 2);
        assert_eq!(signal(&behind, "gt06.tail").unwrap(), "aa");
        let among = [GPS, "01cc 00", "00", CELLS, "ff 0002"];
        let among = report(read_parts(Start::Short, 0x1e, &among));
        assert_eq!(among.cells().count(), 0);
        assert!(among.fix.is_some());
    }
}
