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
//! L 24: without the size; see also [`SupplyAlarm`](super::SupplyAlarm). L 4A: size 0, 45 zero bytes, status. Concox GT06 manual for
//! L 25; the others seen on devices. 0x26 is specified in UTC, 0x16 does not say.
//!
//! L 26 is Seeworld's, or an L 25 with a byte that no manual knows behind it: the form of the cell is
//! the one behind which stands what is more like a status, and the manual's where both are. By this
//! a device is known to be Seeworld's only where nothing speaks against it. What is too short for
//! cell and status is kept as it is, behind the position; so are zeros where a status should be, which
//! none is, and four bytes behind it that are no mileage below a million kilometres.

#[cfg(feature = "telemetry")]
use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::address::{Language, NOBODY, Purpose, Question};
use crate::field::{
    Cell, CellForm, DateTime, Gps, Meters, Status, is_mcc, may_be_mileage, mileage,
};
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
    /// How many zeros stand in place of a cell.
    pub padding: u16,
    /// Status and alarm; `None` where the body ends before.
    pub status: Option<Status>,
    /// Metres.
    pub mileage: Option<u32>,
    /// Number of a card.
    pub card: Option<u64>,
    /// Voltages, mileage and working time.
    pub meters: Option<Meters>,
    /// Bytes that no manual knows.
    pub tail: Bytes,
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
            status: Some(status),
            mileage: None,
            card: None,
            meters: None,
            tail: Bytes::new(),
        }
    }
}

impl Body for AlarmReport {
    const NAME: &'static str = "alarm";
    const ANSWER: Answer = Answer::WhenDelivered;

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let raw_cell_size = if has_cell_size(r.peek()) {
            Some(r.u8("cell size")?)
        } else {
            None
        };
        let left = r.remaining();
        // No cell: nothing, or zeros, between the size 0 and the status.
        let padding = left.saturating_sub(Status::LEN);
        let is_blank = is_blank(r.peek());
        let is_padded = raw_cell_size == Some(0)
            && padding != 8
            && is_status(r.peek(), padding, &gps)
            && r.peek()
                .get(..padding)
                .is_some_and(|p| p.iter().all(|b| *b == 0));
        let (padding, cell) = if is_padded {
            (zeros(r, padding)?, None)
        } else {
            let cell = match cell_form(r.peek(), raw_cell_size, &gps, cx.dialect) {
                Some(form) if !is_blank => Some(Cell::decode(r, form)?),
                _ => None,
            };
            (0, cell)
        };
        let has_status = (is_padded || cell.is_some()) && r.remaining() >= Status::LEN;
        let status = if has_status {
            Some(Status::decode(r)?)
        } else {
            None
        };
        let may_be_mileage = |raw: [u8; 4]| may_be_mileage(u32::from_be_bytes(raw), 1);
        let mileage = if has_status && <[u8; 4]>::try_from(r.peek()).is_ok_and(may_be_mileage) {
            Some(mileage(r)?)
        } else {
            None
        };
        let card = if has_status && r.remaining() == 8 {
            let card = r.u64("card")?;
            r.note(|| crate::text::card(&card.to_be_bytes()));
            Some(card)
        } else {
            None
        };
        let meters = if has_status && r.remaining() == Meters::LEN {
            Some(Meters::decode(r)?)
        } else {
            None
        };
        Ok(Self {
            number: cx.number(),
            gps,
            raw_cell_size,
            cell,
            padding,
            status,
            mileage,
            card,
            meters,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        out.extend(self.raw_cell_size);
        if let Some(cell) = self.cell {
            cell.encode(out);
        }
        out.put_bytes(0, self.padding.into());
        if let Some(status) = &self.status {
            status.encode(out);
        }
        out.extend(self.mileage.into_iter().flat_map(u32::to_be_bytes));
        out.extend(self.card.into_iter().flat_map(u64::to_be_bytes));
        if let Some(meters) = &self.meters {
            meters.encode(out);
        }
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        self.number
    }

    /// Acknowledged once it is stored (the device repeats it otherwise), unless it says that it
    /// wants no reply.
    fn answer(&self) -> Answer {
        self.status.map_or(Self::ANSWER, |status| status.answer())
    }

    fn clock(&self) -> Option<(DateTime, Option<bool>)> {
        (self.number == 0x16).then_some((self.gps.time(), None))
    }

    /// A cell with an id of four bytes is Seeworld's if the status after it is plausible in every
    /// field; zeros in place of a cell are no evidence. A card is TRX16i's.
    fn dialect(&self) -> Option<Dialect> {
        match (self.cell, self.status, self.card) {
            (_, _, Some(_)) => Some(Dialect::Trx16i),
            (Some(cell), Some(status), None) if cell.is_some() && cell.form == CellForm::L9c => {
                (status.doubts(&self.gps, false) == 0).then_some(Dialect::Seeworld)
            }
            _ => None,
        }
    }

    /// Seeworld's alarms have no cell of the manual's form.
    fn contradicts(&self, dialect: Dialect) -> bool {
        let is_manual = |cell: Cell| cell.is_some() && cell.form == CellForm::L8;
        let is_plausible = |status: Status| status.doubts(&self.gps, false) == 0;
        dialect == Dialect::Seeworld
            && self.cell.is_some_and(is_manual)
            && self.status.is_some_and(is_plausible)
    }

    fn raw_battery(&self) -> Option<u8> {
        self.status.map(|status| status.raw_battery)
    }

    fn question(&self) -> Option<Question> {
        let status = self.status?;
        Some(Question {
            purpose: Purpose::Alarm,
            position: Some(self.gps.position()),
            cell: self.cell,
            phone: NOBODY,
            language: Language::from_raw(status.raw_language.into()),
        })
    }

    /// Key: number, time, position, alarm, card.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let key = crate::normalize::Key::new(self.number)
            .alarm(self.status.map(|status| status.alarm_key()));
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
        if let Some(status) = &self.status {
            status.normalize(cx, report, dialect);
        }
        if let Some(metres) = self.mileage {
            crate::field::note_mileage(report, metres);
        }
        if let Some(meters) = &self.meters {
            meters.normalize(report);
        }
        if let Some(card) = self.card {
            report.identity_mut().driver = Some(format!("{card:016x}").into());
        }
        cx.note_tail(report, &self.tail);
    }
}

/// Reads bytes that are known to be zeros.
fn zeros<T: Trace>(r: &mut Reader<'_, T>, len: usize) -> Result<u16, DecodeError> {
    let zeros = r.bytes("padding", len)?;
    Ok(u16::try_from(zeros.len()).unwrap_or(u16::MAX))
}

/// Whether the size of the cell stands before it: not in the shortest form. (A wide MNC makes
/// that one as long as the usual one; then the first byte is the country code's, with bit 7 set,
/// which no size has.)
fn has_cell_size(rest: &[u8]) -> bool {
    match (rest.len(), rest) {
        // A size of 0 and the status, and no cell between them.
        (6, [0, ..]) => true,
        // Cut short, or without the size.
        (0..=13, _) => is_mcc(rest, 1) && !is_mcc(rest, 0),
        (14, [0x80..=0x83, ..]) => !is_mcc(rest, 0),
        _ => true,
    }
}

/// Whether zeros stand where the status behind a cell of zeros should be.
fn is_blank(rest: &[u8]) -> bool {
    rest.get(..8 + Status::LEN)
        .is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
}

/// Whether a status ends the body behind so much padding. In the known lengths any will do that is not
/// all zero, in others nothing may speak against it: the beginning of one is like one, too.
fn is_status(rest: &[u8], padding: usize, gps: &Gps) -> bool {
    let status = rest.get(padding..).unwrap_or_default();
    let is_usual = matches!(padding, 0 | 45);
    status.iter().any(|byte| *byte != 0)
        && Status::doubts_at(status, gps, false).is_some_and(|doubts| is_usual || doubts == 0)
}

/// The form of the cell. `None`: there is none, for want of bytes or of a size.
fn cell_form(rest: &[u8], raw_size: Option<u8>, gps: &Gps, dialect: Dialect) -> Option<CellForm> {
    let mcc = Cell::peek_mcc(rest);
    let doubts = |form: CellForm| {
        let status = rest.get(form.len(mcc)..)?;
        let behind = status.len().checked_sub(Status::LEN)?;
        // What would be behind a status that is Seeworld's is known.
        if form == CellForm::L9c && !matches!(behind, 0 | 4 | 8) {
            return None;
        }
        let is_announced = raw_size.is_none_or(|size| form.is_announced(mcc, size));
        let doubts = Status::doubts_at(status, gps, false)?;
        Some(doubts + u32::from(!is_announced))
    };
    // The size of Seeworld's cell, and of no other.
    let is_announced = |form: CellForm| raw_size.is_some_and(|size| form.is_announced(mcc, size));
    let is_seeworlds = is_announced(CellForm::L9c) && !is_announced(CellForm::L8);
    let manual = doubts(CellForm::L8);
    let seeworld = doubts(CellForm::L9c);
    match (manual, seeworld) {
        (Some(manual), Some(seeworld)) => {
            // Where both can be, what is known about the device decides.
            let is_seeworld = match dialect {
                Dialect::Seeworld => seeworld <= manual,
                _ => seeworld < manual,
            };
            Some(if is_seeworld {
                CellForm::L9c
            } else {
                CellForm::L8
            })
        }
        // A byte is missing to what the size announces.
        (Some(2..), None) if is_seeworlds => None,
        (Some(_), None) => Some(CellForm::L8),
        (None, Some(_)) => Some(CellForm::L9c),
        // A cell, and the status is cut short.
        (None, None) => {
            let form = if is_seeworlds {
                CellForm::L9c
            } else {
                CellForm::L8
            };
            (is_mcc(rest, 0) && rest.len() >= form.len(mcc)).then_some(form)
        }
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
        assert_eq!(
            (alarm.status.unwrap().raw_alarm, alarm.raw_cell_size),
            (1, Some(9))
        );
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_gives_no_alarm_and_no_other_cell() {
        use crate::message::testing::cut_short;

        let zeros = "00".repeat(45);
        let card = "c300000100001201";
        for (cell, behind, status_ends) in [
            // Without a cell; Seeworld's, which is not half of that of the manual; a card, four bytes
            // of which are no mileage.
            (["00", &zeros], "", 69),
            (["0a", "01cc 00 287d 066d9b03"], "", 33),
            (["09", CELL], card, 32),
        ] {
            let parts = [GPS, cell[0], cell[1], "46 05 04 01 02", behind];
            let whole = crate::message::testing::report(read_alarm(0x16, &parts));
            for (len, _, report) in cut_short(Start::Short, 0x16, 18, &parts) {
                let has_status = len >= status_ends;
                assert_eq!(report.more.events.len(), usize::from(has_status), "{len}");
                assert_eq!(report.io.ignition, has_status.then_some(true), "{len}");
                assert_eq!(report.odometer, None, "{len}");
                let cell = report.network.cell;
                assert!(cell.is_none() || cell == whole.network.cell, "{len}");
            }
        }
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
                (cell.cell_id, alarm.status.unwrap().raw_alarm),
                (8_049, 1),
                "{parts:?}"
            );
            let tails = (alarm.mileage.is_some(), alarm.card.is_some());
            let len = body(&[parts[4]]).len();
            assert_eq!(tails, (len == 4, len == 8), "{parts:?}");
        }
    }

    /// One byte more than the manual's: Seeworld's cell, or a byte behind the manual's status.
    #[test]
    fn a_byte_behind_the_status_does_not_make_it_seeworlds() {
        const NO_FIX: &str = "0f0c1d023305 c9 027ac818 0c465860 00 0400";
        for (gps, status) in [(GPS, "46 06 04 01 02"), (NO_FIX, "06 06 04 01 02")] {
            for tail in ["ff", "00", "ff 00000064", "00 c300000100001201"] {
                let alarm = read_alarm(0x16, &[gps, "09", CELL, status, tail]);
                assert_eq!(alarm.cell.unwrap().form, CellForm::L8, "{alarm:?}");
                assert_eq!(alarm.status.unwrap().raw_alarm, 1);
                assert_eq!(alarm.tail, body(&[tail]));
                assert_eq!(Message::from(alarm).dialect(), None);
            }
        }
        // A fourth byte of the cell's id in place of the tail: what would be the manual's status
        // has a battery of 101 or 70, and no such alarm or language.
        for (size, status) in [("09", "65 06 04 01 01"), ("0a", "46 3e 42 03 02")] {
            let alarm = read_alarm(0x16, &[GPS, size, "01cc 00 287d 00001f71", status]);
            assert_eq!(alarm.cell.unwrap().form, CellForm::L9c, "{alarm:?}");
            assert_eq!(Message::from(alarm).dialect(), Some(Dialect::Seeworld));
        }
    }

    #[test]
    fn what_is_known_decides_where_both_forms_can_be() {
        use crate::message::testing::read_as;

        // Two sound statuses: 41 06 04 01 02 behind the shorter cell, 06 04 01 02 00 behind the
        // longer one, which denies the fix as the position does.
        let both = body(&[
            "0f0c1d023305 c9 027ac818 0c465860 00 0400",
            "09",
            CELL,
            "06 06 04 01 02",
            "00",
        ]);
        for (dialect, form) in [
            (Dialect::Concox, CellForm::L8),
            (Dialect::Seeworld, CellForm::L9c),
        ] {
            let read = read_as(dialect, Start::Short, 0x16, &both).unwrap();
            let Message::AlarmReport(alarm) = read else {
                panic!("{read:?}")
            };
            assert_eq!(alarm.cell.unwrap().form, form);
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_behind_the_position_costs_neither_fix_nor_kind() {
        use crate::message::testing::{report, signal};

        let rest = body(&["09", CELL, "46 06 04 01"]);
        for len in 0..=rest.len() {
            let rest = hex::encode(&rest[..len]);
            let alarm = read_alarm(0x16, &[GPS, &rest]);
            assert_eq!(alarm.status, None, "{alarm:?}");
            let answer = Message::from(alarm.clone()).answer();
            assert_eq!(answer, Answer::WhenDelivered);
            let report = report(alarm);
            assert_eq!(report.kind, milepost_telemetry::Kind::Alarm);
            assert!(report.fix.is_some() && report.more.events.is_empty());
            assert_eq!(signal(&report, "gt06.tail").is_some(), len > 0 && len != 9);
        }
    }

    #[test]
    fn zeros_in_place_of_a_cell_are_skipped() {
        let zeros = "00".repeat(45);
        let alarm = read_alarm(0x16, &[GPS, "00", &zeros, "65 06 04 01 01"]);
        assert_eq!((alarm.cell, alarm.status.unwrap().raw_alarm), (None, 1));
        let none = read_alarm(0x16, &[GPS, "00", "65 06 04 01 01"]);
        assert_eq!((none.cell, none.status.unwrap().raw_alarm), (None, 1));
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
