//! 0xFD, the device reports its firmware.
//!
//! Under `79 79`:
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 8 | IMEI | 16 digits, the first one 0 |
//! | 8 | 2 | size | of what follows |
//! | 10 | 16 | key | |
//! | 26 | 1 | separator | |
//! | 27 | | text | `[VERSION]…[BUILD]…`, on the devices seen with a colon before |
//!
//! Seen on devices. They repeat it until it is answered or they give up; since is unknown what
//! an answer would make them do, there is none.

use alloc::string::String;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::field::TerminalId;
use crate::frame::Start;
use crate::parse::{Reader, Trace};
use crate::{DecodeError, Dialect};

/// The device reports its firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwareNotice {
    /// Number of the modem.
    pub imei: TerminalId,
    /// The size as sent: key, separator, text.
    pub raw_size: u16,
    /// A key.
    pub key: [u8; 16],
    /// A byte that no manual explains.
    pub separator: u8,
    /// `[VERSION]…[BUILD]…`
    pub raw_text: Bytes,
}

impl FirmwareNotice {
    /// The text, without the colon before it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let text = &self.raw_text[..];
        crate::answer::ascii(text.strip_prefix(b":").unwrap_or(text))
    }
}

impl Body for FirmwareNotice {
    const NAME: &'static str = "firmware_notice";

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_long() && !cx.body.is_empty())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        let imei = TerminalId(r.array("imei")?);
        r.note(|| alloc::format!("{imei}"));
        let raw_size = r.u16("size")?;
        let notice = Self {
            imei,
            raw_size,
            key: r.array("key")?,
            separator: r.u8("separator")?,
            raw_text: r.take_rest("text"),
        };
        if !notice.raw_text.is_empty() {
            r.note(|| notice.to_text());
        }
        Ok(notice)
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&self.imei.0);
        out.put_u16(self.raw_size);
        out.put_slice(&self.key);
        out.put_u8(self.separator);
        out.put_slice(&self.raw_text);
    }

    fn number(&self) -> u8 {
        0xfd
    }

    fn start(&self) -> Start {
        Start::Long
    }

    /// By the firmware that it names.
    fn dialect(&self) -> Option<Dialect> {
        Dialect::of_text(&self.to_text())
    }

    /// Key: where the frame arrived.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let report = cx.untimed(out, milepost_telemetry::Kind::Status, 0);
        let text = self.to_text();
        crate::answer::Reading::read(&text).normalize(report);
        report.identity_mut().imei = Some(alloc::format!("{}", self.imei).into());
        report.more.text = Some(text.into());
    }
}
