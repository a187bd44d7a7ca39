//! 0x01 without serial and checksum, login (Topin, ZX303, 365GPS).
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 8 | terminal id | [`TerminalId`] |
//! | 8 | 0 or 1 | version | of the firmware |
//!
//! Seen on devices; bytes after are kept.

use alloc::string::ToString;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::field::{TerminalId, topin_answer};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{DecodeError, Dialect};

/// A device of the relatives names itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopinLogin {
    /// The frame's length byte, as sent.
    pub announced: u8,
    /// Who.
    pub id: TerminalId,
    /// Version of the firmware.
    pub version: Option<u8>,
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

impl Body for TopinLogin {
    const NAME: &'static str = "topin_login";

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.bare().is_some() && cx.body.len() >= 8)
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        let id = TerminalId(r.array("terminal id")?);
        r.note(|| id.to_string());
        Ok(Self {
            announced: cx.bare().unwrap_or_default(),
            id,
            version: match r.remaining() {
                0 => None,
                _ => Some(r.u8("version")?),
            },
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&self.id.0);
        out.extend(self.version);
        out.put_slice(&self.tail);
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
