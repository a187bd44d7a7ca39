//! 0x16 and 0x26, alarm: position, cell and status.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 0 or 1 | size of the cell | counts itself, or not, or is junk; only 0 means something |
//! | 19 | 8, 9 | cell | [`Cell`]; 9 with a wide MNC or on Seeworld (L 26) |
//! | 27 | 5 | status | [`Status`] |
//! | 32 | 0, 4, 8 or 12 | mileage, card or meters | L 29: mileage; L 2D: card (TRX16i); L 31: [`Meters`] |
//!
//! L 24: without the size; see also [`SupplyAlarm`](super::SupplyAlarm). L 4A: size 0, 45 zero bytes, status.
//! Concox GT06 manual for L 25; the others seen on devices. 0x26 is specified in UTC, 0x16 does not say.

#[cfg(feature = "telemetry")]
use alloc::format;

use bytes::{BufMut, BytesMut};

use super::{Body, Context, Fit};
use crate::address::{Language, NOBODY, Purpose, Question};
use crate::field::{
    Cell, CellForm, DateTime, Gps, Meters, Mileage, Status, is_cell, is_mcc, is_mileage,
};
use crate::layout::Part;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{DecodeError, Dialect};

/// An alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmReport {
    /// 0x16 or 0x26.
    pub number: u8,
    /// Where and when.
    pub gps: Gps,
    /// The size of the cell block as sent, where there is one.
    pub raw_cell_size: Option<u8>,
    /// The serving cell.
    pub cell: Option<Cell>,
    /// How many zeros replace the cell.
    pub padding: u16,
    /// Status and alarm.
    pub status: Status,
    /// Metres.
    pub mileage: Option<Mileage>,
    /// Number of a card.
    pub card: Option<u64>,
    /// Voltages, mileage and working time.
    pub meters: Option<Meters>,
}

impl AlarmReport {
    /// An alarm in the form of the manual, in UTC: 0x26.
    #[must_use]
    pub const fn new(gps: Gps, cell: Cell, status: Status) -> Self {
        Self {
            number: 0x26,
            gps,
            raw_cell_size: Some(9),
            cell: Some(cell),
            padding: 0,
            status,
            mileage: None,
            card: None,
            meters: None,
        }
    }
}

/// Zeros that replace a cell (L 4A).
const PADDING: usize = 45;

/// What comes between position and status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A cell without a size.
    NoSize,
    /// A size and a cell.
    Cell(CellForm),
    /// A size of 0, and so many zeros.
    Padding(usize),
}

impl Form {
    /// By the known lengths; `None`: another length.
    fn find(body: &[u8], dialect: Dialect) -> Option<Self> {
        let rest = body.get(Gps::LEN..)?;
        let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
        // Zeros alone are half of the padding, without a status.
        if is_zero(rest) {
            return None;
        }
        let mcc = Cell::peek_mcc(rest);
        if rest.len() == CellForm::L8.len(mcc) + Status::LEN && is_cell(rest, 0) {
            return Some(Self::NoSize);
        }
        let (size, rest) = rest.split_first()?;
        let mcc = Cell::peek_mcc(rest);
        let padding = rest.len().checked_sub(Status::LEN)?;
        if matches!(padding, 0 | PADDING) && *size == 0 && is_zero(rest.get(..padding)?) {
            return Some(Self::Padding(padding));
        }
        let status = |form: CellForm| rest.get(form.len(mcc)..);
        let has_known_rest = |form| {
            let more = status(form).and_then(|status| status.get(Status::LEN..));
            match more {
                Some([_, _, _, _]) => more.is_some_and(is_mileage),
                Some(more) => matches!(more.len(), 0 | 8 | Meters::LEN),
                None => false,
            }
        };
        // The size of Seeworld's cell, itself counted.
        let has_seeworld_size = *size == 10 && !Cell::has_wide_mnc(mcc);
        if has_known_rest(CellForm::L8) && !has_seeworld_size {
            return Some(Self::Cell(CellForm::L8));
        }
        let gps = Gps::from_bytes(body.first_chunk()?);
        let is_plausible = |form: CellForm| {
            status(form).is_some_and(|status| Status::is_plausible_at(status, &gps))
        };
        // A frame of the manual's form with one byte too many is as long.
        let is_seeworld = dialect == Dialect::Seeworld
            || has_seeworld_size
            || !is_mcc(rest, 0)
            || is_plausible(CellForm::L9c) && !is_plausible(CellForm::L8);
        (has_known_rest(CellForm::L9c) && is_seeworld).then_some(Self::Cell(CellForm::L9c))
    }
}

impl Body for AlarmReport {
    const NAME: &'static str = "alarm";
    const ANSWER: Answer = Answer::WhenDelivered;

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && Form::find(cx.body, cx.dialect).is_some())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let form = Form::find(cx.body, cx.dialect).unwrap_or(Form::NoSize);
        let gps = Gps::decode(r)?;
        let raw_cell_size = match form {
            Form::NoSize => None,
            _ => Some(r.u8("cell size")?),
        };
        let (cell, padding) = match form {
            Form::NoSize => (Some(Cell::decode(r, CellForm::L8)?), 0),
            Form::Cell(form) => (Some(Cell::decode(r, form)?), 0),
            Form::Padding(0) => (None, 0),
            Form::Padding(len) => (None, r.bytes("padding", len)?.len()),
        };
        let status = Status::decode(r)?;
        let (mut mileage, mut card, mut meters) = (None, None, None);
        match r.remaining() {
            0 => {}
            4 => mileage = Some(Mileage::read(r, ())?),
            8 => {
                let number = r.u64("card")?;
                r.note(|| crate::text::card(&number.to_be_bytes()));
                card = Some(number);
            }
            _ => meters = Some(Meters::decode(r)?),
        }
        Ok(Self {
            number: cx.number(),
            gps,
            raw_cell_size,
            cell,
            padding: u16::try_from(padding).unwrap_or(u16::MAX),
            status,
            mileage,
            card,
            meters,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        out.extend(self.raw_cell_size);
        if let Some(cell) = self.cell {
            cell.encode(out);
        }
        out.put_bytes(0, self.padding.into());
        self.status.encode(out);
        self.mileage.write(out);
        self.card.write(out);
        self.meters.write(out);
    }

    fn number(&self) -> u8 {
        self.number
    }

    /// Acknowledged once it is stored (the device repeats it otherwise), unless it says that it
    /// wants no reply.
    fn answer(&self) -> Answer {
        self.status.answer()
    }

    fn clock(&self) -> Option<(DateTime, Option<bool>)> {
        (self.number == 0x16).then_some((self.gps.time(), None))
    }

    /// A cell with an id of four bytes is Seeworld's if the status after it is plausible in every
    /// field; zeros in place of a cell are no evidence. A card is TRX16i's.
    fn dialect(&self) -> Option<Dialect> {
        if self.card.is_some() {
            return Some(Dialect::Trx16i);
        }
        let is_seeworld = self.has_cell(CellForm::L9c) && self.status.is_plausible(&self.gps);
        is_seeworld.then_some(Dialect::Seeworld)
    }

    /// Seeworld's alarms have no cell of the manual's form.
    fn contradicts(&self, dialect: Dialect) -> bool {
        dialect == Dialect::Seeworld
            && self.has_cell(CellForm::L8)
            && self.status.is_plausible(&self.gps)
    }

    fn raw_battery(&self) -> Option<u8> {
        Some(self.status.raw_battery)
    }

    fn question(&self) -> Option<Question> {
        Some(Question {
            purpose: Purpose::Alarm,
            position: Some(self.gps.position()),
            cell: self.cell,
            phone: NOBODY,
            language: Language::from_raw(self.status.raw_language.into()),
        })
    }

    /// Key: number, time, position, alarm, card.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(self.number).alarm(Some(self.status.alarm_key()));
        let card = self.card.map(u64::to_be_bytes);
        let report = cx.positioned_with(
            out,
            milepost_telemetry::Kind::Alarm,
            &self.gps,
            key,
            card.as_ref().map_or(&[], |card| card),
        );
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
        let dialect = cx.dialect_or(self.dialect());
        report.dialect = Some(dialect.name().into());
        self.status.normalize(cx, report, dialect);
        self.mileage.note(cx, report);
        self.meters.note(cx, report);
        if let Some(card) = self.card {
            report.identity_mut().driver = Some(format!("{card:016x}").into());
        }
    }
}

impl AlarmReport {
    fn has_cell(&self, form: CellForm) -> bool {
        self.cell
            .is_some_and(|cell| cell.is_some() && cell.form == form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::body;
    use crate::message::testing::{CELL, GPS, read, read_parts};
    use crate::{Message, Start};

    fn read_alarm(number: u8, parts: &[&str]) -> AlarmReport {
        match read_parts(Start::Short, number, parts) {
            Message::AlarmReport(read) => read,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_worked_example() {
        let hex = "78782516 0b0b0f0e241d cf 027ac887 0c4657e6 00 1402 09 01cc00287d001f72 \
                   6506040101 0036 56a4 0d0a";
        let message = read(hex);
        assert_eq!(
            message.to_bytes(0x36),
            hex::decode(hex.replace([' ', '\n'], "")).unwrap()
        );
        let Message::AlarmReport(alarm) = message else {
            panic!("{message:?}")
        };
        assert_eq!((alarm.status.raw_alarm, alarm.raw_cell_size), (1, Some(9)));
    }

    #[test]
    fn the_cell_is_found_by_what_is_left_for_it() {
        const STATUS: &str = "65 06 04 01 01";
        for (parts, form, mnc) in [
            ([GPS, "08", CELL, STATUS, ""], CellForm::L8, 0),
            ([GPS, "39", CELL, STATUS, ""], CellForm::L8, 0),
            (
                [GPS, "09", "81cc 0007 287d 001f71", STATUS, ""],
                CellForm::L8,
                7,
            ),
            (
                [GPS, "09", "01cc 00 287d 00001f71", STATUS, ""],
                CellForm::L9c,
                0,
            ),
            ([GPS, "08", CELL, STATUS, "00000064"], CellForm::L8, 0),
            (
                [GPS, "08", CELL, STATUS, "c300000100001201"],
                CellForm::L8,
                0,
            ),
            ([GPS, "", CELL, STATUS, ""], CellForm::L8, 0),
            (
                [GPS, "", "81cc 0007 287d 001f71", STATUS, ""],
                CellForm::L8,
                7,
            ),
        ] {
            let alarm = read_alarm(0x16, &parts);
            let cell = alarm.cell.unwrap();
            assert_eq!(
                (cell.form, cell.mcc(), cell.mnc),
                (form, 460, mnc),
                "{parts:?}"
            );
            assert_eq!(
                (cell.cell_id, alarm.status.raw_alarm),
                (8_049, 1),
                "{parts:?}"
            );
            let tails = (alarm.mileage.is_some(), alarm.card.is_some());
            let len = body(&[parts[4]]).len();
            assert_eq!(tails, (len == 4, len == 8), "{parts:?}");
        }
    }

    /// One byte more than the manual's: Seeworld's cell, or an unknown byte at the end.
    #[test]
    fn a_byte_too_many_does_not_make_it_seeworlds() {
        use crate::message::testing::read_as;

        const NO_FIX: &str = "0f0c1d023305 c9 027ac818 0c465860 00 0400";
        for (gps, status, tail) in [
            (GPS, "46 06 04 01 02", "ff"),
            (GPS, "46 06 04 01 02", "00"),
            (NO_FIX, "06 06 04 01 02", "00"),
        ] {
            let body = body(&[gps, "09", CELL, status, tail]);
            let read = read_as(Dialect::Concox, Start::Short, 0x16, &body);
            assert!(matches!(read, Ok(Message::PositionOnly(_))), "{read:?}");
            let read = read_as(Dialect::Seeworld, Start::Short, 0x16, &body);
            assert!(matches!(read, Ok(Message::AlarmReport(_))), "{read:?}");
        }
        for (size, status) in [("09", "65 06 04 01 01"), ("0a", "46 3e 42 03 02")] {
            let alarm = read_alarm(0x16, &[GPS, size, "01cc 00 287d 00001f71", status]);
            assert_eq!(alarm.cell.unwrap().form, CellForm::L9c, "{alarm:?}");
            assert_eq!(Message::from(alarm).dialect(), Some(Dialect::Seeworld));
        }
    }

    #[test]
    fn zeros_in_place_of_a_cell_are_skipped() {
        let zeros = "00".repeat(45);
        let alarm = read_alarm(0x16, &[GPS, "00", &zeros, "65 06 04 01 01"]);
        assert_eq!((alarm.cell, alarm.status.raw_alarm), (None, 1));
        let none = read_alarm(0x16, &[GPS, "00", "65 06 04 01 01"]);
        assert_eq!((none.cell, none.status.raw_alarm), (None, 1));
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn the_alarm_says_the_ignition_before_the_terminal_does() {
        let report = crate::message::testing::report(read_alarm(
            0x26,
            &[GPS, "08", CELL, "44 06 04 fe 01", "00000064"],
        ));
        assert_eq!(report.io.ignition, Some(true));
        assert_eq!(report.odometer, Some(100.into()));
        assert_eq!(report.zone, Some(milepost_telemetry::Zone::Utc));
    }

    #[test]
    fn a_message_tells_its_family_and_a_session_remembers() {
        use crate::message::testing::frame;
        use crate::{AckPolicy, Session};

        let usual = body(&[GPS, "08", CELL, "65 06 04 01 01"]);
        let seeworld = body(&[GPS, "09", "01cc 00 287d 00001f71", "41 3e 42 01 02"]);
        let trx = body(&[GPS, "08", CELL, "65 06 04 01 01", "c300000100001201"]);
        let mut session = Session::new(AckPolicy::default());
        for (body, dialect) in [
            (&usual, None),
            (&seeworld, Some(Dialect::Seeworld)),
            // One frame is weak evidence: one that contradicts it ends it.
            (&usual, None),
            (&seeworld, Some(Dialect::Seeworld)),
            (&trx, Some(Dialect::Trx16i)),
            (&seeworld, Some(Dialect::Seeworld)),
            (&seeworld, Some(Dialect::Seeworld)),
            (&seeworld, Some(Dialect::Seeworld)),
            // Three are certain.
            (&usual, Some(Dialect::Seeworld)),
            (&trx, Some(Dialect::Seeworld)),
        ] {
            let handled = session.on_frame(&frame(Start::Short, 0x16, body), 0);
            assert!(handled.message.is_ok());
            assert_eq!(session.profile().dialect, dialect);
        }
    }

    #[test]
    fn zeros_in_place_of_a_cell_are_no_evidence_of_a_family() {
        let alarm = read_alarm(
            0x16,
            &[GPS, "09", "0000 00 0000 00000000", "0e 01 0e 02 00"],
        );
        assert_eq!(Message::from(alarm).dialect(), None);
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn meters_after_the_status_are_read() {
        let status = "50 06 31 02 02";
        let meters = "018b 0000 000009ec 00003d40";
        let report =
            crate::message::testing::report(read_alarm(0x16, &[GPS, "11", CELL, status, meters]));
        assert_eq!(report.power.battery.unwrap().as_volts(), 3.95);
        assert_eq!(report.odometer, Some(2_540.into()));
        assert_eq!(report.more.events.len(), 1);
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn a_message_that_tells_its_family_is_read_by_its_rules() {
        use crate::message::testing::{report, reports_as};
        use milepost_telemetry::EventKind;

        let seeworld = [GPS, "09", "01cc 00 287d 00001f71", "41 3e 06 29 02"];
        let r = report(read_alarm(0x16, &seeworld));
        assert_eq!(r.more.events.first().unwrap().kind, EventKind::Accident);
        assert_eq!(r.dialect.unwrap().as_str(), "seeworld");
        assert_eq!(r.power.battery_charge.unwrap().value(), 62.0);
        assert_eq!(r.network.signal.unwrap().value(), 6.0);
        // What is known about the device counts more.
        let profile = crate::Profile {
            dialect: Some(Dialect::Concox),
            ..crate::Profile::default()
        };
        let r = reports_as(&profile, read_alarm(0x16, &seeworld)).remove(0);
        assert_eq!(
            r.more.events.first().unwrap().kind,
            EventKind::HarshAcceleration
        );
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn a_position_off_the_earth_costs_no_alarm() {
        use crate::message::testing::{report, signal};

        let gps = "0f0c1d023305 c9 09c4b020 0c465860 00 1400";
        let report = report(read_alarm(0x16, &[gps, "09", CELL, "65 06 04 01 01"]));
        assert_eq!(report.fix, None);
        assert_eq!(report.more.events.len(), 1);
        let raw = signal(&report, "gt06.position_out_of_range");
        assert_eq!(raw.as_deref(), Some("09c4b0200c465860"));
        assert_eq!(report.time_source, milepost_telemetry::TimeSource::Device);
    }
}
