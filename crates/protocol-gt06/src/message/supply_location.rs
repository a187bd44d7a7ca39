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
//! lengths: [`AltitudeAlarm`](super::AltitudeAlarm), which says how the two are told apart. In another
//! length, cut short or longer, it is told by a time and a place where they belong, and the form of
//! the cell by what is like a trailer, with a voltage behind it: where that is so behind both forms, or
//! behind none, or the body ends before, all behind the position is kept as it is. What then may
//! have been an alarm is acknowledged as one. L 2C can be an L 2F that lost three bytes: it has the
//! form behind which more is like a trailer, its own where both are alike.

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::field::{
    Cell, CellForm, Gps, Trailer, centivolts, is_gps_before_cell, may_be_cell, may_be_voltage,
    mileage,
};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position with supply and ignition time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupplyLocation {
    /// Where and when.
    pub gps: Gps,
    /// The serving cell; `None`, as what follows, where the body ends before or nothing tells its
    /// form.
    pub cell: Option<Cell>,
    /// Why it was sent.
    pub trailer: Option<Trailer>,
    /// Metres.
    pub mileage: Option<u32>,
    /// Volts × 100.
    pub supply: Option<u16>,
    /// Seconds.
    pub ignition_time: Option<u32>,
    /// Generation of the network in the first half byte.
    pub radio_word: Option<u16>,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

/// The form of the cell by the known lengths: cell of 8, trailer, mileage, supply, time; with a wider
/// cell and the last word; each one more with a wide MNC.
fn usual_form(body: &[u8]) -> Option<CellForm> {
    match (body.len(), body.get(Gps::LEN)? & 0x80 != 0) {
        (39, false) | (40, true) => Some(CellForm::L8),
        (42, false) | (43, true) => Some(CellForm::L9c),
        _ => None,
    }
}

/// The form of the cell, where it can be told.
fn form(body: &[u8]) -> Option<CellForm> {
    let rest = body.get(Gps::LEN..)?;
    // What speaks against a trailer behind a cell of that form.
    let doubts = |form: CellForm| {
        let at = form.len(Cell::peek_mcc(rest));
        let trailer = rest.get(at..).filter(|rest| rest.len() >= Trailer::LEN)?;
        let doubts = [
            !Trailer::may_be(Some(trailer)),
            !may_be_voltage(rest, at + 7),
        ];
        Some(doubts.into_iter().map(u32::from).sum::<u32>())
    };
    match (
        usual_form(body),
        doubts(CellForm::L8)?,
        doubts(CellForm::L9c)?,
    ) {
        (Some(CellForm::L8), narrow, wide) if narrow <= wide => Some(CellForm::L8),
        (Some(_), ..) => Some(CellForm::L9c),
        _ if !may_be_cell(rest) => None,
        (None, 0, 1..) => Some(CellForm::L8),
        (None, 1.., 0) => Some(CellForm::L9c),
        _ => None,
    }
}

impl Body for SupplyLocation {
    const NAME: &'static str = "supply_location";
    const ANSWER: Answer = Answer::ByPolicy;

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && is_gps_before_cell(cx.body))
            .or_certain_if(cx.is_short() && usual_form(cx.body).is_some())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let form = form(cx.body);
        let mut whole = r.whole_fields();
        whole.only_if(form.is_some());
        let cell = Cell::decode_whole(&mut whole, form.unwrap_or(CellForm::L9c))?;
        let trailer = whole.read(Trailer::LEN, Trailer::decode)?;
        let mileage = whole.read(4, mileage)?;
        let supply = whole.read(2, |r| centivolts(r, "supply"))?;
        let ignition_time = whole.read(4, |r| {
            let seconds = r.u32("ignition time")?;
            r.note(|| format!("{seconds} s"));
            Ok(seconds)
        })?;
        whole.only_if(form == Some(CellForm::L9c));
        let radio_word = whole.read(2, |r| {
            let word = r.u16("radio and firmware")?;
            r.note(|| format!("generation {}, {:03x}", word >> 12, word & 0xfff));
            Ok(word)
        })?;
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
        if let Some(cell) = &self.cell {
            cell.encode(out);
        }
        if let Some(trailer) = self.trailer {
            trailer.encode(out);
        }
        out.extend(self.mileage.into_iter().flat_map(u32::to_be_bytes));
        out.extend(self.supply.into_iter().flat_map(u16::to_be_bytes));
        out.extend(self.ignition_time.into_iter().flat_map(u32::to_be_bytes));
        out.extend(self.radio_word.into_iter().flat_map(u16::to_be_bytes));
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x32
    }

    /// By policy; what may have been an alarm is acknowledged once it is stored.
    fn answer(&self) -> Answer {
        match self.cell {
            Some(_) => Self::ANSWER,
            None => Answer::WhenDelivered,
        }
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use milepost_telemetry::{Radio, Signal};

        let key = crate::normalize::Key::new(0x32)
            .upload_mode(self.trailer.map(|trailer| trailer.upload_mode));
        let report = cx.positioned(out, milepost_telemetry::Kind::Location, &self.gps, key);
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
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
        if let Some(trailer) = self.trailer {
            trailer.normalize(report);
        }
        if let Some(metres) = self.mileage {
            crate::field::note_mileage(report, metres);
        }
        if let Some(centivolts) = self.supply {
            crate::field::note_supply(report, centivolts);
        }
        if let Some(seconds) = self.ignition_time {
            report
                .more
                .signals
                .push(Signal::named("gt06.ignition_time").number(seconds.into(), Some("s")));
        }
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
            // A cell id of four without the last word: the trailer tells.
            ("02d4 06 c4af 0aaf7802", "", 6),
            ("02d4 06 c4af 0aaf7801", "422d", 6),
            ("82d4 0006 c4af 0aaf7801", "422d", 6),
            ("02d4 06 c4af 1f7801", "", 6),
            ("82d4 0006 c4af 1f7801", "", 6),
        ] {
            let read = read(&[GPS, cell, MORE, last]);
            let cell = read.cell.unwrap();
            assert_eq!((cell.mnc, cell.lac), (mnc, 0xc4af), "{cell:?} {last}");
            assert_eq!(
                (read.mileage, read.supply, read.ignition_time),
                (Some(100), Some(1_390), Some(60))
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
        assert_eq!(report.kind, milepost_telemetry::Kind::Location);
        assert!(report.more.events.is_empty());
        assert_eq!(report.power.external.unwrap().as_volts(), 13.9);
        assert_eq!(
            report.network.cell.unwrap().radio,
            milepost_telemetry::Radio::Lte
        );
        assert_eq!(report.io.ignition, Some(true));
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_behind_the_position_costs_no_fix() {
        use crate::message::testing::{cut_short, signal};

        // Where the form of the cell is told by the trailer, and where its id looks like one: then
        // the supply tells.
        for (cell, cell_ends, told_at) in [
            ("02d4 06 c4af 0aaf7802", 27, 30),
            ("82d4 0006 c4af 0aaf7802", 28, 31),
            ("02d4 06 c4af 0aaf7801", 27, 35),
            ("0000 00 0000 00000000", 27, 35),
        ] {
            for (len, message, report) in
                cut_short(Start::Short, 0x32, 18, &[GPS, cell, MORE, "422d"])
            {
                let is_told = len >= told_at;
                let answer = if is_told {
                    Answer::ByPolicy
                } else {
                    Answer::WhenDelivered
                };
                assert_eq!(message.answer(), answer, "{len}");
                let Message::SupplyLocation(read) = message else {
                    panic!("{len}: {message:?}")
                };
                assert_eq!(report.kind, milepost_telemetry::Kind::Location);
                assert!(report.more.events.is_empty());
                let cell = read.cell.map(|cell| cell.form);
                assert_eq!(cell, is_told.then_some(CellForm::L9c), "{len}");
                assert_eq!(report.io.ignition, is_told.then_some(true), "{len}");
                let mileage = is_told && len >= cell_ends + 7;
                assert_eq!(report.odometer, mileage.then_some(100.into()), "{len}");
                let supply = is_told && len >= cell_ends + 9;
                assert_eq!(report.power.external.is_some(), supply, "{len}");
                let ends = [3, 7, 9, 13].map(|size| cell_ends + size);
                let is_whole = len == 18 || is_told && ends.contains(&len);
                assert_eq!(signal(&report, "gt06.tail").is_none(), is_whole, "{len}");
            }
        }
        for (len, message, _) in
            cut_short(Start::Short, 0x32, 18, &[GPS, "02d4 06 c4af 1f7802", MORE])
        {
            let Message::SupplyLocation(read) = message else {
                panic!("{len}: {message:?}")
            };
            // The zeros of the mileage are like a trailer as well: the supply tells.
            let cell = read.cell.map(|cell| cell.form);
            assert_eq!(cell, (len >= 36).then_some(CellForm::L8), "{len}");
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn a_byte_behind_is_a_tail() {
        use crate::message::testing::{report, signal};

        for (cell, last) in [
            ("02d4 06 c4af 0aaf7801", "422d"),
            ("02d4 06 c4af 1f7802", ""),
        ] {
            let report = report(read(&[GPS, cell, MORE, last, "aa"]));
            assert_eq!(report.odometer, Some(100.into()));
            assert_eq!(signal(&report, "gt06.tail").unwrap(), "aa");
        }
    }
}
