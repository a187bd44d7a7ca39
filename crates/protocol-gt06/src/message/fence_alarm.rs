//! 0x27, 0xA3 and 0xA4, alarm with fence.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`], UTC |
//! | 18 | 1 | size of the cell | counts itself, or not, or is junk |
//! | 19 | 8, 9 | cell | [`Cell`]: 0x27; 0xA3 and 0xA4 15 or 16 |
//! | 27, 34 | 5 | status | [`Status`]; the high half of the language extends the alarm's code |
//! | 32, 39 | 0 or 1 | fence | number of the fence, FF none; not in 0xA3 |
//! | | 0 or 4 | mileage | metres; after a fence, or in 0xA3 |
//!
//! L 26, 27 (0x27), 2C (0xA3), 2D, 2E (0xA4). Jimi manuals. Only a size of 0 means something: there
//! may be no cell. 0xA3 in lengths without position is a [`SeeworldStatus`](super::SeeworldStatus).

use alloc::format;

use bytes::{BufMut, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::address::{Language, NOBODY, Purpose, Question};
use crate::field::{Cell, CellForm, Gps, Mileage, Status};
use crate::layout::Part;
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
    pub mileage: Option<Mileage>,
}

/// The form of the cell in a body of known length; `None`: another length.
fn cell_form(number: u8, body: &[u8]) -> Option<Option<CellForm>> {
    let (size, rest) = body.get(Gps::LEN..)?.split_first()?;
    let mcc = Cell::peek_mcc(rest);
    let has_known_rest = |form: &Option<CellForm>| {
        let before = form.map_or(0, |form| form.len(mcc)) + Status::LEN;
        match rest.len().checked_sub(before) {
            Some(0 | 1 | 5) => true,
            Some(4) => number == 0xa3,
            _ => false,
        }
    };
    let forms = match number {
        0x27 => [Some(CellForm::L8), None],
        _ => [Some(CellForm::L15), None],
    };
    let forms = forms
        .into_iter()
        .filter(|form| form.is_some() || *size == 0);
    forms.into_iter().find(has_known_rest)
}

impl Body for FenceAlarm {
    const NAME: &'static str = "fence_alarm";
    const ANSWER: Answer = Answer::WhenDelivered;

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && cell_form(cx.number(), cx.body).is_some())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let form = cell_form(cx.number(), cx.body).flatten();
        Ok(Self {
            number: cx.number(),
            gps: Gps::decode(r)?,
            raw_cell_size: r.u8("cell size")?,
            cell: form.map(|form| Cell::decode(r, form)).transpose()?,
            status: Status::decode_extended(r)?,
            raw_fence: if matches!(r.remaining(), 1 | 5) {
                let fence = r.u8("fence")?;
                r.note(|| match fence {
                    u8::MAX => "none".into(),
                    _ => format!("{fence}"),
                });
                Some(fence)
            } else {
                None
            },
            mileage: Part::read(r, ())?,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        out.put_u8(self.raw_cell_size);
        if let Some(cell) = self.cell {
            cell.encode(out);
        }
        self.status.encode(out);
        self.raw_fence.write(out);
        self.mileage.write(out);
    }

    fn number(&self) -> u8 {
        self.number
    }

    fn raw_battery(&self) -> Option<u8> {
        Some(self.status.raw_battery)
    }

    fn answer(&self) -> Answer {
        self.status.answer_extended()
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
        use milepost_telemetry::Signal;

        let key = crate::normalize::Key::new(self.number).alarm(Some(self.status.extended_key()));
        let fence = self.raw_fence.as_slice();
        let report =
            cx.positioned_with(out, milepost_telemetry::Kind::Alarm, &self.gps, key, fence);
        report.network.cell = self.cell.and_then(|cell| cell.normalize(true));
        self.status.normalize_extended(cx, report, cx.dialect());
        if let Some(fence) = self.raw_fence.filter(|fence| *fence != u8::MAX) {
            report
                .more
                .signals
                .push(Signal::named("gt06.fence").number(fence.into(), None));
        }
        self.mileage.note(cx, report);
    }
}
