//! 0x1E, L 47, position with seven cells (JI09).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 3, 4 | network | [`Plmn`] |
//! | 21 | 7 × 6 | cells | [`Neighbour`], the first is the serving one, empty slots are zero |
//! | 63 | 1 | timing advance | |
//! | 64 | 2 | language | 1 Chinese, 2 English |
//!
//! Seen on devices.

use super::{Body, Context, Fit};
use crate::field::{Gps, Language, Neighbour, NeighbourForm, Plmn};
use crate::layout::{layout, plain};
use crate::reply::Answer;

layout! {
    /// A position with seven cells.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct GpsCells {
        /// Where and when.
        gps: Gps,
        /// The network of all cells.
        network: Plmn,
        /// The cells, the first is the serving one.
        cells: [Neighbour; 7] as NeighbourForm::C6,
        /// Timing advance.
        timing_advance: u8 as "timing advance",
        /// Language.
        language: Language,
    }
}

impl Body for GpsCells {
    const NAME: &'static str = "gps_cells";
    const ANSWER: Answer = Answer::ByPolicy;

    plain!(0x1e);

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && Self::is_whole(cx.body))
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x1e);
        let report = cx.positioned(out, milepost_telemetry::Kind::Location, &self.gps, key);
        self.network.normalize(&self.cells, report);
    }
}
