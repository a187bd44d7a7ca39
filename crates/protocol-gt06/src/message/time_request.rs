//! 0x8A, the device asks for the time; devices without a fix have no other source.
//!
//! The body is empty. Some clones add bytes, which are kept.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Body, Context, Fit};
use crate::DecodeError;
use crate::parse::{Reader, Trace};
use crate::reply::Answer;

/// The device asks for the time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimeRequest {
    /// Bytes that no manual describes.
    pub tail: Bytes,
}

impl Body for TimeRequest {
    const NAME: &'static str = "time_request";
    const ANSWER: Answer = Answer::Time;

    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short())
    }

    fn decode<T: Trace>(r: &mut Reader<'_, T>, _: &Context<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            tail: r.take_rest("unknown"),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&self.tail);
    }

    fn number(&self) -> u8 {
        0x8a
    }

    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports) {
        cx.untimed(out, milepost_telemetry::Kind::TimeRequest, 0);
    }
}
