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

use alloc::format;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::field::topin_answer;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{DecodeError, Dialect};

/// A status of the relatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopinStatus {
    /// The frame's length byte, as sent.
    pub announced: u8,
    /// Percent.
    pub battery: u8,
    /// Version of the firmware.
    pub version: u8,
    /// Zone.
    pub raw_zone: u8,
    /// Interval of uploads.
    pub raw_interval: u8,
    /// Signal strength.
    pub raw_signal: Option<u8>,
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

impl Body for TopinStatus {
    const NAME: &'static str = "topin_status";

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.bare().is_some() && cx.body.len() >= 4)
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            announced: cx.bare().unwrap_or_default(),
            battery: {
                let battery = r.u8("battery")?;
                r.note(|| format!("{battery} %"));
                battery
            },
            version: r.u8("version")?,
            raw_zone: r.u8("zone")?,
            raw_interval: r.u8("interval")?,
            raw_signal: match r.remaining() {
                0 => None,
                _ => Some(r.u8("signal")?),
            },
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&[self.battery, self.version, self.raw_zone, self.raw_interval]);
        out.extend(self.raw_signal);
        out.put_slice(&self.tail);
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
