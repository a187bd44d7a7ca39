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

#[cfg(test)]
mod tests {
    use crate::message::testing::{GPS, body, read_body, read_parts};
    use crate::{Message, Start};

    const MORE: &str = "01 00 00  00000064  0514  28  000006";
    const CARD: &str = "c3000001 00001201";

    #[test]
    fn length_time_and_country_code_tell_it_from_heartbeats_and_photos() {
        let parts = [GPS, "01cc 00 25ef 0540e88c", MORE, CARD];
        let Message::CardLocation(read) = read_parts(Start::Short, 0x36, &parts) else {
            panic!("no card")
        };
        assert_eq!(
            (read.supply.0, read.battery.0, read.working_time.0),
            (1_300, 40, 6)
        );
        let wide = [GPS, "81cc 0007 25ef 0540e88c", MORE, CARD];
        assert!(matches!(
            read_parts(Start::Short, 0x36, &wide),
            Message::CardLocation(_)
        ));
        // The same length with something else where the time would be.
        let mut other = body(&parts);
        *other.get_mut(1).unwrap() = 13;
        let other = read_body(Start::Short, 0x36, &other);
        assert!(!matches!(other, Ok(Message::CardLocation(_))), "{other:?}");
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn supply_battery_and_driver_reach_the_report() {
        let parts = [GPS, "01cc 00 25ef 0540e88c", MORE, CARD];
        let report = crate::message::testing::report(read_parts(Start::Short, 0x36, &parts));
        assert_eq!(report.power.external.unwrap().as_volts(), 13.0);
        assert_eq!(report.power.battery.unwrap().as_volts(), 4.0);
        assert_eq!(
            report.more.vehicle.clone().unwrap().engine_hours_s,
            Some(360.0)
        );
        assert_eq!(
            report.more.identity.clone().unwrap().driver.as_deref(),
            Some("c300000100001201")
        );
    }

    #[test]
    fn heartbeats_and_photos_stay_what_they_are_in_every_length() {
        // The status looks like a time, its first items like a place.
        let heartbeat =
            "06 06 04 00 02  0018 02 019a  0027 02 04ce  006a 01 64  0001 02 01cc  0032 01 01";
        let photo = "0000004d 00000400 0014 ffd8ffe0 00104a46 49460001 01cc0001 00010000";
        for (sent, last) in [(heartbeat, "heartbeat"), (photo, "photo_block")] {
            let sent = body(&[sent]);
            for len in 1..=sent.len() {
                let read = read_body(Start::Short, 0x36, &sent[..len]).unwrap();
                assert!(!matches!(read, Message::CardLocation(_)), "{len}: {read:?}");
                assert!(len < sent.len() || read.name() == last, "{read:?}");
            }
        }
    }
}
