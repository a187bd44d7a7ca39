//! 0x16 and 0x26, alarm: position, cell and status.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 0 or 1 | size of the cell | counts itself, or not, or is junk; only 0 means something |
//! | 19 | 8, 9 | cell | [`Cell`]; 9 with a wide MNC or on Seeworld (L 26) |
//! | 27 | 5 | status | [`Status`] |
//! | 32 | 0, 4 or 8 | mileage or card | L 29: mileage; L 2D: card (TRX16i) |
//!
//! L 24: without the size; see also [`SupplyAlarm`](super::SupplyAlarm). L 4A: size 0, 45 zero bytes, status. Concox GT06 manual for
//! L 25; the others seen on devices. 0x26 is specified in UTC, 0x16 does not say.

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{Cell, CellForm, Gps, Status};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

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
    /// Zeros in place of a cell.
    pub padding: Bytes,
    /// Status and alarm.
    pub status: Status,
    /// Metres.
    pub mileage: Option<u32>,
    /// Number of a card.
    pub card: Option<u64>,
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
            padding: Bytes::new(),
            status,
            mileage: None,
            card: None,
            tail: Bytes::new(),
        }
    }
}

impl Body for AlarmReport {
    const NAME: &'static str = "alarm";
    const ANSWER: Answer = Answer::WhenDelivered;

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let raw_cell_size = if has_cell_size(r.peek()) { Some(r.u8("cell size")?) } else { None };
        let left = r.remaining();
        // No cell: nothing, or zeros, between the size 0 and the status.
        let padding = left.saturating_sub(Status::LEN);
        let is_padded = raw_cell_size == Some(0)
            && padding != 8
            && r.peek().get(..padding).is_some_and(|p| p.iter().all(|b| *b == 0));
        let (padding, cell) = if is_padded {
            (r.bytes("padding", padding)?, None)
        } else {
            (Bytes::new(), Some(Cell::decode(r, cell_form(r.peek()))?))
        };
        let status = Status::decode(r)?;
        let mileage = if r.remaining() == 4 {
            let mileage = r.u32("mileage")?;
            r.note(|| format!("{mileage} m"));
            Some(mileage)
        } else {
            None
        };
        let card = if r.remaining() == 8 { Some(r.u64("card")?) } else { None };
        Ok(Self {
            number: cx.number(),
            gps,
            raw_cell_size,
            cell,
            padding,
            status,
            mileage,
            card,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        out.extend(self.raw_cell_size);
        if let Some(cell) = self.cell {
            cell.encode(out);
        }
        out.put_slice(&self.padding);
        self.status.encode(out);
        out.extend(self.mileage.into_iter().flat_map(u32::to_be_bytes));
        out.extend(self.card.into_iter().flat_map(u64::to_be_bytes));
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        self.number
    }

    /// Acknowledged once it is stored (the device repeats it otherwise), unless it says that it
    /// wants no reply.
    fn answer(&self) -> Answer {
        match self.status.raw_language {
            0 => Answer::Silent,
            _ => Answer::WhenDelivered,
        }
    }

    #[cfg(feature = "telemetry")]
    fn normalize(
        &self,
        cx: &crate::normalize::Context<'_>,
        out: &mut dyn FnMut(telemetry::Report),
    ) {
        let key = crate::normalize::Key::new(self.number)
            .gps(&self.gps)
            .alarm(Some(self.status.raw_alarm.into()));
        let mut report = cx.positioned(telemetry::Kind::Alarm, &self.gps, &key);
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
        self.status.normalize(&mut report, cx.dialect());
        report.odometer_m = self.mileage.map(Into::into);
        if let Some(card) = self.card {
            report.identity_mut().driver = Some(format!("{card:016x}").into());
        }
        cx.note_tail(&mut report, &self.tail);
        out(report);
    }
}

/// Whether the size of the cell stands before it: not in the shortest form. (A wide MNC makes
/// that one as long as the usual one; then the first byte is the country code's, with bit 7 set,
/// which no size has.)
fn has_cell_size(rest: &[u8]) -> bool {
    match (rest.len(), rest) {
        (0..=13, _) => false,
        (14, [high @ 0x80..=0x83, low, ..]) => {
            !(200..=999).contains(&(u16::from_be_bytes([*high, *low]) & !Cell::WIDE_MNC))
        }
        _ => true,
    }
}

/// The form of the cell before a status: four-byte cell ids make the block one byte longer.
fn cell_form(rest: &[u8]) -> CellForm {
    match (rest.len(), rest) {
        (14 | 18 | 22, [0..=0x7f, ..]) => CellForm::L9c,
        _ => CellForm::L8,
    }
}
