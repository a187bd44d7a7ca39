//! 0x27, 0xA3 and 0xA4, alarm with fence.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`], UTC |
//! | 18 | 1 | size of the cell | counts itself, or not, or is junk |
//! | 19 | 8, 9 | cell | [`Cell`]: 0x27; 0xA3 and 0xA4 15 or 16 |
//! | 27, 34 | 5 | status | [`Status`]; the high half of the language extends the alarm's code |
//! | 32, 39 | 0 or 1 | fence | number of the fence, FF none; not in 0xA3 |
//! | | 0 or 4 | mileage | metres |
//!
//! L 26, 27 (0x27), 2C (0xA3), 2D, 2E (0xA4). Jimi manuals; the cell's form follows from what is
//! left for it, since sizes and numbers lie. 0xA3 in lengths without position is a
//! [`SeeworldStatus`](super::SeeworldStatus).

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::address::{Language, NOBODY, Purpose, Question};
use crate::field::{Cell, CellForm, Gps, Status, is_mcc, mileage};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// An alarm with fence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FenceAlarm {
    /// 0x27, 0xA3 or 0xA4.
    pub number: u8,
    /// Where and when.
    pub gps: Gps,
    /// The size of the cell block, as sent.
    pub raw_cell_size: u8,
    /// The serving cell.
    pub cell: Option<Cell>,
    /// Status and alarm.
    pub status: Status,
    /// The number of the fence; 255 none.
    pub raw_fence: Option<u8>,
    /// Metres.
    pub mileage: Option<u32>,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

impl Body for FenceAlarm {
    const NAME: &'static str = "fence_alarm";
    const ANSWER: Answer = Answer::WhenDelivered;

    fn accepts(cx: &Context<'_>) -> bool {
        // Room for a position, a size and a status at least.
        cx.is_short() && cx.body.len() > Gps::LEN + Status::LEN
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let raw_cell_size = r.u8("cell size")?;
        let cell = match cell_form(r.peek(), raw_cell_size) {
            Some(form) => Some(Cell::decode(r, form)?),
            None => None,
        };
        let status = Status::decode_extended(r)?;
        let raw_fence = if matches!(r.remaining(), 1 | 5) {
            let fence = r.u8("fence")?;
            r.note(|| {
                if fence == u8::MAX {
                    "none".into()
                } else {
                    format!("{fence}")
                }
            });
            Some(fence)
        } else {
            None
        };
        let mileage = if r.remaining() == 4 {
            Some(mileage(r)?)
        } else {
            None
        };
        Ok(Self {
            number: cx.number(),
            gps,
            raw_cell_size,
            cell,
            status,
            raw_fence,
            mileage,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        out.put_u8(self.raw_cell_size);
        if let Some(cell) = self.cell {
            cell.encode(out);
        }
        self.status.encode(out);
        out.extend(self.raw_fence);
        out.extend(self.mileage.into_iter().flat_map(u32::to_be_bytes));
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        self.number
    }

    fn answer(&self) -> Answer {
        self.status.answer()
    }

    fn question(&self) -> Option<Question> {
        Some(Question {
            purpose: Purpose::Alarm,
            position: Some(self.gps.position()),
            cell: self.cell,
            phone: NOBODY,
            language: Language::from_raw((self.status.raw_language & 0x0f).into()),
        })
    }

    /// Key: number, time, position, alarm, fence.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use telemetry::Signal;

        let key = crate::normalize::Key::new(self.number).alarm(self.status.extended_key());
        let fence = self.raw_fence.as_slice();
        let report = cx.positioned_with(out, telemetry::Kind::Alarm, &self.gps, key, fence);
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
        self.status.normalize_extended(report, cx.dialect());
        if let Some(fence) = self.raw_fence.filter(|fence| *fence != u8::MAX) {
            report
                .more
                .signals
                .push(Signal::named("gt06.fence").number(fence.into(), None));
        }
        if let Some(metres) = self.mileage {
            crate::field::note_mileage(report, metres);
        }
        cx.note_tail(report, &self.tail);
    }
}

/// The form of the cell: what is left is cell, status (5), and a fence (1), mileage (4), both or
/// neither. `None`: nothing is left for a cell, and its size says so.
fn cell_form(rest: &[u8], raw_size: u8) -> Option<CellForm> {
    let mcc = match rest {
        [high, low, ..] => u16::from_be_bytes([*high, *low]),
        _ => 0,
    };
    let fits = |form: CellForm| {
        let behind = rest.len().checked_sub(form.len(mcc) + Status::LEN);
        matches!(behind, Some(0 | 1 | 4 | 5))
    };
    // Where two forms fit (the cell id of 3 or 4 bytes against a fence), the country code's
    // size bit and the sizes of the manuals decide: L8 first. It then leaves room for a fence.
    [CellForm::L15, CellForm::L8, CellForm::L9c]
        .into_iter()
        .find(|form| fits(*form) && (is_mcc(rest, 0) || mcc == 0))
        .or_else(|| {
            let room = rest.len() >= CellForm::L8.len(mcc) + Status::LEN;
            (raw_size != 0 || room).then_some(
                if rest.len() >= CellForm::L15.len(mcc) + Status::LEN {
                    CellForm::L15
                } else {
                    CellForm::L8
                },
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{CELL, GPS, read_parts};
    use crate::{Message, Start};

    const LTE: &str = "01cc 00 0000287d 0000000000001f71";
    const WIDE: &str = "81cc 0007 0000287d 0000000000001f71";
    const STATUS: &str = "46 05 04 13 02";

    fn read(number: u8, parts: &[&str]) -> FenceAlarm {
        match read_parts(Start::Short, number, parts) {
            Message::FenceAlarm(read) => read,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_cell_is_found_by_what_is_left_for_it() {
        use CellForm::{L8, L9c, L15};
        for (number, parts, form, fence, mileage) in [
            (0x27, [GPS, "09", CELL, STATUS, "03"], L8, Some(3), None),
            // A size that is junk decides nothing.
            (0x27, [GPS, "39", CELL, STATUS, "ff"], L8, Some(255), None),
            (
                0x27,
                [GPS, "09", CELL, STATUS, "03 00000064"],
                L8,
                Some(3),
                Some(100),
            ),
            (
                0x27,
                [GPS, "0a", "81cc 0007 287d 001f71", STATUS, "03"],
                L8,
                Some(3),
                None,
            ),
            (0xa3, [GPS, "10", LTE, STATUS, ""], L15, None, None),
            (0xa4, [GPS, "10", LTE, STATUS, "ff"], L15, Some(255), None),
            (0xa4, [GPS, "11", WIDE, STATUS, "07"], L15, Some(7), None),
            (0xa3, [GPS, "09", CELL, STATUS, ""], L8, None, None),
            (
                0xa4,
                [GPS, "0a", "01cc 00 287d 00001f71", STATUS, "01"],
                L9c,
                Some(1),
                None,
            ),
        ] {
            if form == L9c {
                // Six bytes left behind an L8: no length of this message, so the cell is wider.
                let read = read(number, &parts);
                assert_eq!(read.cell.unwrap().form, L9c, "{parts:?}");
                continue;
            }
            let read = read(number, &parts);
            let cell = read.cell.unwrap();
            assert_eq!(
                (cell.form, cell.mcc(), cell.lac),
                (form, 460, 10_365),
                "{parts:?}"
            );
            assert_eq!(
                (read.raw_fence, read.mileage),
                (fence, mileage),
                "{parts:?}"
            );
            assert_eq!(read.status.raw_alarm, 0x13);
        }
    }

    #[test]
    fn without_a_cell_the_status_comes_at_once() {
        let none = read(0xa4, &[GPS, "00", STATUS, "ff"]);
        assert_eq!((none.cell, none.status.raw_alarm), (None, 0x13));
        let zeros = read(0x27, &[GPS, "09", "0000 00 0000 000000", STATUS, "ff"]);
        assert!(!zeros.cell.unwrap().is_some());
    }

    #[test]
    fn it_is_acknowledged_unless_the_language_is_none() {
        for (language, answer) in [
            ("01", Answer::WhenDelivered),
            ("12", Answer::WhenDelivered),
            ("00", Answer::Silent),
        ] {
            let parts = [GPS, "10", LTE, "46 05 04 13", language, "ff"];
            assert_eq!(Message::from(read(0xa4, &parts)).answer(), answer);
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn the_fence_reaches_the_report_unless_it_is_none() {
        use crate::message::testing::{report, signal};
        let fenced = report(read(0xa4, &[GPS, "10", LTE, "46 05 04 04 02", "07"]));
        assert_eq!(
            fenced.more.events.first().unwrap().kind,
            telemetry::EventKind::GeofenceEnter
        );
        assert_eq!(signal(&fenced, "gt06.fence").unwrap(), "7");
        assert_eq!(fenced.zone, Some(telemetry::Zone::Utc));
        let other = report(read(0xa4, &[GPS, "10", LTE, STATUS, "ff"]));
        assert_eq!(signal(&other, "gt06.fence"), None);
        assert_eq!(other.network.cell.unwrap().radio, telemetry::Radio::Lte);
    }
}
