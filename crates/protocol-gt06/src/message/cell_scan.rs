//! 0x19, L 17 and above, several cells with a time (Space10X).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 6 | time | [`DateTime`] |
//! | 6 | 2 | mcc | country code; bit 15: MNC of two bytes |
//! | 8 | 1, 2 | mnc | network code |
//! | 9 | 1 | count | N |
//! | 10 | N × 6 | cells | [`Neighbour`], the first is the serving one |
//! | | 2 | unknown | |
//!
//! Seen on devices. No alarm is in it, although other 0x19 are alarms:
//! [`CellAlarm`](super::CellAlarm) has 13 or 14 bytes.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{Body, Context, Fit};
use crate::field::{DateTime, Neighbour, NeighbourForm, Plmn};
use crate::layout::{layout, plain};
use crate::reply::Answer;

layout! {
    /// Several cells.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct CellScan {
        /// When.
        time: DateTime,
        /// The network of all cells.
        network: Plmn,
        /// The cells; no more than 255 can be written.
        cells: Vec<Neighbour> as ("cell count", NeighbourForm::C6),
        /// Bytes that no manual describes; two are usual.
        tail: Bytes as "unknown",
    }
}

impl Body for CellScan {
    const NAME: &'static str = "cell_scan";
    const ANSWER: Answer = Answer::WhenDelivered;

    plain!(0x19);

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && cx.body.len() > 14)
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = super::whole_key(self);
        let report = cx.timed(out, milepost_telemetry::Kind::Cells, self.time, &key, 0);
        self.network.normalize(&self.cells[..], report);
        if self.tail.iter().any(|byte| *byte != 0) {
            cx.note_tail(report, &self.tail);
        }
    }
}
