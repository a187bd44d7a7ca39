//! 0x32 under `78 78`, L 2F and 2C, position with supply and ignition time (J16 and other 4G
//! models). A location, although SL4X and AZ735 use the number for other things.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 9, 10 | cell | [`Cell`] with a cell id of 4; in L 2C of 3 |
//! | 27 | 3 | trailer | [`Trailer`] |
//! | 30 | 4 | mileage | metres |
//! | 34 | 2 | supply | volts × 100 |
//! | 36 | 4 | ignition time | seconds that the ignition has been on, in all |
//! | 40 | 0 or 2 | radio and firmware | first half byte: generation of the network; the rest unknown |
//!
//! Seen on devices; the last word only as `42 2D`, on LTE. SL4X alarms of this number have other
//! lengths: [`AltitudeAlarm`](super::AltitudeAlarm).

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{Cell, CellForm, Gps, Trailer, centivolts, mileage};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position with supply and ignition time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupplyLocation {
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
    /// Seconds.
    pub ignition_time: u32,
    /// Generation of the network in the first half byte.
    pub radio_word: Option<u16>,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

/// The lengths behind the position: cell of 8, trailer, mileage, supply, time; with a wider cell
/// and the last word; each one more with a wide MNC.
pub(super) fn is_shape(cx: &Context<'_>) -> bool {
    match (cx.length(), cx.body.get(Gps::LEN)) {
        (0x2c | 0x2f, Some(mcc)) => mcc & 0x80 == 0,
        (0x2d | 0x30, Some(mcc)) => mcc & 0x80 != 0,
        _ => false,
    }
}

impl Body for SupplyLocation {
    const NAME: &'static str = "supply_location";
    const ANSWER: Answer = Answer::ByPolicy;

    fn accepts(cx: &Context<'_>) -> bool {
        cx.is_short() && is_shape(cx)
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let form = if cx.length() >= 0x2f {
            CellForm::L9c
        } else {
            CellForm::L8
        };
        let cell = Cell::decode(r, form)?;
        let trailer = Trailer::decode(r)?;
        let mileage = mileage(r)?;
        let supply = centivolts(r, "supply")?;
        let ignition_time = r.u32("ignition time")?;
        r.note(|| format!("{ignition_time} s"));
        let radio_word = if r.remaining() >= 2 {
            let word = r.u16("radio and firmware")?;
            r.note(|| format!("generation {}, {:03x}", word >> 12, word & 0xfff));
            Some(word)
        } else {
            None
        };
        Ok(Self {
            gps,
            cell,
            trailer,
            mileage,
            supply,
            ignition_time,
            radio_word,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        self.cell.encode(out);
        self.trailer.encode(out);
        out.put_u32(self.mileage);
        out.put_u16(self.supply);
        out.put_u32(self.ignition_time);
        out.extend(self.radio_word.into_iter().flat_map(u16::to_be_bytes));
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x32
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use telemetry::{Radio, Signal};

        let key = crate::normalize::Key::new(0x32).upload_mode(Some(self.trailer.upload_mode));
        let report = cx.positioned(out, telemetry::Kind::Location, &self.gps, key);
        report.network.cell = self.cell.normalize(true);
        let generation = self.radio_word.map(|word| word >> 12);
        if let Some(cell) = &mut report.network.cell {
            cell.radio = match generation {
                Some(2) => Radio::Gsm,
                Some(3) => Radio::Wcdma,
                Some(4) => Radio::Lte,
                Some(5) => Radio::Nr,
                _ => cell.radio,
            };
        }
        self.trailer.normalize(report);
        crate::field::note_mileage(report, self.mileage);
        crate::field::note_supply(report, self.supply);
        report
            .more
            .signals
            .push(Signal::named("gt06.ignition_time").number(self.ignition_time.into(), Some("s")));
        if let Some(word) = self.radio_word {
            let firmware = format!("{:03x}", word & 0xfff);
            report
                .more
                .signals
                .push(Signal::named("gt06.firmware_raw").text(firmware));
        }
        cx.note_tail(report, &self.tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{GPS, read_parts};
    use crate::{Message, Start};

    const MORE: &str = "01 00 00  00000064  056e  0000003c";

    fn read(parts: &[&str]) -> SupplyLocation {
        match read_parts(Start::Short, 0x32, parts) {
            Message::SupplyLocation(read) => read,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn length_and_country_code_tell_the_size_of_the_cell() {
        for (cell, last, mnc) in [
            ("02d4 06 c4af 001f7801", "", 0),
            ("02d4 06 c4af 0aaf7801", "422d", 6),
            ("82d4 0006 c4af 0aaf7801", "422d", 6),
            ("02d4 06 c4af 1f7801", "", 6),
            ("82d4 0006 c4af 1f7801", "", 6),
        ] {
            if mnc == 0 {
                // A cell id of four without the last word: no length of this message.
                let body = crate::message::testing::body(&[GPS, cell, MORE]);
                let other = crate::message::testing::read_body(Start::Short, 0x32, &body);
                assert!(
                    !matches!(other, Ok(Message::SupplyLocation(_))),
                    "{other:?}"
                );
                continue;
            }
            let read = read(&[GPS, cell, MORE, last]);
            assert_eq!(
                (read.cell.mnc, read.cell.lac),
                (mnc, 0xc4af),
                "{cell} {last}"
            );
            assert_eq!(
                (read.mileage, read.supply, read.ignition_time),
                (100, 1_390, 60)
            );
            assert_eq!(read.radio_word.is_some(), !last.is_empty());
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn it_is_a_location_with_a_supply_not_an_alarm() {
        let read = read(&[GPS, "02d4 06 c4af 0aaf7801", MORE, "422d"]);
        assert_eq!(Message::from(read.clone()).answer(), Answer::ByPolicy);
        let report = crate::message::testing::report(read);
        assert_eq!(report.kind, telemetry::Kind::Location);
        assert!(report.more.events.is_empty());
        assert_eq!(report.power.external.unwrap().as_volts(), 13.9);
        assert_eq!(report.network.cell.unwrap().radio, telemetry::Radio::Lte);
        assert_eq!(report.io.ignition, Some(true));
    }
}
