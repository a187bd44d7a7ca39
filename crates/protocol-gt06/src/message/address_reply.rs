//! 0x17 (Chinese) and 0x97 (English), an address as text from a server.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 1, or 2 in 0x97 | size | from the flag to `##` |
//! | | 4 | flag | |
//! | | | content | `ALARMSMS` or `ADDRESS`, `&&`, UTF-16BE address, `&&`, 21 bytes of phone number, `##` |
//!
//! Concox GT06 manual. Devices' own 0x17 have no `&&`.

use bytes::Bytes;

use super::{Body, Context, Direction, Fit};
use crate::frame::Start;
use crate::layout::{layout, plain};

layout! {
    /// An address as text, from a server.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct AddressReply of |cx| {
        /// 0x17 or 0x97.
        number: u8 = cx.number(),
        /// How the frame starts.
        start: Start = cx.head.start(),
    } {
        /// Everything from the size on.
        body: Bytes as "address",
    }
}

impl Body for AddressReply {
    const NAME: &'static str = "address_reply";

    plain!(of head);

    fn fit(cx: &Context<'_>) -> Fit {
        let word = |at: usize| {
            let rest = cx.body.get(at..).unwrap_or_default();
            rest.starts_with(b"ALARMSMS&&") || rest.starts_with(b"ADDRESS&&")
        };
        Fit::possible_if(cx.head.serial().is_some() && (word(5) || word(6)))
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
