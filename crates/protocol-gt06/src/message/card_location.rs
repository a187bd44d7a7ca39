//! 0x36, L 35, position with a driver's card (TRX16i).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 9, 10 | cell | [`Cell`] with a cell id of 4 |
//! | 27 | 3 | trailer | [`Trailer`] |
//! | 30 | 4 | mileage | metres |
//! | 34 | 2 | supply | volts × 100 |
//! | 36 | 1 | battery | volts × 10 |
//! | 37 | 3 | working time | minutes |
//! | 40 | 8 | card | the card's number; all zero: none |
//!
//! Seen on devices. 0x36 is a heartbeat with items or a block of a photo on other models: this one
//! has its own length, a time and a cell.

use super::{Body, Context, Fit};
use crate::Dialect;
use crate::field::{
    BatteryDecivolts, Card, Cell, CellForm, Gps, Mileage, Supply, Trailer, WorkingMinutes,
    is_gps_and_cell,
};
use crate::layout::{layout, plain};
use crate::reply::Answer;

layout! {
    /// A position with a driver's card.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct CardLocation {
        /// Where and when.
        gps: Gps,
        /// The serving cell.
        cell: Cell as CellForm::L9c,
        /// Why it was sent.
        trailer: Trailer,
        /// Metres.
        mileage: Mileage,
        /// Volts × 100.
        supply: Supply,
        /// Volts × 10.
        battery: BatteryDecivolts,
        /// Minutes.
        working_time: WorkingMinutes,
        /// The number of the card.
        card: Card,
    }
}

impl Body for CardLocation {
    const NAME: &'static str = "card_location";
    const ANSWER: Answer = Answer::ByPolicy;

    plain!(0x36);

    fn fit(cx: &Context<'_>) -> Fit {
        let fits = cx.is_short() && is_gps_and_cell(cx.body) && Self::is_whole(cx.body);
        Fit::No.or_certain_if(fits)
    }

    fn dialect(&self) -> Option<Dialect> {
        Some(Dialect::Trx16i)
    }

    /// Key: number, time, position, upload mode, card.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x36).upload_mode(Some(self.trailer.upload_mode));
        let kind = milepost_telemetry::Kind::Location;
        let report = cx.positioned_with(out, kind, &self.gps, key, &self.card.0);
        self.note_fields(cx, report);
    }
}
