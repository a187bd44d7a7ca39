//! Frames that no decoder knows.

use bytes::Bytes;

use super::{Body, Context};
use crate::frame::Start;
use crate::layout::{layout, plain};
use crate::reply::Answer;

layout! {
    /// A well-formed frame that no decoder knows; its body is kept.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Unknown of |cx| {
        /// The number.
        number: u8 = cx.number(),
        /// How the frame starts.
        start: Start = cx.head.start(),
    } {
        /// The body.
        body: Bytes as "body",
    }
}

impl Body for Unknown {
    const NAME: &'static str = "unknown";

    plain!(of head);

    fn number(&self) -> u8 {
        self.number
    }

    fn start(&self) -> Start {
        self.start
    }

    fn answer(&self) -> Answer {
        Answer::undocumented(self.start)
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        let report = cx.untimed(out, milepost_telemetry::Kind::Unknown, 0);
        report.more.raw = Some(self.body.as_ref().into());
    }
}
