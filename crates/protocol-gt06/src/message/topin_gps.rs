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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{GPS, bare_frame, read_bare, round_trip_bare};
    use crate::{AckPolicy, Message, Session};

    fn read(number: &str, after: &str) -> TopinGps {
        let message = read_bare(&std::format!("787812 {number} {GPS} {after} 0d0a"));
        round_trip_bare(&message);
        match message {
            Message::TopinGps(read) => read,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn altitude_and_alarm_may_follow_the_position() {
        for (after, altitude, alarm) in [
            ("", None, None),
            ("ffec", Some(-20), None),
            ("0381 02", Some(897), Some(2)),
        ] {
            let read = read("10", after);
            assert_eq!((read.altitude, read.raw_alarm), (altitude, alarm));
            assert_eq!(read.gps.position().satellites(), 9);
        }
    }

    #[test]
    fn a_position_off_the_earth_is_answered_all_the_same() {
        let frame = bare_frame("78781210 0f0c1d023305 c9 ffffffff 0c465860 00 1400 0d0a");
        let handled = Session::new(AckPolicy::default()).on_frame(&frame, 0);
        assert!(handled.message.is_ok(), "it is no position, and kept");
        let reply = handled.reply.unwrap().bytes;
        assert_eq!(hex::encode(reply), "787812100f0c1d0233050d0a");
    }

    #[cfg(feature = "telemetry")]
    #[test]
    fn the_number_tells_what_is_live() {
        use crate::message::testing::{bare_report, signal};
        for (number, live) in [
            ("08", None),
            ("09", Some(false)),
            ("10", Some(true)),
            ("11", Some(false)),
        ] {
            let report = bare_report(read(number, "0381 02"));
            let fix = report.fix.as_ref().unwrap();
            let metres = fix.altitude.map(|altitude| altitude.as_metres());
            assert_eq!((fix.live, metres), (live, Some(897.0)), "{number}");
            assert_eq!(
                (report.sequence, report.checksum),
                (None, milepost_telemetry::Checksum::Absent)
            );
            assert_eq!(signal(&report, "gt06.alarm_raw").unwrap(), "2");
        }
        assert_eq!(
            bare_report(read("10", "")).id,
            bare_report(read("11", "")).id
        );
    }
}
