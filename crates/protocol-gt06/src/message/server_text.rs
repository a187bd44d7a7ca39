//! 0x81 and 0x82, texts that servers send to early models, and that come back as echoes.
//!
//! 0x81: size 1, flag 4, `ALARM…&&` UTF-16 text `&&` phone `&&…##`, language 2. Of 0x82 no manual
//! has more. Both are kept whole, and never acknowledged.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Direction, Fit};
use crate::DecodeError;
use crate::frame::Start;
use crate::parse::{Reader, Trace};

/// A text from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerText {
    /// 0x81 or 0x82.
    pub number: u8,
    /// How the frame starts.
    pub start: Start,
    /// Everything from the size on.
    pub body: Bytes,
}

impl Body for ServerText {
    const NAME: &'static str = "server_text";

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.head.serial().is_some())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            number: cx.number(),
            start: cx.head.start(),
            body: r.take_rest("text"),
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
