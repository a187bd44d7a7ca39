//! 0x81 and 0x82, texts that servers send to early models, and that come back as echoes.
//!
//! 0x81: size 1, flag 4, `ALARM…&&` UTF-16 text `&&` phone `&&…##`, language 2. Of 0x82 no manual
//! has more. Both are kept whole, and never acknowledged.

use bytes::Bytes;

use super::{Body, Context, Direction, Fit};
use crate::frame::Start;
use crate::layout::{layout, plain};

layout! {
    /// A text from a server.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct ServerText of |cx| {
        /// 0x81 or 0x82.
        number: u8 = cx.number(),
        /// How the frame starts.
        start: Start = cx.head.start(),
    } {
        /// Everything from the size on.
        body: Bytes as "text",
    }
}

impl Body for ServerText {
    const NAME: &'static str = "server_text";

    plain!(of head);

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.head.serial().is_some())
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
