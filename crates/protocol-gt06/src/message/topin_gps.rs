//! 0x08, 0x09, 0x10 and 0x11 without serial and checksum, position (Topin, ZX303, 365GPS).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 18 | position | [`Gps`] |
//! | 18 | 0 or 2 | altitude | metres, signed |
//! | 20 | 0 or 1 | alarm | unknown codes |
//!
//! 0x10 is live, 0x09 and 0x11 come from the buffer. Seen on devices. An empty 0x08 is a ping, a
//! [`TopinNotice`](super::TopinNotice).

use bytes::BytesMut;

use super::{Body, Context, Fit};
use crate::Dialect;
use crate::field::{Altitude, Gps, topin_answer};
use crate::layout::{layout, plain};
use crate::reply::Answer;

layout! {
    /// A position of the relatives.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct TopinGps of |cx| {
        /// 0x08, 0x09, 0x10 or 0x11.
        number: u8 = cx.number(),
        /// The frame's length byte, as sent.
        announced: u8 = cx.bare().unwrap_or_default(),
    } {
        /// Where and when.
        gps: Gps,
        /// Metres.
        altitude: Option<Altitude>,
        /// An alarm, by codes that are not known.
        raw_alarm: Option<u8> as "alarm",
    }
}

impl TopinGps {
    /// Whether it is sent as it is measured; `None` where the number does not show it.
    #[must_use]
    pub const fn is_live(&self) -> Option<bool> {
        match self.number {
            0x10 => Some(true),
            0x09 | 0x11 => Some(false),
            _ => None,
        }
    }
}

impl Body for TopinGps {
    const NAME: &'static str = "topin_gps";

    plain!(of head);

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.bare().is_some() && matches!(cx.body.len(), 18 | 20 | 21))
    }

    fn number(&self) -> u8 {
        self.number
    }

    fn bare(&self) -> Option<u8> {
        Some(self.announced)
    }

    fn unread(cx: &Context<'_>) -> Answer {
        topin_answer(cx.number(), cx.bare().unwrap_or_default(), cx.body)
    }

    fn answer(&self) -> Answer {
        let mut body = BytesMut::new();
        self.encode(&mut body);
        topin_answer(self.number, self.announced, &body)
    }

    fn dialect(&self) -> Option<Dialect> {
        Some(Dialect::Topin)
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        // Live and from the buffer it is the same fact, except for the number.
        let key = crate::normalize::Key::new(0x10).alarm(self.raw_alarm.map(Into::into));
        let report = cx.positioned(out, milepost_telemetry::Kind::Location, &self.gps, key);
        if let Some(fix) = &mut report.fix {
            fix.live = self.is_live();
        }
        crate::layout::Part::note(&self.altitude, cx, report);
        if let Some(raw) = self.raw_alarm.filter(|raw| *raw != 0) {
            report
                .more
                .signals
                .push(milepost_telemetry::Signal::named("gt06.alarm_raw").number(raw.into(), None));
        }
    }
}
