//! A position in an unknown layout: what is left of a damaged or newer message that has one.
//!
//! A message is read only in its known lengths. In another length its number is still known to
//! carry a position, and where: if a time and a place are there, they are the fix, and all other
//! bytes are kept raw. No other field is read, as nothing indicates which byte is missing or too many.
//!
//! | number | offset of the position |
//! |---|---|
//! | 0x12 | 0, or 8 after a terminal id |
//! | 0x22 | 0, or 15 after a terminal id and a time |
//! | 0x25 | 15 |
//! | 0x34 | 4 |
//! | 0x61 | 8 |
//! | others | 0 |

use bytes::{BufMut, Bytes, BytesMut};

use super::{AddressQuery, Body, Context, Fit};
use crate::DecodeError;
use crate::field::{DateTime, Gps, is_gps, is_mcc, is_timed_place};
use crate::frame::Start;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// A position and bytes in an unknown layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionOnly {
    /// The number of the message.
    pub number: u8,
    /// How the frame starts.
    pub start: Start,
    /// Bytes before the position.
    pub before: Bytes,
    /// Where and when.
    pub gps: Gps,
    /// Bytes after the position.
    pub tail: Bytes,
}

/// Where a message of that number has its position.
const fn offsets(number: u8) -> &'static [usize] {
    match number {
        0x12 => &[0, 8],
        0x22 => &[0, 15],
        0x25 => &[15],
        0x34 => &[4],
        0x61 => &[8],
        _ => &[0],
    }
}

/// Whether other messages of the number have no position.
const fn is_shared(number: u8) -> bool {
    matches!(number, 0x11 | 0x17 | 0x24 | 0x36 | 0xa2 | 0xa3)
}

/// Where the position of a body is.
fn offset(number: u8, body: &[u8]) -> Option<usize> {
    let has_position = |at: &usize| {
        let Some(gps) = body.get(*at..) else {
            return false;
        };
        // Cells have a country code after the time, a position has one after itself.
        let is_no_list = || is_gps(gps) || is_mcc(gps, Gps::LEN) && !is_mcc(gps, 6);
        is_timed_place(gps) && (!is_shared(number) || is_no_list())
    };
    offsets(number).iter().copied().find(has_position)
}

/// As the number's messages are answered: what may be an alarm is acknowledged once it is stored, and
/// a question for an address is answered that there is none.
fn answer(number: u8) -> Answer {
    match number {
        0x16 | 0x26 | 0x27 | 0x32 | 0x39 | 0xa3 | 0xa4 => Answer::WhenDelivered,
        0x1a | 0x2a => AddressQuery::ANSWER,
        _ => PositionOnly::ANSWER,
    }
}

impl Body for PositionOnly {
    const NAME: &'static str = "position_only";
    const ANSWER: Answer = Answer::ByPolicy;

    fn fit(cx: &Context<'_>) -> Fit {
        let has_start = cx.is_short() || cx.is_long() && cx.number() == 0x38;
        // What is too short for a position is this one too, so that the error names the field.
        let is_short_of = |at: &usize| cx.body.len() < at + Gps::LEN && !is_shared(cx.number());
        let fits = offset(cx.number(), cx.body).is_some()
            || !cx.body.is_empty() && offsets(cx.number()).iter().all(is_short_of);
        let is_after_id = offset(cx.number(), cx.body).is_some_and(|at| {
            let is_first = offsets(cx.number()).first() == Some(&at);
            let has_date = matches!(cx.body, [_, 1..=12, 1..=31, ..]);
            !is_first && !has_date && cx.body.get(at..).is_some_and(is_gps)
        });
        Fit::possible_if(has_start && fits).or_certain_if(has_start && is_after_id)
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let first = offsets(cx.number()).first().copied();
        let before = offset(cx.number(), cx.body).or(first).unwrap_or_default();
        Ok(Self {
            number: cx.number(),
            start: cx.head.start(),
            before: match before {
                0 => Bytes::new(),
                len => r.bytes("unknown", len)?,
            },
            gps: Gps::decode(r)?,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&self.before);
        self.gps.encode(out);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        self.number
    }

    fn start(&self) -> Start {
        self.start
    }

    fn unread(cx: &Context<'_>) -> Answer {
        answer(cx.number())
    }

    fn answer(&self) -> Answer {
        answer(self.number)
    }

    fn clock(&self) -> Option<(DateTime, Option<bool>)> {
        matches!(self.number, 0x10 | 0x12 | 0x16).then_some((self.gps.time(), None))
    }

    /// Key: number, time, position.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use milepost_telemetry::Kind;

        let kind = match self.number {
            0x16 | 0x26 | 0x27 | 0x39 | 0xa3 | 0xa4 => Kind::Alarm,
            0x1a | 0x2a => Kind::AddressRequest,
            _ => Kind::Location,
        };
        let key = crate::normalize::Key::new(self.number);
        let report = cx.positioned(out, kind, &self.gps, key);
        if !self.before.is_empty() {
            crate::normalize::note_bytes(report, "gt06.before_position", &self.before);
        }
        cx.note_tail(report, &self.tail);
    }
}
