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
//! Concox GT06 manual for L 25; the others seen on devices. 0x26 is specified in UTC, 0x16 is not.

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
            _ => meters = Some(Meters::read_fields(r)?),
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
    use crate::message::testing::{CELL, GPS, body, frame};
    use crate::{AckPolicy, Session, Start};

    #[test]
    fn a_message_shows_its_family_and_a_session_remembers() {
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
}
