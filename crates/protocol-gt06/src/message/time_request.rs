//! 0x8A, the device asks for the time; devices without a fix have no other source.
//!
//! The body is empty. Some clones add bytes, which are kept.

use bytes::Bytes;

use super::{Body, Context, Fit};
use crate::layout::{layout, plain};
use crate::reply::Answer;

layout! {
    /// The device asks for the time.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub struct TimeRequest {
        /// Bytes that no manual describes.
        tail: Bytes as "unknown",
    }
}

impl Body for TimeRequest {
    const NAME: &'static str = "time_request";
    const ANSWER: Answer = Answer::Time;

    plain!(0x8a);

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short())
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        cx.untimed(out, milepost_telemetry::Kind::TimeRequest, 0);
    }
}
