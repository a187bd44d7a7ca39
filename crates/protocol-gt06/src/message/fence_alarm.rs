//! 0x27, 0xA3 and 0xA4, alarm with fence.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`], UTC |
//! | 18 | 1 | size of the cell | counts itself, or not, or is junk |
//! | 19 | 8, 9 | cell | [`Cell`]: 0x27; 0xA3 and 0xA4 15 or 16 |
//! | 27, 34 | 5 | status | [`Status`]; the high half of the language extends the alarm's code |
//! | 32, 39 | 0 or 1 | fence | number of the fence, FF none; not in 0xA3 |
//! | | 0 or 4 | mileage | metres; behind a fence, or in 0xA3 |
//!
//! L 26, 27 (0x27), 2C (0xA3), 2D, 2E (0xA4). Jimi manuals. Sizes and numbers lie: the form of the
//! cell is the one behind which stands what is most like a status, with a length of the manuals
//! behind it; the number's own form where several are alike. What is too short for cell and
//! status is kept as it is, behind the position. 0xA3 in lengths without position is a
//! [`SeeworldStatus`](super::SeeworldStatus).

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::address::{Language, NOBODY, Purpose, Question};
use crate::field::{Cell, CellForm, Gps, Status, is_gps, is_mcc, is_time, mileage};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// An alarm with fence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FenceAlarm {
    /// 0x27, 0xA3 or 0xA4.
    pub number: u8,
    /// Where and when.
    pub gps: Gps,
    /// The size of the cell block, as sent; `None` where the body ends before.
    pub raw_cell_size: Option<u8>,
    /// The serving cell.
    pub cell: Option<Cell>,
    /// Status and alarm; `None` where the body ends before.
    pub status: Option<Status>,
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

    fn fit(cx: &Context<'_>) -> Fit {
        // 0xA3 is another message without a position. One that is cut short behind its position is
        // told by its time; in the length that the other message has (L 18) by the length of the GPS
        // block besides, where that has its language.
        let is_alarm = match cx.body.len() {
            0..=17 => false,
            19 => is_gps(cx.body),
            18..=23 => is_time(cx.body, 0),
            _ => true,
        };
        Fit::possible_if(cx.is_short() && !cx.body.is_empty() && (is_alarm || cx.number() != 0xa3))
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let raw_cell_size = if r.remaining() > 0 {
            Some(r.u8("cell size")?)
        } else {
            None
        };
        let place = place(r.peek(), raw_cell_size, cx.number(), &gps);
        let cell = match place {
            Place::Cell(form) => Some(Cell::decode(r, form)?),
            Place::NoCell | Place::CutShort => None,
        };
        let has_status = place != Place::CutShort && r.remaining() >= Status::LEN;
        let status = if has_status {
            Some(Status::decode_extended(r)?)
        } else {
            None
        };
        let raw_fence = if has_status && matches!(r.remaining(), 1 | 5) {
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
        // Behind a fence: four bytes without one are as well a fence and what is left of a mileage.
        let has_mileage = raw_fence.is_some() || cx.number() == 0xa3;
        let mileage = if has_status && has_mileage && r.remaining() == 4 {
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
        out.extend(self.raw_cell_size);
        if let Some(cell) = self.cell {
            cell.encode(out);
        }
        if let Some(status) = &self.status {
            status.encode(out);
        }
        out.extend(self.raw_fence);
        out.extend(self.mileage.into_iter().flat_map(u32::to_be_bytes));
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        self.number
    }

    fn raw_battery(&self) -> Option<u8> {
        self.status.map(|status| status.raw_battery)
    }

    fn answer(&self) -> Answer {
        self.status
            .map_or(Self::ANSWER, |status| status.answer_extended())
    }

    fn question(&self) -> Option<Question> {
        let status = self.status?;
        Some(Question {
            purpose: Purpose::Alarm,
            position: Some(self.gps.position()),
            cell: self.cell,
            phone: NOBODY,
            language: Language::from_raw((status.raw_language & 0x0f).into()),
        })
    }

    /// Key: number, time, position, alarm, fence.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use milepost_telemetry::Signal;

        let key = crate::normalize::Key::new(self.number)
            .alarm(self.status.map(|status| status.extended_key()));
        let fence = self.raw_fence.as_slice();
        let report =
            cx.positioned_with(out, milepost_telemetry::Kind::Alarm, &self.gps, key, fence);
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
        if let Some(status) = &self.status {
            status.normalize_extended(cx, report, cx.dialect());
        }
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

/// What stands behind the size of the cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A cell of that form.
    Cell(CellForm),
    /// The status at once.
    NoCell,
    /// Too little for either.
    CutShort,
}

/// Where the status is: there where what stands is most like one.
fn place(rest: &[u8], raw_size: Option<u8>, number: u8, gps: &Gps) -> Place {
    let mcc = Cell::peek_mcc(rest);
    let doubts = |place: Place| {
        let (at, is_announced) = match place {
            Place::Cell(form) => (
                form.len(mcc),
                raw_size.is_some_and(|size| form.is_announced(mcc, size)),
            ),
            Place::NoCell | Place::CutShort => (0, raw_size == Some(0)),
        };
        let status = rest.get(at..)?;
        // A fence, a mileage, both or neither.
        let behind = status.len().checked_sub(Status::LEN)?;
        let is_odd = !matches!(behind, 0 | 1 | 4 | 5);
        let doubts = Status::doubts_at(status, gps, true)?;
        Some(doubts + u32::from(!is_announced) + u32::from(is_odd))
    };
    // The number's own form comes first, and wins where others are no better.
    let [first, second] = match number {
        0x27 => [CellForm::L8, CellForm::L15],
        _ => [CellForm::L15, CellForm::L8],
    };
    let mut best = None;
    for place in [
        Place::Cell(first),
        Place::Cell(second),
        Place::Cell(CellForm::L9c),
        Place::NoCell,
    ] {
        // Without a cell only where the size says so.
        if place == Place::NoCell && raw_size != Some(0) {
            continue;
        }
        if let Some(doubts) = doubts(place)
            // Another form than the number's own needs a better reason than that it fits.
            && (place == Place::Cell(first) || doubts < 2)
            && best.is_none_or(|(_, least)| doubts < least)
        {
            best = Some((place, doubts));
        }
    }
    match best {
        Some((place, _)) => place,
        // A cell, and the status is cut short. Another form's would be half of this one.
        None if is_mcc(rest, 0) && rest.len() >= first.len(mcc) => Place::Cell(first),
        None => Place::CutShort,
    }
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

    #[cfg(feature = "telemetry")]
    #[test]
    fn half_a_cell_is_no_other_cell_and_half_a_mileage_is_none() {
        use crate::message::testing::cut_short;

        for (number, cell, cell_ends, behind) in [
            (0x27, ["09", CELL], 27, "04 00000164"),
            (0xa3, ["10", LTE], 34, "00000164"),
            (0xa4, ["10", LTE], 34, "04 00000164"),
            (0xa4, ["11", WIDE], 35, "04"),
        ] {
            let parts = [GPS, cell[0], cell[1], STATUS, behind];
            for (len, message, report) in cut_short(Start::Short, number, 18, &parts) {
                assert!(matches!(message, Message::FenceAlarm(_)), "{len}");
                let id = report.network.cell.map(|cell| cell.cell_id);
                assert_eq!(
                    id,
                    (len >= cell_ends).then_some(8_049),
                    "{number:02x} {len}"
                );
                let events = report.more.events.len();
                assert_eq!(events, usize::from(len >= cell_ends + 5), "{len}");
                assert_eq!(report.odometer, None, "{number:02x} {len}");
            }
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
            assert_eq!(read.status.unwrap().raw_alarm, 0x13);
        }
    }

    /// The manual's lengths would have a wider cell in each of them, and garbage behind it.
    #[test]
    fn bytes_behind_the_status_do_not_widen_the_cell() {
        for tail in [
            "ff 00",
            "03 00000064 010203",
            "ff 0102",
            "010203040506070809",
        ] {
            let read = read(0x27, &[GPS, "09", CELL, "46 06 04 01 02", tail]);
            assert_eq!(read.cell.unwrap().form, CellForm::L8, "{read:?}");
            assert_eq!(read.status.unwrap().extended_code(), 1, "{read:?}");
            assert_eq!(read.tail, crate::message::testing::body(&[tail]));
            assert_eq!(Message::from(read).answer(), Answer::WhenDelivered);
        }
        // A 4G cell under the old number is still one.
        let lte = read(0x27, &[GPS, "10", LTE, STATUS, "ff"]);
        assert_eq!(lte.cell.unwrap().form, CellForm::L15, "{lte:?}");
        for tail in ["ff 00", "ff 0102"] {
            let read = read(0xa4, &[GPS, "10", LTE, "46 06 04 01 02", tail]);
            assert_eq!(read.cell.unwrap().form, CellForm::L15, "{read:?}");
            assert_eq!(read.status.unwrap().extended_code(), 1, "{read:?}");
        }
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn what_is_cut_short_behind_the_position_costs_neither_fix_nor_kind() {
        use crate::message::testing::{body, report, signal};

        for (number, rest) in [
            (0x27, body(&["09", CELL, "46 06 04 01"])),
            (0xa4, body(&["10", LTE, "46 06 04 01"])),
        ] {
            for len in (0..8).chain(rest.len() - 4..rest.len()) {
                let read = read(number, &[GPS, &hex::encode(&rest[..len])]);
                assert_eq!(read.status, None, "{read:?}");
                assert_eq!(Message::from(read.clone()).answer(), Answer::WhenDelivered);
                let has_cell = read.cell.is_some();
                assert_eq!(has_cell, len >= rest.len() - 4, "{read:?}");
                let report = report(read);
                assert_eq!(report.kind, milepost_telemetry::Kind::Alarm);
                assert!(report.fix.is_some() && report.more.events.is_empty());
                let has_tail = signal(&report, "gt06.tail").is_some();
                let is_whole = len < 2 || len == rest.len() - 4;
                assert_eq!(has_tail, !is_whole, "{len}");
            }
        }
    }

    #[test]
    fn without_a_cell_the_status_comes_at_once() {
        let none = read(0xa4, &[GPS, "00", STATUS, "ff"]);
        assert_eq!((none.cell, none.status.unwrap().raw_alarm), (None, 0x13));
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
            milepost_telemetry::EventKind::GeofenceEnter
        );
        assert_eq!(signal(&fenced, "gt06.fence").unwrap(), "7");
        assert_eq!(fenced.zone, Some(milepost_telemetry::Zone::Utc));
        let other = report(read(0xa4, &[GPS, "10", LTE, STATUS, "ff"]));
        assert_eq!(signal(&other, "gt06.fence"), None);
        assert_eq!(
            other.network.cell.unwrap().radio,
            milepost_telemetry::Radio::Lte
        );
    }
}
