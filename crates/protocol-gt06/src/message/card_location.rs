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
//! belong. In another length, cut short or longer, it is told by a time, the length of the GPS block
//! and a place where they belong: no item has an id as those would make. What is a heartbeat beyond
//! doubt, or a block of a photo by its own length, stays one. Its fields are then read as far as they
//! are whole, and only where there is a country code (or zeros, or ones) and a trailer is one; else
//! all behind the position is kept as it is, for one does not know which byte is missing or too many.

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::field::{
    Cell, CellForm, Gps, Trailer, centivolts, decivolts, is_gps, is_mcc, is_time, may_be_cell,
    mileage,
};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{DecodeError, Dialect};

/// A position with a driver's card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardLocation {
    /// Where and when.
    pub gps: Gps,
    /// The serving cell; `None`, as what follows, where the body ends before.
    pub cell: Option<Cell>,
    /// Why it was sent.
    pub trailer: Option<Trailer>,
    /// Metres.
    pub mileage: Option<u32>,
    /// Volts × 100.
    pub supply: Option<u16>,
    /// Volts × 10.
    pub battery: Option<u8>,
    /// Minutes; 24 bits.
    pub working_time: Option<u32>,
    /// The number of the card.
    pub card: Option<[u8; 8]>,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

/// Whether the length is the known one, and time and country code, or zeros, stand where they belong.
fn is_usual(body: &[u8]) -> bool {
    let has_length = match body.get(Gps::LEN) {
        Some(mcc) => body.len() == if mcc & 0x80 == 0 { 48 } else { 49 },
        None => false,
    };
    let no_cell = matches!(body.get(Gps::LEN..), Some([0, 0, ..]));
    has_length && is_time(body, 0) && (is_mcc(body, Gps::LEN) || no_cell)
}

/// Whether what stands behind the position is what should.
fn is_sane(rest: &[u8]) -> bool {
    let at = CellForm::L9c.len(Cell::peek_mcc(rest));
    may_be_cell(rest) && Trailer::may_be(rest.get(at..))
}

impl Body for CardLocation {
    const NAME: &'static str = "card_location";
    const ANSWER: Answer = Answer::ByPolicy;

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && is_gps(cx.body))
            .or_certain_if(cx.is_short() && is_usual(cx.body))
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let mut whole = r.whole_fields();
        whole.only_if(is_usual(cx.body) || is_sane(whole.peek()));
        Ok(Self {
            gps,
            cell: Cell::decode_whole(&mut whole, CellForm::L9c)?,
            trailer: whole.read(Trailer::LEN, Trailer::decode)?,
            mileage: whole.read(4, mileage)?,
            supply: whole.read(2, |r| centivolts(r, "supply"))?,
            battery: whole.read(1, |r| decivolts(r, "battery"))?,
            working_time: whole.read(3, |r| {
                let minutes = r.u24("working time")?;
                r.note(|| format!("{minutes} min"));
                Ok(minutes)
            })?,
            card: whole.read(8, |r| crate::field::card(r, "card"))?,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        if let Some(cell) = &self.cell {
            cell.encode(out);
        }
        if let Some(trailer) = self.trailer {
            trailer.encode(out);
        }
        out.extend(self.mileage.into_iter().flat_map(u32::to_be_bytes));
        out.extend(self.supply.into_iter().flat_map(u16::to_be_bytes));
        out.extend(self.battery);
        if let Some(minutes) = self.working_time {
            out.put_uint(minutes.into(), 3);
        }
        out.extend(self.card.into_iter().flatten());
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x36
    }

    /// TRX16i's, where it is as long as TRX16i's.
    fn dialect(&self) -> Option<Dialect> {
        (self.card.is_some() && self.tail.is_empty()).then_some(Dialect::Trx16i)
    }

    /// Key: number, time, position, upload mode, card.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(0x36)
            .upload_mode(self.trailer.map(|trailer| trailer.upload_mode));
        let card = self.card.as_ref().map_or(&[][..], |card| card);
        let report = cx.positioned_with(
            out,
            milepost_telemetry::Kind::Location,
            &self.gps,
            key,
            card,
        );
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
        if let Some(trailer) = self.trailer {
            trailer.normalize(report);
        }
        if let Some(metres) = self.mileage {
            crate::field::note_mileage(report, metres);
        }
        if let Some(centivolts) = self.supply {
            crate::field::note_supply(report, centivolts);
        }
        if let Some(decivolts) = self.battery {
            crate::field::note_battery_decivolts(report, decivolts);
        }
        if let Some(minutes) = self.working_time {
            report.vehicle_mut().engine_hours_s = Some(f64::from(minutes) * 60.0);
        }
        if let Some(card) = super::card_number(card) {
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
            (Some(1_300), Some(40), Some(6))
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

    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_behind_the_position_costs_no_fix() {
        use crate::message::testing::{cut_short, signal};

        for (cell, cell_ends) in [
            ("01cc 00 25ef 0540e88c", 27),
            ("81cc 0007 25ef 0540e88c", 28),
            ("0000 00 0000 00000000", 27),
        ] {
            for (len, message, report) in
                cut_short(Start::Short, 0x36, 18, &[GPS, cell, MORE, CARD])
            {
                assert_eq!(message.dialect(), None, "{len}");
                let Message::CardLocation(read) = message else {
                    panic!("{len}: {message:?}")
                };
                assert_eq!(report.kind, milepost_telemetry::Kind::Location);
                assert_eq!(read.cell.is_some(), len >= cell_ends, "{len}");
                let ends = [3, 7, 9, 10, 13].map(|size| cell_ends + size);
                let [trailer, mileage, supply, battery, time] = ends.map(|end| len >= end);
                assert_eq!(report.io.ignition.is_some(), trailer, "{len}");
                assert_eq!(report.odometer.is_some(), mileage, "{len}");
                assert_eq!(report.power.external.is_some(), supply, "{len}");
                assert_eq!(report.power.battery.is_some(), battery, "{len}");
                assert_eq!(report.more.vehicle.is_some(), time, "{len}");
                assert!(report.more.identity.is_none(), "{len}");
                let is_whole = len == 18 || len == cell_ends || ends.contains(&len);
                assert_eq!(signal(&report, "gt06.tail").is_none(), is_whole, "{len}");
            }
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn a_byte_off_costs_nothing_behind_and_all_before() {
        use crate::message::testing::{report, signal};

        let behind = [GPS, "01cc 00 25ef 0540e88c", MORE, CARD, "aa"];
        let behind = report(read_parts(Start::Short, 0x36, &behind));
        assert_eq!(
            behind.more.identity.clone().unwrap().driver.unwrap(),
            CARD.replace(' ', "").into()
        );
        // A cell id of three: what would be the trailer is none.
        let within = [
            GPS,
            "01cc 00 25ef 40e88c",
            "01 04 00  00000064  0514  28  000006",
            CARD,
        ];
        let within = report(read_parts(Start::Short, 0x36, &within));
        assert!(within.fix.is_some() && within.more.identity.is_none());
        assert_eq!((within.network.cell, within.io.ignition), (None, None));
        assert_eq!(signal(&within, "gt06.tail").unwrap().len(), 29 * 2);
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
