//! 0x39, alarm with radio and items (Jimi 4G).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 8 to 18 | cell | [`RadioCell`] |
//! | | 5 | status | [`Status`]; the high half of the language extends the alarm's code |
//! | | | items | [`Items`] |
//!
//! Seen on devices.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context};
use crate::DecodeError;
use crate::field::{Gps, Items, RadioCell, Status};
use crate::frame::Start;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// An alarm with radio and items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RadioAlarm {
    /// How the frame starts.
    pub start: Start,
    /// Where and when.
    pub gps: Gps,
    /// The serving cell.
    pub cell: RadioCell,
    /// Status and alarm.
    pub status: Status,
    /// The rest.
    pub items: Items,
    /// Bytes that no manual knows.
    pub tail: Bytes,
}

impl Body for RadioAlarm {
    const NAME: &'static str = "radio_alarm";
    const ANSWER: Answer = Answer::WhenDelivered;

    fn accepts(cx: &Context<'_>) -> bool {
        (cx.is_long() || cx.is_short()) && !cx.body.is_empty()
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            start: cx.head.start(),
            gps: Gps::decode(r)?,
            cell: RadioCell::decode(r)?,
            status: Status::decode_extended(r)?,
            items: Items::decode_if_fits(r)?,
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        self.cell.encode(out);
        self.status.encode(out);
        self.items.encode(out);
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x39
    }

    fn start(&self) -> Start {
        self.start
    }

    fn answer(&self) -> Answer {
        self.status.answer()
    }

    #[cfg(feature = "telemetry")]
    fn normalize(
        &self,
        cx: &crate::normalize::Context<'_>,
        out: &mut dyn FnMut(telemetry::Report),
    ) {
        let key = crate::normalize::Key::new(0x39)
            .gps(&self.gps)
            .alarm(Some(self.status.extended_code()));
        let mut report = cx.positioned(telemetry::Kind::Alarm, &self.gps, &key);
        self.cell.normalize(&mut report);
        self.status.normalize_extended(&mut report, cx.dialect());
        self.items.normalize(&mut report);
        cx.note_tail(&mut report, &self.tail);
        out(report);
    }
}
