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

use alloc::format;

use bytes::BytesMut;

use super::{Body, Context, Fit};
use crate::field::{Gps, topin_answer};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{DecodeError, Dialect};

/// A position of the relatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopinGps {
    /// 0x08, 0x09, 0x10 or 0x11.
    pub number: u8,
    /// The frame's length byte, as sent.
    pub announced: u8,
    /// Where and when.
    pub gps: Gps,
    /// Metres.
    pub altitude: Option<i16>,
    /// An alarm, by codes that are not known.
    pub raw_alarm: Option<u8>,
}

impl TopinGps {
    /// Whether it is sent as it is measured; `None` where the number does not say.
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

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.bare().is_some() && matches!(cx.body.len(), 18 | 20 | 21))
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let gps = Gps::decode(r)?;
        let altitude = match r.remaining() {
            0 => None,
            _ => {
                let altitude = r.u16("altitude")?.cast_signed();
                r.note(|| format!("{altitude} m"));
                Some(altitude)
            }
        };
        let raw_alarm = match r.remaining() {
            0 => None,
            _ => Some(r.u8("alarm")?),
        };
        Ok(Self {
            number: cx.number(),
            announced: cx.bare().unwrap_or_default(),
            gps,
            altitude,
            raw_alarm,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.gps.encode(out);
        out.extend(self.altitude.into_iter().flat_map(i16::to_be_bytes));
        out.extend(self.raw_alarm);
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
        // Live and from the buffer it is the same fact, but for the number that says so.
        let key = crate::normalize::Key::new(0x10).alarm(self.raw_alarm.map(Into::into));
        let report = cx.positioned(out, milepost_telemetry::Kind::Location, &self.gps, key);
        if let Some(fix) = &mut report.fix {
            fix.live = self.is_live();
            fix.altitude = self
                .altitude
                .and_then(|metres| milepost_telemetry::Altitude::from_metres(metres.into()).ok());
        }
        if let Some(raw) = self.raw_alarm.filter(|raw| *raw != 0) {
            report
                .more
                .signals
                .push(milepost_telemetry::Signal::named("gt06.alarm_raw").number(raw.into(), None));
        }
    }
}
