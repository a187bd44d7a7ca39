//! 0x01 without serial and checksum, login (Topin, ZX303, 365GPS).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 8 | terminal id | [`TerminalId`] |
//! | 8 | 0 or 1 | version | of the firmware |
//!
//! Seen on devices; bytes after are kept.

#[cfg(feature = "telemetry")]
use alloc::string::ToString;

use bytes::Bytes;

use super::{Body, Context, Fit};
use crate::Dialect;
use crate::field::{TerminalId, topin_answer};
use crate::layout::{layout, plain};
use crate::reply::Answer;

layout! {
    /// A device of the relatives names itself.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub struct TopinLogin of |cx| {
        /// The frame's length byte, as sent.
        announced: u8 = cx.bare().unwrap_or_default(),
    } {
        /// Who.
        id: TerminalId,
        /// Version of the firmware.
        version: Option<u8> as "version",
        /// Bytes that no manual describes.
        tail: Bytes as "unknown",
    }
}

impl Body for TopinLogin {
    const NAME: &'static str = "topin_login";

    plain!(of head);

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.bare().is_some() && cx.body.len() >= 8)
    }

    fn number(&self) -> u8 {
        0x01
    }

    fn bare(&self) -> Option<u8> {
        Some(self.announced)
    }

    fn answer(&self) -> Answer {
        topin_answer(0x01, self.announced, &[])
    }

    fn dialect(&self) -> Option<Dialect> {
        Some(Dialect::Topin)
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let report = cx.untimed(out, milepost_telemetry::Kind::Login, 0);
        if let Some(version) = self.version {
            report.identity_mut().firmware = Some(version.to_string().into());
        }
        if report.device.is_none() {
            report.device = self.id.device_id();
        }
        cx.note_tail(report, &self.tail);
    }
}
