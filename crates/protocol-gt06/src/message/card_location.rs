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
//! Seen on devices. 0x36 is a heartbeat with items on other models and a block of a photo on
//! others again; this one is told by its length, and by a time and a country code where they
//! belong.

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::field::{Cell, CellForm, Gps, Trailer, centivolts, decivolts, is_mcc, is_time, mileage};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{DecodeError, Dialect};

/// A position with a driver's card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardLocation {
    /// Where and when.
    pub gps: Gps,
    /// The serving cell.
    pub cell: Cell,
    /// Why it was sent.
    pub trailer: Trailer,
    /// Metres.
    pub mileage: u32,
    /// Volts × 100.
    pub supply: u16,
    /// Volts × 10.
    pub battery: u8,
    /// Minutes; 24 bits.
    pub working_time: u32,
    /// The number of the card.
    pub card: [u8; 8],
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

impl Body for CardLocation {
    const NAME: &'static str = "card_location";
    const ANSWER: Answer = Answer::ByPolicy;

    fn accepts(cx: &Context<'_>) -> bool {
        let has_length = match cx.body.get(Gps::LEN) {
            Some(mcc) if mcc & 0x80 == 0 => cx.length() == 0x35,
            Some(_) => cx.length() == 0x36,
            None => false,
        };
        let no_cell = matches!(cx.body.get(Gps::LEN..), Some([0, 0, ..]));
        cx.is_short() && has_length && is_time(cx.body, 0) && (is_mcc(cx.body, Gps::LEN) || no_cell)
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            gps: Gps::decode(r)?,
            cell: Cell::decode(r, CellForm::L9c)?,
            trailer: Trailer::decode(r)?,
            mileage: mileage(r)?,
            supply: centivolts(r, "supply")?,
            battery: decivolts(r, "battery")?,
            working_time: {
                let minutes = r.u24("working time")?;
                r.note(|| format!("{minutes} min"));
                minutes
            },
            card: crate::field::card(r, "card")?,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        self.cell.encode(out);
        self.trailer.encode(out);
        out.put_u32(self.mileage);
        out.put_u16(self.supply);
        out.put_u8(self.battery);
        out.put_uint(self.working_time.into(), 3);
        out.put_slice(&self.card);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x36
    }

    fn dialect(&self) -> Option<Dialect> {
        Some(Dialect::Trx16i)
    }

    /// Key: number, time, position, upload mode, card.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x36).upload_mode(Some(self.trailer.upload_mode));
        let report = cx.positioned_with(out, telemetry::Kind::Location, &self.gps, key, &self.card);
        report.network.cell = self.cell.normalize(true);
        self.trailer.normalize(report);
        crate::field::note_mileage(report, self.mileage);
        crate::field::note_supply(report, self.supply);
        crate::field::note_battery_decivolts(report, self.battery);
        report.vehicle_mut().engine_hours_s = Some(f64::from(self.working_time) * 60.0);
        if let Some(card) = super::card_number(&self.card) {
            report.identity_mut().driver = Some(card);
        }
        cx.note_tail(report, &self.tail);
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
            (read.supply, read.battery, read.working_time),
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
}
