//! 0x17 (Chinese) and 0x97 (English), an address in words from a server.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 1, or 2 in 0x97 | size | from the flag to `##` |
//! | | 4 | flag | |
//! | | | content | `ALARMSMS` or `ADDRESS`, `&&`, UTF-16BE address, `&&`, 21 bytes of phone number, `##` |
//!
//! Concox GT06 manual. Devices' own 0x17 have no `&&`.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Direction, Fit};
use crate::DecodeError;
use crate::frame::Start;
use crate::parse::{Reader, Trace};

/// An address in words, from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressReply {
    /// 0x17 or 0x97.
    pub number: u8,
    /// How the frame starts.
    pub start: Start,
    /// Everything from the size on.
    pub body: Bytes,
}

impl Body for AddressReply {
    const NAME: &'static str = "address_reply";

    fn fit(cx: &Context<'_>) -> Fit {
        let word = |at: usize| {
            let rest = cx.body.get(at..).unwrap_or_default();
            rest.starts_with(b"ALARMSMS&&") || rest.starts_with(b"ADDRESS&&")
        };
        Fit::possible_if(cx.head.serial().is_some() && (word(5) || word(6)))
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            number: cx.number(),
            start: cx.head.start(),
            body: r.take_rest("address"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&self.body);
    }

    fn number(&self) -> u8 {
        self.number
    }

    fn start(&self) -> Start {
        self.start
    }

    fn direction(&self) -> Direction {
        Direction::Server
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, _: &crate::normalize::Context<'_>, _: &mut crate::normalize::Reports) {}
}
