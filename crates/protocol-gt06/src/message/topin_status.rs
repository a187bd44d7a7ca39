//! 0x13 without serial and checksum, status (Topin, ZX303, 365GPS).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 1 | battery | percent |
//! | 1 | 1 | version | of the firmware |
//! | 2 | 1 | zone | unit unknown |
//! | 3 | 1 | interval | of uploads, unit unknown |
//! | 4 | 0 or 1 | signal | unit unknown |
//!
//! Seen on devices; bytes after are kept. It is answered with its own body.

use bytes::{Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::Dialect;
use crate::field::topin_answer;
use crate::layout::{layout, meant, plain};
use crate::reply::Answer;

layout! {
    /// A status of the relatives.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct TopinStatus of |cx| {
        /// The frame's length byte, as sent.
        announced: u8 = cx.bare().unwrap_or_default(),
    } {
        /// Percent.
        battery: u8 as meant("battery", crate::text::percent),
        /// Version of the firmware.
        version: u8 as "version",
        /// Zone.
        raw_zone: u8 as "zone",
        /// Interval of uploads.
        raw_interval: u8 as "interval",
        /// Signal strength.
        raw_signal: Option<u8> as "signal",
        /// Bytes that no manual describes.
        tail: Bytes as "unknown",
    }
}

impl Body for TopinStatus {
    const NAME: &'static str = "topin_status";

    plain!(of head);

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.bare().is_some() && cx.body.len() >= 4)
    }

    fn number(&self) -> u8 {
        0x13
    }

    fn bare(&self) -> Option<u8> {
        Some(self.announced)
    }

    fn answer(&self) -> Answer {
        let mut body = BytesMut::new();
        self.encode(&mut body);
        topin_answer(0x13, self.announced, &body)
    }

    fn dialect(&self) -> Option<Dialect> {
        Some(Dialect::Topin)
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        use alloc::string::ToString;
        use milepost_telemetry::Signal;

        let report = cx.untimed(out, milepost_telemetry::Kind::Heartbeat, 0);
        report.power.battery_charge = milepost_telemetry::Percent::new(self.battery.into()).ok();
        report.identity_mut().firmware = Some(self.version.to_string().into());
        for (name, raw) in [
            ("gt06.zone_raw", Some(self.raw_zone)),
            ("gt06.upload_interval_raw", Some(self.raw_interval)),
            ("gt06.gsm_signal", self.raw_signal),
        ] {
            if let Some(raw) = raw {
                report
                    .more
                    .signals
                    .push(Signal::named(name).number(raw.into(), None));
            }
        }
        cx.note_tail(report, &self.tail);
    }
}
