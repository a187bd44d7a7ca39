//! All other frames without serial and checksum (Topin, ZX303, 365GPS).
//!
//! | number | meaning |
//! |---|---|
//! | 08 | ping |
//! | 14 | going to sleep |
//! | 15 | factory reset |
//! | 30 | what time is it |
//! | 41 | the SOS number |
//! | 57 | settings |
//! | 92, 93, 94 | vibration alarm switched on, switched off, raised |
//! | 99 | SOS |
//! | others | unknown |
//!
//! Seen on devices. Most have no body; what is in one is kept and shown.

use bytes::Bytes;

use super::{Body, Context, Fit};
use crate::Dialect;
use crate::field::topin_answer;
use crate::layout::{layout, plain};
use crate::reply::Answer;

layout! {
    /// What a device of the relatives reports by a number alone.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct TopinNotice of |cx| {
        /// The number.
        number: u8 = cx.number(),
        /// The frame's length byte, as sent.
        announced: u8 = cx.bare().unwrap_or_default(),
    } {
        /// The body.
        body: Bytes as "body",
    }
}

impl Body for TopinNotice {
    const NAME: &'static str = "topin_notice";

    plain!(of head);

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.bare().is_some())
    }

    fn number(&self) -> u8 {
        self.number
    }

    fn bare(&self) -> Option<u8> {
        Some(self.announced)
    }

    fn answer(&self) -> Answer {
        topin_answer(self.number, self.announced, &self.body)
    }

    fn dialect(&self) -> Option<Dialect> {
        Some(Dialect::Topin)
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use milepost_telemetry::{Event, EventKind, Kind, Signal};

        let (kind, event) = match self.number {
            0x08 => (Kind::Heartbeat, None),
            0x14 => (Kind::Status, Some(EventKind::Sleep)),
            0x15 | 0x41 | 0x57 | 0x92 | 0x93 => (Kind::Status, None),
            0x30 => (Kind::TimeRequest, None),
            0x94 => (Kind::Alarm, Some(EventKind::Vibration)),
            0x99 => (Kind::Alarm, Some(EventKind::Sos)),
            _ => (Kind::Unknown, None),
        };
        let report = cx.untimed(out, kind, 0);
        report
            .more
            .events
            .extend(event.map(|event| Event::by_device(event, None)));
        match self.number {
            0x15 => report
                .more
                .signals
                .push(Signal::named("gt06.factory_reset").bool(true)),
            0x41 if !self.body.is_empty() => report
                .more
                .signals
                .push(Signal::named("gt06.sos_number").text(super::readable(&self.body))),
            0x57 if !self.body.is_empty() => {
                crate::normalize::note_bytes(report, "gt06.settings", &self.body);
            }
            0x92 | 0x93 => report
                .more
                .signals
                .push(Signal::named("gt06.vibration_alarm").bool(self.number == 0x92)),
            _ if kind == Kind::Unknown => report.more.raw = Some(self.body.as_ref().into()),
            _ => {}
        }
        if !matches!(self.number, 0x41 | 0x57) && kind != Kind::Unknown {
            cx.note_tail(report, &self.body);
        }
    }
}
